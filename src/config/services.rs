//! The sections of `polygate.toml` that say what can be booked here: services, and the sessions in which they take place.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use serde::Deserialize;

use crate::{
    booking::catalogue::{Catalogue, Day, PLACES_MAX, SERVICES_MAX, SESSIONS_MAX, Session, TIMES_MAX},
    codec::bars::SESSION_CHARACTERS_MAX,
    domain::{
        booking::{Channel, Owner, Service, WalkInCard},
        ids::HubId,
        slot::{Clinician, Place},
    },
};

use super::{
    file::File,
    hub::{HubConfig, HubSection},
};

/// The book that a hub's own sessions are in.
const OWN_BOOK: &str = "hub";

/// `[booking]`: the reception desk.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BookingSection {
    /// No earlier box of this hub has ever sold a slot. To be said once, at the very first installation.
    pub first_box: bool,
}

/// `[[service]]`: something that can be booked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceSection {
    /// Unique in the polysystem.
    pub id: HubId,
    /// Its name in plain words.
    pub name: String,
    /// Further words under which it is looked for.
    #[serde(default)]
    pub words: Vec<String>,
    /// In whose book it is: `hub`, or the name of a link that takes bookings.
    #[serde(default = "default_system")]
    pub system: String,
    /// Who provides it; the hub's name without it.
    #[serde(default)]
    pub organisation: String,
    /// Whom to phone.
    #[serde(default)]
    pub telephone: String,
    /// How it takes people without an appointment; not at all without it.
    pub walk_in: Option<WalkInSection>,
    /// Whether those who book over BaRS may see and book it.
    #[serde(default)]
    pub bars: bool,
}

/// `walk-in = { … }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WalkInSection {
    /// The display it calls to.
    pub area: HubId,
    /// The letter before its tickets' numbers.
    pub letter: char,
    /// How long one person takes.
    pub minutes: u16,
}

/// `[[session]]`: a clinic that takes place again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SessionSection {
    /// Unique at this hub, and never used again for another clinic.
    pub id: HubId,
    /// Which service it is of.
    pub service: HubId,
    /// On which days of the week.
    #[serde(default)]
    pub days: Vec<Day>,
    /// On which dates besides, `"2027-01-04"`.
    #[serde(default)]
    pub dates: Vec<Date>,
    /// Dates on which it does not take place.
    #[serde(default)]
    pub closed: Vec<Date>,
    /// The first date.
    pub first: Option<Date>,
    /// The last date.
    pub last: Option<Date>,
    /// When it begins, London time, `"09:00"`.
    pub from: Time,
    /// When it ends.
    pub until: Time,
    /// How long one slot is.
    pub minutes: u16,
    /// How many people may come at the same time.
    #[serde(default = "default_places")]
    pub places: u16,
    /// `in-person`, `telephone` or `video`.
    #[serde(default)]
    pub channel: Channel,
    /// With whom.
    pub clinician: Option<ClinicianSection>,
    /// Languages spoken besides English.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Where, if not at the hub.
    #[serde(default)]
    pub place: String,
    /// Its address in one line.
    #[serde(default)]
    pub address: String,
    /// Which room.
    #[serde(default)]
    pub room: String,
    /// Whether it can be reached without steps.
    pub step_free: Option<bool>,
    /// Equipment that can be in one place only.
    #[serde(default)]
    pub equipment: Vec<String>,
    /// How many places of each day others may sell: `centre`, or a hub's id.
    #[serde(default)]
    pub allot: BTreeMap<HubId, u16>,
    /// Places that others have not sold come back so many hours before.
    #[serde(default = "default_sell_by")]
    pub sell_by_hours: u16,
}

/// `clinician = { … }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClinicianSection {
    /// Their name.
    pub name: String,
    /// `female`, `male`, `other` or `unknown`.
    #[serde(default)]
    pub gender: String,
    /// What they work as.
    #[serde(default)]
    pub role: String,
}

impl HubConfig {
    /// What this hub offers.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue {
            services: self.service.iter().map(|section| section.service(&self.hub)).collect(),
            sessions: self.session.iter().map(|section| section.session(&self.hub)).collect(),
        }
    }

    /// The services that may be booked over BaRS.
    pub fn services_for_bars(&self) -> Vec<HubId> {
        self.service.iter().filter(|section| section.bars).map(|section| section.id.clone()).collect()
    }
}

impl ServiceSection {
    fn service(&self, hub: &HubSection) -> Service {
        let organisation = if self.organisation.is_empty() { &hub.name } else { &self.organisation };
        Service {
            id: self.id.clone(),
            name: self.name.clone(),
            words: self.words.clone(),
            hub: hub.id.clone(),
            system: self.system.clone(),
            organisation: organisation.clone(),
            telephone: self.telephone.clone(),
            walk_in: self.walk_in.as_ref().map(|card| WalkInCard {
                area: card.area.clone(),
                letter: card.letter,
                minutes: card.minutes,
            }),
        }
    }
}

impl SessionSection {
    fn session(&self, hub: &HubSection) -> Session {
        let place = if self.place.is_empty() { &hub.name } else { &self.place };
        Session {
            id: self.id.clone(),
            service: self.service.clone(),
            days: self.days.clone(),
            dates: self.dates.clone(),
            closed: self.closed.clone(),
            first: self.first,
            last: self.last,
            from: self.from,
            until: self.until,
            minutes: self.minutes,
            places: self.places,
            channel: self.channel,
            clinician: self.clinician.as_ref().map(|clinician| Clinician {
                id: String::new(),
                name: clinician.name.clone(),
                gender: clinician.gender.clone(),
                role: clinician.role.clone(),
            }),
            languages: self.languages.clone(),
            place: Place {
                id: String::new(),
                name: place.clone(),
                address: self.address.clone(),
                organisation: hub.ods.clone(),
            },
            room: self.room.clone(),
            step_free: self.step_free,
            equipment: self.equipment.clone(),
            allotments: self.allot.iter().map(|(owner, places)| (owner_of(owner), *places)).collect(),
            sell_by_hours: self.sell_by_hours,
        }
    }

    fn takes_place(&self, date: Date) -> bool {
        (self.dates.contains(&date) || self.days.contains(&Day::of(date.weekday())))
            && !self.closed.contains(&date)
    }

    /// Whether there is a day on which both take place.
    fn shares_a_day_with(&self, other: &Self) -> bool {
        let days = self.days.iter().any(|day| other.days.contains(day));
        let on = |dates: &[Date], session: &Self| dates.iter().any(|date| session.takes_place(*date));
        let apart = |one: &Self, next: &Self| matches!((one.last, next.first), (Some(last), Some(first)) if last < first);
        (days || on(&self.dates, other) || on(&other.dates, self))
            && !apart(self, other)
            && !apart(other, self)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until && self.shares_a_day_with(other)
    }
}

/// Every fault in what services and sessions say of themselves and of each other.
pub(super) fn check_services(file: &mut File<'_>, config: &HubConfig) {
    if SERVICES_MAX < config.service.len() {
        file.fault_in("service", 0, "id", &format!("at most {SERVICES_MAX} services"));
    }
    if SESSIONS_MAX < config.session.len() {
        file.fault_in("session", 0, "id", &format!("at most {SESSIONS_MAX} sessions"));
    }
    let hl7 = config.rio.iter().chain(&config.secondary_care);
    let books: BTreeSet<&str> = hl7
        .filter(|section| section.deliver.is_some())
        .map(|section| section.name.as_str())
        .chain(config.adastra.iter().map(|section| section.name.as_str()))
        .chain([OWN_BOOK])
        .collect();
    let mut known: BTreeSet<&HubId> = BTreeSet::new();
    let practices = config.emis.iter().chain(&config.vision).map(|section| &section.name);
    known.extend(practices);
    for (number, service) in config.service.iter().enumerate() {
        if !known.insert(&service.id) {
            let text = format!("two services, or a service and a practice, are called \"{}\"", service.id);
            file.fault_in("service", number, "id", &text);
        }
        if !books.contains(service.system.as_str()) {
            let text =
                format!("no link with `deliver` is called \"{}\"; \"hub\" is the hub's own", service.system);
            file.fault_in("service", number, "system", &text);
        }
        if let Some(card) = &service.walk_in
            && (!card.letter.is_ascii_uppercase() || card.minutes == 0)
        {
            file.fault_in("service", number, "walk-in", "letter is A to Z, and minutes at least 1");
        }
        if service.bars {
            check_for_bars(file, number, service, config);
        }
    }
    let mut sessions: BTreeSet<&HubId> = BTreeSet::new();
    for (number, session) in config.session.iter().enumerate() {
        if !sessions.insert(&session.id) {
            file.fault_in("session", number, "id", &format!("two sessions are called \"{}\"", session.id));
        }
        check_session(file, number, session);
        if !config.service.iter().any(|service| service.id == session.service) {
            let text = format!("no service is called \"{}\"", session.service);
            file.fault_in("session", number, "service", &text);
        }
        if session.allot.contains_key(&config.hub.id) {
            file.fault_in("session", number, "allot", "this hub has what it does not allot");
        }
        for other in config.session.iter().take(number).filter(|other| session.overlaps(other)) {
            check_together(file, number, session, other);
        }
    }
}

/// Only a slot of the hub's own book is sold once it is said, which is what senders are promised.
fn check_for_bars(file: &mut File<'_>, number: usize, service: &ServiceSection, config: &HubConfig) {
    if config.bars.is_none() {
        file.fault_in("service", number, "bars", "it needs the section [bars]");
    }
    if service.system != OWN_BOOK {
        file.fault_in("service", number, "bars", "only services in the hub's own book: system = \"hub\"");
    }
    for (number, session) in config.session.iter().enumerate() {
        if session.service == service.id && SESSION_CHARACTERS_MAX < session.id.as_str().len() {
            let text = format!("at most {SESSION_CHARACTERS_MAX} characters, for it is booked over BaRS");
            file.fault_in("session", number, "id", &text);
        }
    }
}

fn check_session(file: &mut File<'_>, number: usize, session: &SessionSection) {
    let mut fault = |key: &str, text: &str| file.fault_in("session", number, key, text);
    if session.days.is_empty() && session.dates.is_empty() {
        fault("id", "say on which days or dates it takes place");
    }
    if session.until <= session.from {
        fault("until", "it ends before it begins: sessions do not go past midnight");
        return;
    }
    if !(5..=480).contains(&session.minutes) {
        fault("minutes", "5 to 480 minutes");
        return;
    }
    if !(1..=PLACES_MAX).contains(&session.places) {
        fault("places", &format!("1 to {PLACES_MAX} places"));
    }
    let length = session.until.duration_since(session.from).as_secs() / 60;
    if length % i64::from(session.minutes) != 0 {
        let text = format!("slots of {} minutes do not fill {length} minutes", session.minutes);
        fault("minutes", &text);
    }
    if usize::try_from(length / i64::from(session.minutes)).is_ok_and(|times| TIMES_MAX < times) {
        fault("minutes", &format!("at most {TIMES_MAX} slots a day"));
    }
    let allotted: u32 = session.allot.values().map(|places| u32::from(*places)).sum();
    let times = u32::try_from(length / i64::from(session.minutes)).unwrap_or(u32::MAX);
    if times.saturating_mul(u32::from(session.places)) < allotted {
        fault("allot", &format!("{allotted} places are allotted, and the session has fewer"));
    }
    if let Some(clinician) = &session.clinician
        && !["", "female", "male", "other", "unknown"].contains(&clinician.gender.as_str())
    {
        fault("clinician", "gender is female, male, other or unknown");
    }
}

/// What cannot be in two places at once.
fn check_together(file: &mut File<'_>, number: usize, session: &SessionSection, other: &SessionSection) {
    let name = |session: &SessionSection| session.clinician.as_ref().map(|clinician| clinician.name.clone());
    if name(session).is_some() && name(session) == name(other) {
        let text = format!("the clinician is in \"{}\" at the same time", other.id);
        file.fault_in("session", number, "clinician", &text);
    }
    let room = |session: &SessionSection| (session.place.clone(), session.room.clone());
    if !session.room.is_empty() && room(session) == room(other) {
        let text = format!("the room is used by \"{}\" at the same time", other.id);
        file.fault_in("session", number, "room", &text);
    }
    if let Some(shared) = session.equipment.iter().find(|needed| other.equipment.contains(needed)) {
        let text = format!("\"{shared}\" is used by \"{}\" at the same time", other.id);
        file.fault_in("session", number, "equipment", &text);
    }
}

fn owner_of(name: &HubId) -> Owner {
    if name.as_str() == "centre" { Owner::Centre } else { Owner::Hub(name.clone()) }
}

fn default_system() -> String {
    OWN_BOOK.to_owned()
}

const fn default_places() -> u16 {
    1
}

const fn default_sell_by() -> u16 {
    24
}

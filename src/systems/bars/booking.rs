//! The desk as those meet it who book over BaRS: they see what this hub sells itself, and are told that something is
//! booked only when it is.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    codec::bars::{
        Deed as Asked, Heard, Message, Refusal, SlotNamed, SlotsWanted, appointment_of, request_of,
    },
    domain::{
        actor::Practitioner,
        booking::{
            Answer, Appointment, AppointmentId, Attendance, CancelledBy, Deed, Done, Needs, Offer, OfferKey,
            Promise, Refused, RequestId, SlotId, SlotSearch, SlotsFound, Standing, VisitPart,
        },
        ids::HubId,
        nhs_number::NhsNumber,
        time::Timestamp,
    },
    flow::reception::Reception,
};

use super::translate;

/// Slots told at once.
const SLOTS_MAX: usize = SlotsFound::OFFERS_MAX;
/// A search is made in pieces, each of which ends with the last slot that begins in it: the desk looks by slots' ends,
/// senders by their beginnings, and neither looks beyond two weeks.
const PIECE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest slot (`[[session]]` `minutes`).
const SLOT_MAX: Duration = Duration::from_secs(8 * 60 * 60);
/// More places than any session has at one time.
const PLACES_MAX: u16 = 100;
/// How often an appointment may have been moved and still be known by its first id.
const MOVES_MAX: usize = 20;
/// The longest code of an organisation that is put down.
const ORGANISATION_CHARACTERS_MAX: usize = 20;

const TAKEN: Refusal = Refusal::conflict("The slot is not free any more: look for another");
const NO_MORE: Refusal = Refusal::conflict("The appointment does not stand any more");
const USED: Refusal = Refusal::conflict("Another message with this Bundle.id was taken before");
const HERE: Refusal = Refusal::conflict("The patient is here already, or was: call the service");

/// Whether a message was refused for what has happened at the desk meanwhile, and nothing is wrong with it.
pub(super) fn is_overtaken(refusal: Refusal) -> bool {
    [TAKEN, NO_MORE, HERE].contains(&refusal)
}

/// What may be booked over BaRS, and where.
#[derive(Clone)]
pub struct Bookable {
    reception: Arc<dyn Reception>,
    hub: HubId,
    services: Vec<HubId>,
}

impl fmt::Debug for Bookable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bookable({}, {:?})", self.hub, self.services)
    }
}

impl Bookable {
    /// These services of a hub, through its desk.
    pub fn new(reception: Arc<dyn Reception>, hub: HubId, services: Vec<HubId>) -> Self {
        Self { reception, hub, services }
    }

    /// Free slots that this hub holds, by time, and whether there are more.
    ///
    /// # Errors
    /// The desk cannot say.
    pub(super) async fn slots(
        &self,
        heard: &Heard,
        wanted: &SlotsWanted,
    ) -> Result<(Vec<Offer>, bool), Refusal> {
        let of = |id: &&HubId| match &wanted.service {
            Some(service) => *service == heard.service || service == id.as_str(),
            None => true,
        };
        let (mut offers, mut more) = (Vec::new(), false);
        for service in self.services.iter().filter(of).filter(|_| wanted.free) {
            let (found, others) = self.find(heard, service, wanted.from, wanted.until).await?;
            offers.extend(found);
            more |= others;
        }
        offers.sort_by_cached_key(|offer| (offer.start, offer.key.clone()));
        more |= SLOTS_MAX < offers.len();
        offers.truncate(SLOTS_MAX);
        Ok((offers, more))
    }

    /// The appointments of a patient that senders may know of.
    pub(super) fn appointments_of(&self, patient: NhsNumber) -> Vec<Appointment> {
        let theirs = self.reception.appointments_of(patient);
        theirs.into_iter().filter(|one| self.services.contains(&one.service)).collect()
    }

    /// An appointment that senders may know of.
    ///
    /// # Errors
    /// There is none of this id.
    pub(super) fn appointment(&self, id: &str) -> Result<Appointment, Refusal> {
        let known = appointment_of(id).and_then(|id| self.reception.appointment(id));
        let known = known.filter(|one| self.services.contains(&one.service));
        known.ok_or(Refusal::not_found("There is no appointment of this id"))
    }

    /// Does what a message asks, once. What is returned is durable.
    ///
    /// # Errors
    /// It is not done, and nothing has changed.
    pub(super) async fn act(&self, heard: &Heard, message: &Message<'_>) -> Result<Appointment, Refusal> {
        match message.deed {
            Asked::New => self.book(heard, message).await,
            Asked::Update => self.change(heard, message).await,
            Asked::Cancel | Asked::Withdraw => self.cancel(heard, message).await,
        }
    }

    async fn book(&self, heard: &Heard, message: &Message<'_>) -> Result<Appointment, Refusal> {
        let id = appointment_of(&message.focus_id).ok_or(Refusal::value("The Appointment has no id"))?;
        if let Some(known) = self.reception.appointment(id) {
            return self.done_before(heard, message, known).await;
        }
        let person = translate::person(message)?;
        let offers = self.offers(heard, message).await?;
        let part = VisitPart {
            person,
            keys: offers.into_iter().map(|offer| offer.key).collect(),
            // What senders write here is why the patient calls: it is for clinicians, and not for the desk.
            description: format!("Booked over BaRS by {}", organisation(heard)),
            comment: String::new(),
            needs: Needs::default(),
        };
        self.secure(heard, RequestId(id.0), Deed::Book(part)).await
    }

    async fn change(&self, heard: &Heard, message: &Message<'_>) -> Result<Appointment, Refusal> {
        let request = message.request();
        let current = self.meant(message)?;
        if let Some(moved) = self.reception.appointment(AppointmentId(request.0)) {
            return self.done_before(heard, message, moved).await;
        }
        if !current.is_confirmed() {
            return Err(NO_MORE);
        }
        if is_at(message, current.start, current.end) && are(&message.slots(), &current.keys) {
            // The same time: whatever else has changed of the patient is in the message, which is kept.
            return Ok(current);
        }
        check_not_here(&current)?;
        let offers = self.offers(heard, message).await?;
        let keys = offers.into_iter().map(|offer| offer.key).collect();
        self.secure(heard, request, Deed::Move { appointment: current.id, keys }).await
    }

    async fn cancel(&self, heard: &Heard, message: &Message<'_>) -> Result<Appointment, Refusal> {
        let current = self.meant(message)?;
        match current.standing {
            Standing::Cancelled(_) => return Ok(current),
            Standing::Failed { .. } => return Err(NO_MORE),
            _ => check_not_here(&current)?,
        }
        let why = message.focus.at(&["cancelationReason", "coding"]).text_of("code").unwrap_or_default();
        let by = if why.starts_with("prov") { CancelledBy::Provider } else { CancelledBy::Patient };
        let reason = format!("Cancelled over BaRS by {}", organisation(heard));
        let deed = Deed::Cancel { appointment: current.id, by, reason };
        self.perform(heard, message.request(), deed).await?;
        match self.reception.appointment(current.id) {
            Some(gone) if !gone.stands() => Ok(gone),
            // Another hub sold the slot, and answers for it.
            _ => Err(Refusal::unavailable(
                "The cancellation is passed on: send it again to hear whether it is done",
            )),
        }
    }

    /// Books or moves, firmly or not at all.
    async fn secure(&self, heard: &Heard, request: RequestId, deed: Deed) -> Result<Appointment, Refusal> {
        let id = AppointmentId(request.0);
        let Done::Appointments(done) = self.perform(heard, request, deed).await?.done else {
            return Err(TAKEN);
        };
        let made = done.into_iter().find(|one| one.id == id).or_else(|| self.reception.appointment(id));
        let made = made.ok_or(Refusal::unavailable("The desk does not answer: send it again later"))?;
        if made.is_confirmed() { Ok(made) } else { self.let_go(heard, &made).await }
    }

    /// What an earlier attempt has made, whose answer was lost.
    async fn done_before(
        &self,
        heard: &Heard,
        message: &Message<'_>,
        made: Appointment,
    ) -> Result<Appointment, Refusal> {
        if !made.stands() {
            return Err(NO_MORE);
        }
        if !is_about(message, &made) || !is_at(message, made.start, made.end) {
            return Err(USED);
        }
        if made.is_confirmed() { Ok(made) } else { self.let_go(heard, &made).await }
    }

    /// Between looking and booking a slot has gone to another hub, which may refuse it: it is not asked any more.
    async fn let_go(&self, heard: &Heard, made: &Appointment) -> Result<Appointment, Refusal> {
        let reason = "This hub does not hold the slot, and may not promise it over BaRS".to_owned();
        let deed = Deed::Cancel { appointment: made.id, by: CancelledBy::Provider, reason };
        if made.stands() {
            self.perform(heard, request_of(&["let go", &made.id.to_string()]), deed).await?;
        }
        Err(TAKEN)
    }

    async fn perform(&self, heard: &Heard, request: RequestId, deed: Deed) -> Result<Answer, Refusal> {
        let done = self.reception.perform(&asker(heard), request, deed).await;
        done.map_err(|refused| refusal(&refused))
    }

    /// The appointment that a message changes or cancels, as it is now: if it was moved, the one it was moved to.
    fn meant(&self, message: &Message<'_>) -> Result<Appointment, Refusal> {
        let mut current = self.appointment(&message.focus_id)?;
        if !is_about(message, &current) {
            return Err(Refusal::unprocessable("The appointment of this id is another patient's"));
        }
        let theirs = current.person.nhs_number.map(|number| self.appointments_of(number)).unwrap_or_default();
        for _ in 0..MOVES_MAX {
            // Several may have been tried for: the one that stands, else the latest.
            let tried = theirs.iter().filter(|one| one.replaces == Some(current.id));
            match tried.max_by_key(|one| (one.stands(), one.made)) {
                Some(later) if !current.stands() => current = later.clone(),
                _ => break,
            }
        }
        Ok(current)
    }

    /// What stands behind the slots that a message names: free, held by this hub, and at the times it says.
    async fn offers(&self, heard: &Heard, message: &Message<'_>) -> Result<Vec<Offer>, Refusal> {
        let named = message.slots();
        if named.is_empty() {
            return Err(Refusal::required("The Appointment names no Slot of this receiver"));
        }
        if !named.iter().all(|one| one.may_be_ours(&self.hub)) {
            return Err(Refusal::not_found("The Slot is none of this receiver's"));
        }
        let (from, until) = times(message).ok_or(Refusal::value("The Appointment's times are no moments"))?;
        if PIECE < until.since(from) {
            return Err(OTHER_TIMES);
        }
        let mut found: Vec<Offer> = Vec::new();
        for service in &self.services {
            found.extend(self.find(heard, service, from, until).await?.0);
        }
        let offers: Option<Vec<Offer>> = named.iter().map(|one| offer_of(one, &found)).collect();
        let Some(offers) = offers else {
            return Err(self.why_not_offered(&named, from));
        };
        let (first, last) = (offers.first(), offers.last());
        let fits =
            first.is_some_and(|first| first.start == from) && last.is_some_and(|last| last.end == until);
        if fits { Ok(offers) } else { Err(OTHER_TIMES) }
    }

    /// A slot at another time than the appointment's is no lost race.
    fn why_not_offered(&self, named: &[SlotNamed<'_>], from: Timestamp) -> Refusal {
        let first = named.first().and_then(|first| first.slot(&self.hub));
        if first.is_some_and(|slot| slot.start != from) { OTHER_TIMES } else { TAKEN }
    }

    /// Free slots of one service that this hub holds, which begin within a window.
    async fn find(
        &self,
        heard: &Heard,
        service: &HubId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(Vec<Offer>, bool), Refusal> {
        let (mut offers, mut more, mut piece) = (Vec::new(), false, from);
        while piece <= until && offers.len() <= SLOTS_MAX {
            let next = piece.plus(PIECE);
            let search = SlotSearch {
                service: Some(service.clone()),
                from: piece,
                until: next.min(until).plus(SLOT_MAX),
                ..SlotSearch::default()
            };
            let found = self.reception.slots(&asker(heard), &search).await;
            let found = found.map_err(|refused| refusal(&refused))?;
            more |= found.more;
            let here = |offer: &Offer| piece <= offer.start && offer.start < next && offer.start <= until;
            offers.extend(found.offers.into_iter().filter(|offer| here(offer) && self.is_ours(offer)));
            piece = next;
        }
        Ok((offers, more))
    }

    /// Whether this hub sells it itself, without asking anybody.
    fn is_ours(&self, offer: &Offer) -> bool {
        let held = matches!(&offer.key, OfferKey::Token(slot) if slot.home == self.hub);
        held && offer.promise == Promise::Firm && self.services.contains(&offer.service)
    }
}

const OTHER_TIMES: Refusal = Refusal::invariant("The Appointment's times are not those of its Slots");

/// What is offered under a name. At one time of a session one place is offered, and others may have been named before.
fn offer_of(named: &SlotNamed<'_>, found: &[Offer]) -> Option<Offer> {
    found.iter().find_map(|offer| {
        let OfferKey::Token(slot) = &offer.key else { return None };
        let at = |place| SlotId { place, ..slot.clone() };
        let place = (1..=PLACES_MAX).find(|place| named.is(&at(*place)));
        place.map(|place| Offer { key: OfferKey::Token(at(place)), ..offer.clone() })
    })
}

/// Whether slots are named that an appointment has; none are named by those who change something else.
fn are(named: &[SlotNamed<'_>], keys: &[OfferKey]) -> bool {
    let is_one =
        |named: &SlotNamed<'_>| keys.iter().any(|key| matches!(key, OfferKey::Token(slot) if named.is(slot)));
    named.iter().all(is_one)
}

fn times(message: &Message<'_>) -> Option<(Timestamp, Timestamp)> {
    let moment = |name| message.focus.get(name).moment().and_then(|moment| moment.timestamp());
    Some((moment("start")?, moment("end")?))
}

fn is_at(message: &Message<'_>, start: Timestamp, end: Timestamp) -> bool {
    times(message) == Some((start, end))
}

/// Whether a message is about an appointment's patient. Without numbers, names and birthdays must be the same.
fn is_about(message: &Message<'_>, appointment: &Appointment) -> bool {
    let (Ok(person), known) = (translate::person(message), &appointment.person) else { return false };
    match (person.nhs_number, known.nhs_number) {
        (Some(said), Some(known)) => said == known,
        (None, None) => {
            person.birth_date == known.birth_date
                && person.family_name.to_lowercase() == known.family_name.to_lowercase()
                && person.given_names.to_lowercase() == known.given_names.to_lowercase()
        }
        _ => false,
    }
}

fn check_not_here(appointment: &Appointment) -> Result<(), Refusal> {
    match appointment.attendance {
        Attendance::Expected => Ok(()),
        _ => Err(HERE),
    }
}

/// Who asks, as the desk puts it down: an organisation, not one of its people.
fn asker(heard: &Heard) -> Practitioner {
    Practitioner {
        id: format!("BaRS {}", organisation(heard)),
        sds_user_id: None,
        sds_role_profile_id: None,
        job_role: String::new(),
        family_name: organisation(heard),
        given_name: String::new(),
        title: String::new(),
    }
}

/// A code that can stand in logs and on pages, whatever was sent.
pub(super) fn organisation(heard: &Heard) -> String {
    let legal = |character: &char| character.is_ascii_alphanumeric() || *character == '-';
    heard.organisation.chars().filter(legal).take(ORGANISATION_CHARACTERS_MAX).collect()
}

/// What the desk's words mean to a sender, which sees none of them: they may be for the desk alone.
fn refusal(refused: &Refused) -> Refusal {
    match refused.code {
        "past" | "moved" => TAKEN,
        "gone" => NO_MORE,
        "request-used" => USED,
        "over" => Refusal::unprocessable("The appointment is over"),
        "same-slot" | "not-adjacent" | "different-owners" | "keys" => {
            Refusal::unprocessable("These Slots cannot be booked together: they do not follow one another")
        }
        "family-name" | "identity" => {
            Refusal::required("The Patient has no family name, or neither NHS number nor date of birth")
        }
        "too-long" => Refusal::too_long("A name, address or telephone number is longer than is taken"),
        _ => Refusal::unavailable("The desk cannot do this now: send it again later"),
    }
}

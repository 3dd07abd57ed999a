//! A polysystem's year, made of one seed: what really happened, and what systems say of it.
//!
//! Patients have ten contacts each, one in each tenth of the year, so that no two that are made are one by chance. What
//! systems say is told twice, late, in disorder, with differences, and through outages.

use std::collections::BTreeMap;

use jiff::civil::Date;
use polygate::{
    activity::maps::{MapRow, ServiceKind, ServiceProfile},
    domain::{
        booking::CancelledBy,
        contact::{
            CaseStatus, Code, Evidence, EvidenceId, Facts, LocalId, Mechanism, Month, NumberStatus,
            OutcomeOfAttendance, Patient, Punctuality, Reference, ReferenceKind, Said, SlotType, State,
            local_date,
        },
        nhs_number::NhsNumber,
        time::Timestamp,
    },
};

/// Contacts of a patient in a year: one for each tenth of it.
pub const TENTHS: u64 = 10;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600_000;

/// SplitMix64: the same numbers of one seed everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, more: u64) -> Self {
        Self(seed ^ more.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn minutes(&mut self, from: i64, to: i64) -> i64 {
        (from + i64::try_from(self.below(u64::try_from(to - from).unwrap())).unwrap()) * MINUTE
    }

    /// So many times in a hundred.
    fn chance(&mut self, per_cent: u64) -> bool {
        self.below(100) < per_cent
    }
}

/// What really became of one contact, and where it is counted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Truth {
    pub month: Month,
    pub hub: &'static str,
    pub service: Option<String>,
    pub booked: bool,
    pub state: State,
    pub result_only: bool,
}

/// A sort of service, and who tells of its contacts.
struct Sort {
    kind: ServiceKind,
    owner: &'static str,
    mirror: Option<&'static str>,
}

const SORTS: [Sort; 10] = [
    Sort { kind: ServiceKind::GeneralPractice, owner: "emis", mirror: None },
    Sort { kind: ServiceKind::GeneralPractice, owner: "vision", mirror: None },
    Sort { kind: ServiceKind::AlliedHealth, owner: "rio", mirror: Some("emis") },
    Sort { kind: ServiceKind::Consultant, owner: "pas", mirror: Some("rio") },
    Sort { kind: ServiceKind::Nurse, owner: "pas", mirror: Some("emis") },
    Sort { kind: ServiceKind::MentalHealth, owner: "rio", mirror: Some("vision") },
    Sort { kind: ServiceKind::UrgentTreatment, owner: "hub", mirror: None },
    Sort { kind: ServiceKind::OutOfHours, owner: "adastra", mirror: Some("emis") },
    Sort { kind: ServiceKind::Community, owner: "rio", mirror: None },
    Sort { kind: ServiceKind::Diagnostics, owner: "pas", mirror: None },
];
/// Services: each sort three times.
pub const SERVICES: u64 = 30;

/// The hub that a service is at.
pub fn hub_of(service: u64) -> &'static str {
    if service.is_multiple_of(2) { "north" } else { "south" }
}

fn other(hub: &str) -> &'static str {
    if hub == "north" { "south" } else { "north" }
}

fn code(text: &str) -> Option<Code> {
    text.parse().ok()
}

/// Services and slot types as the hubs have them configured. Clinic `X` of every system is mapped to nothing.
pub fn maps() -> (Vec<ServiceProfile>, Vec<MapRow>) {
    let sort = |service: u64| &SORTS[usize::try_from(service).unwrap() % SORTS.len()];
    let profile = |service: u64| ServiceProfile {
        id: format!("s{service}").parse().unwrap(),
        hub: hub_of(service).parse().unwrap(),
        system: sort(service).owner.into(),
        kind: sort(service).kind,
        community_commissioned: service < 20,
        treatment_time_measured: false,
        by_appointment: service == 6,
        priced: service.is_multiple_of(3),
        main_specialty: code("300"),
        treatment_function: code("320"),
    };
    let rows = (0..SERVICES).flat_map(|service| {
        let systems = [Some(sort(service).owner), sort(service).mirror];
        systems.into_iter().flatten().map(move |system| MapRow {
            system: system.into(),
            clinic: Some(format!("{}{service}", system.to_uppercase()).into()),
            slot: None,
            service: format!("s{service}").parse().unwrap(),
            from: Date::constant(2020, 1, 1),
            until: None,
        })
    });
    ((0..SERVICES).map(profile).collect(), rows.collect())
}

fn nhs_number(patient: u64) -> NhsNumber {
    // Of two stems that differ in the last digit alone at most one has no check digit.
    let texts = (0..2)
        .flat_map(|odd| (0..10).map(move |digit| format!("{}{digit}", 999_000_000 + patient * 2 + odd)));
    texts.into_iter().find_map(|text| NhsNumber::parse(&text).ok()).unwrap()
}

/// One contact in the making.
struct Story<'a> {
    random: Random,
    name: String,
    patient: u64,
    service: u64,
    sort: &'a Sort,
    hub: &'static str,
    start: i64,
    mapped: bool,
    told: Vec<Evidence>,
    count: u32,
}

/// The contacts of a patient's tenth of the year, and what is said of them. Mostly one contact.
pub fn contacts(seed: u64, patient: u64, tenth: u64) -> (Vec<Truth>, Vec<Evidence>) {
    let mut random = Random::new(seed, patient * TENTHS + tenth);
    let service = random.below(SERVICES);
    let sort = &SORTS[usize::try_from(service).unwrap() % SORTS.len()];
    let day = NEW_YEAR + i64::try_from(tenth * 36 + random.below(26)).unwrap() * DAY;
    let start = day + random.minutes(8 * 60, 14 * 60) / (10 * MINUTE) * (10 * MINUTE);
    let mapped = !random.chance(2);
    let name = format!("{patient}-{tenth}");
    let hub = hub_of(service);
    let mut story =
        Story { random, name, patient, service, sort, hub, start, mapped, told: Vec::new(), count: 0 };
    let mut truths = match sort.kind {
        ServiceKind::UrgentTreatment => vec![story.walk_in()],
        ServiceKind::OutOfHours => vec![story.case()],
        ServiceKind::Community => vec![story.unbooked(&Said::CommunityContact, ReferenceKind::CareContact)],
        ServiceKind::Diagnostics => vec![story.unbooked(&Said::Diagnostic, ReferenceKind::Accession)],
        _ => story.appointments(),
    };
    if tenth == 0 && patient.is_multiple_of(20) {
        story.merge();
    }
    truths.iter_mut().for_each(|truth| truth.service = truth.service.take().filter(|_| story.mapped));
    (truths, story.told)
}

impl Story<'_> {
    fn truth(&self, booked: bool, state: State, moment: i64) -> Truth {
        Truth {
            month: Month::of(local_date(Timestamp(moment)).unwrap()),
            hub: self.hub,
            service: Some(format!("s{}", self.service)),
            booked,
            state,
            result_only: false,
        }
    }

    fn patient(&self, system: &str) -> Patient {
        let mut known = Patient {
            nhs_number: Some(nhs_number(self.patient)),
            status: Some(NumberStatus::Verified),
            local: Vec::new(),
        };
        if system == "emis" && self.patient.is_multiple_of(20) {
            // EMIS has not traced this one, and has two records of them: see `merge`.
            known = Patient::default();
            let old = if self.count.is_multiple_of(2) { "-old" } else { "" };
            known.local =
                vec![LocalId { system: "emis".into(), value: format!("E{}{old}", self.patient).into() }];
        }
        known
    }

    /// One statement at a moment, by the source's clock.
    fn say(
        &mut self,
        system: &str,
        said: Said,
        at: i64,
        references: Vec<Reference>,
        start: Option<i64>,
    ) -> &mut Evidence {
        self.count += 1;
        let clinic = if self.mapped { self.service.to_string() } else { "X".to_owned() };
        let delay =
            if self.random.chance(90) { self.random.minutes(0, 10) } else { self.random.minutes(10, 3 * 60) };
        let facts = Facts {
            mechanism: Mechanism::ALL.get(usize::try_from(self.random.below(3)).unwrap()).copied(),
            clinician: code(&format!("C{}", self.service)),
            treatment_function: code("320"),
            main_specialty: code("300"),
            practice: code("D82809"),
            birth_date: Some(Date::constant(1960, 1, 1)),
            ethnic_category: code("A"),
            outcome: (said == Said::Attended).then_some(OutcomeOfAttendance::Discharged),
            ..Facts::default()
        };
        self.told.push(Evidence {
            id: EvidenceId {
                hub: self.hub.parse().unwrap(),
                system: system.into(),
                entry: format!("{}-{}", self.name, self.count).into(),
                part: 0,
            },
            said,
            at: Timestamp(at),
            taken: Timestamp(at + delay),
            references,
            replaces: Vec::new(),
            patient: self.patient(system),
            service: None,
            slot_type: SlotType {
                clinic: format!("{}{clinic}", system.to_uppercase()).into(),
                slot: "".into(),
            },
            owner: None,
            start: start.map(Timestamp),
            day: None,
            facts,
            cleared: Vec::new(),
        });
        self.told.last_mut().unwrap()
    }

    fn name(&self, kind: ReferenceKind, system: &str, suffix: &str) -> Reference {
        Reference { kind, issuer: system.into(), value: format!("{}{suffix}", self.name).into() }
    }

    fn filler(&self, system: &str, suffix: &str) -> Vec<Reference> {
        vec![self.name(ReferenceKind::Filler, system, suffix)]
    }

    /// EMIS finds that two of its records are one patient, and traces them.
    fn merge(&mut self) {
        let retired = Patient {
            local: vec![LocalId { system: "emis".into(), value: format!("E{}-old", self.patient).into() }],
            ..Patient::default()
        };
        let surviving = Patient {
            nhs_number: Some(nhs_number(self.patient)),
            status: Some(NumberStatus::Verified),
            local: vec![LocalId { system: "emis".into(), value: format!("E{}", self.patient).into() }],
        };
        let at = NEW_YEAR + self.random.minutes(0, 300 * 24 * 60);
        // EMIS tells both hubs: who is who, each must know.
        for hub in ["north", "south"] {
            let statement = self.say("emis", Said::PatientMerged(retired.clone()), at, Vec::new(), None);
            statement.id.hub = hub.parse().unwrap();
            statement.patient = surviving.clone();
            statement.slot_type = SlotType::default();
        }
    }

    fn walk_in(&mut self) -> Truth {
        let ticket = vec![self.name(ReferenceKind::Ticket, "hub", "")];
        let came = self.start;
        self.say("hub", Said::WalkInOpened, came, ticket.clone(), None);
        self.say("hub", Said::Called, came + 20 * MINUTE, ticket.clone(), None);
        let (said, state) = if self.random.chance(90) {
            (Said::Attended, State::Attended)
        } else {
            (Said::Left, State::NotSeen)
        };
        self.say("hub", said, came + 40 * MINUTE, ticket, None);
        self.truth(false, state, came)
    }

    fn case(&mut self) -> Truth {
        let case = vec![self.name(ReferenceKind::Case, "adastra", "")];
        let opened = self.start;
        self.say("adastra", Said::UrgentCase(CaseStatus::Open), opened, case.clone(), None);
        let (status, state) = match self.random.below(10) {
            0 => (CaseStatus::Closed, State::ClosedUnseen),
            1 => (CaseStatus::NotReached, State::DidNotAttend),
            _ => (CaseStatus::Consulted, State::Attended),
        };
        self.say("adastra", Said::UrgentCase(status), opened + HOUR, case.clone(), None);
        if state == State::Attended && self.random.chance(50) {
            // The practice is told after the event, with the case's number.
            self.say("emis", Said::UrgentCase(CaseStatus::Consulted), opened + 5 * HOUR, case, None);
        }
        self.truth(false, state, opened)
    }

    fn unbooked(&mut self, said: &Said, kind: ReferenceKind) -> Truth {
        let system = self.sort.owner;
        let name = vec![self.name(kind, system, "")];
        let at = self.start;
        if self.random.chance(5) {
            self.say(system, Said::ResultOnly, at, name, None);
            return Truth { result_only: true, ..self.truth(false, State::Attended, at) };
        }
        self.say(system, said.clone(), at, name.clone(), None);
        if self.random.chance(3) {
            self.say(system, Said::Withdrawn, at + DAY, name, None);
            return self.truth(false, State::Withdrawn, at);
        }
        self.truth(false, State::Attended, at)
    }

    fn appointments(&mut self) -> Vec<Truth> {
        let has_mirror = self.sort.mirror.is_some() && self.mapped && self.random.chance(60);
        let mirror = self.sort.mirror.filter(|_| has_mirror);
        let booked = self.start - 20 * DAY + self.random.minutes(0, 24 * 60);
        match self.random.below(20) {
            0 => self.rebooked(mirror, booked),
            1 => self.two_of_a_day(mirror, booked),
            _ => vec![self.appointment(mirror, booked, "")],
        }
    }

    /// Cancelled, and booked again at the same time: two.
    fn rebooked(&mut self, mirror: Option<&'static str>, booked: i64) -> Vec<Truth> {
        let cancelled = Said::Cancelled(Some(CancelledBy::Patient));
        for (system, late) in [(Some(self.sort.owner), 0), (mirror, 7 * MINUTE)] {
            let Some(system) = system else { continue };
            let name = self.filler(system, "c");
            self.say(system, Said::Booked, booked - DAY + late, name.clone(), Some(self.start));
            self.say(system, cancelled.clone(), booked - HOUR + late, name, Some(self.start));
        }
        let first = self.truth(true, State::CancelledByPatient, self.start);
        vec![first, self.appointment(mirror, booked, "")]
    }

    /// Two at one service on one day: two.
    fn two_of_a_day(&mut self, mirror: Option<&'static str>, booked: i64) -> Vec<Truth> {
        let first = self.appointment(mirror, booked, "a");
        self.start += 3 * HOUR;
        let second = self.appointment(mirror, booked, "b");
        vec![first, second]
    }

    fn appointment(&mut self, mirror: Option<&'static str>, booked: i64, suffix: &str) -> Truth {
        let owner = self.sort.owner;
        let mut name = self.filler(owner, suffix);
        if self.random.chance(30) {
            // Booked at a desk, sometimes at the other hub's: it gives its own name, which the owner repeats.
            name.push(self.name(ReferenceKind::Appointment, "hub", suffix));
            let (start, hub) = (self.start, self.hub);
            let at = booked - MINUTE;
            let is_elsewhere = self.random.chance(30);
            let service = self.service;
            let mapped = self.mapped;
            let statement = self.say("hub", Said::Booked, at, name.clone(), Some(start));
            statement.service = mapped.then(|| format!("s{service}").parse().unwrap());
            if is_elsewhere && mapped {
                statement.id.hub = other(hub).parse().unwrap();
            }
        }
        self.say(owner, Said::Booked, booked, name.clone(), Some(self.start));
        if let Some(mirror) = mirror {
            let late = self.random.minutes(1, 60);
            let name = self.filler(mirror, suffix);
            self.say(mirror, Said::Booked, booked + late, name, Some(self.start));
        }
        self.moved(mirror, booked, &mut name, suffix);
        if self.random.chance(10) {
            self.say(owner, Said::Amended, booked + 2 * DAY, name.clone(), Some(self.start));
        }
        self.outcome(mirror, &name, suffix)
    }

    fn moved(&mut self, mirror: Option<&'static str>, booked: i64, name: &mut Vec<Reference>, suffix: &str) {
        let owner = self.sort.owner;
        // A pair of one day stays on its day.
        let may_move = suffix.is_empty();
        let dice = self.random.below(100);
        if !may_move || 12 <= dice {
            return;
        }
        self.start += DAY * (1 + i64::try_from(self.random.below(4)).unwrap());
        let (start, at) = (self.start, booked + DAY);
        if dice < 4 {
            // Another name: booked anew, and the old one cancelled.
            let old = std::mem::replace(name, self.filler(owner, &format!("{suffix}m")));
            self.say(owner, Said::Moved, at, name.clone(), Some(start)).replaces.clone_from(&old);
            self.say(owner, Said::Cancelled(Some(CancelledBy::Patient)), at + MINUTE, old, None);
        } else {
            self.say(owner, Said::Moved, at, name.clone(), Some(start));
        }
        if let Some(mirror) = mirror {
            let name = self.filler(mirror, suffix);
            self.say(mirror, Said::Moved, at + 30 * MINUTE, name, Some(start));
        }
    }

    fn outcome(&mut self, mirror: Option<&'static str>, name: &[Reference], suffix: &str) -> Truth {
        let (owner, start) = (self.sort.owner, self.start);
        let (said, state, at) = match self.random.below(100) {
            0..4 => return self.truth(true, State::Outstanding, start),
            4..12 => (Said::DidNotAttend, State::DidNotAttend, start + HOUR),
            12..20 => {
                (Said::Cancelled(Some(CancelledBy::Patient)), State::CancelledByPatient, start - 2 * DAY)
            }
            20..25 => {
                (Said::Cancelled(Some(CancelledBy::Provider)), State::CancelledByProvider, start - 3 * DAY)
            }
            25..27 => (Said::Withdrawn, State::Withdrawn, start - DAY),
            27..29 => (Said::Attended, State::NotSeen, start + HOUR),
            29..31 => (Said::ResultOnly, State::Attended, start + HOUR),
            _ => (Said::Attended, State::Attended, start + HOUR),
        };
        let result_only = said == Said::ResultOnly;
        if self.random.chance(3) {
            // Put right later by the same system.
            self.say(owner, Said::DidNotAttend, at - 20 * MINUTE, name.to_vec(), Some(start));
        }
        let visit = self.mapped
            && self.sort.owner == "pas"
            && suffix.is_empty()
            && said == Said::Attended
            && self.random.chance(20);
        if visit {
            self.say(
                owner,
                Said::Arrived,
                start - MINUTE,
                vec![self.name(ReferenceKind::Visit, owner, "v")],
                None,
            );
        }
        let statement = self.say(owner, said.clone(), at, name.to_vec(), Some(start));
        if state == State::NotSeen {
            statement.facts.punctuality = Some(Punctuality::LateNotSeen);
        }
        if let Some(mirror) = mirror {
            // The second system sometimes knows better, and is not believed.
            let is_wrong = self.random.chance(5) && matches!(state, State::Attended | State::DidNotAttend);
            let echo = if is_wrong { Said::DidNotAttend } else { said };
            let name = self.filler(mirror, suffix);
            let statement = self.say(mirror, echo, at + 9 * MINUTE, name, Some(start));
            if state == State::NotSeen {
                statement.facts.punctuality = Some(Punctuality::LateNotSeen);
            }
        }
        Truth { result_only, ..self.truth(true, state, start) }
    }
}

/// In which order and how often statements reach hubs: through outages, twice, late, out of order. Those that come much
/// later are given apart, with the tenth of the year after which they come.
pub fn delivered(seed: u64, chunk: u64, told: Vec<Evidence>) -> (Vec<Evidence>, Vec<Evidence>) {
    let mut random = Random::new(seed ^ 0xDE11, chunk);
    let mut now = Vec::new();
    let mut late = Vec::new();
    for mut statement in told {
        // Each system's link is down for nine hours every ninth day.
        let nth = i64::try_from(statement.id.system.len()).unwrap();
        let hours = statement.taken.0 / HOUR + nth * 31;
        if hours % (9 * 24) < 9 {
            statement.taken = Timestamp(statement.taken.0 + 9 * HOUR);
        }
        if random.chance(5) {
            let again = Evidence { taken: Timestamp(statement.taken.0 + 2 * DAY), ..statement.clone() };
            if random.chance(50) { now.push(again) } else { late.push(again) }
        }
        if random.chance(1) {
            statement.taken = Timestamp(statement.taken.0 + 40 * DAY);
            late.push(statement);
        } else {
            now.push(statement);
        }
    }
    now.sort_by_cached_key(|statement| {
        (statement.taken.0 + random.minutes(0, 12 * 60), statement.id.entry.clone())
    });
    (now, late)
}

/// What happened, counted.
pub fn counted<'a>(truths: impl IntoIterator<Item = &'a Truth>) -> BTreeMap<Truth, i64> {
    let mut counts = BTreeMap::new();
    for truth in truths {
        *counts.entry(truth.clone()).or_default() += 1;
    }
    counts
}

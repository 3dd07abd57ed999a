//! A desk in memory with a day's worth of invented people, for the tests of its pages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::{
    domain::{
        actor::Practitioner,
        booking::{
            Answer, Appointment, AppointmentId, Attendance, Board, Cancellation, Change, Channel, Deed, Done,
            Needs, Offer, OfferKey, Person, Plan, PlanWish, Promise, Refused, RequestId, Service, SlotId,
            SlotSearch, SlotsFound, Standing, SystemAnswer, Task, TaskKind, Ticket, TicketState, VisitPart,
            WaitingPerson, WalkIn, WalkInCard, WhyProvisional,
        },
        ids::HubId,
        nhs_number::NhsNumber,
        slot::{Clinician, Place},
        time::Timestamp,
    },
    flow::reception::{Answering, PeopleFound, PersonFound, PersonSearch, Reception},
};

/// Monday 23 November 2026, 11:05 in London.
pub(crate) const NOW: Timestamp = Timestamp(1_795_431_900_000);

const MINUTE: i64 = 60_000;

/// The desk.
pub(crate) struct FakeDesk {
    pub state: Mutex<State>,
}

/// What it holds, and what was done.
#[derive(Default)]
pub(crate) struct State {
    pub appointments: Vec<Appointment>,
    pub tasks: Vec<Task>,
    pub waiting: Vec<WaitingPerson>,
    pub tickets: Vec<Ticket>,
    pub offers: Vec<Offer>,
    pub held: String,
    /// Slots that somebody else is given first.
    pub taken: Vec<OfferKey>,
    /// What the next deed is refused with.
    pub refuse: Option<Refused>,
    /// What every deed waits for.
    pub hold: Option<Arc<Notify>>,
    /// Every deed that was carried out.
    pub deeds: Vec<Deed>,
    /// Who did the last.
    pub by: String,
    pub answers: HashMap<RequestId, Answer>,
    /// What slots were looked for last.
    pub search: Option<SlotSearch>,
}

impl FakeDesk {
    pub fn new() -> Self {
        let offers = found().offers;
        let state = State {
            appointments: appointments(),
            tasks: tasks(&offers),
            waiting: vec![waiting_one()],
            tickets: tickets(),
            offers,
            ..State::default()
        };
        Self { state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Reception for FakeDesk {
    fn services(&self) -> Vec<Service> {
        services()
    }

    fn people<'a>(&'a self, search: &'a PersonSearch) -> Answering<'a, Result<PeopleFound, Refused>> {
        let fits = |found: &PersonFound| {
            let name = search.name.to_lowercase();
            search.nhs_number.is_none_or(|number| found.person.nhs_number == Some(number))
                && name.split_whitespace().all(|word| found.person.family_name.to_lowercase().contains(word))
        };
        let people = people_found().into_iter().filter(fits).collect();
        let more = search.name.eq_ignore_ascii_case(COMMON_NAME);
        Box::pin(async move { Ok(PeopleFound { people, more }) })
    }

    fn slots<'a>(
        &'a self,
        _: &'a Practitioner,
        search: &'a SlotSearch,
    ) -> Answering<'a, Result<SlotsFound, Refused>> {
        let mut state = self.state();
        state.search = Some(search.clone());
        let wanted = |offer: &&Offer| search.service.as_ref().is_none_or(|service| offer.service == *service);
        let offers = state.offers.iter().filter(wanted).cloned().collect();
        Box::pin(async move { Ok(SlotsFound { offers, ..found() }) })
    }

    fn plans<'a>(
        &'a self,
        _: &'a Practitioner,
        wish: &'a PlanWish,
    ) -> Answering<'a, Result<Vec<Plan>, Refused>> {
        let state = self.state();
        let first = |search: &SlotSearch| {
            state.offers.iter().find(|offer| search.service.as_ref() == Some(&offer.service)).cloned()
        };
        let mut parts: Vec<Offer> = wish.services.iter().filter_map(first).collect();
        parts.sort_by_key(|part| part.start);
        let plans = if parts.len() == wish.services.len() {
            vec![Plan { parts, idle_minutes: 25 }]
        } else {
            Vec::new()
        };
        Box::pin(async move { Ok(plans) })
    }

    fn perform<'a>(
        &'a self,
        who: &'a Practitioner,
        request: RequestId,
        deed: Deed,
    ) -> Answering<'a, Result<Answer, Refused>> {
        let mut state = self.state();
        let result = match (state.answers.get(&request).cloned(), state.refuse.take()) {
            (Some(answer), _) => Ok(answer),
            (None, Some(refused)) => Err(refused),
            (None, None) => {
                let answer = state.carry_out(request, &deed);
                state.by = format!("{} {} {}", who.id, who.given_name, who.family_name);
                state.deeds.push(deed);
                state.answers.insert(request, answer.clone());
                Ok(answer)
            }
        };
        let hold = state.hold.clone();
        Box::pin(async move {
            if let Some(hold) = hold {
                hold.notified().await;
            }
            result
        })
    }

    fn board(&self, from: Timestamp, until: Timestamp) -> Board {
        let state = self.state();
        let of_the_day = |one: &&Appointment| from <= one.start && one.start < until;
        let provisional = |one: &&Appointment| matches!(one.standing, Standing::Provisional { .. });
        let mut appointments: Vec<Appointment> =
            state.appointments.iter().filter(of_the_day).cloned().collect();
        appointments.sort_by_key(|one| one.start);
        Board {
            appointments,
            tasks: state.tasks.clone(),
            provisional: state.appointments.iter().filter(provisional).cloned().collect(),
            held: state.held.clone(),
        }
    }

    fn appointment(&self, id: AppointmentId) -> Option<Appointment> {
        self.state().appointments.iter().find(|one| one.id == id).cloned()
    }

    fn appointments_of(&self, nhs_number: NhsNumber) -> Vec<Appointment> {
        let state = self.state();
        state.appointments.iter().filter(|one| one.person.nhs_number == Some(nhs_number)).cloned().collect()
    }

    fn waiting(&self) -> Vec<WaitingPerson> {
        self.state().waiting.clone()
    }

    fn tickets(&self) -> Vec<Ticket> {
        self.state().tickets.clone()
    }

    fn estimated_wait_minutes(&self, service: &HubId) -> u32 {
        let state = self.state();
        let waiting = state
            .tickets
            .iter()
            .filter(|ticket| ticket.state == TicketState::Waiting && ticket.walk_in.service == *service);
        u32::try_from(waiting.count()).unwrap() * 12
    }

    fn now(&self) -> Timestamp {
        NOW
    }
}

impl State {
    fn carry_out(&mut self, request: RequestId, deed: &Deed) -> Answer {
        let done = match deed {
            Deed::Book(part) => self.book(request, std::slice::from_ref(part)),
            Deed::BookVisit(parts) => self.book(request, parts),
            Deed::Move { appointment, keys } => self.reschedule(request, *appointment, keys),
            Deed::Amend { appointment, description, comment, needs } => self.change(*appointment, |one| {
                one.description.clone_from(description);
                one.comment.clone_from(comment);
                one.needs = needs.clone();
            }),
            Deed::Cancel { appointment, by, reason } => self.change(*appointment, |one| {
                let reason = reason.clone();
                let cancelled = Cancellation { by: *by, reason, at: NOW, told: true, reference: None };
                one.standing = Standing::Cancelled(cancelled);
            }),
            Deed::Mark { appointment, attendance } => {
                self.change(*appointment, |one| one.attendance = *attendance)
            }
            Deed::TryAgain { appointment } => self.change(*appointment, |one| one.standing = Standing::Firm),
            Deed::Wait(person) => {
                let person = WaitingPerson { since: NOW, id: AppointmentId(request.0), ..person.clone() };
                self.waiting.push(person.clone());
                Done::Waiting(Box::new(person))
            }
            Deed::StopWaiting { waiting, .. } => {
                let place = self.waiting.iter().position(|one| one.id == *waiting).unwrap();
                Done::Waiting(Box::new(self.waiting.remove(place)))
            }
            Deed::TakeTicket(walk_in) => {
                let ticket = ticket(90 + self.tickets.len(), walk_in.clone(), TicketState::Waiting);
                self.tickets.push(ticket.clone());
                Done::Ticket(Box::new(ticket))
            }
            Deed::CallNext { room, .. } => {
                match self.tickets.iter_mut().find(|one| one.state == TicketState::Waiting) {
                    None => Done::NobodyWaits,
                    Some(next) => {
                        (next.state, next.room, next.called) = (TicketState::Called, room.clone(), Some(NOW));
                        Done::Ticket(Box::new(next.clone()))
                    }
                }
            }
            Deed::MarkTicket { ticket, state } => {
                let known = self.tickets.iter_mut().find(|one| one.id == *ticket).unwrap();
                known.state = *state;
                Done::Ticket(Box::new(known.clone()))
            }
            Deed::FinishTask { task, .. } => {
                self.tasks.retain(|one| one.id != *task);
                Done::TaskDone
            }
        };
        let next = if done == Done::Taken { self.offers[..3].to_vec() } else { Vec::new() };
        Answer { done, next }
    }

    fn book(&mut self, request: RequestId, parts: &[VisitPart]) -> Done {
        if parts.iter().flat_map(|part| &part.keys).any(|key| self.taken.contains(key)) {
            self.offers.retain(|offer| !self.taken.contains(&offer.key));
            return Done::Taken;
        }
        let mut made = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let offers: Vec<&Offer> = self.offers.iter().filter(|one| part.keys.contains(&one.key)).collect();
            let mut one = appointment(0, part.person.clone(), offers[0]);
            one.id = AppointmentId(request.0 + u128::try_from(number).unwrap());
            one.end = offers[offers.len() - 1].end;
            one.keys = part.keys.clone();
            one.description = part.description.clone();
            one.comment = part.comment.clone();
            one.needs = part.needs.clone();
            if let Promise::Provisional(why) = offers[0].promise {
                one.standing = Standing::Provisional { why, attempts: 1, retry: later(10) };
            }
            made.push(one);
        }
        self.appointments.extend(made.clone());
        Done::Appointments(made)
    }

    fn reschedule(&mut self, request: RequestId, old: AppointmentId, keys: &[OfferKey]) -> Done {
        let known = self.appointments.iter().find(|one| one.id == old).unwrap().clone();
        let part = VisitPart {
            person: known.person.clone(),
            keys: keys.to_vec(),
            description: known.description.clone(),
            comment: known.comment.clone(),
            needs: known.needs,
        };
        self.book(request, &[part])
    }

    fn change(&mut self, id: AppointmentId, change: impl FnOnce(&mut Appointment)) -> Done {
        let one = self.appointments.iter_mut().find(|one| one.id == id).unwrap();
        change(one);
        one.changes.push(Change { at: NOW, by: "amy".to_owned(), what: "Changed".to_owned() });
        Done::Appointments(vec![one.clone()])
    }
}

fn later(minutes: i64) -> Timestamp {
    Timestamp(NOW.0 + minutes * MINUTE)
}

fn id(text: &str) -> HubId {
    text.parse().unwrap()
}

/// What can be booked, by name.
pub(crate) fn services() -> Vec<Service> {
    let service = |name: &str, system: &str, walk_in: Option<WalkInCard>| Service {
        id: id(&name.to_lowercase().replace(' ', "-")),
        name: name.to_owned(),
        words: Vec::new(),
        hub: id("westminster-south"),
        system: system.to_owned(),
        organisation: "Soho Community Trust".to_owned(),
        telephone: "020 7946 0100".to_owned(),
        walk_in,
    };
    let card = |letter, minutes| Some(WalkInCard { area: id("ground-floor"), letter, minutes });
    vec![
        service("Dermatology", "RiO", None),
        service("Phlebotomy", "hub", card('B', 6)),
        service("Podiatry", "hub", None),
        service("Urgent care", "hub", card('U', 12)),
    ]
}

/// An invented person: `number` is the NHS number.
pub(crate) fn person(
    number: &str,
    family: &str,
    given: &str,
    title: &str,
    born: &str,
    gender: &str,
) -> Person {
    Person {
        nhs_number: NhsNumber::parse(number).ok(),
        family_name: family.to_owned(),
        given_names: given.to_owned(),
        title: title.to_owned(),
        birth_date: born.to_owned(),
        gender: gender.to_owned(),
        address: "12 Example Street, London".to_owned(),
        postcode: "W1D 4QX".to_owned(),
        telephone: "02079460018".to_owned(),
        practice: "F84004".to_owned(),
    }
}

pub(crate) fn grace() -> Person {
    person("9990000018", "Okafor", "Grace", "Mrs", "1950-11-18", "female")
}

/// So many have this name that the fake desk does not find them all.
const COMMON_NAME: &str = "okafor";

fn people() -> [Person; 5] {
    [
        grace(),
        person("9990000026", "Begum", "Nasreen", "Ms", "1984-02-03", "female"),
        person("9990000034", "Fitzgerald-Montgomery", "Christopher James", "Mr", "1961-07-30", "male"),
        person("9990000042", "Nowak", "Zofia", "", "2019-05-12", "female"),
        Person { nhs_number: None, ..person("", "Okafor", "Daniel", "Mr", "1979-01-09", "male") },
    ]
}

fn people_found() -> Vec<PersonFound> {
    let found = |(index, person): (usize, Person)| PersonFound {
        systems: if index == 4 { vec!["desk".to_owned()] } else { vec!["EMIS".to_owned(), "RiO".to_owned()] },
        verified: index < 3,
        exact: index != 4,
        person,
    };
    people().into_iter().enumerate().map(found).collect()
}

fn offer(service: usize, minutes: i64, number: u16) -> Offer {
    let service = services()[service].clone();
    let start = later(minutes);
    let silent = service.system == "RiO";
    let key = if silent {
        OfferKey::System {
            system: "RiO".to_owned(),
            schedule: "derm-1".to_owned(),
            slot: format!("s{number}"),
        }
    } else {
        OfferKey::Token(SlotId { home: service.hub.clone(), session: service.id.clone(), start, place: 1 })
    };
    Offer {
        key,
        service: service.id,
        service_name: service.name,
        session: "Weekday clinic".to_owned(),
        start,
        end: Timestamp(start.0 + 20 * MINUTE),
        channel: Channel::InPerson,
        clinician: Some(Clinician {
            id: "c1".to_owned(),
            name: "Ms R Adeyemi".to_owned(),
            gender: "female".to_owned(),
            role: "Clinician".to_owned(),
        }),
        languages: vec!["Yoruba".to_owned()],
        place: Place {
            id: "p1".to_owned(),
            name: "Soho polyclinic".to_owned(),
            address: "1 Frith Street, London".to_owned(),
            organisation: "Soho Community Trust".to_owned(),
        },
        room: "Room 4".to_owned(),
        step_free: Some(true),
        organisation: service.organisation,
        telephone: service.telephone,
        system: service.system,
        seen: if silent { later(-125) } else { NOW },
        promise: if silent { Promise::Provisional(WhyProvisional::SystemSilent) } else { Promise::Firm },
        free: 1,
    }
}

/// What a search finds: best first, not in the order of time; pairs of podiatry, and a silent system.
pub(crate) fn found() -> SlotsFound {
    let day = 24 * 60;
    let offers = vec![
        offer(2, 115, 1),
        offer(2, 135, 2),
        offer(1, 55, 3),
        offer(2, day + 60, 4),
        offer(2, day + 80, 5),
        offer(2, day + 180, 6),
        offer(1, day + 40, 7),
        offer(0, 2 * day + 30, 8),
        offer(2, 3 * day, 9),
    ];
    let system = |system: &str, seen: Timestamp, trouble: &str| SystemAnswer {
        system: system.to_owned(),
        seen: Some(seen),
        trouble: trouble.to_owned(),
    };
    let systems = vec![system("hub", NOW, ""), system("RiO", later(-125), "RiO does not answer")];
    SlotsFound { offers, more: false, systems }
}

fn appointment(number: u128, person: Person, offer: &Offer) -> Appointment {
    Appointment {
        id: AppointmentId(number),
        person,
        service: offer.service.clone(),
        service_name: offer.service_name.clone(),
        keys: vec![offer.key.clone()],
        system: offer.system.clone(),
        hub: id("westminster-south"),
        start: offer.start,
        end: offer.end,
        channel: offer.channel,
        clinician: offer.clinician.clone(),
        place: offer.place.clone(),
        room: offer.room.clone(),
        organisation: offer.organisation.clone(),
        telephone: offer.telephone.clone(),
        description: "First appointment".to_owned(),
        comment: String::new(),
        needs: Needs::default(),
        standing: Standing::Firm,
        attendance: Attendance::Expected,
        made: later(-3 * 24 * 60),
        made_by: "amy".to_owned(),
        made_at: id("westminster-south"),
        visit: None,
        replaces: None,
        changes: vec![Change { at: later(-3 * 24 * 60), by: "amy".to_owned(), what: "Booked".to_owned() }],
    }
}

/// A day's appointments, in every state; 1 is booked and has begun, 2 is to come.
fn appointments() -> Vec<Appointment> {
    let [grace, nasreen, christopher, zofia, daniel] = people();
    let at = |number, person: &Person, service, minutes| {
        appointment(number, person.clone(), &offer(service, minutes, u16::try_from(number).unwrap() + 100))
    };
    let mut day = vec![
        at(1, &grace, 2, -5),
        at(2, &nasreen, 2, 40),
        at(3, &christopher, 1, -35),
        at(4, &zofia, 1, 10),
        at(5, &daniel, 3, -65),
        at(6, &grace, 0, 2 * 24 * 60),
        at(7, &nasreen, 3, 100),
        at(8, &zofia, 2, 20),
    ];
    day[0].needs = Needs { interpreter: "Igbo".to_owned(), transport: true, ..Needs::default() };
    day[2].attendance = Attendance::Called;
    day[3].attendance = Attendance::Arrived;
    day[3].needs.adjustments = "Quiet room, and a parent in the room".to_owned();
    day[4].attendance = Attendance::Done;
    day[5].standing =
        Standing::Provisional { why: WhyProvisional::SystemSilent, attempts: 3, retry: later(7) };
    day[6].standing = Standing::Cancelled(Cancellation {
        by: crate::domain::booking::CancelledBy::Patient,
        reason: "Cannot come".to_owned(),
        at: later(-60),
        told: true,
        reference: None,
    });
    day[7].room = "Room 5".to_owned();
    day
}

fn tasks(offers: &[Offer]) -> Vec<Task> {
    let [grace, nasreen, ..] = people();
    let task = |number, kind, person: Person, words: &str, appointment| Task {
        id: AppointmentId(number),
        since: later(-42),
        kind,
        person,
        words: words.to_owned(),
        appointment: Some(AppointmentId(appointment)),
        freed: Vec::new(),
    };
    let mut tasks = vec![
        task(
            21,
            TaskKind::CallPatient,
            grace,
            "The booking could not be had: the time was given to somebody else.",
            6,
        ),
        task(22, TaskKind::Repair, nasreen.clone(), "A move was half done: both appointments stand.", 2),
        task(
            23,
            TaskKind::OfferFreed,
            nasreen,
            "A slot for Podiatry is free again. Number 1 of those who wait.",
            31,
        ),
    ];
    tasks[2].freed = vec![offers[0].key.clone()];
    tasks
}

fn waiting_one() -> WaitingPerson {
    let [_, nasreen, ..] = people();
    WaitingPerson {
        id: AppointmentId(31),
        person: nasreen,
        wish: SlotSearch {
            service: Some(id("podiatry")),
            from: later(-11 * 60),
            until: later(40 * 24 * 60),
            gender: "female".to_owned(),
            ..SlotSearch::default()
        },
        priority: 2,
        since: later(-9 * 24 * 60),
        short_notice: true,
        by: "amy".to_owned(),
    }
}

fn ticket(number: usize, walk_in: WalkIn, state: TicketState) -> Ticket {
    Ticket {
        id: AppointmentId(u128::try_from(number).unwrap() + 40),
        number: format!("U{number}"),
        walk_in,
        area: id("ground-floor"),
        taken: later(-30 + i64::try_from(number).unwrap()),
        state,
        room: String::new(),
        called: None,
    }
}

/// 41 is in, 42 called to room 2, 43 and 44 wait.
fn tickets() -> Vec<Ticket> {
    let [grace, _, christopher, zofia, _] = people();
    let walk_in = |person| WalkIn { person, service: id("urgent-care"), needs: Needs::default() };
    let mut tickets = vec![
        ticket(1, walk_in(grace), TicketState::In),
        ticket(2, walk_in(christopher), TicketState::Called),
        ticket(3, walk_in(zofia), TicketState::Waiting),
        ticket(4, walk_in(Person::default()), TicketState::Waiting),
    ];
    tickets[2].walk_in.needs.interpreter = "Polish".to_owned();
    for (ticket, room) in tickets.iter_mut().zip(["Room 1", "Room 2"]) {
        (ticket.room, ticket.called) = (room.to_owned(), Some(later(-2)));
    }
    tickets
}

//! The desk's one door: what pages, BaRS and commands ask for, answered from what the desk knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    booking::{
        act::{Act, Asked},
        desk::{NameUsed, SOMEBODY_WAS_FIRST, Situation, Work},
        planner, search,
    },
    domain::{
        actor::Practitioner,
        booking::{
            Answer, Appointment, AppointmentId, Attendance, Board, Deed, Done, Offer, OfferKey, Plan,
            PlanWish, Refused, RequestId, Service, SlotId, SlotSearch, SlotsFound, Standing, Ticket,
            TicketState, WaitingPerson,
        },
        ids::HubId,
        nhs_number::NhsNumber,
        slot::SEARCH_MAX,
        time::Timestamp,
    },
    flow::reception::{Answering, PeopleFound, PersonSearch, Reception},
};

use super::{
    BookingDesk,
    ahead::{deed_digest, seen},
    journal::NotCommitted,
};

/// How long a deed waits for a system before it says that the booking is provisional.
const PATIENCE: Duration = Duration::from_secs(10);

/// The desk as pages hold it: a deed goes on even if whoever asked has gone.
#[derive(Clone, Debug)]
pub struct FrontDesk(pub Arc<BookingDesk>);

impl Reception for FrontDesk {
    fn services(&self) -> Vec<Service> {
        self.0.all_services()
    }

    fn people<'a>(&'a self, search: &'a PersonSearch) -> Answering<'a, Result<PeopleFound, Refused>> {
        let (desk, search) = (Arc::clone(&self.0), search.clone());
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(move || desk.find_people(&search)).await;
            found.unwrap_or_else(|_| Err(broken()))
        })
    }

    fn slots<'a>(
        &'a self,
        who: &'a Practitioner,
        search: &'a SlotSearch,
    ) -> Answering<'a, Result<SlotsFound, Refused>> {
        Box::pin(self.0.find_slots(who, search))
    }

    fn plans<'a>(
        &'a self,
        who: &'a Practitioner,
        wish: &'a PlanWish,
    ) -> Answering<'a, Result<Vec<Plan>, Refused>> {
        Box::pin(async move {
            let mut offers = Vec::with_capacity(wish.services.len());
            for search in &wish.services {
                offers.push(self.0.find_slots(who, search).await?.offers);
            }
            Ok(planner::plan(wish, &offers, self.now()))
        })
    }

    fn perform<'a>(
        &'a self,
        who: &'a Practitioner,
        request: RequestId,
        deed: Deed,
    ) -> Answering<'a, Result<Answer, Refused>> {
        let (desk, who) = (Arc::clone(&self.0), who.clone());
        Box::pin(async move {
            let done = tokio::spawn(async move { desk.perform(&who, request, &deed).await });
            done.await.unwrap_or_else(|_| Err(broken()))
        })
    }

    fn board(&self, from: Timestamp, until: Timestamp) -> Board {
        let desk = self.0.desk();
        let mut board = Board::default();
        for appointment in desk.appointments() {
            if from <= appointment.start && appointment.start < until && desk.is_here(appointment) {
                board.appointments.push(appointment.clone());
            }
            if matches!(appointment.standing, Standing::Provisional { .. }) {
                board.provisional.push(appointment.clone());
            }
        }
        board.appointments.sort_by_key(|appointment| (appointment.start, appointment.id));
        board.provisional.sort_by_key(|appointment| (appointment.made, appointment.id));
        board.tasks = desk.tasks().into_iter().cloned().collect();
        board.held = desk.ledger().may_sell().err().map(|held| held.to_string()).unwrap_or_default();
        board
    }

    fn appointment(&self, id: AppointmentId) -> Option<Appointment> {
        self.0.desk().appointment(id).cloned()
    }

    fn appointments_of(&self, nhs_number: NhsNumber) -> Vec<Appointment> {
        let (desk, now) = (self.0.desk(), self.now());
        let theirs = desk
            .appointments()
            .filter(|appointment| appointment.person.nhs_number == Some(nhs_number) && now < appointment.end);
        let mut theirs: Vec<_> = theirs.cloned().collect();
        theirs.sort_by_key(|appointment| (appointment.start, appointment.id));
        theirs
    }

    fn waiting(&self) -> Vec<WaitingPerson> {
        self.0.desk().waiting().into_iter().cloned().collect()
    }

    fn tickets(&self) -> Vec<Ticket> {
        let today = self.now().0 - 20 * 60 * 60 * 1000;
        let desk = self.0.desk();
        desk.tickets().into_iter().filter(|ticket| today < ticket.taken.0).cloned().collect()
    }

    fn estimated_wait_minutes(&self, service: &HubId) -> u32 {
        let desk = self.0.desk();
        let services = desk.catalogues().get(desk.hub()).into_iter().flat_map(|known| &known.services);
        let card =
            services.into_iter().find(|known| known.id == *service).and_then(|known| known.walk_in.clone());
        let minutes = card.map_or(0, |card| u32::from(card.minutes));
        let ahead = desk
            .tickets()
            .into_iter()
            .filter(|ticket| ticket.walk_in.service == *service && ticket.state == TicketState::Waiting);
        minutes.saturating_mul(u32::try_from(ahead.count()).unwrap_or(u32::MAX))
    }

    fn now(&self) -> Timestamp {
        self.0.hub.now()
    }
}

impl BookingDesk {
    async fn find_slots(&self, who: &Practitioner, search: &SlotSearch) -> Result<SlotsFound, Refused> {
        let now = self.hub.now();
        if search.until <= search.from || SEARCH_MAX < search.until.since(search.from) {
            let words = "Look for a time of at most two weeks.".to_owned();
            return Err(Refused { code: "window", words, field: "until" });
        }
        let who = self.requester(who);
        let (others, systems) = self.practices.offers(&who, search, now).await;
        let desk = self.desk();
        let free = |slot: &SlotId, own_book| Some((desk.promise(slot, own_book)?, seen(&desk, slot, now)));
        let mut found = search::find(search, desk.catalogues(), &free, &others, now);
        found.systems.extend(systems);
        Ok(found)
    }

    /// Decides, makes durable, takes in, and asks a system at once if that is what is missing.
    async fn perform(
        self: &Arc<Self>,
        who: &Practitioner,
        id: RequestId,
        deed: &Deed,
    ) -> Result<Answer, Refused> {
        let request = Asked { id, digest: deed_digest(deed) };
        if let Some(done) = self.done_before(&request)? {
            return Ok(Answer { done, next: Vec::new() });
        }
        let act = {
            let mut writer = self.writer.lock().await;
            // Another attempt of the same may have been waiting here first.
            if let Some(done) = self.done_before(&request)? {
                return Ok(Answer { done, next: Vec::new() });
            }
            let act = self.decide(who, request, deed)?;
            if act.said.is_empty() {
                drop(writer);
                let next = self.next_three(who, deed).await;
                return Ok(Answer { done: Done::Taken, next });
            }
            self.commit(&mut writer, act).await.map_err(not_committed)?
        };
        tracing::info!(by = who.id, deed = name_of(deed), "done at the desk");
        self.ask_at_once(&act).await;
        let done = self.done_before(&request)?.unwrap_or(Done::TaskDone);
        if let Done::Appointments(appointments) = &done
            && appointments
                .iter()
                .any(|one| matches!(&one.standing, Standing::Failed { why } if why == SOMEBODY_WAS_FIRST))
        {
            let next = self.next_three(who, deed).await;
            return Ok(Answer { done: Done::Taken, next });
        }
        Ok(Answer { done, next: Vec::new() })
    }

    fn decide(&self, who: &Practitioner, request: Asked, deed: &Deed) -> Result<Act, Refused> {
        let desk = self.desk();
        let resolve = self.resolver(&desk);
        let own = desk.hub().clone();
        let situation = Situation { now: self.hub.now(), by: &who.id, desk: &own, resolve: &resolve };
        desk.decide(situation, request, deed)
    }

    fn done_before(&self, request: &Asked) -> Result<Option<Done>, Refused> {
        self.desk().remembered(request).map_err(|NameUsed| Refused {
            code: "request-used",
            words: "This form was sent before with something else in it. Begin again.".to_owned(),
            field: "",
        })
    }

    /// What the act leaves to be asked of systems, while whoever asked waits: then they need not look again.
    async fn ask_at_once(self: &Arc<Self>, act: &Act) {
        let about: Vec<AppointmentId> = self.desk().about(act);
        let due = self.due();
        let due: Vec<Work> = due.into_iter().filter(|work| about.contains(&work.appointment.id)).collect();
        let waits = Arc::new(AtomicBool::new(true));
        let mut asking = JoinSet::new();
        for work in due {
            if self.under_way().insert(work.appointment.id) {
                let (desk, waits) = (Arc::clone(self), Arc::clone(&waits));
                asking.spawn(async move { desk.do_one(&work, &waits).await });
            }
        }
        let all = async { while asking.join_next().await.is_some() {} };
        if timeout(PATIENCE, all).await.is_err() {
            // Whoever asked is told that it is provisional; what comes of it becomes a task if it must.
            waits.store(false, Ordering::SeqCst);
            asking.detach_all();
        }
    }

    /// After a lost race: the next that suit, for the same service.
    async fn next_three(&self, who: &Practitioner, deed: &Deed) -> Vec<Offer> {
        let keys: &[OfferKey] = match deed {
            Deed::Book(part) => &part.keys,
            Deed::Move { keys, .. } => keys,
            _ => return Vec::new(),
        };
        let lost = {
            let desk = self.desk();
            let resolve = self.resolver(&desk);
            keys.first().and_then(resolve)
        };
        let now = self.hub.now();
        let Some(lost) = lost else { return Vec::new() };
        let search = SlotSearch {
            service: Some(lost.service.clone()),
            from: now,
            until: now.plus(SEARCH_MAX),
            ..SlotSearch::default()
        };
        let found = self.find_slots(who, &search).await.unwrap_or_default();
        search::next_three(&lost, &found.offers)
    }
}

fn not_committed(error: NotCommitted) -> Refused {
    let words = match error {
        NotCommitted::Full => {
            "Nothing was booked: the hub's disk has no room for it. Call the IT team, and book on paper."
        }
        NotCommitted::Failed => {
            "Nothing was booked: the hub's disk has failed. Call the IT team, and book on paper."
        }
        NotCommitted::TooLong => "Nothing was booked: there are too many words.",
        NotCommitted::NotBegun => {
            "Nothing was done: this hub is new, and waits for the centre to say whether it had an earlier box. Book on \
             paper until then."
        }
    };
    Refused { code: "not-durable", words: words.to_owned(), field: "" }
}

fn broken() -> Refused {
    let words = "The hub failed to do this. Look whether it was done before you try again.".to_owned();
    Refused { code: "broken", words, field: "" }
}

/// A deed's name in the log.
const fn name_of(deed: &Deed) -> &'static str {
    match deed {
        Deed::Book(_) => "book",
        Deed::BookVisit(_) => "book-visit",
        Deed::Move { .. } => "move",
        Deed::Amend { .. } => "amend",
        Deed::Cancel { .. } => "cancel",
        Deed::Mark { attendance: Attendance::Arrived, .. } => "mark-arrived",
        Deed::Mark { .. } => "mark",
        Deed::Wait(_) => "wait",
        Deed::StopWaiting { .. } => "stop-waiting",
        Deed::TakeTicket(_) => "take-ticket",
        Deed::CallNext { .. } => "call-next",
        Deed::MarkTicket { .. } => "mark-ticket",
        Deed::FinishTask { .. } => "finish-task",
        Deed::TryAgain { .. } => "try-again",
    }
}

//! What the desk does by itself: asks systems to book and to cancel, answers other hubs, and follows what the centre says.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    booking::{
        act::{Act, ActPlace, Asked, Said},
        centre::CentreDesk,
        desk::{Outcome, SOMEBODY_WAS_FIRST, Situation, Work, WorkKind},
    },
    domain::{
        actor::{Device, Practitioner, Reason, Requester},
        booking::{Appointment, RequestId, WhyProvisional},
    },
    flow::ask::{Outcome as Acted, Refusal},
};

use super::{BookingDesk, Told as Heard, ahead::deed_digest, journal, listen::Listener, tell};

/// How often to look for what is due when nothing has happened.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often what the centre says is looked at: changes reach a desk within a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// How long one system may take over one appointment.
const PATIENCE: Duration = Duration::from_secs(40);
/// Systems asked at once.
const AT_ONCE: usize = 8;
static NOBODY_WAITS: AtomicBool = AtomicBool::new(false);
/// How often allotments are looked at: days are added at the far end, and sell-by hours pass.
const ALLOT_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often what is over is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

impl BookingDesk {
    /// Drives the desk until it is told to stop. `heard` is what was said before the start and may need an answer.
    pub async fn run(self: Arc<Self>, heard: Vec<Heard>, stop: watch::Receiver<bool>) {
        self.say_heard();
        self.ask().await;
        self.begin(self.first).await;
        self.publish().await;
        for heard in heard {
            self.answer(&heard).await;
        }
        // A system that is slow to answer holds up nothing of what other hubs say.
        let (following, working) = (self.follow_on(stop.clone()), self.work_on(stop.clone()));
        tokio::join!(following, working, self.reread_on(stop));
        let mut writer = self.writer.lock().await;
        self.write_out(&mut writer).await;
    }

    async fn follow_on(&self, mut stop: watch::Receiver<bool>) {
        let mut forgotten = tokio::time::Instant::now();
        let mut allotted: Option<tokio::time::Instant> = None;
        let listened = self.writer.lock().await.listened;
        let mut listener = Listener::new(self, listened);
        loop {
            self.follow().await;
            self.listen(&mut listener).await;
            self.answer_hubs().await;
            if allotted.is_none_or(|at| ALLOT_EVERY <= at.elapsed()) {
                self.allot().await;
                allotted = Some(tokio::time::Instant::now());
            }
            if FORGET_EVERY <= forgotten.elapsed() {
                forgotten = tokio::time::Instant::now();
                let mut writer = self.writer.lock().await;
                let now = self.hub.now();
                self.desk.write().unwrap_or_else(PoisonError::into_inner).forget(now);
                // What was heard need not be read again, and the journal may let go of it.
                self.write_out(&mut writer).await;
            }
            tokio::select! {
                () = sleep(FOLLOW_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn work_on(&self, mut stop: watch::Receiver<bool>) {
        loop {
            self.work().await;
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Takes in what the centre has said since, and answers it.
    async fn follow(&self) {
        loop {
            let mut heard = Vec::new();
            {
                let mut writer = self.writer.lock().await;
                let chunk = match writer.follower.read(1 << 20, 1_000) {
                    Ok(chunk) => chunk,
                    Err(error) => {
                        tracing::warn!(%error, "the journal cannot be followed; trying again");
                        return;
                    }
                };
                if chunk.records.is_empty() && chunk.damaged_bytes == 0 {
                    return;
                }
                for down in chunk.records.iter().filter_map(journal::down_in) {
                    heard.extend(self.hear(&down));
                }
                writer.followed = chunk.next;
            }
            for heard in &heard {
                self.answer(heard).await;
            }
        }
    }

    /// Does what something heard asks for. Done again after a restart, it does no harm.
    async fn answer(&self, heard: &Heard) {
        let (own, centre) = (self.desk().hub().clone(), heard.from.as_str() == CentreDesk::NAME);
        for said in &heard.act.said {
            match said {
                Said::Grant { to, slots } if centre && *to == own => {
                    let mut writer = self.writer.lock().await;
                    let granted = self.desk().ledger().grant(slots);
                    if let Some(event) = granted {
                        self.put_down(&mut writer, vec![Said::Token(event)]).await;
                    }
                }
                Said::NotGranted { to, keys } if centre && *to == own => {
                    self.settle(|desk, situation| desk.not_granted(situation, keys)).await;
                }
                Said::Known { of, life, incarnation } if centre && *of == own => {
                    self.answered(*life, *incarnation).await;
                    self.publish().await;
                }
                Said::Declined { request, words } if self.desk().has_asked(*request) => {
                    self.settle(|desk, situation| desk.declined(situation, *request, words)).await;
                }
                _ => {}
            }
        }
    }

    /// Lets others have what is allotted to them, and gives back what nobody has bought.
    async fn allot(&self) {
        let mut writer = self.writer.lock().await;
        // What a system has given to somebody is not let go of.
        let claimed = self.desk().claims_due(self.hub.now());
        if !claimed.is_empty() {
            self.put_down(&mut writer, claimed).await;
        }
        let said = self.desk().allotments_due(self.hub.now());
        if !said.is_empty() {
            self.put_down(&mut writer, said).await;
        }
    }

    /// Carries out what other hubs have asked for, each once.
    async fn answer_hubs(&self) {
        let asked = self.desk().asked_of_us();
        for (id, hub, deed) in asked {
            let request = Asked { id, digest: deed_digest(&deed) };
            let mut writer = self.writer.lock().await;
            let act = {
                let desk = self.desk();
                let resolve = self.resolver(&desk);
                let by = format!("{hub}");
                let situation = Situation { now: self.hub.now(), by: &by, desk: &hub, resolve: &resolve };
                match desk.decide(situation, request, &deed) {
                    Ok(act) if act.said.is_empty() => declined(act, id, SOMEBODY_WAS_FIRST),
                    Ok(act) => act,
                    Err(refused) => {
                        let act = Act {
                            v: Act::VERSION,
                            place: ActPlace::default(),
                            request: Some(request),
                            at: situation.now,
                            by: by.clone(),
                            said: Vec::new(),
                        };
                        declined(act, id, &refused.words)
                    }
                }
            };
            if let Err(error) = self.commit(&mut writer, act).await {
                tracing::warn!(%error, "another hub's request cannot be answered yet");
                return;
            }
        }
    }

    /// What is to be done now, without what must wait until its system is tried again.
    pub(super) fn due(&self) -> Vec<Work> {
        let now = self.hub.now();
        let waiting = self.waiting().until_later(now);
        self.desk().work_besides(now, &waiting)
    }

    /// Asks systems for what is due, several at once but each appointment by one alone.
    async fn work(&self) {
        let due = self.due();
        for some in due.chunks(AT_ONCE) {
            let mut under_way = Vec::new();
            for work in some {
                if self.under_way().insert(work.appointment.id) {
                    under_way.push(self.do_one(work, &NOBODY_WAITS));
                }
            }
            futures_all(under_way).await;
        }
    }

    /// Does one piece of work to its end. Its appointment is under way, and is not any more after.
    ///
    /// `waits` says whether whoever asked is still there to be told.
    pub(super) async fn do_one(&self, work: &Work, waits: &AtomicBool) {
        let outcome = match work.kind {
            WorkKind::Confirm | WorkKind::LetGo | WorkKind::GiveUp => Outcome::Cancelled,
            WorkKind::Book | WorkKind::Cancel | WorkKind::Tell => timeout(PATIENCE, self.ask_system(work))
                .await
                .unwrap_or(Outcome::Again { why: WhyProvisional::OutcomeUnknown }),
        };
        let (id, kind) = (work.appointment.id, work.kind);
        self.waiting().note(id, kind, &outcome, self.hub.now());
        let announced = waits.load(Ordering::SeqCst);
        self.settle(|desk, situation| desk.settle(situation, id, kind, &outcome, announced)).await;
        self.under_way().remove(&id);
    }

    async fn ask_system(&self, work: &Work) -> Outcome {
        let appointment = &work.appointment;
        if let Some(told) = self.told.iter().find(|told| told.name() == appointment.system) {
            return tell::tell(told.as_ref(), work).await;
        }
        let who = self.requester(&Self::itself());
        match (work.kind, &work.news) {
            (WorkKind::Cancel, _) => self.practices.cancel(&who, appointment).await,
            (WorkKind::Tell, Some(news)) => {
                // Under the name and version that the practice has given it since.
                let standing = appointment.standing.clone();
                let amended = Appointment { standing, ..(*news.appointment).clone() };
                self.practices.amend(&who, &amended).await
            }
            _ => self.practices.book(&who, appointment).await,
        }
    }

    /// Decides and puts down what nobody asked for.
    async fn settle(&self, decide: impl FnOnce(&crate::booking::desk::Desk, Situation<'_>) -> Act) {
        let mut writer = self.writer.lock().await;
        let act = {
            let desk = self.desk();
            let resolve = self.resolver(&desk);
            let (now, own) = (self.hub.now(), desk.hub().clone());
            decide(&desk, Situation { now, by: "polygate", desk: &own, resolve: &resolve })
        };
        if let Err(error) = self.commit(&mut writer, act).await {
            tracing::warn!(%error, "what a system has answered cannot be put down; it is asked again");
        }
    }

    /// An act that carries out no request.
    pub(super) fn act(&self, by: String, said: Vec<Said>) -> Act {
        Act { v: Act::VERSION, place: ActPlace::default(), request: None, at: self.hub.now(), by, said }
    }

    pub(super) async fn put_down(&self, writer: &mut journal::Writer, said: Vec<Said>) {
        let act = self.act("polygate".to_owned(), said);
        if let Err(error) = self.commit(writer, act).await {
            tracing::warn!(%error, "the desk cannot put down what it has decided");
        }
    }

    /// In whose name a practice is asked.
    pub(super) fn requester(&self, who: &Practitioner) -> Requester {
        Requester {
            organisation: self.organisation.clone(),
            practitioner: who.clone(),
            device: Device {
                id: self.hub.identity.id.to_string(),
                model: "polygate".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            reason: Reason::DirectCare,
        }
    }
}

fn declined(act: Act, request: RequestId, words: &str) -> Act {
    Act { said: vec![Said::Declined { request, words: words.to_owned() }], ..act }
}

/// What a refusal means for an appointment.
pub(super) fn outcome_of(refusal: &Refusal) -> Outcome {
    use crate::flow::ask::Retry;
    match (refusal.outcome, refusal.retry) {
        (Acted::Unknown, _) => Outcome::Again { why: WhyProvisional::OutcomeUnknown },
        (Acted::NotDone, Retry::After(_)) => Outcome::Again { why: WhyProvisional::SystemSilent },
        (Acted::NotDone, Retry::AfterFreshLook) => Outcome::Refused { words: SOMEBODY_WAS_FIRST.to_owned() },
        (Acted::NotDone, Retry::Never) => Outcome::Refused { words: refusal.words.to_owned() },
    }
}

/// All of them at once, to their ends.
async fn futures_all<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut pinned: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pinned.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if pinned.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

//! The relay: what each hub's desk decides reaches the other hubs, and the centre's own part in booking is decided here.
//!
//! The entries in the store are the truth; this holds the last weeks' acts in memory and sends each hub what it has not
//! said it has heard. What the centre decides itself becomes an entry of its own in the store before anybody hears of it;
//! two relays that decide at once meet in the store, which takes one of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    booking::{
        act::{ACT_BYTES_MAX, ACT_FORMAT, ACT_KIND, Act, ActPlace, Down, HeardThrough, Said},
        centre::CentreDesk,
    },
    codec::cbor,
    domain::{
        entry::{BatchEntry, Health, Summary, WIRE_VERSION},
        ids::{Class, Epoch, HubId},
        time::{ClockQuality, Timestamp},
    },
    journal::Identity,
    sync::{
        backoff::Backoff,
        batch::PLAIN,
        uplink::{Command, Event, Inbound, Publication, Session, Ticket, Uplink, UplinkError},
    },
    sys::{clock::Clock, entropy::Entropy},
};

use super::{
    ingest::Checked,
    store::{ActCursor, CommitError, Store, StoreError, StoredAct},
    worker::Metrics,
};

/// How often the store is looked at for new acts: a change reaches other desks within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Acts are held for so long; what they speak of is over by then, and hubs that hear less go on from what is held.
pub const HELD_MS: i64 = 40 * 24 * 60 * 60 * 1000;
/// Acts on their way to one hub that it has not said it has heard, of each other hub.
const UNHEARD_MAX: usize = 500;
/// Bytes of acts in one message: far below what hubs take in one packet.
const DOWN_BYTES_MAX: usize = 256 << 10;
/// What has not been heard for so long is sent again.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// A hub's health is a few hundred bytes, and how far it has heard a few hundred hubs.
const HEALTH_BYTES_MAX: usize = 64 << 10;
/// Hubs that are sent to; London has a few hundred.
const HUBS_MAX: usize = 10_000;
/// The stream of the centre's own acts.
const OWN_EPOCH: Epoch = Epoch(1);
const GOODBYE: Duration = Duration::from_secs(2);

/// The relay of one process.
pub struct Relay {
    /// Its way to the broker, subscribed to the hubs' conditions.
    pub uplink: Box<dyn Uplink>,
    /// Where acts are.
    pub store: Arc<Store>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// For back-off.
    pub entropy: Entropy,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// What is known of all desks.
#[derive(Default)]
struct Known {
    cursor: ActCursor,
    desk: CentreDesk,
    acts: BTreeMap<HubId, BTreeMap<ActPlace, Held>>,
    /// The centre's own acts, by what they answer.
    answers: BTreeMap<String, Act>,
    /// What new desks have asked, by whose they are and their names.
    questions: BTreeMap<(HubId, u64), Question>,
}

/// When a new desk's question came, and of which stream.
struct Question {
    epoch: Epoch,
    received: Timestamp,
}

struct Held {
    bytes: Bytes,
    epoch: Epoch,
    received: Timestamp,
}

/// One hub that is sent to.
struct Hearer {
    heard: HeardThrough,
    sent: BTreeMap<HubId, (ActPlace, Instant)>,
}

/// Why the relay begins anew from the store.
enum Trouble {
    /// The store is away.
    Store(StoreError),
    /// Another relay has decided.
    Overtaken,
}

impl Relay {
    /// Works until `stop` changes.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (mut backoff, began) = (Backoff::default(), Instant::now());
        let mut known = Known::default();
        while !*stop.borrow() {
            let connected = tokio::select! {
                connected = self.uplink.connect() => connected,
                _ = stop.changed() => return,
            };
            let ended = match connected {
                Ok(session) => {
                    backoff.connected(began.elapsed());
                    self.serve(session, &mut known, &mut stop).await
                }
                Err(error) => error,
            };
            if *stop.borrow() {
                return;
            }
            let wait = backoff.failed(began.elapsed(), self.entropy.next_u64());
            tracing::warn!(error = %ended, wait_seconds = wait.as_secs_f32(), "the relay has no connection");
            tokio::select! {
                () = sleep(wait) => {}
                _ = stop.changed() => return,
            }
        }
    }

    async fn serve(
        &self,
        mut session: Session,
        known: &mut Known,
        stop: &mut watch::Receiver<bool>,
    ) -> UplinkError {
        let mut hearers: BTreeMap<HubId, Hearer> = BTreeMap::new();
        let mut tickets = 0;
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                event = session.events.recv() => match event {
                    Some(Event::Received(delivery, inbound)) => {
                        note_health(&mut hearers, &inbound);
                        if session.commands.send(Command::Acknowledge(delivery)).await.is_err() {
                            tracing::debug!("the session ended before a condition could be acknowledged");
                        }
                        continue;
                    }
                    Some(Event::Acknowledged(_)) => continue,
                    Some(Event::Refused(_, reason)) => {
                        tracing::error!(%reason, "the broker refuses what is for a hub");
                        continue;
                    }
                    Some(Event::Closed(error)) => return error,
                    None => return UplinkError::Broken("the session ended without a word".to_owned()),
                },
                () = tokio::time::sleep_until(look_at) => {}
                _ = stop.changed() => {
                    say_goodbye(&mut session).await;
                    return UplinkError::Requested;
                }
            }
            look_at = Instant::now() + LOOK_EVERY;
            match self.look(known).await {
                Ok(()) => {}
                Err(Trouble::Overtaken) => {
                    tracing::info!("another relay has decided: reading the store again");
                    *known = Known::default();
                }
                Err(Trouble::Store(error)) => {
                    self.metrics.store_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "the relay cannot read the store: trying again");
                }
            }
            for publication in known.due(&mut hearers) {
                tickets += 1;
                if session.commands.try_send(Command::Publish(Ticket(tickets), publication)).is_err() {
                    // The window is full: what was not sent is sent again when it is not heard of.
                    break;
                }
            }
        }
    }

    /// Reads what is new in the store, and decides what is the centre's to decide.
    async fn look(&self, known: &mut Known) -> Result<(), Trouble> {
        loop {
            let since = Timestamp(self.clock.now().0.saturating_sub(HELD_MS));
            let new = self.store.acts(&mut known.cursor, since).await.map_err(Trouble::Store)?;
            if new.is_empty() {
                break;
            }
            new.into_iter().for_each(|act| known.hold(act));
        }
        known.forget(Timestamp(self.clock.now().0.saturating_sub(HELD_MS)));
        while let Some((from, act, answered)) = known.next() {
            let answer = match answered {
                Some(answer) => Some(answer),
                None => self.decide(known, &from, &act).await?,
            };
            known.desk.apply(&from, &act, answer.as_ref());
        }
        while let Some((from, life, earlier)) = known.next_question() {
            if earlier {
                tracing::warn!(hub = %from, "a new box stands in for an earlier one: what that one may have sold is held");
            }
            let answer = known.desk.answer_question(&from, life, earlier, self.clock.now());
            self.say(known, answer).await?;
        }
        Ok(())
    }

    /// The centre's answer, durable; none if there is nothing to say.
    async fn decide(&self, known: &mut Known, from: &HubId, act: &Act) -> Result<Option<Act>, Trouble> {
        let answer = known.desk.answer(from, act, self.clock.now());
        if answer.said.is_empty() {
            return Ok(None);
        }
        self.say(known, answer).await.map(Some)
    }

    /// Makes an act of the centre's durable.
    async fn say(&self, known: &mut Known, answer: Act) -> Result<Act, Trouble> {
        let batch = own_batch(&answer).map_err(Trouble::Store)?;
        let committed = self.store.commit(&batch, self.clock.now()).await.map_err(|error| match error {
            CommitError::Unavailable(error) => Trouble::Store(error),
            CommitError::Unstorable(reason) => Trouble::Store(StoreError(reason)),
        })?;
        if 0 < committed.conflicts || 0 < committed.duplicates {
            return Err(Trouble::Overtaken);
        }
        known.desk.spoke(&answer);
        known.answers.insert(answer.by.clone(), answer.clone());
        Ok(answer)
    }
}

impl Known {
    fn hold(&mut self, stored: StoredAct) {
        let Ok(act) = cbor::decode::<Act>(&stored.raw, ACT_BYTES_MAX) else {
            tracing::warn!(hub = %stored.hub, "an act cannot be read: it is not sent on");
            return;
        };
        if act.v != Act::VERSION {
            return;
        }
        let held = Held { bytes: stored.raw, epoch: stored.epoch, received: stored.received };
        let place = act.place;
        if stored.hub.as_str() == CentreDesk::NAME {
            self.desk.spoke(&act);
            self.answers.insert(act.by.clone(), act);
        } else if place == ActPlace::QUESTION {
            let asking = act.said.iter().find_map(|said| match said {
                Said::Asking { life } => Some(*life),
                _ => None,
            });
            let question = Question { epoch: stored.epoch, received: stored.received };
            asking.map(|life| self.questions.insert((stored.hub, life), question));
            return;
        }
        self.acts.entry(stored.hub).or_default().insert(place, held);
    }

    fn forget(&mut self, before: Timestamp) {
        for acts in self.acts.values_mut() {
            while acts.first_key_value().is_some_and(|(_, held)| held.received < before) {
                acts.pop_first();
            }
        }
        self.questions.retain(|_, question| before <= question.received);
    }

    /// The next act of any hub that can be taken in, with what the centre has answered to it before.
    fn next(&self) -> Option<(HubId, Act, Option<Act>)> {
        for (hub, acts) in self.acts.iter().filter(|(hub, _)| hub.as_str() != CentreDesk::NAME) {
            let taken = self.desk.taken(hub);
            let behind = (std::ops::Bound::Excluded(taken), std::ops::Bound::Unbounded);
            let Some((place, held)) = acts.range(behind).next() else { continue };
            // What lies before what is held is over: begin there.
            let first = taken == ActPlace::default();
            if !first && !taken.is_followed_by(*place) {
                continue;
            }
            let Ok(act) = cbor::decode::<Act>(&held.bytes, ACT_BYTES_MAX) else { continue };
            let key = answers_key(hub, *place);
            let answered = self.answers.get(&key).cloned();
            // An answer gave what another hub had let go of: that one comes first.
            if answered.as_ref().is_some_and(|answer| !self.desk.can_apply(hub, &act, answer)) {
                continue;
            }
            return Some((hub.clone(), act, answered));
        }
        None
    }

    /// A new desk's question that is not answered yet, and whether there was an earlier desk of its hub.
    fn next_question(&self) -> Option<(HubId, u64, bool)> {
        let unanswered = self
            .questions
            .iter()
            .find(|((from, life), _)| !self.answers.contains_key(&CentreDesk::answers_question(from, *life)));
        let ((from, life), question) = unanswered?;
        Some((from.clone(), *life, self.had_earlier(from, *life, question)))
    }

    /// Whether there are signs of an earlier desk of a hub. In doubt there are: then slots are held, and people look.
    ///
    /// What came after the question, or in its own epoch, is the asking desk's own. Whether an epoch is higher says
    /// nothing: the clock of a new box may stand at 1970.
    fn had_earlier(&self, from: &HubId, life: u64, question: &Question) -> bool {
        let asked_before = self.questions.iter().any(|((hub, other), before)| {
            hub == from && *other != life && before.received <= question.received
        });
        let held = self.acts.get(from);
        let of_epoch = |epoch: Epoch| {
            held.into_iter().flat_map(|acts| acts.values()).filter(move |held| held.epoch == epoch)
        };
        let sign = self.cursor.epochs(from).filter(|epoch| *epoch != question.epoch).any(|epoch| {
            // Of a stream without acts they are over, and too old to be held.
            let mut acts = of_epoch(epoch).peekable();
            acts.peek().is_none() || acts.any(|held| held.received <= question.received)
        });
        asked_before || sign
    }

    /// What is to be sent now: to each hub of each other what it has not heard.
    fn due(&self, hearers: &mut BTreeMap<HubId, Hearer>) -> Vec<Publication> {
        let mut due = Vec::new();
        for (to, hearer) in hearers {
            for (from, acts) in self.acts.iter().filter(|(from, _)| *from != to) {
                due.extend(hearer.next(to, from, acts));
            }
        }
        due
    }
}

impl Hearer {
    fn next(&mut self, to: &HubId, from: &HubId, acts: &BTreeMap<ActPlace, Held>) -> Option<Publication> {
        let heard = self.heard.get(from).copied();
        let overdue = self.sent.get(from).is_some_and(|(_, at)| AGAIN_AFTER <= at.elapsed());
        if overdue {
            self.sent.remove(from);
        }
        let after = self.sent.get(from).map(|(place, _)| *place).max(heard);
        let heard = heard.unwrap_or_default();
        let unheard = acts.range((std::ops::Bound::Excluded(heard), std::ops::Bound::Unbounded));
        let after = after.unwrap_or_default();
        let (mut bytes, mut some, mut last) = (0, Vec::new(), after);
        let mut jump = false;
        for (place, held) in unheard.take(UNHEARD_MAX).filter(|(place, _)| after < **place) {
            let begins = last == ActPlace::default();
            let follows = last.is_followed_by(*place) || (begins && place.number == 1);
            if !follows {
                // A hole in the middle is still on its way here; one before all that is held never comes.
                let oldest = acts.first_key_value().is_some_and(|(first, _)| first == place);
                if !some.is_empty() || !oldest {
                    break;
                }
                jump = true;
            }
            bytes += held.bytes.len();
            if DOWN_BYTES_MAX < bytes && !some.is_empty() {
                break;
            }
            some.push(serde_bytes::ByteBuf::from(held.bytes.to_vec()));
            last = *place;
        }
        if some.is_empty() {
            return None;
        }
        self.sent.insert(from.clone(), (last, Instant::now()));
        let down = Down { v: Act::VERSION, from: from.clone(), jump, acts: some };
        Some(Publication {
            topic: format!("polygate/{WIRE_VERSION}/{to}/down/booking"),
            payload: Bytes::from(cbor::encode(&down).ok()?),
            content_type: Some(PLAIN),
            retain: false,
            user_properties: Vec::new(),
        })
    }
}

fn note_health(hearers: &mut BTreeMap<HubId, Hearer>, inbound: &Inbound) {
    let Ok(health) = cbor::decode::<Health>(&inbound.payload, HEALTH_BYTES_MAX) else { return };
    if inbound.topic.split('/').nth(2) != Some(health.hub.as_str()) {
        return;
    }
    let (true, Some(heard)) = (health.online, health.heard) else {
        // What was on its way to a hub that has gone is sent again when it is back.
        hearers.remove(&health.hub);
        return;
    };
    if let Some(hearer) = hearers.get_mut(&health.hub) {
        for (from, (place, at)) in &mut hearer.sent {
            // Progress: what is still on its way has time again.
            if hearer.heard.get(from) != heard.get(from) {
                *at = Instant::now();
            }
            *place = heard.get(from).copied().unwrap_or_default().max(*place);
        }
        hearer.heard = heard;
    } else if hearers.len() < HUBS_MAX {
        hearers.insert(health.hub, Hearer { heard, sent: BTreeMap::new() });
    }
}

fn answers_key(hub: &HubId, place: ActPlace) -> String {
    format!("{hub} {} {}", place.incarnation, place.number)
}

/// The centre's act as an entry of a stream of its own.
fn own_batch(act: &Act) -> Result<Checked, StoreError> {
    let failed = |error: cbor::CborError| StoreError(error.to_string());
    let raw = Bytes::from(cbor::encode(act).map_err(failed)?);
    let summary = Summary {
        format: ACT_FORMAT.to_owned(),
        sender: CentreDesk::NAME.to_owned(),
        occurred: Some(act.at),
        ..Summary::default()
    };
    let hub: HubId = CentreDesk::NAME.parse().map_err(|_| StoreError("the centre has no name".to_owned()))?;
    let number = act.place.number;
    let entry = BatchEntry {
        seq: number,
        // Two relays that answer different acts under one number are told apart by this.
        id: Identity::of(&[b"centre", &raw], &raw).id(),
        kind: ACT_KIND.to_owned(),
        system: CentreDesk::NAME.to_owned(),
        source_id: act.by.clone(),
        patient: None,
        at: act.at,
        clock: ClockQuality::default(),
        body: cbor::encode(&summary).map(Bytes::from).map_err(failed)?,
        raw: Some(raw),
    };
    Ok(Checked {
        hub,
        class: Class::Booking,
        epoch: OWN_EPOCH,
        first: number,
        last: number,
        entries: vec![entry],
        absent: Vec::new(),
        refused: Vec::new(),
        confirmed: None,
    })
}

/// Ends a session in good order.
pub(super) async fn say_goodbye(session: &mut Session) {
    let ended = async {
        if session.commands.send(Command::Disconnect).await.is_ok() {
            while session.events.recv().await.is_some() {}
        }
    };
    if timeout(GOODBYE, ended).await.is_err() {
        tracing::debug!("the broker did not take the goodbye in time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::booking::token::TokenEvent;

    const LIFE: u64 = 7;

    fn soho() -> HubId {
        "soho".parse().unwrap()
    }

    fn stored(epoch: u64, received: i64, place: ActPlace, said: Said) -> StoredAct {
        let act = Act {
            v: Act::VERSION,
            place,
            request: None,
            at: Timestamp(0),
            by: String::new(),
            said: vec![said],
        };
        let raw = Bytes::from(cbor::encode(&act).unwrap());
        StoredAct { hub: soho(), epoch: Epoch(epoch), raw, received: Timestamp(received) }
    }

    fn asking(epoch: u64, received: i64, life: u64) -> StoredAct {
        stored(epoch, received, ActPlace::QUESTION, Said::Asking { life })
    }

    fn began(epoch: u64, received: i64, incarnation: u64) -> StoredAct {
        let said = Said::Token(TokenEvent::Began { incarnation });
        stored(epoch, received, ActPlace { incarnation, number: 1 }, said)
    }

    /// What a relay makes of what is in the store, all of it read in one go.
    fn earlier(acts: Vec<StoredAct>) -> Option<bool> {
        let mut known = Known::default();
        for act in acts {
            known.cursor.note(&act.hub, act.epoch);
            known.hold(act);
        }
        let asked = known.next_question().filter(|(_, life, _)| *life == LIFE);
        asked.map(|(_, _, earlier)| earlier)
    }

    #[test]
    fn a_box_is_the_first_only_if_nothing_of_its_hub_came_before_its_question() {
        assert_eq!(earlier(vec![asking(5, 10, LIFE)]), Some(false));
        // Its own later acts, told that it is the first and long offline: all come in one go.
        assert_eq!(earlier(vec![asking(5, 10, LIFE), began(5, 10, 1), began(6, 11, 2)]), Some(false));
        assert_eq!(earlier(vec![began(5, 9, 1), asking(6, 10, LIFE)]), Some(true));
        // The clock of the new box stands at 1970, and its epochs are lower.
        assert_eq!(earlier(vec![began(5, 9, 1), asking(1, 10, LIFE)]), Some(true));
        // In doubt there was one.
        assert_eq!(earlier(vec![began(5, 10, 1), asking(6, 10, LIFE)]), Some(true));
        assert_eq!(
            earlier(vec![asking(5, 9, LIFE + 1), asking(6, 10, LIFE)]),
            Some(true),
            "another box has asked before"
        );
    }

    #[test]
    fn one_whose_acts_are_too_old_to_be_held_was_there_all_the_same() {
        let mut known = Known::default();
        known.cursor.note(&soho(), Epoch(3));
        known.cursor.note(&soho(), Epoch(9));
        known.hold(asking(9, 10, LIFE));
        assert_eq!(known.next_question(), Some((soho(), LIFE, true)));
    }

    #[test]
    fn a_second_box_is_answered_anew_and_above_all_that_the_first_can_have_been() {
        let mut known = Known::default();
        let now = Timestamp(1_795_392_000_000);
        known.cursor.note(&soho(), Epoch(5));
        known.hold(asking(5, 1, 1));
        let (hub, life, earlier) = known.next_question().unwrap();
        let first = known.desk.answer_question(&hub, life, earlier, now);
        assert_eq!(first.said, [Said::Known { of: soho(), life: 1, incarnation: 0 }]);
        let raw = Bytes::from(cbor::encode(&first).unwrap());
        let centre: HubId = CentreDesk::NAME.parse().unwrap();
        known.hold(StoredAct { hub: centre, epoch: OWN_EPOCH, raw, received: Timestamp(1) });
        assert_eq!(known.next_question(), None, "it is answered");
        for act in [began(5, 2, 1), began(5, 3, 2)] {
            known.hold(act);
        }
        while let Some((from, act, _)) = known.next() {
            known.desk.apply(&from, &act, None);
        }
        known.cursor.note(&soho(), Epoch(4));
        known.hold(asking(4, 9, 2));
        let (hub, life, earlier) = known.next_question().unwrap();
        let second = known.desk.answer_question(&hub, life, earlier, now);
        assert_eq!(second.said, [Said::Known { of: soho(), life: 2, incarnation: 1_795_392_000 }]);
        assert_eq!(second.place.number, first.place.number + 1);
        // And its acts follow those of the first box, for everybody who has heard those.
        let next = ActPlace { incarnation: 1_795_392_001, number: 1 };
        assert!(known.desk.taken(&soho()).is_followed_by(next));
        let catalogue = stored(4, 12, next, Said::Catalogue(Box::default()));
        known.hold(catalogue);
        assert_eq!(known.next().map(|(_, act, _)| act.place), Some(next));
    }
}

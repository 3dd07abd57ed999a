//! A broker that is not there, between one hub and the centre's workers, with the manners that a test gives
//! it: it loses, doubles, delays, hangs up and forgets, by a seed.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use polygate::{
    centre::ingest,
    sync::uplink::{
        Command, Delivery, Event, Inbound, Limits, Publication, RefusalReason, Session, Ticket, Uplink,
        UplinkError,
    },
    sys::entropy::Entropy,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

/// After this long without a PUBACK that it waits for, a client gives its connection up.
const STALL: Duration = Duration::from_secs(60);
const PACKET_BYTES_MAX: usize = 64 << 10;
const IN_FLIGHT_MAX: u16 = 16;

/// How the broker behaves. Numbers are chances in a hundred, for each message or connection.
#[derive(Clone, Debug, Default)]
pub struct Manners {
    /// A message that was acknowledged goes no further.
    pub loses: u64,
    /// A message is passed on twice.
    pub doubles: u64,
    /// Messages and acknowledgements take up to this long, each its own time: they overtake each other.
    pub delay: Duration,
    /// No PUBACK is ever sent to the hub.
    pub never_acknowledges: bool,
    /// The connection breaks with a message.
    pub hangs_up: u64,
    /// Nothing more is heard from a connection, as if a cable had been cut.
    pub goes_half_open: u64,
    /// Sessions and retained messages are gone with their connection.
    pub forgets: bool,
    /// A batch with this message in it is refused as too large.
    pub refuses: Option<String>,
}

/// Who connects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    /// The hub.
    Hub,
    /// A worker of the centre's, by its number.
    Worker(usize),
}

/// The broker; clones are the same one.
#[derive(Clone, Debug)]
pub struct Wan {
    state: Arc<Mutex<State>>,
    up: watch::Sender<bool>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The hub's connections.
    pub connections: u64,
    /// Messages lost.
    pub lost: u64,
    /// Messages doubled.
    pub doubled: u64,
    /// Batches refused.
    pub refused: u64,
}

#[derive(Debug)]
struct State {
    entropy: Entropy,
    manners: Manners,
    hub: Option<mpsc::Sender<Event>>,
    workers: BTreeMap<usize, mpsc::Sender<Event>>,
    retained: BTreeMap<String, Publication>,
    deliveries: u64,
    /// What workers have not acknowledged, and whose it is; nobody's while no worker is there.
    pending: BTreeMap<u64, (Option<usize>, Publication)>,
    counts: Counts,
}

/// One client's way to the broker.
#[derive(Debug)]
pub struct Door {
    wan: Wan,
    side: Side,
}

impl Wan {
    /// A broker that is up.
    pub fn new(seed: u64, manners: Manners) -> Self {
        let state = State {
            entropy: Entropy::from_seed(seed),
            manners,
            hub: None,
            workers: BTreeMap::new(),
            retained: BTreeMap::new(),
            deliveries: 0,
            pending: BTreeMap::new(),
            counts: Counts::default(),
        };
        Self { state: Arc::new(Mutex::new(state)), up: watch::Sender::new(true) }
    }

    /// A client's way to it.
    pub fn door(&self, side: Side) -> Box<Door> {
        Box::new(Door { wan: self.clone(), side })
    }

    /// Cuts the hub off, or lets it in again.
    pub fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Serves one connection to its end.
    async fn serve(self, side: Side, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
        let mut up = self.up.subscribe();
        let mut awaited: Option<Instant> = None;
        let ended = loop {
            let stall = awaited.unwrap_or_else(|| Instant::now() + STALL * 1000);
            tokio::select! {
                command = commands.recv() => match command {
                    None => break None,
                    Some(Command::Disconnect) => break Some(UplinkError::Requested),
                    Some(Command::Acknowledge(Delivery(number))) => drop(self.lock().pending.remove(&number)),
                    Some(Command::Publish(ticket, publication)) => {
                        if side == Side::Hub && self.lock().manners.never_acknowledges {
                            awaited = awaited.or(Some(Instant::now() + STALL));
                        }
                        match self.published(side, ticket, publication, &events) {
                            After::GoOn => {}
                            After::HangUp => break Some(UplinkError::Broken("hung up".to_owned())),
                            After::SayNothing => {
                                sleep(STALL).await;
                                break Some(stalled());
                            }
                        }
                    }
                },
                () = sleep_until(stall) => break Some(stalled()),
                () = cut(&mut up), if side == Side::Hub => break Some(UplinkError::Broken("cut".to_owned())),
            }
        };
        self.left(side, &events);
        if let Some(error) = ended {
            // Whoever was connected may have gone first.
            drop(events.send(Event::Closed(error)).await);
        }
    }

    fn published(
        &self,
        side: Side,
        ticket: Ticket,
        publication: Publication,
        events: &mpsc::Sender<Event>,
    ) -> After {
        let mut state = self.lock();
        let manners = state.manners.clone();
        if state.happens(manners.hangs_up) {
            return After::HangUp;
        }
        if side == Side::Hub && state.happens(manners.goes_half_open) {
            return After::SayNothing;
        }
        if side == Side::Hub && manners.refuses.as_deref().is_some_and(|name| holds(&publication, name)) {
            state.counts.refused += 1;
            let delay = state.delay();
            later(delay, events.clone(), Event::Refused(ticket, RefusalReason::PacketTooLarge));
            return After::GoOn;
        }
        if side != Side::Hub || !manners.never_acknowledges {
            let delay = state.delay();
            later(delay, events.clone(), Event::Acknowledged(ticket));
        }
        if publication.retain {
            state.retained.insert(publication.topic.clone(), publication.clone());
        }
        let copies = match (state.happens(manners.loses), state.happens(manners.doubles)) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        state.counts.lost += u64::from(copies == 0);
        state.counts.doubled += u64::from(copies == 2);
        for _ in 0..copies {
            let (wan, publication, delay) = (self.clone(), publication.clone(), state.delay());
            tokio::spawn(async move {
                sleep(delay).await;
                wan.pass_on(side, publication);
            });
        }
        After::GoOn
    }

    fn pass_on(&self, from: Side, publication: Publication) {
        let mut state = self.lock();
        state.deliveries += 1;
        let number = state.deliveries;
        if from == Side::Hub {
            if publication.topic.contains("/up/") {
                state.pending.insert(number, (None, publication));
                state.hand_out();
            }
        } else if let Some(hub) = &state.hub {
            // A hub whose channel is full is one that has lost its connection.
            drop(hub.try_send(Event::Received(Delivery(number), inbound(publication, false))));
        }
    }

    fn joined(&self, side: Side, events: &mpsc::Sender<Event>) {
        let mut state = self.lock();
        match side {
            Side::Hub => {
                state.counts.connections += 1;
                state.hub = Some(events.clone());
                if state.manners.forgets {
                    state.retained.clear();
                }
                let receipts: Vec<Publication> =
                    state.retained.values().filter(|it| it.topic.contains("/receipt/")).cloned().collect();
                for receipt in receipts {
                    state.deliveries += 1;
                    let number = state.deliveries;
                    drop(events.try_send(Event::Received(Delivery(number), inbound(receipt, true))));
                }
            }
            Side::Worker(number) => {
                state.workers.insert(number, events.clone());
                state.hand_out();
            }
        }
    }

    fn left(&self, side: Side, events: &mpsc::Sender<Event>) {
        let mut state = self.lock();
        match side {
            Side::Hub if state.hub.as_ref().is_some_and(|hub| hub.same_channel(events)) => state.hub = None,
            Side::Hub => {}
            Side::Worker(number) => {
                state.workers.remove(&number);
                if state.manners.forgets {
                    state.pending.retain(|_, (whose, _)| *whose != Some(number));
                }
                let his = state.pending.values_mut().filter(|(whose, _)| *whose == Some(number));
                his.for_each(|(whose, _)| *whose = None);
                state.hand_out();
            }
        }
    }
}

/// What a message from a client leads to.
enum After {
    GoOn,
    HangUp,
    SayNothing,
}

impl State {
    fn happens(&mut self, chance: u64) -> bool {
        self.entropy.below(100) < chance
    }

    fn delay(&mut self) -> Duration {
        let most = u64::try_from(self.manners.delay.as_millis()).unwrap();
        Duration::from_millis(self.entropy.below(most + 1))
    }

    /// Gives each message that is nobody's to some worker.
    fn hand_out(&mut self) {
        let workers: Vec<(usize, mpsc::Sender<Event>)> =
            self.workers.iter().map(|(number, events)| (*number, events.clone())).collect();
        for (number, (whose, publication)) in
            self.pending.iter_mut().filter(|(_, (whose, _))| whose.is_none())
        {
            let Some((worker, events)) = self.entropy.pick(&workers) else { return };
            let event = Event::Received(Delivery(*number), inbound(publication.clone(), false));
            if events.try_send(event).is_ok() {
                *whose = Some(*worker);
            }
        }
    }
}

impl Uplink for Door {
    fn connect(&mut self) -> Pin<Box<dyn Future<Output = Result<Session, UplinkError>> + Send + '_>> {
        Box::pin(async {
            if self.side == Side::Hub && !*self.wan.up.borrow() {
                let (broker, reason) = ("broker".to_owned(), "the WAN is cut".to_owned());
                return Err(UplinkError::Unreachable { broker, reason });
            }
            let (commands, inbox) = mpsc::channel(usize::from(IN_FLIGHT_MAX));
            let (events, received) = mpsc::channel(4096);
            self.wan.joined(self.side, &events);
            tokio::spawn(self.wan.clone().serve(self.side, inbox, events));
            let limits = Limits { packet_bytes_max: PACKET_BYTES_MAX, in_flight_max: IN_FLIGHT_MAX };
            Ok(Session { limits, commands, events: received })
        })
    }
}

fn later(delay: Duration, events: mpsc::Sender<Event>, event: Event) {
    tokio::spawn(async move {
        sleep(delay).await;
        drop(events.try_send(event));
    });
}

async fn cut(up: &mut watch::Receiver<bool>) {
    drop(up.wait_for(|up| !up).await);
}

fn stalled() -> UplinkError {
    UplinkError::Stalled { seconds: STALL.as_secs(), waiting_for: "a PUBACK" }
}

fn inbound(publication: Publication, retained: bool) -> Inbound {
    let properties = publication.user_properties.into_iter();
    Inbound {
        topic: publication.topic,
        payload: publication.payload,
        content_type: publication.content_type.map(str::to_owned),
        user_properties: properties.map(|(name, value)| (name.to_owned(), value)).collect(),
        retained,
    }
}

/// Whether a batch holds a message of this control id.
fn holds(publication: &Publication, control_id: &str) -> bool {
    ingest::read(&publication.topic, publication.content_type, &publication.payload)
        .is_ok_and(|batch| batch.entries.iter().any(|entry| entry.source_id == control_id))
}

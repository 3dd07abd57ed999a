//! What stands around each of the demonstration's hubs: RiO, a hospital system, Adastra, and an analyser on a serial
//! line.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    codec::lis2::link::Framing,
    domain::{nhs_number::NhsNumber, record::ItemKind},
    flow::{
        hub::Hub,
        read::{Purpose, Reason},
    },
    sys::{
        clock::{Clock, SystemClock},
        http::{HttpClient, HttpLimits, HttpUrl},
        serial::{PseudoTerminal, pseudo_terminal},
    },
    systems::simulator::{
        adastra::SimulatedAdastra,
        analyser::Instrument,
        people::Person,
        receiver::Receiver,
        sender::Sender,
        traffic::{Traffic, Voice},
    },
};

use super::{Accepted, practices::Practices};

/// People that RiO and the hospital speak of.
const PEOPLE: u64 = 200;
/// People whose blood the analyser gets.
const SAMPLED: u64 = 8;
/// How long a result may take to be somewhere before the demonstration says that it is not.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long analysers' results took, from the acknowledgement on.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Journeys {
    /// Reports that analysers delivered.
    pub reports: u64,
    /// Of these, how many are in the record.
    pub in_record: u64,
    /// Of these, how many the practice has filed.
    pub at_practice: u64,
    /// The longest time until a report was in the record, in milliseconds.
    pub record_ms_max: u64,
    /// The longest time until it was filed at the practice, in milliseconds.
    pub practice_ms_max: u64,
}

/// The systems around one hub.
pub(super) struct Systems {
    name: &'static str,
    seed: u64,
    line: Option<PseudoTerminal>,
    /// The analyser's device.
    device: PathBuf,
    /// Where RiO takes messages.
    rio: SocketAddr,
    receiver: Receiver,
    tasks: JoinSet<()>,
    hung_up: Arc<AtomicBool>,
}

/// What the senders share.
#[derive(Clone)]
pub(super) struct Shared {
    pub accepted: Accepted,
    pub stop: watch::Receiver<bool>,
    pub pause: Duration,
    /// Whether each journey is told on the terminal.
    pub tell: bool,
    pub journeys: Arc<Mutex<Journeys>>,
    pub practices: Arc<tokio::sync::RwLock<Practices>>,
}

impl Systems {
    /// What must be there before the hub is: the analyser's line, and RiO's port.
    pub(super) async fn prepare(name: &'static str, seed: u64) -> anyhow::Result<Self> {
        let (line, device) = pseudo_terminal().context("no pseudo-terminal for the analyser")?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for RiO")?;
        let (rio, receiver) = (listener.local_addr()?, Receiver::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(receiver.clone().run(listener));
        let hung_up = Arc::new(AtomicBool::new(false));
        Ok(Self { name, seed, line: Some(line), device, rio, receiver, tasks, hung_up })
    }

    /// What of the hub's configuration is about them.
    pub(super) fn config(&self) -> String {
        format!(
            "\n[[rio]]\nname = \"rio\"\nlisten = \"127.0.0.1:0\"\ndeliver = \"{}\"\nsubscribe = [\"demographics\"]\n\n\
             [[secondary-care]]\nname = \"pas\"\nlisten = \"127.0.0.1:0\"\n\n\
             [[adastra]]\nname = \"adastra\"\nlisten = \"127.0.0.1:0\"\n\n\
             [[analyser]]\nname = \"xn-550\"\ndevice = \"{}\"\n\n\
             [[route]]\nfrom = [\"xn-550\"]\nwhat = [\"results\"]\nto = \"registered-practice\"\n",
            self.rio,
            self.device.display(),
        )
    }

    /// How many messages RiO has taken.
    pub(super) fn delivered_to_rio(&self) -> u64 {
        self.receiver.filed().len() as u64
    }

    /// Begins to send. `senders` ends with how often each had to repeat.
    pub(super) async fn start(
        &mut self,
        hub: &Arc<Hub>,
        senders: &mut JoinSet<u64>,
        shared: &Shared,
    ) -> anyhow::Result<()> {
        for (system, voice) in [("rio", Voice::Rio), ("pas", Voice::SecondaryCare)] {
            let address = listening(hub, system).await?;
            let traffic = Traffic::new(voice, &format!("{system}-"), PEOPLE, self.seed);
            senders.spawn(send_hl7(self.name, system, address, traffic, shared.clone()));
        }
        let address = listening(hub, "adastra").await?;
        let ods = hub.identity().ods.clone();
        senders.spawn(send_urgent_care(self.name, address, ods, self.seed, shared.clone()));
        if let Some(line) = self.line.take() {
            let (hub, shared, seed) = (Arc::clone(hub), shared.clone(), self.seed);
            senders.spawn(measure(self.name, hub, line, seed, shared, Arc::clone(&self.hung_up)));
        }
        Ok(())
    }

    /// Ends what takes messages.
    pub(super) async fn end(mut self) {
        self.hung_up.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
    }
}

impl Shared {
    fn note(&self, hub: &str, system: &str, source_id: String) {
        let name = (hub.to_owned(), system.to_owned(), source_id);
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    async fn pause(&mut self, times: u32) {
        tokio::select! {
            () = sleep(self.pause * times) => {}
            _ = self.stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn send_hl7(
    hub: &'static str,
    system: &'static str,
    address: SocketAddr,
    mut traffic: Traffic,
    mut shared: Shared,
) -> u64 {
    let mut sender = Sender::new(address);
    // Whose practice nobody has told of, their results go to no practice.
    for person in (0..SAMPLED).map(sampled) {
        let message = traffic.register(&person, SystemClock.now());
        sender.deliver(&message.control_id, &message.bytes).await;
        shared.note(hub, system, message.control_id);
    }
    while !shared.is_stopped() {
        let message = traffic.next(SystemClock.now());
        sender.deliver(&message.control_id, &message.bytes).await;
        shared.note(hub, system, message.control_id);
        shared.pause(1).await;
    }
    sender.repeats
}

/// Adastra: mostly reports, now and then a case, and one report in ten withdrawn.
async fn send_urgent_care(
    hub: &'static str,
    address: SocketAddr,
    ods: String,
    seed: u64,
    mut shared: Shared,
) -> u64 {
    let Ok(url) = HttpUrl::parse(&format!("http://{address}")) else { return 0 };
    let client = HttpClient::new(url, None, HttpLimits::default());
    let mut adastra = SimulatedAdastra::new("RX701", &ods, seed);
    let mut repeats = 0;
    for number in 0.. {
        if shared.is_stopped() {
            break;
        }
        let person = Person::of(number * 7 % PEOPLE);
        let now = SystemClock.now();
        let mut sending = match number % 4 {
            3 => vec![adastra.case(&person, person.practice(), now)],
            _ => vec![adastra.report(&person, person.practice(), now)],
        };
        if number % 10 == 0
            && let Some(report) = sending.first()
        {
            let withdrawal = adastra.nullify(report, &person, now);
            sending.push(withdrawal);
        }
        for message in sending {
            repeats += adastra.deliver(&client, &message).await;
            // A case is known at the centre by its reference and a digest, which Adastra does not know.
            if message.path == "/itk" {
                shared.note(hub, "adastra", message.id);
            }
        }
        shared.pause(8).await;
    }
    repeats
}

/// The analyser measures, sends, and each report is followed into the record and to the practice.
async fn measure(
    hub_name: &'static str,
    hub: Arc<Hub>,
    line: PseudoTerminal,
    seed: u64,
    mut shared: Shared,
    hung_up: Arc<AtomicBool>,
) -> u64 {
    // What an instrument says before anybody listens is lost, and it would wait for long to say it again.
    let last = sampled(SAMPLED - 1);
    while !shared.is_stopped() {
        if is_up(&hub) && is_known(&hub, &last).await {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    let mut instrument = Instrument::new(line, "xn-550", Framing::RecordAFrame, seed);
    for number in 0.. {
        if shared.is_stopped() || hung_up.load(Ordering::Relaxed) {
            break;
        }
        let person = sampled(number % SAMPLED);
        let report = instrument.measure(&person, SystemClock.now());
        let specimen = report.specimen.clone();
        let sent = tokio::task::spawn_blocking(move || {
            let taken = instrument.deliver(&report, ARRIVES_WITHIN);
            (instrument, taken)
        });
        let Ok((back, taken)) = sent.await else { return 0 };
        instrument = back;
        match taken {
            Ok(true) => follow(hub_name, &hub, &person, &specimen, &shared).await,
            Ok(false) => tracing::warn!(hub = hub_name, "the analyser's report was not taken"),
            Err(error) => {
                tracing::warn!(hub = hub_name, %error, "the analyser's line is gone");
                break;
            }
        }
        shared.pause(5).await;
    }
    instrument.repeats
}

async fn follow(name: &str, hub: &Arc<Hub>, person: &Person, specimen: &str, shared: &Shared) {
    let began = Instant::now();
    let (mut in_record, mut at_practice) = (None, None);
    while began.elapsed() < ARRIVES_WITHIN && (in_record.is_none() || at_practice.is_none()) {
        if in_record.is_none() && is_in_record(hub, person.nhs_number, specimen).await {
            in_record = Some(began.elapsed());
        }
        if at_practice.is_none() {
            let filed = shared.practices.read().await.filed(person.practice(), &person.nhs_number);
            let is_here = |line: &String| line.contains(specimen);
            if filed.iter().any(|filed| filed.number.contains(specimen) || filed.lines.iter().any(is_here)) {
                at_practice = Some(began.elapsed());
            }
        }
        sleep(LOOK_EVERY).await;
    }
    let milliseconds = |taken: Duration| u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
    let mut journeys = shared.journeys.lock().unwrap_or_else(PoisonError::into_inner);
    journeys.reports += 1;
    journeys.in_record += u64::from(in_record.is_some());
    journeys.at_practice += u64::from(at_practice.is_some());
    journeys.record_ms_max = journeys.record_ms_max.max(in_record.map(milliseconds).unwrap_or_default());
    journeys.practice_ms_max =
        journeys.practice_ms_max.max(at_practice.map(milliseconds).unwrap_or_default());
    if shared.tell {
        let said = |taken: Option<Duration>| match taken {
            Some(taken) => format!("after {} ms", milliseconds(taken)),
            None => "not within 20 s".to_owned(),
        };
        tracing::warn!(
            target: "demonstration",
            hub = name,
            specimen,
            "an analyser's report: in the record {}, filed at the practice {}",
            said(in_record),
            said(at_practice),
        );
    }
}

async fn is_in_record(hub: &Arc<Hub>, patient: NhsNumber, specimen: &str) -> bool {
    let (hub, specimen) = (Arc::clone(hub), specimen.to_owned());
    let looked = tokio::task::spawn_blocking(move || hub.has_result(&patient, &specimen));
    looked.await.unwrap_or(false)
}

/// Of those whose blood the analyser gets, every other is with the second practice.
fn sampled(number: u64) -> Person {
    Person::of(number + 100 * (number % 2))
}

async fn is_known(hub: &Arc<Hub>, person: &Person) -> bool {
    let (hub, number) = (Arc::clone(hub), person.nhs_number);
    let looked = tokio::task::spawn_blocking(move || hub.knows(&number));
    looked.await.unwrap_or(false)
}

fn is_up(hub: &Arc<Hub>) -> bool {
    let links = tokio::task::block_in_place(|| hub.condition().links);
    links.iter().any(|link| link.name == "xn-550" && 0 < link.connections)
}

/// Waits until a link's port is open, and returns it.
async fn listening(hub: &Arc<Hub>, name: &str) -> anyhow::Result<SocketAddr> {
    for _ in 0..400 {
        let links = tokio::task::block_in_place(|| hub.condition().links);
        let address = links.iter().find(|link| link.name == name).and_then(|link| link.address.parse().ok());
        if let Some(address) = address.filter(|address: &SocketAddr| address.port() != 0) {
            return Ok(address);
        }
        sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("the link {name} does not listen")
}

//! Destinations served beside each other, over a journal on a simulated disk.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{
    domain::{
        nhs_number::NhsNumber,
        record::{Event, FieldChange, ItemChange, ItemKind},
        time::Timestamp,
    },
    flow::{
        deliver::{
            Position, Sending,
            registered::Registered,
            routes::{NoRegistrations, Registration, Registrations, To, What},
        },
        hub::{Identity, Parts},
        link::Link,
        operate::{Operate, OperateError, Resend, Reveal},
        receive::{Outcome, Received},
        view::ViewKeeper,
    },
    journal::{self, Journal, Log},
    sys::{clock::SimulatedClock, entropy::Entropy, sim_disk::SimulatedDisk},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What a destination of a test got, and what it says.
#[derive(Default)]
struct Inbox {
    got: Mutex<Vec<String>>,
    attempts: AtomicU64,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, Default)]
enum Mood {
    #[default]
    Takes,
    Panics,
    Hangs,
    Refuses,
    IsDown,
}

struct Fake(Arc<Inbox>);

impl Destination for Fake {
    fn send<'a>(&'a mut self, parcel: &'a Parcel) -> Sending<'a> {
        Box::pin(async move {
            self.0.attempts.fetch_add(1, Ordering::SeqCst);
            let mood = *self.0.mood.lock().unwrap();
            match mood {
                Mood::Panics => panic!("a fault of the destination's own"),
                Mood::Hangs => std::future::pending().await,
                Mood::Refuses => return Answer::Stop("AR 101".to_owned()),
                Mood::IsDown => return Answer::Again("connection refused".to_owned()),
                Mood::Takes => {}
            }
            self.0.got.lock().unwrap().push(parcel.entry.source_id.clone());
            Answer::Accepted
        })
    }

    fn preview(&self, parcel: &Parcel) -> Result<Bytes, String> {
        Ok(Bytes::from(parcel.entry.source_id.clone()))
    }
}

struct Bench {
    hub: Arc<Hub>,
    link: Arc<Link>,
    clock: Arc<SimulatedClock>,
    stop: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Bench {
    fn new(disk: &SimulatedDisk, destinations: &[(&str, &Arc<Inbox>)]) -> Self {
        let clock = Arc::new(SimulatedClock::new(NOW));
        let options = journal::Options {
            ballast_bytes: 0,
            floor_bytes: 0,
            consumers: destinations.iter().map(|(name, _)| consumer(name)).collect(),
            ..journal::Options::default()
        };
        let shared: Arc<dyn crate::sys::disk::Disk> = Arc::new(disk.clone());
        let directory = Path::new("/state/journal");
        let (log, _) =
            Log::open(Arc::clone(&shared), directory, options, NOW, Entropy::from_seed(1)).unwrap();
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let id = "soho".parse().unwrap();
        let identity = Identity { id, ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = Parts { identity, journal, clock: Arc::clone(&clock) as _, disk: shared, translate };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let link = hub.add_link("pas", "hospital", "");
        let stop = watch::Sender::new(false);
        let mut tasks = Vec::new();
        for (name, inbox) in destinations {
            let inbox = Arc::clone(inbox);
            let options = Options {
                name: (*name).to_owned(),
                kind: "Practice",
                address: "nowhere".to_owned(),
                ods: None,
                routes: vec![Route {
                    from: Vec::new(),
                    what: vec![What::Results],
                    to: To::Named((*name).to_owned()),
                }],
                pace: Pace::default(),
                registrations: Arc::new(NoRegistrations),
                make: Box::new(move || Box::new(Fake(Arc::clone(&inbox)))),
            };
            let delivery = Delivery::open(&hub, Path::new("/state"), options).unwrap();
            tasks.push(tokio::spawn(delivery.run(stop.subscribe())));
        }
        Self { hub, link, clock, stop, tasks }
    }

    async fn receive(&self, names: &[&str]) {
        let received = |name: &&str| Received {
            event: event(name),
            format: "test",
            raw: Bytes::copy_from_slice(name.as_bytes()),
        };
        let outcomes = self.hub.receive(&self.link, names.iter().map(received).collect()).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Accepted(_))));
    }

    fn delivery(&self, name: &str) -> Arc<Delivery> {
        self.hub.deliveries().into_iter().find(|delivery| delivery.name() == name).unwrap()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.hub.close().await;
    }
}

/// The patient is the name's first character's.
fn event(name: &str) -> Event {
    let patients = ["9990000018", "9990000026", "9990000034", "9990000042"];
    let patient = patients[usize::from(name.as_bytes()[0]) % 4];
    // A name such as `at-F84006` says where the patient is registered.
    let practice =
        name.split_once('-').map(|(_, code)| ("general_practice", FieldChange::Set(code.to_owned())));
    Event {
        kind: "ORU^R01".to_owned(),
        class: Class::Clinical,
        source_id: name.to_owned(),
        sender: "PAS|RQ6".to_owned(),
        occurred: None,
        nhs_number: NhsNumber::parse(patient),
        identifiers: Vec::new(),
        merged: Vec::new(),
        items: vec![
            ItemChange::new(ItemKind::Demographics, String::new(), practice.into_iter().collect()),
            ItemChange::new(ItemKind::Result, name.to_owned(), Vec::new()),
        ],
        withdraws: Vec::new(),
        faults: Vec::new(),
    }
}

fn translate(entry: &Entry) -> Option<Event> {
    Some(event(&entry.source_id))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn got(inbox: &Inbox) -> Vec<String> {
    inbox.got.lock().unwrap().clone()
}

fn be(inbox: &Inbox, mood: Mood) {
    *inbox.mood.lock().unwrap() = mood;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_holds_up_neither_intake_nor_another_and_is_sent_nothing_twice_at_once() {
    let (slow, fast) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    be(&slow, Mood::Hangs);
    let bench = Bench::new(&SimulatedDisk::default(), &[("slow", &slow), ("fast", &fast)]);
    let names: Vec<String> = (0..300).map(|number| format!("{}{number}", number % 4)).collect();
    bench.receive(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    until("the fast one has all", || got(&fast).len() == 300).await;
    assert_eq!(slow.attempts.load(Ordering::SeqCst), 1, "one at a time, and that one was not answered");
    let status = bench.delivery("slow").status();
    assert_eq!((status.queued, status.in_flight, status.accepted), (300, 1, 0));
    assert_eq!(bench.delivery("fast").status().accepted, 300);
    for task in &bench.tasks {
        task.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let (disk, inbox) = (SimulatedDisk::default(), Arc::new(Inbox::default()));
    let bench = Bench::new(&disk, &[("emis", &inbox)]);
    bench.receive(&["a1", "b1"]).await;
    until("both are there", || got(&inbox).len() == 2).await;
    be(&inbox, Mood::IsDown);
    bench.receive(&["a2"]).await;
    until("it was tried", || 3 <= inbox.attempts.load(Ordering::SeqCst)).await;
    bench.end().await;
    be(&inbox, Mood::Takes);
    let bench = Bench::new(&disk, &[("emis", &inbox)]);
    bench.receive(&["a3"]).await;
    until("all are there", || got(&inbox).len() == 4).await;
    assert_eq!(got(&inbox), ["a1", "b1", "a2", "a3"]);
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_panics_is_made_anew_and_the_message_sent_again() {
    let inbox = Arc::new(Inbox::default());
    be(&inbox, Mood::Panics);
    let bench = Bench::new(&SimulatedDisk::default(), &[("emis", &inbox)]);
    bench.receive(&["a1"]).await;
    until("it panicked", || inbox.attempts.load(Ordering::SeqCst) == 1).await;
    be(&inbox, Mood::Takes);
    until("it is there", || got(&inbox) == ["a1"]).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_and_decide_what_is_parked() {
    let inbox = Arc::new(Inbox::default());
    be(&inbox, Mood::Refuses);
    let bench = Bench::new(&SimulatedDisk::default(), &[("emis", &inbox)]);
    bench.receive(&["a1", "b1"]).await;
    let delivery = bench.delivery("emis");
    until("both are parked", || delivery.parked().len() == 2).await;
    be(&inbox, Mood::Takes);
    bench.receive(&["a2", "b2", "c1"]).await;
    until("the other patient's came", || got(&inbox) == ["c1"]).await;
    bench.hub.maintain().await.unwrap();
    let codes: Vec<_> = bench.hub.alarms().standing().into_iter().map(|alarm| alarm.code).collect();
    assert_eq!(codes, [AlarmCode::DeliveryParked]);
    let parked = delivery.parked();
    assert_eq!((parked[0].reason.as_str(), parked[0].behind), ("AR 101", 1));
    let parcel = delivery.parcel(&parked[0]).unwrap().unwrap();
    assert_eq!(delivery.preview(&parcel).unwrap(), "a1");
    assert!(delivery.release(&parked[0]).unwrap() && delivery.skip(&parked[1]).unwrap());
    until("all but the skipped one came", || got(&inbox).len() == 4).await;
    let of = |patient: &str| got(&inbox).into_iter().filter(|n| n.starts_with(patient)).collect::<Vec<_>>();
    assert_eq!((of("a"), of("b")), (vec!["a1".to_owned(), "a2".to_owned()], vec!["b2".to_owned()]));
    delivery.resend("0123", Class::Clinical, (*parcel.entry).clone()).unwrap();
    until("it came again", || of("a").len() == 3).await;
    bench.hub.maintain().await.unwrap();
    assert!(bench.hub.alarms().standing().is_empty());
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_name_what_is_parked_and_look_before_they_send() {
    let (ill, well) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    be(&ill, Mood::Refuses);
    let bench = Bench::new(&SimulatedDisk::default(), &[("ill", &ill), ("well", &well)]);
    bench.receive(&["a1"]).await;
    until("it is parked for one", || bench.hub.parked().len() == 1).await;
    until("the other has it", || got(&well) == ["a1"]).await;
    let entry = bench.hub.parked().remove(0);
    assert_eq!((entry.destination.as_str(), entry.reason.as_str()), ("ill", "AR 101"));
    let preview = bench.hub.parked_show(entry.number, None).unwrap();
    assert_eq!((preview.size_bytes, preview.content), (2, None));
    let reveal = Reveal { reason: "to find the fault".to_owned(), by: "uid 7".to_owned() };
    let shown = bench.hub.parked_show(entry.number, Some(&reveal)).unwrap();
    assert_eq!(shown.content.as_deref(), Some("a1"));
    let resend = |what: &str, to: &str, confirmed| {
        let resend = Resend { what: what.parse().unwrap(), to: to.to_owned(), reveal: None, confirmed };
        bench.hub.resend(&resend, "uid 7")
    };
    assert!(matches!(resend("pas/a1", "nobody", true), Err(OperateError::NotFound(_))));
    assert!(matches!(resend("pas/a9", "well", true), Err(OperateError::NotFound(_))));
    assert_eq!(resend("pas/a1", "well", false).unwrap().destination, "well");
    assert_eq!(resend(&entry.number.to_string(), "well", true).unwrap().source_id, "a1");
    until("it came once more", || got(&well).len() == 2).await;
    assert!(bench.hub.parked_skip(entry.number, " ", "uid 7").is_err());
    bench.hub.parked_skip(entry.number, "a test", "uid 7").unwrap();
    let gone = bench.hub.parked_release(entry.number, "uid 7");
    assert!(matches!(gone, Err(OperateError::NotFound(_))));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_takes_nothing_for_a_minute_is_down_until_it_takes_something() {
    let inbox = Arc::new(Inbox::default());
    be(&inbox, Mood::IsDown);
    let bench = Bench::new(&SimulatedDisk::default(), &[("emis", &inbox)]);
    bench.receive(&["a1"]).await;
    let delivery = bench.delivery("emis");
    until("it was tried", || delivery.status().detail == "connection refused").await;
    assert_eq!(delivery.status().state, LinkState::Waiting);
    bench.clock.set(NOW.plus(Duration::from_secs(61)));
    bench.hub.maintain().await.unwrap();
    let alarm = bench.hub.alarms().standing().remove(0);
    assert_eq!((alarm.code, alarm.about.as_str()), (AlarmCode::DestinationDown, "emis"));
    let status = delivery.status();
    assert_eq!((status.state, status.queued, status.oldest_age_seconds), (LinkState::Down, 1, 61));
    be(&inbox, Mood::Takes);
    until("it came", || got(&inbox).len() == 1).await;
    until("that is seen", || delivery.status().state == LinkState::Up).await;
    bench.hub.maintain().await.unwrap();
    assert!(bench.hub.alarms().standing().is_empty());
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_goes_where_the_record_says_the_patient_is_registered_once_it_knows() {
    let bench = Bench::new(&SimulatedDisk::default(), &[]);
    let recorded = Registered::new(Arc::clone(&bench.hub));
    let of = |patient: &str, position| recorded.of(&NhsNumber::parse(patient).unwrap(), position);
    assert_eq!(of("9990000018", Position::default()), Registration::NotYet, "there is no record yet");
    let directory = std::env::temp_dir().join(format!("polygate-registrations-{}", std::process::id()));
    let keeper = ViewKeeper::start(&bench.hub, &directory).unwrap();
    bench.receive(&["at-F84006"]).await;
    bench.clock.set(NOW.plus(Duration::from_secs(1)));
    bench.receive(&["at-E87001", "b1"]).await;
    let end = bench.hub.journal.shared().end();
    let last = Position { offset: end.offset - 1, ..end };
    until("the record has it", || of("9990000018", last) != Registration::NotYet).await;
    let patient = |name: &str| event(name).nhs_number.unwrap();
    assert_eq!(recorded.of(&patient("at"), last), Registration::At("E87001".to_owned()), "the later word");
    assert_eq!(recorded.of(&patient("b1"), last), Registration::Unknown);
    assert_eq!(recorded.of(&patient("b1"), end), Registration::NotYet, "what comes next may say");
    tokio::task::spawn_blocking(move || keeper.end()).await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    bench.end().await;
}

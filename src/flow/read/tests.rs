//! A hub with a record view and a cache, told a few things: what is accepted is read at once, decided by people, made
//! anew, and never in the log.

use std::{
    fmt::Write as _,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::{
    domain::{
        entry::Entry,
        ids::Class,
        nhs_number::InvalidNhsNumber,
        one_record::Dispute,
        record::{Event, FieldChange, Identifier, ItemChange, Snapshot},
    },
    flow::{
        hub::{Identity, Parts as HubParts},
        link::Link,
        receive::{Outcome, Received},
        view::{VIEW, ViewKeeper},
    },
    journal::{self, Journal, Log},
    store::cache::CacheFor,
    sys::{clock::SimulatedClock, entropy::Entropy, sim_disk::SimulatedDisk},
};

pub(crate) const NOW: Timestamp = Timestamp(1_767_600_000_000);
const NAMES: [&str; 19] = [
    "telephone",
    "address_line_1",
    "city",
    "family_name",
    "given_name",
    "birth_date",
    "gender",
    "postcode",
    "nhs_number_status",
    "general_practice",
    "codings",
    "value",
    "units",
    "observed",
    "status",
    "confidentiality",
    "abnormal_flags",
    "start",
    "name",
];

pub(crate) fn number(index: usize) -> NhsNumber {
    NhsNumber::parse(["9990000018", "9990000026", "9990000034", "9990000042"][index]).unwrap()
}

fn purpose() -> Purpose {
    Purpose { by: "dr-test".to_owned(), reason: Reason::Demonstration }
}

/// Reads the tests' own format: a line with moment, number and local identifier, and one for each item: kind, key and
/// fields, all parted by `|`, which is `^` in a coding.
fn translate(entry: &Entry) -> Option<Event> {
    let text = String::from_utf8(entry.raw.as_ref()?.to_vec()).ok()?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next()?.split('|').collect();
    let identifier =
        Identifier { value: head[2].to_owned(), authority: String::new(), kind: "PI".to_owned() };
    let items = lines.map(|line| {
        let mut parts = line.split('|');
        let kind = parts.next().unwrap();
        let kind = ItemKind::ALL.into_iter().find(|known| format!("{known:?}") == kind).unwrap();
        let key = parts.next().unwrap().to_owned();
        let fields = parts.map(|part| {
            let (name, text) = part.split_once('=').unwrap();
            let name = NAMES.into_iter().find(|known| *known == name).unwrap();
            (name, FieldChange::Set(text.replace('^', "|")))
        });
        ItemChange::new(kind, key, fields.collect())
    });
    Some(Event {
        kind: "TEST".to_owned(),
        class: Class::Clinical,
        source_id: entry.source_id.clone(),
        sender: "TEST".to_owned(),
        occurred: Some(Timestamp(head[0].parse().unwrap())),
        nhs_number: NhsNumber::parse(head[1]).map_err(|_| InvalidNhsNumber::Absent),
        identifiers: if head[2].is_empty() { Vec::new() } else { vec![identifier] },
        merged: Vec::new(),
        items: items.collect(),
        withdraws: Vec::new(),
        faults: Vec::new(),
    })
}

pub(crate) struct Stage {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Arc<SimulatedClock>,
    keeper: Option<ViewKeeper>,
    folder: PathBuf,
    pub(crate) disk: SimulatedDisk,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.end();
        }
        let _left_behind_if_this_fails = fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("polygate-read-{}-{count}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let options = journal::Options {
            ballast_bytes: 0,
            floor_bytes: 0,
            consumers: vec![VIEW.to_owned()],
            ..journal::Options::default()
        };
        let clock = Arc::new(SimulatedClock::new(NOW));
        let simulated = SimulatedDisk::default();
        let disk: Arc<dyn crate::sys::disk::Disk> = Arc::new(simulated.clone());
        let directory = Path::new("/state/journal");
        let log = Log::open(Arc::clone(&disk), directory, options, NOW, Entropy::from_seed(1)).unwrap().0;
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity =
            Identity { id: "soho".parse().unwrap(), ods: "5LC01".to_owned(), name: "Soho".to_owned() };
        let parts = HubParts { identity, journal, clock: Arc::clone(&clock) as _, disk, translate };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let mut stage = Self { hub, clock, keeper: None, folder, disk: simulated };
        stage.start_view();
        stage
    }

    fn start_view(&mut self) {
        self.keeper = Some(ViewKeeper::start(&self.hub, &self.folder).unwrap());
    }

    fn stop_view(&mut self) {
        self.keeper.take().unwrap().end();
    }

    pub(crate) async fn receive(&self, link: &Link, messages: &[String]) {
        let received = messages.iter().map(|text| {
            let raw = Bytes::from(text.clone());
            let source_id = format!("{:x}", crc32c::crc32c(text.as_bytes()));
            let entry = Entry {
                kind: String::new(),
                system: String::new(),
                source_id,
                patient: None,
                at: NOW,
                clock: crate::domain::time::ClockQuality::default(),
                body: Bytes::new(),
                raw: Some(raw.clone()),
            };
            Received { event: translate(&entry).unwrap(), format: "test", raw }
        });
        let outcomes = self.hub.receive(link, received.collect()).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Accepted(_))), "{outcomes:?}");
    }

    /// Waits until something can be read: no flush comes so early.
    pub(crate) async fn until<T>(&self, mut look: impl FnMut(&Hub) -> Option<T>) -> T {
        loop {
            if let Some(found) = look(&self.hub) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn ada(moment: i64, status: &str, local: &str, more: &str) -> String {
    format!(
        "{moment}|9990000018|{local}\nDemographics||family_name=Canaryname|given_name=Ada|birth_date=19710203|gender=F|\
         nhs_number_status={status}{more}"
    )
}

const POTASSIUM: &str =
    "codings=snomed-ct^1000651000000109^Potassium|value=5.4|units=mmol/L|observed=2026-01-05T09:30:00";

#[tokio::test]
async fn what_is_accepted_is_in_the_record_before_anything_is_flushed() {
    let stage = Stage::new();
    let (rio, lab) = (stage.hub.add_link("rio", "RiO", ""), stage.hub.add_link("lab", "laboratory", ""));
    stage.receive(&rio, &[ada(1, "NSTS01", "R1", "")]).await;
    stage.receive(&lab, &[ada(2, "", "", &format!("\nResult|1|{POTASSIUM}"))]).await;
    let found = stage
        .until(|hub| {
            let found = hub.one_record(&number(0), &purpose()).ok()?;
            (!found.section(ItemKind::Result).is_empty()).then_some(found)
        })
        .await;
    assert_eq!(found.identity.nhs_number, Some(number(0)));
    let systems: Vec<&str> =
        found.section(ItemKind::Demographics).iter().map(|item| item.sources[0].system.as_str()).collect();
    assert_eq!(systems, ["lab", "rio"], "linked by exact demographics");
    assert_eq!(found.section(ItemKind::Result)[0].sources[0].received_at, NOW);
    assert_eq!(found.disagreements, []);
    assert!(matches!(stage.hub.one_record(&number(1), &purpose()), Err(OperateError::NotFound(_))));
}

fn policy() -> CachePolicy {
    CachePolicy {
        basis: "agreement 7".to_owned(),
        systems: vec!["emis".to_owned()],
        keep: Duration::from_hours(24),
        keep_for: CacheFor::AllAsked,
    }
}

#[tokio::test]
async fn cached_answers_are_in_the_record_with_the_moment_they_are_from() {
    let stage = Stage::new();
    let lab = stage.hub.add_link("lab", "laboratory", "");
    let cache = stage.hub.open_cache(Path::new("/state/cache"), Some(policy())).unwrap();
    stage.receive(&lab, &[ada(2, "NSTS01", "", &format!("\nResult|1|{POTASSIUM}"))]).await;
    let set = |name, text: &str| (name, FieldChange::Set(text.to_owned()));
    let result = vec![
        set("codings", "snomed-ct|1000651000000109|Serum potassium"),
        set("value", "5.6"),
        set("units", "mmol/L"),
        set("observed", "2026-01-05T09:30:00+00:00"),
    ];
    let snapshot = Snapshot {
        system: "emis".to_owned(),
        nhs_number: number(0),
        as_at: NOW,
        identifiers: Vec::new(),
        items: vec![ItemChange::new(ItemKind::Result, "Observation/1".to_owned(), result)],
        faults: Vec::new(),
    };
    cache.keep(snapshot.clone(), CacheFor::AllAsked, stage.hub.cache_time()).unwrap();
    let alone =
        cache.keep(Snapshot { nhs_number: number(1), ..snapshot }, CacheFor::Booked, stage.hub.cache_time());
    assert!(alone.is_ok());
    stage.clock.set(NOW.plus(Duration::from_hours(2)));
    let found = stage
        .until(|hub| {
            let found = hub.one_record(&number(0), &purpose()).ok()?;
            (found.section(ItemKind::Result).len() == 2).then_some(found)
        })
        .await;
    assert_eq!(found.disagreements[0].about, Dispute::ResultValue);
    let cached = found.section(ItemKind::Result).iter().find(|item| item.sources[0].cached).unwrap();
    assert_eq!(cached.sources[0].age(found.at), Duration::from_hours(2));
    assert_eq!((found.notices[0].code.as_str(), found.notices[0].text.clone()), ("as-at", NOW.to_string()));
    let only = stage.hub.one_record(&number(1), &purpose()).unwrap();
    assert_eq!(only.section(ItemKind::Result).len(), 1, "an answer alone is a record too");
    assert_eq!(stage.hub.purge_answers(&number(1), "uid 1000").unwrap(), 1);
    assert!(stage.hub.one_record(&number(1), &purpose()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_journalled_and_a_view_made_anew_keeps_to_them() {
    let mut stage = Stage::new();
    let (rio, lab) = (stage.hub.add_link("rio", "RiO", ""), stage.hub.add_link("lab", "laboratory", ""));
    stage.receive(&rio, &[ada(1, "NSTS01", "R1", "")]).await;
    stage.receive(&lab, &[format!("2|9990000018|L1\nResult|1|{POTASSIUM}")]).await;
    let case = stage.until(|hub| hub.matches().ok()?.cases.pop()).await;
    let found = stage.hub.one_record(&number(0), &purpose()).unwrap();
    assert_eq!((found.notices[0].code.as_str(), found.notices[0].system.as_str()), ("not-linked", "lab"));
    assert_eq!(found.section(ItemKind::Result), []);
    let hub = Arc::clone(&stage.hub);
    let decide = move |id: &str, reason: &str| hub.decide_match(id, true, "uid 1000", reason);
    let decided = tokio::task::spawn_blocking(move || {
        assert!(matches!(decide("0000000000000000", "seen"), Err(OperateError::NotFound(_))));
        assert!(matches!(decide(&case.id, " "), Err(OperateError::Invalid(_))));
        decide(&case.id, "seen with the patient")
    });
    decided.await.unwrap().unwrap();
    let results = |hub: &Hub| {
        let found = hub.one_record(&number(0), &purpose()).ok()?;
        (found.section(ItemKind::Result).len() == 1).then_some(())
    };
    stage.until(results).await;
    assert_eq!(stage.hub.matches().unwrap().cases, []);
    stage.stop_view();
    assert!(matches!(stage.hub.matches(), Err(OperateError::NotAvailable(_))));
    fs::remove_file(stage.folder.join("sentinel")).unwrap();
    stage.start_view();
    stage.until(results).await;
    assert_eq!(stage.hub.matches().unwrap().cases, []);
}

/// What the log says.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn neither_log_nor_debug_has_anything_of_a_patient() {
    let captured = Captured::default();
    let log = tracing_subscriber::fmt()
        .with_writer(captured.clone())
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shown = tracing::subscriber::with_default(log, || {
        runtime.block_on(async {
            let stage = Stage::new();
            let rio = stage.hub.add_link("rio", "RiO", "");
            stage.hub.open_cache(Path::new("/state/cache"), Some(policy())).unwrap();
            let more = format!("\nResult|CANARYKEY|{POTASSIUM}");
            stage.receive(&rio, &[ada(1, "NSTS01", "CANARYLOCAL", &more), ada(2, "", "OTHER", "")]).await;
            stage.receive(&rio, &["3|9990000018|CANARYTHIRD\nResult|2|value=CANARYVALUE".to_owned()]).await;
            let (found, cases) = stage
                .until(|hub| {
                    let cases = hub.matches().ok()?;
                    let case = cases.cases.first()?.id.clone();
                    Some((hub.one_record(&number(0), &purpose()).ok()?, (cases, hub.show_match(&case).ok()?)))
                })
                .await;
            let mut shown = format!("{found:?} {cases:?} {:?}", purpose());
            write!(shown, "{:?}", stage.hub.one_record(&number(2), &purpose()).unwrap_err()).unwrap();
            assert!(found.identity.demographics["family_name"].contains("Canary"));
            shown
        })
    });
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("record read") && log.contains("dr-test") && log.contains("demonstration"), "{log}");
    for text in [shown, log] {
        for canary in ["Canary", "CANARY", "999000", "19710203", "1000651000000109"] {
            assert!(!text.contains(canary), "{text}");
        }
    }
}

#[tokio::test]
async fn two_local_numbers_of_one_system_are_both_shown_and_their_names_disputed() {
    let stage = Stage::new();
    let rio = stage.hub.add_link("rio", "RiO", "");
    let older = ada(10, "NSTS01", "A", "");
    let newer = ada(20, "NSTS01", "B", "").replace("Canaryname", "Finchname");
    stage.receive(&rio, &[older, newer]).await;
    let shown = |hub: &Hub| hub.one_record(&number(0), &purpose()).ok();
    let both = |record: &OneRecord| record.section(ItemKind::Demographics).len() == 2;
    let record = stage.until(|hub| shown(hub).filter(both)).await;
    let people = record.section(ItemKind::Demographics).iter();
    let mut names: Vec<_> = people.map(|item| item.fields["family_name"].clone()).collect();
    names.sort();
    assert_eq!(names, ["Canaryname", "Finchname"]);
    let about: Vec<_> = record.disagreements.iter().map(|disagreement| disagreement.about).collect();
    assert_eq!(about, [Dispute::FamilyName]);
}

//! What every store of the centre promises, checked against each: exactly once, by number, durable when said.
#![expect(clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use polygate::{
    centre::{
        entries::StoredEntry,
        ingest::Checked,
        store::{
            ActCursor, CommitError, Committed, Filter, Following, Store, StreamStatus, embedded::Embedded,
            postgres::Postgres,
        },
    },
    domain::{
        entry::{Absent, AbsentReason, BatchEntry, Receipt, Refused},
        ids::{Class, Epoch, Sequence, SequenceRange},
        time::{ClockQuality, Timestamp},
    },
    sys::{clock::SystemClock, disk::RealDisk},
};
use support::{Directory, hub, postgres::Postgres as PostgresServer};

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp(1_800_000_000_123);
const EPOCH: Epoch = Epoch((1 << 53) - 1);

/// Where a store lives, so that it can be opened again.
struct Home {
    place: Place,
    opened: Mutex<Vec<Arc<Store>>>,
}

enum Place {
    Server(PostgresServer),
    Folder(Directory),
}

impl Home {
    fn postgres() -> Option<Self> {
        Some(Self { place: Place::Server(PostgresServer::start()?), opened: Mutex::default() })
    }

    fn embedded() -> Self {
        Self { place: Place::Folder(Directory::new()), opened: Mutex::default() }
    }

    async fn open(&self) -> Arc<Store> {
        let store = Arc::new(match &self.place {
            Place::Server(server) => Store::Postgres(Postgres::open(&server.url()).await.unwrap()),
            Place::Folder(directory) => {
                let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock));
                Store::Embedded(Embedded::open(disk, &directory.path().join("store"), clock).unwrap())
            }
        });
        self.opened.lock().unwrap().push(Arc::clone(&store));
        store
    }

    /// Ends every store, so that nothing is written any more.
    async fn close(self) {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        for store in opened {
            store.close().await;
        }
    }
}

/// Each promise, kept by each store.
macro_rules! promises {
    ($($promise:ident,)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                let home = super::Home::embedded();
                super::$promise(&home).await;
                home.close().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                if let Some(home) = super::Home::postgres() {
                    super::$promise(&home).await;
                    home.close().await;
                }
            })*
        }
    };
}

promises! {
    the_same_batch_again_changes_nothing,
    overlapping_batches_are_stored_once,
    gaps_are_named_until_they_are_filled,
    absent_numbers_are_not_waited_for,
    a_number_used_twice_keeps_its_first_entry,
    refused_entries_are_covered_and_named,
    no_refusal_is_covered_before_it_is_named,
    streams_do_not_touch_each_other,
    workers_in_parallel_store_everything_once,
    a_store_opened_again_knows_what_it_knew,
    entries_are_found_by_hub_class_and_source_id,
    large_and_odd_entries_are_taken,
    what_desks_decide_is_given_out_once_and_in_order,
    what_comes_of_patients_is_given_out_once_and_nothing_behind_a_hole_is_forgotten,
    a_patients_entries_are_found_and_who_has_opened_their_record,
}

fn entry(seq: Sequence) -> BatchEntry {
    BatchEntry {
        seq,
        id: format!("{seq:032x}"),
        kind: "ADT^A01".to_owned(),
        system: "rio".to_owned(),
        source_id: format!("M{seq}"),
        patient: Some("9990000018".to_owned()),
        at: Timestamp(1_799_999_999_000),
        clock: ClockQuality::Synchronised,
        body: Bytes::from_static(&[0xa0]),
        raw: Some(Bytes::from_static(b"MSH|^~\\&|")),
    }
}

fn batch(first: Sequence, last: Sequence) -> Checked {
    Checked {
        hub: hub("north"),
        class: Class::Clinical,
        epoch: EPOCH,
        first,
        last,
        entries: (first..=last).map(entry).collect(),
        absent: vec![],
        refused: vec![],
        confirmed: None,
    }
}

fn refused(first: Sequence, last: Sequence) -> Checked {
    let refuse = |seq| Refused { seq, reason: "its kind is too long".to_owned() };
    Checked { entries: vec![], refused: (first..=last).map(refuse).collect(), ..batch(first, last) }
}

async fn commit(store: &Store, batch: &Checked) -> Committed {
    store.commit(batch, NOW).await.unwrap()
}

async fn list(store: &Store, filter: &Filter) -> Vec<StoredEntry> {
    let mut found = Vec::new();
    let taken = store.entries(filter, |entry| {
        found.push(entry);
        true
    });
    taken.await.unwrap();
    found.sort_by_key(|entry| (entry.hub.clone(), entry.class, entry.epoch, entry.seq));
    found
}

async fn numbers(store: &Store) -> Vec<Sequence> {
    list(store, &Filter::default()).await.iter().map(|entry| entry.seq).collect()
}

async fn only_stream(store: &Store) -> StreamStatus {
    let mut streams = store.streams().await.unwrap();
    assert_eq!(streams.len(), 1);
    streams.remove(0)
}

fn gap(first: Sequence, last: Sequence) -> SequenceRange {
    SequenceRange { first, last }
}

async fn the_same_batch_again_changes_nothing(home: &Home) {
    let store = home.open().await;
    let first = commit(&store, &batch(1, 5)).await;
    assert_eq!((first.new, first.duplicates, first.conflicts), (5, 0, 0));
    assert_eq!((first.receipt.through, first.receipt.gaps.len(), first.receipt.at), (5, 0, NOW));
    let again = commit(&store, &batch(1, 5)).await;
    assert_eq!((again.new, again.duplicates, again.conflicts), (0, 5, 0));
    assert_eq!(again.receipt, first.receipt);
    assert_eq!(numbers(&store).await, [1, 2, 3, 4, 5]);
    let stream = only_stream(&store).await;
    assert_eq!((stream.entries, stream.duplicates, stream.through, stream.highest), (5, 5, 5, 5));
    assert_eq!(stream.received_at, NOW);
}

async fn what_desks_decide_is_given_out_once_and_in_order(home: &Home) {
    let store = home.open().await;
    let acts = |first, last| {
        let act = |seq| BatchEntry { kind: "booking.act".to_owned(), raw: Some(raw(seq)), ..entry(seq) };
        let entries = (first..=last).map(act).collect();
        Checked { class: Class::Booking, entries, ..batch(first, last) }
    };
    let told = async |cursor: &mut ActCursor| -> Vec<Bytes> {
        let found = store.acts(cursor, Timestamp(NOW.0 - 1)).await.unwrap();
        found.into_iter().map(|act| act.raw).collect()
    };
    let mut cursor = ActCursor::default();
    assert_eq!(told(&mut cursor).await, Vec::<Bytes>::new());
    commit(&store, &acts(1, 2)).await;
    // What is no act, or of another class, is nothing to a desk.
    commit(&store, &Checked { class: Class::Booking, ..batch(3, 3) }).await;
    commit(&store, &batch(1, 1)).await;
    assert_eq!(told(&mut cursor).await, [raw(1), raw(2)]);
    commit(&store, &acts(1, 2)).await;
    assert_eq!(told(&mut cursor).await, Vec::<Bytes>::new(), "the same again");
    commit(&store, &acts(4, 5)).await;
    assert_eq!(told(&mut cursor).await, [raw(4), raw(5)]);
    assert_eq!(cursor.epochs(&hub("north")).collect::<Vec<_>>(), [EPOCH]);
    let mut anew = ActCursor::default();
    assert_eq!(told(&mut anew).await, [raw(1), raw(2), raw(4), raw(5)]);
}

fn of_patient(seq: Sequence, kind: &str) -> BatchEntry {
    BatchEntry { kind: kind.to_owned(), patient: Some("9990000018".to_owned()), ..entry(seq) }
}

fn of_nobody(seq: Sequence) -> BatchEntry {
    BatchEntry { patient: None, ..entry(seq) }
}

/// All that has arrived since.
async fn arrived(store: &Store, following: &mut Following) -> BTreeSet<Sequence> {
    let mut found = BTreeSet::new();
    loop {
        let some = store.arrivals(following).await.unwrap();
        if some.is_empty() {
            return found;
        }
        found.extend(some.iter().map(|one| one.held.entry.seq));
    }
}

async fn what_comes_of_patients_is_given_out_once_and_nothing_behind_a_hole_is_forgotten(home: &Home) {
    let store = home.open().await;
    let some = |first, last| Checked {
        entries: (first..=last).map(|seq| of_patient(seq, "ORU^R01")).collect(),
        ..batch(first, last)
    };
    commit(&store, &some(1, 2)).await;
    let mut following = store.follow_from_now().await.unwrap();
    assert_eq!(arrived(&store, &mut following).await, BTreeSet::new(), "it was there before");
    commit(&store, &Checked { entries: vec![of_nobody(3)], ..batch(3, 3) }).await;
    commit(&store, &some(4, 4)).await;
    assert_eq!(arrived(&store, &mut following).await, BTreeSet::from([4]), "of patients alone");
    let later = Timestamp(NOW.0 + 1_000);
    assert_eq!(following.whole_until(later), later);
    commit(&store, &some(7, 7)).await;
    let mut found = arrived(&store, &mut following).await;
    assert!(found.contains(&7) || following.whole_until(later) == NOW, "it is not said to be whole");
    commit(&store, &some(5, 6)).await;
    found.extend(arrived(&store, &mut following).await);
    assert_eq!(found, BTreeSet::from([5, 6, 7]));
    assert_eq!(following.whole_until(later), later);
}

async fn a_patients_entries_are_found_and_who_has_opened_their_record(home: &Home) {
    let store = home.open().await;
    let acts = of_patient(2, "booking.act");
    let entries = vec![
        of_patient(1, "ORU^R01"),
        acts,
        of_patient(3, "record.opened"),
        of_nobody(4),
        of_patient(5, "ADT^A01"),
    ];
    commit(&store, &Checked { entries, ..batch(1, 5) }).await;
    let numbers = async |since: i64, most: usize| -> Vec<Sequence> {
        let found = store.of_patient("9990000018", Timestamp(since), most).await.unwrap();
        found.iter().map(|one| one.held.entry.seq).collect()
    };
    assert_eq!(numbers(0, 10).await, [1, 5]);
    assert_eq!(numbers(0, 1).await, [5], "the newest");
    assert_eq!(numbers(NOW.0 + 1, 10).await, [0; 0]);
    assert_eq!(store.of_patient("9990000026", Timestamp(0), 10).await.unwrap().len(), 0);
    assert_eq!(store.hubs_of("9990000018").await.unwrap(), BTreeSet::from([hub("north")]));
    assert_eq!(store.hubs_of("9990000026").await.unwrap(), BTreeSet::new());
    let opened = store.opened_since(NOW).await.unwrap();
    let one = &opened[0];
    assert_eq!((opened.len(), one.held.entry.seq, one.received), (1, 3, NOW));
    assert_eq!(
        (one.held.hub.clone(), one.held.class, one.held.epoch),
        (hub("north"), Class::Clinical, EPOCH)
    );
    assert_eq!(one.held.entry, of_patient(3, "record.opened"));
    assert_eq!(store.opened_since(Timestamp(NOW.0 + 1)).await.unwrap().len(), 0);
}

fn raw(seq: Sequence) -> Bytes {
    Bytes::from(format!("act {seq}"))
}

async fn overlapping_batches_are_stored_once(home: &Home) {
    let store = home.open().await;
    commit(&store, &batch(1, 5)).await;
    let over = commit(&store, &batch(4, 8)).await;
    assert_eq!((over.new, over.duplicates, over.receipt.through), (3, 2, 8));
    let around = commit(&store, &batch(1, 9)).await;
    assert_eq!((around.new, around.duplicates, around.receipt.through), (1, 8, 9));
    assert_eq!(numbers(&store).await, (1..=9).collect::<Vec<_>>());
}

async fn gaps_are_named_until_they_are_filled(home: &Home) {
    let store = home.open().await;
    let ahead = commit(&store, &batch(5, 6)).await.receipt;
    assert_eq!((ahead.through, ahead.gaps), (0, vec![gap(1, 4)]));
    let some = commit(&store, &batch(1, 2)).await.receipt;
    assert_eq!((some.through, some.gaps), (2, vec![gap(3, 4)]));
    let stream = only_stream(&store).await;
    assert_eq!((stream.through, stream.highest, stream.gaps), (2, 6, vec![gap(3, 4)]));
    let filled = commit(&store, &batch(3, 4)).await.receipt;
    assert_eq!((filled.through, filled.gaps), (6, vec![]));
    for seq in (8..8 + 2 * 100).step_by(2) {
        commit(&store, &batch(seq, seq)).await;
    }
    let many = commit(&store, &batch(1, 1)).await.receipt;
    assert_eq!((many.through, many.gaps.len(), many.gaps[0]), (6, Receipt::GAPS_MAX, gap(7, 7)));
}

async fn absent_numbers_are_not_waited_for(home: &Home) {
    let store = home.open().await;
    let absent = vec![
        Absent { first: 2, last: 3, reason: AbsentReason::Damaged },
        Absent { first: 5, last: 5, reason: AbsentReason::Parked },
    ];
    let with_holes = Checked { entries: vec![entry(1), entry(4)], absent, ..batch(1, 5) };
    for _ in 0..2 {
        assert_eq!(commit(&store, &with_holes).await.receipt.through, 5);
        assert_eq!(only_stream(&store).await.absent, 3);
    }
    assert_eq!(numbers(&store).await, [1, 4]);
    // What was parked may come after all.
    assert_eq!(commit(&store, &batch(5, 5)).await.new, 1);
    assert_eq!(numbers(&store).await, [1, 4, 5]);
}

async fn a_number_used_twice_keeps_its_first_entry(home: &Home) {
    let store = home.open().await;
    commit(&store, &batch(1, 3)).await;
    let mut rolled_back = batch(2, 4);
    rolled_back.entries[0].id = "f".repeat(32);
    rolled_back.entries[0].source_id = "OTHER".to_owned();
    for round in 0..2 {
        let outcome = commit(&store, &rolled_back).await;
        assert_eq!((outcome.conflicts, outcome.new), (1, u64::from(round == 0)));
        assert_eq!(outcome.receipt.through, 4);
        assert_eq!(outcome.receipt.refused.len(), 1);
        assert_eq!(outcome.receipt.refused[0].seq, 2);
    }
    let found = list(&store, &Filter::default()).await;
    assert_eq!(
        found.iter().map(|entry| entry.source_id.as_str()).collect::<Vec<_>>(),
        ["M1", "M2", "M3", "M4"]
    );
    let stream = only_stream(&store).await;
    assert_eq!((stream.entries, stream.conflicts, stream.refused), (4, 1, 1));
}

async fn refused_entries_are_covered_and_named(home: &Home) {
    let store = home.open().await;
    let mut mixed = batch(1, 4);
    mixed.entries.remove(1);
    mixed.refused = refused(2, 2).refused;
    for _ in 0..2 {
        let receipt = commit(&store, &mixed).await.receipt;
        assert_eq!((receipt.through, &receipt.refused), (4, &mixed.refused));
    }
    assert_eq!(commit(&store, &batch(5, 6)).await.receipt.refused, mixed.refused);
    assert_eq!(only_stream(&store).await.refused, 1);
    assert_eq!(numbers(&store).await, [1, 3, 4, 5, 6]);
}

/// A hub whose every entry is refused, that sends ahead, and reads only the newest receipt.
async fn no_refusal_is_covered_before_it_is_named(home: &Home) {
    const LAST: Sequence = 1500;
    let store = home.open().await;
    let (mut confirmed, mut parked) = (0, BTreeSet::new());
    for _ in 0..20 {
        let mut newest = None;
        for first in (confirmed + 1..=LAST).step_by(500) {
            let sent = Checked { confirmed: Some(confirmed), ..refused(first, LAST.min(first + 499)) };
            newest = Some(commit(&store, &sent).await.receipt);
        }
        let Some(receipt) = newest else { break };
        assert!(receipt.refused.len() <= Receipt::REFUSED_MAX);
        parked.extend(receipt.refused.iter().map(|one| one.seq));
        assert!((1..=receipt.through).all(|seq| parked.contains(&seq)), "erased and not kept aside");
        assert!(confirmed < receipt.through, "no way forward");
        confirmed = receipt.through;
    }
    assert_eq!((confirmed, parked.len() as u64), (LAST, LAST));
    let stream = only_stream(&store).await;
    assert_eq!((stream.through, stream.refused), (LAST, LAST));
}

async fn streams_do_not_touch_each_other(home: &Home) {
    let store = home.open().await;
    let others = [
        Checked { hub: hub("south"), ..batch(2, 2) },
        Checked { class: Class::Urgent, ..batch(2, 2) },
        Checked { epoch: Epoch(0), ..batch(2, 2) },
    ];
    commit(&store, &batch(1, 1)).await;
    for other in &others {
        let outcome = commit(&store, other).await;
        assert_eq!((outcome.new, outcome.receipt.through), (1, 0));
        assert_eq!((&outcome.receipt.hub, outcome.receipt.class), (&other.hub, other.class));
        assert_eq!(outcome.receipt.epoch, other.epoch);
    }
    assert_eq!(store.streams().await.unwrap().len(), 4);
    assert_eq!(list(&store, &Filter::default()).await.len(), 4);
}

/// Eight workers, each with every batch of the stream in an order of its own.
async fn workers_in_parallel_store_everything_once(home: &Home) {
    const BATCHES: u64 = 24;
    let store = home.open().await;
    let worker = |number: u64| {
        let store = Arc::clone(&store);
        async move {
            let mut new = 0;
            for step in 0..BATCHES {
                let first = 1 + 10 * ((step * 7 + number * 5) % BATCHES);
                let outcome = commit(&store, &batch(first, first + 9)).await;
                assert_eq!((outcome.new + outcome.duplicates, outcome.conflicts), (10, 0));
                new += outcome.new;
                let through = outcome.receipt.through;
                let stored = numbers(&store).await.iter().filter(|seq| **seq <= through).count();
                assert_eq!(stored as u64, through, "a receipt speaks of what is not there");
            }
            new
        }
    };
    let workers: Vec<_> = (0..8).map(|number| tokio::spawn(worker(number))).collect();
    let mut new = 0;
    for worker in workers {
        new += worker.await.unwrap();
    }
    assert_eq!(new, 10 * BATCHES);
    assert_eq!(numbers(&store).await, (1..=10 * BATCHES).collect::<Vec<_>>());
    let stream = only_stream(&store).await;
    assert_eq!((stream.through, stream.entries, stream.duplicates), (240, 240, 7 * 240));
}

async fn a_store_opened_again_knows_what_it_knew(home: &Home) {
    let store = home.open().await;
    commit(&store, &batch(1, 3)).await;
    commit(&store, &refused(4, 4)).await;
    commit(&store, &batch(7, 8)).await;
    let before = only_stream(&store).await;
    let listed = list(&store, &Filter::default()).await;
    store.close().await;
    drop(store);
    let store = home.open().await;
    assert_eq!(only_stream(&store).await, before);
    assert_eq!(list(&store, &Filter::default()).await, listed);
    let receipt = commit(&store, &batch(1, 3)).await.receipt;
    assert_eq!((receipt.through, receipt.gaps, receipt.refused[0].seq), (4, vec![gap(5, 6)], 4));
}

async fn entries_are_found_by_hub_class_and_source_id(home: &Home) {
    let store = home.open().await;
    commit(&store, &batch(1, 3)).await;
    commit(&store, &Checked { hub: hub("south"), ..batch(1, 2) }).await;
    commit(&store, &Checked { class: Class::Urgent, ..batch(1, 1) }).await;
    let count = async |filter: Filter| list(&store, &filter).await.len();
    assert_eq!(count(Filter { hub: Some(hub("south")), ..Filter::default() }).await, 2);
    assert_eq!(count(Filter { class: Some(Class::Clinical), ..Filter::default() }).await, 5);
    assert_eq!(count(Filter { source_id: Some("M1".to_owned()), ..Filter::default() }).await, 3);
    assert_eq!(count(Filter { source_id: Some("M9".to_owned()), ..Filter::default() }).await, 0);
    let north = Filter { hub: Some(hub("north")), class: Some(Class::Urgent), source_id: None };
    assert_eq!(
        list(&store, &north).await[0].to_json(),
        format!(
            r#"{{"hub":"north","class":"urgent","epoch":{},"seq":1,"id":"{:032x}","system":"rio","kind":"ADT^A01","source_id":"M1","patient":"9990000018","received_at":"{NOW}"}}"#,
            EPOCH.0, 1
        )
    );
    let (mut seen, all) = (0, Filter::default());
    let taken = store.entries(&all, |_| {
        seen += 1;
        seen < 2
    });
    taken.await.unwrap();
    assert_eq!(seen, 2, "it stops when told to");
}

async fn large_and_odd_entries_are_taken(home: &Home) {
    let store = home.open().await;
    let mut odd = batch(1, 4);
    odd.entries[0].raw = Some(Bytes::from(vec![0; 16 << 20]));
    odd.entries[1].raw = None;
    odd.entries[1].body = Bytes::new();
    odd.entries[1].source_id = "''\\ \u{1F691} \u{7f}\n".to_owned();
    odd.entries[2].patient = None;
    odd.entries[2].source_id = String::new();
    odd.entries[3].at = Timestamp(-2_208_988_800_000);
    assert_eq!(commit(&store, &odd).await.new, 4);
    let found = list(&store, &Filter::default()).await;
    assert_eq!(found[1].source_id, odd.entries[1].source_id);
    assert_eq!((found[2].patient.as_deref(), found[2].source_id.as_str()), (None, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_is_read_beside_its_owner_and_after_a_crash() {
    let home = Home::embedded();
    let Place::Folder(directory) = &home.place else { return };
    let path = directory.path().join("store");
    let store = home.open().await;
    commit(&store, &batch(1, 3)).await;
    commit(&store, &batch(6, 9)).await;
    let mut beside = Vec::new();
    let each = |entry: StoredEntry| {
        beside.push(entry.seq);
        true
    };
    Embedded::entries_of(Arc::new(RealDisk), &path, &Filter::default(), each).unwrap();
    assert_eq!(beside, [1, 2, 3, 6, 7, 8, 9]);
    // Copied as it stands, not closed: what a crash leaves.
    let crashed = Home::embedded();
    let Place::Folder(copy) = &crashed.place else { return };
    let copy = copy.path().join("store");
    std::fs::create_dir(&copy).unwrap();
    for file in std::fs::read_dir(&path).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let store = crashed.open().await;
    let stream = only_stream(&store).await;
    assert_eq!((stream.through, stream.highest, stream.entries), (3, 9, 7));
    assert_eq!(commit(&store, &batch(6, 9)).await.duplicates, 4);
    crashed.close().await;
    home.close().await;
}

/// Batches are being committed from eight tasks while the server is killed; then everything is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_killed_in_mid_commit_loses_nothing_and_doubles_nothing() {
    const BATCHES: u64 = 400;
    let Some(mut server) = PostgresServer::start() else { return };
    let url = server.url();
    let mut confirmed = 0;
    for round in 1..=4 {
        let store = Arc::new(Store::Postgres(Postgres::open(&url).await.unwrap()));
        let worker = |number: u64| {
            let store = Arc::clone(&store);
            async move {
                let mut through = 0;
                for step in (number..BATCHES).step_by(8) {
                    match store.commit(&batch(1 + 10 * step, 10 + 10 * step), NOW).await {
                        Ok(outcome) => through = through.max(outcome.receipt.through),
                        Err(CommitError::Unavailable(_)) => return (through, true),
                        Err(error) => panic!("{error}"),
                    }
                }
                (through, false)
            }
        };
        let workers: Vec<_> = (0..8).map(|number| tokio::spawn(worker(number))).collect();
        let stored = async {
            while numbers(&store).await.len() as u64 <= 700 * round {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, stored).await.unwrap();
        server.kill9();
        let mut interrupted = 0;
        for worker in workers {
            let (through, cut) = worker.await.unwrap();
            confirmed = confirmed.max(through);
            interrupted += u64::from(cut);
        }
        assert!(0 < interrupted, "the server was killed too late to matter");
        assert!(store.streams().await.is_err());
        server.restart();
        let stored = numbers(&store).await;
        assert_eq!(stored.iter().collect::<BTreeSet<_>>().len(), stored.len());
        let kept = stored.iter().filter(|seq| **seq <= confirmed).count();
        assert_eq!(kept as u64, confirmed, "a receipt spoke of what is lost");
    }
    let store = Store::Postgres(Postgres::open(&url).await.unwrap());
    for step in 0..BATCHES {
        commit(&store, &batch(1 + 10 * step, 10 + 10 * step)).await;
    }
    assert_eq!(numbers(&store).await, (1..=10 * BATCHES).collect::<Vec<_>>());
    let stream = only_stream(&store).await;
    assert_eq!((stream.through, stream.entries, stream.gaps.len()), (10 * BATCHES, 10 * BATCHES, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_commits_synchronously_whatever_the_server_says() {
    for (configured, expected) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        let setting = format!("synchronous_commit={configured}");
        let Some(server) = PostgresServer::start_with(&[setting.as_str()]) else { return };
        let store = Store::Postgres(Postgres::open(&server.url()).await.unwrap());
        // Every stored entry notes under which setting it was stored; any but the expected one is an error.
        let watch = format!(
            "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF current_setting('synchronous_commit') <> '{expected}' THEN RAISE 'not {expected}'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER watch BEFORE INSERT ON entry FOR EACH ROW EXECUTE FUNCTION watch()"
        );
        server.run(&watch).await;
        assert_eq!(commit(&store, &batch(1, 2)).await.new, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_schema_is_made_once_and_never_used_from_an_older_program() {
    let Some(server) = PostgresServer::start() else { return };
    let url = server.url();
    let open = |_| {
        let url = url.clone();
        tokio::spawn(async move { Postgres::open(&url).await.map(Store::Postgres) })
    };
    let opened: Vec<_> = (0..8).map(open).collect();
    for store in opened {
        commit(&store.await.unwrap().unwrap(), &batch(1, 2)).await;
    }
    let store = Store::Postgres(Postgres::open(&url).await.unwrap());
    assert_eq!(numbers(&store).await, [1, 2]);
    server.run("INSERT INTO schema_migration (version) VALUES (99)").await;
    let error = Postgres::open(&url).await.unwrap_err().to_string();
    assert!(error.contains("99"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_every_byte_and_every_moment() {
    let Some(server) = PostgresServer::start() else { return };
    let store = Store::Postgres(Postgres::open(&server.url()).await.unwrap());
    let mut odd = batch(1, 1);
    odd.entries[0].body = Bytes::from((0..=255).collect::<Vec<u8>>());
    odd.entries[0].clock = ClockQuality::Unsynchronised;
    commit(&store, &odd).await;
    let check = "DO $$ BEGIN ASSERT (SELECT count(*) = 1 FROM entry WHERE raw = 'MSH|^~\\\\&|'::bytea \
                 AND length(body) = 256 AND get_byte(body, 255) = 255 AND NOT clock_synchronised \
                 AND at = '2027-01-15 07:59:59+00' AND received_at = '2027-01-15 08:00:00.123+00'); END $$";
    server.run(check).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_finding_fault_with_a_batch_is_told_from_being_away_and_quotes_no_patient() {
    let Some(mut server) = PostgresServer::start() else { return };
    let store = Store::Postgres(Postgres::open(&server.url()).await.unwrap());
    server.run("ALTER TABLE entry ADD CHECK (kind <> 'BAD')").await;
    let mut bad = batch(1, 2);
    bad.entries[1].kind = "BAD".to_owned();
    let error = store.commit(&bad, NOW).await.unwrap_err();
    assert!(matches!(error, CommitError::Unstorable(_)), "{error}");
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(shown.contains("23514") && !shown.contains("999000"), "{shown}");
    }
    assert_eq!(commit(&store, &batch(1, 2)).await.new, 2);
    server.kill9();
    let error = store.commit(&batch(3, 3), NOW).await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    server.restart();
    assert_eq!(commit(&store, &batch(3, 3)).await.receipt.through, 3);
}

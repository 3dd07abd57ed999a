//! What both of the centre's stores promise, tried on the embedded one and on a real PostgreSQL.
#![expect(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "a test tells by panicking")]

mod support;

use std::{collections::BTreeSet, path::Path, sync::Arc};

use bytes::Bytes;
use polygate::{
    centre::{
        ingest::Checked,
        store::{Filter, Store, embedded::Embedded, postgres::Postgres},
    },
    domain::{
        entry::{Absent, AbsentReason, BatchEntry, Refused},
        ids::{Class, Epoch, Sequence, SequenceRange},
        time::{ClockQuality, Timestamp},
    },
    sys::{clock::SystemClock, disk::RealDisk, entropy::Entropy},
};
use support::Directory;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const EPOCH: Epoch = Epoch(9);

fn entry(seq: Sequence) -> BatchEntry {
    BatchEntry {
        seq,
        id: format!("{seq:032x}"),
        kind: "ADT^A01".to_owned(),
        system: "rio".to_owned(),
        source_id: format!("M{seq}"),
        patient: Some("9990000018".to_owned()),
        at: NOW,
        clock: ClockQuality::Synchronised,
        body: Bytes::from_static(&[0xa0]),
        raw: Some(Bytes::from_static(b"MSH|\xff\x00")),
    }
}

fn batch(first: Sequence, last: Sequence) -> Checked {
    Checked {
        hub: "north".parse().unwrap(),
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

async fn numbers(store: &Store) -> Vec<Sequence> {
    let mut found = Vec::new();
    store
        .entries(&Filter::default(), |entry| {
            found.push(entry.seq);
            true
        })
        .await
        .unwrap();
    found
}

fn embedded(path: &Path) -> Store {
    Store::Embedded(Embedded::open(Arc::new(RealDisk), path, Arc::new(SystemClock)).unwrap())
}

/// A server that has just been started takes a moment until it lets anyone in.
async fn postgres(server: &support::postgres::Postgres) -> Store {
    for _ in 0..400 {
        match Postgres::open(&server.url()).await {
            Ok(store) => return Store::Postgres(store),
            Err(error) => println!("{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("PostgreSQL lets nobody in");
}

/// Runs a trial on a fresh store of each kind.
async fn on_both(trial: impl AsyncFn(Store)) {
    let directory = Directory::new();
    trial(embedded(&directory.path().join("store"))).await;
    if let Some(server) = support::postgres::Postgres::start() {
        trial(postgres(&server).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_effect_once_however_often_it_comes() {
    on_both(async |store| {
        for round in 0..3 {
            let committed = store.commit(&batch(1, 20), NOW).await.unwrap();
            let expected = if round == 0 { (20, 0) } else { (0, 20) };
            assert_eq!(
                (committed.new, committed.duplicates, committed.conflicts),
                (expected.0, expected.1, 0)
            );
            assert_eq!(committed.receipt.through, 20);
        }
        let committed = store.commit(&batch(15, 25), NOW).await.unwrap();
        assert_eq!((committed.new, committed.duplicates), (5, 6));
        assert_eq!(numbers(&store).await, (1..=25).collect::<Vec<_>>());
        let streams = store.streams().await.unwrap();
        assert_eq!((streams.len(), streams[0].entries, streams[0].through), (1, 25, 25));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_are_named_and_closed() {
    on_both(async |store| {
        store.commit(&batch(1, 3), NOW).await.unwrap();
        let receipt = store.commit(&batch(8, 9), NOW).await.unwrap().receipt;
        assert_eq!((receipt.through, receipt.gaps), (3, vec![SequenceRange { first: 4, last: 7 }]));
        let receipt = store.commit(&batch(4, 7), NOW).await.unwrap().receipt;
        assert_eq!((receipt.through, receipt.gaps), (9, vec![]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_absent_or_refused_is_not_waited_for_and_is_told_again() {
    on_both(async |store| {
        let mut with_holes = batch(1, 10);
        with_holes.entries.retain(|entry| !(3..=6).contains(&entry.seq));
        with_holes.absent = vec![Absent { first: 3, last: 5, reason: AbsentReason::Damaged }];
        with_holes.refused = vec![Refused { seq: 6, reason: "its kind is empty".to_owned() }];
        for _ in 0..2 {
            let receipt = store.commit(&with_holes, NOW).await.unwrap().receipt;
            assert_eq!((receipt.through, receipt.refused.len()), (10, 1), "{receipt:?}");
        }
        let streams = store.streams().await.unwrap();
        assert_eq!((streams[0].entries, streams[0].absent, streams[0].refused), (6, 3, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_never_given_to_a_second_entry() {
    on_both(async |store| {
        store.commit(&batch(1, 5), NOW).await.unwrap();
        let mut other = batch(4, 6);
        other.entries.iter_mut().for_each(|entry| entry.id = format!("{:032x}", entry.seq + 1000));
        let committed = store.commit(&other, NOW).await.unwrap();
        assert_eq!((committed.new, committed.conflicts, committed.receipt.through), (1, 2, 6));
        let refused: Vec<Sequence> = committed.receipt.refused.iter().map(|refused| refused.seq).collect();
        assert_eq!(BTreeSet::from_iter(refused), BTreeSet::from([4, 5]));
        assert_eq!(numbers(&store).await, [1, 2, 3, 4, 5, 6]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_may_commit_the_same_at_once() {
    on_both(async |store| {
        let store = Arc::new(store);
        let workers: Vec<_> = (0..8_u64)
            .map(|worker| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut entropy = Entropy::from_seed(worker);
                    for _ in 0..15 {
                        let first = 1 + entropy.below(90);
                        let committed = store.commit(&batch(first, first + 10), NOW).await.unwrap();
                        assert!(committed.receipt.through <= 100);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        let committed = store.commit(&batch(1, 100), NOW).await.unwrap();
        assert_eq!(committed.receipt.through, 100);
        assert_eq!(numbers(&store).await.len(), 100, "each once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_by_what_their_sender_calls_them() {
    on_both(async |store| {
        store.commit(&batch(1, 30), NOW).await.unwrap();
        let filter = Filter { source_id: Some("M7".to_owned()), ..Filter::default() };
        let mut found = Vec::new();
        let each = |entry: polygate::centre::entries::StoredEntry| {
            found.push((entry.seq, entry.patient, entry.received_at));
            true
        };
        store.entries(&filter, each).await.unwrap();
        assert_eq!(found, [(7, Some("9990000018".to_owned()), NOW)]);
        let none = Filter { hub: Some("south".parse().unwrap()), ..Filter::default() };
        store.entries(&none, |entry| panic!("{entry:?}")).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_remembers_and_can_be_read_beside() {
    let directory = Directory::new();
    let path = directory.path().join("store");
    let store = embedded(&path);
    store.commit(&batch(1, 3), NOW).await.unwrap();
    store.commit(&batch(6, 9), NOW).await.unwrap();
    let mut beside = 0;
    let count = |_| {
        beside += 1;
        true
    };
    Embedded::entries_of(Arc::new(RealDisk), &path, &Filter::default(), count).unwrap();
    assert_eq!(beside, 7, "while it is open");
    // As if it had been killed: not closed.
    drop(store);
    let store = embedded(&path);
    let streams = store.streams().await.unwrap();
    assert_eq!((streams[0].through, streams[0].highest, streams[0].entries), (3, 9, 7));
    assert_eq!(store.commit(&batch(6, 9), NOW).await.unwrap().duplicates, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_may_die_at_any_moment_and_migrates_once() {
    let Some(mut server) = support::postgres::Postgres::start() else { return };
    let store = postgres(&server).await;
    let mut confirmed = 0;
    for round in 0..4_u64 {
        for step in 0..5 {
            let first = 1 + round * 50 + step * 10;
            confirmed = store.commit(&batch(first, first + 9), NOW).await.unwrap().receipt.through;
        }
        let last = confirmed;
        let dying = batch(last + 1, last + 50);
        let commit = store.commit(&dying, NOW);
        server.kill9();
        drop(commit.await);
        server.restart();
        let again = postgres(&server).await;
        let receipt = again.commit(&batch(1, last), NOW).await.unwrap().receipt;
        assert!(last <= receipt.through, "what was confirmed is there");
        // The pool's connections died with the server; a worker tries again until one is good.
        while store.commit(&dying, NOW).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let found = numbers(&store).await;
    assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "each once, none missing");
}

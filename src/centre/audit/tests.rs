//! What hubs journal of their trails, held against each other at the centre.

use std::{path::Path, sync::Arc};

use super::*;
use crate::{
    domain::{audit::CHECKPOINT_KIND, entry::Entry},
    flow::{
        audit::{
            Audit, FileSigner,
            fake::{Bench, NOW, line},
        },
        hub::{Hub, Identity, Parts},
    },
    journal::{Journal, Log, LogReader, Options, PAYLOAD_BYTES_MAX, Position},
    sys::{clock::SimulatedClock, entropy::Entropy, signing::FileKey, sim_disk::SimulatedDisk},
};

/// A hub that journals its checkpoints.
struct Shipping {
    bench: Bench,
    hub: Arc<Hub>,
    journal: Journal,
    audit: Audit,
}

impl Shipping {
    fn start(bench: Bench) -> Self {
        let clock = Arc::new(SimulatedClock::new(NOW));
        let options = Options { floor_bytes: 0, ballast_bytes: 4096, ..Options::default() };
        let disk = SimulatedDisk::default();
        let directory = Path::new("/state/journal");
        let log =
            Log::open(Arc::new(disk.clone()), directory, options, NOW, Entropy::from_seed(1)).unwrap().0;
        let journal = Journal::start(log, Arc::clone(&clock) as _).unwrap();
        let identity = Identity { id: bench.hub.clone(), ods: "5LC01".to_owned(), name: "North".to_owned() };
        let parts = Parts {
            identity,
            journal: journal.clone(),
            clock: Arc::clone(&clock) as _,
            disk: Arc::new(disk),
            translate: |_| None,
        };
        let hub = Hub::new(parts, Path::new("/state"), "nowhere").unwrap();
        let audit = bench.start();
        Self { bench, hub, journal, audit }
    }

    /// So many lines, and a checkpoint that is journalled, so often.
    async fn write(&self, rounds: usize, lines: usize) {
        for _ in 0..rounds {
            for number in 0..lines {
                self.audit.write(line(number)).await.unwrap();
            }
            self.audit.checkpoint_and_ship(&self.hub).await.unwrap();
        }
    }

    /// What the journal holds for the centre.
    fn parcels(&self) -> Vec<Vec<u8>> {
        let mut reader = LogReader::new(Arc::clone(self.journal.shared()), Position::default());
        let mut parcels = Vec::new();
        loop {
            let chunk = reader.read(64 << 20, 1_000).unwrap();
            if chunk.records.is_empty() {
                return parcels;
            }
            for record in chunk.records {
                let entry: Entry = cbor::decode(&record.payload, PAYLOAD_BYTES_MAX).unwrap();
                assert_eq!((entry.kind.as_str(), entry.patient), (CHECKPOINT_KIND, None));
                parcels.push(entry.raw.unwrap().to_vec());
            }
        }
    }
}

fn take(parcels: &[Vec<u8>]) -> (Trail, Vec<Trouble>) {
    let mut trail = Trail::new("north".parse().unwrap());
    let mut troubles: Vec<Trouble> = parcels.iter().flat_map(|parcel| trail.take(parcel)).collect();
    troubles.extend(trail.settle());
    (trail, troubles)
}

fn changed(parcel: &[u8], change: impl FnOnce(&mut Parcel)) -> Vec<u8> {
    let mut read: Parcel = cbor::decode(parcel, PARCEL_BYTES_MAX).unwrap();
    change(&mut read);
    cbor::encode(&read).unwrap()
}

#[tokio::test]
async fn every_line_reaches_the_centre_once_and_anchors_the_hub() {
    let shipping = Shipping::start(Bench::new("north"));
    shipping.write(3, 700).await;
    shipping.audit.end(&shipping.hub).await;
    let parcels = shipping.parcels();
    let (trail, troubles) = take(&parcels);
    assert_eq!((troubles, trail.lines()), (Vec::new(), 2_101));
    assert!(
        parcels
            .iter()
            .all(|parcel| { cbor::decode::<Parcel>(parcel, PARCEL_BYTES_MAX).unwrap().lines.len() <= 1_000 })
    );
    let anchor = trail.anchor().unwrap().to_owned();
    assert!(shipping.audit.verify(Some(&anchor)).unwrap().is_sound());
    // Another start goes on, and sends nothing twice.
    let audit = shipping.bench.start();
    audit.end(&shipping.hub).await;
    let all = shipping.parcels();
    let (trail, troubles) = take(&all);
    assert_eq!((all.len(), troubles, trail.lines()), (parcels.len() + 1, Vec::new(), 2_102));
}

#[tokio::test]
async fn order_and_repetition_do_not_matter_and_a_hole_does() {
    let shipping = Shipping::start(Bench::new("north"));
    shipping.write(12, 9).await;
    let parcels = shipping.parcels();
    assert_eq!(parcels.len(), 12);
    let mut shuffled: Vec<Vec<u8>> = parcels.iter().rev().cloned().collect();
    shuffled.extend(parcels.iter().cloned());
    let (trail, troubles) = take(&shuffled);
    assert_eq!((troubles, trail.lines()), (Vec::new(), 109));
    let mut holed = parcels.clone();
    holed.remove(5);
    let (_, troubles) = take(&holed);
    assert_eq!(troubles, [Trouble::Missing { incarnation: 1, from: 47, to: 55 }]);
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_noticed() {
    let shipping = Shipping::start(Bench::new("north"));
    shipping.write(3, 9).await;
    let parcels = shipping.parcels();
    let spoilt = |change: fn(&mut Parcel)| {
        let (_, troubles) = take(&[parcels[0].clone(), changed(&parcels[1], change)]);
        assert_eq!(troubles.len(), 1, "{troubles:?}");
        troubles[0].clone()
    };
    let lines = Trouble::Lines { incarnation: 1, from: 11, to: 19 };
    assert_eq!(spoilt(|parcel| drop(parcel.lines.pop())), lines);
    assert_eq!(spoilt(|parcel| parcel.lines.swap(0, 1)), lines);
    assert_eq!(spoilt(|parcel| parcel.lines[3][150] ^= 1), lines);
    assert!(matches!(spoilt(|parcel| drop(parcel.proof.pop())), Trouble::Contradiction { .. }));
    assert_eq!(spoilt(|parcel| parcel.note = parcel.note.replace("\n19\n", "\n18\n")), Trouble::Signature);
    assert_eq!(spoilt(|parcel| parcel.key.push('A')), Trouble::Unreadable);
    assert_eq!(take(&[b"no parcel".to_vec()]).1, [Trouble::Unreadable]);
}

#[tokio::test]
async fn a_disk_that_was_put_back_and_a_key_that_was_changed_are_noticed() {
    let shipping = Shipping::start(Bench::new("north"));
    shipping.write(2, 9).await;
    let image = shipping.bench.disk.after_power_cut(&mut Entropy::from_seed(3));
    let counter = shipping.bench.copy(image.clone());
    shipping.write(2, 9).await;
    let mut parcels = shipping.parcels();
    // The whole machine is put back, its counter too: it goes on from an earlier line, under the same numbers.
    let restored = Shipping::start(counter);
    restored.write(3, 5).await;
    parcels.extend(restored.parcels());
    let (trail, troubles) = take(&parcels);
    assert!(matches!(troubles[0], Trouble::Contradiction { .. }), "{troubles:?}");
    let anchor = trail.anchor().unwrap().to_owned();
    let report = restored.audit.verify(Some(&anchor)).unwrap();
    assert!(!report.is_sound(), "the hub sees it itself, with what the centre kept");
    // Another box under the same name.
    let mut stranger = Bench::new("north");
    stranger.signer = Arc::new(FileSigner::new(FileKey::fleeting().unwrap()));
    let stranger = Shipping::start(stranger);
    stranger.write(1, 90).await;
    let mut parcels = shipping.parcels();
    parcels.extend(stranger.parcels());
    let (_, troubles) = take(&parcels);
    let other =
        |trouble: &Trouble| matches!(trouble, Trouble::Contradiction { source: Contradiction::OtherKey, .. });
    assert!(troubles.iter().any(other), "{troubles:?}");
}

//! What a hub sent, checked: sans-I/O. A batch that cannot be read is rejected as a whole; an entry that
//! cannot be kept is refused alone, by its number.

use bytes::Bytes;

use crate::{
    codec::cbor,
    domain::{
        entry::{Absent, Batch, BatchEntry, Refused, WIRE_VERSION},
        ids::{Class, Epoch, HubId, Sequence},
        nhs_number::NhsNumber,
    },
    journal::PAYLOAD_BYTES_MAX,
    sync::batch::{COMPRESSED, PLAIN},
};

/// The most that a batch may take, compressed or not, in bytes: one message of the MLLP limit (16 MiB) and
/// what goes with it. A few kilobytes of zstd may claim to be a terabyte.
pub const BATCH_BYTES_MAX: usize = 18 << 20;
/// Entries and ranges in one batch; hubs send at most 1,000.
const BATCH_ENTRIES_MAX: usize = 10_000;
/// One entry's body and raw bytes together: what both stores can hold with what they add to it. Hubs' own
/// journals hold no more.
const ENTRY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - (4 << 10);
/// Epochs and numbers stay exact in JSON and in PostgreSQL's bigint.
const NUMBER_MAX: u64 = 1 << 53;
/// Year 1900 to 9999, in milliseconds since 1970.
const MOMENTS: std::ops::RangeInclusive<i64> = -2_208_988_800_000..=253_402_300_799_000;

/// A batch that may be stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checked {
    /// Whose.
    pub hub: HubId,
    /// Which class.
    pub class: Class,
    /// Which epoch.
    pub epoch: Epoch,
    /// The lowest number it speaks of.
    pub first: Sequence,
    /// The highest number it speaks of.
    pub last: Sequence,
    /// Entries that can be kept.
    pub entries: Vec<BatchEntry>,
    /// Numbers that will never come.
    pub absent: Vec<Absent>,
    /// Entries that cannot be kept.
    pub refused: Vec<Refused>,
    /// How far the hub has taken in the centre's receipts, where it says so: it has kept aside every refused
    /// entry up to there, and need not be told again.
    pub confirmed: Option<Sequence>,
}

/// Why a batch is not even looked at.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The topic is none of a hub's.
    #[error("the topic is not polygate/{WIRE_VERSION}/HUB/up/CLASS")]
    Topic,
    /// The content type is unknown.
    #[error("the content type is neither {PLAIN} nor {COMPRESSED}")]
    ContentType,
    /// The compressed bytes are damaged, or more than allowed.
    #[error("it cannot be decompressed to at most {BATCH_BYTES_MAX} bytes")]
    Compression,
    /// The bytes are no batch.
    #[error("it is not a batch")]
    Malformed(#[source] cbor::CborError),
    /// It contradicts its topic or itself.
    #[error("{0}")]
    Inconsistent(&'static str),
}

/// The hub and class of a topic `polygate/1/{hub}/up/{class}`.
///
/// # Errors
/// It is another topic.
pub fn read_topic(topic: &str) -> Result<(HubId, Class), Rejection> {
    let levels: Vec<&str> = topic.split('/').collect();
    match levels.as_slice() {
        ["polygate", "1", hub, "up", class] => {
            let hub = hub.parse().map_err(|_| Rejection::Topic)?;
            Ok((hub, class.parse().map_err(|_| Rejection::Topic)?))
        }
        _ => Err(Rejection::Topic),
    }
}

/// Reads and checks a batch.
///
/// # Errors
/// The batch as a whole is of no use.
pub fn read(topic: &str, content_type: Option<&str>, payload: &[u8]) -> Result<Checked, Rejection> {
    let (hub, class) = read_topic(topic)?;
    let batch: Batch = match content_type {
        Some(PLAIN) | None => cbor::decode(payload, BATCH_BYTES_MAX).map_err(Rejection::Malformed)?,
        Some(COMPRESSED) => {
            let plain =
                zstd::bulk::decompress(payload, BATCH_BYTES_MAX).map_err(|_| Rejection::Compression)?;
            cbor::decode(&plain, BATCH_BYTES_MAX).map_err(Rejection::Malformed)?
        }
        Some(_) => return Err(Rejection::ContentType),
    };
    if batch.v != WIRE_VERSION {
        return Err(Rejection::Inconsistent("its version is unknown"));
    }
    if batch.hub != hub || batch.class != class {
        return Err(Rejection::Inconsistent("it names another hub or class than its topic"));
    }
    check(batch)
}

/// How far the hub has taken in the centre's receipts: the user property `confirmed` of a batch.
pub fn confirmed(user_properties: &[(String, String)]) -> Option<Sequence> {
    property(user_properties, "confirmed")
}

/// Reports a batch that could not be read as one refused entry, if it held only one: hubs send ever smaller
/// batches while they get no receipt, so that it comes to this.
pub fn refuse_single(
    topic: &str,
    user_properties: &[(String, String)],
    rejection: &Rejection,
) -> Option<Checked> {
    let (hub, class) = read_topic(topic).ok()?;
    let property = |name| property(user_properties, name);
    let (epoch, first, last) = (Epoch(property("epoch")?), property("first")?, property("last")?);
    if first == 0 || first != last {
        return None;
    }
    let refused = vec![Refused { seq: first, reason: rejection.to_string() }];
    let (entries, absent) = (Vec::new(), Vec::new());
    Some(Checked { hub, class, epoch, first, last, entries, absent, refused, confirmed: None })
}

/// Reports a batch that the store will never take as one refused entry, if it holds only one.
pub fn refuse_unstorable(batch: Checked) -> Option<Checked> {
    if batch.first != batch.last {
        return None;
    }
    let refused = vec![Refused { seq: batch.first, reason: "the store cannot hold it".to_owned() }];
    Some(Checked { entries: Vec::new(), absent: Vec::new(), refused, ..batch })
}

fn property(user_properties: &[(String, String)], name: &str) -> Option<u64> {
    let found = user_properties.iter().find(|(key, _)| key == name)?;
    found.1.parse::<u64>().ok().filter(|number| *number < NUMBER_MAX)
}

fn check(batch: Batch) -> Result<Checked, Rejection> {
    let Batch { hub, class, epoch, first, entries, absent, .. } = batch;
    if NUMBER_MAX <= epoch.0 || first == 0 {
        return Err(Rejection::Inconsistent("its epoch or first number is out of range"));
    }
    if BATCH_ENTRIES_MAX < entries.len() || BATCH_ENTRIES_MAX < absent.len() {
        return Err(Rejection::Inconsistent("it holds too many entries"));
    }
    let last = covered(first, &entries, &absent)?;
    let (mut kept, mut refused) = (Vec::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        match fault(&entry) {
            None => kept.push(entry),
            Some(reason) => refused.push(Refused { seq: entry.seq, reason: reason.to_owned() }),
        }
    }
    Ok(Checked { hub, class, epoch, first, last, entries: kept, absent, refused, confirmed: None })
}

/// The last number, if entries and absent ranges together cover every number from `first` on, each once.
fn covered(first: Sequence, entries: &[BatchEntry], absent: &[Absent]) -> Result<Sequence, Rejection> {
    let singles = entries.iter().map(|entry| (entry.seq, entry.seq));
    let mut ranges: Vec<(Sequence, Sequence)> =
        singles.chain(absent.iter().map(|range| (range.first, range.last))).collect();
    ranges.sort_unstable();
    let mut expected = first;
    for (start, end) in ranges {
        if start != expected || end < start || NUMBER_MAX <= end {
            return Err(Rejection::Inconsistent("its numbers are not contiguous"));
        }
        expected = end + 1;
    }
    if expected == first { Err(Rejection::Inconsistent("it is empty")) } else { Ok(expected - 1) }
}

/// Why an entry cannot be kept.
fn fault(entry: &BatchEntry) -> Option<&'static str> {
    // PostgreSQL's text cannot hold U+0000.
    let legal = |text: &str, bytes_max: usize| text.len() <= bytes_max && !text.contains('\0');
    let hexadecimal = entry.id.len() == 32 && entry.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let patient = entry.patient.as_deref();
    if !hexadecimal {
        Some("its id is not 32 hexadecimal digits")
    } else if entry.kind.is_empty() || !legal(&entry.kind, 64) {
        Some("its kind is empty, too long or holds a NUL")
    } else if entry.system.is_empty() || !legal(&entry.system, 64) {
        Some("its system is empty, too long or holds a NUL")
    } else if !legal(&entry.source_id, 400) {
        Some("its source_id is too long or holds a NUL")
    } else if patient
        .is_some_and(|patient| NhsNumber::parse(patient).map(|n| n.as_str() != patient).unwrap_or(true))
    {
        Some("its patient is not a valid NHS number")
    } else if ENTRY_BYTES_MAX < entry.body.len() + entry.raw.as_ref().map_or(0, Bytes::len) {
        Some("it is too large")
    } else if !MOMENTS.contains(&entry.at.0) {
        Some("its time is out of range")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        entry::AbsentReason,
        time::{ClockQuality, Timestamp},
    };

    const TOPIC: &str = "polygate/1/north/up/clinical";

    fn entry(seq: Sequence) -> BatchEntry {
        BatchEntry {
            seq,
            id: format!("{seq:032x}"),
            kind: "ADT^A01".to_owned(),
            system: "rio".to_owned(),
            source_id: format!("M{seq}"),
            patient: Some("9990000018".to_owned()),
            at: Timestamp(1_800_000_000_000),
            clock: ClockQuality::Synchronised,
            body: Bytes::from_static(&[0xa0]),
            raw: Some(Bytes::from_static(b"MSH|")),
        }
    }

    fn batch(first: Sequence, entries: Vec<BatchEntry>, absent: Vec<(u64, u64)>) -> Batch {
        let range = |(first, last)| Absent { first, last, reason: AbsentReason::Damaged };
        Batch {
            v: WIRE_VERSION,
            hub: "north".parse().unwrap(),
            class: Class::Clinical,
            epoch: Epoch(5),
            first,
            entries,
            absent: absent.into_iter().map(range).collect(),
        }
    }

    fn read_batch(batch: &Batch) -> Result<Checked, Rejection> {
        read(TOPIC, Some(PLAIN), &cbor::encode(batch).unwrap())
    }

    #[test]
    fn a_whole_batch_is_taken_plain_or_compressed() {
        let whole = batch(3, vec![entry(3), entry(6)], vec![(4, 5)]);
        let checked = read_batch(&whole).unwrap();
        assert_eq!((checked.first, checked.last, checked.entries.len()), (3, 6, 2));
        let bytes = zstd::bulk::compress(&cbor::encode(&whole).unwrap(), 1).unwrap();
        assert_eq!(read(TOPIC, Some(COMPRESSED), &bytes).unwrap(), checked);
    }

    #[test]
    fn holes_overlaps_and_contradictions_reject_the_batch() {
        for wrong in [
            batch(1, vec![entry(1), entry(3)], vec![]),
            batch(1, vec![entry(1), entry(1)], vec![]),
            batch(1, vec![entry(2)], vec![]),
            batch(0, vec![entry(0)], vec![]),
            batch(1, vec![], vec![]),
            batch(1, vec![entry(1)], vec![(1, 2)]),
            batch(1, vec![], vec![(1, 0)]),
            batch(1, vec![], vec![(1, u64::MAX)]),
            Batch { epoch: Epoch(u64::MAX), ..batch(1, vec![entry(1)], vec![]) },
            Batch { v: 9, ..batch(1, vec![entry(1)], vec![]) },
            Batch { hub: "south".parse().unwrap(), ..batch(1, vec![entry(1)], vec![]) },
            Batch { class: Class::Urgent, ..batch(1, vec![entry(1)], vec![]) },
        ] {
            assert!(read_batch(&wrong).is_err(), "{wrong:?}");
        }
        for topic in
            ["polygate/1/north/up/x", "polygate/2/north/up/clinical", "polygate/1/No/up/clinical", "x"]
        {
            assert!(matches!(read(topic, None, &[]), Err(Rejection::Topic)), "{topic}");
        }
        assert!(matches!(read(TOPIC, Some("text/plain"), &[]), Err(Rejection::ContentType)));
    }

    #[test]
    fn a_bomb_is_not_let_off() {
        let bomb = zstd::bulk::compress(&vec![0_u8; 64 << 20], 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(matches!(read(TOPIC, Some(COMPRESSED), &bomb), Err(Rejection::Compression)));
    }

    #[test]
    fn an_entry_that_cannot_be_kept_is_refused_alone() {
        type Spoil = fn(&mut BatchEntry);
        let spoils: [Spoil; 8] = [
            |entry| entry.id = "short".to_owned(),
            |entry| entry.kind = String::new(),
            |entry| entry.kind = "A\0".to_owned(),
            |entry| entry.system = "x".repeat(65),
            |entry| entry.source_id = "M\0".to_owned(),
            |entry| entry.patient = Some("9990000019".to_owned()),
            |entry| entry.at = Timestamp(i64::MAX),
            |entry| entry.raw = Some(Bytes::from(vec![0; ENTRY_BYTES_MAX])),
        ];
        for spoil in spoils {
            let mut wrong = entry(2);
            spoil(&mut wrong);
            let checked = read_batch(&batch(1, vec![entry(1), wrong, entry(3)], vec![])).unwrap();
            assert_eq!((checked.entries.len(), checked.refused.len(), checked.last), (2, 1, 3));
            assert_eq!(checked.refused[0].seq, 2);
        }
    }

    #[test]
    fn an_unreadable_batch_of_one_is_refused_by_its_number() {
        let properties = |first: &str, last: &str| {
            [("epoch", "5"), ("first", first), ("last", last)].map(|(k, v)| (k.to_owned(), v.to_owned()))
        };
        let refused = refuse_single(TOPIC, &properties("7", "7"), &Rejection::Compression).unwrap();
        assert_eq!((refused.epoch, refused.refused[0].seq), (Epoch(5), 7));
        assert_eq!(refuse_single(TOPIC, &properties("7", "9"), &Rejection::Compression), None);
        assert_eq!(refuse_single(TOPIC, &[], &Rejection::Compression), None);
    }

    #[test]
    fn a_batch_of_one_that_no_store_takes_is_refused_by_its_number() {
        let one = read_batch(&batch(4, vec![entry(4)], vec![])).unwrap();
        let refused = refuse_unstorable(one).unwrap();
        assert_eq!((refused.entries.len(), refused.refused[0].seq), (0, 4));
        let two = read_batch(&batch(4, vec![entry(4), entry(5)], vec![])).unwrap();
        assert_eq!(refuse_unstorable(two), None);
    }

    #[test]
    fn reads_how_far_the_hub_is() {
        let properties = |value: &str| [("confirmed".to_owned(), value.to_owned())];
        assert_eq!(confirmed(&properties("41")), Some(41));
        assert_eq!(confirmed(&properties("-1")), None);
        assert_eq!(confirmed(&properties(&u64::MAX.to_string())), None);
        assert_eq!(confirmed(&[]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes: Vec<u8>, compressed: bool) {
            let kind = if compressed { COMPRESSED } else { PLAIN };
            proptest::prop_assert!(read(TOPIC, Some(kind), &bytes).is_err());
        }

        #[test]
        fn a_damaged_batch_is_rejected_or_consistent(place: usize, value: u8, compressed: bool) {
            let plain = cbor::encode(&batch(3, vec![entry(3), entry(6)], vec![(4, 5)])).unwrap();
            let mut bytes = if compressed { zstd::bulk::compress(&plain, 1).unwrap() } else { plain };
            let place = place % bytes.len();
            bytes[place] = value;
            if let Ok(checked) = read(TOPIC, Some(if compressed { COMPRESSED } else { PLAIN }), &bytes) {
                let absent: u64 = checked.absent.iter().map(|range| range.last - range.first + 1).sum();
                let spoken_of = (checked.entries.len() + checked.refused.len()) as u64 + absent;
                proptest::prop_assert_eq!(spoken_of, checked.last - checked.first + 1);
            }
        }
    }
}

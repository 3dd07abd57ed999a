//! The tree against RFC 6962's own words, lines and records against every bit, notes against every byte.

use proptest::prelude::*;

use super::{
    checkpoint::{NoteError, claimed},
    line::{FIELD_BYTES_MAX, LINE_BYTES_MAX, REASON_BYTES_MAX},
    record::RECORD_BYTES_MAX,
    tree::{TILE_LEAVES, empty_root, leaf_hash, node_hash},
    *,
};
use crate::domain::{
    nhs_number::NhsNumber,
    time::{ClockQuality, Timestamp},
};

/// MTH as RFC 6962, 2.1, defines it.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(naive_split(many.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn naive_split(count: usize) -> usize {
    let mut power = 1;
    while power * 2 < count {
        power *= 2;
    }
    power
}

/// PATH, as defined there.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - middle, right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF, as defined there.
fn naive_proof(old: usize, leaves: &[Hash], is_known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if is_known { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let middle = naive_split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if old <= middle {
        (naive_proof(old, left, is_known), naive_root(right))
    } else {
        (naive_proof(old - middle, right, false), naive_root(left))
    };
    proof.push(sibling);
    proof
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_le_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree
}

/// The data and roots that certificate-transparency implementations have published since 2012 as RFC 6962's
/// test vectors (eight leaves, and the root after each).
#[test]
fn the_published_roots_come_out() {
    let data: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::default();
    assert_eq!(hexadecimal(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (data, root) in data.iter().zip(roots) {
        tree.push(leaf_hash(data));
        assert_eq!(hexadecimal(&tree.root()), root);
    }
}

#[test]
fn every_proof_of_small_trees_is_the_definitions_and_verifies() {
    let all = leaves(70);
    let tree = tree(&all);
    for size in 1..=all.len() {
        let known = &all[..size];
        let root = naive_root(known);
        assert_eq!(tree.root_at(size as u64, all.as_slice()).unwrap(), Some(root));
        for index in 0..size {
            let path = tree.inclusion(index as u64, size as u64, all.as_slice()).unwrap().unwrap();
            assert_eq!(path, naive_path(index, known), "leaf {index} of {size}");
            assert!(verify_inclusion(&all[index], index as u64, size as u64, &path, &root));
        }
        for old in 1..=size {
            let proof = tree.consistency(old as u64, size as u64, all.as_slice()).unwrap().unwrap();
            assert_eq!(proof, naive_proof(old, known, true), "{old} to {size}");
            assert!(verify_consistency(old as u64, size as u64, &naive_root(&all[..old]), &root, &proof));
        }
    }
    assert_eq!(tree.inclusion(70, 70, all.as_slice()).unwrap(), None);
    assert_eq!(tree.inclusion(0, 71, all.as_slice()).unwrap(), None);
    assert_eq!(tree.consistency(3, 71, all.as_slice()).unwrap(), None);
}

#[test]
fn no_wrong_proof_verifies() {
    let all = leaves(37);
    let tree = tree(&all);
    let root = tree.root();
    for index in 0..37_u64 {
        let path = tree.inclusion(index, 37, all.as_slice()).unwrap().unwrap();
        let leaf = &all[usize::try_from(index).unwrap()];
        for (other, size) in [(index + 1, 37), (index ^ 1, 37), (index, index), (index, 0)] {
            assert!(!verify_inclusion(leaf, other, size, &path, &root), "leaf {index} as {other} of {size}");
        }
        assert!(!verify_inclusion(&[7; 32], index, 37, &path, &root));
        assert!(!verify_inclusion(leaf, index, 37, &path[1..], &root));
        for bit in 0..path.len() * 256 {
            let mut spoilt = path.clone();
            spoilt[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
            assert!(!verify_inclusion(leaf, index, 37, &spoilt, &root));
        }
    }
    for old in 1..37 {
        let proof = tree.consistency(old, 37, all.as_slice()).unwrap().unwrap();
        let known = naive_root(&all[..usize::try_from(old).unwrap()]);
        assert!(!verify_consistency(old, 37, &[7; 32], &root, &proof));
        assert!(!verify_consistency(old, 37, &known, &[7; 32], &proof));
        for place in 0..proof.len() {
            let mut spoilt = proof.clone();
            spoilt[place][0] ^= 1;
            assert!(!verify_consistency(old, 37, &known, &root, &spoilt));
        }
    }
    assert!(!verify_consistency(5, 4, &root, &root, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Past several tiles, where nodes come from what is kept.
    #[test]
    fn large_trees_agree_with_the_definition(size in 1_usize..2_000, one in 0.0..1.0_f64, other in 0.0..1.0_f64) {
        let all = leaves(size);
        let tree = tree(&all);
        prop_assert_eq!(tree.root(), naive_root(&all));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small number")]
        let part = |of: usize, share: f64| (of as f64 * share) as usize;
        let then = part(size, one) + 1;
        prop_assert_eq!(tree.root_at(then as u64, all.as_slice()).unwrap().unwrap(), naive_root(&all[..then]));
        let index = part(then, other);
        let path = tree.inclusion(index as u64, then as u64, all.as_slice()).unwrap().unwrap();
        prop_assert_eq!(path, naive_path(index, &all[..then]));
        let proof = tree.consistency(then as u64, size as u64, all.as_slice()).unwrap().unwrap();
        prop_assert_eq!(&proof, &naive_proof(then, &all, true));
        prop_assert!(verify_consistency(then as u64, size as u64, &naive_root(&all[..then]), &naive_root(&all), &proof));
    }

    #[test]
    fn any_line_reads_back(
        texts in proptest::collection::vec(".{0,40}", 11), at: i64, outcome in 0_u8..3, with_patient: bool, shown: Option<[u8; 32]>,
    ) {
        let mut line = line();
        line.at = Timestamp(at);
        line.outcome = [Outcome::Done, Outcome::Refused, Outcome::Failed][usize::from(outcome)];
        if !with_patient { line.patient = None; }
        line.shown = shown;
        for (field, text) in [&mut line.user, &mut line.name, &mut line.roles, &mut line.job_role, &mut line.organisation,
            &mut line.device, &mut line.deed, &mut line.handle, &mut line.ground, &mut line.reason, &mut line.trace].into_iter().zip(texts) {
            *field = text;
        }
        prop_assert_eq!(Line::decode(&line.encode()), Some(line));
    }

    #[test]
    fn no_bytes_panic_and_what_is_read_has_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
    }
}

fn line() -> Line {
    Line {
        at: Timestamp(1_795_000_000_000),
        user: "amara".to_owned(),
        name: "Amara Okafor".to_owned(),
        roles: "clinician".to_owned(),
        job_role: "R8000".to_owned(),
        organisation: "5LC01".to_owned(),
        device: "10.1.2.3".to_owned(),
        deed: "record.view".to_owned(),
        outcome: Outcome::Done,
        patient: Some(NhsNumber::parse("9990000018").unwrap()),
        handle: "p-17".to_owned(),
        ground: "arrived".to_owned(),
        reason: "she asked me to".to_owned(),
        shown: Some([5; 32]),
        trace: "0f0e".to_owned(),
    }
}

fn moment() -> Moment {
    Moment { start: 3, elapsed_ms: 99, wall: Timestamp(1), clock: ClockQuality::Synchronised }
}

#[test]
fn debug_shows_neither_patient_nor_reason() {
    let record = Record::seal(line(), 1, 0, moment(), [0; 32], [9; 16]);
    let shown = format!("{record:?}");
    assert!(!shown.contains("999") && !shown.contains("asked") && shown.contains("record.view"), "{shown}");
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let long = Line { reason: "ä€".repeat(5_000), name: "x".repeat(5_000), ..line() };
    let bytes = long.encode();
    assert!(bytes.len() <= LINE_BYTES_MAX);
    let read = Line::decode(&bytes).unwrap();
    assert!(read.reason.ends_with('…') && read.reason.len() <= REASON_BYTES_MAX);
    assert!(read.name.ends_with('…') && read.name.len() <= FIELD_BYTES_MAX);
    assert_eq!(Record::seal(long, 1, 0, moment(), [0; 32], [0; 16]).line, read);
}

#[test]
fn the_longest_line_fits() {
    let longest = || "x".repeat(REASON_BYTES_MAX);
    let line = Line {
        user: longest(),
        name: longest(),
        roles: longest(),
        job_role: longest(),
        organisation: longest(),
        device: longest(),
        deed: longest(),
        handle: longest(),
        ground: longest(),
        reason: longest(),
        trace: longest(),
        ..line()
    };
    let record = Record::seal(line, u64::MAX, 0, moment(), [0; 32], [0; 16]);
    assert!(record.encode().len() <= RECORD_BYTES_MAX);
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

#[test]
fn every_bit_of_a_record_counts() {
    let record = Record::seal(line(), 17, 16, moment(), [3; 32], [9; 16]);
    let (bytes, hash) = (record.encode(), record.seal.hash());
    assert_eq!(Record::decode(&bytes), Ok(record));
    for bit in 0..bytes.len() * 8 {
        let mut spoilt = bytes.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Record::decode(&spoilt) {
            assert_ne!(other.seal.hash(), hash, "bit {bit}");
        }
    }
}

/// "Signs" with a hash: what is tested here is the note.
#[derive(Debug)]
struct Toy(VerifyingKey);

impl Toy {
    fn new(number: u8) -> Self {
        Self(VerifyingKey { algorithm: 1, public: vec![number; 32] })
    }

    fn name(&self) -> KeyName {
        KeyName::of(&"north".parse().unwrap(), &self.0)
    }
}

impl Signer for Toy {
    fn key(&self) -> &VerifyingKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFailed> {
        Ok(leaf_hash(&[&self.0.public, message].concat()).to_vec())
    }
}

fn verify(algorithm: u8, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey { algorithm, public: public.to_vec() };
    Toy(key).sign(message).is_ok_and(|signed| signed == signature)
}

fn checkpoint(all: &[Hash], incarnation: u64) -> Checkpoint {
    Checkpoint {
        hub: "north".parse().unwrap(),
        incarnation,
        size: all.len() as u64,
        root: naive_root(all),
        counter: 4,
        time: Timestamp(1_795_000_000_000),
        clock: ClockQuality::Synchronised,
    }
}

#[test]
fn a_note_reads_back_and_no_byte_of_it_may_change() {
    let (signer, checkpoint) = (Toy::new(1), checkpoint(&leaves(5), 2));
    let note = checkpoint.sign(&signer).unwrap();
    assert!(note.starts_with("polygate/north/2\n5\n"), "{note}");
    assert_eq!(Opened::read(&note, signer.key(), verify).unwrap().checkpoint, checkpoint);
    assert_eq!(claimed(&note), Some(checkpoint));
    assert_eq!(Opened::read(&note, Toy::new(2).key(), verify), Err(NoteError::Signature));
    for bit in 0..note.len() * 8 {
        let mut spoilt = note.clone().into_bytes();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        if let Ok(spoilt) = String::from_utf8(spoilt) {
            assert!(Opened::read(&spoilt, signer.key(), verify).is_err(), "bit {bit}: {spoilt}");
        }
    }
    let name = signer.name();
    assert_eq!(KeyName::parse(&name.to_string()), Some(name.clone()));
    assert!(name.is_of(&"north".parse().unwrap()) && !name.is_of(&"south".parse().unwrap()));
    assert_eq!(KeyName::parse("polygate/north+00000000+AAAA"), None);
}

#[test]
fn a_witness_takes_growth_and_nothing_else() {
    let (all, signer) = (leaves(300), Toy::new(1));
    let tree = tree(&all);
    let at = |size: usize| checkpoint(&all[..size], 2);
    let proof = |old, new| tree.consistency(old, new, all.as_slice()).unwrap().unwrap();
    let mut witness = Witness { key: signer.name(), newest: at(10) };
    let key = signer.name();
    assert_eq!(witness.see(&key, &at(10), &[]), Ok(()));
    assert_eq!(witness.see(&key, &at(290), &proof(10, 290)), Ok(()));
    assert_eq!(witness.newest.size, 290);
    let seen = witness.clone();
    let refused = |next: &Checkpoint, proof: &[Hash]| {
        let mut witness = seen.clone();
        let refused = witness.see(&key, next, proof).unwrap_err();
        assert_eq!(witness, seen);
        refused
    };
    assert_eq!(refused(&at(100), &[]), Contradiction::Shorter { was: 290, is: 100 });
    assert_eq!(refused(&at(300), &proof(289, 300)), Contradiction::Rewritten { size: 290 });
    let mut other = leaves(300);
    other[3] = [0; 32];
    assert_eq!(refused(&checkpoint(&other, 2), &proof(290, 300)), Contradiction::Rewritten { size: 290 });
    assert_eq!(refused(&checkpoint(&all, 1), &[]), Contradiction::OldIncarnation { was: 2, is: 1 });
    let old = Checkpoint { counter: 3, ..at(300) };
    assert_eq!(refused(&old, &proof(290, 300)), Contradiction::OldCounter { was: 4, is: 3 });
    let south = Checkpoint { hub: "south".parse().unwrap(), ..at(300) };
    assert_eq!(refused(&south, &proof(290, 300)), Contradiction::OtherHub);
    let mut witness = seen.clone();
    assert_eq!(witness.see(&Toy::new(2).name(), &at(300), &proof(290, 300)), Err(Contradiction::OtherKey));
    assert_eq!(witness.see(&key, &checkpoint(&all[..1], 3), &[]), Ok(()), "a new beginning is seen as one");
}

#[test]
fn an_anchor_shows_what_was_cut_off_rewritten_or_turned_back() {
    let all = leaves(20);
    let anchor = checkpoint(&all[..12], 2);
    let standing = Standing { incarnation: 2, counter: 4, size: 20 };
    let root = |size: u64| Ok(naive_root(&all[..usize::try_from(size).unwrap()]));
    assert_eq!(anchor.holds_for(standing, root), Ok(()));
    assert_eq!(anchor.holds_for(standing, |_| Ok([0; 32])), Err(Contradiction::Rewritten { size: 12 }));
    assert_eq!(anchor.holds_for(standing, |_| Err(11)), Err(Contradiction::Shorter { was: 12, is: 11 }));
    let old = Standing { incarnation: 1, ..standing };
    assert_eq!(anchor.holds_for(old, root), Err(Contradiction::OldIncarnation { was: 2, is: 1 }));
    let old = Standing { counter: 3, ..standing };
    assert_eq!(anchor.holds_for(old, root), Err(Contradiction::OldCounter { was: 4, is: 3 }));
}

#[test]
fn a_proof_over_a_million_lines_is_short() {
    let count = 1_000_000;
    let all: Vec<Hash> = (0..count)
        .map(|number: u64| {
            let mut leaf = [0; 32];
            leaf[..8].copy_from_slice(&number.to_le_bytes());
            leaf
        })
        .collect();
    let tree = tree(&all);
    let root = tree.root();
    for index in [0, TILE_LEAVES, 499_999, count - 1] {
        let path = tree.inclusion(index, count, all.as_slice()).unwrap().unwrap();
        assert!(path.len() <= 20);
        assert!(verify_inclusion(&all[usize::try_from(index).unwrap()], index, count, &path, &root));
    }
}

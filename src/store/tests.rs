//! What the view promises: order does not matter, damage costs nothing but time.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::{
    domain::{
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
        time::Timestamp,
    },
    sys::disk::RealDisk,
};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("polygate-view-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> (View, Found) {
        View::open(Arc::new(RealDisk), &self.0, &mut Entropy::from_seed(7)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const NHS: &str = "9990000018";

fn local(value: &str) -> Identifier {
    Identifier { value: value.to_owned(), authority: "RQ6".to_owned(), kind: "MR".to_owned() }
}

fn event(
    number: u64,
    identifiers: &[&str],
    nhs: Option<&str>,
    fields: &[(&'static str, Option<&str>)],
) -> Event {
    let change = |(name, value): &(&'static str, Option<&str>)| {
        (*name, value.map_or(FieldChange::Delete, |value| FieldChange::Set(value.to_owned())))
    };
    Event {
        kind: "ADT^A31".to_owned(),
        class: Class::Clinical,
        source_id: format!("M{number}"),
        sender: "PAS|RQ6".to_owned(),
        occurred: Some(Timestamp(1_000_000 + i64::try_from(number).unwrap())),
        nhs_number: nhs.map_or(Err(InvalidNhsNumber::Absent), NhsNumber::parse),
        identifiers: identifiers.iter().map(|value| local(value)).collect(),
        merged: vec![],
        items: vec![ItemChange {
            kind: ItemKind::Demographics,
            key: String::new(),
            fields: fields.iter().map(change).collect(),
        }],
        faults: vec![],
    }
}

fn apply(view: &mut View, events: &[Event]) {
    let offset = view.position().unwrap().offset;
    let applied: Vec<Applied<'_>> =
        events.iter().map(|event| Applied { system: "pas", received: Timestamp(5), event }).collect();
    let next = Position { segment: 1, offset: offset + events.len() as u64 };
    view.apply(&applied, next).unwrap();
}

fn fields(view: &View, identifier: &str) -> Vec<(String, Option<String>)> {
    let patient = view.find_by_identifier("pas", &local(identifier)).unwrap().unwrap();
    let record = view.record(patient).unwrap();
    let item = record.items.into_iter().find(|item| item.kind == ItemKind::Demographics).unwrap();
    item.item.fields.into_iter().map(|(name, value)| (name, value.value)).collect()
}

#[test]
fn the_order_in_which_messages_come_does_not_matter() {
    let events = [
        event(1, &["H1"], Some(NHS), &[("family_name", Some("OLD")), ("city", Some("London"))]),
        event(2, &["H1"], Some(NHS), &[("family_name", Some("NEW")), ("telephone", Some("0"))]),
        event(3, &["H1"], Some(NHS), &[("telephone", None)]),
        event(4, &["H1"], Some(NHS), &[("title", Some("Dr"))]),
    ];
    let expected = vec![
        ("city".to_owned(), Some("London".to_owned())),
        ("family_name".to_owned(), Some("NEW".to_owned())),
        ("telephone".to_owned(), None),
        ("title".to_owned(), Some("Dr".to_owned())),
    ];
    let folder = Folder::new();
    let mut entropy = Entropy::from_seed(3);
    for round in 0..12 {
        let (mut view, _) = folder.open();
        let mut shuffled: Vec<Event> = events.iter().chain(&events).cloned().collect();
        for place in (1..shuffled.len()).rev() {
            let other = usize::try_from(entropy.below(place as u64 + 1)).unwrap();
            shuffled.swap(place, other);
        }
        let cut = usize::try_from(entropy.below(8)).unwrap();
        apply(&mut view, &shuffled[..cut]);
        apply(&mut view, &shuffled[cut..]);
        assert_eq!(fields(&view, "H1"), expected, "round {round}");
        drop(view);
        std::fs::remove_dir_all(&folder.0).unwrap();
    }
}

#[test]
fn a_merge_brings_both_records_together_whenever_it_comes() {
    for merge_first in [false, true] {
        let folder = Folder::new();
        let (mut view, _) = folder.open();
        let ended = event(1, &["H2"], None, &[("city", Some("Leeds"))]);
        let mut merge = event(2, &["H1"], Some(NHS), &[("family_name", Some("SMITH"))]);
        merge.merged = vec![local("H2")];
        let events = if merge_first { [merge, ended] } else { [ended, merge] };
        events.iter().for_each(|event| apply(&mut view, std::slice::from_ref(event)));
        let survivor = view.find_by_nhs_number(&NhsNumber::parse(NHS).unwrap()).unwrap();
        assert_eq!(view.find_by_identifier("pas", &local("H2")).unwrap(), survivor);
        let record = view.record(survivor.unwrap()).unwrap();
        let values: Vec<Option<String>> =
            record.items.iter().flat_map(|item| item.item.fields.values().map(|v| v.value.clone())).collect();
        assert!(values.contains(&Some("Leeds".to_owned())) && values.contains(&Some("SMITH".to_owned())));
    }
}

#[test]
fn identifiers_that_disagree_join_nobody_and_are_listed() {
    let folder = Folder::new();
    let (mut view, _) = folder.open();
    apply(&mut view, &[event(1, &["H1"], Some(NHS), &[]), event(2, &["H2"], Some("9990000026"), &[])]);
    apply(&mut view, &[event(3, &["H1"], Some("9990000026"), &[("title", Some("Ms"))])]);
    let (repairs, total) = view.repairs().unwrap();
    assert_eq!((repairs.len(), total), (1, 1));
    assert!(repairs[0].problem.contains("different patients"), "{repairs:?}");
    assert_eq!(fields(&view, "H1").len(), 1, "it stays with whom the system means");
    apply(&mut view, &[event(4, &[], None, &[])]);
    assert_eq!(view.repairs().unwrap().1, 3, "no number, and nobody at all");
}

#[test]
fn a_long_text_is_a_file_of_its_own() {
    let folder = Folder::new();
    let (mut view, _) = folder.open();
    let long = "x".repeat(500_000);
    apply(&mut view, &[event(1, &["H1"], None, &[("value", Some(&long))])]);
    let name = fields(&view, "H1")[0].1.clone().unwrap();
    assert_eq!(name.len(), 64);
    assert_eq!(std::fs::read_to_string(folder.0.join("bodies").join(name)).unwrap(), long);
}

#[test]
fn what_was_flushed_is_found_whole_with_its_place() {
    let folder = Folder::new();
    let (mut view, found) = folder.open();
    assert_eq!(found, Found::New);
    apply(&mut view, &[event(1, &["H1"], Some(NHS), &[("title", Some("Mr"))])]);
    let place = view.flush().unwrap();
    drop(view);
    let (view, found) = folder.open();
    assert_eq!((found, view.position().unwrap(), view.patients()), (Found::Whole, place, 1));
}

#[test]
fn whatever_is_wrong_with_it_it_is_made_anew() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 5] = [
        ("no mark", |folder| std::fs::remove_file(folder.join(MARK)).unwrap()),
        ("no database", |folder| std::fs::remove_file(folder.join("db")).unwrap()),
        ("no snapshots", |folder| {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
                    std::fs::remove_file(path).unwrap();
                }
            }
            std::fs::write(folder.join("db"), b"").unwrap();
        }),
        ("noise", |folder| std::fs::write(folder.join("db"), vec![0x5a; 1 << 20]).unwrap()),
        ("another format", |folder| std::fs::write(folder.join("conf"), b"format: 9").unwrap()),
    ];
    for (what, spoil) in spoils {
        let folder = Folder::new();
        let (mut view, _) = folder.open();
        apply(&mut view, &[event(1, &["H1"], Some(NHS), &[])]);
        view.flush().unwrap();
        drop(view);
        spoil(&folder.0);
        let (view, found) = folder.open();
        assert_eq!((found, view.patients()), (Found::Discarded, 0), "{what}");
        assert_eq!(view.position().unwrap(), Position::default(), "{what}");
    }
}

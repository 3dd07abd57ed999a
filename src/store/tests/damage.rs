//! Damage of every kind is thrown away, and a crash at any batch leaves content and cursor in step.

use super::*;

/// More than one of sled's segments of 512 KiB, for with less it finds everything without its snapshot.
fn filled(home: &Temporary) {
    let (view, _) = open(&home.0);
    let reason = "x".repeat(1_000);
    let events: Vec<Event> = (0..600)
        .map(|index| {
            let local = format!("L{}", index % 150);
            with(event(index, None, &[&local]), &format!("E{index}"), &[("ward", "Ash"), ("reason", &reason)])
        })
        .collect();
    apply(&view, &events);
    assert_eq!(view.flush().unwrap(), place(600));
    drop(view);
    // sled writes a snapshot when it opens what is there.
    drop(open(&home.0));
}

fn is_whole(view: &View) {
    assert_eq!(view.position().unwrap(), place(600));
    assert_eq!(view.counts().unwrap(), Counts { patients: 150, items: 600 });
    for local in 0..150 {
        let record = record_of(view, &format!("L{local}"));
        assert_eq!(record.items[&ItemKind::Encounter].len(), 4);
        assert_eq!(value(&record, "ward").as_deref(), Some("Ash"));
    }
}

fn sled_files(home: &Temporary, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.0.join("sled")).unwrap().map(|entry| entry.unwrap());
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    named.map(|entry| entry.path()).collect()
}

fn begins_anew(home: &Temporary) -> RebuildReason {
    let (view, opened) = open(&home.0);
    assert_eq!(view.position().unwrap(), Position::default());
    assert_eq!(view.counts().unwrap(), Counts::default());
    apply(&view, &[event(1, Some(number(0)), &["A"])]);
    view.flush().unwrap();
    drop(view);
    assert_eq!(open(&home.0).1.rebuild, None, "what was begun anew is good");
    opened.rebuild.unwrap()
}

#[test]
fn what_is_whole_is_kept() {
    let home = Temporary::new();
    filled(&home);
    let (view, opened) = open(&home.0);
    assert_eq!(opened.rebuild, None);
    assert_eq!(view.position().unwrap(), place(600));
    assert_eq!(view.counts().unwrap(), Counts { patients: 150, items: 600 });
    assert_eq!(record_of(&view, "L3").items[&ItemKind::Encounter].len(), 4);
}

#[test]
fn a_lost_snapshot_which_sled_takes_for_an_empty_database_is_noticed() {
    let home = Temporary::new();
    filled(&home);
    let snapshots = sled_files(&home, "snap.");
    assert!(!snapshots.is_empty());
    snapshots.iter().for_each(|path| fs::remove_file(path).unwrap());
    // A database this young is found without its snapshot. One that has used its first segments again
    // is not: sled then opens it empty, as it does with this file.
    let (view, opened) = open(&home.0);
    assert_eq!((opened.rebuild, view.position().unwrap()), (None, place(600)));
    drop(view);
    fs::remove_dir_all(home.0.join("sled")).unwrap();
    drop(sled::Config::new().path(home.0.join("sled")).open().unwrap());
    assert_eq!(begins_anew(&home), RebuildReason::AnotherDatabase);
}

#[test]
fn a_half_written_snapshot_does_no_harm() {
    let home = Temporary::new();
    filled(&home);
    fs::write(home.0.join("sled/snap.0000000000FFFFFF.generating"), b"half").unwrap();
    assert_eq!(open(&home.0).1.rebuild, None);
}

#[test]
fn a_truncated_database_is_noticed() {
    for part in [0, 1, 4, 7, 15] {
        let home = Temporary::new();
        filled(&home);
        let path = home.0.join("sled/db");
        let used = fs::read(&path).unwrap().iter().rposition(|byte| *byte != 0).unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(used as u64 * part / 16).unwrap();
        drop(file);
        let (view, opened) = open(&home.0);
        match opened.rebuild {
            // What sled wrote after the last cursor may be missed by nobody.
            None => assert_eq!(part, 15),
            Some(_) => assert_eq!(view.position().unwrap(), Position::default(), "{part}"),
        }
        if opened.rebuild.is_none() {
            is_whole(&view);
        }
    }
}

#[test]
fn flipped_bytes_are_noticed_or_do_no_harm() {
    let mut noticed = 0;
    for step in 0..24_usize {
        let home = Temporary::new();
        filled(&home);
        let path = if step % 4 == 3 { sled_files(&home, "snap.").remove(0) } else { home.0.join("sled/db") };
        let mut bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        bytes[used * step / 24] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let (view, opened) = open(&home.0);
        match opened.rebuild {
            Some(_) => noticed += 1,
            None => is_whole(&view),
        }
    }
    assert!(0 < noticed);
}

#[test]
fn a_missing_or_foreign_sentinel_is_noticed() {
    let home = Temporary::new();
    filled(&home);
    fs::remove_file(home.0.join("sentinel")).unwrap();
    assert_eq!(begins_anew(&home), RebuildReason::NoSentinel);
    fs::write(home.0.join("sentinel"), b"?").unwrap();
    assert_eq!(begins_anew(&home), RebuildReason::NoSentinel);
    let (view, _) = open(&home.0);
    view.home.write_sentinel(99, Position::default()).unwrap();
    drop(view);
    assert_eq!(begins_anew(&home), RebuildReason::AnotherDatabase);
}

#[test]
fn another_format_is_noticed() {
    let home = Temporary::new();
    filled(&home);
    let (view, _) = open(&home.0);
    let head = {
        let mut writer = wire::Writer::default();
        let generation = view.state_read().as_ref().unwrap().generation;
        writer.number(state::FORMAT + 1).number(generation).number(9).number(9);
        writer.0
    };
    let entry = (keys::HEAD.to_vec(), Some(head));
    view.state_read().as_ref().unwrap().shelf.engine.write(std::iter::once(entry)).unwrap();
    drop(view);
    assert_eq!(begins_anew(&home), RebuildReason::Format);
}

#[test]
fn a_missing_cursor_or_content_file_is_noticed() {
    let home = Temporary::new();
    filled(&home);
    let (view, _) = open(&home.0);
    let entry = (keys::CURSOR.to_vec(), None);
    view.state_read().as_ref().unwrap().shelf.engine.write(std::iter::once(entry)).unwrap();
    drop(view);
    assert_eq!(begins_anew(&home), RebuildReason::AnotherDatabase);
    let (view, _) = open(&home.0);
    apply(&view, &[with(event(9, None, &["Z"]), "E", &[("text", &"x".repeat(5_000))])]);
    view.flush().unwrap();
    drop(view);
    fs::remove_file(fs::read_dir(home.0.join("bodies")).unwrap().next().unwrap().unwrap().path()).unwrap();
    assert_eq!(begins_anew(&home), RebuildReason::Damaged);
}

fn only_run(home: &Temporary) -> PathBuf {
    let mut runs = fs::read_dir(home.0.join("runs")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none());
    run
}

#[test]
fn a_missing_or_truncated_run_is_noticed() {
    for kept in [None, Some(0), Some(100)] {
        let home = Temporary::new();
        filled(&home);
        match kept {
            None => fs::remove_file(only_run(&home)).unwrap(),
            Some(kept) => {
                fs::OpenOptions::new().write(true).open(only_run(&home)).unwrap().set_len(kept).unwrap();
            }
        }
        assert_eq!(begins_anew(&home), RebuildReason::Damaged);
    }
}

#[test]
fn a_flipped_bit_in_a_run_is_never_read_as_content() {
    let home = Temporary::new();
    filled(&home);
    let whole = fs::read(only_run(&home)).unwrap();
    for step in 0..20 {
        let mut bytes = whole.clone();
        bytes[whole.len() * step / 20] ^= 1;
        fs::write(only_run(&home), &bytes).unwrap();
        let (view, opened) = open(&home.0);
        assert_eq!(opened.rebuild, None);
        let records = (0..150).map(|local| {
            let patient = view.find_by_identifier("rio", &identifier(&format!("L{local}")))?;
            view.record(patient.unwrap())
        });
        let refused = records.filter(|record| record.is_err()).count();
        assert!(0 < refused, "step {step}");
        drop(view);
        assert!(!home.0.join("sentinel").exists(), "not trusted any more");
        assert_eq!(begins_anew(&home), RebuildReason::NoSentinel);
        fs::remove_dir_all(&home.0).unwrap();
        fs::create_dir(&home.0).unwrap();
        filled(&home);
    }
}

#[test]
fn a_damaged_content_file_closes_the_view_and_the_next_opening_begins_anew() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(&view, &[with(event(9, None, &["Z"]), "E", &[("text", &"x".repeat(5_000))])]);
    let patient = view.find_by_identifier("rio", &identifier("Z")).unwrap().unwrap();
    let path = fs::read_dir(home.0.join("bodies")).unwrap().next().unwrap().unwrap().path();
    fs::write(path, "y".repeat(5_000)).unwrap();
    assert!(matches!(view.record(patient), Err(ViewError::Damaged(_))));
    assert!(matches!(view.position(), Err(ViewError::Closed)));
    assert!(matches!(view.flush(), Err(ViewError::Closed)));
    assert_eq!(begins_anew(&home), RebuildReason::NoSentinel);
}

#[test]
fn a_view_that_is_open_elsewhere_is_not_thrown_away() {
    let home = Temporary::new();
    let (view, _) = open(&home.0);
    apply(&view, &[event(1, Some(number(0)), &["A"])]);
    assert!(View::open(&home.0, &mut Entropy::from_seed(8)).is_err());
    view.flush().unwrap();
    drop(view);
    let (view, opened) = open(&home.0);
    assert_eq!(opened.rebuild, None);
    assert!(view.find_by_nhs_number(&number(0)).unwrap().is_some());
}

#[test]
fn after_a_crash_at_any_batch_the_same_messages_give_the_same_records() {
    let events: Vec<Event> = (0..400_i64)
        .map(|index| {
            let (local, key) = (format!("P{}-{}", index % 3, index % 2), format!("E{}", index % 90));
            let person = usize::try_from(index % 3).unwrap();
            let event = event(index, (index % 5 == 0).then(|| number(person)), &[&local]);
            with(event, &key, &[("ward", "Ash"), ("bay", ["1", "2"][usize::from(index % 7 == 0)])])
        })
        .collect();
    let calm = Temporary::new();
    let (view, _) = open(&calm.0);
    apply(&view, &events);
    let expected = (all_records(&view), view.counts().unwrap().patients);
    drop(view);
    for batches in 0..9 {
        let home = Temporary::new();
        let (view, _) = open(&home.0);
        apply(&view, &events[..150]);
        view.flush().unwrap();
        apply(&view, &events[150..]);
        view.state_write().as_mut().unwrap().shelf.batches_until_power_cut = Some(batches);
        let cut = view.flush().is_err();
        drop(view);
        let (view, opened) = open(&home.0);
        assert_eq!(opened.rebuild, None);
        let next = view.position().unwrap();
        assert_eq!(next, if cut { place(150) } else { place(400) });
        apply(&view, &events[usize::try_from(next.offset).unwrap()..]);
        assert_eq!(
            (all_records(&view), view.counts().unwrap().patients),
            expected,
            "after {batches} batches"
        );
    }
}

#[test]
fn what_was_applied_and_not_flushed_is_applied_again() {
    let home = Temporary::new();
    filled(&home);
    let (view, _) = open(&home.0);
    let more = [with(event(900, Some(number(0)), &["L3"]), "E3", &[("ward", "Oak")])];
    apply(&view, &more);
    assert_eq!(view.position().unwrap(), place(601));
    drop(view);
    let (view, _) = open(&home.0);
    assert_eq!(view.position().unwrap(), place(600));
    assert_eq!(view.find_by_nhs_number(&number(0)).unwrap(), None);
    apply(&view, &more);
    assert!(view.find_by_nhs_number(&number(0)).unwrap().is_some());
}

//! What is on a real file system when the power goes: its image is copied while the hub acknowledges, and the
//! hub is started on the copy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use polygate::{
    codec::cbor,
    domain::entry::Entry,
    journal::{LogReader, PAYLOAD_BYTES_MAX, Position, open_for_reading},
    sys::{disk::RealDisk, entropy::Entropy},
};

use crate::{
    setting,
    stage::{HubProgram, Load, until},
    support::{
        Directory, issue_all,
        postgres::is_root,
        program::{find, lasting_port},
    },
};

const IMAGE_BYTES: u64 = 256 << 20;
/// Small, so that segments end and begin under load; the image must hold everything a run accepts.
const JOURNAL: &str = "capacity-mib = 160\nfloor-mib = 1\nballast-mib = 4";

/// A mounted image of a file system; unmounted and detached at the end, whatever happens.
#[derive(Debug)]
struct Mounted(PathBuf);

impl Mounted {
    fn mount(image: &Path, on: &Path) -> Result<Self, String> {
        fs::create_dir_all(on).unwrap();
        // mount -o loop detaches the device by itself once it is unmounted.
        let output = Command::new("mount").args(["-o", "loop"]).args([image, on]).output().unwrap();
        match output.status.success() {
            true => Ok(Self(on.to_owned())),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        for _ in 0..100 {
            if Command::new("umount").arg(&self.0).output().is_ok_and(|output| output.status.success()) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// A hub whose state is on a file system of its own. Dropped in this order.
struct Ground {
    hub: HubProgram,
    _mounted: Mounted,
    image: PathBuf,
    directory: Directory,
}

impl Ground {
    fn prepare() -> Result<Self, String> {
        for program in ["mkfs.ext4", "mount", "umount", "cp"] {
            find(program).ok_or_else(|| format!("{program} is not installed"))?;
        }
        if !is_root() {
            return Err("only root may mount".to_owned());
        }
        let directory = Directory::new();
        issue_all(directory.path(), &["soho"]);
        let image = directory.path().join("disk");
        fs::File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mounted = Mounted::mount(&image, &directory.path().join("mounted"))?;
        // Nobody listens there: the WAN is down, and everything stays in the journal.
        let mut hub =
            HubProgram::prepare(directory.path(), &mounted.0.join("state"), lasting_port(), JOURNAL);
        hub.start_and_wait();
        Ok(Self { hub, _mounted: mounted, image, directory })
    }

    /// Copies the file system as it stands. With `still` the hub is held meanwhile, so that the copy is of one
    /// moment; without, blocks written later than others are in it too.
    fn copy(&self, to: &Path, still: bool) {
        if still {
            self.hub.signal("STOP");
        }
        let copied = Command::new("cp").arg("--sparse=always").args([&self.image, to]).status().unwrap();
        if still {
            self.hub.signal("CONT");
        }
        assert!(copied.success());
    }
}

#[test]
fn what_was_acknowledged_before_the_power_went_is_there() {
    let ground = match Ground::prepare() {
        Ok(ground) => ground,
        Err(reason) => {
            crate::support::skipped(&format!("no loop-mounted file system: {reason}"));
            return;
        }
    };
    let mut entropy = Entropy::from_seed(setting("POLYGATE_SEED", 3));
    let cuts = setting("POLYGATE_ROUNDS", 8);
    let mut load = Load::start(&ground.hub, "", 3, Duration::from_millis(4));
    let mut checked = 0;
    for cut in 0..cuts {
        let before = load.accepted.lock().unwrap().len();
        until("more is accepted", || before + 20 < load.accepted.lock().unwrap().len());
        sleep(Duration::from_millis(entropy.below(300)));
        let accepted = load.accepted_now();
        let copy = ground.directory.path().join(format!("copy-{cut}"));
        ground.copy(&copy, cut % 2 == 0);
        check(&ground, &copy, &accepted, cut);
        checked += accepted.len();
        fs::remove_file(&copy).unwrap();
    }
    load.finish();
    println!("{cuts} power cuts, {checked} acknowledged messages looked for, none lost");
}

/// Starts a hub on the copy, and looks for every message in its journal.
fn check(ground: &Ground, copy: &Path, accepted: &BTreeSet<(String, String)>, cut: u64) {
    let mounted = Mounted::mount(copy, &ground.directory.path().join("recovered")).unwrap();
    let state = mounted.0.join("state");
    // The admin socket of the hub that the power took is a file like any other.
    let mut hub = HubProgram::prepare(ground.directory.path(), &state, lasting_port(), JOURNAL);
    hub.start_and_wait();
    let status = hub.ask(&["status"]).remove(0);
    assert_eq!(status["journal"]["damaged_bytes"], 0, "cut {cut}: {status}");
    // It goes on taking messages in.
    let mut after = Load::start(&hub, "after-", cut, Duration::ZERO);
    until("the recovered hub accepts", || 4 <= after.accepted.lock().unwrap().len());
    after.finish();
    let found_by_command = hub.ask(&["message", "find", "--limit", "1000"]).len();
    assert!(0 < found_by_command, "cut {cut}");
    hub.kill9();
    let there = messages(&state.join("journal"));
    let lost: Vec<_> = accepted.iter().filter(|name| !there.contains_key(*name)).take(5).collect();
    assert!(lost.is_empty(), "cut {cut}: lost {lost:?}\n{}", hub.said());
    assert!(there.values().all(|count| *count == 1), "cut {cut}: doubled");
}

/// How often each message is in a journal on disk.
fn messages(journal: &Path) -> BTreeMap<(String, String), u64> {
    let shared = open_for_reading(Arc::new(RealDisk), journal).unwrap();
    let mut reader = LogReader::new(shared, Position::default());
    let mut counts = BTreeMap::new();
    loop {
        let chunk = reader.read(1 << 20, 1000).unwrap();
        if chunk.records.is_empty() {
            return counts;
        }
        for record in chunk.records {
            let entry: Entry = cbor::decode(&record.payload, PAYLOAD_BYTES_MAX).unwrap();
            *counts.entry((entry.system, entry.source_id)).or_default() += 1;
        }
    }
}

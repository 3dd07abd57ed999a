//! A month of a hundred thousand contacts: memory that does not grow with the files, and hostile text everywhere.

use std::io;

use peak_alloc::PeakAlloc;
use polygate::{
    activity::{
        maps::Maps,
        privacy::Barred,
        returns::{Builder, Files, Holding, Job, NetChangeBuilder, ReturnKind, Shelf},
    },
    domain::contact::{ContactId, Dataset, LocalId},
};
use proptest::prelude::*;

use crate::{Office, contacts};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Files that nobody keeps.
#[derive(Default)]
struct Nowhere {
    bytes: std::rc::Rc<std::cell::Cell<usize>>,
}

struct Counted(std::rc::Rc<std::cell::Cell<usize>>);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files for Nowhere {
    type File = Counted;

    fn create(&mut self, _: &str) -> io::Result<Counted> {
        Ok(Counted(self.bytes.clone()))
    }

    fn close(&mut self, _: &str, _: Counted) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_month_of_100_000_contacts_needs_little_memory() {
    let settings = contacts::settings();
    let (barred, maps, shelf) = (Barred::default(), Maps::default(), Shelf::default());
    let period = "2026-05".parse().unwrap();
    let kind = ReturnKind::Outpatient;
    let (version, control) = (shelf.next_version(period, kind), shelf.next_control());
    let job = Job {
        period,
        kind,
        version,
        settings: &settings,
        barred: &barred,
        maps: &maps,
        control,
        now: contacts::NOW,
    };
    let mut files = Nowhere::default();
    let written = files.bytes.clone();
    let before = MEMORY.current_usage_as_mb();
    MEMORY.reset_peak_usage();
    let mut builder = NetChangeBuilder::begin(job, &mut files, Holding::default()).unwrap();
    let mut contact = contacts::contact(3);
    for number in 0..100_000_u32 {
        contact.id = ContactId::of(u128::from(number) * 7_919);
        builder.put(&contact, Dataset::Cds020).unwrap();
    }
    let built = builder.finish().unwrap();
    let used = MEMORY.peak_usage_as_mb() - before;
    println!("{} MB of files, {used:.1} MB of memory", written.get() / 1_000_000);
    assert_eq!(built.totals.written, 100_000);
    assert!(100_000_000 < written.get());
    // Names and digests of what was sent, and nothing of any record.
    assert!(used < 60.0, "{used} MB");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_breaks_a_file(local in any::<String>(), system in any::<String>()) {
        for kind in ReturnKind::ALL {
            let dataset = match kind {
                ReturnKind::EmergencyCare => Dataset::Ecds,
                ReturnKind::CommunityServices => Dataset::Csds,
                _ => Dataset::Cds020,
            };
            let mut contact = contacts::walk_ins().remove(0).0;
            contact.start = Some(contacts::NOW);
            contact.patient.local = vec![LocalId { system: system.as_str().into(), value: local.as_str().into() }];
            let mut office = Office::new();
            let built = office.build(kind, "2026-05", &[(contact, dataset)]);
            built.totals.ties(1).unwrap();
            for (name, bytes) in &office.files.files {
                let text = std::str::from_utf8(bytes).unwrap();
                let extension = name.rsplit('.').next().unwrap();
                match extension {
                    "xml" => drop(roxmltree::Document::parse(text).unwrap()),
                    "txt" => prop_assert!(text.is_ascii() && text.len() <= 4565),
                    _ => {
                        let formula = text.lines().flat_map(|line| line.split(',')).find(|cell| cell.starts_with(['=', '+', '-', '@']));
                        prop_assert!(formula.is_none(), "{name}: {formula:?}");
                    }
                }
            }
        }
    }
}

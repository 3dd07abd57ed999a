//! Versions of a return: each says what is new since the last that was submitted, and what the receiver has in the end is
//! what there is.

use std::collections::BTreeMap;

use jiff::civil::date;
use polygate::{
    activity::returns::{Answers, ReturnKind, Standing},
    domain::{
        contact::{Contact, Dataset, State},
        time::Timestamp,
    },
};
use proptest::prelude::*;
use roxmltree::Document;

use crate::{Office, contacts};

const MAY: &str = "2026-05";

/// A receiver: of each identifier, the message that applies latest; a deletion takes it away.
#[derive(Default)]
struct Receiver {
    latest: BTreeMap<String, (String, Option<String>)>,
}

impl Receiver {
    fn take(&mut self, xml: &str) {
        let document = Document::parse(xml).unwrap();
        let root = document.root_element();
        let text = |node: roxmltree::Node<'_, '_>, name: &str| {
            let found = node.descendants().find(|node| node.tag_name().name() == name);
            found.and_then(|node| node.text()).unwrap_or_default().to_owned()
        };
        let messages =
            root.children().filter(|node| node.tag_name().name() == "CDSNetChange-All-MessageTypes");
        for message in messages.clone() {
            let applies = text(message, "CDSApplicableDate") + &text(message, "CDSApplicableTime");
            let body = message.children().filter(|node| node.is_element()).nth(2).unwrap();
            let is_deletion = text(message, "CDSUpdateType") == "1";
            assert_eq!(is_deletion, body.tag_name().name() == "DeleteTransaction");
            let body = (!is_deletion)
                .then(|| format!("{} {}", text(message, "CDSTypeCode"), xml.get(body.range()).unwrap()));
            let known = self.latest.entry(text(message, "CDSUniqueIdentifier")).or_default();
            if known.0 <= applies {
                *known = (applies, body);
            }
        }
        assert_eq!(text(root, "CDSInterchangeControlCount"), messages.count().to_string());
    }

    fn has(&self) -> BTreeMap<&str, &str> {
        self.latest.iter().filter_map(|(id, (_, body))| Some((id.as_str(), body.as_deref()?))).collect()
    }
}

fn interchange(office: &Office, month: &str) -> String {
    let last = office.shelf.builds().last().unwrap();
    office.text(&format!("cds-6.2-outpatient_{month}_v{:03}.xml", last.version.number())).to_owned()
}

fn build_and_submit(office: &mut Office, receiver: &mut Receiver, month: &str, all: &[(Contact, Dataset)]) {
    let built = office.build(ReturnKind::Outpatient, month, all);
    let attended = all.iter().filter(|(contact, _)| contact.state == State::Attended).count();
    built.totals.ties(u64::try_from(attended).unwrap()).unwrap();
    receiver.take(&interchange(office, month));
    office.submit(&built);
}

#[test]
fn a_second_version_says_only_what_is_new() {
    let mut office = Office::new();
    let mut receiver = Receiver::default();
    let mut all = contacts::outpatients();
    build_and_submit(&mut office, &mut receiver, MAY, &all);
    let built = office.build(ReturnKind::Outpatient, MAY, &all);
    assert_eq!((built.totals.written, built.totals.unchanged, built.totals.deleted), (0, 6, 0));
    // Corrected, entered in error, and turned out to be another that was sent already.
    all[0].0.state = State::DidNotAttend;
    all[1].0.state = State::Withdrawn;
    let merged = all.remove(3).0;
    all[3].0.also.push(merged.id);
    let built = office.build(ReturnKind::Outpatient, MAY, &all);
    assert_eq!((built.totals.written, built.totals.unchanged, built.totals.deleted), (1, 3, 2));
    receiver.take(&interchange(&office, MAY));
    office.submit(&built);
    assert_eq!(receiver.has().len(), 4);
    let names: Vec<u32> = office.shelf.builds().iter().map(|build| build.version.number()).collect();
    assert_eq!(names, [1, 2, 3], "none is written over");
    let controls: Vec<u32> =
        office.shelf.builds().iter().map(|build| build.control.unwrap().into()).collect();
    assert_eq!(controls, [1, 2, 3]);
}

#[test]
fn a_future_appointment_becomes_an_attendance() {
    let mut office = Office::new();
    let mut receiver = Receiver::default();
    let mut all = vec![contacts::outpatients().remove(9)];
    build_and_submit(&mut office, &mut receiver, "2026-06", &all);
    assert!(receiver.has().values().all(|body| body.starts_with("021 ")));
    office.now = Timestamp(office.now.0 + 30 * 86_400_000);
    all[0].0.state = State::Attended;
    all[0].1 = Dataset::Cds020;
    build_and_submit(&mut office, &mut receiver, "2026-06", &all);
    assert_eq!(receiver.has().len(), 1);
    assert!(receiver.has().values().all(|body| body.starts_with("020 ")), "its deletion applied before");
}

#[test]
fn a_contact_that_moves_to_another_month_is_there_once_whichever_is_built_first() {
    for june_first in [false, true] {
        let mut office = Office::new();
        let mut receiver = Receiver::default();
        let mut all = vec![(contacts::contact(0), Dataset::Cds020)];
        build_and_submit(&mut office, &mut receiver, MAY, &all);
        all[0].0.day = date(2026, 6, 2);
        let months = if june_first { ["2026-06", MAY] } else { [MAY, "2026-06"] };
        for month in months {
            // Nobody lets time pass, and clocks are set back.
            office.now = Timestamp(office.now.0 - 3_600_000);
            build_and_submit(&mut office, &mut receiver, month, &all);
        }
        assert_eq!(receiver.has().len(), 1);
        assert!(receiver.has().values().all(|body| body.contains("<ns:AppointmentDate>2026-06-02<")));
    }
}

#[test]
fn what_was_rejected_is_sent_again_and_what_was_not_submitted_is_not_held() {
    let mut office = Office::new();
    let all: Vec<_> = (0..3).map(|number| (contacts::contact(number), Dataset::Cds020)).collect();
    let first = office.build(ReturnKind::Outpatient, MAY, &all);
    let again = office.build(ReturnKind::Outpatient, MAY, &all);
    assert_eq!(again.totals.written, 3, "the first was never submitted");
    office.submit(&again);
    assert_eq!(first.holding.as_ref().unwrap().records.len(), 3);
    let name = |number: u32| format!("B5LC01{}", contacts::contact(number).id);
    let report = format!(
        "unique identifier,status,reason code,text\n{},accepted,,\n{},rejected,E7,no such practice\n",
        name(0),
        name(1)
    );
    let provider = office.settings.provider;
    let answers = Answers::read(report.as_bytes(), provider, &office.holding).unwrap();
    assert_eq!((answers.counts(), answers.faults.len()), ((1, 1), 0));
    answers.note(&mut office.holding);
    let built = office.build(ReturnKind::Outpatient, MAY, &all);
    assert_eq!((built.totals.written, built.totals.unchanged), (1, 2));
    let held = built.holding.unwrap();
    assert_eq!(held.records[&all[0].0.id].standing, Standing::Accepted);
    assert_eq!(held.records[&all[1].0.id].standing, Standing::Sent);
}

#[test]
fn only_production_says_that_it_is() {
    let mut office = Office::new();
    office.build(ReturnKind::Outpatient, MAY, &[]);
    assert!(interchange(&office, MAY).contains("<ns:CDSInterchangeTestIndicator>1<"));
    office.settings.is_production = true;
    office.build(ReturnKind::Outpatient, MAY, &[]);
    assert!(interchange(&office, MAY).contains("<ns:CDSInterchangeTestIndicator>0<"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens to contacts between versions, the receiver has in the end what a first version would have said.
    #[test]
    fn the_receiver_has_what_there_is(steps in prop::collection::vec(prop::collection::vec((0_usize..12, 0_u8..6), 0..8), 1..5)) {
        let mut office = Office::new();
        let mut receiver = Receiver::default();
        let mut all: Vec<_> = (0..12).map(|number| (contacts::contact(number), Dataset::Cds020)).collect();
        for changes in steps {
            for (place, change) in changes {
                let (contact, dataset) = &mut all[place];
                match change {
                    0 => contact.state = State::DidNotAttend,
                    1 => contact.state = State::Withdrawn,
                    2 => contact.state = State::Attended,
                    3 => contact.facts.commissioner = None,
                    4 => contact.facts.sealed = contacts::fact(true),
                    _ => *dataset = Dataset::Csds,
                }
            }
            build_and_submit(&mut office, &mut receiver, MAY, &all);
        }
        let mut anew = Office::new();
        anew.now = office.now;
        let mut fresh = Receiver::default();
        build_and_submit(&mut anew, &mut fresh, MAY, &all);
        prop_assert_eq!(receiver.has(), fresh.has());
        prop_assert_eq!(
            office.holding.records.keys().collect::<Vec<_>>(),
            anew.holding.records.keys().collect::<Vec<_>>()
        );
    }
}

//! Who is in what analysts get, who is in statutory returns, and who is in neither.

use polygate::{
    activity::{
        privacy::{AnalystView, Barred, MasterKey, Pseudonymiser},
        returns::{Omission, ReturnKind},
    },
    domain::contact::{Contact, Dataset},
};

use crate::{Office, contacts};

/// Contacts 0 to 3 are of 9990000018, …26, …34 and …42; the last is sealed.
fn four() -> Vec<Contact> {
    let mut four: Vec<Contact> = (0..4).map(contacts::contact).collect();
    four[3].facts.sealed = contacts::fact(true);
    four
}

fn barred() -> Barred {
    let mut barred = Barred::default();
    assert_eq!(barred.load_restricted(b"nhs number\n999 000 0026\n"), Ok(1));
    assert_eq!(barred.load_opted_out(b"nhs number\n9990000034\n"), Ok(1));
    barred
}

#[test]
fn analysts_get_pseudonyms_of_those_who_have_not_opted_out() {
    let barred = barred();
    let view = |recipient: &str| {
        let pseudonyms = Pseudonymiser::new(&MasterKey::new([3; 32]), recipient, "waits").unwrap();
        let mut view = AnalystView::begin(Vec::new(), &pseudonyms, &barred).unwrap();
        let why: Vec<Option<Omission>> =
            four().iter().map(|contact| view.put(contact, Some(Dataset::Cds020)).unwrap()).collect();
        assert_eq!(why, [None, Some(Omission::Restricted), Some(Omission::OptedOut), Some(Omission::Sealed)]);
        assert_eq!((view.rows, view.kept_back), (1, 3));
        String::from_utf8(view.finish()).unwrap()
    };
    let (one, other) = (view("icb"), view("university"));
    assert_ne!(one, other, "two recipients cannot put their tables together");
    assert_eq!(one, view("icb"));
    let id = contacts::contact(0).id.to_string();
    for shown in ["9990000018", "R0", "1950", "ZZ99", "Y99901", "2026-05-04", &id] {
        assert!(!one.contains(shown), "{shown}");
    }
    assert!(
        one.lines()
            .nth(1)
            .unwrap()
            .ends_with(",2026-05,soho,podiatry,appointment,attended,cds-020,face-to-face,60 to 79")
    );
}

#[test]
fn statutory_returns_have_who_opted_out_but_nobody_who_is_restricted() {
    let mut office = Office::new();
    office.barred = barred();
    let all: Vec<_> = four().into_iter().map(|contact| (contact, Dataset::Cds020)).collect();
    let built = office.build(ReturnKind::Outpatient, "2026-05", &all);
    let omitted: Vec<_> = built.totals.omitted.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(omitted, [("restricted", 1), ("sealed", 1)]);
    let xml = office.text("cds-6.2-outpatient_2026-05_v001.xml");
    assert!(xml.contains("9990000018") && xml.contains("9990000034"));
    assert!(!xml.contains("9990000026") && !xml.contains("9990000042"));
}

#[test]
fn a_restriction_takes_back_what_was_sent() {
    let mut office = Office::new();
    let all: Vec<_> = (0..4).map(|number| (contacts::contact(number), Dataset::Cds020)).collect();
    let built = office.build(ReturnKind::Outpatient, "2026-05", &all);
    office.submit(&built);
    office.barred = barred();
    let built = office.build(ReturnKind::Outpatient, "2026-05", &all);
    assert_eq!((built.totals.unchanged, built.totals.deleted), (3, 1));
    let xml = office.text("cds-6.2-outpatient_2026-05_v002.xml");
    assert!(xml.contains("<ns:DeleteTransaction/>") && !xml.contains("9990000026"));
}

#[test]
fn a_list_that_is_no_list_says_where() {
    let mut barred = barred();
    let fault = barred.load_opted_out(b"nhs number\n9990000034\n9990000035\n").unwrap_err();
    assert_eq!(fault.to_string(), "line 3: it is not an NHS number");
    assert!(barred.load_restricted(b"number\n9990000034\n").is_err());
    assert_eq!(format!("{barred:?}"), "Barred(1 restricted, 1 opted out)");
}

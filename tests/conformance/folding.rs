//! Folding on records of real systems: one patient's care as two makers' systems answer it, and each public record as if
//! two systems gave it.
//!
//! What was looked at by hand, in the pair of EMIS and TPP (40 items each, of which all but the demographics are the same under the same keys):
//! all that folds is 3 problems, 1 medicine and 7 observations, each with its own twin. Two observations of one code
//! and one day stand twice in both records; which is whose cannot be known, and all four stay. Consultations and
//! referrals are each system's own; documents came without content, so that nothing shows them to be the same.
//! The names, the dates of birth and the postcodes differ and are listed. Nothing that differs was folded.

use std::{collections::BTreeMap, path::Path};

use polygate::{
    domain::{
        nhs_number::NhsNumber,
        one_record::{Answer, Dispute, OneItem, OneRecord, Parts, assemble},
        record::ItemKind,
    },
    flow::ask::GpSystem,
    systems::emis,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Builder;

use crate::{
    gp_connect::example,
    shared,
    support::{
        canned::{Canned, Server},
        counted,
        hub::NOW,
        practice, skipped,
    },
};

const FOLDERS: [&str; 2] = ["gpconnect-structured-emis-tpp", "gpconnect-spec-stu3"];
const NHS_NUMBER: &str = "9990000018";
const PAIR: [(&str, &str); 2] = [
    ("emis", "wiremock/stubs/__files/EMISPatientStructurede2eResponsePWTP7.json"),
    ("tpp", "wiremock/stubs/__files/TPPPatientStructuredRecordE2EPWTP7.json"),
];

/// What a practice's answer comes to; none if the file is no record of anybody.
fn answer(folder: &Path, file: &str) -> Option<Answer> {
    let text = example(folder, file);
    let bundle: Value = serde_json::from_str(&text).ok()?;
    let resources = bundle["entry"].as_array()?.iter().map(|entry| &entry["resource"]);
    let patient = resources.into_iter().find(|one| one["resourceType"] == "Patient")?;
    // Some examples have numbers that are none.
    let body = text.replace(patient["identifier"][0]["value"].as_str()?, NHS_NUMBER).into_bytes();
    let canned = Canned { status: 200, media_type: "application/fhir+json", headers: String::new(), body };
    let server = Server::start(canned);
    let practice = practice::at(server.port, &emis::PROFILE, NOW);
    let number = NhsNumber::parse(NHS_NUMBER).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(practice.record(&practice::requester(), number)).ok().map(Answer::from)
}

/// One record of two answers.
fn together(one: &Answer, other: &Answer) -> OneRecord {
    let named = |system: &str, answer: &Answer| Answer { system: system.to_owned(), ..answer.clone() };
    let answers = vec![named("one", one), named("other", other)];
    assemble(Parts { answers, ..Parts::default() }, NOW)
}

fn folded(record: &OneRecord) -> impl Iterator<Item = &OneItem> {
    record.sections.iter().flat_map(|(_, items)| items).filter(|item| 1 < item.sources.len())
}

/// Whether a fold joined two things that have not one key.
fn is_crossed(item: &OneItem) -> bool {
    item.sources.iter().any(|source| source.key != item.sources[0].key)
}

#[test]
fn one_patients_care_of_two_makers_is_folded_as_it_was_by_hand() {
    let folder = shared::root().map(|root| root.join(FOLDERS[0])).filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        return skipped("no ../shared/fixtures with records of EMIS and TPP");
    };
    let [emis, tpp] = PAIR.map(|(_, file)| answer(&folder, file).unwrap());
    let record = together(&emis, &tpp);
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (kind, items) in &record.sections {
        let twice = items.iter().filter(|item| 1 < item.sources.len()).count();
        counts.insert(kind.name(), (items.len(), twice));
    }
    let expected = [
        ("demographics", (2, 0)),
        ("notice", (8, 0)),
        ("problem", (3, 3)),
        ("medication", (1, 1)),
        ("observation", (11, 7)),
        ("encounter", (22, 0)),
        ("referral", (8, 0)),
        ("document", (14, 0)),
    ];
    assert_eq!(counts, expected.into());
    assert!(!folded(&record).any(is_crossed));
    let about: Vec<Dispute> = record.disagreements.iter().map(|found| found.about).collect();
    assert_eq!(about, [Dispute::FamilyName, Dispute::GivenName, Dispute::BirthDate, Dispute::Postcode]);
    // Which they were, without saying so here.
    let mut digest = Sha256::new();
    for item in folded(&record) {
        digest.update(format!("{}|{}\n", item.kind.name(), item.sources[0].key));
    }
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "363fa5fe89d9e522a6d55f24daa1904b4481fbb5e43944f3f3351a11faa76168");
}

#[test]
fn nothing_is_folded_with_anything_but_itself() {
    let Some(root) = shared::root() else {
        return skipped("no ../shared/fixtures with records of practices");
    };
    let (mut records, mut items, mut folds) = (0, 0, 0);
    for folder in FOLDERS.map(|name| root.join(name)).iter().filter(|folder| folder.is_dir()) {
        for file in shared::files(folder).iter().filter(|file| file.ends_with(".json")) {
            let Some(whole) = answer(folder, file) else { continue };
            let record = together(&whole, &whole);
            assert!(!folded(&record).any(is_crossed), "{file}: two things are one");
            (records, items, folds) =
                (records + 1, items + whole.items.len(), folds + folded(&record).count());
            // Whatever the other system lacks must not be taken for anything else that it has.
            for place in 0..whole.items.len() {
                let mut other = whole.clone();
                let gone = other.items.remove(place);
                let record = together(&whole, &other);
                assert!(!folded(&record).any(is_crossed), "{file}: {} is taken for another", gone.key);
            }
        }
    }
    counted(&format!(
        "folding: {records} records, {items} items, {folds} of them with their twins, none with others"
    ));
    assert!(records == 0 || 0 < folds);
}

#[test]
fn what_practices_lost_the_code_of_stays_apart() {
    let folder = shared::root().map(|root| root.join(FOLDERS[1])).filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        return skipped("no ../shared/fixtures with examples of GP Connect");
    };
    let whole = answer(&folder, "accessrecord_structured/allergies_response1.json").unwrap();
    let is_lost =
        |item: &OneItem| item.codings.iter().any(|coding| coding.display.starts_with("Transfer-degraded"));
    let record = together(&whole, &whole);
    let lost: Vec<&OneItem> = record.section(ItemKind::Allergy).iter().filter(|item| is_lost(item)).collect();
    assert!(1 < lost.len() && lost.iter().all(|item| item.sources.len() == 1 && !item.disputed));
}

//! An invented patient's record, with all that can be odd about one: several systems that differ, names that are
//! markup, moments of every precision, and documents.

use std::collections::BTreeMap;

use polygate::{
    codec::fhir::r4::{
        Author, Ids, Page, Reading, ResourceType, Search, Withheld, binary, resources, searchset, summary,
    },
    domain::{
        nhs_number::NhsNumber,
        one_record::{Notice, OneRecord, Parts, Source, Statement, assemble},
        record::{Identifier, ItemKind},
        time::Timestamp,
    },
};
use serde_json::Value;

/// When the record is put together.
pub const AT: Timestamp = Timestamp(1_795_000_000_000);

/// What a system says of one thing.
pub fn statement(kind: ItemKind, system: &str, key: &str, fields: &[(&str, &str)]) -> Statement {
    let fields: BTreeMap<String, String> =
        fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let is_practice = matches!(system, "emis" | "vision");
    let said_at = Timestamp(AT.0 - if is_practice { 7_200_000 } else { 86_400_000 });
    let source = Source {
        system: system.to_owned(),
        key: key.to_owned(),
        author: fields.get("author").cloned(),
        organisation: fields.get("organisation").cloned(),
        said_at,
        received_at: Timestamp(said_at.0 + 1_000),
        cached: is_practice,
        source_id: if is_practice { String::new() } else { format!("M-{key}") },
    };
    Statement { kind, key: key.to_owned(), fields, withdrawn: false, source }
}

const SCRIPT: &str = "<script>alert(1)</script>";

fn people() -> Vec<Statement> {
    let hospital: [(&str, &str); 16] = [
        ("family_name", SCRIPT),
        ("given_name", "Orla & \"Co\""),
        ("middle_names", "Mary"),
        ("title", "Ms"),
        ("birth_date", "19700101"),
        ("gender", "F"),
        ("address_line_1", "1 Invented Road"),
        ("city", "London"),
        ("postcode", "W1T 4ZZ"),
        ("telephone", "020 7946 0001"),
        ("general_practice", "Y99901"),
        ("nhs_number_status", "NSTS01"),
        ("ethnic_category", "A"),
        ("death_indicator", "N"),
        ("county", ""),
        ("language", "en"),
    ];
    let practice = [
        ("family_name", "Testcase"),
        ("given_name", "Orla"),
        ("birth_date", "1970-01-01"),
        ("gender", "F"),
        ("postcode", "W1T 4ZZ"),
        ("nhs_number_status", "NSTS02"),
        ("death_date", "2026"),
    ];
    vec![
        statement(ItemKind::Demographics, "hospital", "", &hospital),
        statement(ItemKind::Demographics, "emis", "", &practice),
        statement(ItemKind::Demographics, "adastra", "7", &[("gender", "X"), ("birth_date", "about 1970")]),
    ]
}

fn care() -> Vec<Statement> {
    let penicillin = (
        "codings",
        "http://snomed.info/sct|91936005|Allergy to penicillin\nhttp://snomed.info/sct#description|151411014|",
    );
    let allergy = [
        ("name", "Allergy to penicillin"),
        penicillin,
        ("status", "active"),
        ("certainty", "confirmed"),
        ("severity", "severe"),
        ("category", "medication, odd"),
        ("reaction", "Rash <b>"),
        ("onset", "1999"),
        ("recorded", "2001-05"),
        ("author", "Dr Example"),
    ];
    let milder = [("name", "Penicillin"), penicillin, ("status", "active"), ("certainty", "unconfirmed")];
    let problem = [
        ("name", "Asthma"),
        ("code", "195967001"),
        ("code_system", "snomed-ct"),
        ("codings", "http://read.info/readv2|H33..|Asthma\nhttp://snomed.info/sct|195967001|Asthma"),
        ("status", "active"),
        ("significance", "major"),
        ("onset", "1980-03-02"),
        ("ended", "2020"),
    ];
    let past = [
        ("name", "Fracture"),
        ("code", "S23..."),
        ("code_system", "ctv3"),
        ("status", "inactive"),
        ("ended", "2011-02-03"),
        ("onset", "2010-12-24"),
    ];
    let medicine = [
        ("name", "Salbutamol 100micrograms/dose inhaler"),
        ("code", "39113311000001107"),
        ("code_system", "snomed-ct"),
        ("status", "active"),
        ("dose", "One or two puffs"),
        ("quantity", "200 dose"),
        ("prescription_type", "repeat"),
        ("started", "2020-01-02"),
        ("last_issued", "2026-10-01"),
        ("note", "With a spacer"),
    ];
    let given = [
        ("name", "Influenza vaccination"),
        ("code", "86198006"),
        ("code_system", "snomed-ct"),
        ("product", "Inactivated influenza vaccine"),
        ("status", "completed"),
        ("given", "2025-10-10T10:00:00+01:00"),
        ("batch_number", "AB1234"),
        ("site", "Left arm"),
        ("dose_sequence", "1"),
        ("author", "Nurse Example"),
    ];
    let refused = [
        ("name", "Shingles vaccination"),
        ("status", "not-given"),
        ("recorded", "2025-11-01"),
        ("dose_sequence", "first"),
    ];
    vec![
        statement(ItemKind::Allergy, "emis", "AllergyIntolerance/1", &allergy),
        statement(ItemKind::Allergy, "vision", "AllergyIntolerance/9", &milder),
        statement(
            ItemKind::Allergy,
            "adastra",
            "a",
            &[("name", "Nuts"), ("severity", "bad"), ("onset", "as a child")],
        ),
        statement(ItemKind::Problem, "emis", "Condition/1", &problem),
        statement(ItemKind::Problem, "vision", "Condition/4", &problem),
        statement(ItemKind::Problem, "vision", "Condition/2", &past),
        statement(ItemKind::Medication, "emis", "MedicationStatement/1", &medicine),
        statement(
            ItemKind::Medication,
            "emis",
            "MedicationStatement/2",
            &[("name", "Amoxicillin"), ("status", "stopped"), ("ended", "2019")],
        ),
        statement(ItemKind::Medication, "vision", "MedicationRequest/3", &[("status", "cancelled")]),
        statement(ItemKind::Immunisation, "emis", "Immunization/1", &given),
        statement(ItemKind::Immunisation, "vision", "Immunization/2", &refused),
    ]
}

fn results() -> Vec<Statement> {
    let potassium = [
        ("report_code", "UE"),
        ("report", "Urea & electrolytes"),
        ("codings", "snomed-ct|1000651000000109|Serum potassium\nlocal|K|K"),
        ("name", "Potassium"),
        ("value_type", "NM"),
        ("value", "5.40"),
        ("units", "mmol/l"),
        ("observed", "2026-01-05T09:30:00+00:00"),
        ("reference_range", "3.5-5.3"),
        ("status", "F"),
        ("specimen", "Serum"),
    ];
    let differing = [
        ("name", "Potassium"),
        ("code", "1000651000000109"),
        ("code_system", "snomed-ct"),
        ("value_type", "NM"),
        ("value", "4.5"),
        ("units", "mmol/L"),
        ("observed", "2026-01-05T09:30:00+00:00"),
        ("status", "F"),
    ];
    let sodium = [
        ("report_code", "UE"),
        ("report", "Urea & electrolytes"),
        ("name", "Sodium"),
        ("code", "NA"),
        ("code_system", "RV5-LAB"),
        ("value_type", "SN"),
        ("comparator", "<"),
        ("value", "100"),
        ("units", "mmol/L"),
        ("abnormal_flags", "LL"),
        ("observed", "2026-01-05T09:30:00+00:00"),
        ("status", "P"),
        ("specimen", "Serum"),
        ("performer", "Lab Example"),
    ];
    let culture = [
        ("report", "Culture"),
        ("name", "Organism"),
        ("value_type", "CE"),
        ("value", "No growth"),
        ("observed", "202601050930"),
        ("status", "C"),
    ];
    let pulse = [
        ("name", "Pulse rate"),
        ("code", "78564009"),
        ("code_system", "snomed-ct"),
        ("value", "72"),
        ("units", "bpm"),
        ("observed", "2026-02"),
        ("status", "final"),
    ];
    let due = [("name", "Blood pressure check"), ("status", "due"), ("observed", "2027-01-01")];
    let odd = [
        ("name", "Smoking"),
        ("value", "~5"),
        ("comparator", "~"),
        ("units", "a day"),
        ("observed", "last year"),
    ];
    vec![
        statement(ItemKind::Result, "lab", "O1|UE|K|1", &potassium),
        statement(ItemKind::Result, "emis", "Observation/1", &differing),
        statement(ItemKind::Result, "lab", "O1|UE|NA|1", &sodium),
        statement(ItemKind::Result, "lab", "O2||ORG|1", &culture),
        statement(ItemKind::Observation, "emis", "Observation/2", &pulse),
        statement(ItemKind::Observation, "emis", "ProcedureRequest/1", &due),
        statement(ItemKind::Observation, "vision", "Observation/5", &odd),
    ]
}

fn visits(letter: &str) -> Vec<Statement> {
    let stay = [
        ("patient_class", "I"),
        ("status", "admitted"),
        ("started", "20260101103000"),
        ("location", "Ward 1"),
        ("clinician", "Dr Example"),
        ("organisation", "Hospital"),
        ("outcome", "Better & well"),
    ];
    let booked = [
        ("status", "booked"),
        ("start", "2026-12-01T09:00:00+00:00"),
        ("duration", "10"),
        ("service", "Dressing"),
        ("location", "Soho"),
        ("clinician", "Nurse Example"),
        ("delivery_channel", "In-person"),
    ];
    let missed = [
        ("status", "did not attend"),
        ("start", "2026-11-01"),
        ("cancellation_reason", "None given"),
        ("delivery_channel", "Pigeon"),
    ];
    let referral = [
        ("service", "Cardiology"),
        ("reason", "Palpitations"),
        ("priority", "Urgent"),
        ("status", "active"),
        ("recorded", "2026-03-04"),
        ("received", "2026-03-05"),
    ];
    let document = [
        ("title", "Discharge letter"),
        ("type", "Letter"),
        ("created", "2026-01-09"),
        ("encoding", "text"),
        ("content", letter),
        ("status", "F"),
    ];
    let scan = [
        ("title", "Scan"),
        ("media_type", "application/pdf"),
        ("encoding", "base64"),
        ("content", "JVBERi0x\nLjcK"),
        ("recorded", "2026-01-09T10:00:00Z"),
    ];
    let missing = [("media_type", "text/html"), ("status", "current")];
    let nothing = [
        ("code", "no-content-recorded"),
        ("name", "Nothing is recorded here."),
        ("section", "Immunisations"),
    ];
    let kept_back = [("code", "confidential-items"), ("name", "Items excluded."), ("section", "Medications")];
    vec![
        statement(ItemKind::Notice, "vision", "Immunisations|no-content-recorded", &nothing),
        statement(ItemKind::Notice, "emis", "Medications|confidential-items", &kept_back),
        statement(ItemKind::Encounter, "hospital", "V9", &stay),
        statement(
            ItemKind::Encounter,
            "emis",
            "Encounter/1",
            &[("type", "GP surgery consultation"), ("status", "finished")],
        ),
        statement(ItemKind::Appointment, "hospital", "A1", &booked),
        statement(ItemKind::Appointment, "emis", "Appointment/2", &missed),
        statement(ItemKind::Appointment, "adastra", "7", &[("status", "deleted")]),
        statement(ItemKind::Referral, "emis", "ReferralRequest/1", &referral),
        statement(ItemKind::Document, "hospital", "D1", &document),
        statement(ItemKind::Document, "hospital", "D2", &scan),
        statement(ItemKind::Document, "emis", "DocumentReference/3", &missing),
    ]
}

/// The whole of it, with a letter of this text.
pub fn parts(letter: &str) -> Parts {
    let identifier = |value: &str, authority: &str, kind: &str| Identifier {
        value: value.to_owned(),
        authority: authority.to_owned(),
        kind: kind.to_owned(),
    };
    let notice = |system: &str, code: &str, text: &str| Notice {
        system: system.to_owned(),
        code: code.to_owned(),
        text: text.to_owned(),
    };
    Parts {
        nhs_number: NhsNumber::parse("9990000018").ok(),
        identifiers: vec![
            ("hospital".to_owned(), identifier("9990000018", "NHS", "NH")),
            ("hospital".to_owned(), identifier("RV5-0001", "RV5", "MR")),
            ("emis".to_owned(), identifier("1", "https://emis.example/id", "")),
        ],
        statements: [people(), care(), results(), visits(letter)].concat(),
        answers: Vec::new(),
        notices: vec![
            notice("emis", "as-at", "2026-11-18T10:06:40.000Z"),
            notice("vision", "confidential-items", "Problems"),
        ],
    }
}

/// The record of a patient of whom much is said.
pub fn record() -> OneRecord {
    assemble(parts("Dear Doctor,\n\nshe <left> well & \"happy\"."), AT)
}

/// Where the facade is.
pub const BASE: &str = "https://hub.example/fhir/r4";

/// Ids under a secret of this test's.
pub fn ids() -> Ids {
    Ids::new([7; 32])
}

/// Who makes summaries.
pub fn author() -> Author {
    Author { name: "Soho polyclinic & others".to_owned(), organisation: "5LC01".to_owned() }
}

/// What is held back.
pub fn withheld() -> [Withheld; 2] {
    [
        Withheld {
            kind: Some(ItemKind::Problem),
            system: "emis".to_owned(),
            count: Some(3),
            why: "sealed where it was recorded",
        },
        Withheld {
            kind: None,
            system: "rio".to_owned(),
            count: None,
            why: "the patient does not agree to sharing",
        },
    ]
}

/// Everything that a record comes to.
pub fn all(record: &OneRecord, withheld: &[Withheld]) -> Vec<Value> {
    let ids = ids();
    let reading = Reading::new(record, withheld, BASE, &ids);
    let mut given: Vec<Value> =
        ResourceType::ALL.into_iter().flat_map(|kind| resources(&reading, kind)).collect();
    let documents = resources(&reading, ResourceType::DocumentReference);
    given.extend(documents.iter().filter_map(|one| binary(&reading, one["id"].as_str().unwrap())));
    for kind in ResourceType::ALL.into_iter().filter(|kind| kind.is_searched()) {
        let search =
            Search::parse(kind, [("_revinclude", "Provenance:target"), ("odd", "1")], false).unwrap();
        given.push(searchset(&reading, &Page { search: &search, base: BASE, at: AT }));
    }
    given.push(summary(&reading, &author(), AT));
    given
}

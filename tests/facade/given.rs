//! What is given for the invented patient.

use std::{collections::BTreeSet, fs, path::Path};

use polygate::{
    codec::fhir::r4::{
        AuditLine, AuditOutcome, Reading, ResourceType, TAGS, audit_event, binary, capability_statement,
        outcome, resources, summary, write,
    },
    domain::{
        nhs_number::NhsNumber,
        one_record::{Parts, assemble},
        record::ItemKind,
    },
};
use serde_json::Value;

use crate::{
    chart::{self, AT, BASE, all, author, ids, withheld},
    rules,
};

fn golden(name: &str, given: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facade").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(given).unwrap());
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if text != expected {
        let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&actual, text).unwrap();
        panic!("{name} is given otherwise than before; see {}", actual.display());
    }
}

#[test]
fn everything_keeps_to_the_rules() {
    let given = all(&chart::record(), &withheld());
    assert!(40 < given.len(), "{}", given.len());
    let faults: Vec<String> = given.iter().flat_map(rules::faults).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn resources_are_given_as_before() {
    let (record, ids) = (chart::record(), ids());
    let withheld = withheld();
    let reading = Reading::new(&record, &withheld, BASE, &ids);
    let given: Vec<Value> =
        ResourceType::ALL.into_iter().flat_map(|kind| resources(&reading, kind)).collect();
    golden("resources.json", &Value::Array(given));
    golden("summary.json", &summary(&reading, &author(), AT));
}

#[test]
fn an_empty_record_says_that_there_is_no_information_and_why() {
    let record = assemble(Parts { nhs_number: NhsNumber::parse("9990000018").ok(), ..Parts::default() }, AT);
    let (ids, withheld) = (ids(), withheld());
    for held in [&withheld[..], &[]] {
        let given = summary(&Reading::new(&record, held, BASE, &ids), &author(), AT);
        assert_eq!(rules::faults(&given), Vec::<String>::new());
        let text = given.to_string();
        for code in ["no-allergy-info", "no-problem-info", "no-medication-info"] {
            assert_eq!(text.matches(code).count(), 1, "{code}");
        }
        assert!(!text.contains("no-known") && !text.contains("nilknown"), "nobody said that there are none");
        let reason = if held.is_empty() { "unavailable" } else { "withheld" };
        let sections = given["entry"][0]["resource"]["section"].as_array().unwrap();
        let results = sections.iter().find(|section| section["title"] == "Results").unwrap();
        assert_eq!(results["emptyReason"]["coding"][0]["code"], reason);
        let problems = sections.iter().find(|section| section["title"] == "Problems").unwrap();
        let narrative = problems["text"]["div"].as_str().unwrap();
        assert_eq!(
            narrative.contains("3 items of kind problem of emis: sealed where it was recorded"),
            !held.is_empty()
        );
    }
}

#[test]
fn each_section_says_what_its_sources_said_of_it() {
    let (record, ids) = (chart::record(), ids());
    let told = |record| {
        let given = summary(&Reading::new(record, &[], BASE, &ids), &author(), AT);
        let sections = given["entry"][0]["resource"]["section"].as_array().unwrap().clone();
        move |title: &str| {
            let section = sections.iter().find(|section| section["title"] == title).unwrap();
            section["text"]["div"].as_str().unwrap().to_owned()
        }
    };
    let full = told(&record);
    assert!(full("Medication").contains("emis: confidential-items; Medications; Items excluded."));
    assert!(full("Problems").contains("vision: confidential-items; Problems"));
    assert!(!full("Immunisations").contains("no-content-recorded"), "there are some");
    let mut parts = chart::parts("");
    parts.statements.retain(|one| one.kind == ItemKind::Notice);
    let empty = assemble(parts, AT);
    let empty = told(&empty);
    assert!(empty("Immunisations").contains("vision: no-content-recorded; Immunisations"));
    assert!(empty("Results").contains("that does not mean that there is none"));
}

#[test]
fn known_absence_is_told_only_where_a_source_told_it() {
    let told = [
        ("code", "716186003"),
        ("code_system", "snomed-ct"),
        ("name", "No known allergy"),
        ("status", "active"),
    ];
    let statements = vec![chart::statement(ItemKind::Allergy, "emis", "AllergyIntolerance/1", &told)];
    let record = assemble(Parts { statements, ..Parts::default() }, AT);
    let ids = ids();
    let reading = Reading::new(&record, &[], BASE, &ids);
    let given = resources(&reading, ResourceType::AllergyIntolerance);
    let codes: Vec<&str> = given[0]["code"]["coding"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    assert_eq!(codes, ["716186003", "no-known-allergies"]);
    assert!(!summary(&reading, &author(), AT).to_string().contains("no-allergy-info"));
}

#[test]
fn markup_of_any_source_is_text() {
    let given = all(&chart::record(), &withheld());
    let mut narratives = Vec::new();
    given.iter().for_each(|one| divisions(one, &mut narratives));
    assert!(10 < narratives.len());
    for narrative in &narratives {
        assert!(!narrative.contains("<script") && !narrative.contains("<b>"), "{narrative}");
    }
    assert!(narratives.iter().any(|one| one.contains("&lt;script&gt;alert(1)&lt;/script&gt;")));
    let names = given.iter().filter(|one| one["resourceType"] == "Patient");
    assert!(
        names.clone().any(|one| one["name"][0]["family"] == "<script>alert(1)</script>"),
        "JSON has it as it is"
    );
}

pub fn divisions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match member.as_str() {
            Some(text) if name == "div" => found.push(text.to_owned()),
            _ => divisions(member, found),
        }),
        Value::Array(all) => all.iter().for_each(|one| divisions(one, found)),
        _ => {}
    }
}

#[test]
fn what_systems_say_differently_is_all_there_and_marked() {
    let (record, ids) = (chart::record(), ids());
    let reading = Reading::new(&record, &[], BASE, &ids);
    let is_disputed = |one: &&Value| {
        let tags = one["meta"]["tag"].as_array();
        tags.is_some_and(|tags| tags.iter().any(|tag| tag["system"] == TAGS && tag["code"] == "disputed"))
    };
    let sources = |kind| -> BTreeSet<String> {
        let given = resources(&reading, kind);
        given
            .iter()
            .filter(is_disputed)
            .map(|one| one["meta"]["source"].as_str().unwrap().to_owned())
            .collect()
    };
    let systems = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|one| format!("{BASE}/systems/{one}")).collect()
    };
    assert_eq!(sources(ResourceType::AllergyIntolerance), systems(&["emis", "vision"]));
    assert_eq!(sources(ResourceType::Observation), systems(&["emis", "lab"]));
    assert_eq!(sources(ResourceType::Patient), systems(&["adastra", "emis", "hospital"]));
    let values: Vec<String> = resources(&reading, ResourceType::Observation)
        .iter()
        .filter(is_disputed)
        .map(|one| one["valueQuantity"]["value"].to_string())
        .collect();
    assert_eq!(values, ["\"4.5\"", "\"5.40\""]);
    let text = summary(&reading, &author(), AT)["entry"][0]["resource"]["text"]["div"].to_string();
    assert!(
        text.contains("Systems differ about FamilyName") && text.contains("Systems differ about ResultValue")
    );
}

#[test]
fn one_thing_of_two_systems_is_one_resource_with_both_in_its_provenance() {
    let (record, ids) = (chart::record(), ids());
    let reading = Reading::new(&record, &[], BASE, &ids);
    let problems = resources(&reading, ResourceType::Condition);
    assert_eq!(problems.len(), 2);
    let origins = resources(&reading, ResourceType::Provenance);
    assert_eq!(origins.len(), 1);
    let asthma = problems.iter().find(|one| one["code"]["text"] == "Asthma").unwrap();
    assert_eq!(origins[0]["target"][0]["reference"], format!("Condition/{}", asthma["id"].as_str().unwrap()));
    assert_eq!(origins[0]["agent"].as_array().unwrap().len(), 2);
}

#[test]
fn ids_and_addresses_tell_nothing_of_the_patient() {
    let given = all(&chart::record(), &[]);
    let mut told = Vec::new();
    given.iter().for_each(|one| addresses(one, &mut told));
    assert!(100 < told.len());
    for address in told {
        for secret in ["9990000018", "RV5-0001", "Testcase", "script"] {
            assert!(!address.contains(secret), "{address}");
        }
    }
}

fn addresses(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match member.as_str() {
            Some(text) if ["id", "fullUrl", "reference", "url", "source"].contains(&name.as_str()) => {
                found.push(text.to_owned());
            }
            _ => addresses(member, found),
        }),
        Value::Array(all) => all.iter().for_each(|one| addresses(one, found)),
        _ => {}
    }
}

#[test]
fn a_document_holds_all_that_it_names() {
    let (record, ids) = (chart::record(), ids());
    let given = summary(&Reading::new(&record, &withheld(), BASE, &ids), &author(), AT);
    let entries = given["entry"].as_array().unwrap();
    let there: BTreeSet<String> = entries
        .iter()
        .map(|entry| {
            let part = |name: &str| entry["resource"][name].as_str().unwrap();
            format!("{}/{}", part("resourceType"), part("id"))
        })
        .collect();
    assert_eq!(there.len(), entries.len(), "each once");
    let mut named = Vec::new();
    references(&given, &mut named);
    let missing: Vec<&String> = named.iter().filter(|name| !there.contains(*name)).collect();
    assert_eq!(missing, Vec::<&String>::new());
    let section = |title: &str| {
        let all = entries[0]["resource"]["section"].as_array().unwrap();
        let found = all.iter().find(|section| section["title"] == title).unwrap();
        found["entry"].as_array().map_or(0, Vec::len)
    };
    let titles = [
        "Allergies and intolerances",
        "Problems",
        "Medication",
        "Immunisations",
        "Results",
        "Past problems",
        "Vital signs",
    ];
    assert_eq!(titles.map(section), [3, 1, 1, 2, 4, 1, 1]);
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, member)| match member.as_str() {
            Some(text) if name == "reference" => found.push(text.to_owned()),
            _ => references(member, found),
        }),
        Value::Array(all) => all.iter().for_each(|one| references(one, found)),
        _ => {}
    }
}

#[test]
fn documents_are_given_whole_and_one_by_one() {
    let letter = "A long letter & more. ".repeat(100_000);
    let record = assemble(chart::parts(&letter), AT);
    let ids = ids();
    let reading = Reading::new(&record, &[], BASE, &ids);
    let listed = resources(&reading, ResourceType::DocumentReference);
    assert!(Value::Array(listed.clone()).to_string().len() < 5_000, "lists have no content");
    let of = |title: &str| listed.iter().find(|one| one["description"] == title).unwrap();
    let found = binary(&reading, of("Discharge letter")["id"].as_str().unwrap()).unwrap();
    let data =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, found["data"].as_str().unwrap());
    assert_eq!(data.unwrap(), letter.trim_end_matches('\u{0}').as_bytes());
    assert_eq!(of("Discharge letter")["content"][0]["attachment"]["size"], letter.len());
    assert_eq!(binary(&reading, "elsewhere"), None);
    let scan = binary(&reading, of("Scan")["id"].as_str().unwrap()).unwrap();
    assert_eq!((&scan["contentType"], &scan["data"]), (&"application/pdf".into(), &"JVBERi0xLjcK".into()));
}

#[test]
fn audit_lines_outcomes_and_capabilities_keep_to_the_rules() {
    let line = AuditLine {
        number: 7,
        at: AT,
        user: "orla".to_owned(),
        name: "Orla <Example>".to_owned(),
        roles: "clinician".to_owned(),
        job_role: "R8000".to_owned(),
        organisation: "5LC01".to_owned(),
        device: "desk 3".to_owned(),
        deed: "record.view".to_owned(),
        outcome: AuditOutcome::Refused,
        patient: NhsNumber::parse("9990000018").ok(),
        ground: "emergency".to_owned(),
        reason: "Found unconscious".to_owned(),
        hub: "soho".to_owned(),
    };
    assert!(!format!("{line:?}").contains("unconscious"));
    let event = audit_event(&line, BASE, &ids());
    assert_eq!(rules::faults(&event), Vec::<String>::new());
    assert_eq!((&event["action"], &event["outcome"]), (&"R".into(), &"4".into()));
    assert!(!event.to_string().contains("9990000018"));
    assert_eq!(rules::faults(&outcome(&[])), Vec::<String>::new());
    let stated = capability_statement("Soho", BASE, AT);
    assert_eq!(stated["rest"][0]["resource"].as_array().unwrap().len(), ResourceType::ALL.len());
}

#[test]
fn numbers_are_written_with_their_digits() {
    let (record, ids) = (chart::record(), ids());
    let given = resources(&Reading::new(&record, &[], BASE, &ids), ResourceType::Observation);
    let bytes: Vec<String> = given.iter().map(|one| String::from_utf8(write(one)).unwrap()).collect();
    assert!(bytes.iter().any(|text| text.contains("\"value\":5.40")), "5.40 is not 5.4");
    assert!(bytes.iter().all(|text| serde_json::from_str::<Value>(text).is_ok()));
}

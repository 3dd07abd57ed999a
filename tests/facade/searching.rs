//! Searches: what is heeded, what is refused, and what is found.

use polygate::codec::fhir::r4::{Page, Reading, ResourceType, Search, Subject, searchset};
use serde_json::Value;

use crate::chart::{self, AT, BASE, ids, withheld};

fn found(kind: ResourceType, parameters: &[(&str, &str)]) -> Value {
    let (record, ids, withheld) = (chart::record(), ids(), withheld());
    let reading = Reading::new(&record, &withheld, BASE, &ids);
    let search = Search::parse(kind, parameters.iter().copied(), false).unwrap();
    searchset(&reading, &Page { search: &search, base: BASE, at: AT })
}

fn total(kind: ResourceType, parameters: &[(&str, &str)]) -> u64 {
    found(kind, parameters)["total"].as_u64().unwrap()
}

#[test]
fn resources_are_found_by_what_they_have() {
    use ResourceType::{
        AllergyIntolerance, Appointment, Condition, Encounter, MedicationStatement, Observation,
    };
    for (kind, parameters, count) in [
        (Observation, &[][..], 6),
        (Observation, &[("code", "78564009")], 1),
        (Observation, &[("code", "http://snomed.info/sct|78564009")], 1),
        (Observation, &[("code", "http://loinc.org|78564009")], 0),
        (Observation, &[("code", "http://snomed.info/sct|")], 3),
        (Observation, &[("code", "|K")], 1),
        (Observation, &[("code", "78564009,NA")], 2),
        (Observation, &[("code", "78564009"), ("code", "NA")], 0),
        (Observation, &[("category", "vital-signs")], 1),
        (
            Observation,
            &[("category", "http://terminology.hl7.org/CodeSystem/observation-category|laboratory")],
            2,
        ),
        (Observation, &[("status", "final,corrected")], 4),
        (Observation, &[("date", "2026-01-05")], 4),
        (Observation, &[("date", "eq2026-01")], 4),
        (Observation, &[("date", "ge2026-02")], 1),
        (Observation, &[("date", "gt2026-01-05T09:30:00Z")], 1),
        (Observation, &[("date", "lt2026-02")], 4),
        (Observation, &[("date", "le2026-02-03")], 5),
        (Observation, &[("date", "ge2026-01-01"), ("date", "lt2026-01-06")], 4),
        (Observation, &[("date", "2026-02-03")], 0),
        (Observation, &[("_lastUpdated", "gt2026-11-18T09:00:00 00:00")], 3),
        (Observation, &[("_id", "elsewhere")], 0),
        (AllergyIntolerance, &[("clinical-status", "active")], 2),
        (AllergyIntolerance, &[("category", "medication")], 1),
        (MedicationStatement, &[("status", "active"), ("effective", "2026")], 0),
        (MedicationStatement, &[("status", "active"), ("effective", "ge2026")], 1),
        (Condition, &[("code", "H33..")], 1),
        (Encounter, &[("class", "IMP")], 1),
        (Appointment, &[("date", "2026-12-01")], 1),
        (Appointment, &[("status", "noshow")], 1),
    ] {
        assert_eq!(total(kind, parameters), count, "{kind:?} {parameters:?}");
    }
}

#[test]
fn pages_follow_one_another_and_name_nobody() {
    let mut offset = "0".to_owned();
    let mut seen = std::collections::BTreeSet::new();
    for page in 0..3 {
        let parameters = [
            ("patient.identifier", "https://fhir.nhs.uk/Id/nhs-number|999 000 0018"),
            ("_count", "2"),
            ("_offset", &offset),
        ];
        let given = found(ResourceType::Observation, &parameters);
        assert_eq!(given["total"], 6);
        let matches =
            given["entry"].as_array().unwrap().iter().filter(|entry| entry["search"]["mode"] == "match");
        seen.extend(matches.map(|entry| entry["fullUrl"].as_str().unwrap().to_owned()));
        assert!(!given["link"].to_string().contains("999"));
        let next = given["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next");
        assert_eq!(next.is_some(), page < 2);
        if let Some(next) = next {
            let url = next["url"].as_str().unwrap();
            assert!(
                url.starts_with(&format!("{BASE}/Observation?patient=")) && url.contains("&_count=2"),
                "{url}"
            );
            offset = url.rsplit('=').next().unwrap().to_owned();
        }
    }
    assert_eq!(seen.len(), 6);
}

#[test]
fn what_is_withheld_is_told_in_every_answer() {
    for kind in [ResourceType::Condition, ResourceType::Observation, ResourceType::Patient] {
        let given = found(kind, &[]);
        let last = given["entry"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["search"]["mode"], "outcome");
        let told = last["resource"].to_string();
        assert!(told.contains("of rio: the patient does not agree to sharing"));
        assert_eq!(told.contains("3 items of kind problem of emis"), kind == ResourceType::Condition);
        assert_eq!(given["meta"]["security"][0]["code"], "REDACTED");
    }
}

#[test]
fn the_patient_comes_with_what_other_systems_say() {
    let given =
        found(ResourceType::Patient, &[("identifier", "https://fhir.nhs.uk/Id/nhs-number|9990000018")]);
    assert_eq!(given["total"], 1);
    let modes: Vec<&str> = given["entry"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["search"]["mode"].as_str())
        .collect();
    assert_eq!(modes, ["match", "include", "include", "outcome"]);
    let link = given["link"][0]["url"].as_str().unwrap();
    assert!(link.contains("/Patient?_id=") && !link.contains("9990000018"), "{link}");
}

#[test]
fn provenance_comes_along_when_it_is_asked_for() {
    let modes = |parameters: &[(&str, &str)]| {
        let given = found(ResourceType::Condition, parameters);
        let all = given["entry"].as_array().unwrap().clone();
        all.iter().filter(|entry| entry["resource"]["resourceType"] == "Provenance").count()
    };
    assert_eq!((modes(&[]), modes(&[("_revinclude", "Provenance:target")])), (0, 1));
    assert_eq!(modes(&[("_revinclude", "Provenance:target"), ("clinical-status", "inactive")]), 0);
}

#[test]
fn unknown_parameters_are_left_out_and_told_or_refused_if_asked_so() {
    let given = found(ResourceType::Condition, &[("abatement-date", "2020"), ("code", "H33..")]);
    let link = given["link"][0]["url"].as_str().unwrap();
    assert!(link.contains("code=H33..") && !link.contains("abatement"), "{link}");
    assert!(given.to_string().contains("the parameter abatement-date is not supported"));
    let strict = Search::parse(ResourceType::Condition, [("abatement-date", "2020")], true);
    assert_eq!(strict.unwrap_err().code, "not-supported");
}

#[test]
fn bad_values_are_refused_without_being_quoted() {
    let many = ["x"; 60].join(",");
    let long = "x".repeat(3_000);
    for (name, value, code) in [
        ("date", "yesterday", "value"),
        ("date", "ne2026", "value"),
        ("date", "20260101", "value"),
        ("date", "2026-13", "value"),
        ("_count", "-1", "value"),
        ("_count", "many", "value"),
        ("_id", "../etc", "value"),
        ("patient", "Patient/<script>", "value"),
        ("patient.identifier", "9990000018", "value"),
        ("patient.identifier", "https://fhir.nhs.uk/Id/nhs-number|9990000019", "value"),
        ("patient.identifier", "RV5|1", "not-supported"),
        ("code", "a,,b", "value"),
        ("code", "a\\", "value"),
        ("code", "|", "value"),
        ("code", &many, "too-costly"),
        ("code", &long, "too-long"),
        ("_format", "xml", "not-supported"),
    ] {
        let fault = Search::parse(ResourceType::Observation, [(name, value)], false).unwrap_err();
        assert_eq!(fault.code, code, "{name}={value}");
        assert!(!fault.to_string().contains(value), "{fault}");
    }
    let crowd = vec![("code", "a"); 31];
    assert_eq!(Search::parse(ResourceType::Observation, crowd, false).unwrap_err().code, "too-costly");
}

#[test]
fn a_search_is_about_one_patient() {
    let parse = |kind, parameters: &[(&str, &str)]| Search::parse(kind, parameters.iter().copied(), false);
    let of = |kind, parameters: &[(&str, &str)]| parse(kind, parameters).unwrap().subject().cloned();
    assert_eq!(of(ResourceType::Condition, &[]).unwrap_err().code, "required");
    assert_eq!(of(ResourceType::Condition, &[("patient", "Patient/abc")]), Ok(Subject::Id("abc".to_owned())));
    assert_eq!(of(ResourceType::Patient, &[("_id", "abc")]), Ok(Subject::Id("abc".to_owned())));
    let number = "https://fhir.nhs.uk/Id/nhs-number|9990000018";
    assert!(matches!(
        of(ResourceType::Condition, &[("subject.identifier", number)]),
        Ok(Subject::NhsNumber(_))
    ));
    let two = parse(ResourceType::Condition, &[("patient", "a"), ("subject", "b")]);
    assert_eq!(two.unwrap_err().code, "multiple-matches");
    assert_eq!(parse(ResourceType::Condition, &[("_count", "5000")]).unwrap().count(), 100);
}

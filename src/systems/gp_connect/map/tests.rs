//! Records as they really come: contained, unreferenced, withdrawn, odd, and shaken beyond recognition.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::record;
use crate::{
    codec::fhir::{Bundle, Element},
    domain::record::{FieldChange, ItemChange, ItemKind},
    systems::{emis, vision},
};

fn bundle(resources: &[Value]) -> Value {
    let entries: Vec<Value> = resources.iter().map(|resource| json!({"resource": resource})).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries})
}

fn mapped(body: &Value) -> (Vec<ItemChange>, Vec<&'static str>) {
    let mapped = record(Bundle::of(Element::of(body)).unwrap(), &emis::PROFILE);
    (mapped.items, mapped.faults)
}

fn only(resources: &[Value]) -> ItemChange {
    let (mut items, faults) = mapped(&bundle(resources));
    assert_eq!((items.len(), faults.len()), (1, 0), "{faults:?}");
    items.remove(0)
}

fn field<'a>(item: &'a ItemChange, name: &str) -> Option<&'a str> {
    item.fields.iter().find_map(|(field, change)| match change {
        FieldChange::Set(value) if *field == name => Some(value.as_str()),
        _ => None,
    })
}

#[test]
fn an_allergy_that_ended_lies_within_its_list_and_is_never_active() {
    let list = json!({"resourceType": "List", "title": "Ended allergies", "entry": [{"item": {"reference": "#a"}}],
        "contained": [{"resourceType": "AllergyIntolerance", "id": "a", "clinicalStatus": "active",
            "extension": [{"url": "https://fhir.nhs.uk/STU3/StructureDefinition/Extension-CareConnect-GPC-AllergyIntoleranceEnd-1",
                "extension": [{"url": "endDate", "valueDateTime": "2018-03"}, {"url": "reasonEnded", "valueString": "Outgrown"}]}],
            "code": {"text": "Egg"}, "reaction": [{"manifestation": [{"text": "Hives"}, {"text": "Wheeze"}], "severity": "severe"}]}]});
    let allergy = only(&[list]);
    for (name, value) in [
        ("status", "resolved"),
        ("status_at_source", "active"),
        ("ended", "2018-03"),
        ("reaction", "Hives; Wheeze"),
        ("severity", "severe"),
        ("note", "Outgrown"),
    ] {
        assert_eq!(field(&allergy, name), Some(value), "{name}");
    }
}

#[test]
fn an_allergy_in_a_list_of_ended_ones_alone_is_not_active() {
    let allergy = json!({"resourceType": "AllergyIntolerance", "id": "a", "clinicalStatus": "active"});
    let list = |code: &str, title: &str| {
        json!({"resourceType": "List", "title": title, "code": {"coding": [{"code": code}]},
            "entry": [{"item": {"reference": "AllergyIntolerance/a"}}]})
    };
    let (ended, by_title) = (list("1103671000000101", ""), list("", "Resolved Allergies"));
    let active = list("886921000000105", "Allergies and adverse reactions");
    for (lists, status) in [
        (vec![ended.clone()], "resolved"),
        (vec![by_title], "resolved"),
        (vec![active.clone()], "active"),
        (vec![ended, active], "active"),
    ] {
        let item = only(&[lists, vec![allergy.clone()]].concat());
        assert_eq!(field(&item, "status"), Some(status));
    }
}

#[test]
fn what_was_entered_in_error_is_withdrawn_whatever_it_is() {
    let error = "entered-in-error";
    for (resource, kind) in [
        (json!({"resourceType": "AllergyIntolerance", "verificationStatus": error}), ItemKind::Allergy),
        (json!({"resourceType": "Condition", "verificationStatus": error}), ItemKind::Problem),
        (json!({"resourceType": "MedicationStatement", "status": error}), ItemKind::Medication),
        (
            json!({"resourceType": "MedicationRequest", "status": error, "intent": "plan"}),
            ItemKind::Medication,
        ),
        (json!({"resourceType": "Immunization", "status": error}), ItemKind::Immunisation),
        (json!({"resourceType": "Encounter", "status": error}), ItemKind::Encounter),
        (json!({"resourceType": "Observation", "status": error}), ItemKind::Observation),
        (json!({"resourceType": "DiagnosticReport", "status": error}), ItemKind::Result),
        (json!({"resourceType": "DocumentReference", "status": error}), ItemKind::Document),
        (json!({"resourceType": "ReferralRequest", "status": error}), ItemKind::Referral),
        (
            json!({"resourceType": "ProcedureRequest", "status": error, "intent": "plan"}),
            ItemKind::Observation,
        ),
    ] {
        let mut resource = resource;
        resource["id"] = json!("x");
        let item = only(&[resource]);
        assert_eq!((item.kind, item.withdrawn), (kind, true), "{}", item.key);
    }
}

#[test]
fn a_medicine_may_lie_within_its_prescription_and_issues_need_no_item() {
    let within = json!({"resourceType": "MedicationRequest", "id": "p", "intent": "plan", "status": "active",
        "contained": [{"resourceType": "Medication", "id": "m", "code": {"coding": [
            {"system": "https://fhir.hl7.org.uk/Id/emis-drug-codes", "code": "ALTA78", "display": "Allopurinol"}]}}],
        "medicationReference": {"reference": "#m"},
        "dispenseRequest": {"quantity": {"value": "28.50", "unit": "g", "extension": [
            {"url": "x/Extension-CareConnect-GPC-MedicationQuantityText-1", "valueString": "a tube"}]}}});
    let issue = json!({"resourceType": "MedicationRequest", "id": "i", "intent": "order", "status": "completed",
        "basedOn": [{"reference": "MedicationRequest/p"}]});
    let item = only(&[within, issue]);
    assert_eq!(field(&item, "code_system"), Some("local"));
    assert_eq!((field(&item, "name"), field(&item, "quantity")), (Some("Allopurinol"), Some("28.50 g")));
}

#[test]
fn a_vaccination_that_was_not_given_has_no_day_on_which_it_was() {
    let item = only(&[
        json!({"resourceType": "Immunization", "id": "v", "status": "completed", "notGiven": true,
        "date": "2026-10-12", "vaccineCode": {"text": "Flu"}, "explanation": {"reasonNotGiven": [{"text": "Declined"}]}}),
    ]);
    assert_eq!((field(&item, "status"), field(&item, "given")), (Some("not-given"), None));
    assert_eq!((field(&item, "recorded"), field(&item, "note")), (Some("2026-10-12"), Some("Declined")));
}

#[test]
fn a_report_without_results_is_still_a_result() {
    let item = only(&[json!({"resourceType": "DiagnosticReport", "id": "r", "status": "final",
        "code": {"text": "Chest X-ray"}, "conclusion": "Clear", "result": [{"reference": "Observation/gone"}]})]);
    assert_eq!((item.kind, field(&item, "value")), (ItemKind::Result, Some("Clear")));
    assert_eq!((field(&item, "report"), field(&item, "status")), (Some("Chest X-ray"), Some("F")));
}

#[test]
fn people_are_found_by_any_name_and_those_missing_are_left_out() {
    let observation = |performer: Value| {
        json!({"resourceType": "Observation", "id": "o", "status": "final", "valueString": "x",
            "performer": [performer], "effectiveDateTime": "1987"})
    };
    let practitioner =
        json!({"resourceType": "Practitioner", "id": "g", "name": {"family": "Okafor", "given": "Ngozi"}});
    for (reference, author) in [
        (json!({"reference": "Practitioner/g"}), Some("Ngozi Okafor")),
        (json!({"reference": "https://gp.example/STU3/Practitioner/g/_history/2"}), Some("Ngozi Okafor")),
        (json!({"reference": "urn:uuid:1"}), Some("Ngozi Okafor")),
        (json!({"reference": "Practitioner/gone", "display": "Dr Gone"}), Some("Dr Gone")),
        (json!({"reference": "Practitioner/gone"}), None),
        (json!("Practitioner/g"), None),
    ] {
        let mut body = bundle(&[observation(reference.clone()), practitioner.clone()]);
        body["entry"][1]["fullUrl"] = json!("urn:uuid:1");
        let (items, _) = mapped(&body);
        assert_eq!(field(&items[0], "author"), author, "{reference}");
        assert_eq!(field(&items[0], "observed"), Some("1987"), "as precise as given");
    }
}

#[test]
fn dates_that_are_none_are_left_out() {
    for bad in ["22/02/1982", "", "2026-13-01", "yesterday"] {
        let item = only(&[json!({"resourceType": "Condition", "id": "c", "onsetDateTime": bad})]);
        assert_eq!(field(&item, "onset"), None, "{bad}");
    }
}

/// A record with something of everything.
fn everything() -> Value {
    bundle(&[
        json!({"resourceType": "Patient", "id": "p", "name": [{"family": "Clarke", "given": ["Ben"]}],
            "address": [{"line": ["1 High Street"]}], "telecom": [{"system": "phone", "value": "1"}]}),
        json!({"resourceType": "Practitioner", "id": "g", "name": [{"family": "Okafor"}]}),
        json!({"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/g"}}),
        json!({"resourceType": "AllergyIntolerance", "id": "a", "code": {"coding": [{"code": "1"}]}, "reaction": [{}]}),
        json!({"resourceType": "DiagnosticReport", "id": "d", "result": [{"reference": "Observation/o"}],
            "specimen": [{"reference": "Specimen/s"}]}),
        json!({"resourceType": "Specimen", "id": "s", "type": {"text": "Blood"}, "receivedTime": "2026"}),
        json!({"resourceType": "Observation", "id": "o", "valueQuantity": {"value": 1, "unit": "g"},
            "related": [{"type": "has-member", "target": {"reference": "Observation/o"}}],
            "referenceRange": [{"low": {"value": 1}}], "component": [{"valueString": "x"}]}),
        json!({"resourceType": "MedicationStatement", "id": "m", "basedOn": [{"reference": "MedicationRequest/q"}],
            "dosage": [{"text": "one"}]}),
        json!({"resourceType": "MedicationRequest", "id": "q", "dispenseRequest": {"quantity": {"value": 1}}}),
        json!({"resourceType": "List", "title": "Problems", "note": [{"text": "x"}], "contained": [{}],
            "extension": [{"url": "Extension-CareConnect-GPC-ListWarningCode-1", "valueCode": "data-in-transit"}]}),
        json!({"resourceType": "OperationOutcome", "issue": [{"details": {"text": "includeProblems"}}]}),
    ])
}

/// Puts `with` at the `steps`th place of the tree.
fn shake(tree: &mut Value, steps: &mut usize, with: &Value) {
    if *steps == 0 {
        tree.clone_from(with);
    }
    *steps = steps.wrapping_sub(1);
    match tree {
        Value::Array(values) => values.iter_mut().for_each(|value| shake(value, steps, with)),
        Value::Object(members) => members.values_mut().for_each(|value| shake(value, steps, with)),
        _ => {}
    }
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!("\u{fffd}|\n")),
        Just(json!(-1.5e300)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!([[{"reference": "Observation/o"}], null])),
        Just(json!({"resourceType": "Observation", "id": "o"})),
        Just(json!({"reference": "#"})),
        Just(json!({"value": {}, "coding": {"code": ["x"]}, "text": 7})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn nothing_in_a_record_can_make_the_reading_fail(
        shakes in proptest::collection::vec((0..400_usize, anything()), 1..6)
    ) {
        let mut tree = everything();
        for (mut at, with) in shakes {
            shake(&mut tree, &mut at, &with);
        }
        if let Some(bundle) = Bundle::of(Element::of(&tree)) {
            for profile in [&emis::PROFILE, &vision::PROFILE] {
                let mapped = record(bundle, profile);
                for item in &mapped.items {
                    let names: Vec<_> = item.fields.iter().map(|(name, _)| *name).collect();
                    let mut once = names.clone();
                    once.sort_unstable();
                    once.dedup();
                    prop_assert_eq!(names.len(), once.len(), "a field twice: {:?}", names);
                }
            }
        }
    }
}

#[test]
fn a_record_made_to_be_slow_is_not() {
    let many = 20_000;
    let references: Vec<Value> = (0..many).map(|_| json!({"reference": "Observation/o"})).collect();
    let members: Vec<Value> =
        (0..many).map(|_| json!({"type": "has-member", "target": {"reference": "Observation/o"}})).collect();
    let notes: Vec<Value> = (0..many).map(|number| json!({"text": number.to_string()})).collect();
    let contained: Vec<Value> =
        (0..many).map(|_| json!({"resourceType": "Observation", "id": "x"})).collect();
    let within: Vec<Value> = (0..many).map(|_| json!({"reference": "#y"})).collect();
    let body = bundle(&[
        json!({"resourceType": "DiagnosticReport", "id": "d", "result": references}),
        json!({"resourceType": "DiagnosticReport", "id": "e", "result": within, "contained": contained}),
        json!({"resourceType": "Observation", "id": "o", "valueString": "x", "related": members}),
        json!({"resourceType": "Condition", "id": "c", "note": notes}),
        json!({"resourceType": "Condition", "id": "c"}),
    ]);
    let (items, faults) = mapped(&body);
    assert_eq!((items.len(), faults.as_slice()), (4, ["resource-twice"].as_slice()));
}

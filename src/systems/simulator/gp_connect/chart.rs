//! A patient's record: what was asked for is checked, and that much of the chart is given.

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Element, names, names::extension},
    domain::time::Timestamp,
    systems::gp_connect::{RecordPart, fault::Fault, local_time},
};

use super::{
    Provider,
    check::Asked,
    complaint::{Complaint, invalid, parameter},
    entries,
    patients::{dissents, is_sensitive, person_of, resource, shown},
    sessions::{location, organisation, practitioner},
};

/// The parts, as questions name them: the parameter, what may stand within it, and what must.
const PARAMETERS: [(&str, RecordPart, &[&str], Option<&str>); 9] = [
    (
        "includeAllergies",
        RecordPart::Allergies,
        &["includeResolvedAllergies"],
        Some("includeResolvedAllergies"),
    ),
    (
        "includeMedication",
        RecordPart::Medication,
        &["includePrescriptionIssues", "medicationSearchFromDate"],
        None,
    ),
    ("includeProblems", RecordPart::Problems, &["filterStatus", "filterSignificance"], None),
    (
        "includeConsultations",
        RecordPart::Consultations,
        &["consultationSearchPeriod", "includeNumberOfMostRecent"],
        None,
    ),
    ("includeImmunisations", RecordPart::Immunisations, &["includeNotGiven", "includeStatus"], None),
    ("includeInvestigations", RecordPart::Investigations, &["investigationSearchPeriod"], None),
    ("includeUncategorisedData", RecordPart::UncategorisedData, &["uncategorisedDataSearchPeriod"], None),
    ("includeReferrals", RecordPart::Referrals, &["referralSearchPeriod"], None),
    ("includeDiaryEntries", RecordPart::DiaryEntries, &["diaryEntriesSearchDate"], None),
];

/// Each part's list: its SNOMED CT code and title (GP Connect 1.6.0, List).
const fn list_of(part: RecordPart) -> (&'static str, &'static str) {
    match part {
        RecordPart::Allergies => ("886921000000105", "Allergies and adverse reactions"),
        RecordPart::Medication => ("933361000000108", "Medications and medical devices"),
        RecordPart::Problems => ("717711000000103", "Problems"),
        RecordPart::Consultations => ("1149501000000101", "List of consultations"),
        RecordPart::Immunisations => ("1102181000000102", "Immunisations"),
        RecordPart::Investigations => ("887191000000108", "Investigations and results"),
        RecordPart::UncategorisedData => ("826501000000100", "Miscellaneous record"),
        RecordPart::Referrals => ("792931000000107", "Outbound referral"),
        RecordPart::DiaryEntries => ("714311000000108", "Patient recall administration"),
    }
}

pub(super) fn record(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let (number, parts) = check(provider, &asked.body)?;
    let person = person_of(&number)?.filter(|person| {
        // A record is given of those registered for good, and of no one else.
        let own = provider.options.first_person..provider.options.first_person + provider.options.people;
        own.contains(&person.number) && !is_sensitive(person.number)
    });
    let person = person.ok_or_else(|| Complaint::of(Fault::PatientNotFound, "no such patient"))?;
    if dissents(person.number) {
        return Err(Complaint::of(Fault::NoPatientConsent, "the patient dissents"));
    }
    let person = shown(provider, &person);
    let mut resources = vec![
        resource(provider, &person),
        organisation(provider),
        practitioner(),
        role(provider),
        location(provider),
    ];
    for part in parts {
        let content = entries::of(provider, &person, part);
        resources.push(list(&person.number, part, &content, now));
        resources.extend(content);
    }
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({"resource": resource})).collect();
    Ok(json!({
        "resourceType": "Bundle",
        "meta": {"profile": [names::profile("GPConnect-StructuredRecord-Bundle-1")]},
        "type": "collection",
        "entry": entries,
    }))
}

fn check(provider: &Provider, body: &Value) -> Result<(String, Vec<RecordPart>), Complaint> {
    let body = Element::of(body);
    if body.text_of("resourceType") != Some("Parameters") {
        return Err(invalid("Parameters are needed"));
    }
    let mut number = None;
    let mut parts = Vec::new();
    for one in body.each("parameter") {
        let name = one.text_of("name").ok_or_else(|| invalid("a parameter has no name"))?;
        if name == "patientNHSNumber" {
            let identifier = one.get("valueIdentifier");
            if identifier.text_of("system") != Some(names::NHS_NUMBER) {
                return Err(Complaint::of(Fault::InvalidIdentifierSystem, name));
            }
            number = identifier.text_of("value").map(str::to_owned);
            continue;
        }
        let known = PARAMETERS.iter().find(|(known, ..)| *known == name);
        let (_, part, within, needed) = known.ok_or_else(|| parameter(name))?;
        let inner: Vec<&str> = one.each("part").filter_map(|part| part.text_of("name")).collect();
        if inner.iter().any(|name| !within.contains(name))
            || needed.is_some_and(|name| !inner.contains(&name))
        {
            return Err(parameter(name));
        }
        let old = matches!(part, RecordPart::Allergies | RecordPart::Medication);
        if parts.contains(part) || (provider.knobs().is_version_1_2 && !old) {
            return Err(parameter(name));
        }
        parts.push(*part);
    }
    Ok((number.ok_or_else(|| parameter("patientNHSNumber"))?, parts))
}

fn list(person: &u64, part: RecordPart, content: &[Value], now: Timestamp) -> Value {
    let (code, title) = list_of(part);
    let listed = content.iter().filter(|one| entries::is_listed(one));
    let items: Vec<Value> = listed
        .filter_map(|one| {
            Some(format!("{}/{}", one.get("resourceType")?.as_str()?, one.get("id")?.as_str()?))
        })
        .map(|reference| json!({"item": {"reference": reference}}))
        .collect();
    let mut list = json!({
        "resourceType": "List",
        "meta": {"profile": [names::profile("CareConnect-GPC-List-1")]},
        "status": "current",
        "mode": "snapshot",
        "title": title,
        "code": {"coding": [{"system": names::SNOMED_CT, "code": code, "display": title}]},
        "subject": {"reference": format!("Patient/p{person}")},
        "date": local_time::moment(now),
    });
    let mut notes = Vec::new();
    if let Some((warning, words)) = warning(*person, part) {
        list["extension"] = json!([{"url": names::profile(extension::LIST_WARNING), "valueCode": warning}]);
        notes.push(json!({"text": words}));
    }
    if items.is_empty() {
        list["emptyReason"] = json!({"coding": [{
            "system": names::LIST_EMPTY_REASON, "code": "no-content-recorded", "display": "No Content Recorded",
        }]});
        notes.push(json!({"text": "Information not available"}));
    } else {
        list["entry"] = Value::Array(items);
    }
    if !notes.is_empty() {
        list["note"] = Value::Array(notes);
    }
    list
}

/// Some people's lists are not whole: in one of seven something is confidential, one of eleven has just moved,
/// and for one of five a report waits to be filed.
const fn warning(person: u64, part: RecordPart) -> Option<(&'static str, &'static str)> {
    match part {
        _ if person % 11 == 5 => Some((
            "data-in-transit",
            "Patient record transfer from previous GP practice not yet complete; information recorded before \
             01-Oct-2026 may be missing.",
        )),
        RecordPart::Problems if person % 7 == 3 => {
            Some(("confidential-items", "Items excluded due to confidentiality and/or patient preferences."))
        }
        RecordPart::Investigations if person % 5 == 1 => Some((
            "data-awaiting-filing",
            "Patient data may be incomplete as there is data supplied by a third party awaiting review before \
             becoming available.",
        )),
        _ => None,
    }
}

fn role(provider: &Provider) -> Value {
    json!({
        "resourceType": "PractitionerRole",
        "id": "r1",
        "meta": {"versionId": "1", "profile": [names::profile("CareConnect-GPC-PractitionerRole-1")]},
        "practitioner": {"reference": "Practitioner/g1"},
        "organization": {"reference": format!("Organization/{}", provider.options.practice)},
        "code": [{"coding": [{"system": names::SDS_JOB_ROLE, "code": "R0260", "display": "General Medical Practitioner"}]}],
    })
}

//! Who the patient is: as it is shown first, and as each other system says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    codec::fhir::names,
    domain::{
        one_record::{OneItem, Source},
        record::ItemKind,
    },
};

use super::{
    Reading, ResourceType, moment,
    reading::{redacted, reference},
    terms,
    text::{clean, code, division, escaped},
    writer::pruned,
};

const VERIFICATION: &str =
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus";
const VERIFICATION_CODES: &str =
    "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland";

/// The patient under the id that all resources name, and beside it, linked both ways, what each other system says.
pub(super) fn patients(reading: &Reading<'_>) -> Vec<Value> {
    let identity = &reading.record.identity;
    let shown = identity.source.as_ref();
    let is_shown = |item: &OneItem| shown.is_some() && item.sources.first() == shown;
    let others: Vec<_> = reading.items(ItemKind::Demographics).filter(|told| !is_shown(told.item)).collect();
    let is_disputed = reading.record.section(ItemKind::Demographics).iter().any(|item| item.disputed);
    let links = others.iter().map(|told| link(told.id)).collect();
    let mut first = patient(reading, reading.patient_id(), &identity.demographics, shown, links);
    first["identifier"] = identifiers(reading, &identity.demographics);
    first["meta"] = meta(reading, shown, is_disputed);
    let others = others.iter().map(|told| {
        let links = vec![link(reading.patient_id())];
        let source = told.item.sources.first();
        let mut other = patient(reading, told.id, &told.item.fields, source, links);
        other["meta"] = meta(reading, source, told.item.disputed);
        other
    });
    let all: Vec<Value> = std::iter::once(first).chain(others).collect();
    all.into_iter().filter_map(pruned).collect()
}

fn link(id: &str) -> Value {
    json!({ "other": reference(ResourceType::Patient, id), "type": "seealso" })
}

/// Parts of the demographics are held back as a label, never as a gap.
fn meta(reading: &Reading<'_>, source: Option<&Source>, is_disputed: bool) -> Value {
    let mut meta = reading.meta(source, is_disputed);
    if reading.withheld.iter().any(|one| one.kind == Some(ItemKind::Demographics)) {
        meta["security"] = redacted();
    }
    meta
}

type Fields = BTreeMap<String, String>;

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
}

fn patient(
    reading: &Reading<'_>,
    id: &str,
    fields: &Fields,
    source: Option<&Source>,
    links: Vec<Value>,
) -> Value {
    let shown = |name: &str| text(fields, name).map(clean);
    let (gender, birth) = (text(fields, "gender"), text(fields, "birth_date"));
    let birth_date = birth.and_then(moment::date);
    let lines = ["address_line_1", "address_line_2"].map(shown);
    let practice = text(fields, "general_practice").map(|practice| {
        json!([{ "type": "Organization", "identifier": { "system": names::ODS_CODE, "value": clean(practice) } }])
    });
    let name = pruned(json!({
        "family": shown("family_name"),
        "given": [shown("given_name"), shown("middle_names")],
        "prefix": [shown("title")],
    }));
    // What FHIR cannot take stays in words.
    let mut more = Vec::new();
    more.extend(birth.filter(|_| birth_date.is_none()).map(|text| ("Born", text)));
    more.extend(gender.filter(|text| gender_code(text).is_none()).map(|text| ("Gender", text)));
    more.extend(text(fields, "ethnic_category").map(|text| ("Ethnic category", text)));
    more.extend(text(fields, "language").map(|text| ("Language", text)));
    let died = died(fields, &mut more);
    json!({
        "resourceType": ResourceType::Patient.name(),
        "id": id,
        "text": narrative(&more),
        "identifier": source.map(|source| of_system(reading, &source.system)),
        "name": [name.unwrap_or_else(|| terms::absent("unknown"))],
        "telecom": [shown("telephone").map(|value| json!({ "system": "phone", "value": value }))],
        "gender": gender.and_then(gender_code),
        "_birthDate": birth_date.is_none().then(|| terms::absent("unknown")),
        "birthDate": birth_date,
        "deceasedDateTime": died.0,
        "deceasedBoolean": died.1,
        "address": [{
            "line": lines, "city": shown("city"), "district": shown("county"), "postalCode": shown("postcode"),
        }],
        "generalPractitioner": practice,
        "link": links,
    })
}

fn narrative(more: &[(&str, &str)]) -> Value {
    let lines = more.iter().map(|(called, text)| format!("<p>{called}: {}</p>", escaped(text.trim())));
    let lines: String = lines.collect();
    if lines.is_empty() { Value::Null } else { json!({ "status": "additional", "div": division(&lines) }) }
}

/// HL7 table 0001, and FHIR's own words.
fn gender_code(text: &str) -> Option<&'static str> {
    match text.trim().to_ascii_lowercase().as_str() {
        "f" | "female" => Some("female"),
        "m" | "male" => Some("male"),
        "o" | "a" | "other" => Some("other"),
        "u" | "unknown" => Some("unknown"),
        _ => None,
    }
}

/// When the patient died, or that they did. Nothing is said of those of whom nothing is said.
fn died<'a>(fields: &'a Fields, more: &mut Vec<(&'static str, &'a str)>) -> (Option<String>, Option<bool>) {
    let date = text(fields, "death_date");
    let moment = date.and_then(moment::date_time);
    let is_said = matches!(text(fields, "death_indicator").map(str::trim), Some("Y" | "y" | "true"));
    if moment.is_none() {
        more.extend(date.map(|date| ("Died", date)));
    }
    let is_dead = moment.is_none() && (is_said || date.is_some());
    (moment, is_dead.then_some(true))
}

/// The number that joins the systems, with how far it was verified, and what each system calls the patient.
fn identifiers(reading: &Reading<'_>, fields: &Fields) -> Value {
    let identity = &reading.record.identity;
    let status = text(fields, "nhs_number_status").map(|status| status.trim().trim_start_matches("NSTS"));
    let status =
        status.filter(|status| status.len() == 2 && status.bytes().all(|byte| byte.is_ascii_digit()));
    let verified = status.map(|status| {
        let coding = json!([{ "system": VERIFICATION_CODES, "code": status }]);
        json!([{ "url": VERIFICATION, "valueCodeableConcept": { "coding": coding } }])
    });
    let number = identity.nhs_number.map(|number| {
        json!({ "extension": verified, "use": "official", "system": names::NHS_NUMBER, "value": number.as_str() })
    });
    let mut systems: Vec<&str> = identity.identifiers.iter().map(|(system, _)| system.as_str()).collect();
    systems.dedup();
    let mut given: Vec<Value> = number.into_iter().collect();
    for system in systems {
        for one in of_system(reading, system) {
            if !given.contains(&one) {
                given.push(one);
            }
        }
    }
    Value::Array(given)
}

/// What one system calls the patient, but for the NHS number, which is told once.
fn of_system(reading: &Reading<'_>, system: &str) -> Vec<Value> {
    let known = reading.record.identity.identifiers.iter();
    let known = known.filter(|(of, one)| of == system && one.authority != "NHS" && one.kind != "NH");
    let given = known.map(|(_, one)| {
        let authority = terms::system_uri(&one.authority, reading.base);
        let kind = Some(code(&one.kind)).filter(|kind| !kind.is_null()).map(|kind| {
            json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind }] })
        });
        json!({
            "type": kind,
            // An authority's short name means something to its own system only.
            "system": authority.unwrap_or_else(|| reading.system_uri(system)),
            "value": clean(&one.value),
        })
    });
    given.collect()
}

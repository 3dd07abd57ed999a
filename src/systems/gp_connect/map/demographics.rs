//! Who the patient is, as the practice sees it.

use crate::{
    codec::fhir::{Element, Organization, Patient, Reference, names},
    domain::record::{Identifier, ItemChange, ItemKind},
};

use super::fields::{Context, Fields};

/// No practice lists more of a patient's identifiers.
const IDENTIFIERS_MAX: usize = 64;

pub(super) fn item(patient: Patient<'_>, context: &Context<'_>) -> ItemChange {
    let element = patient.element();
    let (name, address) = (patient.name(), patient.address());
    let mut given = name.each("given").filter_map(Element::text);
    let first = given.next();
    let middle: Vec<&str> = given.collect();
    let mut lines = address.each("line").filter_map(Element::text);
    let phone = element.each("telecom").find(|one| one.text_of("system") == Some("phone"));
    let died = element.get("deceasedDateTime").moment();
    let mut fields = Fields::default();
    fields
        .set("family_name", name.text_of("family"))
        .set("given_name", first)
        .set("middle_names", Some(middle.join(" ")))
        .set("title", name.text_of("prefix"))
        .moment("birth_date", patient.birth_date())
        .set("gender", patient.gender().map(gender))
        .set("address_line_1", lines.next())
        .set("address_line_2", lines.next())
        .set("city", address.text_of("city"))
        .set("county", address.text_of("district"))
        .set("postcode", address.text_of("postalCode"))
        .set("telephone", phone.and_then(|phone| phone.text_of("value")))
        .moment("death_date", died)
        .set("death_indicator", (died.is_some() || element.get("deceasedBoolean").is_true()).then_some("Y"))
        .set("general_practice", general_practice(patient, context))
        .set("nhs_number_status", patient.nhs_number().1.map(|code| format!("NSTS{code}")));
    fields.into_item(ItemKind::Demographics, String::new(), false)
}

/// HL7 table 0001, as hospital systems write it.
fn gender(code: &str) -> &str {
    match code {
        "female" => "F",
        "male" => "M",
        "other" => "O",
        "unknown" => "U",
        other => other,
    }
}

/// The practice the patient is registered with, else the one whose record it is.
fn general_practice<'a>(patient: Patient<'a>, context: &Context<'a>) -> Option<&'a str> {
    let registered = patient.element().each("generalPractitioner").map(Reference::of);
    let code = |one: Reference<'a>| context.index.find(one).and_then(Organization::of)?.ods_code();
    registered.into_iter().find_map(code).or_else(|| code(patient.managing_organisation()))
}

/// Every identifier the practice gives for the patient.
pub fn identifiers(patient: Patient<'_>) -> Vec<Identifier> {
    let identifier = |one: crate::codec::fhir::Identifier<'_>| {
        let system = one.system().unwrap_or_default();
        let is_nhs_number = system == names::NHS_NUMBER;
        Some(Identifier {
            value: one.value()?.to_owned(),
            authority: if is_nhs_number { "NHS" } else { system }.to_owned(),
            kind: if is_nhs_number { "NH" } else { "" }.to_owned(),
        })
    };
    patient.identifiers().filter_map(identifier).take(IDENTIFIERS_MAX).collect()
}

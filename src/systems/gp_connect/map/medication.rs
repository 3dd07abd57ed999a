//! Medicines: one item for each that is taken, with what its authorisation says.

use std::collections::HashSet;

use crate::{
    codec::fhir::{
        Bundle, CodeableConcept, Element, Medication, MedicationRequest, MedicationStatement, Reference,
    },
    domain::record::{ItemChange, ItemKind},
};

use super::{
    clinical::requester,
    fields::{Context, Fields, is_error, notes},
    index::{Who, name_of},
};

/// The prescriptions whose medicine is told of by a statement.
pub(super) struct Prescriptions {
    told: HashSet<String>,
}

impl Prescriptions {
    pub(super) fn of(bundle: Bundle<'_>) -> Self {
        let statements = bundle.resources().filter_map(MedicationStatement::of);
        let targets = statements.flat_map(|one| one.element().each("basedOn"));
        let told = targets.filter_map(|one| Reference::of(one).id_of(MedicationRequest::KIND));
        Self { told: told.map(|id| format!("{}/{id}", MedicationRequest::KIND)).collect() }
    }

    /// Whether it needs no item of its own: a statement tells of it, or it is one issue of another.
    pub(super) fn is_told(&self, request: MedicationRequest<'_>) -> bool {
        let name = name_of(request.element());
        let told = name.is_some_and(|name| self.told.contains(&name));
        let is_issue = request.intent() == Some("order") && request.based_on().target().is_some();
        told || is_issue
    }
}

pub(super) fn statement(
    statement: MedicationStatement<'_>,
    key: String,
    context: &Context<'_>,
) -> ItemChange {
    let element = statement.element();
    let request = context.index.find_from(element, statement.based_on()).and_then(MedicationRequest::of);
    let concept = medicine(element, statement.concept(), statement.medication(), context);
    let started = statement.effective().start().or_else(|| element.get("effectiveDateTime").moment());
    let mut texts = notes(element);
    texts.extend(request.into_iter().flat_map(|request| notes(request.element())));
    let mut fields = Fields::default();
    fields
        .concept(concept, context)
        .set("status", statement.status())
        .set("status_at_source", statement.status())
        .set("dose", dose(element.each("dosage")).or_else(|| request.and_then(request_dose)))
        .set("quantity", request.and_then(MedicationRequest::quantity))
        .set("prescription_type", request.and_then(prescription_type))
        .moment("started", started)
        .moment("ended", statement.effective().end())
        .moment("last_issued", statement.last_issued())
        .moment("recorded", element.get("dateAsserted").moment())
        .author(author(request, statement.source(), context))
        .notes(&texts);
    fields.into_item(ItemKind::Medication, key, is_error(&[statement.status()]))
}

pub(super) fn request(request: MedicationRequest<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = request.element();
    let concept = medicine(element, request.concept(), request.medication(), context);
    let mut fields = Fields::default();
    fields
        .concept(concept, context)
        .set("status", request.status())
        .set("status_at_source", request.status())
        .set("dose", request_dose(request))
        .set("quantity", request.quantity())
        .set("prescription_type", prescription_type(request))
        .moment("started", request.validity().start())
        .moment("ended", request.validity().end())
        .moment("recorded", element.get("authoredOn").moment())
        .author(author(Some(request), request.recorder(), context))
        .notes(&notes(element));
    fields.into_item(ItemKind::Medication, key, is_error(&[request.status()]))
}

fn medicine<'a>(
    resource: Element<'a>,
    concept: CodeableConcept<'a>,
    reference: Reference<'a>,
    context: &Context<'a>,
) -> CodeableConcept<'a> {
    let product = context.index.find_from(resource, reference).and_then(Medication::of);
    product.map_or(concept, Medication::code)
}

/// The instructions in words, one after another, with what is added for the patient.
fn dose<'a>(dosages: impl Iterator<Item = Element<'a>>) -> Option<String> {
    let words = dosages.flat_map(|dosage| [dosage.text_of("text"), dosage.text_of("patientInstruction")]);
    let words: Vec<&str> = words.flatten().collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn request_dose(request: MedicationRequest<'_>) -> Option<String> {
    dose(request.element().each("dosageInstruction"))
}

fn prescription_type(request: MedicationRequest<'_>) -> Option<&str> {
    request.prescription_type().any_code().or_else(|| request.prescription_type().words())
}

fn author(request: Option<MedicationRequest<'_>>, source: Reference<'_>, context: &Context<'_>) -> Who {
    let Some(request) = request else { return context.who(source) };
    let [agent, on_behalf] = requester(request.element());
    let mut who = context.first_of(&[agent, request.recorder(), source]);
    who.organisation = who.organisation.or_else(|| context.index.organisation(on_behalf));
    who
}

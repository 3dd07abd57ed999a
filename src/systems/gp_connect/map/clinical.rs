//! Allergies, problems, immunisations and consultations.

use std::collections::HashSet;

use crate::{
    codec::fhir::{
        Allergy, Bundle, CodeableConcept, Condition, Element, Encounter, Immunization, List, Reference,
    },
    domain::record::{ItemChange, ItemKind},
};

use super::fields::{Context, Fields, is_error, notes};

pub(super) fn allergy(allergy: Allergy<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = allergy.element();
    let (ended, why) = allergy.end();
    let categories: Vec<&str> = element.each("category").filter_map(Element::text).collect();
    let mut reactions = Vec::new();
    for reaction in allergy.reactions() {
        let words = reaction.each("manifestation").filter_map(|one| CodeableConcept::of(one).words());
        reactions.extend(words.chain(reaction.text_of("description")));
    }
    let severity = allergy.reactions().find_map(|reaction| reaction.text_of("severity"));
    let status = allergy.clinical_status();
    // One that has ended must never be shown as active, whatever its status says.
    let ended_at_all = ended.is_some() || why.is_some() || context.ended.contains(&key);
    let shown = if ended_at_all && status.is_none_or(|status| status == "active") {
        Some("resolved")
    } else {
        status
    };
    let mut texts = notes(element);
    texts.extend(why);
    let mut fields = Fields::default();
    fields
        .concept(allergy.code(), context)
        .set("status", shown)
        .set("status_at_source", status)
        .set("category", Some(categories.join(", ")))
        .set("severity", severity.or(allergy.criticality()))
        .set("certainty", allergy.verification_status())
        .set("reaction", Some(reactions.join("; ")))
        .moment("onset", element.get("onsetDateTime").moment())
        .moment("ended", ended)
        .moment("recorded", element.get("assertedDate").moment())
        .author(context.first_of(&[allergy.recorder(), allergy.asserter()]))
        .notes(&texts);
    fields.into_item(ItemKind::Allergy, key, is_error(&[allergy.verification_status(), status]))
}

/// The list of allergies that have ended (GP Connect 1.6.0, List).
const ENDED_ALLERGIES: &str = "1103671000000101";

/// The allergies that stand, or lie, in a list of ended ones and in no other: one that is in both is taken as active.
pub(super) fn ended_allergies(bundle: Bundle<'_>) -> HashSet<String> {
    let (mut ended, mut others) = (HashSet::new(), HashSet::new());
    for list in bundle.resources().filter_map(List::of) {
        let title = list.title().unwrap_or_default().to_lowercase();
        let told = title.contains("allerg") && (title.contains("ended") || title.contains("resolved"));
        let is_ended = told || list.code().codings().any(|coding| coding.code() == Some(ENDED_ALLERGIES));
        let named = list.items().filter_map(|item| item.id_of(Allergy::KIND));
        let within = list.element().each("contained").filter_map(Allergy::of).filter_map(Allergy::id);
        let keys = named.chain(within).map(|id| format!("{}/{id}", Allergy::KIND));
        if is_ended { ended.extend(keys) } else { others.extend(keys) }
    }
    &ended - &others
}

pub(super) fn problem(problem: Condition<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = problem.element();
    let ended = element.get("abatementDateTime").moment();
    let mut fields = Fields::default();
    fields
        .concept(problem.code(), context)
        .set("status", problem.clinical_status())
        .set("status_at_source", problem.clinical_status())
        .set("significance", problem.significance())
        .moment("onset", element.get("onsetDateTime").moment())
        .moment("ended", ended)
        .moment("recorded", element.get("assertedDate").moment())
        .author(context.who(problem.asserter()))
        .notes(&notes(element));
    let withdrawn = is_error(&[problem.verification_status(), problem.clinical_status()]);
    fields.into_item(ItemKind::Problem, key, withdrawn)
}

pub(super) fn immunisation(given: Immunization<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = given.element();
    let procedure = given.procedure();
    let has_procedure = procedure.element().is_present();
    let not_given = given.was_not_given();
    let explanation = element.get("explanation");
    let reasons = ["reasonNotGiven", "reason"].into_iter().flat_map(|name| explanation.each(name));
    let mut texts = notes(element);
    texts.extend(reasons.filter_map(|reason| CodeableConcept::of(reason).words()));
    let date = element.get("date").moment();
    let recorded = element.extension(crate::codec::fhir::names::extension::DATE_RECORDED);
    let dose = element.at(&["vaccinationProtocol", "doseSequence"]).word();
    let status = if not_given { Some("not-given") } else { given.status() };
    let mut fields = Fields::default();
    fields
        .concept(if has_procedure { procedure } else { given.vaccine() }, context)
        .set("status", status)
        .set("status_at_source", given.status())
        .moment("given", date.filter(|_| !not_given))
        .set("product", given.vaccine().words().filter(|_| has_procedure))
        .set("batch_number", given.lot_number())
        .set("site", given.site().words())
        .set("route", given.route().words())
        .set("dose_sequence", dose)
        .moment("recorded", recorded.get("valueDateTime").moment().or(date.filter(|_| not_given)))
        .author(context.who(given.practitioner()))
        .notes(&texts);
    fields.into_item(ItemKind::Immunisation, key, is_error(&[given.status()]))
}

pub(super) fn encounter(encounter: Encounter<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let part = |code: &str| {
        let found = encounter.participants().find(|(part, _)| *part == Some(code));
        found.map(|(_, who)| context.who(who))
    };
    let anybody = || encounter.participants().next().map(|(_, who)| context.who(who));
    let performed = part("PPRF").or_else(anybody).unwrap_or_default();
    let recorded = part("REC").unwrap_or_else(|| performed.clone());
    let organisation = context.index.organisation(encounter.service_provider());
    let reasons = encounter.element().each("reason").filter_map(|one| CodeableConcept::of(one).words());
    let mut fields = Fields::default();
    fields
        .concept(encounter.kind(), context)
        .set("type", encounter.kind().words())
        .set("patient_class", encounter.element().at(&["class", "code"]).text())
        .set("status", encounter.status())
        .set("status_at_source", encounter.status())
        .set("location", context.index.place(encounter.location()))
        .set("clinician", performed.person)
        .moment("started", encounter.period().start())
        .moment("ended", encounter.period().end())
        .set("author", recorded.person)
        .set("organisation", organisation.or(performed.organisation))
        .notes(&reasons.collect::<Vec<_>>());
    fields.into_item(ItemKind::Encounter, key, is_error(&[encounter.status()]))
}

/// The parts of a requester: who, and for whom.
pub(super) fn requester(element: Element<'_>) -> [Reference<'_>; 2] {
    [
        Reference::of(element.at(&["requester", "agent"])),
        Reference::of(element.at(&["requester", "onBehalfOf"])),
    ]
}

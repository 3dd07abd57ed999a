//! Documents, referrals and what is due.

use crate::{
    codec::fhir::{
        CodeableConcept, DocumentReference, HealthcareService, ProcedureRequest, Reference, ReferralRequest,
    },
    domain::record::{ItemChange, ItemKind},
};

use super::{
    clinical::requester,
    fields::{Context, Fields, is_error, notes},
};

pub(super) fn document(document: DocumentReference<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = document.element();
    let attachment = document.attachment();
    let content = attachment.text_of("data");
    let organisation = context.index.organisation(document.custodian());
    let author = context.who(document.author());
    // What is not sent along stays at the practice; the title says why when it is missing there, too.
    let missing = attachment.text_of("title").filter(|_| content.is_none());
    let mut fields = Fields::default();
    fields
        .concept(document.kind(), context)
        .set("title", document.description().or(attachment.text_of("title")).or(document.kind().words()))
        .set("type", document.kind().words())
        .set("status", document.status())
        .set("status_at_source", document.status())
        .moment("created", element.get("created").moment())
        .moment("recorded", element.get("indexed").moment())
        .set("media_type", attachment.text_of("contentType"))
        .set("encoding", content.map(|_| "base64"))
        .set("content", content)
        .set("author", author.person)
        .set("organisation", author.organisation.or(organisation))
        .notes(&missing.into_iter().collect::<Vec<_>>());
    fields.into_item(ItemKind::Document, key, is_error(&[document.status()]))
}

pub(super) fn referral(referral: ReferralRequest<'_>, key: String, context: &Context<'_>) -> ItemChange {
    let element = referral.element();
    let recipients = || element.each("recipient").map(Reference::of);
    let service =
        recipients().find_map(|one| context.index.find(one).and_then(HealthcareService::of)?.name());
    let recipient = || {
        recipients().find_map(|one| {
            let who = context.who(one);
            who.organisation.or(who.person)
        })
    };
    let named = referral.service().words().or_else(|| referral.specialty().words()).or(service);
    let [agent, on_behalf] = requester(element);
    let mut author = context.who(agent);
    author.organisation = author.organisation.or_else(|| context.index.organisation(on_behalf));
    let mut texts: Vec<&str> = referral.description().into_iter().collect();
    texts.extend(notes(element));
    let mut fields = Fields::default();
    fields
        .concept(referral.reason(), context)
        .set("service", named.map(str::to_owned).or_else(recipient))
        .set("reason", referral.reason().words())
        .set("priority", referral.priority())
        .set("status", referral.status())
        .set("status_at_source", referral.status())
        .moment("recorded", element.get("authoredOn").moment())
        .author(author)
        .notes(&texts);
    fields.into_item(ItemKind::Referral, key, is_error(&[referral.status()]))
}

/// Something planned; none if it is the request behind a report, which the report tells of.
pub(super) fn diary_entry(
    request: ProcedureRequest<'_>,
    key: String,
    context: &Context<'_>,
) -> Option<ItemChange> {
    let element = request.element();
    if request.intent() != Some("plan") {
        return None;
    }
    let due = element.get("occurrenceDateTime").moment();
    let due = due.or_else(|| element.at(&["occurrencePeriod", "start"]).moment());
    let status = if request.status() == Some("active") { Some("due") } else { request.status() };
    let reasons = element.each("reasonCode").filter_map(|one| CodeableConcept::of(one).words());
    let mut texts: Vec<&str> = reasons.collect();
    texts.extend(notes(element));
    let [agent, on_behalf] = requester(element);
    let mut fields = Fields::default();
    fields
        .concept(request.code(), context)
        .moment("observed", due)
        .set("status", status)
        .set("status_at_source", request.status())
        .moment("recorded", element.get("authoredOn").moment())
        .author(context.first_of(&[agent, on_behalf]))
        .notes(&texts);
    Some(fields.into_item(ItemKind::Observation, key, is_error(&[request.status()])))
}

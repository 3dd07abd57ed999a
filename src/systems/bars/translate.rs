//! From a message to the hub's own terms: an appointment or a referral that was requested, changed or called off.

use crate::{
    codec::{
        bars::{self, Deed, Message, NHS_NUMBER, Refusal},
        fhir::{Element, Moment},
    },
    domain::{
        booking::Person,
        ids::Class,
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{Event, FieldChange, Identifier, ItemChange, ItemKind},
    },
};

/// Identifiers of one patient, and codes of one message, that are read.
const IDENTIFIERS_MAX: usize = 64;
const CODES_MAX: usize = 200;

/// What a message says.
pub(super) fn event(message: &Message<'_>) -> Event {
    let deed = match message.deed {
        Deed::New => "new",
        Deed::Update => "update",
        Deed::Cancel | Deed::Withdraw => "cancelled",
    };
    let mut faults = Vec::new();
    if message.changed().is_none() {
        faults.push("bars-undated");
    }
    let (kind, class, item) = match message.event {
        bars::Event::Booking => ("booking", Class::Booking, appointment(message)),
        bars::Event::Referral => ("referral", Class::Clinical, referral(message)),
    };
    let mut items = vec![demographics(message), item];
    items.extend(observations(message));
    Event {
        kind: format!("BaRS^{kind}-{deed}"),
        class,
        source_id: message.id.to_owned(),
        sender: message.source.to_owned(),
        occurred: message.changed().and_then(Moment::timestamp),
        nhs_number: nhs_number(message.patient),
        identifiers: identifiers(message.patient),
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults,
    }
}

/// What a message says whose booking the desk has carried out: of the appointment the desk itself tells.
pub(super) fn event_beside_desk(message: &Message<'_>) -> Event {
    let mut event = event(message);
    event.items.retain(|item| item.kind != ItemKind::Appointment);
    event
}

/// Whom a message is about, as the desk knows people.
///
/// # Errors
/// It gives an NHS number that is none: nothing is booked under half a name.
pub(super) fn person(message: &Message<'_>) -> Result<Person, Refusal> {
    let patient = message.patient;
    let nhs_number = match nhs_number(patient) {
        Ok(number) => Some(number),
        Err(InvalidNhsNumber::Absent) => None,
        Err(_) => return Err(Refusal::value("The Patient's NHS number is none")),
    };
    let (name, address) = (official(patient, "name", "official"), official(patient, "address", "home"));
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let joined =
        |parts: &mut dyn Iterator<Item = &str>, between: &str| parts.collect::<Vec<_>>().join(between);
    let oneself = patient
        .each("contact")
        .filter(|contact| contact.at(&["relationship", "coding"]).text_of("code") == Some("ONESELF"));
    let mut telecoms = patient.each("telecom").chain(oneself.flat_map(|contact| contact.each("telecom")));
    let telephone = telecoms.find(|one| one.text_of("system") == Some("phone"));
    let gender =
        ["male", "female", "other"].into_iter().find(|known| patient.text_of("gender") == Some(known));
    let lines = &mut address.each("line").filter_map(Element::text).chain(address.text_of("city"));
    Ok(Person {
        nhs_number,
        family_name: owned(name.text_of("family")),
        given_names: joined(&mut name.each("given").filter_map(Element::text), " "),
        title: joined(&mut name.each("prefix").filter_map(Element::text), " "),
        birth_date: owned(patient.get("birthDate").moment().and_then(Moment::day)),
        gender: gender.unwrap_or("unknown").to_owned(),
        address: joined(lines, ", "),
        postcode: owned(address.text_of("postalCode")),
        telephone: owned(telephone.and_then(|one| one.text_of("value"))),
        practice: owned(message.find(patient.get("generalPractitioner")).and_then(ods_code)),
    })
}

fn appointment(message: &Message<'_>) -> ItemChange {
    let booking = message.focus;
    let slot = message.find(booking.get("slot"));
    let service = message.each("HealthcareService").find_map(|one| one.text_of("name"));
    let channel = slot.or(Some(booking)).and_then(|one| {
        one.extensions("Extension-UKCore-DeliveryChannel")
            .find_map(|extension| extension.text_of("valueCode"))
    });
    let fields = Fields::default()
        .set("start", moment(booking.get("start")))
        .set("end", moment(booking.get("end")))
        .set("service", service)
        .set("location", message.each("Location").find_map(|one| one.text_of("name")))
        .set("clinician", message.each("Practitioner").find_map(name_in_words).as_deref())
        .set("delivery_channel", channel)
        .set("cancellation_reason", concept(booking.get("cancelationReason")))
        .set("note", booking.text_of("description"))
        .set("recorded", moment(booking.get("created")))
        .set("organisation", sending_organisation(message));
    fields.into_item(ItemKind::Appointment, message)
}

fn referral(message: &Message<'_>) -> ItemChange {
    let request = message.focus;
    let service = request.each("performer").find_map(|one| message.find(one)?.text_of("name"));
    let plan = message.each("CarePlan").flat_map(|plan| plan.each("activity"));
    let outcomes: Vec<Element<'_>> =
        plan.flat_map(|one| one.each("outcomeCodeableConcept")).take(CODES_MAX).collect();
    let of_system = |end: &str| {
        let mut codings = outcomes.iter().map(|one| one.get("coding"));
        codings.find(|coding| coding.text_of("system").is_some_and(|system| system.ends_with(end)))
    };
    let disposition = of_system("/pathways-dx-codes");
    let told =
        outcomes.iter().filter(|one| !one.get("coding").is_present()).filter_map(|one| one.text_of("text"));
    let said = request.each("note").filter_map(|one| one.text_of("text"));
    let note: Vec<&str> = said.chain(told).chain(request.text_of("patientInstruction")).collect();
    let reason = concept(request.get("reasonCode")).or_else(|| concept(request.get("code")));
    let category = concept(request.get("category"));
    let fields = Fields::default()
        .set("service", service)
        .set("reason", reason.or(category))
        .set("priority", request.text_of("priority"))
        .set("disposition", disposition.and_then(|one| one.text_of("display")))
        .set("code", disposition.and_then(|one| one.text_of("code")))
        .set("code_system", disposition.and_then(|one| one.text_of("system")))
        .set("received", moment(request.get("authoredOn")))
        .set("note", Some(note.join("\n")).as_deref())
        .set("organisation", sending_organisation(message));
    fields.into_item(ItemKind::Referral, message)
}

/// What the message says in codes besides: each stands and falls with the request.
fn observations(message: &Message<'_>) -> Vec<ItemChange> {
    let codes = ["Condition", "Observation"].into_iter().flat_map(|kind| message.each(kind)).take(CODES_MAX);
    let item = |(number, resource): (usize, Element<'_>)| {
        let (concept_, coding) = (resource.get("code"), resource.at(&["code", "coding"]));
        let system = match coding.text_of("system") {
            Some("http://snomed.info/sct") => Some("snomed-ct"),
            Some("http://loinc.org") => Some("loinc"),
            other => other,
        };
        let name = coding.text_of("display").or_else(|| concept_.text_of("text"));
        let value = resource.text_of("valueString").or_else(|| concept(resource.get("valueCodeableConcept")));
        let fields = Fields::default()
            .set("code", coding.text_of("code"))
            .set("code_system", system)
            .set("name", name)
            .set("value", value)
            .set("observed", moment(resource.get("effectiveDateTime")));
        let is_withdrawn = matches!(message.deed, Deed::Withdraw);
        let mut item =
            ItemChange::new(ItemKind::Observation, format!("{}|{}", message.focus_id, number + 1), fields.0);
        (item.part_of, item.withdrawn) = (message.focus_id.clone(), is_withdrawn);
        item
    };
    codes.enumerate().map(item).filter(|item| !item.fields.is_empty()).collect()
}

fn demographics(message: &Message<'_>) -> ItemChange {
    let patient = message.patient;
    let name = official(patient, "name", "official");
    let address = official(patient, "address", "home");
    let phone = patient.each("telecom").find(|one| one.text_of("system") == Some("phone"));
    let mut lines = address.each("line").filter_map(Element::text);
    let practice = message.find(patient.get("generalPractitioner")).and_then(ods_code);
    let verified = nhs_identifier(patient).is_some_and(|one| {
        let status = one
            .extension("Extension-UKCore-NHSNumberVerificationStatus")
            .at(&["valueCodeableConcept", "coding"]);
        matches!(status.text_of("code"), Some("number-present-and-verified" | "01"))
    });
    let status = nhs_identifier(patient).map(|_| if verified { "NSTS01" } else { "NSTS02" });
    let gender = patient.text_of("gender").map(|gender| match gender {
        "female" => "F",
        "male" => "M",
        "other" => "O",
        _ => "U",
    });
    let fields = Fields::default()
        .set("family_name", name.text_of("family"))
        .set("given_name", name.get("given").text())
        .set("title", name.get("prefix").text())
        .set("birth_date", moment(patient.get("birthDate")))
        .set("gender", gender)
        .set("address_line_1", lines.next())
        .set("address_line_2", lines.next())
        .set("city", address.text_of("city"))
        .set("postcode", address.text_of("postalCode"))
        .set("telephone", phone.and_then(|phone| phone.text_of("value")))
        .set("general_practice", practice)
        .set("nhs_number_status", status);
    ItemChange::new(ItemKind::Demographics, String::new(), fields.0)
}

/// The part of a use, else the first.
fn official<'a>(patient: Element<'a>, name: &'static str, use_: &str) -> Element<'a> {
    patient.each(name).find(|one| one.text_of("use") == Some(use_)).unwrap_or_else(|| patient.get(name))
}

fn nhs_identifier(patient: Element<'_>) -> Option<Element<'_>> {
    let is_it =
        |one: &Element<'_>| one.text_of("system") == Some(NHS_NUMBER) && one.get("value").is_present();
    patient.each("identifier").find(is_it)
}

fn nhs_number(patient: Element<'_>) -> Result<NhsNumber, InvalidNhsNumber> {
    let value = nhs_identifier(patient).and_then(|one| one.text_of("value"));
    value.map_or(Err(InvalidNhsNumber::Absent), NhsNumber::parse)
}

fn identifiers(patient: Element<'_>) -> Vec<Identifier> {
    let identifier = |one: Element<'_>| {
        let system = one.text_of("system").unwrap_or_default();
        let is_nhs = system == NHS_NUMBER;
        Some(Identifier {
            value: one.text_of("value")?.to_owned(),
            authority: if is_nhs { "NHS" } else { system }.to_owned(),
            kind: if is_nhs { "NH" } else { "PI" }.to_owned(),
        })
    };
    patient.each("identifier").filter_map(identifier).take(IDENTIFIERS_MAX).collect()
}

fn ods_code(organisation: Element<'_>) -> Option<&str> {
    let is_ods = |one: &Element<'_>| {
        one.text_of("system")
            .is_some_and(|system| system.to_ascii_lowercase().ends_with("/ods-organization-code"))
    };
    organisation.each("identifier").find(is_ods).and_then(|one| one.text_of("value"))
}

fn sending_organisation<'a>(message: &Message<'a>) -> Option<&'a str> {
    let sender = message.find(message.header.get("sender"));
    let name = sender.and_then(|one| one.text_of("name"));
    name.or_else(|| message.header.get("source").text_of("name"))
}

fn name_in_words(practitioner: Element<'_>) -> Option<String> {
    let name = practitioner.get("name");
    let parts = [name.get("prefix").text(), name.get("given").text(), name.text_of("family")];
    let words: Vec<&str> = parts.into_iter().flatten().collect();
    if words.is_empty() { name.text_of("text").map(str::to_owned) } else { Some(words.join(" ")) }
}

/// A concept in words.
fn concept(concept: Element<'_>) -> Option<&str> {
    concept.text_of("text").or_else(|| concept.get("coding").text_of("display"))
}

fn moment(element: Element<'_>) -> Option<&str> {
    element.moment().map(Moment::as_str)
}

/// Fields that say something.
#[derive(Default)]
struct Fields(Vec<(&'static str, FieldChange)>);

impl Fields {
    #[must_use]
    fn set(mut self, name: &'static str, value: Option<&str>) -> Self {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.0.push((name, FieldChange::Set(value.to_owned())));
        }
        self
    }

    /// What was asked: `requested`, whatever the sender thinks it is, until a booking is made of it.
    fn into_item(self, kind: ItemKind, message: &Message<'_>) -> ItemChange {
        let status = match message.deed {
            Deed::New | Deed::Update => "requested",
            Deed::Cancel | Deed::Withdraw => "cancelled",
        };
        let fields =
            self.set("status", Some(status)).set("status_at_source", message.focus.text_of("status"));
        ItemChange {
            kind,
            key: message.focus_id.clone(),
            part_of: String::new(),
            withdrawn: message.deed == Deed::Withdraw,
            fields: fields.0,
        }
    }
}

//! A message: a Bundle with a MessageHeader, what it is about, whom it is about, and the rules between them.

use std::collections::HashMap;

use serde_json::Value;

use crate::codec::fhir::{Element, FhirError, Moment};

use super::{DEFINITIONS, EVENTS, REASONS, Refusal, id::derived};

/// Resources in one message. The fullest published example has 24.
pub const RESOURCES_MAX: usize = 1000;

/// The messages that are taken: the last part of the definition's name, what it is about, and whether it cancels.
pub(super) const TAKEN: [(&str, Event, bool); 5] = [
    ("bars-message-booking-request", Event::Booking, false),
    ("bars-message-booking-request-cancelled", Event::Booking, true),
    ("bars-message-servicerequest-request", Event::Referral, false),
    ("bars-message-servicerequest-request-referral", Event::Referral, false),
    ("bars-message-servicerequest-request-cancelled", Event::Referral, true),
];

/// What a message is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// `booking-request`: an Appointment.
    Booking,
    /// `servicerequest-request`: a ServiceRequest.
    Referral,
}

impl Event {
    /// Its code in requests.
    pub const fn request(self) -> &'static str {
        match self {
            Self::Booking => "booking-request",
            Self::Referral => "servicerequest-request",
        }
    }

    /// Its code in answers.
    pub const fn response(self) -> &'static str {
        match self {
            Self::Booking => "booking-response",
            Self::Referral => "servicerequest-response",
        }
    }

    /// The resource it turns on.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Booking => "Appointment",
            Self::Referral => "ServiceRequest",
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Something new.
    New,
    /// A change of something that was taken.
    Update,
    /// It is off.
    Cancel,
    /// It should never have been sent.
    Withdraw,
}

/// A message that keeps the rules.
#[derive(Clone)]
pub struct Message<'a> {
    /// The Bundle's id: what a repetition is known by.
    pub id: &'a str,
    /// What it is about.
    pub event: Event,
    /// What is asked.
    pub deed: Deed,
    /// The MessageHeader.
    pub header: Element<'a>,
    /// The Appointment or ServiceRequest.
    pub focus: Element<'a>,
    /// The focus's name within the Bundle.
    pub focus_reference: &'a str,
    /// The id by which both sides know the focus: the receiver's own for what is new.
    pub focus_id: String,
    /// The Patient.
    pub patient: Element<'a>,
    /// Where the sender is, as it says.
    pub source: &'a str,
    bundle: Element<'a>,
    named: HashMap<&'a str, Element<'a>>,
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({:?}, {:?}, {} resources)", self.event, self.deed, self.named.len())
    }
}

impl<'a> Message<'a> {
    /// The resource that a reference leads to, within the message.
    #[must_use]
    pub fn find(&self, reference: Element<'a>) -> Option<Element<'a>> {
        let target = reference.text_of("reference")?;
        self.named.get(target).copied()
    }

    /// Every resource of a type.
    pub fn each(&self, kind: &'static str) -> impl Iterator<Item = Element<'a>> {
        resources(self.bundle).map(|(_, resource)| resource).filter(move |one| is(*one, kind))
    }

    /// Whether it is for a service, by the ends of its destinations, `system|id`.
    pub fn is_for(&self, service: &str) -> bool {
        let ends = self.header.each("destination").filter_map(|one| one.text_of("endpoint"));
        ends.map(|end| end.rsplit('|').next().unwrap_or_default().trim()).any(|id| id == service)
    }

    /// When its sender last changed what it is about.
    pub fn changed(&self) -> Option<Moment<'a>> {
        let stamped = [self.focus, self.bundle].map(|one| one.at(&["meta", "lastUpdated"]).moment());
        stamped.into_iter().flatten().next().or_else(|| self.bundle.get("timestamp").moment())
    }
}

/// Reads a message's tree and holds it to the rules.
///
/// # Errors
/// The first rule that it breaks.
pub fn read(document: &Value) -> Result<Message<'_>, Refusal> {
    let bundle = Element::of(document);
    if !is(bundle, "Bundle") || bundle.text_of("type") != Some("message") {
        return Err(Refusal::structure("The body is not a Bundle of type message"));
    }
    let id = bundle.text_of("id").ok_or(Refusal::required("Bundle.id is missing"))?;
    if RESOURCES_MAX < bundle.each("entry").count() {
        return Err(Refusal::too_long("The Bundle has more resources than this receiver takes"));
    }
    let mut named = HashMap::new();
    for (name, resource) in resources(bundle) {
        if name.is_some_and(|name| named.insert(name, resource).is_some()) {
            return Err(Refusal::invariant("Two resources of the Bundle have the same fullUrl"));
        }
    }
    let first = resources(bundle).next().map(|(_, resource)| resource);
    let header = first.filter(|one| is(*one, "MessageHeader"));
    let header = header.ok_or(Refusal::invariant("The Bundle's first resource is not a MessageHeader"))?;
    let (event, cancels) = asked(header)?;
    let (focus, focus_reference) = focus(header, event, &named)?;
    let deed = deed(header, event, cancels, focus)?;
    let focus_id = match (deed, focus.text_of("id")) {
        (Deed::New, _) => derived(&["focus", id, focus_reference]),
        (_, Some(known)) => known.to_owned(),
        (_, None) => {
            return Err(Refusal::required(
                "What is changed or cancelled has no id: it is the one this receiver gave",
            ));
        }
    };
    let message = Message {
        id,
        event,
        deed,
        header,
        focus,
        focus_reference,
        focus_id,
        patient: patient(bundle, event, focus, &named)?,
        source: header
            .at(&["source", "endpoint"])
            .text()
            .ok_or(Refusal::required("source.endpoint is missing"))?,
        bundle,
        named,
    };
    if event == Event::Booking {
        check_times(focus)?;
    }
    Ok(message)
}

/// Bytes that are no tree at all.
impl From<FhirError> for Refusal {
    fn from(error: FhirError) -> Self {
        match error {
            FhirError::TooLong | FhirError::TooLarge(_) | FhirError::TooDeep(_) => {
                Self::too_long("The body is longer, deeper or has more parts than this receiver takes")
            }
            FhirError::DuplicateName(_) => Self::structure("The body has a name twice in one object"),
            FhirError::NoResource => Self::structure("The body is not a FHIR resource"),
            FhirError::Malformed { .. } | FhirError::DocumentType | FhirError::NotUtf8(_) => {
                Self::structure("The body is not well-formed JSON in UTF-8")
            }
        }
    }
}

/// By which a repetition is known: all but the stamps, which some senders renew at each attempt.
pub fn essence(document: &Value) -> String {
    let mut bare = document.clone();
    if let Some(bundle) = bare.as_object_mut() {
        bundle.remove("timestamp");
        if let Some(meta) = bundle.get_mut("meta").and_then(Value::as_object_mut) {
            meta.remove("lastUpdated");
        }
    }
    bare.to_string()
}

fn is(element: Element<'_>, kind: &str) -> bool {
    element.text_of("resourceType") == Some(kind)
}

/// Each resource with the name by which others refer to it.
fn resources<'a>(bundle: Element<'a>) -> impl Iterator<Item = (Option<&'a str>, Element<'a>)> {
    let pair = |entry: Element<'a>| (entry.text_of("fullUrl"), entry.get("resource"));
    bundle.each("entry").map(pair).filter(|(_, resource)| resource.is_present())
}

/// What the header says it is about, by event and definition, which must agree.
fn asked(header: Element<'_>) -> Result<(Event, bool), Refusal> {
    let coding = header.get("eventCoding");
    let code = coding.text_of("code").ok_or(Refusal::required("MessageHeader.eventCoding is missing"))?;
    if coding.text_of("system") != Some(EVENTS) {
        return Err(Refusal::value("MessageHeader.eventCoding is of another code system"));
    }
    let events = [Event::Booking, Event::Referral];
    let event = events.into_iter().find(|event| event.request() == code);
    let event = event
        .ok_or(Refusal::not_supported("This receiver takes booking-request and servicerequest-request"))?;
    let definition =
        header.text_of("definition").ok_or(Refusal::required("MessageHeader.definition is missing"))?;
    let name = definition.split('|').next().unwrap_or_default().strip_prefix(DEFINITIONS);
    let known = TAKEN.iter().find(|(known, ..)| name == Some(known));
    match known {
        None => Err(Refusal::not_supported(
            "This receiver does not take messages of this MessageHeader.definition",
        )),
        Some((_, of, _)) if *of != event => {
            Err(Refusal::invariant("MessageHeader.definition and eventCoding contradict each other"))
        }
        Some((_, _, cancels)) => Ok((event, *cancels)),
    }
}

fn focus<'a>(
    header: Element<'a>,
    event: Event,
    named: &HashMap<&'a str, Element<'a>>,
) -> Result<(Element<'a>, &'a str), Refusal> {
    let references = header.each("focus").filter_map(|one| one.text_of("reference"));
    let found = references.filter_map(|name| Some((*named.get(name)?, name)));
    let mut fitting = found.filter(|(one, _)| is(*one, event.resource()));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Refusal::invariant("MessageHeader.focus leads to no resource of the event's type")),
        (Some(_), Some(_)) => {
            Err(Refusal::invariant("MessageHeader.focus leads to several resources of one type"))
        }
    }
}

/// What is asked, by reason, definition and the focus's status, which must agree.
fn deed(header: Element<'_>, event: Event, cancels: bool, focus: Element<'_>) -> Result<Deed, Refusal> {
    let reason = header.at(&["reason", "coding"]);
    let code = reason.text_of("code").ok_or(Refusal::required("MessageHeader.reason is missing"))?;
    if reason.text_of("system") != Some(REASONS) {
        return Err(Refusal::value("MessageHeader.reason is of another code system"));
    }
    let status = focus.text_of("status").ok_or(Refusal::required("The focus has no status"))?;
    let deed = match (event, status) {
        (_, "entered-in-error") => Deed::Withdraw,
        (Event::Booking, "cancelled") | (Event::Referral, "revoked") => Deed::Cancel,
        (Event::Booking, "proposed" | "pending" | "booked")
        | (Event::Referral, "draft" | "active" | "on-hold") => match code {
            "new" => Deed::New,
            _ => Deed::Update,
        },
        _ => return Err(Refusal::value("The focus has a status that no request can have")),
    };
    match (code, deed) {
        ("new", Deed::New) if !cancels => Ok(deed),
        ("update", Deed::Update) if !cancels => Ok(deed),
        ("update", Deed::Cancel | Deed::Withdraw) => Ok(deed),
        ("new" | "update", _) => Err(Refusal::invariant(
            "MessageHeader.reason, its definition and the focus's status contradict one another",
        )),
        _ => Err(Refusal::value("MessageHeader.reason is neither new nor update")),
    }
}

/// The one person it is about.
fn patient<'a>(
    bundle: Element<'a>,
    event: Event,
    focus: Element<'a>,
    named: &HashMap<&'a str, Element<'a>>,
) -> Result<Element<'a>, Refusal> {
    let led_to = |reference: Element<'a>| {
        let found = named.get(reference.text_of("reference")?)?;
        is(*found, "Patient").then_some(*found)
    };
    let found = match event {
        Event::Booking => focus.each("participant").find_map(|one| led_to(one.get("actor"))),
        Event::Referral => led_to(focus.get("subject")),
    };
    let patients = resources(bundle).filter(|(_, resource)| is(*resource, "Patient")).count();
    match found {
        Some(patient) if patients == 1 => Ok(patient),
        // Which of two it should be filed under nobody can say.
        Some(_) => Err(Refusal::invariant("The Bundle has more than one Patient")),
        None => Err(Refusal::required("What is asked is for no Patient of the Bundle")),
    }
}

fn check_times(appointment: Element<'_>) -> Result<(), Refusal> {
    let moment = |name| appointment.get(name).moment().and_then(Moment::timestamp);
    match (moment("start"), moment("end")) {
        (Some(start), Some(end)) if start < end => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::invariant("The Appointment ends before it starts")),
        _ if !appointment.get("start").is_present() || !appointment.get("end").is_present() => {
            Err(Refusal::required("The Appointment has no start or no end"))
        }
        _ => Err(Refusal::value("The Appointment's start or end is no moment with an offset")),
    }
}

//! Booked slots.

use serde_json::{Value, json};

use super::{
    ResourceType, moment,
    reading::Told,
    terms::{absent, one_of, words},
};

const DELIVERY_CHANNEL: &str = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DeliveryChannel";

pub(super) fn appointment(told: &Told<'_>) -> Value {
    let status = status(told);
    let times = times(told, status);
    let is_off = matches!(status, "cancelled" | "noshow");
    if !is_off {
        told.tell("cancellation_reason", "Cancellation reason");
    }
    let reason = told.text("cancellation_reason").filter(|_| is_off);
    let channel = channel(told);
    let minutes =
        told.text("duration").and_then(|text| text.trim().parse::<u16>().ok()).filter(|one| 0 < *one);
    let accepts = if matches!(status, "pending" | "proposed") { "needs-action" } else { "accepted" };
    let mut participants = vec![json!({ "actor": told.reading.subject(), "status": accepts })];
    for name in ["clinician", "location"] {
        let actor = told.text(name).map(|_| json!({ "actor": told.named(name), "status": accepts }));
        participants.extend(actor);
    }
    told.tell("note", "Comment");
    let recorded = told.date_time("recorded", "Recorded");
    told.tell("organisation", "Booked by");
    let body = json!({
        "extension": channel.map(|code| json!([{ "url": DELIVERY_CHANNEL, "valueCode": code }])),
        "status": status,
        "cancelationReason": reason.map(|reason| words(Some(reason))),
        "serviceType": [words(told.text("service"))],
        "description": told.string("name"),
        "start": times.start.0,
        "_start": times.start.1,
        "end": times.end.0,
        "_end": times.end.1,
        "minutesDuration": minutes,
        "created": recorded,
        "comment": told.comment(),
        "participant": participants,
    });
    told.resource(ResourceType::Appointment, body, true)
}

/// The words of the booking desk in FHIR's.
fn status(told: &Told<'_>) -> &'static str {
    const CODES: [&str; 10] = [
        "proposed",
        "pending",
        "booked",
        "arrived",
        "fulfilled",
        "cancelled",
        "noshow",
        "entered-in-error",
        "checked-in",
        "waitlist",
    ];
    let text = told.text("status");
    if let Some(code) = one_of(text, &CODES) {
        return code;
    }
    match text.unwrap_or_default() {
        "provisional" => "pending",
        "attended" => "fulfilled",
        "did not attend" => "noshow",
        "discontinued" => "cancelled",
        "deleted" => "entered-in-error",
        // FHIR has no word for what is not known; this one promises nothing.
        _ => {
            told.tell("status", "Status");
            "proposed"
        }
    }
}

struct Times {
    start: (Option<String>, Option<Value>),
    end: (Option<String>, Option<Value>),
}

/// From when to when. FHIR wants both or neither, and both of what is agreed (app-2, app-3): what is not known is marked.
fn times(told: &Told<'_>, status: &str) -> Times {
    let read = |name: &str, called: &str| {
        let text = told.text(name)?;
        let instant = moment::instant(text);
        if instant.is_none() {
            told.say(called, text);
        }
        instant
    };
    let (start, end) = (read("start", "Start"), read("end", "End"));
    let end = end.or_else(|| moment::after(start.as_deref()?, told.text("duration")?));
    let is_needed = !matches!(status, "proposed" | "cancelled" | "waitlist");
    let is_told = is_needed || start.is_some() || end.is_some();
    let marked = |time: Option<String>| {
        let mark = (time.is_none() && is_told).then(|| absent("unknown"));
        (time, mark)
    };
    Times { start: marked(start), end: marked(end) }
}

/// The UK's code, else words.
fn channel(told: &Told<'_>) -> Option<&'static str> {
    let text = told.text("delivery_channel")?.trim();
    let known = ["In-person", "Telephone", "Video"].into_iter().find(|code| code.eq_ignore_ascii_case(text));
    if known.is_none() {
        told.say("Delivery channel", text);
    }
    known
}

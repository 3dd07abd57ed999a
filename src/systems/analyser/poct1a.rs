//! From POCT1-A to the hub's own terms: observations of point-of-care devices, each patient's as an event of its own.

use bytes::Bytes;

use crate::{
    codec::{
        cbor,
        hl7v2::{iso_8601, parse_moment},
        poct1a::message::{Body, Device, Message, NotAMessage, Observation, Patient, Service, read},
    },
    domain::{
        entry::{Entry, Summary},
        ids::Class,
        record::{Event, Identifier, ItemChange, ItemKind},
    },
};

use super::translate::{IDENTIFIER_BYTES_MAX, IDENTIFIERS_MAX, comparator, digest, nhs_number, set};

/// What [`Received::format`](crate::flow::receive::Received) says of POCT1-A.
pub const FORMAT: &str = "poct1a";
/// The kind of an entry that holds a patient's observations.
pub const RESULTS: &str = "POCT1A^OBS";
/// Of one that holds results of control material, calibrations or trials.
pub const CONTROLS: &str = "POCT1A^QC";
/// Of one that holds a device's own events.
pub const EVENTS: &str = "POCT1A^EVS";

/// Interpretations that make a report urgent (HL7 table 0078).
const CRITICAL: [&str; 5] = ["LL", "HH", "<", ">", "AA"];
/// A summary is a few hundred bytes.
const SUMMARY_BYTES_MAX: usize = 64 << 10;

/// Who a device is, as the sender of what it says.
pub fn sender(device: &Device) -> String {
    let serial = if device.serial.is_empty() { &device.id } else { &device.serial };
    [&device.vendor, &device.model, serial].map(String::as_str).join("|").chars().take(200).collect()
}

/// Reads a message that holds observations of one patient at most, or events.
///
/// # Errors
/// The bytes are no message.
pub fn translate(raw: &[u8], sender: &str) -> Result<Event, NotAMessage> {
    Ok(event(&read(raw)?, raw, sender))
}

/// What a journalled entry says.
pub fn translate_entry(entry: &Entry) -> Option<Event> {
    let summary: Summary = cbor::decode(&entry.body, SUMMARY_BYTES_MAX).ok()?;
    translate(entry.raw.as_ref()?, &summary.sender).ok()
}

/// Each patient's message of one: its own bytes if it is about one patient at most, else the message with the other
/// patients' services left out.
///
/// # Errors
/// The message is about several patients, and cannot be taken apart.
pub fn by_patient(raw: &Bytes, message: &Message, sender: &str) -> Result<Vec<(Bytes, Event)>, NotAMessage> {
    let Body::Observations(services) = &message.body else {
        return Ok(vec![(raw.clone(), event(message, raw, sender))]);
    };
    let mut patients: Vec<&[String]> = Vec::new();
    for service in services {
        let ids = service.patient.as_ref().map_or(&[][..], |patient| &patient.ids);
        if !patients.contains(&ids) {
            patients.push(ids);
        }
    }
    if patients.len() < 2 {
        return Ok(vec![(raw.clone(), event(message, raw, sender))]);
    }
    let parts = crate::codec::poct1a::message::by_service(raw)?;
    parts.into_iter().map(|part| translate(&part, sender).map(|event| (part, event))).collect()
}

fn event(message: &Message, raw: &[u8], sender: &str) -> Event {
    let services: &[Service] = match &message.body {
        Body::Observations(services) => services,
        _ => &[],
    };
    let mut faults = Vec::new();
    let mut of_patients: Vec<&Service> = services.iter().filter(|service| is_a_patients(service)).collect();
    let controls = of_patients.is_empty();
    let whose = |service: &&Service| service.patient.as_ref().map(|patient| patient.ids.clone());
    if of_patients.windows(2).any(|pair| pair.first().map(whose) != pair.last().map(whose)) {
        // One service that names two patients: nothing in it is certainly either's.
        faults.push("poct1a-several-patients");
        of_patients.clear();
    }
    let patient = of_patients.iter().find_map(|service| service.patient.as_ref());
    let identifiers = patient.map(identifiers).unwrap_or_default();
    let nhs_number = nhs_number(&identifiers, &mut faults);
    let mut items: Vec<ItemChange> = patient.and_then(demographics).into_iter().collect();
    for service in &of_patients {
        let all = service.observations.iter().enumerate();
        items.extend(all.map(|(place, observation)| result(service, observation, place)));
        if !service.reason.is_empty() && service.reason != "NEW" {
            faults.push(if service.reason == "RES" { "poct1a-sent-again" } else { "poct1a-edited" });
        }
    }
    faults.dedup();
    let kind = match message.body {
        Body::Observations(_) if controls => CONTROLS,
        Body::Observations(_) => RESULTS,
        _ => EVENTS,
    };
    Event {
        kind: kind.to_owned(),
        class: class(services, controls || matches!(message.body, Body::Events(_))),
        // Control ids begin anew with each connection; what the message says does not.
        source_id: format!("{}-{}", message.control_id.chars().take(20).collect::<String>(), digest(raw)),
        sender: sender.to_owned(),
        occurred: of_patients
            .iter()
            .find_map(|service| parse_moment(service.observed.as_bytes()))
            .or_else(|| parse_moment(message.created.as_bytes())),
        nhs_number,
        identifiers,
        merged: Vec::new(),
        items,
        withdraws: Vec::new(),
        faults,
    }
}

/// Controls, calibrations and proficiency trials are nobody's results, even where a device names a patient.
fn is_a_patients(service: &Service) -> bool {
    service.patient.is_some() && (service.role.is_empty() || service.role == "OBS")
}

fn class(services: &[Service], controls: bool) -> Class {
    let mut all = services.iter().filter(|one| is_a_patients(one)).flat_map(|one| &one.observations);
    if controls {
        Class::Telemetry
    } else if all.any(|one| CRITICAL.contains(&one.interpretation.as_str())) {
        Class::Urgent
    } else {
        Class::Clinical
    }
}

fn identifiers(patient: &Patient) -> Vec<Identifier> {
    let usable = patient.ids.iter().filter(|id| id.len() <= IDENTIFIER_BYTES_MAX);
    usable.take(IDENTIFIERS_MAX).map(|id| super::translate::identifier(id.clone(), "PI")).collect()
}

fn demographics(patient: &Patient) -> Option<ItemChange> {
    let birth_date = iso_8601(patient.birth_date.as_bytes()).unwrap_or_default();
    let fields = set([
        ("family_name", patient.family_name.clone()),
        ("given_name", patient.given_name.clone()),
        ("birth_date", birth_date.chars().take(10).collect()),
        ("gender", patient.gender.clone()),
    ]);
    (!fields.is_empty()).then(|| ItemChange::new(ItemKind::Demographics, String::new(), fields))
}

fn result(service: &Service, observation: &Observation, place: usize) -> ItemChange {
    let observed = iso_8601(service.observed.as_bytes()).unwrap_or_default();
    let said = if observation.value.is_empty() { &observation.qualitative } else { &observation.value };
    let (comparator, value) = comparator(said.trim());
    let system = if observation.system == "LN" { "loinc" } else { "local" };
    let name = if observation.name.is_empty() { &observation.code } else { &observation.name };
    let notes: Vec<&str> = service
        .notes
        .iter()
        .chain(&observation.notes)
        .map(String::as_str)
        .filter(|note| !note.is_empty())
        .collect();
    let key = [&service.specimen, &service.order, &service.sequence, &observation.code, &observed]
        .map(String::as_str)
        .join("|");
    let fields = [
        ("code", observation.code.clone()),
        ("code_system", system.to_owned()),
        ("codings", format!("{system}|{}|{name}", observation.code)),
        ("name", name.clone()),
        ("report_code", service.service.clone()),
        ("specimen", service.specimen.clone()),
        ("value_type", if value.parse::<f64>().is_ok() { "NM" } else { "ST" }.to_owned()),
        ("comparator", comparator),
        ("value", value),
        ("units", observation.units.clone()),
        ("reference_range", range(&observation.normal)),
        ("abnormal_flags", observation.interpretation.clone()),
        ("status", status(&observation.status).to_owned()),
        ("status_at_source", observation.status.clone()),
        ("observed", observed),
        ("performer", service.operator.clone()),
        ("method", observation.method.clone()),
        ("note", notes.join("\n")),
    ];
    let key = if service.sequence.is_empty() { format!("{key}|{place}") } else { key };
    ItemChange::new(ItemKind::Result, key, set(fields))
}

/// `A` accepted is final; `D` discarded and `R` rejected by the operator are no results (HL7 table 0085, `X`).
fn status(said: &str) -> &'static str {
    match said {
        "D" | "R" => "X",
        _ => "F",
    }
}

/// `[80;120]`, an interval of POCT1-A, as laboratories write it.
fn range(interval: &str) -> String {
    let inner = interval.trim().trim_start_matches(['[', ']', '(']).trim_end_matches(['[', ']', ')']);
    match inner.split_once(';') {
        Some(("", to)) => format!("< {to}"),
        Some((from, "")) => format!("> {from}"),
        Some((from, to)) => format!("{from} to {to}"),
        None => inner.to_owned(),
    }
}

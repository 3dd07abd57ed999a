//! Appointments: made, read, amended and cancelled, by the letter of the specification.

use serde_json::{Map, Value, json};

use crate::{
    codec::fhir::{Appointment, Element, Moment, Organization, names, names::extension},
    domain::{
        slot::{COMMENT_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX},
        time::Timestamp,
    },
    systems::gp_connect::{Interaction, fault::Fault, local_time},
};

use super::{
    Provider,
    check::Asked,
    complaint::{Complaint, invalid, parameter},
    patients::{bundle, person_of_id},
    sessions::Slot,
};

const PROFILE: &str = "GPConnect-Appointment-1";

pub(super) fn book(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let appointment = Appointment::of(Element::of(&asked.body)).ok_or_else(|| invalid("no appointment"))?;
    let slots = check(provider, appointment, now)?;
    let mut state = provider.state();
    if slots.iter().any(|slot| state.taken.contains_key(&slot.id)) {
        return Err(Complaint::of(Fault::DuplicateRejected, "a slot is no longer free"));
    }
    let id = state.appointments.keys().next_back().map_or(1, |last| last + 1);
    let mut resource = asked.body.clone();
    stamp(&mut resource, id, 1, now);
    let (service, channel) = slots.first().map_or(("", ""), |slot| (slot.service(), slot.channel()));
    resource["serviceType"] = json!([{"text": service}]);
    if let Some(extensions) = resource.get_mut("extension").and_then(Value::as_array_mut) {
        extensions.push(json!({"url": names::profile(extension::DELIVERY_CHANNEL), "valueCode": channel}));
    }
    state.taken.extend(slots.into_iter().map(|slot| (slot.id, id)));
    state.appointments.insert(id, resource.clone());
    drop(state);
    Ok(resource)
}

fn check(provider: &Provider, appointment: Appointment<'_>, now: Timestamp) -> Result<Vec<Slot>, Complaint> {
    let element = appointment.element();
    check_form(appointment)?;
    let patient = appointment.participant("Patient").and_then(|one| one.id_of("Patient"));
    patient
        .and_then(|id| person_of_id(provider, id))
        .ok_or_else(|| Complaint::of(Fault::ReferenceNotFound, "no such patient"))?;
    let place = appointment.participant("Location").and_then(|one| one.id_of("Location"));
    match place {
        Some("l1") => {}
        Some(_) => return Err(Complaint::of(Fault::ReferenceNotFound, "no such location")),
        None => return Err(invalid("a location takes part")),
    }
    let ids: Vec<&str> = appointment.slots().filter_map(|slot| slot.id_of("Slot")).collect();
    let slots: Option<Vec<Slot>> = ids.into_iter().map(Slot::find).collect();
    let mut slots = slots.ok_or_else(|| Complaint::of(Fault::ReferenceNotFound, "no such slot"))?;
    if slots.is_empty() {
        return Err(invalid("no slot is named"));
    }
    slots.sort_by_key(|slot| slot.start);
    let adjacent = |pair: &[Slot]| pair[0].end == pair[1].start && pair[0].schedule == pair[1].schedule;
    if !slots.windows(2).all(adjacent) {
        return Err(invalid("the slots are not adjacent"));
    }
    let moment = |name: &str| element.get(name).moment().and_then(Moment::timestamp);
    let bounds = (slots.first().map(|slot| slot.start), slots.last().map(|slot| slot.end));
    if (moment("start"), moment("end")) != bounds {
        return Err(invalid("start and end are not those of the slots"));
    }
    if bounds.0.is_none_or(|start| start <= now) {
        return Err(invalid("the appointment is in the past"));
    }
    Ok(slots)
}

fn check_form(appointment: Appointment<'_>) -> Result<(), Complaint> {
    let element = appointment.element();
    let profile = names::profile(PROFILE);
    if !element.get("meta").each("profile").any(|one| one.text() == Some(&profile)) {
        return Err(invalid("the profile is not named"));
    }
    if ["reason", "specialty", "id"].iter().any(|name| element.get(name).is_present()) {
        return Err(invalid("reason, specialty and id must not be sent"));
    }
    if appointment.description().is_none() {
        return Err(invalid("a description is needed"));
    }
    if appointment.status() != Some("booked") || appointment.created().is_none() {
        return Err(invalid("status must be booked, and created be there"));
    }
    let whole = |organisation: Organization<'_>| {
        organisation.ods_code().is_some()
            && organisation.name().is_some()
            && organisation.telephone().is_some()
    };
    if !appointment.booking_organisation().is_some_and(whole) {
        return Err(invalid("the booking organisation is missing or incomplete"));
    }
    let offsets = ["start", "end", "created"].iter().all(|name| element.get(name).moment().is_some());
    let statuses = element.each("participant").all(|one| one.text_of("status").is_some());
    if !offsets || !statuses {
        return Err(invalid("a moment or a participant is incomplete"));
    }
    check_words(element)
}

fn check_words(element: Element<'_>) -> Result<(), Complaint> {
    let limits = [("description", DESCRIPTION_CHARACTERS_MAX), ("comment", COMMENT_CHARACTERS_MAX)];
    for (name, most) in limits {
        let value = element.value().get(name).and_then(Value::as_str);
        if value.is_some_and(|text| text.is_empty() || most < text.chars().count()) {
            return Err(invalid("a text is empty or too long"));
        }
    }
    Ok(())
}

pub(super) fn of_patient(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let id = asked.path.get(1).map(String::as_str).unwrap_or_default();
    person_of_id(provider, id).ok_or_else(|| Complaint::of(Fault::PatientNotFound, "no such patient"))?;
    let starts: Vec<&str> = asked.values("start").collect();
    let bound = |prefix: &str| starts.iter().find_map(|start| start.strip_prefix(prefix));
    let (Some(from), Some(until), 2) = (bound("ge"), bound("le"), starts.len()) else {
        return Err(parameter("start is needed twice, with ge and with le"));
    };
    let whole = |day: &str| day.len() == 10 && local_time::start_of_day(day).is_some();
    if !whole(from) || !whole(until) || until < from {
        return Err(parameter("start is a day, and the first comes first"));
    }
    if *from < *local_time::day(now) {
        return Err(parameter("appointments in the past cannot be asked for"));
    }
    let state = provider.state();
    let theirs = state.appointments.values().filter(|one| {
        let Some(appointment) = Appointment::of(Element::of(one)) else { return false };
        let day = appointment.element().get("start").moment().and_then(Moment::day);
        let patient = appointment.participant("Patient").and_then(|one| one.id_of("Patient"));
        patient == Some(id) && day.is_some_and(|day| from <= day && day <= until)
    });
    Ok(bundle(theirs.map(|one| json!({"resource": one})).collect()))
}

pub(super) fn read(provider: &Provider, asked: &Asked) -> Result<Value, Complaint> {
    let found = number(asked).and_then(|number| provider.state().appointments.get(&number).cloned());
    found.ok_or_else(|| Complaint::of(Fault::NoRecordFound, "no such appointment"))
}

pub(super) fn change(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let before = read(provider, asked)?;
    let version = before.pointer("/meta/versionId").and_then(Value::as_str).unwrap_or_default();
    if asked.version.as_deref() != Some(&format!("W/\"{version}\"")) {
        return Err(Complaint::of(Fault::FhirConstraintViolation, "the version is not the current one"));
    }
    let start = Element::of(&before).get("start").moment().and_then(Moment::timestamp);
    if start.is_none_or(|start| start <= now) {
        return Err(invalid("the appointment is in the past"));
    }
    if before.get("status") != Some(&json!("booked")) {
        return Err(invalid("the appointment does not stand"));
    }
    let cancels = asked.interaction == Interaction::Cancel;
    if bare(&before, cancels) != bare(&asked.body, cancels) {
        return Err(invalid("something else was changed"));
    }
    check_words(Element::of(&asked.body))?;
    let after = Appointment::of(Element::of(&asked.body)).ok_or_else(|| invalid("no appointment"))?;
    if cancels && (after.status() != Some("cancelled") || after.cancellation_reason().is_none()) {
        return Err(invalid("a cancellation has the status cancelled and a reason"));
    }
    let number = number(asked).unwrap_or_default();
    let next = version.parse().unwrap_or(0_u64) + 1;
    let mut resource = asked.body.clone();
    stamp(&mut resource, number, next, now);
    let mut state = provider.state();
    if cancels {
        state.taken.retain(|_, by| *by != number);
    }
    state.appointments.insert(number, resource.clone());
    Ok(resource)
}

fn number(asked: &Asked) -> Option<u64> {
    asked.path.get(1)?.parse().ok()
}

/// Everything that may not be changed.
fn bare(appointment: &Value, cancels: bool) -> Map<String, Value> {
    let mut members = appointment.as_object().cloned().unwrap_or_default();
    let free: &[&str] = if cancels { &["meta", "status"] } else { &["meta", "description", "comment"] };
    members.retain(|name, _| !free.contains(&name.as_str()));
    if cancels && let Some(extensions) = members.get_mut("extension").and_then(Value::as_array_mut) {
        let reason = json!(names::profile(extension::CANCELLATION_REASON));
        extensions.retain(|one| one.get("url") != Some(&reason));
    }
    members
}

fn stamp(resource: &mut Value, id: u64, version: u64, now: Timestamp) {
    resource["id"] = json!(id.to_string());
    resource["meta"] = json!({
        "versionId": version.to_string(),
        "lastUpdated": local_time::moment(now),
        "profile": [names::profile(PROFILE)],
    });
}

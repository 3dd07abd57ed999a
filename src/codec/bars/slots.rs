//! Slots that can be booked, as a search answers them.

use serde_json::{Value, json};

use crate::domain::{
    booking::{Offer, OfferKey, SlotId},
    time::Timestamp,
};

use super::{
    CHANNEL, SERVICE_ID, Service,
    id::derived,
    query::{Include, SlotsWanted},
    slot_id::{slot_id, slot_name},
};

/// The answer to a search for slots: those of `offers` whose keys are tokens, and what was asked for besides. `more` says
/// that there are more than are told.
pub fn slots(
    wanted: &SlotsWanted,
    offers: &[Offer],
    more: bool,
    service: Service<'_>,
    url: &str,
    now: Timestamp,
) -> Value {
    let (mut entries, mut besides) = (Vec::new(), Besides::default());
    for offer in offers {
        let OfferKey::Token(slot) = &offer.key else { continue };
        entries.push(entry(&slot_name(slot), "match", self::slot(slot, offer, wanted)));
        besides.add(slot, offer, wanted, service);
    }
    let total = entries.len();
    entries.extend(besides.0.into_iter().map(|(name, resource)| entry(&name, "include", resource)));
    if more {
        entries.push(entry(&name(&["more"]), "outcome", there_are_more()));
    }
    let id = derived(&["slots", service.id, &wanted.query(), &now.to_string()]);
    searchset(&id, total, &format!("{url}?{}", wanted.query()), entries, now)
}

/// A Bundle of what was found; `url` is the search as it was understood. FHIR has no empty lists (R4, section 2.6.2.1).
pub(super) fn searchset(id: &str, total: usize, url: &str, entries: Vec<Value>, now: Timestamp) -> Value {
    let mut bundle = json!({
        "resourceType": "Bundle",
        "id": id,
        "type": "searchset",
        "timestamp": now.to_string(),
        "total": total,
        "link": [{ "relation": "self", "url": url }],
    });
    if !entries.is_empty() {
        bundle["entry"] = Value::Array(entries);
    }
    bundle
}

fn slot(slot: &SlotId, offer: &Offer, wanted: &SlotsWanted) -> Value {
    let schedule = match wanted.include.contains(&Include::Schedule) {
        true => name(&["schedule", slot.session.as_str()]),
        false => format!("Schedule/{}", slot.session),
    };
    json!({
        "resourceType": "Slot",
        "id": slot_id(slot),
        "extension": [{ "url": CHANNEL, "valueCode": offer.channel.name() }],
        "serviceType": [{ "text": offer.service_name }],
        "schedule": { "reference": schedule },
        "status": "free",
        "start": offer.start.to_string(),
        "end": offer.end.to_string(),
    })
}

/// What is told with slots: each thing once, under its name.
#[derive(Default)]
struct Besides(Vec<(String, Value)>);

impl Besides {
    fn add(&mut self, slot: &SlotId, offer: &Offer, wanted: &SlotsWanted, of: Service<'_>) {
        let has = |one| wanted.include.contains(&one);
        let session = slot.session.as_str();
        let names = Names {
            service: name(&["service", offer.service.as_str()]),
            organisation: name(&["organisation", offer.service.as_str()]),
            practitioner: name(&["practitioner", session]),
            role: name(&["role", session]),
            place: name(&["place", session]),
        };
        if has(Include::Schedule) {
            self.once(name(&["schedule", session]), || schedule(session, offer, &names, wanted));
        }
        if has(Include::HealthcareService) {
            self.once(names.service.clone(), || healthcare_service(offer, &names, wanted, of));
        }
        if let Some(clinician) = &offer.clinician {
            let gender = ["male", "female", "other"].into_iter().find(|known| *known == clinician.gender);
            if has(Include::Practitioner) {
                self.once(names.practitioner.clone(), || {
                    json!({ "resourceType": "Practitioner", "id": id(&names.practitioner),
                        "name": [{ "text": clinician.name }], "gender": gender.unwrap_or("unknown") })
                });
            }
            if has(Include::PractitionerRole) {
                self.once(names.role.clone(), || role(offer, &clinician.role, &names, wanted));
            }
        }
        if has(Include::Organization) && !offer.organisation.is_empty() {
            self.once(names.organisation.clone(), || {
                json!({ "resourceType": "Organization", "id": id(&names.organisation), "name": offer.organisation })
            });
        }
        if has(Include::Location) && !offer.place.name.is_empty() {
            self.once(names.place.clone(), || location(offer, &names.place));
        }
    }

    fn once(&mut self, name: String, make: impl FnOnce() -> Value) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, make()));
        }
    }
}

/// How resources of one session refer to one another.
struct Names {
    service: String,
    organisation: String,
    practitioner: String,
    role: String,
    place: String,
}

/// A reference to something that is told too, or else its name in words.
fn reference(told: bool, name: &str, kind: &str, words: &str) -> Value {
    let mut reference = json!({ "type": kind });
    if told {
        reference["reference"] = json!(name);
    }
    if !words.is_empty() {
        reference["display"] = json!(words);
    }
    reference
}

fn schedule(session: &str, offer: &Offer, names: &Names, wanted: &SlotsWanted) -> Value {
    let has = |one| wanted.include.contains(&one);
    let mut actors = vec![reference(
        has(Include::HealthcareService),
        &names.service,
        "HealthcareService",
        &offer.service_name,
    )];
    if let Some(clinician) = &offer.clinician {
        actors.push(reference(
            has(Include::Practitioner),
            &names.practitioner,
            "Practitioner",
            &clinician.name,
        ));
        if has(Include::PractitionerRole) {
            actors.push(reference(true, &names.role, "PractitionerRole", &clinician.role));
        }
    }
    if !offer.place.name.is_empty() {
        actors.push(reference(has(Include::Location), &names.place, "Location", &offer.place.name));
    }
    json!({
        "resourceType": "Schedule",
        "id": session,
        "serviceType": [{ "text": offer.service_name }],
        "actor": actors,
    })
}

fn healthcare_service(offer: &Offer, names: &Names, wanted: &SlotsWanted, of: Service<'_>) -> Value {
    let has = |one| wanted.include.contains(&one);
    let mut service = json!({
        "resourceType": "HealthcareService",
        "id": offer.service.as_str(),
        "identifier": [{ "system": SERVICE_ID, "value": of.id }],
        "name": offer.service_name,
    });
    if !offer.organisation.is_empty() {
        let told = has(Include::Organization);
        service["providedBy"] = reference(told, &names.organisation, "Organization", &offer.organisation);
    }
    if !offer.telephone.is_empty() {
        service["telecom"] = json!([{ "system": "phone", "value": offer.telephone }]);
    }
    service
}

fn role(offer: &Offer, role: &str, names: &Names, wanted: &SlotsWanted) -> Value {
    let has = |one| wanted.include.contains(&one);
    let clinician = offer.clinician.as_ref().map(|clinician| clinician.name.as_str()).unwrap_or_default();
    let mut resource = json!({
        "resourceType": "PractitionerRole",
        "id": id(&names.role),
        "practitioner": reference(has(Include::Practitioner), &names.practitioner, "Practitioner", clinician),
    });
    if !role.is_empty() {
        resource["code"] = json!([{ "text": role }]);
    }
    resource
}

fn location(offer: &Offer, place: &str) -> Value {
    let mut location = json!({ "resourceType": "Location", "id": id(place), "name": offer.place.name });
    if !offer.place.address.is_empty() {
        location["address"] = json!({ "text": offer.place.address });
    }
    if !offer.room.is_empty() {
        location["description"] = json!(format!("Room {}", offer.room));
    }
    location
}

fn there_are_more() -> Value {
    json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": "warning", "code": "incomplete",
            "diagnostics": "There are more slots than are told at once: ask for a shorter time." }],
    })
}

pub(super) fn entry(name: &str, mode: &str, resource: Value) -> Value {
    json!({ "fullUrl": name, "resource": resource, "search": { "mode": mode } })
}

fn name(words: &[&str]) -> String {
    format!("urn:uuid:{}", derived(words))
}

fn id(name: &str) -> &str {
    name.strip_prefix("urn:uuid:").unwrap_or(name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{
        booking::{Channel, Promise},
        slot::{Clinician, Place},
    };

    const NOW: Timestamp = Timestamp(1_795_000_000_000);

    pub fn offer(start: i64, place: u16) -> Offer {
        let slot = SlotId {
            home: "soho".parse().unwrap(),
            session: "feet-am".parse().unwrap(),
            start: Timestamp(start),
            place,
        };
        Offer {
            key: OfferKey::Token(slot),
            service: "feet".parse().unwrap(),
            service_name: "Podiatry".to_owned(),
            session: String::new(),
            start: Timestamp(start),
            end: Timestamp(start + 1_800_000),
            channel: Channel::InPerson,
            clinician: Some(Clinician {
                id: String::new(),
                name: "Joan Example".to_owned(),
                gender: "female".to_owned(),
                role: "Podiatrist".to_owned(),
            }),
            languages: Vec::new(),
            place: Place {
                name: "Soho".to_owned(),
                address: "1 Example Street".to_owned(),
                ..Place::default()
            },
            room: "4".to_owned(),
            step_free: Some(true),
            organisation: "Soho polyclinic".to_owned(),
            telephone: "020 7946 0000".to_owned(),
            system: "hub".to_owned(),
            seen: NOW,
            promise: Promise::Firm,
            free: 1,
        }
    }

    fn told(include: &str) -> Value {
        let query = format!(
            "status=free&start=ge2026-11-19T09:00:00Z&start=le2026-11-20T09:00:00Z&_include={include}"
        );
        let wanted = SlotsWanted::read(&query, NOW).unwrap();
        let system = OfferKey::System { system: "emis".into(), schedule: "1".into(), slot: "2".into() };
        let offers = [offer(1, 1), offer(2, 1), Offer { key: system, ..offer(3, 1) }];
        let service = Service { name: "Soho", id: "2000011147", books: true };
        slots(&wanted, &offers, true, service, "/fhir/r4/Slot", NOW)
    }

    #[test]
    fn each_slot_is_told_with_what_was_asked_for_once() {
        let all = "Slot:schedule,Schedule:actor:Practitioner,Schedule:actor:PractitionerRole,\
                   Schedule:actor:HealthcareService,HealthcareService:providedBy,HealthcareService:location";
        let bundle = told(all);
        let entries = bundle["entry"].as_array().unwrap();
        let kinds: Vec<&str> =
            entries.iter().map(|entry| entry["resource"]["resourceType"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "Slot",
                "Slot",
                "Schedule",
                "HealthcareService",
                "Practitioner",
                "PractitionerRole",
                "Organization",
                "Location",
                "OperationOutcome"
            ]
        );
        assert_eq!(bundle["total"], 2, "a practice's slot is not this hub's to sell");
        let names: Vec<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        let mut referred = Vec::new();
        references(&bundle, &mut referred);
        assert!(referred.iter().all(|name| names.contains(&name.as_str())), "{referred:?}");
        assert_eq!(entries[0]["resource"]["id"], "feet-am.1.1");
    }

    #[test]
    fn what_was_not_asked_for_is_named_in_words_alone() {
        let bundle = told("Slot:schedule");
        let schedule = &bundle["entry"][2]["resource"];
        assert_eq!(schedule["actor"][0], json!({ "type": "HealthcareService", "display": "Podiatry" }));
        assert_eq!(bundle["entry"].as_array().unwrap().len(), 4);
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("reference").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
}

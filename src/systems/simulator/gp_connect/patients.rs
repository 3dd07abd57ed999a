//! The practice's patients: its own, those of nobody else's business, and those registered for a while.

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Element, Moment, Patient, names, names::extension},
    domain::{nhs_number::NhsNumber, time::Timestamp},
    systems::{
        gp_connect::{fault::Fault, local_time},
        simulator::people::Person,
    },
};

use super::{
    COUNTRY, Provider,
    check::Asked,
    complaint::{Complaint, invalid, parameter},
};

/// One patient in fifty has said that the record is not to be shared.
pub(super) const fn dissents(number: u64) -> bool {
    number % 50 == 48
}

/// One in fifty is flagged as sensitive, and is not to be found.
pub(super) const fn is_sensitive(number: u64) -> bool {
    number % 50 == 49
}

pub(super) fn find(provider: &Provider, asked: &Asked) -> Result<Value, Complaint> {
    let [identifier] = asked.values("identifier").collect::<Vec<_>>()[..] else {
        return Err(parameter("identifier is needed once"));
    };
    let Some((system, value)) = identifier.split_once('|') else {
        return Err(parameter("an identifier is written system|value"));
    };
    if system != names::NHS_NUMBER {
        return Err(Complaint::of(Fault::InvalidIdentifierSystem, "identifier"));
    }
    let person = person_of(value)?;
    let entries = person
        .filter(|person| provider.knows(person.number) && !is_sensitive(person.number))
        .map(|person| json!({"resource": resource(provider, &shown(provider, &person))}));
    Ok(bundle(entries.into_iter().collect()))
}

pub(super) fn register(provider: &Provider, asked: &Asked, now: Timestamp) -> Result<Value, Complaint> {
    let body = Element::of(&asked.body);
    if body.text_of("resourceType") != Some("Parameters") {
        return Err(invalid("Parameters are needed"));
    }
    let parameters: Vec<Element<'_>> = body.each("parameter").collect();
    let [only] = parameters.as_slice() else { return Err(invalid("one parameter is needed")) };
    let patient =
        Patient::of(only.get("resource")).filter(|_| only.text_of("name") == Some("registerPatient"));
    let patient = patient.ok_or_else(|| invalid("registerPatient holds no patient"))?;
    if patient.element().extension(extension::REGISTRATION).is_present() {
        return Err(invalid("registrationDetails must not be sent"));
    }
    let (number, status) = patient.nhs_number();
    if status != Some("01") {
        return Err(invalid("the NHS number is not said to be verified"));
    }
    let person = person_of(number.ok_or_else(|| invalid("no NHS number"))?)?;
    let born = patient.birth_date().and_then(Moment::day).ok_or_else(|| invalid("no date of birth"))?;
    let traced = person.filter(|person| {
        let family = patient.name().text_of("family").unwrap_or_default();
        person.family_name.eq_ignore_ascii_case(family) && birth_date(person) == born
    });
    let Some(person) = traced else {
        return Err(Complaint::of(Fault::InvalidPatientDemographics, "no such person is traced"));
    };
    if provider.knows(person.number) {
        return Err(Complaint::of(Fault::DuplicateRejected, "the patient is registered here"));
    }
    provider.state().registered.insert(person.number);
    let mut registered = resource(provider, &person);
    registered["extension"] = json!([{
        "url": names::profile(extension::REGISTRATION),
        "extension": [
            {"url": "registrationPeriod", "valuePeriod": {"start": local_time::moment(now)}},
            {"url": "registrationType", "valueCodeableConcept": {"coding": [{
                "system": "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-RegistrationType-1",
                "code": "T", "display": "Temporary",
            }]}},
        ],
    }]);
    Ok(bundle(vec![json!({"resource": registered})]))
}

/// Whom a number belongs to.
pub(super) fn person_of(number: &str) -> Result<Option<Person>, Complaint> {
    let number = NhsNumber::parse(number)
        .map_err(|error| Complaint::of(Fault::InvalidNhsNumber, error.to_string()))?;
    Ok((0..COUNTRY).map(Person::of).find(|person| person.nhs_number == number))
}

/// The person of a patient's id here.
pub(super) fn person_of_id(provider: &Provider, id: &str) -> Option<Person> {
    let number = id.strip_prefix('p')?.parse().ok()?;
    (number < COUNTRY && provider.knows(number) && !is_sensitive(number)).then(|| Person::of(number))
}

/// Whose data are sent for this person: their own, unless the practice mixes people up.
pub(super) fn shown(provider: &Provider, person: &Person) -> Person {
    let next = person.number + u64::from(provider.knobs().mixes_up_patients);
    Person::of(next)
}

pub(super) fn resource(provider: &Provider, person: &Person) -> Value {
    let (line, gender) = (&person.address, if person.sex == "F" { "female" } else { "male" });
    json!({
        "resourceType": "Patient",
        "id": format!("p{}", person.number),
        "meta": {"versionId": "1", "profile": [names::profile("CareConnect-GPC-Patient-1")]},
        "identifier": [{
            "extension": [{
                "url": names::profile(extension::NHS_NUMBER_STATUS),
                "valueCodeableConcept": {"coding": [{
                    "system": names::NHS_NUMBER_STATUS, "code": "01", "display": "Number present and verified",
                }]},
            }],
            "system": names::NHS_NUMBER,
            "value": person.nhs_number.as_str(),
        }],
        "active": true,
        "name": [{"use": "official", "family": person.family_name, "given": [person.given_name]}],
        "telecom": [{"system": "phone", "value": "020 7946 0123", "use": "home"}],
        "gender": gender,
        "birthDate": birth_date(person),
        "address": [{"use": "home", "type": "physical", "line": [line], "city": "London", "postalCode": "W1A 1AA"}],
        "generalPractitioner": [{"reference": "Practitioner/g1"}],
        "managingOrganization": {"reference": format!("Organization/{}", provider.options.practice)},
    })
}

/// When somebody was born: `YYYY-MM-DD`.
pub fn birth_date(person: &Person) -> String {
    let part = |from: usize, to: usize| person.birth_date.get(from..to).unwrap_or_default();
    format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8))
}

pub(super) fn bundle(entries: Vec<Value>) -> Value {
    let mut bundle = json!({
        "resourceType": "Bundle",
        "meta": {"profile": [names::profile("GPConnect-Searchset-Bundle-1")]},
        "type": "searchset",
    });
    if !entries.is_empty() {
        bundle["entry"] = Value::Array(entries);
    }
    bundle
}

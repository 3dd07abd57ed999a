//! Finding a patient at a practice, and registering one there for a while (GP Connect 1.2.7, Foundations).

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Bundle, CodeableConcept, Element, Patient, names, names::extension},
    domain::{
        actor::Requester,
        nhs_number::NhsNumber,
        slot::{PatientAtSystem, Registration},
    },
    flow::ask::{Outcome, Refusal},
};

use super::{GpConnect, Interaction, exchange::encoded, fault::Fault};

impl GpConnect {
    pub(super) async fn ask_patient(
        &self,
        who: &Requester,
        number: NhsNumber,
    ) -> Result<PatientAtSystem, Refusal> {
        let identifier = encoded(&format!("{}|{}", names::NHS_NUMBER, number.as_str()));
        let path = format!("/Patient?identifier={identifier}");
        let answer = self.asked(who, Interaction::FindPatient, &path, None, None).await?;
        self.the_patient(Interaction::FindPatient, &answer.body, number)
    }

    pub(super) async fn ask_registration(
        &self,
        who: &Requester,
        registration: &Registration,
    ) -> Result<PatientAtSystem, Refusal> {
        let deed = Interaction::RegisterPatient;
        let body = parameters(registration);
        let refusal = match self.asked(who, deed, "/Patient/$gpc.registerpatient", Some(&body), None).await {
            Ok(answer) => match self.the_patient(deed, &answer.body, registration.nhs_number) {
                Ok(patient) => return Ok(patient),
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        // Already registered, or perhaps just now: either way the practice can say.
        let already = refusal.code == Fault::DuplicateRejected.row().code;
        if refusal.outcome == Outcome::NotDone && !already {
            return Err(refusal);
        }
        let found = self.ask_patient(who, registration.nhs_number).await;
        found.map_err(|not_found| if already { not_found } else { refusal })
    }

    /// The one patient of an answer, if it is the one asked for.
    fn the_patient(
        &self,
        deed: Interaction,
        body: &Value,
        number: NhsNumber,
    ) -> Result<PatientAtSystem, Refusal> {
        let Some(bundle) = Bundle::of(Element::of(body)) else {
            return Err(self.refused(deed, Fault::UnreadableAnswer));
        };
        let mut patients = bundle.resources().filter_map(Patient::of);
        let Some(patient) = patients.next() else {
            return Err(self.refused(deed, Fault::PatientNotFound));
        };
        if patients.next().is_some() || !is_of(patient, number) {
            return Err(self.refused(deed, Fault::AnotherPatient));
        }
        patient_at_system(patient, number).ok_or_else(|| self.refused(deed, Fault::UnreadableAnswer))
    }
}

/// Whether a practice's patient has this number.
pub(super) fn is_of(patient: Patient<'_>, number: NhsNumber) -> bool {
    patient.nhs_number().0.and_then(|text| NhsNumber::parse(text).ok()) == Some(number)
}

fn patient_at_system(patient: Patient<'_>, nhs_number: NhsNumber) -> Option<PatientAtSystem> {
    let name = patient.name();
    let parts = ["prefix", "given", "family"].into_iter().flat_map(|part| name.each(part));
    let words: Vec<&str> = parts.filter_map(Element::text).collect();
    let details = patient.element().extension(extension::REGISTRATION);
    let kind = details.each("extension").find(|part| part.text_of("url") == Some("registrationType"));
    let kind = kind.and_then(|kind| CodeableConcept::of(kind.get("valueCodeableConcept")).any_code());
    Some(PatientAtSystem {
        id: patient.id()?.to_owned(),
        nhs_number,
        name: words.join(" "),
        birth_date: patient.birth_date().map(|date| date.as_str().to_owned()).unwrap_or_default(),
        gender: patient.gender().unwrap_or_default().to_owned(),
        registration: kind.unwrap_or_default().to_owned(),
    })
}

/// What is sent to register a patient.
pub(super) fn parameters(registration: &Registration) -> Value {
    let mut patient = json!({
        "resourceType": "Patient",
        "meta": {"profile": [names::profile("CareConnect-GPC-Patient-1")]},
        "identifier": [{
            "extension": [{
                "url": names::profile(extension::NHS_NUMBER_STATUS),
                "valueCodeableConcept": {"coding": [{
                    "system": names::NHS_NUMBER_STATUS, "code": "01", "display": "Number present and verified",
                }]},
            }],
            "system": names::NHS_NUMBER,
            "value": registration.nhs_number.as_str(),
        }],
        "name": [{
            "use": "official",
            "family": registration.family_name,
            "given": registration.given_names,
        }],
        "gender": registration.gender,
        "birthDate": registration.birth_date,
    });
    if !registration.telephone.is_empty() {
        patient["telecom"] = json!([{"system": "phone", "value": registration.telephone, "use": "home"}]);
    }
    if !registration.address_lines.is_empty() {
        let mut address = json!({"use": "home", "type": "physical", "line": registration.address_lines});
        if !registration.postcode.is_empty() {
            address["postalCode"] = json!(registration.postcode);
        }
        patient["address"] = json!([address]);
    }
    json!({
        "resourceType": "Parameters",
        "parameter": [{"name": "registerPatient", "resource": patient}],
    })
}

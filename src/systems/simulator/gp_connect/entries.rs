//! What is in a chart: a few things of every kind, different from person to person and always the same for one.

use serde_json::{Value, json};

use crate::{
    codec::fhir::{Format, names, names::extension},
    systems::{gp_connect::RecordPart, simulator::people::Person},
};

use super::Provider;

/// A thing with its codes: Read v2, SNOMED CT and its words.
type Coded = (&'static str, &'static str, &'static str);

const PROBLEMS: [Coded; 5] = [
    ("H33..", "195967001", "Asthma"),
    ("G20..", "38341003", "Essential hypertension"),
    ("C10F.", "44054006", "Type 2 diabetes mellitus"),
    ("N05..", "396275006", "Osteoarthritis"),
    ("F26..", "37796009", "Migraine"),
];
const ALLERGIES: [Coded; 4] = [
    ("14L..", "91936005", "Allergy to penicillin"),
    ("SN58.", "91935009", "Allergy to peanut"),
    ("14LK.", "293586001", "Allergy to aspirin"),
    ("1Z9..", "716186003", "No known allergy"),
];
/// A medicine: the supplier's code, SNOMED CT, words, dose and quantity.
const MEDICINES: [(&str, &str, &str, &str, &str); 4] = [
    ("SATA15", "320176003", "Salbutamol 100micrograms/dose inhaler", "Two puffs when needed", "1"),
    ("AMTA22", "319283006", "Amlodipine 5mg tablets", "One a day", "28"),
    ("META40", "325278007", "Metformin 500mg tablets", "One twice a day with food", "56"),
    ("PATA72", "322236009", "Paracetamol 500mg tablets", "One or two up to four times a day", "32"),
];

/// The resources of one part, in an order that providers use: what is listed first, what it needs after it.
pub(super) fn of(provider: &Provider, person: &Person, part: RecordPart) -> Vec<Value> {
    let chart = Chart { provider, person };
    match part {
        RecordPart::Allergies => chart.allergies(),
        RecordPart::Medication => chart.medication(),
        RecordPart::Problems => chart.problems(),
        RecordPart::Consultations => chart.consultations(),
        RecordPart::Immunisations => chart.immunisations(),
        RecordPart::Investigations => chart.investigations(),
        RecordPart::UncategorisedData => chart.uncategorised(),
        RecordPart::Referrals => chart.referrals(),
        RecordPart::DiaryEntries => chart.diary(),
    }
}

/// Whether a list names it, or it only belongs to something that a list names.
pub(super) fn is_listed(resource: &Value) -> bool {
    let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
    let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    !(id.starts_with("x-") || matches!(kind, "Medication" | "MedicationRequest" | "Specimen"))
}

struct Chart<'a> {
    provider: &'a Provider,
    person: &'a Person,
}

impl Chart<'_> {
    fn id(&self, what: &str) -> String {
        format!("{what}-{}", self.person.number)
    }

    fn resource(&self, kind: &str, id: String, rest: Value) -> Value {
        let mut resource = json!({
            "resourceType": kind,
            "id": id,
            "meta": {"profile": [names::profile(&format!("CareConnect-GPC-{kind}-1"))]},
            "identifier": [{
                "system": "https://fhir.nhs.uk/Id/cross-care-setting-identifier",
                "value": format!("{}-{id}", self.provider.options.practice),
            }],
        });
        if let (Some(resource), Value::Object(rest)) = (resource.as_object_mut(), rest) {
            resource.extend(rest);
        }
        resource
    }

    fn patient(&self) -> Value {
        json!({"reference": format!("Patient/p{}", self.person.number)})
    }

    fn pick<T: Copy>(&self, from: &[T], shift: u64) -> Option<T> {
        let index = (self.person.number + shift) % (from.len() as u64).max(1);
        usize::try_from(index).ok().and_then(|index| from.get(index).copied())
    }

    /// EMIS gives the code that was chosen and SNOMED CT beside it, Vision SNOMED CT alone.
    fn concept(&self, (read, snomed, words): Coded) -> Value {
        let snomed = json!({
            "extension": [{
                "url": names::profile(extension::DESCRIPTION),
                "extension": [
                    {"url": "descriptionId", "valueId": format!("{snomed}11")},
                    {"url": "descriptionDisplay", "valueString": words},
                ],
            }],
            "system": names::SNOMED_CT, "code": snomed, "display": words,
        });
        if self.is_emis() {
            json!({"coding": [{"system": names::READ_2, "code": read, "display": words, "userSelected": true}, snomed]})
        } else {
            json!({"coding": [snomed]})
        }
    }

    fn is_emis(&self) -> bool {
        self.provider.options.profile.format == Format::Json
    }

    fn allergies(&self) -> Vec<Value> {
        let Some(allergy) = self.pick(&ALLERGIES, 0) else { return Vec::new() };
        let known = allergy.1 != "716186003";
        let mut active = self.resource(
            "AllergyIntolerance",
            self.id("allergy"),
            json!({
                "clinicalStatus": "active", "verificationStatus": "unconfirmed", "category": ["medication"],
                "code": self.concept(allergy), "patient": self.patient(),
                "assertedDate": "2019-05-07T10:15:00+01:00", "recorder": {"reference": "Practitioner/g1"},
            }),
        );
        if known {
            active["onsetDateTime"] = json!("2019-05");
            active["reaction"] = json!([{"manifestation": [{"coding": [
                {"system": names::SNOMED_CT, "code": "271807003", "display": "Eruption of skin"}]}], "severity": "moderate"}]);
        }
        let ended = self.resource("AllergyIntolerance", self.id("old-allergy"), json!({
            "extension": [{"url": names::profile(extension::ALLERGY_END), "extension": [
                {"url": "endDate", "valueDateTime": "2021-03-01"},
                {"url": "reasonEnded", "valueString": "No reaction when given again"}]}],
            "clinicalStatus": "resolved", "verificationStatus": "unconfirmed", "category": ["medication"],
            "code": self.concept(("SN5..", "294461000", "Allergy to erythromycin")), "patient": self.patient(),
            "assertedDate": "2011-05-07T00:00:00+01:00", "recorder": {"reference": "Practitioner/g1"},
        }));
        vec![active, ended]
    }

    fn medication(&self) -> Vec<Value> {
        let Some((local, snomed, words, dose, quantity)) = self.pick(&MEDICINES, 0) else {
            return Vec::new();
        };
        let system = self.provider.options.profile.local_code_systems.first().copied().unwrap_or_default();
        let product = json!({
            "resourceType": "Medication", "id": self.id("product"),
            "meta": {"profile": [names::profile("CareConnect-GPC-Medication-1")]},
            "code": {"coding": [
                {"system": system, "code": local, "display": words, "userSelected": true},
                {"system": names::SNOMED_CT, "code": snomed, "display": words}]},
        });
        let reference = json!({"reference": format!("Medication/{}", self.id("product"))});
        let count: u64 = quantity.parse().unwrap_or(1);
        let plan = self.resource("MedicationRequest", self.id("plan"), json!({
            "extension": [{"url": names::profile(extension::PRESCRIPTION_TYPE), "valueCodeableConcept": {"coding": [{
                "system": "https://fhir.nhs.uk/STU3/CodeSystem/CareConnect-PrescriptionType-1",
                "code": "repeat", "display": "Repeat"}]}}],
            "status": "active", "intent": "plan", "medicationReference": reference, "subject": self.patient(),
            "authoredOn": "2026-02-03T09:12:00+00:00",
            "requester": {"agent": {"reference": "Practitioner/g1"}}, "recorder": {"reference": "Practitioner/g1"},
            "dosageInstruction": [{"text": dose}],
            "dispenseRequest": {"validityPeriod": {"start": "2026-02-03"}, "quantity": {"value": count, "unit": "tablet"}},
        }));
        let statement = self.resource(
            "MedicationStatement",
            self.id("medicine"),
            json!({
                "extension": [{"url": names::profile(extension::LAST_ISSUE), "valueDateTime": "2026-11-02"}],
                "basedOn": [{"reference": format!("MedicationRequest/{}", self.id("plan"))}],
                "status": "active", "medicationReference": reference,
                "effectivePeriod": {"start": "2026-02-03"}, "dateAsserted": "2026-02-03T09:12:00+00:00",
                "subject": self.patient(), "taken": "unk", "dosage": [{"text": dose}],
            }),
        );
        vec![statement, plan, product]
    }

    fn problems(&self) -> Vec<Value> {
        let problem = |shift: u64, what: &str, status: &str, significance: &str| {
            let mut resource = self.resource("Condition", self.id(what), json!({
                "extension": [{
                    "url": format!("https://fhir.hl7.org.uk/STU3/StructureDefinition/{}", extension::PROBLEM_SIGNIFICANCE),
                    "valueCode": significance}],
                "clinicalStatus": status,
                "category": [{"coding": [{
                    "system": "https://fhir.hl7.org.uk/STU3/CodeSystem/CareConnect-ConditionCategory-1",
                    "code": "problem-list-item", "display": "Problem List Item"}]}],
                "code": self.concept(self.pick(&PROBLEMS, shift)?), "subject": self.patient(),
                "onsetDateTime": "2016", "assertedDate": "2016-04-11T11:36:34+01:00",
                "asserter": {"reference": "Practitioner/g1"},
            }));
            resource["meta"] =
                json!({"profile": [names::profile("CareConnect-GPC-ProblemHeader-Condition-1")]});
            if status == "inactive" {
                resource["abatementDateTime"] = json!("2020-01-31");
            }
            Some(resource)
        };
        let all = [problem(0, "problem", "active", "major"), problem(2, "old-problem", "inactive", "minor")];
        all.into_iter().flatten().collect()
    }

    fn consultations(&self) -> Vec<Value> {
        vec![self.resource("Encounter", self.id("consultation"), json!({
            "status": "finished", "type": [{"text": "GP surgery consultation"}], "subject": self.patient(),
            "participant": [
                {"type": [{"coding": [{"system": "http://hl7.org/fhir/v3/ParticipationType", "code": "PPRF",
                    "display": "primary performer"}]}], "individual": {"reference": "Practitioner/g1"}},
                {"type": [{"coding": [{"system": "https://fhir.nhs.uk/STU3/CodeSystem/GPConnect-ParticipantType-1",
                    "code": "REC", "display": "recorder"}]}], "individual": {"reference": "Practitioner/g1"}}],
            "period": {"start": "2026-10-12T09:20:00+01:00", "end": "2026-10-12T09:32:00+01:00"},
            "location": [{"location": {"reference": "Location/l1"}}],
            "serviceProvider": {"reference": format!("Organization/{}", self.provider.options.practice)},
        }))]
    }

    fn immunisations(&self) -> Vec<Value> {
        let given = !self.person.number.is_multiple_of(3);
        let mut resource = self.resource("Immunization", self.id("vaccination"), json!({
            "extension": [{
                "url": format!("https://fhir.hl7.org.uk/STU3/StructureDefinition/{}", extension::VACCINATION_PROCEDURE),
                "valueCodeableConcept": self.concept(("65ED.", "86198006", "Influenza vaccination"))}],
            "status": "completed", "notGiven": !given,
            "vaccineCode": {"text": "Inactivated influenza vaccine"}, "patient": self.patient(),
            "date": "2026-10-12", "primarySource": true,
            "practitioner": [{"actor": {"reference": "Practitioner/g1"}}],
        }));
        if given {
            resource["lotNumber"] = json!("K1234");
            resource["site"] = json!({"text": "Left upper arm"});
            resource["vaccinationProtocol"] = json!([{"doseSequence": 1, "targetDisease": [{"text": "Influenza"}],
                "doseStatus": {"text": "counts"}}]);
        } else {
            resource["explanation"] = json!({"reasonNotGiven": [{"text": "Patient declined"}]});
        }
        vec![resource]
    }

    fn investigations(&self) -> Vec<Value> {
        let high = self.person.number.is_multiple_of(4);
        let reference = |kind: &str, what: &str| json!({"reference": format!("{kind}/{}", self.id(what))});
        let at = "2026-11-16T08:05:00+00:00";
        let observation = |what: &str, coded: Coded, rest: Value| {
            let mut resource = self.resource("Observation", self.id(what), json!({
                "status": "final", "code": self.concept(coded), "subject": self.patient(),
                "effectiveDateTime": at, "issued": "2026-11-17T15:00:00+00:00", "performer": [{"reference": "Practitioner/g1"}],
            }));
            if let (Some(resource), Value::Object(rest)) = (resource.as_object_mut(), rest) {
                resource.extend(rest);
            }
            resource
        };
        let flag = if high { "H" } else { "N" };
        vec![
            self.resource("DiagnosticReport", self.id("report"), json!({
                "basedOn": [reference("ProcedureRequest", "x-request")], "status": "final",
                "code": {"coding": [{"system": names::SNOMED_CT, "code": "721981007", "display": "Diagnostic studies report"}]},
                "subject": self.patient(), "effectiveDateTime": at, "issued": "2026-11-17T14:30:00+00:00",
                "performer": [{"actor": {"reference": format!("Organization/{}", self.provider.options.practice)}}],
                "specimen": [reference("Specimen", "x-blood")], "result": [reference("Observation", "x-group")],
            })),
            self.resource("ProcedureRequest", self.id("x-request"), json!({
                "status": "completed", "intent": "order", "code": {"text": "Urea and electrolytes"}, "subject": self.patient(),
            })),
            self.resource("Specimen", self.id("x-blood"), json!({
                "status": "available", "type": {"text": "Venous blood"}, "subject": self.patient(),
                "receivedTime": "2026-11-16T13:40:00+00:00", "collection": {"collectedDateTime": at},
            })),
            observation("x-group", ("44JB.", "1007831000000109", "Urea and electrolytes"), json!({
                "specimen": reference("Specimen", "x-blood"),
                "related": [{"type": "has-member", "target": reference("Observation", "x-potassium")},
                            {"type": "has-member", "target": reference("Observation", "x-sodium")}]})),
            observation("x-potassium", ("44I4.", "1000651000000109", "Serum potassium level"), json!({
                "valueQuantity": {"value": if high { 5.9 } else { 4.2 }, "unit": "mmol/L", "system": names::UCUM, "code": "mmol/L"},
                "interpretation": {"coding": [{"system": "http://hl7.org/fhir/v2/0078", "code": flag}]},
                "specimen": reference("Specimen", "x-blood"),
                "referenceRange": [{"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.3, "unit": "mmol/L"}}],
                "related": [{"type": "derived-from", "target": reference("Observation", "x-group")}]})),
            observation("x-sodium", ("44I5.", "1000661000000107", "Serum sodium level"), json!({
                "valueQuantity": {"value": 139, "unit": "mmol/L"}, "specimen": reference("Specimen", "x-blood"),
                "referenceRange": [{"low": {"value": 133}, "high": {"value": 146}, "text": "adults"}],
                "related": [{"type": "derived-from", "target": reference("Observation", "x-group")}]})),
        ]
    }

    fn uncategorised(&self) -> Vec<Value> {
        let part = |snomed: &str, words: &str, value: u64| {
            json!({
                "code": {"coding": [{"system": names::SNOMED_CT, "code": snomed, "display": words}]},
                "valueQuantity": {"value": value, "unit": "mmHg"},
            })
        };
        let pressure = self.resource("Observation", self.id("pressure"), json!({
            "status": "final", "code": self.concept(("2469.", "75367002", "Blood pressure")), "subject": self.patient(),
            "context": {"reference": format!("Encounter/{}", self.id("consultation"))},
            "effectiveDateTime": "2026-10-12T09:25:00+01:00", "issued": "2026-10-12T09:30:00+01:00",
            "performer": [{"reference": "Practitioner/g1"}],
            "component": [part("271649006", "Systolic blood pressure", 120 + self.person.number % 40),
                          part("271650006", "Diastolic blood pressure", 70 + self.person.number % 20)],
        }));
        let letter = self.resource("DocumentReference", self.id("letter"), json!({
            "status": "current", "type": self.concept(("9N36.", "823691000000103", "Clinical letter")),
            "subject": self.patient(), "created": "2026-09-30T00:00:00+01:00", "indexed": "2026-10-01T11:43:49+01:00",
            "author": [{"reference": "Practitioner/g1"}],
            "custodian": {"reference": format!("Organization/{}", self.provider.options.practice)},
            "description": "Discharge letter, orthopaedics",
            "content": [{"attachment": {"contentType": "application/pdf", "url": "https://gp.example/Binary/1", "size": 190_950}}],
        }));
        vec![pressure, letter]
    }

    fn referrals(&self) -> Vec<Value> {
        if self.person.number.is_multiple_of(2) {
            return Vec::new();
        }
        vec![self.resource(
            "ReferralRequest",
            self.id("referral"),
            json!({
                "status": "active", "intent": "order", "priority": "routine", "subject": self.patient(),
                "authoredOn": "2026-10-12", "requester": {"agent": {"reference": "Practitioner/g1"}},
                "specialty": {"text": "Physiotherapy"},
                "reasonCode": [self.concept(("8H77.", "306170007", "Referral to physiotherapist"))],
                "description": "Knee pain for three months",
            }),
        )]
    }

    fn diary(&self) -> Vec<Value> {
        vec![self.resource("ProcedureRequest", self.id("due"), json!({
            "status": "active", "intent": "plan",
            "code": self.concept(("6623.", "170583008", "Diabetic foot check due")), "subject": self.patient(),
            "occurrenceDateTime": "2027-01-15", "authoredOn": "2026-10-12T09:31:00+01:00",
            "requester": {"agent": {"reference": "Practitioner/g1"}},
        }))]
    }
}

//! Lines of the audit as AuditEvents.

use serde_json::{Value, json};

use crate::{
    codec::fhir::names,
    domain::{nhs_number::NhsNumber, time::Timestamp},
};

use super::{
    ResourceType,
    ids::Ids,
    moment,
    reading::{patient_id, reference},
    text::clean,
    writer::pruned,
};

/// What came of a deed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
    /// It was tried, and failed.
    Failed,
}

/// One line of the audit, in plain words. Its `Debug` shows who and when alone.
#[derive(Clone, Eq, PartialEq)]
pub struct AuditLine {
    /// Its number in the log of the hub.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who: the name they sign in with.
    pub user: String,
    /// Who, in words.
    pub name: String,
    /// The roles they had then.
    pub roles: String,
    /// Their job role in the national list; empty if unknown.
    pub job_role: String,
    /// For whom: the ODS code.
    pub organisation: String,
    /// From which device.
    pub device: String,
    /// A stable word, such as `record.view`.
    pub deed: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Whose record, if anybody's.
    pub patient: Option<NhsNumber>,
    /// On what ground.
    pub ground: String,
    /// In the user's own words why.
    pub reason: String,
    /// The hub that wrote it.
    pub hub: String,
}

impl std::fmt::Debug for AuditLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuditLine({}, {:?}, {}, {:?})", self.number, self.at, self.deed, self.outcome)
    }
}

const EVENT_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const OBJECT_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLES: &str = "http://terminology.hl7.org/CodeSystem/object-role";

/// The event of a line; `base` is where this facade is.
pub fn audit_event(line: &AuditLine, base: &str, ids: &Ids) -> Value {
    let id = ids.of(&["audit", &line.hub, &line.number.to_string()]);
    let outcome = match line.outcome {
        AuditOutcome::Done => "0",
        AuditOutcome::Refused => "4",
        AuditOutcome::Failed => "8",
    };
    let role =
        |text: &str| Some(clean(text)).filter(|text| !text.is_null()).map(|text| json!({ "text": text }));
    let purpose = [&line.ground, &line.reason].map(|text| role(text));
    let organisation = json!({ "system": names::ODS_CODE, "value": clean(&line.organisation) });
    let entity = line.patient.map(|number| {
        json!([{
            "what": reference(ResourceType::Patient, &patient_id(&number, ids)),
            "type": { "system": OBJECT_TYPES, "code": "1", "display": "Person" },
            "role": { "system": OBJECT_ROLES, "code": "1", "display": "Patient" },
        }])
    });
    pruned(json!({
        "resourceType": ResourceType::AuditEvent.name(),
        "id": id,
        "meta": { "source": format!("{base}/systems/{}", super::terms::encoded(&line.hub)) },
        "type": event_type(&line.deed),
        "subtype": [{ "system": format!("{base}/CodeSystem/deeds"), "code": super::text::code(&line.deed) }],
        "action": action(&line.deed),
        "recorded": moment::of(line.at).unwrap_or_else(|| "1970-01-01T00:00:00.000+00:00".to_owned()),
        "outcome": outcome,
        "outcomeDesc": (line.outcome == AuditOutcome::Refused).then_some("Refused"),
        "purposeOfEvent": purpose,
        "agent": [{
            "role": [role(&line.roles), role(&line.job_role)],
            "who": {
                "identifier": { "system": format!("{base}/users"), "value": clean(&line.user) },
                "display": clean(&line.name),
            },
            "altId": clean(&line.user),
            "name": clean(&line.name),
            "requestor": true,
            "location": null,
            "network": { "address": clean(&line.device), "type": Some("1").filter(|_| !line.device.trim().is_empty()) },
        }],
        "source": {
            "site": clean(&line.organisation),
            "observer": { "identifier": organisation, "display": observer(line) },
        },
        "entity": entity,
    }))
    .unwrap_or_default()
}

/// FHIR wants somebody who saw it: the hub.
fn observer(line: &AuditLine) -> Value {
    let name = clean(&line.hub);
    if name.is_null() { json!("polygate") } else { name }
}

fn event_type(deed: &str) -> Value {
    match deed.split('.').next() {
        Some("sign-in" | "sign-out") => {
            json!({ "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110114", "display": "User Authentication" })
        }
        _ => json!({ "system": EVENT_TYPES, "code": "rest", "display": "RESTful Operation" }),
    }
}

/// Create, read, update, delete or execute (R4, audit-event-action).
fn action(deed: &str) -> &'static str {
    let word = deed.rsplit('.').next().unwrap_or_default();
    match word {
        "view" | "read" | "print" | "export" | "search" => "R",
        "create" => "C",
        "change" => "U",
        "delete" => "D",
        _ => "E",
    }
}

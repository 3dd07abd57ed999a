//! FHIR R4's rules on the resources that are given, as far as a small table holds them: which elements must be there,
//! which may be there more than once, and what values they take.

use serde_json::Value;

/// An element: its name, how often it may be there, and whether it may be many (a list).
struct Rule {
    kind: &'static str,
    /// Elements that must be there; `a|_a` is a choice.
    needed: &'static [&'static str],
    /// Elements that are lists.
    lists: &'static [&'static str],
    /// Elements that are not.
    singles: &'static [&'static str],
    /// Values of `status`.
    statuses: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        kind: "Patient",
        needed: &["name", "birthDate|_birthDate"],
        lists: &["identifier", "name", "telecom", "address", "generalPractitioner", "link"],
        singles: &["gender", "birthDate", "_birthDate", "deceasedDateTime", "deceasedBoolean"],
        statuses: &[],
    },
    Rule {
        kind: "AllergyIntolerance",
        needed: &["clinicalStatus", "code", "patient"],
        lists: &["category", "reaction", "note"],
        singles: &[
            "clinicalStatus",
            "verificationStatus",
            "criticality",
            "code",
            "patient",
            "onsetDateTime",
            "onsetString",
            "recordedDate",
            "recorder",
        ],
        statuses: &[],
    },
    Rule {
        kind: "MedicationStatement",
        needed: &["status", "medicationCodeableConcept", "subject", "effectivePeriod"],
        lists: &["extension", "dosage", "note"],
        singles: &[
            "status",
            "medicationCodeableConcept",
            "subject",
            "effectivePeriod",
            "dateAsserted",
            "informationSource",
        ],
        statuses: &[
            "active",
            "completed",
            "entered-in-error",
            "intended",
            "stopped",
            "on-hold",
            "unknown",
            "not-taken",
        ],
    },
    Rule {
        kind: "Condition",
        needed: &["clinicalStatus", "code", "subject"],
        lists: &["category", "note"],
        singles: &[
            "clinicalStatus",
            "code",
            "subject",
            "onsetDateTime",
            "onsetString",
            "abatementDateTime",
            "recordedDate",
            "recorder",
        ],
        statuses: &[],
    },
    Rule {
        kind: "Observation",
        needed: &["status", "code", "subject", "effectiveDateTime|_effectiveDateTime"],
        lists: &["category", "performer", "interpretation", "referenceRange", "note"],
        singles: &[
            "status",
            "code",
            "subject",
            "effectiveDateTime",
            "_effectiveDateTime",
            "issued",
            "valueQuantity",
            "valueDateTime",
            "valueCodeableConcept",
            "valueString",
            "method",
            "specimen",
        ],
        statuses: &[
            "registered",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "cancelled",
            "entered-in-error",
            "unknown",
        ],
    },
    Rule {
        kind: "DiagnosticReport",
        needed: &["status", "code", "subject", "result"],
        lists: &["category", "performer", "specimen", "result"],
        singles: &["status", "code", "subject", "effectiveDateTime", "issued"],
        statuses: &[
            "registered",
            "partial",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "cancelled",
            "entered-in-error",
            "unknown",
        ],
    },
    Rule {
        kind: "DocumentReference",
        needed: &["status", "content", "subject"],
        lists: &["author", "content"],
        singles: &["status", "docStatus", "type", "subject", "date", "description"],
        statuses: &["current", "superseded", "entered-in-error"],
    },
    Rule {
        kind: "Immunization",
        needed: &["status", "vaccineCode", "patient", "occurrenceDateTime|occurrenceString"],
        lists: &["extension", "performer", "note", "protocolApplied"],
        singles: &[
            "status",
            "vaccineCode",
            "patient",
            "occurrenceDateTime",
            "occurrenceString",
            "recorded",
            "lotNumber",
            "site",
            "route",
        ],
        statuses: &["completed", "entered-in-error", "not-done"],
    },
    Rule {
        kind: "Encounter",
        needed: &["status", "class", "subject"],
        lists: &["type", "participant", "location"],
        singles: &["status", "class", "subject", "period", "serviceProvider"],
        statuses: &[
            "planned",
            "arrived",
            "triaged",
            "in-progress",
            "onleave",
            "finished",
            "cancelled",
            "entered-in-error",
            "unknown",
        ],
    },
    Rule {
        kind: "Appointment",
        needed: &["status", "participant"],
        lists: &["extension", "serviceType", "participant"],
        singles: &[
            "status",
            "cancelationReason",
            "description",
            "start",
            "_start",
            "end",
            "_end",
            "minutesDuration",
            "created",
            "comment",
        ],
        statuses: &[
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
        ],
    },
    Rule {
        kind: "ServiceRequest",
        needed: &["status", "intent", "subject"],
        lists: &["reasonCode", "note"],
        singles: &[
            "status",
            "intent",
            "priority",
            "code",
            "subject",
            "authoredOn",
            "occurrenceDateTime",
            "requester",
        ],
        statuses: &["draft", "active", "on-hold", "revoked", "completed", "entered-in-error", "unknown"],
    },
    Rule {
        kind: "Provenance",
        needed: &["target", "recorded", "agent"],
        lists: &["target", "agent"],
        singles: &["occurredDateTime", "recorded"],
        statuses: &[],
    },
    Rule {
        kind: "Binary",
        needed: &["contentType", "data"],
        lists: &[],
        singles: &["contentType", "securityContext", "data"],
        statuses: &[],
    },
    Rule {
        kind: "AuditEvent",
        needed: &["type", "recorded", "agent", "source"],
        lists: &["subtype", "purposeOfEvent", "agent", "entity"],
        singles: &["type", "action", "recorded", "outcome", "outcomeDesc", "source"],
        statuses: &[],
    },
    Rule {
        kind: "Organization",
        needed: &["name"],
        lists: &["identifier"],
        singles: &["name"],
        statuses: &[],
    },
    Rule { kind: "OperationOutcome", needed: &["issue"], lists: &["issue"], singles: &[], statuses: &[] },
    Rule {
        kind: "Composition",
        needed: &["status", "type", "subject", "date", "author", "title", "section"],
        lists: &["author", "section"],
        singles: &[
            "identifier",
            "status",
            "type",
            "subject",
            "date",
            "title",
            "confidentiality",
            "custodian",
        ],
        statuses: &["final"],
    },
    Rule {
        kind: "Bundle",
        needed: &["type"],
        lists: &["link", "entry"],
        singles: &["identifier", "type", "timestamp", "total"],
        statuses: &[],
    },
];

/// Elements of every resource.
const COMMON: [&str; 4] = ["resourceType", "id", "meta", "text"];

/// What is wrong with a resource; empty if nothing is.
pub fn faults(resource: &Value) -> Vec<String> {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    let Some(rule) = RULES.iter().find(|rule| rule.kind == kind) else {
        return vec![format!("no rule for {kind}")];
    };
    let mut faults = Vec::new();
    for needed in rule.needed {
        if !needed.split('|').any(|name| !resource[name].is_null()) {
            faults.push(format!("{kind}.{needed} is not there"));
        }
    }
    for (name, value) in resource.as_object().unwrap() {
        let name = name.as_str();
        if COMMON.contains(&name) {
            continue;
        }
        match (rule.lists.contains(&name), rule.singles.contains(&name)) {
            (true, _) if !value.is_array() => faults.push(format!("{kind}.{name} is no list")),
            (_, true) if value.is_array() => faults.push(format!("{kind}.{name} is a list")),
            (false, false) => faults.push(format!("{kind}.{name} is not known")),
            _ => {}
        }
    }
    let status = resource["status"].as_str();
    if !rule.statuses.is_empty() && !status.is_some_and(|status| rule.statuses.contains(&status)) {
        faults.push(format!("{kind}.status is none"));
    }
    values(kind, resource, &mut faults);
    invariants(kind, resource, &mut faults);
    faults
}

/// Nothing is empty, no text has control characters, ids and references are such.
fn values(at: &str, value: &Value, faults: &mut Vec<String>) {
    match value {
        Value::Null => faults.push(format!("{at} is null")),
        Value::String(text) => {
            let is_bad = |one: char| one.is_control() && !matches!(one, '\t' | '\n' | '\r');
            if text.trim().is_empty() || text.contains(is_bad) || (1 << 20) < text.len() {
                faults.push(format!("{at} is no string of FHIR"));
            }
        }
        Value::Array(all) if all.is_empty() => faults.push(format!("{at} is empty")),
        Value::Array(all) => all.iter().for_each(|one| values(at, one, faults)),
        Value::Object(members) if members.is_empty() => faults.push(format!("{at} is empty")),
        Value::Object(members) => {
            // Resources within are held to their own rules.
            for (name, member) in
                members.iter().filter(|(name, _)| at != "Bundle.entry" || *name != "resource")
            {
                let at = format!("{at}.{name}");
                // Documents are longer than strings may be.
                if !(at == "Binary.data" && member.is_string()) {
                    values(&at, member, faults);
                }
                if let Some(text) = member.as_str() {
                    token(&at, name, text, faults);
                }
            }
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

fn token(at: &str, name: &str, text: &str, faults: &mut Vec<String>) {
    let is_id = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    let is_right = match name {
        "id" => is_id(text),
        "reference" => text.split_once('/').is_some_and(|(_, id)| is_id(id)),
        "system" if !at.ends_with("telecom.system") => {
            text.contains(':') && !text.contains(char::is_whitespace)
        }
        "code" => !text.contains("  ") && text.trim() == text,
        "source" | "url" | "fullUrl" => !text.contains(char::is_whitespace),
        "lastUpdated" | "recorded" | "issued" | "timestamp" if at != "Immunization.recorded" => {
            text.contains('T')
        }
        _ => true,
    };
    if !is_right {
        faults.push(format!("{at} is not as FHIR writes it"));
    }
}

/// FHIR's own conditions, by their names there.
fn invariants(kind: &str, one: &Value, faults: &mut Vec<String>) {
    let is_there = |name: &str| !one[name].is_null();
    let coded = |name: &str| one[name]["coding"][0]["code"].as_str();
    let holds = match kind {
        "Condition" => {
            !is_there("abatementDateTime")
                || matches!(coded("clinicalStatus"), Some("inactive" | "resolved" | "remission"))
        }
        "Appointment" => {
            let (start, end) = (is_there("start") || is_there("_start"), is_there("end") || is_there("_end"));
            let may_lack = matches!(one["status"].as_str(), Some("proposed" | "cancelled" | "waitlist"));
            let may_have = matches!(one["status"].as_str(), Some("cancelled" | "noshow"));
            start == end && (start || may_lack) && (may_have || !is_there("cancelationReason"))
        }
        "Observation" => {
            let values = ["valueQuantity", "valueDateTime", "valueCodeableConcept", "valueString"];
            values.iter().filter(|name| is_there(name)).count() < 2
        }
        "Composition" => one["section"].as_array().unwrap().iter().all(|section| {
            section["entry"].is_null() != section["emptyReason"].is_null()
                && section["text"]["div"].is_string()
        }),
        "Bundle" if one["type"] == "document" => {
            is_there("identifier")
                && is_there("timestamp")
                && one["entry"][0]["resource"]["resourceType"] == "Composition"
        }
        "Bundle" => one["entry"]
            .as_array()
            .is_none_or(|all| all.iter().all(|entry| entry["search"]["mode"].is_string())),
        _ => true,
    };
    if !holds {
        faults.push(format!("{kind}: a condition of FHIR's does not hold"));
    }
    if kind == "Bundle" {
        let entries = one["entry"].as_array().into_iter().flatten();
        entries.for_each(|entry| faults.extend(self::faults(&entry["resource"])));
    }
}

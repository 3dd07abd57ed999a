//! What this facade can do.

use serde_json::{Value, json};

use crate::domain::time::Timestamp;

use super::{ResourceType, moment, resource_type::Sort};

/// The resources of a CapabilityStatement's `rest`, each with what can be done with it. Whoever else answers at the same
/// address adds its own to them.
pub fn rest_resources() -> Vec<Value> {
    ResourceType::ALL.into_iter().map(resource).collect()
}

fn resource(kind: ResourceType) -> Value {
    let mut interactions = vec![json!({ "code": "read" })];
    if kind.is_searched() {
        interactions.push(json!({ "code": "search-type" }));
    }
    let mut statement = json!({
        "type": kind.name(),
        "interaction": interactions,
        "versioning": "no-version",
        "readHistory": false,
    });
    if kind.is_searched() {
        statement["searchParam"] = parameters(kind);
        if kind == ResourceType::Patient {
            statement["operation"] = json!([{
                "name": "summary",
                "definition": "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
            }]);
        } else {
            statement["searchRevInclude"] = json!(["Provenance:target"]);
        }
    }
    statement
}

fn parameters(kind: ResourceType) -> Value {
    let mut all =
        vec![json!({ "name": "_id", "type": "token" }), json!({ "name": "_lastUpdated", "type": "date" })];
    if kind == ResourceType::Patient {
        all.push(json!({ "name": "identifier", "type": "token" }));
    } else {
        let words = "The patient's id, or patient.identifier with an NHS number; one of the two is needed";
        all.push(json!({ "name": "patient", "type": "reference", "documentation": words }));
    }
    all.extend(kind.parameters().iter().map(|parameter| {
        let sort = match parameter.sort {
            Sort::Token => "token",
            Sort::Date => "date",
        };
        json!({ "name": parameter.name, "type": sort })
    }));
    Value::Array(all)
}

/// The whole statement of a hub that answers nothing else at this address.
pub fn capability_statement(hub: &str, base: &str, now: Timestamp) -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "id": "polygate-record",
        "name": "PolygateRecord",
        "title": format!("The shared record at {hub}"),
        "status": "active",
        "date": moment::of(now),
        "kind": "instance",
        "software": { "name": "polygate", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "The one record of a patient from all systems of a polysystem", "url": base },
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{
            "mode": "server",
            "documentation": "Reading only. Searches are POSTed to _search, so that no address names a patient.",
            "resource": rest_resources(),
        }],
    })
}

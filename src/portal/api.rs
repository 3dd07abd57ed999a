//! The JSON side of the portal, and its description.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::flow::status::HubStatus;

use super::{Hubs, failure::Failure};

/// `GET /api/status`: every hub's status.
pub(super) async fn status(State(hubs): State<Hubs>) -> Result<Json<Vec<HubStatus>>, Failure> {
    let statuses = hubs.ask_all(|hub| hub.status()).await?;
    Ok(Json(statuses))
}

/// `GET /api/openapi.json`: what there is (OpenAPI 3.1.0).
pub(super) async fn description() -> Json<Value> {
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "polygate",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A hub's condition, for monitoring.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/status": {"get": {
                "operationId": "status",
                "summary": "The condition of every hub that this portal shows; one on an appliance. No patient data.",
                "responses": {
                    "200": answer("The hubs' status.", json!({"type": "array", "items": reference("HubStatus")})),
                    "503": {"description": "A hub does not answer."},
                },
            }},
            "/healthz": {"get": probe("health", "Whether the program lives and its journal answers.")},
            "/readyz": {"get": probe("readiness", "Whether senders' messages are taken.")},
            "/metrics": {"get": {
                "operationId": "metrics",
                "summary": "Measurements in the OpenMetrics text format.",
                "responses": {"200": {
                    "description": "The measurements.",
                    "content": {"application/openmetrics-text": {"schema": {"type": "string"}}},
                }},
            }},
        },
        "components": {"schemas": schemas()},
    }))
}

fn probe(operation: &str, summary: &str) -> Value {
    json!({
        "operationId": operation,
        "summary": summary,
        "responses": {
            "200": answer("Yes.", reference("Probe")),
            "503": answer("No, and why.", reference("Probe")),
        },
    })
}

fn answer(description: &str, schema: Value) -> Value {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn schemas() -> Value {
    json!({
        "Probe": object(&json!({"status": {"enum": ["ok", "failing"]}, "hubs": list(object(&json!({
            "hub": {"type": "string"},
            "ok": {"type": "boolean"},
            "detail": {"type": "string"},
        })))})),
        "Timestamp": {"type": "integer", "description": "Milliseconds since 1970-01-01T00:00:00Z."},
        "HubStatus": object(&hub_status()),
        "Alarm": object(&json!({
            "code": {"type": "string", "examples": ["PG-201"]},
            "about": {"type": "string"},
            "since": reference("Timestamp"),
            "text": {"type": "string"},
            "next_step": {"type": "string"},
        })),
        "LinkStatus": object(&json!({
            "name": {"type": "string"},
            "kind": {"type": "string"},
            "address": {"type": "string"},
            "state": reference("LinkState"),
            "since": reference("Timestamp"),
            "detail": {"type": "string"},
            "connections": count(),
            "accepted": count(),
            "repeated": count(),
            "refused": count(),
            "last_message": moment_or_null(),
        })),
        "DeliveryStatus": object(&json!({
            "name": {"type": "string"},
            "kind": {"type": "string"},
            "address": {"type": "string"},
            "state": reference("LinkState"),
            "detail": {"type": "string"},
            "queued": count(),
            "in_flight": count(),
            "parked": count(),
            "held": count(),
            "oldest": moment_or_null(),
            "oldest_age_seconds": count(),
            "last_accepted": moment_or_null(),
            "accepted": count(),
            "again": count(),
            "missed": count(),
        })),
        "LinkState": {"enum": ["up", "waiting", "down"]},
        "CentreStatus": object(&json!({
            "broker": {"type": "string"},
            "state": reference("LinkState"),
            "since": reference("Timestamp"),
            "detail": {"type": "string"},
            "last_receipt": moment_or_null(),
            "confirmed": count(),
            "batches_sent": count(),
            "bytes_sent": count(),
            "connections": count(),
        })),
        "QueueStatus": object(&json!({
            "class": {"enum": ["urgent", "booking", "clinical", "activity", "document", "telemetry"]},
            "entries": count(),
            "oldest": moment_or_null(),
            "oldest_age_seconds": count(),
        })),
        "RecentMessage": object(&json!({
            "at": reference("Timestamp"),
            "system": {"type": "string"},
            "kind": {"type": "string"},
            "source_id": {"type": "string"},
            "outcome": {"enum": ["accepted", "repeated", "refused"]},
        })),
    })
}

fn hub_status() -> Value {
    json!({
        "hub": {"type": "string"},
        "ods": {"type": "string"},
        "name": {"type": "string"},
        "version": {"type": "string"},
        "started": reference("Timestamp"),
        "now": reference("Timestamp"),
        "clock": {"enum": ["synchronised", "unsynchronised"]},
        "condition": {"enum": ["ok", "degraded", "refusing"]},
        "alarms": list(reference("Alarm")),
        "links": list(reference("LinkStatus")),
        "deliveries": list(reference("DeliveryStatus")),
        "centre": reference("CentreStatus"),
        "queue": list(reference("QueueStatus")),
        "journal": {"type": "object"},
        "view": object(&json!({
            "patients": count(),
            "rebuilding": {"type": "boolean"},
            "applied": count(),
            "caught_up": {"type": "boolean"},
        })),
        "parked": count(),
        "quarantined": count(),
        "recent": list(reference("RecentMessage")),
    })
}

/// An object whose properties are all there; more may be added in later versions.
fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().into_iter().flat_map(|map| map.keys()).collect();
    json!({"type": "object", "properties": properties, "required": names})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn moment_or_null() -> Value {
    json!({"anyOf": [reference("Timestamp"), {"type": "null"}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::fake;

    fn described(schema: &Value) -> Vec<&String> {
        schema["properties"].as_object().unwrap().keys().collect()
    }

    #[test]
    fn the_description_names_every_field_that_is_sent() {
        let status = serde_json::to_value(fake::troubled()).unwrap();
        let schemas = schemas();
        for (schema, sent) in [
            ("HubStatus", &status),
            ("Alarm", &status["alarms"][0]),
            ("LinkStatus", &status["links"][0]),
            ("DeliveryStatus", &status["deliveries"][0]),
            ("CentreStatus", &status["centre"]),
            ("QueueStatus", &status["queue"][0]),
            ("RecentMessage", &status["recent"][0]),
        ] {
            assert_eq!(described(&schemas[schema]), sent.as_object().unwrap().keys().collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn every_reference_leads_somewhere() {
        let Json(document) = description().await;
        let text = document.to_string();
        let named = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
        for name in named {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}

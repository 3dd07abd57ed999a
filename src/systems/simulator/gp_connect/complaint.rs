//! What the practice says when it refuses.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{codec::fhir::names, systems::gp_connect::fault::Fault};

/// A refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Complaint {
    pub(super) status: StatusCode,
    code: Option<&'static str>,
    issue: &'static str,
    diagnostics: String,
}

impl Complaint {
    /// With Spine's code and its status.
    pub(super) fn of(fault: Fault, diagnostics: impl Into<String>) -> Self {
        let row = fault.row();
        let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let issue = match row.status {
            400 => "value",
            403 => "forbidden",
            404 => "not-found",
            409 => "duplicate",
            422 => "invalid",
            501 => "not-supported",
            _ => "exception",
        };
        Self { status, code: Some(row.code), issue, diagnostics: diagnostics.into() }
    }

    /// As the proxy says it: without Spine's code.
    pub(super) fn of_proxy(status: u16, issue: &'static str, diagnostics: &str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        Self { status, code: None, issue, diagnostics: diagnostics.to_owned() }
    }

    pub(super) fn resource(&self) -> Value {
        let mut issue = json!({"severity": "error", "code": self.issue, "diagnostics": self.diagnostics});
        if let Some(code) = self.code {
            issue["details"] =
                json!({"coding": [{"system": names::SPINE_ERROR, "code": code, "display": code}]});
        }
        json!({
            "resourceType": "OperationOutcome",
            "meta": {"profile": [names::profile("GPConnect-OperationOutcome-1")]},
            "issue": [issue],
        })
    }
}

/// The resource is not valid, for a reason.
pub(super) fn invalid(why: &str) -> Complaint {
    Complaint::of(Fault::InvalidResource, why)
}

/// A parameter is not valid, for a reason.
pub(super) fn parameter(why: &str) -> Complaint {
    Complaint::of(Fault::InvalidParameter, why)
}

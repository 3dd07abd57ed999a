//! What a receiver answers when it does not do as it is asked (BaRS API 1.4.0, error codes).

use serde_json::{Value, json};

use super::id::derived;

const CODES: &str = "https://fhir.nhs.uk/Codesystem/http-error-codes";
const PROFILE: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome";

/// Why a request is not done: an HTTP status, a code that says who is at fault, and an issue type of FHIR.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{says}")]
pub struct Refusal {
    /// HTTP.
    pub status: u16,
    /// `REC_…`, or `SEND_…` where the standard has no other.
    pub code: &'static str,
    /// FHIR's issue type.
    pub issue: &'static str,
    /// In words, without content.
    pub says: &'static str,
}

impl Refusal {
    const fn bad(issue: &'static str, says: &'static str) -> Self {
        Self { status: 400, code: "REC_BAD_REQUEST", issue, says }
    }

    /// Something is missing.
    pub const fn required(says: &'static str) -> Self {
        Self::bad("required", says)
    }

    /// Something is there and cannot be.
    pub const fn value(says: &'static str) -> Self {
        Self::bad("value", says)
    }

    /// Bytes that are no message.
    pub const fn structure(says: &'static str) -> Self {
        Self::bad("structure", says)
    }

    /// Parts that contradict one another.
    pub const fn invariant(says: &'static str) -> Self {
        Self::bad("invariant", says)
    }

    /// A message that this receiver does not take.
    pub const fn not_supported(says: &'static str) -> Self {
        Self { status: 422, code: "REC_UNPROCESSABLE_ENTITY", issue: "not-supported", says }
    }

    /// What is asked makes sense, and cannot be done.
    pub const fn unprocessable(says: &'static str) -> Self {
        Self { status: 422, code: "REC_UNPROCESSABLE_ENTITY", issue: "business-rule", says }
    }

    /// More is asked than is answered at once.
    pub const fn too_costly(says: &'static str) -> Self {
        Self { status: 422, code: "REC_UNPROCESSABLE_ENTITY", issue: "too-costly", says }
    }

    /// A message beyond this receiver's limits.
    pub const fn too_long(says: &'static str) -> Self {
        Self { status: 422, code: "REC_UNPROCESSABLE_ENTITY", issue: "too-long", says }
    }

    /// An answer in this form is not to be had.
    pub const fn not_acceptable(says: &'static str) -> Self {
        Self { status: 406, code: "REC_NOT_ACCEPTABLE", issue: "processing", says }
    }

    /// There is nothing at this address.
    pub const fn not_found(says: &'static str) -> Self {
        Self { status: 404, code: "REC_NOT_FOUND", issue: "not-found", says }
    }

    /// This method is for other addresses. The standard names it among senders' faults alone.
    pub const fn method(says: &'static str) -> Self {
        Self { status: 405, code: "SEND_METHOD_NOT_ALLOWED", issue: "not-supported", says }
    }

    /// The standard has it, this receiver has not.
    pub const fn not_implemented(says: &'static str) -> Self {
        Self { status: 501, code: "REC_NOT_IMPLEMENTED", issue: "not-supported", says }
    }

    /// The request did not come to its end in time.
    pub const fn timeout(says: &'static str) -> Self {
        Self { status: 408, code: "REC_TIMEOUT", issue: "timeout", says }
    }

    /// Taken already.
    pub const fn duplicate(says: &'static str) -> Self {
        Self { status: 409, code: "REC_CONFLICT", issue: "duplicate", says }
    }

    /// Something newer, or something else of the same name, was taken already.
    pub const fn conflict(says: &'static str) -> Self {
        Self { status: 409, code: "REC_CONFLICT", issue: "conflict", says }
    }

    /// More at once than is taken. The standard names it among senders' faults alone.
    pub const fn throttled(says: &'static str) -> Self {
        Self { status: 429, code: "SEND_TOO_MANY_REQUESTS", issue: "throttled", says }
    }

    /// The receiver is at fault for now.
    pub const fn unavailable(says: &'static str) -> Self {
        Self { status: 503, code: "REC_SERVICE_UNAVAILABLE", issue: "transient", says }
    }

    /// Whether the same request may succeed later.
    pub const fn is_temporary(self) -> bool {
        matches!(self.status, 408 | 429 | 503)
    }

    /// The answer. `about` is what the request was known by.
    pub fn outcome(self, about: &str) -> Value {
        json!({
            "resourceType": "OperationOutcome",
            "id": derived(&["outcome", self.says, about]),
            "meta": { "profile": [PROFILE] },
            "issue": [{
                "severity": "error",
                "code": self.issue,
                "details": { "coding": [{ "system": CODES, "code": self.code }] },
                "diagnostics": self.says,
            }],
        })
    }
}

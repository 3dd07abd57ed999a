//! The headers that the proxy and the sender set (BaRS API 1.4.0, header parameters).

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use super::{Refusal, SERVICE_ID, id::is_uuid};

/// Headers that are given back as they came, if they are UUIDs.
pub const HEADERS_MIRRORED: [&str; 2] = ["x-request-id", "x-correlation-id"];
/// The longest header read, in bytes. Each describes one service, organisation, person or program.
const HEADER_BYTES_MAX: usize = 8 << 10;
/// Proxies differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the headers say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// The service that the request is for: an id in the Directory of Services.
    pub service: String,
    /// The organisation that asks, by the code it gives itself: its proxy says who it is.
    pub organisation: String,
}

/// Reads and checks the headers; `header` looks one up by its name in lower case. `use-context` is for the proxy's
/// statistics, and is not looked at.
///
/// # Errors
/// The first rule that they break.
pub fn heard<'a>(header: impl Fn(&str) -> Option<&'a str>, services: &[String]) -> Result<Heard, Refusal> {
    if header("x-request-id").is_none() || header("x-correlation-id").is_none() {
        return Err(Refusal::required("X-Request-Id or X-Correlation-Id is missing"));
    }
    if !HEADERS_MIRRORED.into_iter().all(|name| header(name).is_some_and(is_uuid)) {
        return Err(Refusal::value("X-Request-Id or X-Correlation-Id is not a UUID"));
    }
    let target = header("nhsd-target-identifier");
    let target = target.ok_or(Refusal::required("NHSD-Target-Identifier is missing"))?;
    let target =
        object(target).ok_or(Refusal::value("NHSD-Target-Identifier is not base64 of a JSON object"))?;
    let part = |name| target.get(name).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    if part("system") != SERVICE_ID || part("value").is_empty() {
        return Err(Refusal::value("NHSD-Target-Identifier names no service of the Directory of Services"));
    }
    if !services.iter().any(|ours| ours == part("value")) {
        return Err(Refusal::not_found("NHSD-Target-Identifier names a service that is not here"));
    }
    let organisation = described(header("nhsd-end-user-organisation"), &["Organization"], END_USER)?;
    described(header("nhsd-requesting-software"), &["Device"], SOFTWARE)?;
    if let Some(practitioner) = header("nhsd-requesting-practitioner") {
        described(Some(practitioner), &["PractitionerRole", "Practitioner"], PRACTITIONER)?;
    }
    Ok(Heard { service: part("value").to_owned(), organisation })
}

/// Whether an answer in FHIR JSON of this major version is one the client takes; a client that does not say takes any.
pub fn is_acceptable(accept: Option<&str>) -> bool {
    let Some(accept) = accept.filter(|text| !text.trim().is_empty()) else { return true };
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_ours =
            matches!(name.as_str(), "*/*" | "application/*" | "application/json" | "application/fhir+json");
        let version = |part: &str| part.strip_prefix("version=").map(|it| it.trim_matches('"').to_owned());
        is_ours && parts.find_map(version).is_none_or(|version| version == "1" || version.starts_with("1."))
    })
}

/// Missing, and present without sense.
type Words = [&'static str; 2];
const END_USER: Words = [
    "NHSD-End-User-Organisation is missing",
    "NHSD-End-User-Organisation is not base64 of an Organization with an identifier",
];
const SOFTWARE: Words = [
    "NHSD-Requesting-Software is missing",
    "NHSD-Requesting-Software is not base64 of a Device with an identifier",
];
const PRACTITIONER: Words = [
    "NHSD-Requesting-Practitioner is missing",
    "NHSD-Requesting-Practitioner is not base64 of a PractitionerRole with an identifier",
];

/// The identifier of a resource that says who asks.
fn described(header: Option<&str>, kinds: &[&str], [missing, wrong]: Words) -> Result<String, Refusal> {
    let resource = object(header.ok_or(Refusal::required(missing))?).ok_or(Refusal::value(wrong))?;
    let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let identifier = resource.get("identifier").and_then(|one| value_of(one).or_else(|| value_of(&one[0])));
    let identifier = identifier.filter(|_| kinds.contains(&kind));
    identifier.map(str::to_owned).ok_or(Refusal::value(wrong))
}

fn value_of(identifier: &Value) -> Option<&str> {
    let value = identifier.get("value").and_then(Value::as_str);
    value.map(str::trim).filter(|value| !value.is_empty())
}

fn object(header: &str) -> Option<Value> {
    let text = header.trim();
    let bytes = if text.len() <= HEADER_BYTES_MAX { BASE64.decode(text).ok()? } else { return None };
    serde_json::from_slice(&bytes).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn encoded(value: &Value) -> String {
        BASE64.encode(value.to_string())
    }

    fn good() -> Vec<(&'static str, String)> {
        let who =
            |kind: &str| encoded(&json!({ "resourceType": kind, "identifier": [{ "value": "RX701" }] }));
        vec![
            ("x-request-id", "c1ab3fba-6bae-4ba4-b257-5a87c44d4a91".to_owned()),
            ("x-correlation-id", "9562466f-c982-4bd5-bb0e-255e9f5e6689".to_owned()),
            ("nhsd-target-identifier", encoded(&json!({ "system": SERVICE_ID, "value": "2000011147" }))),
            ("nhsd-end-user-organisation", who("Organization")),
            ("nhsd-requesting-software", who("Device")),
            ("nhsd-requesting-practitioner", who("PractitionerRole")),
            ("use-context", "nonsense".to_owned()),
        ]
    }

    fn said(headers: &[(&str, String)]) -> Result<Heard, Refusal> {
        let found =
            |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        heard(found, &["2000011147".to_owned()])
    }

    #[test]
    fn each_header_is_checked_and_the_practitioner_may_be_absent() {
        let expected = Heard { service: "2000011147".to_owned(), organisation: "RX701".to_owned() };
        assert_eq!(said(&good()), Ok(expected));
        for (place, (name, _)) in good().into_iter().enumerate() {
            let mut headers = good();
            headers.remove(place);
            let expected = !matches!(name, "nhsd-requesting-practitioner" | "use-context");
            let found = said(&headers).err().map(|refusal| (refusal.status, refusal.issue));
            assert_eq!(found, expected.then_some((400, "required")), "{name}");
            for nonsense in ["", "%", "bm8ganNvbg", "e30", "W10", &"A".repeat(9000)] {
                let mut headers = good();
                headers[place].1 = nonsense.to_owned();
                let found = said(&headers).err().map(|refusal| (refusal.status, refusal.issue));
                assert_eq!(found, (name != "use-context").then_some((400, "value")), "{name}: {nonsense}");
            }
        }
    }

    #[test]
    fn another_service_is_not_found_here() {
        let mut headers = good();
        headers[2].1 = encoded(&json!({ "system": SERVICE_ID, "value": "1" }));
        assert_eq!(said(&headers).unwrap_err().status, 404);
        headers[2].1 = encoded(&json!({ "system": "urn:x", "value": "2000011147" }));
        assert_eq!(said(&headers).unwrap_err().issue, "value");
    }

    #[test]
    fn answers_are_json_of_the_first_version() {
        for good in [
            None,
            Some(""),
            Some("*/*"),
            Some("application/fhir+json; version=1.4.0"),
            Some("text/html, application/json"),
        ] {
            assert!(is_acceptable(good), "{good:?}");
        }
        for bad in ["application/fhir+xml", "application/fhir+json;version=2.0.0", "text/html"] {
            assert!(!is_acceptable(Some(bad)), "{bad}");
        }
    }
}

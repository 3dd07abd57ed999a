//! What is checked of every request before it is looked at: path, headers and token.

use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    codec::fhir::{self, Element, Format, names},
    domain::time::Timestamp,
    systems::gp_connect::{Interaction, fault::Fault, token},
};

use super::{Provider, complaint::Complaint};

/// Trace ids are remembered up to here, then forgotten all at once.
const TRACES_MAX: usize = 10_000;

/// A request that may be looked at.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) interaction: Interaction,
    /// Path below the base, split at slashes and decoded.
    pub(super) path: Vec<String>,
    /// Decoded names and values, in order.
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// What `If-Match` holds.
    pub(super) version: Option<String>,
}

impl Asked {
    /// The values of a query parameter.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

pub(super) fn request(
    provider: &Provider,
    request: &Request<Bytes>,
    now: Timestamp,
) -> Result<Asked, Complaint> {
    let uri = request.uri();
    let below = below_base(provider, uri.path())
        .ok_or_else(|| Complaint::of(Fault::NoRecordFound, "no such address"))?;
    let path: Vec<String> = below.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
    let headers = request.headers();
    let interaction = interaction(request.method().as_str(), &path, header(headers, "Ssp-InteractionID")?)?;
    proxy_headers(provider, headers)?;
    media_types(request)?;
    let claims = token::read(bearer(headers)?).map_err(bad)?;
    check_token(provider, &claims, interaction, now).map_err(bad)?;
    let query = uri.query().unwrap_or_default();
    let body = if request.body().is_empty() {
        Value::Null
    } else {
        fhir::read(request.body())
            .map_err(|error| Complaint::of(Fault::InvalidResource, error.to_string()))?
    };
    Ok(Asked {
        interaction,
        path,
        query: query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect(),
        body,
        version: headers.get("If-Match").and_then(|value| value.to_str().ok()).map(str::to_owned),
    })
}

fn below_base<'a>(provider: &Provider, path: &'a str) -> Option<&'a str> {
    // The proxy's path holds the whole address of the practice.
    let bases = [provider.records_base(), provider.base()];
    bases.iter().find_map(|base| Some(path.split_once(base.as_str())?.1))
}

fn interaction(method: &str, path: &[String], named: &str) -> Result<Interaction, Complaint> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let possible: &[Interaction] = match (method, path.as_slice()) {
        ("GET", ["metadata"]) => &[Interaction::Capabilities],
        ("GET", ["Patient"]) => &[Interaction::FindPatient],
        ("POST", ["Patient", "$gpc.registerpatient"]) => &[Interaction::RegisterPatient],
        ("POST", ["Patient", "$gpc.getstructuredrecord"]) => &[Interaction::StructuredRecord],
        ("GET", ["Slot"]) => &[Interaction::FreeSlots],
        ("POST", ["Appointment"]) => &[Interaction::Book],
        ("GET", ["Patient", _, "Appointment"]) => &[Interaction::PatientAppointments],
        ("GET", ["Appointment", _]) => &[Interaction::ReadAppointment],
        ("PUT", ["Appointment", _]) => &[Interaction::Amend, Interaction::Cancel],
        ("GET" | "POST" | "PUT", _) => {
            return Err(Complaint::of(Fault::NotImplemented, "no such operation here"));
        }
        _ => return Err(Complaint::of_proxy(405, "not-supported", "no such method here")),
    };
    let found = possible.iter().find(|one| one.id() == named);
    found.copied().ok_or_else(|| bad("the interaction id is not that of this request"))
}

fn proxy_headers(provider: &Provider, headers: &HeaderMap) -> Result<(), Complaint> {
    let trace = header(headers, "Ssp-TraceID")?;
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = trace.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    if lengths != [8, 4, 4, 4, 12] || !parts.iter().all(|part| hex(part)) {
        return Err(bad("the trace id is no UUID"));
    }
    let mut state = provider.state();
    if TRACES_MAX < state.traces.len() {
        state.traces.clear();
    }
    if !state.traces.insert(trace.to_owned()) {
        return Err(bad("the trace id was used before"));
    }
    let from = header(headers, "Ssp-From")?;
    let is_asid = from.len() == 12 && from.bytes().all(|byte| byte.is_ascii_digit());
    if !is_asid || header(headers, "Ssp-To")? != provider.options.asid {
        return Err(Complaint::of_proxy(403, "forbidden", "ASID_CHECK_FAILED"));
    }
    Ok(())
}

fn media_types(request: &Request<Bytes>) -> Result<(), Complaint> {
    let known = |text: &str| Format::of_media_type(text).is_some();
    let unsupported = || Complaint::of_proxy(415, "not-supported", "no such media type here");
    if !known(header(request.headers(), "Accept")?) {
        return Err(unsupported());
    }
    if !request.body().is_empty() && !known(header(request.headers(), "Content-Type")?) {
        return Err(unsupported());
    }
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Result<&str, Complaint> {
    header(headers, "Authorization")?.strip_prefix("Bearer ").ok_or_else(|| bad("no bearer token"))
}

fn check_token(
    provider: &Provider,
    claims: &Value,
    interaction: Interaction,
    now: Timestamp,
) -> Result<(), &'static str> {
    let claims = Element::of(claims);
    let seconds = |name: &str| claims.get(name).value().as_u64().ok_or("a token's times are numbers");
    let (issued, expires) = (seconds("iat")?, seconds("exp")?);
    if expires != issued + token::LIFE_SECONDS {
        return Err("a token is good for five minutes");
    }
    if expires <= now.unix_seconds() {
        return Err("the token has expired");
    }
    let audience = claims.text_of("aud").ok_or("the token has no audience")?;
    if ![provider.base(), provider.records_base()].iter().any(|base| audience.ends_with(base.as_str())) {
        return Err("the token is for another audience");
    }
    if !claims.text_of("iss").is_some_and(|iss| iss.starts_with("https://")) {
        return Err("the token's issuer is no address");
    }
    if claims.text_of("reason_for_request") != Some("directcare") {
        return Err("the token's reason is not direct care");
    }
    if claims.text_of("requested_scope") != Some(interaction.scope()) {
        return Err("the token's scope is not that of this request");
    }
    check_requester(claims)
}

fn check_requester(claims: Element<'_>) -> Result<(), &'static str> {
    let [device, organisation, practitioner] =
        ["requesting_device", "requesting_organization", "requesting_practitioner"]
            .map(|name| claims.get(name));
    let identified = |element: Element<'_>, system: &str| {
        element
            .each("identifier")
            .any(|one| one.text_of("system") == Some(system) && one.text_of("value").is_some())
    };
    let typed = |element: Element<'_>, name: &str| element.text_of("resourceType") == Some(name);
    if !typed(device, "Device") || device.text_of("model").is_none() || device.text_of("version").is_none() {
        return Err("the requesting device is incomplete");
    }
    if !typed(organisation, "Organization")
        || organisation.text_of("name").is_none()
        || !identified(organisation, names::ODS_CODE)
    {
        return Err("the requesting organisation is incomplete");
    }
    let known =
        [names::SDS_USER_ID, names::SDS_ROLE_PROFILE_ID].iter().all(|one| identified(practitioner, one));
    let named = practitioner.at(&["name", "family"]).text().is_some();
    if !typed(practitioner, "Practitioner") || !known || !named {
        return Err("the requesting practitioner is incomplete");
    }
    let subject = claims.text_of("sub");
    if subject.is_none() || subject != practitioner.text_of("id") {
        return Err("the token's subject is not its practitioner");
    }
    Ok(())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Complaint> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let value = value.filter(|value| !value.is_empty());
    value.ok_or_else(|| bad(&format!("the header {name} is missing")))
}

fn bad(why: &str) -> Complaint {
    Complaint::of(Fault::BadRequest, why)
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), decoded(value))
}

/// Undoes percent-encoding; what is not encoded rightly stays as it is.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.extend(before.bytes());
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(b'%');
                rest = after;
            }
        }
    }
    out.extend(rest.bytes());
    String::from_utf8_lossy(&out).into_owned()
}

//! One HTTP question to an address that is known only when it is asked, on a connection of its own.

use bytes::Bytes;
use hyper::{
    Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};

use super::{
    http::{HttpClient, HttpError, HttpLimits, HttpUrl},
    tls::ClientTls,
};

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// URL-encoded fields to be posted; without them the address is read.
    pub form: Option<String>,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All of the body.
    pub body: Bytes,
}

/// Asks for JSON; follows no redirection.
///
/// # Errors
/// See [`HttpError`]; an address that is none counts as one that cannot be reached.
pub async fn ask(
    address: &str,
    tls: Option<ClientTls>,
    limits: HttpLimits,
    question: Question,
) -> Result<Answer, HttpError> {
    let unusable = |reason: &str| HttpError::NotConnected("the address".to_owned(), reason.to_owned());
    let host = address.find("://").and_then(|at| address.get(at + 3..)).unwrap_or_default();
    let path = host.find(['/', '?']).map_or("", |at| host.get(at..).unwrap_or_default());
    let origin = address.strip_suffix(path).unwrap_or(address);
    let url = HttpUrl::parse(origin).map_err(|error| unusable(&error.to_string()))?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut request = match question.form {
        None => Request::get(path).body(Bytes::new()),
        Some(form) => Request::post(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form)),
    }
    .map_err(|_| unusable("it cannot be used"))?;
    request.headers_mut().insert(ACCEPT, hyper::header::HeaderValue::from_static("application/json"));
    if let Some(authorization) = question.authorization {
        let mut value = hyper::header::HeaderValue::try_from(authorization)
            .map_err(|_| unusable("its credential cannot be sent"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let answer = HttpClient::new(url, tls, limits).send(request).await?;
    Ok(Answer { status: answer.status().as_u16(), body: answer.into_body() })
}

//! Whether a form was sent by one of our own pages, as the browser says: checked besides the session's own token,
//! and alone where there is no session.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// True if the browser says that the page which sent the request came from this very address.
///
/// A name is trusted only if it is in `names`: with a name of their own that resolves to this hub (DNS
/// rebinding), strangers would pass as well.
pub(super) fn is_own(headers: &HeaderMap, names: &[String]) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(host), Some(origin)) = (text(&header::HOST), text(&header::ORIGIN)) else { return false };
    let Some((scheme, origin_host)) = origin.split_once("://") else { return false };
    matches!(scheme, "http" | "https")
        && origin_host.eq_ignore_ascii_case(host)
        && text(&FETCH_SITE).is_none_or(|site| site == "same-origin")
        && is_trusted(host, names)
}

fn is_trusted(host: &str, names: &[String]) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    name.eq_ignore_ascii_case("localhost") || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(host: &str, origin: &str, site: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        if let Some(site) = site {
            headers.insert(FETCH_SITE, site.parse().unwrap());
        }
        is_own(&headers, &["hub.example".to_owned()])
    }

    #[test]
    fn our_own_pages_pass() {
        assert!(own("127.0.0.1:8080", "http://127.0.0.1:8080", None));
        assert!(own("[::1]:8080", "http://[::1]:8080", Some("same-origin")));
        assert!(own("192.0.2.1", "https://192.0.2.1", Some("same-origin")));
        assert!(own("localhost:8080", "http://localhost:8080", None));
        assert!(own("hub.example", "https://Hub.example", None));
    }

    #[test]
    fn strangers_do_not() {
        assert!(!own("127.0.0.1:8080", "http://evil.example", None));
        assert!(!own("127.0.0.1:8080", "http://127.0.0.1:8081", None));
        assert!(!own("127.0.0.1:8080", "null", None));
        assert!(!own("127.0.0.1:8080", "http://127.0.0.1:8080", Some("cross-site")));
        assert!(!own("127.0.0.1:8080", "http://127.0.0.1:8080", Some("same-site")));
        // A stranger's name that resolves to this hub.
        assert!(!own("rebound.example:8080", "http://rebound.example:8080", Some("same-origin")));
        assert!(!is_own(&HeaderMap::new(), &[]));
    }
}

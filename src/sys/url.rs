//! A broker's address: `mqtts://host:port`, or `mqtt://` on loopback for tests.

use std::{fmt, net::IpAddr};

/// Where a broker is, and whether TLS protects the way to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BrokerUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// The text is no broker's address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Another scheme, no host, or no port in range.
    #[error("a broker is written mqtts://host:port")]
    Malformed,
    /// Unencrypted, and not on this machine.
    #[error("without TLS only a broker on loopback is allowed: write mqtts://")]
    Unprotected,
}

impl BrokerUrl {
    /// Reads a broker's address. The port is 8883 with TLS and 1883 without, unless given.
    ///
    /// # Errors
    /// See [`BrokerUrlError`].
    pub fn parse(text: &str) -> Result<Self, BrokerUrlError> {
        let (tls, rest) = match (text.strip_prefix("mqtts://"), text.strip_prefix("mqtt://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(BrokerUrlError::Malformed),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| BrokerUrlError::Malformed)?)
            }
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if host.is_empty() || !host.bytes().all(legal) || port == 0 {
            return Err(BrokerUrlError::Malformed);
        }
        let url = Self { host: host.to_owned(), port, tls };
        if !tls && !url.is_loopback() {
            return Err(BrokerUrlError::Unprotected);
        }
        Ok(url)
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_addresses_and_ports() {
        for (text, shown) in [
            ("mqtts://broker.example:8884", "mqtts://broker.example:8884"),
            ("mqtts://broker.example", "mqtts://broker.example:8883"),
            ("mqtts://[::1]:9", "mqtts://[::1]:9"),
            ("mqtts://[::1]", "mqtts://[::1]:8883"),
            ("mqtt://127.0.0.1:1/", "mqtt://127.0.0.1:1"),
            ("mqtt://localhost", "mqtt://localhost:1883"),
        ] {
            assert_eq!(BrokerUrl::parse(text).map(|url| url.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_malformed_or_unprotected() {
        for text in
            ["", "broker:8883", "https://b:1", "mqtts://", "mqtts://b:0", "mqtts://b:x", "mqtts://a b:1"]
        {
            assert_eq!(BrokerUrl::parse(text), Err(BrokerUrlError::Malformed), "{text}");
        }
        assert_eq!(BrokerUrl::parse("mqtt://10.0.0.1:1883"), Err(BrokerUrlError::Unprotected));
    }
}

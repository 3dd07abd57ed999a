//! The centre's configuration, `polycentre.toml`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    ConfigError,
    file::{File, read},
    place,
};

/// The centre's configuration, `polycentre.toml`.
#[derive(Clone, Debug)]
pub struct CentreConfig {
    /// How it reaches the broker.
    pub broker: BrokerSection,
    /// Where it keeps what hubs send.
    pub store: StoreSection,
    /// Its web pages, if it serves any.
    pub console: Option<ConsoleSection>,
}

/// `[broker]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// `mqtts://host:port`; `mqtt://` on loopback only.
    pub url: String,
    /// Certificates of the authorities that may have signed the broker's, as PEM.
    #[serde(default)]
    pub ca: PathBuf,
    /// The centre's certificate, as PEM; its common name is `centre`.
    #[serde(default)]
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    #[serde(default)]
    pub key: PathBuf,
    /// A certificate revocation list, as PEM.
    pub crl: Option<PathBuf>,
    /// How many workers share the hubs' messages.
    #[serde(default = "default_workers")]
    pub workers: usize,
}

/// `[store]`: exactly one of the two.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// `postgres://user@host/database`.
    pub postgres: Option<String>,
    /// A folder for the embedded store.
    pub embedded: Option<PathBuf>,
}

/// `[console]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Where to listen.
    pub listen: SocketAddr,
}

impl CentreConfig {
    /// Reads `polycentre.toml`.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let mut file = File::parse(path, &text);
        let config = Self::from_file(&mut file);
        file.finish(config)
    }

    fn from_file(file: &mut File<'_>) -> Option<Self> {
        let broker: Option<BrokerSection> = file.section("broker", true);
        let store: Option<StoreSection> = file.section("store", true);
        let console: Option<ConsoleSection> = file.section("console", false);
        file.refuse_the_rest();
        let (mut broker, mut store) = (broker?, store?);
        file.check_broker("broker", "url", &broker.url);
        if store.postgres.is_some() == store.embedded.is_some() {
            file.fault(
                "store",
                "postgres",
                "give exactly one of postgres = \"postgres://…\" and embedded = \"DIR\"",
            );
        }
        if !(1..=64).contains(&broker.workers) {
            file.fault("broker", "workers", "1 to 64 workers");
        }
        if let Some(console) = &console
            && !console.listen.ip().is_loopback()
        {
            file.fault(
                "console",
                "listen",
                "the console has no sign-in yet: loopback only, behind a proxy that has",
            );
        }
        let beside = file.directory();
        place(&beside, [&mut broker.ca, &mut broker.certificate, &mut broker.key]);
        place(&beside, broker.crl.iter_mut().chain(&mut store.embedded));
        Some(Self { broker, store, console })
    }
}

const fn default_workers() -> usize {
    2
}

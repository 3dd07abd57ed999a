//! Configuration: TOML in, checked values out. Every fault is named with its line and column; a value that
//! exists is legal.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, de::DeserializeOwned};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::domain::ids::HubId;

/// A configuration file is a page or two.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A hub's configuration, `polygate.toml`.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Who the hub is and where it keeps its state.
    pub hub: HubSection,
    /// How it reaches the centre.
    pub centre: CentreSection,
    /// Its web pages, if it serves any.
    pub portal: Option<PortalSection>,
    /// How the journal uses the disk.
    pub journal: JournalSection,
    /// RiO systems.
    pub rio: Vec<Hl7Section>,
    /// Hospital systems.
    pub secondary_care: Vec<Hl7Section>,
    /// Links that are configured and that this version cannot serve: kind and name.
    pub unsupported: Vec<(String, String)>,
}

/// `[hub]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubSection {
    /// Equals the certificate's common name.
    pub id: HubId,
    /// The ODS code of the hub's site.
    pub ods: String,
    /// The name people use.
    pub name: String,
    /// Where everything durable is kept.
    #[serde(default = "default_state")]
    pub state: PathBuf,
}

/// `[centre]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CentreSection {
    /// `mqtts://host:port`; `mqtt://` on loopback only.
    pub broker: String,
    /// Certificates of the authorities that may have signed the broker's, as PEM.
    #[serde(default)]
    pub ca: PathBuf,
    /// The hub's certificate, as PEM.
    #[serde(default)]
    pub certificate: PathBuf,
    /// The certificate's private key, as PEM.
    #[serde(default)]
    pub key: PathBuf,
    /// A certificate revocation list, as PEM; enforced, its end of life included.
    pub crl: Option<PathBuf>,
    /// The longest wait between two attempts to connect.
    #[serde(rename = "reconnect-max-seconds", default = "default_reconnect")]
    pub reconnect_max_seconds: u64,
}

/// `[portal]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalSection {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The portal's certificate, as PEM. Without one it speaks plain HTTP, on loopback only.
    pub certificate: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    pub key: Option<PathBuf>,
}

/// `[journal]`: how the journal uses the disk.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct JournalSection {
    /// What the journal may take altogether.
    pub capacity_mib: u64,
    /// How much of what the centre has confirmed is kept for rebuilding the record view.
    pub retain_mib: u64,
    /// Free space of the file system that the journal leaves alone.
    pub floor_mib: u64,
    /// Space set aside to be given back when the disk is full.
    pub ballast_mib: u64,
}

impl Default for JournalSection {
    fn default() -> Self {
        Self { capacity_mib: 8192, retain_mib: 1024, floor_mib: 128, ballast_mib: 64 }
    }
}

/// `[[rio]]` and `[[secondary-care]]`: HL7 v2 over MLLP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hl7Section {
    /// The link's name: `a-z`, `0-9`, `-`.
    pub name: HubId,
    /// Where to listen for its messages.
    pub listen: SocketAddr,
    /// TLS for the listener.
    pub tls: Option<TlsSection>,
    /// Where the system takes messages from us.
    pub deliver: Option<String>,
    /// The largest message taken.
    #[serde(default = "default_message_mib")]
    pub message_max_mib: u64,
    /// Connections served at once; more are turned away.
    #[serde(default = "default_connections")]
    pub connections_max: usize,
    /// A connection that says nothing for this long is closed.
    #[serde(default = "default_idle")]
    pub idle_seconds: u64,
    /// A sender that does not take its acknowledgement for this long is cut off.
    #[serde(default = "default_write")]
    pub write_seconds: u64,
}

impl Hl7Section {
    /// [`Hl7Section::idle_seconds`].
    pub const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    /// [`Hl7Section::write_seconds`].
    pub const fn write(&self) -> Duration {
        Duration::from_secs(self.write_seconds)
    }
}

/// `tls = { … }` of a listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSection {
    /// The listener's certificate, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// With this, senders must show a certificate that one of these authorities signed.
    pub client_ca: Option<PathBuf>,
}

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

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/polygate")
}

const fn default_message_mib() -> u64 {
    16
}

const fn default_connections() -> usize {
    256
}

const fn default_idle() -> u64 {
    600
}

const fn default_write() -> u64 {
    30
}

const fn default_reconnect() -> u64 {
    300
}

const fn default_workers() -> usize {
    2
}

/// A `polygate.toml` to begin with: every key explained, what is optional commented out.
pub fn template(hub: &HubId) -> String {
    include_str!("config/polygate.toml").replace("HUB-ID", hub.as_str())
}

/// What is wrong with a configuration file: every fault that could be found.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It can be read, and is wrong.
    #[error("{}", lines(.0))]
    Faults(Vec<Fault>),
}

/// One fault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.reason)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}

impl HubConfig {
    /// Reads `polygate.toml`.
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
        let hub: Option<HubSection> = file.section("hub", true);
        let centre: Option<CentreSection> = file.section("centre", true);
        let portal: Option<PortalSection> = file.section("portal", false);
        let journal: Option<JournalSection> = file.section("journal", false);
        let rio: Vec<Hl7Section> = file.list("rio");
        let secondary_care: Vec<Hl7Section> = file.list("secondary-care");
        let mut unsupported = Vec::new();
        for kind in ["emis", "vision", "adastra", "analyser"] {
            let named: Vec<OtherSection> = file.list(kind);
            unsupported.extend(named.into_iter().map(|other| (kind.to_owned(), other.name)));
        }
        file.refuse_the_rest();
        let (mut hub, mut centre, mut portal) = (hub?, centre?, portal);
        let journal = journal.unwrap_or_default();
        file.check_broker("centre", "broker", &centre.broker);
        if let Some(portal) = &portal {
            let secured = portal.certificate.is_some() && portal.key.is_some();
            if portal.certificate.is_some() != portal.key.is_some() {
                file.fault("portal", "listen", "certificate and key belong together: give both or neither");
            } else if !secured && !portal.listen.ip().is_loopback() {
                file.fault("portal", "listen", "other than on loopback the portal needs certificate and key");
            }
        }
        if centre.reconnect_max_seconds == 0 {
            file.fault("centre", "reconnect-max-seconds", "at least 1 s, or the hub would never pause");
        }
        if journal.capacity_mib < 64 {
            file.fault("journal", "capacity-mib", "the journal needs at least 64 MiB");
        }
        check_names(file, &rio, &secondary_care);
        let beside = file.directory();
        hub.state = beside.join(&hub.state);
        for path in
            [&mut centre.ca, &mut centre.certificate, &mut centre.key].into_iter().chain(&mut centre.crl)
        {
            *path = beside.join(&*path);
        }
        if let Some(portal) = &mut portal {
            portal.certificate.iter_mut().chain(&mut portal.key).for_each(|path| *path = beside.join(&*path));
        }
        let place = |mut section: Hl7Section| {
            if let Some(tls) = &mut section.tls {
                let optional = tls.client_ca.iter_mut();
                for path in [&mut tls.certificate, &mut tls.key].into_iter().chain(optional) {
                    *path = beside.join(&*path);
                }
            }
            section
        };
        let rio = rio.into_iter().map(place).collect();
        let secondary_care = secondary_care.into_iter().map(place).collect();
        Some(Self { hub, centre, portal, journal, rio, secondary_care, unsupported })
    }
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
        for path in
            [&mut broker.ca, &mut broker.certificate, &mut broker.key].into_iter().chain(&mut broker.crl)
        {
            *path = beside.join(&*path);
        }
        store.embedded.iter_mut().for_each(|path| *path = beside.join(&*path));
        Some(Self { broker, store, console })
    }
}

/// A link that is spelt out in full by a later version.
#[derive(Debug, Deserialize)]
struct OtherSection {
    name: String,
}

fn check_names(file: &mut File<'_>, rio: &[Hl7Section], secondary_care: &[Hl7Section]) {
    let all: Vec<(&str, &Hl7Section)> = rio
        .iter()
        .map(|section| ("rio", section))
        .chain(secondary_care.iter().map(|s| ("secondary-care", s)))
        .collect();
    for (place, (kind, section)) in all.iter().enumerate() {
        let before = all.get(..place).unwrap_or_default();
        if before.iter().any(|(_, other)| other.name == section.name) {
            file.fault(kind, "name", &format!("two links are called \"{}\"", section.name));
        }
        let clash =
            section.listen.port() != 0 && before.iter().any(|(_, other)| other.listen == section.listen);
        if clash {
            file.fault(kind, "listen", &format!("two links listen on {}", section.listen));
        }
        if !(1..=16).contains(&section.message_max_mib) {
            file.fault(kind, "message-max-mib", "1 to 16 MiB");
        }
        if !(1..=4096).contains(&section.connections_max) {
            file.fault(kind, "connections-max", "1 to 4096 connections");
        }
        if section.idle_seconds == 0 || section.write_seconds == 0 {
            file.fault(kind, "listen", "idle-seconds and write-seconds are at least 1");
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason| ConfigError::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if FILE_BYTES_MAX < length {
        return Err(unreadable(io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// A file being read: its sections, and the faults found so far.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
    /// Where each section stood, for faults that are found once its values are known.
    spans: Vec<(String, Spanned<DeValue<'a>>)>,
    faults: Vec<Fault>,
}

impl<'a> File<'a> {
    fn parse(path: &'a Path, text: &'a str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut file = Self { path, text, table: table.into_inner(), spans: Vec::new(), faults: Vec::new() };
        for error in &errors {
            file.fault_of(error, 0);
        }
        file
    }

    fn directory(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    fn section<T: DeserializeOwned>(&mut self, name: &str, required: bool) -> Option<T> {
        let Some(value) = self.table.remove(name) else {
            if required && self.faults.is_empty() {
                self.fault_at(0, format!("the section [{name}] is missing"));
            }
            return None;
        };
        self.value(name, value)
    }

    fn list<T: DeserializeOwned>(&mut self, name: &str) -> Vec<T> {
        let Some(value) = self.table.remove(name) else { return Vec::new() };
        let start = value.span().start;
        match value.into_inner() {
            DeValue::Array(items) => items.into_iter().filter_map(|item| self.value(name, item)).collect(),
            _ => {
                self.fault_at(start, format!("write [[{name}]] with two brackets: there may be several"));
                Vec::new()
            }
        }
    }

    fn value<T: DeserializeOwned>(&mut self, name: &str, value: Spanned<DeValue<'a>>) -> Option<T> {
        let start = value.span().start;
        self.spans.push((name.to_owned(), value.clone()));
        match T::deserialize(toml::de::ValueDeserializer::from(value)) {
            Ok(section) => Some(section),
            Err(error) => {
                self.fault_of(&error, start);
                None
            }
        }
    }

    fn refuse_the_rest(&mut self) {
        let unknown: Vec<(usize, String)> =
            self.table.keys().map(|key| (key.span().start, key.get_ref().to_string())).collect();
        for (start, key) in unknown {
            self.fault_at(start, format!("unknown section or key \"{key}\""));
        }
    }

    fn check_broker(&mut self, section: &str, key: &str, url: &str) {
        if let Err(reason) = crate::sys::url::BrokerUrl::parse(url) {
            self.fault(section, key, &reason.to_string());
        }
    }

    /// A fault in a value that reads well and means something illegal.
    fn fault(&mut self, section: &str, key: &str, reason: &str) {
        let place = self.spans.iter().rev().find(|(name, _)| name == section).map(|(_, value)| {
            let table = value.get_ref().as_table();
            let found = table.and_then(|table| table.get(key)).map(Spanned::span);
            found.unwrap_or_else(|| value.span()).start
        });
        self.fault_at(place.unwrap_or(0), format!("{section}.{key}: {reason}"));
    }

    fn fault_of(&mut self, error: &toml::de::Error, otherwise: usize) {
        let start = error.span().map_or(otherwise, |span| span.start);
        self.fault_at(start, error.message().replace('\n', " "));
    }

    fn fault_at(&mut self, offset: usize, reason: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.faults.push(Fault { file: self.path.to_owned(), line, column, reason });
    }

    fn finish<T>(mut self, config: Option<T>) -> Result<T, ConfigError> {
        self.faults.sort_by_key(|fault| (fault.line, fault.column));
        match config {
            Some(config) if self.faults.is_empty() => Ok(config),
            _ => Err(ConfigError::Faults(self.faults)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[hub]
id = "north"
ods = "5LC01"
name = "North polyclinic"
state = "state"

[centre]
broker = "mqtts://127.0.0.1:8883"
ca = "ca.pem"
certificate = "north.pem"
key = "/etc/north.key"

[[rio]]
name = "rio"
listen = "127.0.0.1:2575"

[[secondary-care]]
name = "pas"
listen = "127.0.0.1:2576"
tls = { certificate = "pas.pem", key = "pas.key" }

[[emis]]
name = "emis-marylebone"
ods = "E87001"
gp-connect = "https://127.0.0.1:9443/"
"#;

    fn load(text: &str) -> Result<HubConfig, Vec<String>> {
        let path = Path::new("/etc/polygate/polygate.toml");
        let mut file = File::parse(path, text);
        let config = HubConfig::from_file(&mut file);
        file.finish(config).map_err(|error| match error {
            ConfigError::Faults(faults) => faults.iter().map(Fault::to_string).collect(),
            other => vec![other.to_string()],
        })
    }

    #[test]
    fn the_template_is_legal_as_it_is_and_with_everything_switched_on() {
        let template = template(&"north".parse().unwrap());
        assert!(load(&template).is_ok(), "{:?}", load(&template));
        let all: String =
            template.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
        let config = load(&all).unwrap();
        assert_eq!((config.rio.len(), config.secondary_care.len(), config.unsupported.len()), (1, 1, 4));
    }

    #[test]
    fn paths_are_beside_the_file_and_defaults_are_filled_in() {
        let config = load(GOOD).unwrap();
        assert_eq!(config.hub.state, Path::new("/etc/polygate/state"));
        assert_eq!(config.centre.ca, Path::new("/etc/polygate/ca.pem"));
        assert_eq!(config.centre.key, Path::new("/etc/north.key"));
        let tls = config.secondary_care[0].tls.clone().unwrap();
        assert_eq!(tls.certificate, Path::new("/etc/polygate/pas.pem"));
        assert_eq!((config.rio[0].message_max_mib, config.journal.capacity_mib), (16, 8192));
        assert_eq!(config.unsupported, [("emis".to_owned(), "emis-marylebone".to_owned())]);
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        let text = GOOD
            .replace("id = \"north\"", "id = \"North/1\"")
            .replace("ca = \"ca.pem\"", "cafile = \"ca.pem\"")
            .replace("127.0.0.1:2575", "somewhere")
            + "[[pharmacy]]\nname = \"x\"\n";
        let faults = load(&text).unwrap_err();
        let places: Vec<&str> =
            faults.iter().map(|fault| fault.trim_start_matches("/etc/polygate/polygate.toml:")).collect();
        assert_eq!(places.len(), 4, "{places:#?}");
        assert!(places[0].starts_with("3:6: ") && places[0].contains("a-z"), "{}", places[0]);
        assert!(places[1].starts_with("10:1: ") && places[1].contains("cafile"), "{}", places[1]);
        assert!(places[2].starts_with("16:10: "), "{}", places[2]);
        assert!(places[3].contains("pharmacy"), "{}", places[3]);
    }

    #[test]
    fn what_reads_well_and_means_something_illegal_is_a_fault_too() {
        let cases = [
            ("mqtts://127.0.0.1:8883", "mqtt://broker.example:1883", "centre.broker"),
            ("mqtts://127.0.0.1:8883", "127.0.0.1", "centre.broker"),
            ("name = \"pas\"", "name = \"rio\"", "two links are called"),
            ("127.0.0.1:2576", "127.0.0.1:2575", "two links listen"),
            ("[[rio]]", "[portal]\nlisten = \"0.0.0.0:8443\"\n[[rio]]", "certificate and key"),
            ("[[rio]]", "[journal]\ncapacity-mib = 1\n[[rio]]", "at least 64"),
            ("[[rio]]", "[rio]", "two brackets"),
            ("[hub]", "[hub", "expected `]`"),
        ];
        for (from, to, expected) in cases {
            let faults = load(&GOOD.replace(from, to)).unwrap_err();
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{to}: {faults:#?}");
        }
        assert!(!load("").unwrap_err().is_empty());
    }
}

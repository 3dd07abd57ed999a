//! The sections of `polygate.toml` that name other systems: how they are reached, and what goes where.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use crate::domain::ids::HubId;

use super::place;

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
    /// Where the system takes messages from us, `host:port`.
    pub deliver: Option<String>,
    /// TLS towards it.
    pub deliver_tls: Option<ClientTlsSection>,
    /// What it is sent, besides what routes name.
    #[serde(default)]
    pub subscribe: Vec<Wanted>,
    /// The processing id (MSH-11) it may send: `P` for production, `T` or `D` on a link for trials.
    #[serde(default = "default_processing")]
    pub processing: char,
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

impl TlsSection {
    pub(super) fn place(&mut self, beside: &Path) {
        place(beside, [&mut self.certificate, &mut self.key].into_iter().chain(&mut self.client_ca));
    }
}

/// `tls = { … }` towards a system that we ask or deliver to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTlsSection {
    /// Certificates of the authorities that may have signed the system's, as PEM. Without it, those that the
    /// operating system trusts.
    pub ca: Option<PathBuf>,
    /// Our certificate, where the system wants one, as PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, as PEM.
    pub key: Option<PathBuf>,
}

impl ClientTlsSection {
    pub(super) fn place(&mut self, beside: &Path) {
        place(beside, self.ca.iter_mut().chain(&mut self.certificate).chain(&mut self.key));
    }
}

/// What a system may be sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// Results of laboratories and analysers.
    Results,
    /// Reports of urgent care and other letters.
    Letters,
    /// Who patients are: registrations, changes, merges.
    Demographics,
    /// Booked, moved, cancelled, missed.
    Appointments,
}

/// `[[emis]]` and `[[vision]]`: a practice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GpSection {
    /// The link's name.
    pub name: HubId,
    /// The practice's ODS code.
    pub ods: String,
    /// Its GP Connect base address.
    pub gp_connect: Option<String>,
    /// Its ASID in the Spine Directory Service, for `Ssp-To`.
    #[serde(default)]
    pub asid: String,
    /// The MESH mailbox where it takes reports and letters.
    pub mailbox: Option<String>,
    /// Its EDI code, for reports; its mailbox's name without one.
    pub edi: Option<String>,
    /// What is sent to that mailbox about patients registered there.
    #[serde(default = "default_receives")]
    pub receives: Vec<Wanted>,
}

/// `[gp-connect]`: who this hub is to GP Connect.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpConnectSection {
    /// This hub's ASID, for `Ssp-From`.
    #[serde(default)]
    pub asid: String,
    /// This hub's own address in the directory, `https://…`: the issuer of its tokens.
    pub issuer: Option<String>,
    /// A telephone number at which practices can ask about a booking.
    #[serde(default)]
    pub telephone: String,
    /// The Spine Secure Proxy, if calls go through it: each provider's address is put behind this one.
    pub proxy: Option<String>,
    /// TLS towards providers or the proxy.
    pub tls: Option<ClientTlsSection>,
}

/// `[mesh]`: this hub's MESH mailbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MeshSection {
    /// The MESH API, such as `https://mesh.example/messageexchange`.
    pub url: String,
    /// Our mailbox.
    pub mailbox: String,
    /// A file with the mailbox's password.
    pub password: PathBuf,
    /// A file with the environment's shared key.
    pub shared_key: PathBuf,
    /// Our EDI code, for reports; our mailbox's name without one.
    pub edi: Option<String>,
    /// Workflow ids that are taken, besides those of reports and out-of-hours letters.
    #[serde(default)]
    pub workflows: Vec<String>,
    /// How often to look for messages. NHS England asks for at most every five minutes.
    #[serde(default = "default_poll")]
    pub poll_seconds: u64,
    /// TLS towards it.
    pub tls: Option<ClientTlsSection>,
}

/// `[[adastra]]`: ITK over SOAP, and case exports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdastraSection {
    /// The link's name.
    pub name: HubId,
    /// Where to listen.
    pub listen: SocketAddr,
    /// TLS for the listener.
    pub tls: Option<TlsSection>,
    /// ODS codes and service ids that messages may be addressed to, besides the hub's own.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// What wsa:To may be; anything without this.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Whether wsse:Username and wsu:Timestamp may be missing: some senders leave them out, and are known by their
    /// certificate.
    #[serde(default)]
    pub security_optional: bool,
}

/// `[bars]`: bookings and referrals over BaRS, below `/fhir/r4`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarsSection {
    /// The services they may be for: ids in the Directory of Services.
    pub services: Vec<String>,
    /// A port of its own. Without one the portal serves it, which must then be on loopback: behind something that
    /// knows who asks.
    pub listen: Option<SocketAddr>,
    /// TLS for that port; other than on loopback with `client-ca`, so that the BaRS proxy shows who it is.
    pub tls: Option<TlsSection>,
}

/// `[[analyser]]`: exactly one of `device`, `listen` and `connect`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnalyserSection {
    /// The link's name.
    pub name: HubId,
    /// A serial device or pseudo-terminal.
    pub device: Option<PathBuf>,
    /// Where the analyser dials to.
    pub listen: Option<SocketAddr>,
    /// Where to dial it, `host:port`.
    pub connect: Option<String>,
    /// Bits a second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// 7 or 8.
    #[serde(default = "default_data_bits")]
    pub data_bits: u8,
    /// `none`, `odd` or `even`.
    #[serde(default = "default_parity")]
    pub parity: String,
    /// 1 or 2.
    #[serde(default = "default_stop_bits")]
    pub stop_bits: u8,
    /// What it speaks.
    #[serde(default)]
    pub protocol: AnalyserProtocol,
    /// Which physical device this must be; any other at the same name is not read.
    pub identity: Option<String>,
}

/// How an analyser is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnalyserPort<'a> {
    /// Over a serial line.
    Device(&'a Path),
    /// It dials us.
    Listen(SocketAddr),
    /// We dial it.
    Connect(&'a str),
}

impl AnalyserSection {
    /// How it is reached; none if that is not said, or said twice.
    pub fn port(&self) -> Option<AnalyserPort<'_>> {
        match (&self.device, self.listen, &self.connect) {
            (Some(device), None, None) => Some(AnalyserPort::Device(device)),
            (None, Some(listen), None) => Some(AnalyserPort::Listen(listen)),
            (None, None, Some(connect)) => Some(AnalyserPort::Connect(connect)),
            _ => None,
        }
    }
}

/// What an analyser speaks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum AnalyserProtocol {
    /// LIS1-A frames and LIS2-A2 records, once ASTM E1381 and E1394.
    #[default]
    Lis2,
    /// POCT1-A, the device messaging layer.
    Poct1a,
}

/// `[caching]`: under what rule records of other systems are kept. Without this section none is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CachingSection {
    /// The agreement that allows it, in words: shown wherever what is kept is shown.
    pub basis: String,
    /// Which links' answers may be kept; all practices' without this.
    #[serde(default)]
    pub systems: Vec<String>,
    /// Whose.
    #[serde(default)]
    pub keep_for: KeepFor,
    /// How long an answer may be kept.
    #[serde(default = "default_caching_hours")]
    pub hours: u64,
    /// How many hours before a booked start a patient's records are asked for; 0 for never.
    #[serde(default = "default_prefetch_hours")]
    pub prefetch_hours: u64,
    /// Questions a minute that prefetching may ask one practice.
    #[serde(default = "default_prefetch_rate")]
    pub prefetch_per_minute: u32,
}

/// Whose records may be kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum KeepFor {
    /// Of those who have arrived here.
    Arrived,
    /// Of those who are booked here as well.
    #[default]
    Booked,
    /// Of everybody whose record somebody here was permitted to ask for.
    AllAsked,
}

/// `[[route]]`: what goes where, besides what links subscribe to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSection {
    /// The links it comes from; all without this.
    #[serde(default)]
    pub from: Vec<String>,
    /// What is sent.
    pub what: Vec<Wanted>,
    /// A link's name, or `registered-practice`.
    pub to: String,
}

/// The destination that stands for the practice where a patient is registered.
pub const REGISTERED_PRACTICE: &str = "registered-practice";

fn default_receives() -> Vec<Wanted> {
    vec![Wanted::Results, Wanted::Letters]
}

const fn default_processing() -> char {
    'P'
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

const fn default_poll() -> u64 {
    300
}

const fn default_baud() -> u32 {
    9600
}

const fn default_data_bits() -> u8 {
    8
}

fn default_parity() -> String {
    "none".to_owned()
}

const fn default_stop_bits() -> u8 {
    1
}

const fn default_caching_hours() -> u64 {
    24
}

const fn default_prefetch_hours() -> u64 {
    18
}

const fn default_prefetch_rate() -> u32 {
    20
}

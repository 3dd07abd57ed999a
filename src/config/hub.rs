//! The hub's configuration, `polygate.toml`: who it is, how it reaches the centre, and its links.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::domain::ids::HubId;

use super::{
    ConfigError,
    activity::{ActivitySection, check_activity},
    check::check_links,
    file::{File, read},
    identity_provider::{IdentityProviderSection, check_identity_provider},
    links::{
        AdastraSection, AnalyserSection, BarsSection, CachingSection, GpConnectSection, GpSection,
        Hl7Section, MeshSection, RouteSection,
    },
    place,
    services::{BookingSection, ServiceSection, SessionSection, check_services},
};

/// A hub's configuration, `polygate.toml`.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Who the hub is and where it keeps its state.
    pub hub: HubSection,
    /// How it reaches the centre.
    pub centre: CentreSection,
    /// Its web pages, if it serves any.
    pub portal: Option<PortalSection>,
    /// Who vouches for the staff besides the hub's own accounts, if anybody.
    pub identity_provider: Option<IdentityProviderSection>,
    /// How the journal uses the disk.
    pub journal: JournalSection,
    /// RiO systems.
    pub rio: Vec<Hl7Section>,
    /// Hospital systems.
    pub secondary_care: Vec<Hl7Section>,
    /// Practices that use EMIS.
    pub emis: Vec<GpSection>,
    /// Practices that use INPS Vision.
    pub vision: Vec<GpSection>,
    /// Adastra systems.
    pub adastra: Vec<AdastraSection>,
    /// Laboratory analysers.
    pub analyser: Vec<AnalyserSection>,
    /// What this hub is called by GP Connect.
    pub gp_connect: GpConnectSection,
    /// Its MESH mailbox, if it has one.
    pub mesh: Option<MeshSection>,
    /// The bookings and referrals it takes over BaRS, if any.
    pub bars: Option<BarsSection>,
    /// What is kept of the records it asked for; nothing without this.
    pub caching: Option<CachingSection>,
    /// What goes where.
    pub route: Vec<RouteSection>,
    /// The reception desk.
    pub booking: BookingSection,
    /// What can be booked here.
    pub service: Vec<ServiceSection>,
    /// When.
    pub session: Vec<SessionSection>,
    /// What all of it is to commissioners.
    pub activity: ActivitySection,
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
    /// DNS names under which browsers reach it. Forms sent under any other are refused.
    #[serde(default)]
    pub names: Vec<String>,
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

    pub(super) fn from_file(file: &mut File<'_>) -> Option<Self> {
        let hub: Option<HubSection> = file.section("hub", true);
        let centre: Option<CentreSection> = file.section("centre", true);
        let portal = file.section("portal", false);
        let identity_provider = file.section("identity-provider", false);
        let journal = file.section("journal", false).unwrap_or_default();
        let (rio, secondary_care) = (file.list("rio"), file.list("secondary-care"));
        let (emis, vision) = (file.list("emis"), file.list("vision"));
        let (adastra, analyser) = (file.list("adastra"), file.list("analyser"));
        let gp_connect = file.section("gp-connect", false).unwrap_or_default();
        let (mesh, bars) = (file.section("mesh", false), file.section("bars", false));
        let (caching, route) = (file.section("caching", false), file.list("route"));
        let booking = file.section("booking", false).unwrap_or_default();
        let (service, session) = (file.list("service"), file.list("session"));
        let activity = file.section("activity", false).unwrap_or_default();
        file.refuse_the_rest();
        let mut config = Self {
            hub: hub?,
            centre: centre?,
            portal,
            identity_provider,
            journal,
            rio,
            secondary_care,
            emis,
            vision,
            adastra,
            analyser,
            gp_connect,
            mesh,
            bars,
            caching,
            route,
            booking,
            service,
            session,
            activity,
        };
        config.check_own(file);
        check_links(file, &config);
        check_services(file, &config);
        check_activity(file, &config);
        if let Some(section) = &config.identity_provider {
            check_identity_provider(file, section, config.portal.is_some());
        }
        config.place(&file.directory());
        Some(config)
    }

    /// The names of all links to local systems.
    pub(super) fn link_names(&self) -> Vec<&str> {
        let hl7 = self.rio.iter().chain(&self.secondary_care).map(|link| link.name.as_str());
        let practices = self.emis.iter().chain(&self.vision).map(|link| link.name.as_str());
        let adastra = self.adastra.iter().map(|link| link.name.as_str());
        let analysers = self.analyser.iter().map(|link| link.name.as_str());
        hl7.chain(practices).chain(adastra).chain(analysers).collect()
    }

    fn check_own(&self, file: &mut File<'_>) {
        file.check_broker("centre", "broker", &self.centre.broker);
        if let Some(portal) = &self.portal {
            let secured = portal.certificate.is_some() && portal.key.is_some();
            if portal.certificate.is_some() != portal.key.is_some() {
                file.fault("portal", "listen", "certificate and key belong together: give both or neither");
            } else if !secured && !portal.listen.ip().is_loopback() {
                file.fault("portal", "listen", "other than on loopback the portal needs certificate and key");
            }
        }
        if self.centre.reconnect_max_seconds == 0 {
            file.fault("centre", "reconnect-max-seconds", "at least 1 s, or the hub would never pause");
        }
        if self.journal.capacity_mib < 64 {
            file.fault("journal", "capacity-mib", "the journal needs at least 64 MiB");
        }
    }

    /// Makes every path one beside the file, and puts in what follows from the rest of it.
    fn place(&mut self, beside: &Path) {
        place(beside, [&mut self.hub.state]);
        let centre = &mut self.centre;
        place(beside, [&mut centre.ca, &mut centre.certificate, &mut centre.key]);
        place(beside, &mut centre.crl);
        if let Some(portal) = &mut self.portal {
            place(beside, portal.certificate.iter_mut().chain(&mut portal.key));
        }
        if let Some(section) = &mut self.identity_provider {
            let files =
                section.client_key.iter_mut().chain(&mut section.client_secret).chain(&mut section.ca);
            place(beside, files);
            if section.organisations.is_empty() {
                section.organisations.push(self.hub.ods.clone());
            }
        }
        if let Some(returns) = &mut self.activity.returns {
            place(beside, returns.files.paths());
        }
        for section in self.rio.iter_mut().chain(&mut self.secondary_care) {
            section.tls.iter_mut().for_each(|tls| tls.place(beside));
            section.deliver_tls.iter_mut().for_each(|tls| tls.place(beside));
        }
        self.adastra.iter_mut().filter_map(|section| section.tls.as_mut()).for_each(|tls| tls.place(beside));
        self.gp_connect.tls.iter_mut().for_each(|tls| tls.place(beside));
        self.bars.iter_mut().filter_map(|bars| bars.tls.as_mut()).for_each(|tls| tls.place(beside));
        if let Some(mesh) = &mut self.mesh {
            place(beside, [&mut mesh.password, &mut mesh.shared_key]);
            mesh.tls.iter_mut().for_each(|tls| tls.place(beside));
        }
    }
}

fn default_state() -> PathBuf {
    PathBuf::from("/var/lib/polygate")
}

const fn default_reconnect() -> u64 {
    300
}

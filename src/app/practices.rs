//! The general practices' systems put together: asked over GP Connect, kept under the caching policy, written to
//! over MESH.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;

use crate::{
    codec::kettering::DateOrder,
    config::{
        CachingSection, ClientTlsSection, GpConnectSection, GpSection, HubConfig, KeepFor, MeshSection,
    },
    domain::actor::{Device, Practitioner, Reason, Requester},
    flow::{
        alarm::AlarmCode,
        ask::GpSystem,
        cache::{self, Prefetch},
        deliver::Make,
    },
    store::cache::{CacheFor, CachePolicy},
    sys::{
        clock::Clock,
        disk::RealDisk,
        entropy::Entropy,
        http::{HttpClient, HttpLimits, HttpUrl},
        tls::{ClientTls, SpineFiles},
    },
    systems::{
        emis,
        gp_connect::{GpConnect, Options, Profile, RecordPart},
        mesh::{Credentials, Ledger, Mailbox, MailboxOptions, MeshClient, PracticeDelivery, PracticeOptions},
        vision,
    },
};

use super::{booking::organisation, hub::RunningHub};

/// A password or a key in a file is a line.
const SECRET_BYTES_MAX: u64 = 4096;

impl RunningHub {
    /// Makes every practice's system ready to be asked, and keeps answers as far as the policy says. A practice that
    /// cannot be set up is shown as down; the hub goes on.
    ///
    /// # Errors
    /// The caching policy cannot be kept to: what should not be on the disk might be.
    pub(super) fn start_practices(
        &mut self,
        config: &HubConfig,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let requester = requester(config);
        let mut systems: Vec<Arc<dyn GpSystem>> = Vec::new();
        let all = config.emis.iter().map(|section| (section, &emis::PROFILE));
        for (section, profile) in all.chain(config.vision.iter().map(|section| (section, &vision::PROFILE))) {
            let Some(address) = &section.gp_connect else { continue };
            let link = self.hub.add_link(section.name.as_str(), profile.kind, address);
            match ask(section, profile, address, config, clock) {
                Ok(system) => {
                    let system = Arc::new(system);
                    let (hub, who) = (Arc::clone(&self.hub), requester.clone());
                    let watched = Arc::clone(&system);
                    self.spawn_until_stop(async move { watched.watch(&hub, &link, &who).await });
                    systems.push(system);
                }
                Err(error) => {
                    let (text, now) = (format!("{error:#}"), self.hub.now());
                    link.down(&text, now);
                    self.hub.alarms().raise(AlarmCode::ListenerDown, section.name.as_str(), text, now);
                }
            }
        }
        self.practices = systems.clone();
        let policy = config.caching.as_ref().map(|caching| policy(caching, &systems));
        let cache = self
            .hub
            .open_cache(&config.hub.state.join("cache"), policy)
            .context("the records kept of other systems cannot be looked after")?;
        if let Some(caching) = &config.caching {
            let (systems, options) = ahead(caching, systems, requester);
            // Also where nothing is asked for ahead: it is what removes the answers whose time has ended.
            let prefetch = Prefetch::new(Arc::clone(&self.hub), cache, systems, options);
            self.tasks.spawn(prefetch.run(self.stop.subscribe()));
        }
        Ok(())
    }

    /// Opens this hub's MESH mailbox, if it has one.
    ///
    /// # Errors
    /// Its password or shared key cannot be read, its certificates cannot be used, or what was sent before cannot be
    /// read.
    pub(super) fn start_mesh(
        &mut self,
        config: &HubConfig,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Option<Arc<Mailbox>>> {
        let Some(section) = &config.mesh else { return Ok(None) };
        let url = HttpUrl::parse(&section.url).context("mesh.url")?;
        let tls = spine_tls(url.tls, section.tls.as_ref(), clock)?;
        let credentials = Credentials {
            mailbox: section.mailbox.clone(),
            password: secret(&section.password)?,
            shared_key: secret(&section.shared_key)?,
        };
        let http = HttpClient::new(url, tls, HttpLimits::default());
        let client = MeshClient::new(http, credentials, Arc::clone(clock));
        let link = self.hub.add_link("mesh", "MESH", &section.url);
        let ledger = Ledger::open(Arc::new(RealDisk), config.hub.state.join("mesh.json"))
            .context("what was sent over MESH cannot be read")?;
        let mut options =
            MailboxOptions { poll: Duration::from_secs(section.poll_seconds), ..Default::default() };
        options.workflows.extend(section.workflows.iter().cloned());
        let mailbox = Mailbox::new(Arc::clone(&self.hub), link, client, ledger, options);
        self.tasks.spawn(Arc::clone(&mailbox).run(self.stop.subscribe()));
        Ok(Some(mailbox))
    }
}

/// What delivers to a practice's mailbox.
pub(super) fn deliver(
    mailbox: &Arc<Mailbox>,
    section: &GpSection,
    to: &str,
    mesh: &MeshSection,
    config: &HubConfig,
) -> Make {
    let own = (config.hub.ods.as_str(), config.hub.name.as_str());
    let mut options = PracticeOptions::new(to, &section.ods, &mesh.mailbox, own);
    // Each make of system reads the day and the month of letters in an order of its own.
    let is_vision = config.vision.iter().any(|other| other.name == section.name);
    options.dates = if is_vision { DateOrder::DayMonth } else { DateOrder::MonthDay };
    if let Some(edi) = &section.edi {
        options.edi.clone_from(edi);
    }
    if let Some(edi) = &mesh.edi {
        options.own_edi.clone_from(edi);
    }
    let mailbox = Arc::clone(mailbox);
    Box::new(move || Box::new(PracticeDelivery::new(Arc::clone(&mailbox), options.clone())))
}

/// TLS towards a system that speaks it.
pub(super) fn spine_tls(
    wanted: bool,
    section: Option<&ClientTlsSection>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<ClientTls>> {
    if !wanted {
        return Ok(None);
    }
    let section = section.cloned().unwrap_or_default();
    let files = SpineFiles {
        ca: section.ca,
        certificate_and_key: section.certificate.zip(section.key),
        revocation_list: None,
    };
    Ok(Some(ClientTls::load_for_spine(&files, Arc::clone(clock))?))
}

fn ask(
    section: &GpSection,
    profile: &'static Profile,
    address: &str,
    config: &HubConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<GpConnect> {
    let GpConnectSection { asid, issuer, proxy, tls, .. } = &config.gp_connect;
    let proxy = proxy.as_deref().map(HttpUrl::parse).transpose().context("gp-connect.proxy")?;
    let is_tls = proxy.as_ref().map_or(HttpUrl::parse(address)?.tls, |proxy| proxy.tls);
    let tls = spine_tls(is_tls, tls.as_ref(), clock)?;
    let issuer = issuer.clone().unwrap_or_else(|| format!("https://{}", config.hub.id));
    let options = Options {
        name: section.name.to_string(),
        profile,
        practice: section.ods.clone(),
        address: address.to_owned(),
        records_address: None,
        proxy,
        asid: asid.clone(),
        practice_asid: section.asid.clone(),
        issuer,
        parts: RecordPart::ALL.to_vec(),
        appointments_with_record: true,
        answer_within: Options::ANSWER_WITHIN,
    };
    Ok(GpConnect::new(options, tls.as_ref(), Arc::clone(clock), Entropy::from_system())?)
}

/// In whose name the hub itself asks: its own, as the caching policy's basis allows.
fn requester(config: &HubConfig) -> Requester {
    Requester {
        organisation: organisation(config),
        practitioner: Practitioner {
            id: format!("{}-prefetch", config.hub.id),
            sds_user_id: None,
            sds_role_profile_id: None,
            job_role: String::new(),
            family_name: "Prefetch".to_owned(),
            given_name: String::new(),
            title: String::new(),
        },
        device: Device {
            id: config.hub.id.to_string(),
            model: "polygate".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        reason: Reason::DirectCare,
    }
}

/// Whom to ask ahead, and how; nobody, if no hours ahead are configured.
fn ahead(
    caching: &CachingSection,
    systems: Vec<Arc<dyn GpSystem>>,
    requester: Requester,
) -> (Vec<Arc<dyn GpSystem>>, cache::Options) {
    let options = cache::Options {
        requester,
        per_minute: caching.prefetch_per_minute,
        ahead: Duration::from_secs(caching.prefetch_hours * 3600),
    };
    (if caching.prefetch_hours == 0 { Vec::new() } else { systems }, options)
}

fn policy(caching: &CachingSection, systems: &[Arc<dyn GpSystem>]) -> CachePolicy {
    let all = || systems.iter().map(|system| system.name().to_owned()).collect();
    CachePolicy {
        basis: caching.basis.clone(),
        systems: if caching.systems.is_empty() { all() } else { caching.systems.clone() },
        keep: Duration::from_secs(caching.hours * 3600),
        keep_for: match caching.keep_for {
            KeepFor::Arrived => CacheFor::Arrived,
            KeepFor::Booked => CacheFor::Booked,
            KeepFor::AllAsked => CacheFor::AllAsked,
        },
    }
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    anyhow::ensure!(length <= SECRET_BYTES_MAX, "{} is too long for a password or key", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty(), "{} is empty", path.display());
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{nhs_number::NhsNumber, record::Snapshot},
        store::cache::CacheTime,
        sys::clock::SystemClock,
    };

    /// A folder of its own that goes with the test.
    struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_removed_also_where_nothing_is_asked_ahead() {
        let folder = Folder(std::env::temp_dir().join(format!("polygate-answers-{}", std::process::id())));
        std::fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join("polygate.toml");
        let text = "[hub]\nid = \"north\"\nods = \"5LC01\"\nname = \"North\"\nstate = \"state\"\n\
            [centre]\nbroker = \"mqtt://127.0.0.1:1\"\nca = \"ca.pem\"\ncertificate = \"a.pem\"\nkey = \"a.key\"\n\
            [journal]\ncapacity-mib = 64\nfloor-mib = 0\n\
            [caching]\nbasis = \"agreement 7\"\nsystems = [\"emis\"]\nhours = 1\nkeep-for = \"all-asked\"\nprefetch-hours = 0\n\
            [[emis]]\nname = \"emis\"\nods = \"E87001\"\ngp-connect = \"http://127.0.0.1:1/gpconnect\"\n\
            asid = \"918999198738\"\n[gp-connect]\nasid = \"200000000359\"\n";
        std::fs::write(&path, text).unwrap();
        let config = HubConfig::load(&path).unwrap();
        let running = RunningHub::start(&config).await.unwrap();

        let allowed = policy(config.caching.as_ref().unwrap(), &[]);
        // The cache is open: this gives the one that there is.
        let cache = running.hub.open_cache(&config.hub.state.join("cache"), Some(allowed)).unwrap();
        let now = SystemClock.now();
        let snapshot = Snapshot {
            system: "emis".to_owned(),
            nhs_number: NhsNumber::parse("9990000018").unwrap(),
            as_at: now,
            identifiers: Vec::new(),
            items: Vec::new(),
            faults: Vec::new(),
        };
        let time = CacheTime { wall: now, elapsed: Duration::ZERO };
        cache.keep(snapshot, CacheFor::AllAsked, time).unwrap();
        assert_eq!(cache.count(), 1);
        tokio::time::sleep(Duration::from_secs(3600 + 300)).await;
        assert_eq!(cache.count(), 0);
        running.end().await;
    }
}

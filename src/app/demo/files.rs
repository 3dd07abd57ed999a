//! The demonstration's files: its private authority, its certificates, and each program's configuration.

use std::{net::SocketAddr, path::Path};

use crate::{
    centre::pki::{self, Issue},
    config::{BrokerSection, CentreConfig, StoreSection},
    domain::ids::HubId,
    sys::clock::{Clock, SystemClock},
};

/// Hubs of the demonstration: id, ODS code, name.
pub(super) const HUBS: [(&str, &str, &str); 2] = [
    ("westminster-south", "5LC01", "Westminster South polyclinic"),
    ("waltham-forest", "5NC01", "Waltham Forest polyclinic"),
];
pub(super) fn issue_certificates(pki: &Path) -> anyhow::Result<()> {
    let now = SystemClock.now();
    pki::init(pki, now)?;
    pki::issue_centre(pki, Issue::new(now))?;
    pki::issue_broker(pki, &["localhost".to_owned()], true, Issue::new(now))?;
    for (id, ..) in HUBS {
        pki::issue_hub(pki, &id.parse::<HubId>()?, Issue::new(now))?;
    }
    Ok(())
}

pub(super) fn centre_config(directory: &Path, pki: &Path, port: u16) -> CentreConfig {
    let text = format!(
        "[broker]\nurl = \"mqtts://localhost:{port}\"\nca = \"pki/ca.pem\"\ncertificate = \"pki/centre.pem\"\nkey = \"pki/centre.key\"\n\n[store]\nembedded = \"centre\"\n"
    );
    // For `polycentre entries` beside the demonstration; without it the demonstration runs all the same.
    if let Err(error) = std::fs::write(directory.join("polycentre.toml"), text) {
        tracing::warn!(%error, "no polycentre.toml for others to use");
    }
    CentreConfig {
        broker: BrokerSection {
            url: format!("mqtts://localhost:{port}"),
            ca: pki.join("ca.pem"),
            certificate: pki.join("centre.pem"),
            key: pki.join("centre.key"),
            crl: None,
            workers: 2,
        },
        store: StoreSection { postgres: None, embedded: Some(directory.join("centre")) },
        console: None,
    }
}

pub(super) fn hub_config(id: &str, ods: &str, name: &str, directory: &Path, wan: SocketAddr) -> String {
    let state = directory.join(id);
    format!(
        "[hub]\nid = \"{id}\"\nods = \"{ods}\"\nname = \"{name}\"\nstate = \"{state}\"\n\n\
         [centre]\nbroker = \"mqtts://localhost:{port}\"\nca = \"pki/ca.pem\"\n\
         certificate = \"pki/{id}.pem\"\nkey = \"pki/{id}.key\"\nreconnect-max-seconds = 2\n",
        state = state.display(),
        port = wan.port(),
    )
}

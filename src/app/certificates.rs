//! Watching how long certificates are good: whoever replaces them needs weeks, not the day they end.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::interval;

use crate::{
    config::{ClientTlsSection, HubConfig},
    domain::time::Timestamp,
    flow::{alarm::AlarmCode, hub::Hub},
    sys::tls::read_identity,
};

/// From here on the alarm stands. A request to an authority may take a fortnight.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// Files are looked at this often: replaced files clear the alarm within the hour.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Every file of a configuration that holds a certificate, client authorities and trust anchors left out.
pub(super) fn files(config: &HubConfig) -> Vec<PathBuf> {
    let centre = Some(&config.centre.certificate).filter(|path| path.is_file()).into_iter();
    let portal = config.portal.iter().filter_map(|portal| portal.certificate.as_ref());
    let hl7 = || config.rio.iter().chain(&config.secondary_care);
    let adastra = config.adastra.iter().filter_map(|section| section.tls.as_ref());
    let listeners =
        hl7().filter_map(|section| section.tls.as_ref()).chain(adastra).map(|tls| &tls.certificate);
    let mesh = config.mesh.iter().filter_map(|mesh| mesh.tls.as_ref());
    let clients = hl7().filter_map(|section| section.deliver_tls.as_ref());
    let clients = clients.chain(&config.gp_connect.tls).chain(mesh);
    let ours = clients.filter_map(|tls: &ClientTlsSection| tls.certificate.as_ref());
    let mut all: Vec<PathBuf> = centre.chain(portal).chain(listeners).chain(ours).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// Looks at the files now and every hour.
pub(super) async fn watch(hub: Arc<Hub>, files: Vec<PathBuf>) {
    let mut ticks = interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let (hub, files) = (Arc::clone(&hub), files.clone());
        let looked = tokio::task::spawn_blocking(move || files.iter().for_each(|file| look(&hub, file)));
        if looked.await.is_err() {
            tracing::error!("looking at the certificates failed");
        }
    }
}

fn look(hub: &Hub, file: &Path) {
    let now = hub.now();
    let found = read_identity(file).map_err(|error| error.to_string());
    let complaint = match found {
        Ok(identity) => complaint(identity.not_after, now),
        Err(error) => Some(error),
    };
    let about = file.display().to_string();
    let text = complaint.map(|complaint| format!("{about}: {complaint}"));
    hub.alarms().set(text.is_some(), AlarmCode::Certificate, &about, text.unwrap_or_default(), now);
}

fn complaint(not_after: Timestamp, now: Timestamp) -> Option<String> {
    if not_after <= now {
        return Some(format!("it ended at {not_after}: replace it now"));
    }
    let left = not_after.since(now);
    (left < SOON).then(|| format!("it ends at {not_after}, in {} days", left.as_secs() / 86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_comes_thirty_days_before_the_end_and_stays() {
        let day = 24 * 3600 * 1000;
        let end = Timestamp(1_800_000_000_000);
        let at = |days: i64| complaint(end, Timestamp(end.0 - days * day));
        assert_eq!(at(31), None);
        assert!(at(29).unwrap().ends_with("in 29 days"));
        assert!(at(0).unwrap().contains("replace it now"));
        assert!(at(-400).unwrap().contains("replace it now"));
    }
}

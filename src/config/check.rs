//! What sections of `polygate.toml` must not say of themselves, and of each other.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{domain::ids::HubId, sys::http::HttpUrl};

use super::{
    file::File,
    hub::HubConfig,
    links::{AnalyserSection, GpSection, Hl7Section, REGISTERED_PRACTICE, Wanted},
};

/// The hub's own decisions, its mailbox, and those who book with it, go by these.
const RESERVED: [&str; 3] = ["bars", "hub", "mesh"];

/// Every fault in what links say of themselves and of each other.
pub(super) fn check_links(file: &mut File<'_>, config: &HubConfig) {
    let names = check_names(file, config);
    check_ports(file, config);
    let hl7 = [("rio", &config.rio), ("secondary-care", &config.secondary_care)];
    for (kind, sections) in hl7 {
        for (number, section) in sections.iter().enumerate() {
            check_hl7(file, kind, number, section);
        }
    }
    let practices = [("emis", &config.emis), ("vision", &config.vision)];
    for (kind, sections) in practices {
        for (number, section) in sections.iter().enumerate() {
            check_practice(file, kind, number, section, config.mesh.is_some());
        }
    }
    for (number, section) in config.analyser.iter().enumerate() {
        check_analyser(file, number, section);
    }
    if let Some(proxy) = &config.gp_connect.proxy {
        check_url(file, "gp-connect", 0, "proxy", proxy);
    }
    if let Some(mesh) = &config.mesh {
        check_url(file, "mesh", 0, "url", &mesh.url);
        if mesh.poll_seconds == 0 {
            file.fault("mesh", "poll-seconds", "at least 1 s; NHS England asks for 300");
        }
    }
    check_bars(file, config);
    check_caching(file, config, &names);
    check_routes(file, config, &names);
}

/// Names are unique over all kinds: logs, metrics and routes know links by name alone.
fn check_names<'c>(file: &mut File<'_>, config: &'c HubConfig) -> Vec<String> {
    let mut all: Vec<(&str, usize, &HubId)> = Vec::new();
    let mut add = |kind, names: &mut dyn Iterator<Item = &'c HubId>| {
        all.extend(names.enumerate().map(|(number, name)| (kind, number, name)));
    };
    add("rio", &mut config.rio.iter().map(|section| &section.name));
    add("secondary-care", &mut config.secondary_care.iter().map(|section| &section.name));
    add("emis", &mut config.emis.iter().map(|section| &section.name));
    add("vision", &mut config.vision.iter().map(|section| &section.name));
    add("adastra", &mut config.adastra.iter().map(|section| &section.name));
    add("analyser", &mut config.analyser.iter().map(|section| &section.name));
    for (place, (kind, number, name)) in all.iter().enumerate() {
        if RESERVED.contains(&name.as_str()) {
            file.fault_in(kind, *number, "name", &format!("\"{name}\" is a name of the hub's own"));
        }
        if all.iter().take(place).any(|(_, _, other)| other == name) {
            file.fault_in(kind, *number, "name", &format!("two links are called \"{name}\""));
        }
    }
    all.into_iter().map(|(_, _, name)| name.to_string()).collect()
}

fn check_ports(file: &mut File<'_>, config: &HubConfig) {
    let hl7 = |kind: &'static str, sections: &[Hl7Section]| {
        sections
            .iter()
            .map(|section| section.listen)
            .enumerate()
            .map(|(n, l)| (kind, n, l))
            .collect::<Vec<_>>()
    };
    let mut all = hl7("rio", &config.rio);
    all.extend(hl7("secondary-care", &config.secondary_care));
    all.extend(
        config.adastra.iter().enumerate().map(|(number, section)| ("adastra", number, section.listen)),
    );
    let analysers = config.analyser.iter().enumerate();
    all.extend(analysers.filter_map(|(number, section)| Some(("analyser", number, section.listen?))));
    let mut taken: BTreeMap<SocketAddr, &str> = BTreeMap::new();
    if let Some(portal) = &config.portal {
        taken.insert(portal.listen, "portal");
    }
    for (kind, number, listen) in all {
        if listen.port() != 0 && taken.insert(listen, kind).is_some() {
            file.fault_in(kind, number, "listen", &format!("two links listen on {listen}"));
        }
    }
}

fn check_hl7(file: &mut File<'_>, kind: &str, number: usize, section: &Hl7Section) {
    if !(1..=16).contains(&section.message_max_mib) {
        file.fault_in(kind, number, "message-max-mib", "1 to 16 MiB");
    }
    if !(1..=4096).contains(&section.connections_max) {
        file.fault_in(kind, number, "connections-max", "1 to 4096 connections");
    }
    if section.idle_seconds == 0 || section.write_seconds == 0 {
        file.fault_in(kind, number, "listen", "idle-seconds and write-seconds are at least 1");
    }
    if !['P', 'T', 'D'].contains(&section.processing) {
        file.fault_in(kind, number, "processing", "P (production), T (training) or D (debugging)");
    }
    match &section.deliver {
        Some(address) => check_address(file, kind, number, "deliver", address),
        None if !section.subscribe.is_empty() => {
            file.fault_in(kind, number, "subscribe", "to be sent anything the system needs `deliver`");
        }
        None => {}
    }
}

fn check_practice(file: &mut File<'_>, kind: &str, number: usize, section: &GpSection, mesh: bool) {
    match &section.gp_connect {
        Some(url) => check_url(file, kind, number, "gp-connect", url),
        None if section.mailbox.is_none() => {
            file.fault_in(kind, number, "name", "a practice needs gp-connect, mailbox, or both");
        }
        None => {}
    }
    if section.mailbox.is_some() && !mesh {
        file.fault_in(kind, number, "mailbox", "sending to a mailbox needs the section [mesh]");
    }
    let legal =
        (3..=6).contains(&section.ods.len()) && section.ods.bytes().all(|b| b.is_ascii_alphanumeric());
    if !legal {
        file.fault_in(kind, number, "ods", "an ODS code has 3 to 6 letters and digits");
    }
    if section.receives.iter().any(|wanted| !matches!(wanted, Wanted::Results | Wanted::Letters)) {
        file.fault_in(kind, number, "receives", "a practice takes \"results\" and \"letters\"");
    }
}

fn check_analyser(file: &mut File<'_>, number: usize, section: &AnalyserSection) {
    if section.port().is_none() {
        file.fault_in("analyser", number, "name", "give exactly one of device, listen and connect");
    }
    if let Some(address) = &section.connect {
        check_address(file, "analyser", number, "connect", address);
    }
    if !(300..=921_600).contains(&section.baud) {
        file.fault_in("analyser", number, "baud", "300 to 921600 bits a second");
    }
    if ![7, 8].contains(&section.data_bits) {
        file.fault_in("analyser", number, "data-bits", "7 or 8");
    }
    if ![1, 2].contains(&section.stop_bits) {
        file.fault_in("analyser", number, "stop-bits", "1 or 2");
    }
    if !["none", "odd", "even"].contains(&section.parity.as_str()) {
        file.fault_in("analyser", number, "parity", "none, odd or even");
    }
}

/// The receiver itself asks nobody who they are.
fn check_bars(file: &mut File<'_>, config: &HubConfig) {
    let Some(bars) = &config.bars else { return };
    if bars.services.is_empty() {
        file.fault("bars", "services", "name at least one service of the Directory of Services");
    }
    let knows_who = bars.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    match (bars.listen, &config.portal) {
        (Some(listen), _) if !listen.ip().is_loopback() && !knows_who => {
            file.fault("bars", "listen", "other than on loopback it needs tls with client-ca");
        }
        (None, None) => file.fault("bars", "services", "it needs listen, or the section [portal]"),
        (None, Some(portal)) if !portal.listen.ip().is_loopback() => {
            file.fault(
                "bars",
                "services",
                "the portal is not on loopback: give bars a listen and tls of its own",
            );
        }
        _ => {}
    }
}

fn check_caching(file: &mut File<'_>, config: &HubConfig, names: &[String]) {
    let Some(caching) = &config.caching else { return };
    if caching.basis.trim().is_empty() {
        file.fault("caching", "basis", "say which agreement allows it: without a basis nothing is kept");
    }
    if !(1..=168).contains(&caching.hours) {
        file.fault("caching", "hours", "1 to 168 hours");
    }
    if 24 * 7 < caching.prefetch_hours {
        file.fault("caching", "prefetch-hours", "at most 168 hours before the start");
    }
    if caching.prefetch_per_minute == 0 {
        file.fault("caching", "prefetch-per-minute", "at least 1; prefetch-hours = 0 switches it off");
    }
    if let Some(unknown) = caching.systems.iter().find(|name| !names.contains(name)) {
        file.fault("caching", "systems", &format!("no link is called \"{unknown}\""));
    }
}

fn check_routes(file: &mut File<'_>, config: &HubConfig, names: &[String]) {
    for (number, route) in config.route.iter().enumerate() {
        if let Some(unknown) = route.from.iter().find(|name| !names.contains(name)) {
            file.fault_in("route", number, "from", &format!("no link is called \"{unknown}\""));
        }
        if route.what.is_empty() {
            file.fault_in("route", number, "what", "say what is sent, such as [\"results\"]");
        }
        if route.to != REGISTERED_PRACTICE && !takes_messages(config, &route.to) {
            let reason =
                format!("\"{}\" is no link with deliver or mailbox, nor {REGISTERED_PRACTICE}", route.to);
            file.fault_in("route", number, "to", &reason);
        }
    }
}

fn takes_messages(config: &HubConfig, name: &str) -> bool {
    let mut hl7 = config.rio.iter().chain(&config.secondary_care);
    let mut practices = config.emis.iter().chain(&config.vision);
    hl7.any(|section| section.name.as_str() == name && section.deliver.is_some())
        || practices.any(|section| section.name.as_str() == name && section.mailbox.is_some())
}

fn check_url(file: &mut File<'_>, kind: &str, number: usize, key: &str, url: &str) {
    if let Err(reason) = HttpUrl::parse(url) {
        file.fault_in(kind, number, key, &reason.to_string());
    }
}

fn check_address(file: &mut File<'_>, kind: &str, number: usize, key: &str, address: &str) {
    let legal = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| 0 < port));
    if !legal {
        file.fault_in(kind, number, key, "write host:port");
    }
}

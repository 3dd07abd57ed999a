//! Who is sent what: destinations and the routes that lead to them, put together from the configuration.

use std::{path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    config::{GpSection, Hl7Section, HubConfig, REGISTERED_PRACTICE, Wanted},
    flow::{
        ask::TakesBookings,
        deliver::{
            Delivery, Make, Options, Pace, consumer,
            registered::Registered,
            routes::{Registrations, Route, To, What},
        },
    },
    sys::clock::Clock,
    systems::{
        emis,
        hl7::{Address, Client, ClientOptions, SiuBooking},
        mesh::Mailbox,
        rio, secondary_care, vision,
    },
};

use super::{hub::RunningHub, practices};

/// The names by which the journal knows those who are delivered to.
pub(super) fn consumers(config: &HubConfig) -> Vec<String> {
    let hl7 = config.rio.iter().chain(&config.secondary_care).filter(|section| section.deliver.is_some());
    let practices = practices(config).filter(|section| section.mailbox.is_some());
    let names = hl7.map(|section| &section.name).chain(practices.map(|section| &section.name));
    names.map(|name| consumer(name.as_str())).collect()
}

impl RunningHub {
    /// Opens every destination where it was left, and begins to deliver. Before anything is taken in.
    ///
    /// # Errors
    /// The disk's, or a certificate cannot be used.
    pub(super) fn start_deliveries(
        &mut self,
        config: &HubConfig,
        mailbox: Option<&Arc<Mailbox>>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<()> {
        let routes = routes(config);
        let registrations: Arc<dyn Registrations> = Arc::new(Registered::new(Arc::clone(&self.hub)));
        let mut open = |name: &str, kind, address: &str, ods: Option<&str>, make: Make| {
            let options = Options {
                name: name.to_owned(),
                kind,
                address: address.to_owned(),
                ods: ods.map(str::to_owned),
                routes: routes.clone(),
                pace: Pace::default(),
                registrations: Arc::clone(&registrations),
                make,
            };
            self.deliver(&config.hub.state, options)
        };
        let hl7 = config.rio.iter().map(|section| (section, rio::DIALECT.kind));
        let hospitals = config.secondary_care.iter().map(|section| (section, secondary_care::DIALECT.kind));
        for (section, kind) in hl7.chain(hospitals) {
            let Some(address) = &section.deliver else { continue };
            let make = mllp(section, address, config, clock)?;
            open(section.name.as_str(), kind, address, None, make)?;
        }
        for (section, kind) in practices(config).map(|section| (section, kind(section, config))) {
            let (Some(to), Some(mailbox), Some(mesh)) = (&section.mailbox, mailbox, &config.mesh) else {
                continue;
            };
            let make = practices::deliver(mailbox, section, to, mesh, config);
            open(section.name.as_str(), kind, to, Some(&section.ods), make)?;
        }
        Ok(())
    }

    fn deliver(&mut self, state: &Path, options: Options) -> anyhow::Result<()> {
        let name = options.name.clone();
        let delivery = Delivery::open(&self.hub, state, options)
            .with_context(|| format!("what is to be delivered to {name} cannot be read"))?;
        self.tasks.spawn(delivery.run(self.stop.subscribe()));
        Ok(())
    }
}

fn practices(config: &HubConfig) -> impl Iterator<Item = &GpSection> {
    config.emis.iter().chain(&config.vision)
}

fn kind(section: &GpSection, config: &HubConfig) -> &'static str {
    let is_emis = config.emis.iter().any(|other| other.name == section.name);
    if is_emis { emis::PROFILE.kind } else { vision::PROFILE.kind }
}

fn mllp(
    section: &Hl7Section,
    address: &str,
    config: &HubConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Make> {
    let mut options = ClientOptions::new(address, addressing(section, config));
    options.tls = practices::spine_tls(section.deliver_tls.is_some(), section.deliver_tls.as_ref(), clock)?;
    Ok(Box::new(move || Box::new(Client::new(options.clone()))))
}

/// What a system in whose book appointments are made is told through; none if it takes nothing from us.
pub(super) fn told(
    section: &Hl7Section,
    config: &HubConfig,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Option<Arc<dyn TakesBookings>>> {
    let Some(address) = &section.deliver else { return Ok(None) };
    let mut options = ClientOptions::for_bookings(address, addressing(section, config));
    options.tls = practices::spine_tls(section.deliver_tls.is_some(), section.deliver_tls.as_ref(), clock)?;
    Ok(Some(Arc::new(SiuBooking::new(section.name.as_str(), options, Arc::clone(clock)))))
}

fn addressing(section: &Hl7Section, config: &HubConfig) -> Address {
    Address {
        sending_application: "POLYGATE".to_owned(),
        sending_facility: config.hub.ods.clone(),
        processing: section.processing,
        ..Address::default()
    }
}

/// What the sections say, as routes: subscriptions, what practices receive, and the routes by name.
fn routes(config: &HubConfig) -> Vec<Route> {
    let mut routes = Vec::new();
    for section in config.rio.iter().chain(&config.secondary_care) {
        if !section.subscribe.is_empty() {
            let to = To::Named(section.name.to_string());
            routes.push(Route { from: Vec::new(), what: what(&section.subscribe), to });
        }
    }
    for section in practices(config).filter(|section| section.mailbox.is_some()) {
        let to = To::RegisteredAt(section.name.to_string());
        routes.push(Route { from: Vec::new(), what: what(&section.receives), to });
    }
    for section in &config.route {
        let to = match section.to.as_str() {
            REGISTERED_PRACTICE => To::RegisteredPractice,
            name => To::Named(name.to_owned()),
        };
        routes.push(Route { from: section.from.clone(), what: what(&section.what), to });
    }
    routes
}

fn what(wanted: &[Wanted]) -> Vec<What> {
    let one = |wanted: &Wanted| match wanted {
        Wanted::Results => What::Results,
        Wanted::Letters => What::Letters,
        Wanted::Demographics => What::Demographics,
        Wanted::Appointments => What::Appointments,
    };
    wanted.iter().map(one).collect()
}

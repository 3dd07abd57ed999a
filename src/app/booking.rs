//! The reception desk put together: the hub's catalogue, the practices' systems, and the counter outside the journal.

use std::sync::Arc;

use anyhow::Context;

use crate::{
    config::HubConfig,
    domain::actor::Organisation,
    flow::book::{BookingDesk, FrontDesk, Options},
    sys::{clock::Clock, counter::FileCounter},
    systems::hl7,
};

use super::{deliveries, hub::RunningHub};

impl RunningHub {
    /// Opens the desk where it was left, and begins to drive it.
    ///
    /// # Errors
    /// Its folder cannot be made, or the journal cannot be read.
    pub(super) fn start_booking(&mut self, config: &HubConfig, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let directory = config.hub.state.join("booking");
        let mut told = Vec::new();
        for section in config.rio.iter().chain(&config.secondary_care) {
            told.extend(deliveries::told(section, config, clock)?);
        }
        let options = Options {
            catalogue: config.catalogue(),
            practices: self.practices.clone(),
            told,
            hears: hl7::word_of,
            organisation: organisation(config),
            counter: Arc::new(FileCounter::new(directory.join("counter"))),
            directory,
            first: config.booking.first_box,
        };
        let (desk, heard) =
            BookingDesk::open(&self.hub, options).context("the reception desk cannot be opened")?;
        self.desk = Some(FrontDesk(Arc::clone(&desk)));
        self.tasks.spawn(desk.run(heard, self.stop.subscribe()));
        Ok(())
    }
}

/// In whose name this hub asks other systems.
pub(super) fn organisation(config: &HubConfig) -> Organisation {
    Organisation {
        ods_code: config.hub.ods.clone(),
        name: config.hub.name.clone(),
        kind: "urgent-care".to_owned(),
        telephone: config.gp_connect.telephone.clone(),
    }
}

//! The beginning of a desk: nothing is sold before it is sure that no turned-back disk sold the same.

use std::sync::{Arc, PoisonError};

use crate::{
    booking::{
        act::Said,
        token::{TokenEvent, Witness},
    },
    flow::alarm::AlarmCode,
    sys::{counter::Counted, entropy},
};

use super::{BookingDesk, journal::Writer};

impl BookingDesk {
    /// Asks the centre whether this is the first desk of its hub, if it is new and has not asked: a box that replaces a
    /// lost one knows nothing of what that one sold. Asked also where somebody says that it is the first, for people
    /// copy configurations.
    pub(super) async fn ask(&self) {
        let mut writer = self.writer.lock().await;
        let (begun, asked) = (0 < self.desk().ledger().incarnation(), self.desk().life().is_some());
        if begun || asked {
            return;
        }
        let life = match entropy::secret() {
            Ok([a, b, c, d, e, f, g, h, ..]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            Err(error) => return self.hold(format!("there are no random numbers: {error}")),
        };
        // From here on this disk is known again: a copy of it would take the answer for its own.
        if let Err(error) = self.set_counter(0).await {
            return self.hold(error);
        }
        self.put_down(&mut writer, vec![Said::Asking { life }]).await;
    }

    /// Takes the centre's answer: `incarnation` is zero if this desk is the first of its hub.
    pub(super) async fn answered(&self, life: u64, incarnation: u64) {
        if self.desk().life() != Some(life) {
            return;
        }
        let before = self.desk().ledger().incarnation();
        if incarnation == 0 {
            self.begin(true).await;
        } else if before < incarnation {
            if 0 < before {
                tracing::error!(
                    "an earlier box of this hub is known, though somebody said that this one is the first"
                );
            }
            self.begin_after(incarnation).await;
        }
    }

    /// Begins to sell this hub's slots, if it has not yet.
    pub(super) async fn begin(&self, first: bool) {
        let mut writer = self.writer.lock().await;
        if self.desk().ledger().may_sell().is_ok() {
            return;
        }
        match self.witness().await {
            Ok(witness) => self.begin_with(&mut writer, witness, first).await,
            Err(error) => self.hold(error),
        }
    }

    /// Begins after an earlier desk of this hub, of which nothing is here.
    async fn begin_after(&self, incarnation: u64) {
        let mut writer = self.writer.lock().await;
        self.begin_with(&mut writer, Witness::Number(incarnation), false).await;
    }

    /// What the counter outside the disk says.
    async fn witness(&self) -> Result<Witness, String> {
        let counter = Arc::clone(&self.counter);
        let counted = match tokio::task::spawn_blocking(move || counter.read()).await {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => return Err(format!("the counter cannot be read: {error}")),
            Err(error) => return Err(format!("the counter cannot be read: {error}")),
        };
        Ok(match counted {
            Counted::Number(number) => Witness::Number(number),
            // It was set before this desk asked anything.
            Counted::Missing if self.desk().life().is_some() => Witness::Foreign,
            Counted::Missing => Witness::Missing,
            Counted::Foreign => Witness::Foreign,
        })
    }

    async fn set_counter(&self, number: u64) -> Result<(), String> {
        let counter = Arc::clone(&self.counter);
        match tokio::task::spawn_blocking(move || counter.set(number)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the counter cannot be set: {error}")),
            Err(error) => Err(format!("the counter cannot be set: {error}")),
        }
    }

    /// First the journal knows of the new incarnation, then the counter outside the disk, and only then anything is sold.
    async fn begin_with(&self, writer: &mut Writer, witness: Witness, first: bool) {
        let begun = self.desk().ledger().begin(witness, writer.damaged, first, self.hub.now());
        let events = match begun {
            Ok(events) => events,
            Err(refusal) => return self.hold(refusal.to_string()),
        };
        let said: Vec<Said> = events.iter().cloned().map(Said::Token).collect();
        self.put_down(writer, said).await;
        let began = events.iter().find_map(|event| match event {
            TokenEvent::Began { incarnation } => Some(*incarnation),
            _ => None,
        });
        if began != Some(self.desk().ledger().incarnation()) {
            return self.hold("the beginning of the desk cannot be journalled".to_owned());
        }
        if let Err(error) = self.set_counter(began.unwrap_or_default()).await {
            return self.hold(error);
        }
        writer.damaged = false;
        self.desk.write().unwrap_or_else(PoisonError::into_inner).open();
        self.hub.alarms.clear(AlarmCode::SlotsHeld, "");
        if let Some(until) = self.desk().ledger().held_until().filter(|until| self.hub.now() < *until) {
            let text = format!("the disk was turned back or acts are lost: slots until {until} are held");
            self.hub.alarms.raise(AlarmCode::SlotsHeld, "", text, self.hub.now());
        }
    }

    /// Says which services and sessions this hub has, if they have changed.
    pub(super) async fn publish(&self) {
        let mut writer = self.writer.lock().await;
        if self.desk().ledger().incarnation() == 0 {
            return;
        }
        let known = {
            let desk = self.desk();
            desk.catalogues().get(desk.hub()).cloned().unwrap_or_default()
        };
        if known != self.catalogue {
            let said = vec![Said::Catalogue(Box::new(self.catalogue.clone()))];
            self.put_down(&mut writer, said).await;
        }
    }

    fn hold(&self, text: String) {
        self.hub.alarms.raise(AlarmCode::SlotsHeld, "", text, self.hub.now());
    }
}

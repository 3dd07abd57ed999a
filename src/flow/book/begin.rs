//! The beginning of a desk: nothing is sold before it is sure that no turned-back disk sold the same.

use std::sync::{Arc, PoisonError};

use crate::{
    booking::{
        act::Said,
        token::{TokenEvent, Witness},
    },
    flow::alarm::AlarmCode,
    sys::counter::Counted,
};

use super::BookingDesk;

impl BookingDesk {
    /// Begins to sell this hub's slots, if it has not yet: first the journal knows of the new incarnation, then the
    /// counter outside the disk, and only then anything is sold.
    pub(super) async fn begin(&self, first: bool) {
        let mut writer = self.writer.lock().await;
        if self.desk().ledger().may_sell().is_ok() {
            return;
        }
        let counter = Arc::clone(&self.counter);
        let read = tokio::task::spawn_blocking(move || counter.read()).await;
        let counted = match read {
            Ok(Ok(counted)) => counted,
            Ok(Err(error)) => return self.hold(format!("the counter cannot be read: {error}")),
            Err(error) => return self.hold(format!("the counter cannot be read: {error}")),
        };
        let witness = match counted {
            Counted::Number(number) => Witness::Number(number),
            Counted::Missing => Witness::Missing,
            Counted::Foreign => Witness::Foreign,
        };
        let begun = self.desk().ledger().begin(witness, writer.damaged, first, self.hub.now());
        let events = match begun {
            Ok(events) => events,
            Err(refusal) => return self.hold(refusal.to_string()),
        };
        let said: Vec<Said> = events.iter().cloned().map(Said::Token).collect();
        self.put_down(&mut writer, said).await;
        let began = events.iter().find_map(|event| match event {
            TokenEvent::Began { incarnation } => Some(*incarnation),
            _ => None,
        });
        if began != Some(self.desk().ledger().incarnation()) {
            return self.hold("the beginning of the desk cannot be journalled".to_owned());
        }
        let (counter, incarnation) = (Arc::clone(&self.counter), began.unwrap_or_default());
        match tokio::task::spawn_blocking(move || counter.set(incarnation)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.hold(format!("the counter cannot be set: {error}")),
            Err(error) => return self.hold(format!("the counter cannot be set: {error}")),
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

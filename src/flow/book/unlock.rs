//! Held slots: which they are, and how two people who have looked let them be sold again.

use std::sync::{Arc, PoisonError};

use serde::Serialize;
use tokio::runtime::Handle;

use crate::{
    access::{Role, Secret},
    booking::{act::Said, catalogue::Session, token::TokenState},
    domain::{booking::SlotId, ids::HubId, time::Timestamp},
    flow::{hub::Hub, operate::OperateError},
};

use super::BookingDesk;

/// Slots unlocked at once: some weeks of a session, so that people look at what they free.
pub const UNLOCKED_MAX: usize = 500;
/// The second person must be one who may look after the box.
const SECOND: Role = Role::Administrator;

/// How many slots of a session are held.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct HeldSlots {
    /// The session.
    pub session: HubId,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub slots: usize,
}

/// What two people have looked at. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Unlocking {
    /// Slots of which session.
    pub session: HubId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The other person: an administrator of the portal.
    pub second: String,
    /// Their password.
    pub password: Secret,
    /// What shows that the slots are free; goes on record.
    pub reason: String,
}

impl Hub {
    pub(in crate::flow) fn booking_desk(&self) -> Result<Arc<BookingDesk>, OperateError> {
        let desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        desk.ok_or_else(|| OperateError::NotAvailable("this hub has no reception desk".to_owned()))
    }

    /// The slots that this hub holds, by session.
    ///
    /// # Errors
    /// It has no desk.
    pub fn held_slots(&self) -> Result<Vec<HeldSlots>, OperateError> {
        let desk = self.booking_desk()?;
        let desk = desk.desk();
        let now = self.now();
        let Some(until) = desk.ledger().held_until() else { return Ok(Vec::new()) };
        let sessions =
            desk.catalogues().get(desk.hub()).into_iter().flat_map(|catalogue| &catalogue.sessions);
        let held = sessions.filter_map(|session| {
            let slots = slots(desk.hub(), session, now, until);
            let held = slots.filter(|slot| matches!(desk.ledger().owned(slot), TokenState::Held { .. }));
            let starts: Vec<Timestamp> = held.map(|slot| slot.start).collect();
            let (first, last) = (*starts.first()?, *starts.last()?);
            Some(HeldSlots { session: session.id.clone(), first, last, slots: starts.len() })
        });
        Ok(held.collect())
    }

    /// Lets held slots be sold again, on the word of `by` and of a second person who gives their password. Returns how
    /// many. Blocks; to be called within the runtime, where blocking is allowed.
    ///
    /// # Errors
    /// The second person is not one, or not another; nothing is held there; or the journal does not take it.
    pub fn unlock_slots(&self, unlocking: &Unlocking, by: &str) -> Result<usize, OperateError> {
        if unlocking.reason.trim().is_empty() {
            return Err(OperateError::Invalid("say what shows that the slots are free".to_owned()));
        }
        let accounts = self.accounts().ok_or_else(|| {
            OperateError::NotAvailable(
                "nobody can sign in at this hub, and two people must decide".to_owned(),
            )
        })?;
        let desk = self.booking_desk()?;
        let runtime = Handle::current();
        let (second, password) = (unlocking.second.clone(), unlocking.password.clone());
        let token = runtime
            .block_on(async { accounts.sign_in(&second, password, None).await })
            .map_err(|error| OperateError::Invalid(format!("the second person: {error}")))?;
        let visitor = accounts.visit(token.as_str());
        accounts.sign_out(token.as_str());
        if !visitor.is_some_and(|visitor| visitor.roles.contains(&SECOND)) {
            let text = format!("the second person must have the role {SECOND}");
            return Err(OperateError::Invalid(text));
        }
        let count = runtime.block_on(desk.unlock(unlocking, by))?;
        tracing::warn!(by, second, session = %unlocking.session, count, "held slots are unlocked");
        Ok(count)
    }
}

impl BookingDesk {
    async fn unlock(&self, unlocking: &Unlocking, by: &str) -> Result<usize, OperateError> {
        let mut writer = self.writer.lock().await;
        let (event, count) = {
            let desk = self.desk();
            let catalogue = desk.catalogues().get(desk.hub());
            let session = catalogue.and_then(|catalogue| catalogue.session(&unlocking.session));
            let session = session
                .ok_or_else(|| OperateError::NotFound(format!("the session \"{}\"", unlocking.session)))?;
            let from = unlocking.from.max(self.hub.now());
            let held: Vec<SlotId> = slots(desk.hub(), session, from, unlocking.until)
                .filter(|slot| matches!(desk.ledger().owned(slot), TokenState::Held { .. }))
                .collect();
            if held.is_empty() {
                return Err(OperateError::Conflict("nothing is held there".to_owned()));
            }
            if UNLOCKED_MAX < held.len() {
                let text = format!("at most {UNLOCKED_MAX} slots at once: name a shorter time");
                return Err(OperateError::Invalid(text));
            }
            let people = (by.to_owned(), unlocking.second.clone());
            let event = desk.ledger().unlock(&held, people);
            (event.map_err(|refusal| OperateError::Invalid(refusal.to_string()))?, held.len())
        };
        let act = self.act(
            format!("{by} and {}: {}", unlocking.second, unlocking.reason.trim()),
            vec![Said::Token(event)],
        );
        self.commit(&mut writer, act).await.map_err(|error| OperateError::Failed {
            what: "journalling it".to_owned(),
            source: Box::new(error),
        })?;
        Ok(count)
    }
}

fn slots<'a>(
    hub: &'a HubId,
    session: &'a Session,
    from: Timestamp,
    until: Timestamp,
) -> impl Iterator<Item = SlotId> + 'a {
    let places = move |start| {
        (1..=session.places).map(move |place| SlotId {
            home: hub.clone(),
            session: session.id.clone(),
            start,
            place,
        })
    };
    session.times(from, until).into_iter().flat_map(move |time| places(time.start))
}

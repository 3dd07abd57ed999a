//! Whether a practice's system can be reached, found out before somebody at the desk needs it.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    domain::actor::Requester,
    flow::{
        alarm::AlarmCode,
        ask::{AtFault, GpSystem, Refusal},
        hub::Hub,
        link::Link,
    },
};

use super::{GpConnect, Interaction};

/// How often a practice that answers is asked for its capabilities, and one that does not: a statement of some
/// kilobytes, which says nothing of anybody.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl GpConnect {
    /// Keeps a link's state true, and an alarm while the practice cannot be asked. Does not end.
    pub async fn watch(self: Arc<Self>, hub: &Hub, link: &Link, who: &Requester) {
        let mut connected = false;
        loop {
            let answer = self.asked(who, Interaction::Capabilities, "/metadata", None, None).await;
            let (now, complaints) = (hub.now(), self.complaints());
            let trouble = match answer {
                Err(refusal) if is_out_of_reach(&refusal) => Some(refusal.to_string()),
                _ if complaints.is_empty() => None,
                _ => Some(complaints.join("; ")),
            };
            match &trouble {
                None if !connected => {
                    connected = true;
                    link.connected(now);
                }
                Some(text) => {
                    if connected {
                        connected = false;
                        link.disconnected(now);
                    }
                    link.down(text, now);
                }
                None => {}
            }
            let text = trouble.clone().unwrap_or_default();
            hub.alarms().set(trouble.is_some(), AlarmCode::ListenerDown, link.name(), text, now);
            sleep(if trouble.is_some() { LOOK_AGAIN } else { LOOK_EVERY }).await;
        }
    }
}

/// A practice that says no to this question has been reached.
fn is_out_of_reach(refusal: &Refusal) -> bool {
    matches!(refusal.at_fault, AtFault::Network | AtFault::Hub)
}

//! The audit trail of a hub: where it is, what signs it, and who hands it their deeds.

use std::{path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    flow::audit::{Audit, FileSigner, Options, Parts, verify_signature},
    sys::{clock::Clock, counter::FileCounter},
};

use super::hub::RunningHub;

/// The folder below a hub's state.
pub const FOLDER: &str = "audit";
/// The key in it that signs.
pub const KEY: &str = "key.pk8";
const COUNTER: &str = "counter";

impl RunningHub {
    /// Starts the audit trail, before anybody can sign in or ask for anything. There is no setting for it.
    pub(super) fn start_audit(&mut self, state: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let directory = state.join(FOLDER);
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let key = directory.join(KEY);
        let parts = Parts {
            hub: self.hub.identity().id.clone(),
            disk: self.hub.disk(),
            clock: Arc::clone(clock),
            counter: Arc::new(FileCounter::new(directory.join(COUNTER))),
            signer: Box::new(move || FileSigner::open_or_make(&key)),
            verify: verify_signature,
            options: Options::default(),
            directory,
        };
        let audit = Audit::start(parts).context("cannot start the audit trail's thread")?;
        if let Some(sign_in) = self.hub.accounts() {
            sign_in.attach_audit(Arc::new(audit.clone()));
        }
        self.hub.set_audit(audit.clone());
        self.spawn_until_stop(audit.run(Arc::clone(&self.hub)));
        Ok(())
    }
}

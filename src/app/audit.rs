//! The audit trail of a hub: where it is, what signs it, and who hands it their deeds.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    domain::ids::HubId,
    flow::audit::{Audit, FileSigner, Options, Parts, Report, verify_at_rest},
    sys::{
        clock::Clock,
        counter::FileCounter,
        disk::RealDisk,
        signing::{self, FileKey},
    },
};

use super::hub::RunningHub;

/// The folder below a hub's state.
const FOLDER: &str = "audit";
/// The key in it that signs.
const KEY: &str = "key.pk8";
const COUNTER: &str = "counter";

/// Verifies the trail of a hub that does not run, from its state folder.
///
/// # Errors
/// Its key or its files cannot be read, or the anchor is not signed with that key.
pub fn verify_folder(state: &Path, hub: &HubId, anchor: Option<&str>) -> anyhow::Result<Report> {
    let directory = state.join(FOLDER);
    let path = directory.join(KEY);
    let key = FileKey::open(&path).with_context(|| format!("cannot read the key {}", path.display()))?;
    verify_at_rest(&RealDisk, &directory, hub, &FileSigner::new(key), anchor)
        .with_context(|| format!("cannot verify {}", directory.display()))
}

impl RunningHub {
    /// Starts the audit trail, before anybody can sign in or ask for anything. There is no setting for it.
    pub(super) fn start_audit(&mut self, state: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let directory = state.join(FOLDER);
        // Nobody else on the machine need read who saw whose record.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let key = directory.join(KEY);
        let parts = Parts {
            hub: self.hub.identity().id.clone(),
            organisation: self.hub.identity().ods.clone(),
            disk: self.hub.disk(),
            clock: Arc::clone(clock),
            counter: Arc::new(FileCounter::new(directory.join(COUNTER))),
            signer: Box::new(move || FileSigner::open_or_make(&key)),
            verify: signing::verify,
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

//! The composition root: the only place that knows every room, puts them together and takes them apart.

pub mod audit;
mod booking;
#[cfg(feature = "centre")]
pub mod centre;
mod certificates;
mod deliveries;
#[cfg(feature = "demo")]
pub mod demo;
pub mod hub;
mod identity_provider;
mod links;
mod practices;

use tokio::signal::unix::{SignalKind, signal};

/// Returns when the operating system asks the program to end (SIGTERM or SIGINT).
///
/// # Errors
/// The signals cannot be watched.
pub async fn asked_to_end() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

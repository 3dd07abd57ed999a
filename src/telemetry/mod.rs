//! What the program says about itself while it runs: its log, and the list of its measurements.
//!
//! **Invariant.** No patient data: not in messages, not in fields, not in metrics' labels.

pub mod metrics;

use tracing_subscriber::EnvFilter;

/// Starts the log, on standard error, where systemd's journal takes it from. `POLYGATE_LOG` overrides
/// `level`, in the form of `tracing_subscriber::EnvFilter`. rmqtt and rumqttc speak only of what is wrong.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_env("POLYGATE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},rmqtt=error,rumqttc=error")));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
    debug_assert!(started.is_ok(), "the log is started once");
}

//! How the hub is looked after: the admin socket and its client, health probes, metrics, and systemd.

pub mod health;
pub mod metrics;
pub mod systemd;

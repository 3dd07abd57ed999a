//! How the hub is looked after: the admin socket and its client, health probes, metrics, and systemd.

pub mod activity;
pub mod audits;
pub mod client;
pub mod commands;
pub mod health;
pub mod metrics;
pub mod protocol;
pub mod render;
pub mod socket;
pub mod systemd;
mod table;
pub mod users;

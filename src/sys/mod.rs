//! What the world decides, handed in: clock, entropy, disk and network, with their simulated twins.

pub mod blocking;
pub mod certificate;
pub mod clock;
pub mod counter;
pub mod disk;
pub mod entropy;
pub mod http;
pub mod http_once;
pub mod http_server;
pub mod priority;
pub mod relay;
pub mod serial;
pub mod signing;
pub mod sim_disk;
pub mod tls;
pub mod tunnel;
pub mod url;

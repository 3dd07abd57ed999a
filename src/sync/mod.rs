//! Synchronisation with the centre: the only room that knows MQTT.

pub mod backoff;
pub mod batch;
pub mod courier;
pub mod mqtt;
pub mod outbox;
pub mod uplink;

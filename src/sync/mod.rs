//! Synchronisation with the centre: the only room that knows MQTT.

pub mod uplink;

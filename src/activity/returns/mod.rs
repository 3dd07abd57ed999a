//! The returns that commissioners get.

pub mod xml;

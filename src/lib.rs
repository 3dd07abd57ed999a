//! polygate: the appliance in a polyclinic hub's server cupboard, and the centre's half.
//!
//! One message's way through the rooms, in reading order: bytes arrive at a [`systems`] edge, a
//! [`codec`] frames and parses them, [`flow`] commits them to the [`journal`], and only then is the
//! sender acknowledged. Consumers follow the journal with cursors: [`store`] keeps the record view,
//! [`sync`] carries entries to the [`centre`], which answers with receipts.
//!
//! `ARCHITECTURE.md` has the picture, the table of who may use whom, and where to start reading.

pub mod domain;

pub mod activity;
pub mod booking;
pub mod codec;
pub mod sys;
pub mod telemetry;

pub mod journal;
pub mod store;

pub mod access;

pub mod flow;

pub mod manage;
pub mod portal;
pub mod sync;
pub mod systems;

#[cfg(feature = "centre")]
pub mod centre;

pub mod app;
pub mod cli;
pub mod config;

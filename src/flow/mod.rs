//! What the hub does, one file per deed. The only room that joins journal, store and engines; edges speak
//! to nothing else.

pub mod alarm;
pub mod aside;
pub mod ask;
pub mod audit;
pub mod book;
pub mod cache;
pub mod count;
pub mod deliver;
pub mod disclose;
pub mod elsewhere;
#[cfg(test)]
pub mod fake;
pub mod hub;
pub mod link;
pub mod matches;
pub mod obey;
pub mod operate;
mod operating;
mod parking;
pub mod read;
pub mod receive;
pub mod reception;
pub mod send;
pub mod sign_in;
pub mod status;
pub mod view;
pub mod words;

//! What the hub talks about: identifiers, classes, entries, patients and record items. No I/O.

pub mod actor;
pub mod audit;
pub mod booking;
pub mod contact;
pub mod elsewhere;
pub mod entry;
pub mod ids;
pub mod matching;
pub mod nhs_number;
pub mod one_record;
pub mod record;
pub mod slot;
pub mod time;

//! What keeps people unknown in what analysts get, and whole in what nobody may get.

mod barred;

pub use self::barred::{Bar, Barred};

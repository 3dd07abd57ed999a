//! Pure engines of the reception desk: who owns a slot, what is offered, how visits fit, and what the desk knows.

pub mod act;
pub mod catalogue;
pub mod centre;
pub mod desk;
pub mod planner;
pub mod search;
pub mod token;

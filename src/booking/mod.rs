//! Pure engines of the reception desk: who owns a slot, what is offered, how visits fit, and what the desk knows.

pub mod token;

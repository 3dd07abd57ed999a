//! Laboratory analysers: LIS1-A frames and conversation (CLSI LIS01-A2), LIS2-A2 records (CLSI LIS02-A2).

pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod link;
pub mod record;

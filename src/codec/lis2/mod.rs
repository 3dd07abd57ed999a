//! Laboratory analysers: LIS1-A frames and conversation (CLSI LIS01-A2), LIS2-A2 records (CLSI LIS02-A2).

pub mod frame;
pub mod link;
pub mod record;

//! The whole table, every row: what was written as rows is checked against what was written again as plain rules.

mod cases;
mod documents;
mod questions;
mod situations;
mod times;

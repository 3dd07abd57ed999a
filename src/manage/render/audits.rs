//! What `polygate audit` prints for people: a report in words; all else is JSON.

use std::io::{self, Write};

use serde::Deserialize as _;
use serde_json::Value;

use crate::flow::{audit::Report, words};

/// Writes an answer about the audit trail.
pub(super) fn write(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    match Report::deserialize(answer) {
        Ok(report) => write_report(&report, out),
        Err(_) => writeln!(out, "{answer:#}"),
    }
}

/// A report: sound, or the first thing that is wrong.
pub(super) fn write_report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report { lines, checkpoints, newest, unsigned, incarnations, first_bad, fault_count, faults } =
        report;
    if report.is_sound() {
        writeln!(out, "sound: {lines} lines up to {newest}, {checkpoints} checkpoints")?;
    } else {
        let from = first_bad.as_deref().unwrap_or_default();
        writeln!(out, "DAMAGED from line {from} on: {fault_count} faults in {lines} lines up to {newest}")?;
        for fault in faults {
            writeln!(out, "  behind line {}: {}", fault.behind, words::line(&fault.what))?;
        }
    }
    if 1 < *incarnations {
        writeln!(out, "the trail began anew {} times; see lines audit.begin-anew", incarnations - 1)?;
    }
    writeln!(out, "{unsigned} lines are not signed yet")
}

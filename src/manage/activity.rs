//! The hub's side of `polygate activity`: how a month adds up, and the files that are built of it.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    domain::contact::{ContactId, Month},
    flow::{
        count::{BookError, ContactEntry, Counting, MonthSummary, ReturnKind, Version},
        operate::Operate,
    },
};

use super::protocol::{Fault, FaultKind, chain};

/// Contacts in one answer: some 300 bytes each.
const CONTACTS_MAX: usize = 20_000;

/// What an operator asks of what is counted.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(tag = "deed", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ActivityRequest {
    /// Whether a month adds up, and what is wrong with it.
    Check {
        /// Which; this one if none is given.
        month: Option<Month>,
    },
    /// A month's contacts, without any name or number of a patient.
    Contacts {
        /// Which.
        month: Month,
    },
    /// One contact, and why it is counted where it is.
    Contact {
        /// Which.
        id: ContactId,
    },
    /// Build the next version of a month's returns.
    Build {
        /// Which month.
        month: Month,
        /// Which; all into which something goes, if none are named.
        kinds: Vec<ReturnKind>,
    },
    /// What was built.
    Files,
    /// A version was submitted.
    Submitted {
        /// Of which month.
        month: Month,
        /// Which return.
        kind: ReturnKind,
        /// Which version.
        version: Version,
    },
    /// A receiver's report.
    Answer {
        /// On which return.
        kind: ReturnKind,
        /// The report, as CSV.
        report: String,
    },
}

impl ActivityRequest {
    /// The deed, as the audit trail has it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Build { .. } => "activity.build",
            Self::Submitted { .. } => "activity.submitted",
            Self::Answer { .. } => "activity.answer",
            Self::Check { .. } | Self::Contacts { .. } | Self::Contact { .. } | Self::Files => {
                "activity.read"
            }
        }
    }

    /// Whether it changes anything, and so goes on record.
    pub const fn changes(&self) -> bool {
        matches!(self, Self::Build { .. } | Self::Submitted { .. } | Self::Answer { .. })
    }
}

/// Does what was asked. May take seconds.
///
/// # Errors
/// Nothing is counted here, the month cannot be read, or the return cannot be built.
pub fn answer(hub: &dyn Operate, request: ActivityRequest) -> Result<Value, Fault> {
    let counting = hub.counting();
    let counting =
        counting.ok_or_else(|| Fault::new(FaultKind::NotAvailable, "this hub counts no contacts"))?;
    let now = counting.now();
    let failed = |error: io::Error| Fault::new(FaultKind::Failed, chain(&error));
    let book = |error: BookError| {
        let kind = match &error {
            BookError::NoSettings => FaultKind::NotAvailable,
            BookError::Shelf(_) => FaultKind::Conflict,
            BookError::Report(_) => FaultKind::Invalid,
            _ => FaultKind::Failed,
        };
        Fault::new(kind, chain(&error))
    };
    Ok(match request {
        ActivityRequest::Check { month } => {
            let month = month.or_else(|| Month::at(now));
            let month = month
                .ok_or_else(|| Fault::new(FaultKind::Failed, "the clock stands outside of any calendar"))?;
            check(&counting, month, now).map_err(failed)?
        }
        ActivityRequest::Contacts { month } => {
            let entries = counting.entries(month, now).map_err(failed)?;
            let (more, rows) = (CONTACTS_MAX < entries.len(), entries.iter().take(CONTACTS_MAX).map(row));
            json!({ "contacts": rows.collect::<Vec<_>>(), "more": more })
        }
        ActivityRequest::Contact { id } => {
            let found = counting.entry(id, now);
            let found = found.ok_or_else(|| {
                Fault::new(FaultKind::NotFound, "there is no such contact in an open month")
            })?;
            whole(&found)
        }
        ActivityRequest::Build { month, kinds } => {
            json!({ "built": counting.build(month, &kinds, now).map_err(book)? })
        }
        ActivityRequest::Files => json!({ "built": counting.builds(), "folder": counting.folder() }),
        ActivityRequest::Submitted { month, kind, version } => {
            counting.submitted((month, kind, version), now).map_err(book)?;
            json!({ "submitted": true })
        }
        ActivityRequest::Answer { kind, report } => {
            let answers = counting.answer(kind, report.as_bytes()).map_err(book)?;
            let (accepted, rejected) = answers.counts();
            let faults: Vec<String> = answers.faults.iter().map(ToString::to_string).collect();
            json!({ "accepted": accepted, "rejected": rejected, "faults": faults })
        }
    })
}

fn check(counting: &Counting, month: Month, now: crate::domain::time::Timestamp) -> io::Result<Value> {
    let account = counting.account(month, now)?;
    let status = counting.status();
    let summary = MonthSummary::of(&account.funnel, month);
    let unmapped: Vec<Value> = account
        .unmapped
        .iter()
        .map(|(system, slot, count)| {
            json!({ "system": system, "clinic": slot.clinic, "slot": slot.slot, "contacts": count })
        })
        .collect();
    let findings: Vec<Value> = account
        .findings
        .iter()
        .map(|(rule, count)| json!({ "rule": rule, "contacts": count, "what": counting.rule(rule) }))
        .collect();
    Ok(json!({
        "adds-up": summary.adds_up() && status.refused == 0 && status.caught_up,
        "caught-up": status.caught_up,
        "refused": status.refused,
        "summary": summary,
        "findings": findings,
        "unmapped": unmapped,
    }))
}

fn row(entry: &ContactEntry) -> Value {
    let contact = &entry.contact;
    json!({
        "id": contact.id.to_string(),
        "version": contact.version,
        "hub": contact.hub,
        "day": contact.day,
        "service": contact.service,
        "kind": contact.kind,
        "state": contact.state,
        "return": entry.route.dataset,
        "excluded": entry.route.excluded,
        "row": entry.route.row,
        "statements": contact.evidence.len(),
        "findings": entry.findings.iter().map(|finding| finding.rule.id).collect::<Vec<_>>(),
    })
}

fn whole(entry: &ContactEntry) -> Value {
    let mut value = row(entry);
    let evidence: Vec<Value> = entry
        .contact
        .evidence
        .iter()
        .map(|cited| {
            json!({ "system": cited.id.system, "entry": cited.id.entry, "said": cited.said, "at": cited.at.to_string() })
        })
        .collect();
    let conflicts = entry.contact.conflicts.iter();
    let conflicts: Vec<Value> =
        conflicts.map(|conflict| json!({ "about": conflict.about, "why": conflict.why })).collect();
    value["why"] = json!(entry.route.why);
    value["confirmed-rule"] = json!(entry.route.is_confirmed);
    value["state-decided-by"] = json!(entry.contact.state_why);
    value["evidence"] = json!(evidence);
    value["conflicts"] = json!(conflicts);
    value
}

/// Writes an answer for people.
///
/// # Errors
/// The output cannot be written.
pub fn write(request: &ActivityRequest, answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    match request {
        ActivityRequest::Check { .. } => write_check(answer, out),
        ActivityRequest::Contacts { .. } => {
            for row in answer["contacts"].as_array().into_iter().flatten() {
                let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
                let route = if row["return"].is_null() { text("excluded") } else { text("return") };
                let (id, day, service, state) = (text("id"), text("day"), text("service"), text("state"));
                writeln!(out, "{day}  {id}  {service:<20}  {state:<22}  {route}  ({})", text("row"))?;
            }
            if answer["more"] == json!(true) {
                writeln!(out, "… and more: only the first {CONTACTS_MAX} are listed")?;
            }
            Ok(())
        }
        ActivityRequest::Contact { .. } => writeln!(out, "{answer:#}"),
        ActivityRequest::Build { .. } | ActivityRequest::Files => write_files(answer, out),
        ActivityRequest::Submitted { .. } => writeln!(out, "noted: it was submitted"),
        ActivityRequest::Answer { .. } => {
            writeln!(out, "accepted {}, rejected {}", answer["accepted"], answer["rejected"])?;
            for fault in answer["faults"].as_array().into_iter().flatten() {
                writeln!(out, "not taken: {}", fault.as_str().unwrap_or_default())?;
            }
            Ok(())
        }
    }
}

fn write_check(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let summary = &answer["summary"];
    let adds_up = answer["adds-up"] == json!(true);
    writeln!(
        out,
        "{}: {} contacts, {}",
        summary["month"].as_str().unwrap_or_default(),
        summary["contacts"],
        if adds_up { "every sum comes out" } else { "it does NOT add up" }
    )?;
    write_outcomes("booked", &summary["booked"], out)?;
    write_outcomes("without a booking", &summary["unbooked"], out)?;
    writeln!(out, "attended          {}", summary["attended"])?;
    for (title, part) in [("routed to", "routed"), ("in no return", "excluded")] {
        for (name, count) in summary[part].as_object().into_iter().flatten() {
            writeln!(out, "  {title} {name:<20} {count}")?;
        }
    }
    writeln!(
        out,
        "receivers         accepted {}, rejected {}, awaited {}",
        summary["accepted"], summary["rejected"], summary["awaiting"]
    )?;
    for residue in summary["residues"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "RESIDUE           {} at {} {}: {}",
            residue["sum"], residue["hub"], residue["service"], residue["by"]
        )?;
    }
    if answer["caught-up"] != json!(true) {
        writeln!(out, "not all that is journalled is counted yet")?;
    }
    if answer["refused"] != json!(0) {
        writeln!(out, "{} statements could not be counted; see the log", answer["refused"])?;
    }
    for finding in answer["findings"].as_array().into_iter().flatten() {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        writeln!(out, "{:<8} {:>6}  {}", text("rule"), finding["contacts"], text("what"))?;
    }
    for slot in answer["unmapped"].as_array().into_iter().flatten() {
        writeln!(
            out,
            "unmapped {:>6}  system {}, clinic {}, slot {}",
            slot["contacts"], slot["system"], slot["clinic"], slot["slot"]
        )?;
    }
    Ok(())
}

fn write_outcomes(title: &str, outcomes: &Value, out: &mut dyn Write) -> io::Result<()> {
    let count = |name: &str| outcomes[name].as_i64().unwrap_or_default();
    writeln!(
        out,
        "{title:<17} {} = attended {} + did not attend {} + not seen {} + cancelled by patient {} + by provider {} \
         + closed {} + outstanding {}",
        count("opened"),
        count("attended"),
        count("did-not-attend"),
        count("not-seen"),
        count("cancelled-by-patient"),
        count("cancelled-by-provider"),
        count("closed-unseen"),
        count("outstanding")
    )
}

fn write_files(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    let built = answer["built"].as_array();
    if built.is_none_or(Vec::is_empty) {
        writeln!(out, "nothing was built")?;
    }
    for build in built.into_iter().flatten() {
        let text = |name: &str| build[name].as_str().unwrap_or_default().to_owned();
        let state = if build["submitted"].is_null() { "built" } else { "submitted" };
        writeln!(out, "{} {} version {} ({state})", text("kind"), text("period"), build["version"])?;
        for file in build["files"].as_array().into_iter().flatten() {
            let text = |name: &str| file[name].as_str().unwrap_or_default();
            writeln!(
                out,
                "  {:<48} {:>8} rows {:>10} bytes  {}",
                text("name"),
                file["rows"],
                file["bytes"],
                text("sha256")
            )?;
        }
    }
    if let Some(folder) = answer["folder"].as_str() {
        writeln!(out, "in {folder}")?;
    }
    Ok(())
}

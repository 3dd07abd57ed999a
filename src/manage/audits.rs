//! The hub's side of `polygate audit`, and the deeds of operators on record.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    access::audit::{Line, Outcome, hexadecimal},
    domain::{
        nhs_number::NhsNumber,
        time::{ClockQuality, Timestamp},
    },
    flow::{
        audit::{Audit, Found, LineId, Proof},
        operate::Operate,
    },
};

use super::protocol::{AdminRequest, Fault, FaultKind, chain};

/// From where operators ask.
const DEVICE: &str = "admin socket";
/// Lines in one answer: with the longest reasons 4 MB.
const LINES_MAX: usize = 1_000;

/// What an operator asks of the audit trail.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(tag = "deed", rename_all = "kebab-case", deny_unknown_fields)]
pub enum AuditRequest {
    /// Whether anything was changed.
    Verify {
        /// A checkpoint that was kept elsewhere, as a signed note.
        anchor: Option<String>,
    },
    /// The next lines.
    Export {
        /// Which.
        filter: ExportFilter,
        /// Behind the line that the answer before ended with.
        from_line: Option<LineId>,
        /// Why patients and people's reasons are needed, if they are; goes on record.
        reason: Option<String>,
    },
    /// The proof that a line is there.
    Prove {
        /// Which.
        line: LineId,
    },
    /// One line.
    Show {
        /// Which.
        line: LineId,
        /// Why its patient and its reason are needed, if they are; goes on record.
        reason: Option<String>,
    },
}

/// Which lines are meant; a field that is not set matches all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportFilter {
    /// At this moment or later, by the wall clock.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// About this patient: newest first.
    pub patient: Option<NhsNumber>,
    /// Of this user: newest first.
    pub user: Option<String>,
}

/// Does what was asked; `by` is who asked. Blocks.
///
/// # Errors
/// The hub has no trail, the line is not there, or the disk fails.
pub fn answer(audit: Option<&Audit>, request: AuditRequest, by: &str) -> Result<Value, Fault> {
    let audit = audit.ok_or_else(|| {
        Fault::new(FaultKind::NotAvailable, "this hub has no audit trail: nothing is disclosed here")
    })?;
    match request {
        AuditRequest::Verify { anchor } => {
            let report = audit.verify(anchor.as_deref()).map_err(|error| failed(&error))?;
            serde_json::to_value(report).map_err(|error| failed(&error))
        }
        AuditRequest::Export { filter, from_line, reason } => {
            seen(audit, "audit.export", &filter, reason.as_deref(), by)?;
            export(audit, &filter, from_line, reason.is_some())
        }
        AuditRequest::Show { line, reason } => {
            let filter = ExportFilter::default();
            seen(audit, "audit.show", &filter, reason.as_deref(), by)?;
            let found = audit.line(line).map_err(|error| failed(&error))?;
            found.map(|found| shown(&found, reason.is_some())).ok_or_else(|| unknown(line))
        }
        AuditRequest::Prove { line } => prove(audit, line),
    }
}

/// That somebody looks into the trail is on record before they see anything.
fn seen(
    audit: &Audit,
    deed: &str,
    filter: &ExportFilter,
    reason: Option<&str>,
    by: &str,
) -> Result<(), Fault> {
    let line = Line {
        at: audit.now(),
        user: by.to_owned(),
        device: DEVICE.to_owned(),
        deed: deed.to_owned(),
        patient: filter.patient,
        handle: filter.user.clone().unwrap_or_default(),
        reason: reason.unwrap_or_default().to_owned(),
        ..Line::default()
    };
    audit.write_blocking(line).map(drop).map_err(|error| stopped(&error))
}

fn export(
    audit: &Audit,
    filter: &ExportFilter,
    from_line: Option<LineId>,
    reveals: bool,
) -> Result<Value, Fault> {
    let found = match (&filter.patient, &filter.user) {
        (Some(patient), _) => audit.find_by_patient(patient, from_line, LINES_MAX),
        (None, Some(user)) => audit.find_by_user(user, from_line, LINES_MAX),
        (None, None) => audit.after(from_line.unwrap_or_default(), LINES_MAX),
    };
    let found = found.map_err(|error| failed(&error))?;
    let next = found.last().map(|last| last.id).filter(|_| found.len() == LINES_MAX);
    let is_meant = |found: &&Found| {
        filter.from.is_none_or(|from| from <= found.line.at)
            && filter.to.is_none_or(|to| found.line.at < to)
            && filter.user.as_ref().is_none_or(|user| found.line.user == *user)
    };
    let lines: Vec<Value> = found.iter().filter(is_meant).map(|found| shown(found, reveals)).collect();
    Ok(json!({"lines": lines, "next": next}))
}

/// The proof; what is not signed yet is signed first.
fn prove(audit: &Audit, line: LineId) -> Result<Value, Fault> {
    if audit.line(line).map_err(|error| failed(&error))?.is_none() {
        return Err(unknown(line));
    }
    let mut proof = audit.prove(line).map_err(|error| failed(&error))?;
    if proof.is_none() {
        audit.checkpoint_blocking().map_err(|error| stopped(&error))?;
        proof = audit.prove(line).map_err(|error| failed(&error))?;
    }
    let Some(Proof { id, seal, leaf, index, path, signed }) = proof else {
        let what =
            format!("line {line} is of an earlier beginning of the trail, which is not signed any more");
        return Err(Fault::new(FaultKind::Conflict, what).then("polygate audit verify"));
    };
    let seal: String = seal.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({
        "line": id,
        "seal": seal,
        "leaf": hexadecimal(&leaf),
        "index": index,
        "path": path.iter().map(hexadecimal).collect::<Vec<_>>(),
        "checkpoint": signed.note,
    }))
}

/// A line as one JSON object. Whose it is, and people's own words, only with a reason.
fn shown(found: &Found, reveals: bool) -> Value {
    let Line { at, user, name, roles, job_role, organisation, device, deed, outcome, .. } = &found.line;
    let mut shown = json!({
        "line": found.id,
        "at": at.to_string(),
        "user": user,
        "name": name,
        "roles": roles,
        "job_role": job_role,
        "organisation": organisation,
        "device": device,
        "deed": deed,
        "outcome": outcome.word(),
        "handle": found.line.handle,
        "ground": found.line.ground,
        "has_patient": found.line.patient.is_some(),
        "has_reason": !found.line.reason.is_empty(),
        "shown": found.line.shown.as_ref().map(hexadecimal),
        "trace": found.line.trace,
        "start": found.seal.moment.start,
        "elapsed_ms": found.seal.moment.elapsed_ms,
        "written_at": found.seal.moment.wall.to_string(),
        "clock_synchronised": found.seal.moment.clock == ClockQuality::Synchronised,
        "hash": hexadecimal(&found.seal.hash()),
    });
    if let (true, Some(fields)) = (reveals, shown.as_object_mut()) {
        fields.insert("patient".to_owned(), json!(found.line.patient));
        fields.insert("reason".to_owned(), json!(found.line.reason));
    }
    shown
}

/// What an operator's request does, as it goes on record: its line, and whether it shows something of a patient, so that
/// the line must be durable first. None for what shows and changes nothing, and for what is put on record elsewhere.
fn deed_of(request: &AdminRequest, by: &str, now: Timestamp) -> Option<(Line, bool)> {
    let line = |deed: &str, handle: String, reason: Option<&String>| Line {
        at: now,
        user: by.to_owned(),
        device: DEVICE.to_owned(),
        deed: deed.to_owned(),
        handle,
        reason: reason.cloned().unwrap_or_default(),
        ..Line::default()
    };
    let about = |line: Line, patient: &NhsNumber| Line { patient: Some(*patient), ..line };
    Some(match request {
        AdminRequest::MessageShow { id, reveal } => {
            (line("message.show", id.to_string(), Some(reveal.as_ref()?)), true)
        }
        AdminRequest::ParkedShow { number, reveal } => {
            (line("parked.show", number.to_string(), Some(reveal.as_ref()?)), true)
        }
        AdminRequest::ParkedRelease { number } => (line("parked.release", number.to_string(), None), false),
        AdminRequest::ParkedSkip { number, reason } => {
            (line("parked.skip", number.to_string(), Some(reason)), false)
        }
        AdminRequest::ParkedResend { to, reveal, confirmed, .. } if *confirmed || reveal.is_some() => {
            (line("parked.resend", to.clone(), reveal.as_ref()), reveal.is_some())
        }
        AdminRequest::RecordShow { nhs_number, reveal, .. } => {
            let line = line("record.show", String::new(), reveal.as_ref());
            (about(line, nhs_number), reveal.is_some())
        }
        AdminRequest::RecordPurge { nhs_number, reason } => {
            (about(line("record.purge", String::new(), Some(reason)), nhs_number), false)
        }
        AdminRequest::MatchShow { id, reveal } => {
            (line("match.show", id.as_str().to_owned(), Some(reveal.as_ref()?)), true)
        }
        AdminRequest::MatchDecide { id, link, reason } => {
            let deed = if *link { "match.link" } else { "match.keep-apart" };
            (line(deed, id.as_str().to_owned(), Some(reason)), false)
        }
        AdminRequest::SlotsUnlock { session, second, reason, .. } => {
            (line("booking.unlock", format!("{session} with {second}"), Some(reason)), false)
        }
        AdminRequest::Activity(request) if request.changes() => {
            (line(request.word(), String::new(), None), false)
        }
        AdminRequest::Activity(_)
        | AdminRequest::Status
        | AdminRequest::Queue
        | AdminRequest::Doctor
        | AdminRequest::MessageFind { .. }
        | AdminRequest::ParkedList
        | AdminRequest::ParkedResend { .. }
        | AdminRequest::User(_)
        | AdminRequest::MatchList
        | AdminRequest::SlotsHeld
        | AdminRequest::Audit(_)
        | AdminRequest::Wan { .. } => return None,
    })
}

/// Does a deed with its line on record: before it, and durably, if it shows something of a patient; else after it, with
/// what came of it, so that a hub whose disk is full can still be mended.
///
/// # Errors
/// The deed's own; or the trail is stopped, and something would be shown.
pub(super) fn on_record(
    hub: &dyn Operate,
    request: &AdminRequest,
    by: &str,
    deed: impl FnOnce() -> Result<Value, Fault>,
) -> Result<Value, Fault> {
    let Some(audit) = hub.audit() else { return deed() };
    let Some((line, shows)) = deed_of(request, by, audit.now()) else { return deed() };
    if shows {
        audit.write_blocking(line.clone()).map_err(|error| stopped(&error))?;
    }
    let done = deed();
    let outcome = match &done {
        Ok(_) => Outcome::Done,
        Err(fault) if matches!(fault.kind, FaultKind::Refused | FaultKind::Invalid) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    };
    if !shows || outcome != Outcome::Done {
        audit.note_line(Line { outcome, ..line });
    }
    done
}

fn stopped(error: &dyn std::error::Error) -> Fault {
    Fault::new(FaultKind::Failed, error.to_string()).then("polygate doctor; free disk space")
}

fn failed(error: &dyn std::error::Error) -> Fault {
    Fault::new(FaultKind::Failed, format!("reading the audit trail failed: {}", chain(error)))
        .then("polygate audit verify")
}

fn unknown(line: LineId) -> Fault {
    Fault::new(FaultKind::NotFound, format!("line {line} is not in the audit trail"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::{
            audit::fake::{Bench, line, patient},
            fake::{self, FakeHub},
        },
        manage::commands,
        sys::sim_disk::{Fault as DiskFault, FaultKind as Failing},
    };

    /// A hub with a trail of so many lines.
    fn hub(bench: &Bench, lines: usize) -> FakeHub {
        let hub = FakeHub::new(fake::calm());
        let audit = bench.start();
        for number in 0..lines {
            audit.write_blocking(line(number)).unwrap();
        }
        assert!(hub.audit.set(audit).is_ok());
        hub
    }

    fn ask(hub: &FakeHub, request: &str) -> Result<Value, Fault> {
        commands::answer(hub, serde_json::from_str(request).unwrap(), "uid 7")
    }

    /// Deeds of the operator, newest first, once so many are on record.
    fn deeds(hub: &FakeHub, count: usize) -> Vec<Line> {
        loop {
            let found = hub.audit().unwrap().find_by_user("uid 7", None, 100).unwrap();
            if count <= found.len() {
                return found.into_iter().map(|found| found.line).collect();
            }
            std::thread::yield_now();
        }
    }

    const REVEAL: &str =
        r#"{"request":"record-show","nhs_number":"9990000018","kind":null,"reveal":"wrong ward"}"#;

    #[test]
    fn what_shows_a_patient_is_on_record_before_it_is_shown_or_is_not_shown() {
        let bench = Bench::new("north");
        let hub = hub(&bench, 1);
        assert!(ask(&hub, REVEAL).unwrap()["content"].is_object());
        let on_record = &deeds(&hub, 1)[0];
        assert_eq!((on_record.deed.as_str(), on_record.reason.as_str()), ("record.show", "wrong ward"));
        assert_eq!(on_record.patient, Some(patient(0)));
        bench.disk.inject(Some(DiskFault { at_call: 0, kind: Failing::Full, sticky: true }));
        let refused = ask(&hub, REVEAL).unwrap_err();
        assert!(refused.message.contains("audit"), "{refused:?}");
        assert_eq!(hub.deeds.lock().unwrap().len(), 1, "the hub was not even asked");
        // The hub can still be mended.
        let release = r#"{"request":"parked-skip","number":3,"reason":"test data"}"#;
        assert!(ask(&hub, release).is_ok());
        bench.disk.inject(None);
    }

    #[test]
    fn changes_and_refusals_are_on_record_with_what_came_of_them() {
        let bench = Bench::new("north");
        let hub = hub(&bench, 1);
        ask(&hub, r#"{"request":"parked-skip","number":3,"reason":"test data"}"#).unwrap();
        ask(&hub, r#"{"request":"parked-skip","number":3,"reason":" "}"#).unwrap_err();
        let on_record = deeds(&hub, 2);
        let outcomes: Vec<_> = on_record.iter().map(|line| (line.deed.as_str(), line.outcome)).collect();
        assert_eq!(outcomes, [("parked.skip", Outcome::Refused), ("parked.skip", Outcome::Done)]);
        ask(&hub, r#"{"request":"queue"}"#).unwrap();
        assert_eq!(deeds(&hub, 2).len(), 2, "what shows nobody's data is not");
    }

    #[test]
    fn an_export_shows_patients_only_with_a_reason_and_is_itself_on_record() {
        let bench = Bench::new("north");
        let hub = hub(&bench, 1_200);
        let export =
            |more: &str| ask(&hub, &format!(r#"{{"request":"audit","deed":"export"{more}}}"#)).unwrap();
        let first = export(r#","filter":{},"from_line":null,"reason":null"#);
        let lines = first["lines"].as_array().unwrap();
        assert_eq!((lines.len(), first["next"].as_str()), (1_000, Some("1-1000")));
        assert!(lines.iter().all(|line| line.get("patient").is_none() && line.get("reason").is_none()));
        let rest = export(r#","filter":{},"from_line":"1-1000","reason":null"#);
        // The start itself and both exports are lines too.
        assert_eq!((rest["lines"].as_array().unwrap().len(), rest["next"].as_str()), (203, None));
        let theirs =
            export(r#","filter":{"patient":"9990000026"},"from_line":null,"reason":"she asks who looked""#);
        let theirs = theirs["lines"].as_array().unwrap().clone();
        // Whoever looks for a patient is among those who looked.
        assert_eq!(theirs.len(), 301);
        assert!(theirs.iter().all(|line| line["patient"] == "9990000026"));
        let on_record = deeds(&hub, 3);
        assert_eq!(
            (on_record[0].deed.as_str(), on_record[0].reason.as_str()),
            ("audit.export", "she asks who looked")
        );
    }

    #[test]
    fn a_proof_shows_no_word_of_its_line_and_a_report_is_sound() {
        let bench = Bench::new("north");
        let hub = hub(&bench, 30);
        let proof = ask(&hub, r#"{"request":"audit","deed":"prove","line":"1-17"}"#).unwrap();
        assert_eq!((proof["line"].as_str(), proof["index"].as_u64()), (Some("1-17"), Some(16)));
        assert!(!proof.to_string().contains("999") || !proof.to_string().contains("Okafor"));
        assert!(proof["checkpoint"].as_str().unwrap().starts_with("polygate/north/1\n31\n"));
        let anchor = serde_json::to_string(&proof["checkpoint"]).unwrap();
        let verify = format!(r#"{{"request":"audit","deed":"verify","anchor":{anchor}}}"#);
        assert_eq!(ask(&hub, &verify).unwrap()["fault_count"], 0);
        let missing =
            ask(&hub, r#"{"request":"audit","deed":"show","line":"1-99","reason":null}"#).unwrap_err();
        assert_eq!(missing.kind, FaultKind::NotFound);
        let shown = ask(&hub, r#"{"request":"audit","deed":"show","line":"1-3","reason":null}"#).unwrap();
        assert_eq!((shown["user"].as_str(), shown.get("patient")), (Some("user-1"), None));
        let without = FakeHub::new(fake::calm());
        assert_eq!(ask(&without, &verify).unwrap_err().kind, FaultKind::NotAvailable);
    }
}

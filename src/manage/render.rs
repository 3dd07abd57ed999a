//! What the admin commands print: tables for people, JSON for scripts.
//!
//! Answers are read into narrow views of what a hub sends, so that a newer hub may send more.

mod audits;
mod person;
mod status;
mod users;

use std::io::{self, Write};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    domain::time::{ClockQuality, Timestamp},
    flow::{
        audit::Report,
        operate::{
            CaseSummary, Check, CheckState, FoundMessage, MessageDetail, MessageState, ParkedEntry, Preview,
        },
        words,
    },
};

use super::{
    activity::{self, ActivityRequest},
    audits::AuditRequest,
    client::{Exit, Output},
    protocol::AdminRequest,
    table::{Cell, Tone, paint, table},
};

/// Writes a hub's answer to `out`, and remarks to `err`.
///
/// # Errors
/// Writing fails, or the answer is not one to this request.
pub fn write(
    request: &AdminRequest,
    answer: &Value,
    output: Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    if output.json {
        return write_json(answer, out);
    }
    let colour = output.colour;
    match request {
        AdminRequest::Status => status::write(&read(answer)?, colour, out)?,
        AdminRequest::Queue => write_queue(&read::<Vec<QueueView>>(answer)?, colour, out)?,
        AdminRequest::Doctor => write_checks(&read::<Vec<Check>>(answer)?, colour, out)?,
        AdminRequest::MessageFind { filter } => {
            let found: Vec<FoundMessage> = read(answer)?;
            write_messages(&found, colour, out)?;
            if found.is_empty() {
                writeln!(err, "no message matches")?;
            } else if found.len() == filter.limit {
                writeln!(
                    err,
                    "{} shown, the newest; there may be more: raise --limit or narrow the search",
                    found.len()
                )?;
            }
        }
        AdminRequest::MessageShow { .. } => write_message(&read(answer)?, colour, out)?,
        AdminRequest::ParkedList => {
            let parked: Vec<ParkedEntry> = read(answer)?;
            write_parked(&parked, colour, out)?;
            if parked.is_empty() {
                writeln!(err, "nothing is parked")?;
            }
        }
        AdminRequest::ParkedShow { .. } => write_preview(&read(answer)?, out)?,
        AdminRequest::ParkedRelease { number } => writeln!(out, "parked entry {number} is sent once more")?,
        AdminRequest::ParkedSkip { number, .. } => writeln!(out, "parked entry {number} is given up")?,
        AdminRequest::ParkedResend { to, confirmed, .. } => {
            write_preview(&read(answer)?, out)?;
            if *confirmed {
                writeln!(err, "it is on its way to {}", words::line(to))?;
            } else {
                writeln!(err, "nothing has been sent: add --yes to send this to {}", words::line(to))?;
            }
        }
        AdminRequest::Activity(request) => activity::write(request, answer, out)?,
        AdminRequest::Audit(_) => audits::write(answer, out)?,
        AdminRequest::User(request) => users::write(request, answer, colour, out, err)?,
        AdminRequest::RecordShow { .. } => person::write_record(&read(answer)?, colour, out, err)?,
        AdminRequest::RecordPurge { .. } => person::write_purged(&read(answer)?, out)?,
        AdminRequest::MatchList => person::write_cases(&read::<Vec<CaseSummary>>(answer)?, colour, out, err)?,
        AdminRequest::MatchShow { .. } => person::write_case(&read(answer)?, colour, out, err)?,
        AdminRequest::MatchDecide { id, link, .. } => {
            let what =
                if *link { "linked to the holders of its number" } else { "kept apart from its number" };
            writeln!(out, "case {id}: {what}")?;
            writeln!(
                err,
                "it counts within a second; to see what became of it: polygate record show NHS-NUMBER"
            )?;
        }
        AdminRequest::SlotsHeld => write_held(&read::<Vec<Held>>(answer)?, colour, out)?,
        AdminRequest::SlotsUnlock { .. } => {
            writeln!(out, "{} slots are sold again", answer.get("unlocked").unwrap_or(&Value::Null))?;
        }
        AdminRequest::Wan { connected } => {
            writeln!(out, "the WAN is {}", if *connected { "connected" } else { "cut" })?;
        }
    }
    out.flush()
}

/// Writes what verifying an audit trail found, for people.
///
/// # Errors
/// Writing fails.
pub fn write_audit_report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    audits::write_report(report, out)
}

/// What a script learns from an answer: [`Exit::Degraded`] if it says that something needs attention.
pub fn exit(request: &AdminRequest, answer: &Value) -> Exit {
    let checked_well = |check: &Value| check["state"] == "ok";
    let well = match request {
        AdminRequest::Status => answer["condition"] == "ok",
        AdminRequest::Doctor => answer.as_array().is_some_and(|checks| checks.iter().all(checked_well)),
        AdminRequest::Activity(ActivityRequest::Check { .. }) if answer["adds-up"] != true => {
            return Exit::Failed;
        }
        AdminRequest::Audit(AuditRequest::Verify { .. }) if answer["fault_count"] != 0 => {
            return Exit::Failed;
        }
        _ => true,
    };
    if well { Exit::Ok } else { Exit::Degraded }
}

#[derive(Deserialize)]
pub(super) struct QueueView {
    pub(super) class: String,
    pub(super) entries: u64,
    pub(super) oldest: Option<Timestamp>,
    pub(super) oldest_age_seconds: u64,
}

fn read<T: DeserializeOwned>(answer: &Value) -> io::Result<T> {
    T::deserialize(answer).map_err(io::Error::other)
}

/// Lists are one document a line, anything else is one document.
fn write_json(answer: &Value, out: &mut dyn Write) -> io::Result<()> {
    match answer {
        Value::Array(items) => items.iter().try_for_each(|item| writeln!(out, "{item}")),
        document => writeln!(out, "{document}"),
    }
}

fn write_queue(queue: &[QueueView], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |queue: &QueueView| {
        let age = std::time::Duration::from_secs(queue.oldest_age_seconds);
        let oldest = queue.oldest.map_or_else(|| "-".to_owned(), |_| words::duration(age));
        vec![Cell::text(&queue.class), Cell::number(queue.entries), Cell::text(&oldest)]
    };
    table(&["CLASS", "ENTRIES", "OLDEST"], queue.iter().map(row).collect(), colour, out)
}

/// Slots of one session that the desk holds.
#[derive(Deserialize)]
struct Held {
    session: String,
    first: Timestamp,
    last: Timestamp,
    slots: u64,
}

fn write_held(held: &[Held], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    if held.is_empty() {
        return writeln!(out, "no slot is held");
    }
    let row = |held: &Held| {
        let moment = |at: Timestamp| Cell::text(&at.to_string());
        vec![Cell::text(&held.session), moment(held.first), moment(held.last), Cell::number(held.slots)]
    };
    table(&["SESSION", "FIRST", "LAST", "SLOTS"], held.iter().map(row).collect(), colour, out)
}

fn write_checks(checks: &[Check], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for check in checks {
        let (word, tone) = match check.state {
            CheckState::Ok => ("ok  ", Tone::Good),
            CheckState::Warn => ("warn", Tone::Attention),
            CheckState::Failed => ("FAIL", Tone::Bad),
        };
        let (name, detail) = (words::line(&check.name), words::line(&check.detail));
        writeln!(out, "{}  {name}: {detail}", paint(word, tone, colour))?;
        if !check.next_step.is_empty() {
            writeln!(out, "      next: {}", words::line(&check.next_step))?;
        }
    }
    Ok(())
}

fn write_messages(found: &[FoundMessage], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |message: &FoundMessage| {
        vec![
            Cell::text(&message.at.to_string()),
            Cell::text(&message.id),
            Cell::text(&message.system),
            Cell::text(&message.kind),
            Cell::text(&message.source_id),
            Cell::text(message.state.word()).toned(state_tone(message.state)),
        ]
    };
    let heads = ["ACCEPTED AT", "ID", "SYSTEM", "KIND", "SOURCE ID", "STATE"];
    table(&heads, found.iter().map(row).collect(), colour, out)
}

fn state_tone(state: MessageState) -> Tone {
    match state {
        MessageState::Confirmed => Tone::Good,
        MessageState::Waiting => Tone::Plain,
        MessageState::Parked | MessageState::Quarantined => Tone::Bad,
    }
}

fn write_message(detail: &MessageDetail, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let message = &detail.message;
    writeln!(out, "id         {}", words::line(&message.id))?;
    writeln!(out, "system     {}", words::line(&message.system))?;
    writeln!(out, "source id  {}", words::line(&message.source_id))?;
    writeln!(out, "kind       {}", words::line(&message.kind))?;
    writeln!(out, "size       {}", words::size(message.size_bytes))?;
    let clock = match detail.clock {
        ClockQuality::Synchronised => "synchronised",
        ClockQuality::Unsynchronised => "not synchronised",
    };
    writeln!(out, "accepted   {} (clock {clock})", message.at)?;
    if let (Some(class), Some(epoch), Some(seq)) = (message.class, message.epoch, message.seq) {
        writeln!(out, "number     {class}, epoch {}, sequence {seq}", epoch.0)?;
    }
    writeln!(out, "state      {}", paint(message.state.word(), state_tone(message.state), colour))?;
    if !message.reason.is_empty() {
        writeln!(out, "reason     {}", words::line(&message.reason))?;
    }
    for step in &detail.journey {
        let at = step.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        writeln!(out, "{at}  {}", words::line(&step.what))?;
    }
    let Some(content) = &detail.content else { return Ok(()) };
    writeln!(out)?;
    content.lines().try_for_each(|line| writeln!(out, "{}", words::line(line)))
}

fn write_parked(parked: &[ParkedEntry], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |entry: &ParkedEntry| {
        vec![
            Cell::number(entry.number),
            Cell::text(&entry.destination),
            Cell::text(&entry.at.to_string()),
            Cell::text(entry.class.name()),
            Cell::text(&entry.system),
            Cell::text(&entry.kind),
            Cell::text(&entry.source_id),
            Cell::number(entry.behind),
            Cell::text(&entry.reason),
        ]
    };
    let heads =
        ["NUMBER", "DESTINATION", "PARKED AT", "CLASS", "FROM", "KIND", "SOURCE ID", "BEHIND", "REASON"];
    table(&heads, parked.iter().map(row).collect(), colour, out)
}

fn write_preview(preview: &Preview, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "to         {}", words::line(&preview.destination))?;
    writeln!(out, "from       {}", words::line(&preview.system))?;
    writeln!(out, "source id  {}", words::line(&preview.source_id))?;
    writeln!(out, "kind       {}", words::line(&preview.kind))?;
    writeln!(out, "size       {}", words::size(preview.size_bytes))?;
    if !preview.fault.is_empty() {
        writeln!(out, "fault      {}", words::line(&preview.fault))?;
    }
    let Some(content) = &preview.content else { return Ok(()) };
    writeln!(out)?;
    content.lines().try_for_each(|line| writeln!(out, "{}", words::line(line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        flow::fake::{self, FakeHub},
        manage::commands,
    };

    fn printed(hub: &FakeHub, request: &AdminRequest, output: Output) -> (Exit, String, String) {
        let answer = commands::answer(hub, request.clone(), "uid 7").unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        write(request, &answer, output, &mut out, &mut err).unwrap();
        (exit(request, &answer), String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn plain(hub: &FakeHub, request: &str) -> (Exit, String, String) {
        printed(hub, &serde_json::from_str(request).unwrap(), Output::default())
    }

    #[test]
    fn status_of_a_hub_with_troubles() {
        let hub = FakeHub::new(fake::troubled());
        let (exit, out, err) = plain(&hub, r#"{"request":"status"}"#);
        let expected = "\
Tower Hamlets polyclinic (tower-hamlets, 5LC01): degraded
polygate 0.1.0, running for 1 day, clock synchronised

PG-201  no connection to the centre: connection refused (for 4 min)
        next: polygate doctor
PG-301  pas: 0.0.0.0:2576 cannot be opened: address in use (for 1 h)
        next: polygate doctor; another program may hold the port

SYSTEM   KIND             STATE    LAST MESSAGE  ACCEPTED  REPEATED  REFUSED  ADDRESS OR FAULT
rio      RiO              up       4 s ago         12,050         3        1  127.0.0.1:2575
pas      Hospital system  down     31 s ago        12,050         3        1  0.0.0.0:2576 cannot be opened: address in use
adastra  Adastra          waiting  -                    0         3        1  127.0.0.1:2575
xn-550   Analyser         up       3 min ago       12,050         3        1  127.0.0.1:2575

DELIVERY TO      STATE  LAST TAKEN  TAKEN  WAITING  OLDEST  PARKED  BEHIND  ADDRESS OR FAULT
rio              up     12 s ago    4,112        0  -            0       0  127.0.0.1:2580
emis-marylebone  down   12 s ago    4,112       31  3 min        2       5  connection refused

centre   down for 4 min (connection refused), mqtts://broker.polysystem.example:8883
         last receipt 4 min ago, 48,211 confirmed
queue    1,572 entries, the oldest for 4 min
journal  accepting, 412.0 MiB of 8.0 GiB, epoch 7
view     3,904 patients, caught up
aside    0 parked, 1 quarantined
";
        assert_eq!(out, expected);
        assert_eq!((exit, err.as_str()), (Exit::Degraded, ""));
    }

    #[test]
    fn a_calm_hub_ends_with_zero() {
        let hub = FakeHub::new(fake::calm());
        assert_eq!(plain(&hub, r#"{"request":"status"}"#).0, Exit::Ok);
        assert_eq!(plain(&hub, r#"{"request":"queue"}"#).0, Exit::Ok);
    }

    #[test]
    fn json_is_one_document_or_one_a_line() {
        let hub = FakeHub::new(fake::troubled());
        let json = Output { json: true, colour: false };
        let (exit, out, _) = printed(&hub, &AdminRequest::Status, json);
        assert_eq!(exit, Exit::Degraded);
        assert_eq!(out.lines().count(), 1);
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["condition"], "degraded");
        let (exit, out, _) = printed(&hub, &AdminRequest::Queue, json);
        let classes: Vec<Value> =
            out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["class"].clone()).collect();
        assert_eq!(classes, ["urgent", "booking", "clinical", "activity", "document", "telemetry"]);
        assert_eq!(exit, Exit::Ok);
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let hub = FakeHub::new(fake::calm());
        assert!(!plain(&hub, r#"{"request":"status"}"#).1.contains('\u{1b}'));
        let colourful = printed(&hub, &AdminRequest::Status, Output { json: false, colour: true }).1;
        assert!(colourful.contains("\u{1b}[32mok\u{1b}[0m"), "{colourful}");
    }

    #[test]
    fn names_from_outside_cannot_steer_the_terminal() {
        let hub = FakeHub::new(fake::calm());
        let (_, out, err) = plain(&hub, r#"{"request":"message-find","filter":{}}"#);
        assert!(out.contains("R-\\u{1b}[2J42  waiting"), "{out}");
        assert_eq!(err, "");
        let id = fake::found().id;
        let request = format!(r#"{{"request":"message-show","id":"{id}","reveal":"to find a fault"}}"#);
        let (_, out, _) = plain(&hub, &request);
        assert!(!out.contains('\u{1b}') && out.ends_with("\nMSH|^~\\&|RIO\nPID|1\n"), "{out}");
        assert!(out.contains("number     clinical, epoch 7, sequence 42"), "{out}");
    }

    #[test]
    fn a_search_that_may_have_been_cut_short_says_so() {
        let hub = FakeHub::new(fake::calm());
        let (_, _, err) = plain(&hub, r#"{"request":"message-find","filter":{"limit":1}}"#);
        assert!(err.contains("there may be more"), "{err}");
    }

    #[test]
    fn doctor_ends_degraded_when_something_needs_looking_after() {
        let hub = FakeHub::new(fake::calm());
        let (exit, out, _) = plain(&hub, r#"{"request":"doctor"}"#);
        assert_eq!(exit, Exit::Degraded);
        assert_eq!(
            out,
            "ok    journal: accepting\nwarn  clock: not synchronised\n      next: check the time server\n"
        );
    }

    #[test]
    fn parked_entries_and_what_is_done_with_them() {
        let hub = FakeHub::new(fake::calm());
        let (_, out, _) = plain(&hub, r#"{"request":"parked-list"}"#);
        assert!(
            out.contains("3  centre       2026-11-18T11:05:40.000Z  clinical  rio   ADT^A31  R-41"),
            "{out}"
        );
        assert!(out.contains("     2  AR 101 at PID^1^3"), "{out}");
        let (exit, out, _) = plain(&hub, r#"{"request":"parked-release","number":3}"#);
        assert_eq!((exit, out.as_str()), (Exit::Ok, "parked entry 3 is sent once more\n"));
    }

    #[test]
    fn nothing_is_sent_to_a_system_before_it_was_looked_at() {
        let hub = FakeHub::new(fake::calm());
        let resend = |confirmed: bool| {
            let request = format!(
                r#"{{"request":"parked-resend","what":"4","to":"pas","reveal":null,"confirmed":{confirmed}}}"#
            );
            plain(&hub, &request)
        };
        let (exit, out, err) = resend(false);
        assert_eq!(
            (exit, err.as_str()),
            (Exit::Ok, "nothing has been sent: add --yes to send this to pas\n")
        );
        assert!(out.contains("size       20 bytes") && !out.contains("MSH"), "{out}");
        assert!(hub.deeds.lock().unwrap().is_empty());
        assert_eq!(resend(true).2, "it is on its way to pas\n");
        assert_eq!(*hub.deeds.lock().unwrap(), ["send 4 to pas by uid 7"]);
    }
}

//! What the admin commands print: tables for people, JSON for scripts.
//!
//! Answers are read into narrow views of what a hub sends, so that a newer hub may send more.

use std::io::{self, Write};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    domain::time::{ClockQuality, Timestamp},
    flow::{
        operate::{Check, CheckState, FoundMessage, MessageDetail, MessageState, ParkedEntry},
        words,
    },
};

use super::{
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
        AdminRequest::Status => write_status(&read(answer)?, colour, out)?,
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
        AdminRequest::ParkedResend { number } => writeln!(out, "parked entry {number} is sent once more")?,
        AdminRequest::ParkedDiscard { number, .. } => writeln!(out, "parked entry {number} is discarded")?,
        AdminRequest::Wan { connected } => {
            writeln!(out, "the WAN is {}", if *connected { "connected" } else { "cut" })?;
        }
    }
    out.flush()
}

/// What a script learns from an answer: [`Exit::Degraded`] if it says that something needs attention.
pub fn exit(request: &AdminRequest, answer: &Value) -> Exit {
    let checked_well = |check: &Value| check["state"] == "ok";
    let well = match request {
        AdminRequest::Status => answer["condition"] == "ok",
        AdminRequest::Doctor => answer.as_array().is_some_and(|checks| checks.iter().all(checked_well)),
        _ => true,
    };
    if well { Exit::Ok } else { Exit::Degraded }
}

/// The parts of [`HubStatus`](crate::flow::status::HubStatus) that are printed.
#[derive(Deserialize)]
struct StatusView {
    hub: String,
    ods: String,
    name: String,
    version: String,
    started: Timestamp,
    now: Timestamp,
    clock: String,
    condition: String,
    alarms: Vec<AlarmView>,
    links: Vec<LinkView>,
    centre: CentreView,
    queue: Vec<QueueView>,
    journal: JournalView,
    view: RecordsView,
    parked: u64,
    quarantined: u64,
}

#[derive(Deserialize)]
struct AlarmView {
    code: String,
    about: String,
    since: Timestamp,
    text: String,
    next_step: String,
}

#[derive(Deserialize)]
struct LinkView {
    name: String,
    kind: String,
    address: String,
    state: String,
    detail: String,
    accepted: u64,
    repeated: u64,
    refused: u64,
    last_message: Option<Timestamp>,
}

#[derive(Deserialize)]
struct CentreView {
    broker: String,
    state: String,
    since: Timestamp,
    detail: String,
    last_receipt: Option<Timestamp>,
    confirmed: u64,
}

#[derive(Deserialize)]
struct QueueView {
    class: String,
    entries: u64,
    oldest: Option<Timestamp>,
    oldest_age_seconds: u64,
}

#[derive(Deserialize)]
struct JournalView {
    accepting: bool,
    reason: String,
    epoch: u64,
    used_bytes: u64,
    capacity_bytes: u64,
}

#[derive(Deserialize)]
struct RecordsView {
    patients: u64,
    rebuilding: bool,
    caught_up: bool,
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

fn tone(word: &str) -> Tone {
    match word {
        "ok" | "up" => Tone::Good,
        "waiting" => Tone::Plain,
        "degraded" => Tone::Attention,
        _ => Tone::Bad,
    }
}

fn write_status(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let now = status.now;
    let condition = paint(&words::line(&status.condition), tone(&status.condition), colour);
    let [name, hub, ods, version] =
        [&status.name, &status.hub, &status.ods, &status.version].map(|text| words::line(text));
    writeln!(out, "{name} ({hub}, {ods}): {condition}")?;
    let running = words::duration(now.since(status.started));
    writeln!(out, "polygate {version}, running for {running}, clock {}\n", words::line(&status.clock))?;
    write_alarms(status, colour, out)?;
    write_links(status, colour, out)?;
    write_centre(status, colour, out)?;
    let waiting: u64 = status.queue.iter().map(|queue| queue.entries).sum();
    let oldest = status.queue.iter().filter_map(|queue| queue.oldest).min();
    let oldest =
        oldest.map_or_else(String::new, |at| format!(", the oldest for {}", words::duration(now.since(at))));
    writeln!(out, "queue    {}{oldest}", words::counted(waiting, "entry", "entries"))?;
    write_journal(&status.journal, colour, out)?;
    let view = match (status.view.rebuilding, status.view.caught_up) {
        (true, _) => "being rebuilt",
        (false, true) => "caught up",
        (false, false) => "catching up",
    };
    writeln!(out, "view     {}, {view}", words::counted(status.view.patients, "patient", "patients"))?;
    writeln!(
        out,
        "aside    {} parked, {} quarantined",
        words::grouped(status.parked),
        words::grouped(status.quarantined)
    )
}

fn write_alarms(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    for alarm in &status.alarms {
        let about =
            if alarm.about.is_empty() { String::new() } else { format!("{}: ", words::line(&alarm.about)) };
        let age = words::duration(status.now.since(alarm.since));
        let code = paint(&words::line(&alarm.code), Tone::Attention, colour);
        writeln!(out, "{code}  {about}{} (for {age})", words::line(&alarm.text))?;
        writeln!(out, "        next: {}", words::line(&alarm.next_step))?;
    }
    if status.alarms.is_empty() { Ok(()) } else { writeln!(out) }
}

fn write_links(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |link: &LinkView| {
        let last = link.last_message.map_or_else(|| "-".to_owned(), |at| words::ago(at, status.now));
        vec![
            Cell::text(&link.name),
            Cell::text(&link.kind),
            Cell::text(&link.state).toned(tone(&link.state)),
            Cell::text(&last),
            Cell::number(link.accepted),
            Cell::number(link.repeated),
            Cell::number(link.refused),
            Cell::text(if link.detail.is_empty() { &link.address } else { &link.detail }),
        ]
    };
    let heads =
        ["SYSTEM", "KIND", "STATE", "LAST MESSAGE", "ACCEPTED", "REPEATED", "REFUSED", "ADDRESS OR FAULT"];
    table(&heads, status.links.iter().map(row).collect(), colour, out)?;
    writeln!(out)
}

fn write_centre(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let centre = &status.centre;
    let state = paint(&words::line(&centre.state), tone(&centre.state), colour);
    let since = words::duration(status.now.since(centre.since));
    let detail =
        if centre.detail.is_empty() { String::new() } else { format!(" ({})", words::line(&centre.detail)) };
    let receipt = centre.last_receipt.map_or_else(|| "none yet".to_owned(), |at| words::ago(at, status.now));
    writeln!(out, "centre   {state} for {since}{detail}, {}", words::line(&centre.broker))?;
    writeln!(out, "         last receipt {receipt}, {} confirmed", words::grouped(centre.confirmed))
}

fn write_journal(journal: &JournalView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let state = if journal.accepting {
        paint("accepting", Tone::Good, colour)
    } else {
        format!("{}: {}", paint("refusing", Tone::Bad, colour), words::line(&journal.reason))
    };
    let (used, capacity) = (words::size(journal.used_bytes), words::size(journal.capacity_bytes));
    writeln!(out, "journal  {state}, {used} of {capacity}, epoch {}", journal.epoch)
}

fn write_queue(queue: &[QueueView], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |queue: &QueueView| {
        let age = std::time::Duration::from_secs(queue.oldest_age_seconds);
        let oldest = queue.oldest.map_or_else(|| "-".to_owned(), |_| words::duration(age));
        vec![Cell::text(&queue.class), Cell::number(queue.entries), Cell::text(&oldest)]
    };
    table(&["CLASS", "ENTRIES", "OLDEST"], queue.iter().map(row).collect(), colour, out)
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
            Cell::text(&entry.at.to_string()),
            Cell::text(entry.class.name()),
            Cell::text(&entry.system),
            Cell::text(&entry.kind),
            Cell::text(&entry.source_id),
            Cell::text(&entry.reason),
        ]
    };
    let heads = ["NUMBER", "PARKED AT", "CLASS", "SYSTEM", "KIND", "SOURCE ID", "REASON"];
    table(&heads, parked.iter().map(row).collect(), colour, out)
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
        assert!(out.contains("3  2026-11-18T11:05:40.000Z  clinical  rio     ADT^A31  R-41"), "{out}");
        let (exit, out, _) = plain(&hub, r#"{"request":"parked-resend","number":3}"#);
        assert_eq!((exit, out.as_str()), (Exit::Ok, "parked entry 3 is sent once more\n"));
    }
}

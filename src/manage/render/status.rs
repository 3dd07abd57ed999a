//! What `polygate status` prints.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde::Deserialize;

use crate::{
    domain::time::Timestamp,
    flow::words,
    manage::table::{Cell, Tone, paint, table},
};

use super::QueueView;

/// The parts of [`HubStatus`](crate::flow::status::HubStatus) that are printed.
#[derive(Deserialize)]
pub(super) struct StatusView {
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
    #[serde(default)]
    deliveries: Vec<DeliveryView>,
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
struct DeliveryView {
    name: String,
    address: String,
    state: String,
    detail: String,
    queued: u64,
    parked: u64,
    held: u64,
    oldest_age_seconds: u64,
    last_accepted: Option<Timestamp>,
    accepted: u64,
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

/// Writes a hub's condition.
///
/// # Errors
/// Writing fails.
pub(super) fn write(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let now = status.now;
    let condition = paint(&words::line(&status.condition), tone(&status.condition), colour);
    let [name, hub, ods, version] =
        [&status.name, &status.hub, &status.ods, &status.version].map(|text| words::line(text));
    writeln!(out, "{name} ({hub}, {ods}): {condition}")?;
    let running = words::duration(now.since(status.started));
    writeln!(out, "polygate {version}, running for {running}, clock {}\n", words::line(&status.clock))?;
    write_alarms(status, colour, out)?;
    write_links(status, colour, out)?;
    write_deliveries(status, colour, out)?;
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

fn write_deliveries(status: &StatusView, colour: bool, out: &mut dyn Write) -> io::Result<()> {
    if status.deliveries.is_empty() {
        return Ok(());
    }
    let row = |delivery: &DeliveryView| {
        let last = delivery.last_accepted.map_or_else(|| "-".to_owned(), |at| words::ago(at, status.now));
        let age = words::duration(Duration::from_secs(delivery.oldest_age_seconds));
        vec![
            Cell::text(&delivery.name),
            Cell::text(&delivery.state).toned(tone(&delivery.state)),
            Cell::text(&last),
            Cell::number(delivery.accepted),
            Cell::number(delivery.queued),
            Cell::text(if delivery.queued == 0 { "-" } else { &age }),
            Cell::number(delivery.parked),
            Cell::number(delivery.held),
            Cell::text(if delivery.detail.is_empty() { &delivery.address } else { &delivery.detail }),
        ]
    };
    let heads = [
        "DELIVERY TO",
        "STATE",
        "LAST TAKEN",
        "TAKEN",
        "WAITING",
        "OLDEST",
        "PARKED",
        "BEHIND",
        "ADDRESS OR FAULT",
    ];
    table(&heads, status.deliveries.iter().map(row).collect(), colour, out)?;
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

fn tone(word: &str) -> Tone {
    match word {
        "ok" | "up" => Tone::Good,
        "waiting" => Tone::Plain,
        "degraded" => Tone::Attention,
        _ => Tone::Bad,
    }
}

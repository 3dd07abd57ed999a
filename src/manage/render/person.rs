//! What `record` and `match` print: who says how much of whom, and the content where it was asked for.

use std::io::{self, Write};

use serde::Deserialize;

use crate::{
    domain::{nhs_number::NhsNumber, time::Timestamp},
    flow::{
        operate::{
            CASES_MAX, CaseDetail, CasePerson, CaseSummary, ItemContent, RecordContent, RecordDetail,
            SectionShape, SourceShape,
        },
        words,
    },
    manage::table::{Cell, Tone, paint, table},
};

/// What a purge says.
#[derive(Deserialize)]
pub(super) struct Purged {
    purged: u64,
}

pub(super) fn write_purged(answer: &Purged, out: &mut dyn Write) -> io::Result<()> {
    match answer.purged {
        0 => writeln!(out, "no answers about this patient were kept"),
        count => writeln!(out, "{} thrown away", words::counted(count, "answer", "answers")),
    }
}

pub(super) fn write_record(
    record: &RecordDetail,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let rows = record.sections.iter().flat_map(|section| section_rows(section, record.at));
    let heads = ["KIND", "ITEMS", "DISPUTED", "SYSTEM", "OF THEM", "NEWEST", "FROM"];
    table(&heads, rows.collect(), colour, out)?;
    if record.sections.is_empty() {
        writeln!(out, "no items")?;
    }
    writeln!(out)?;
    for dispute in &record.disputes {
        let (about, systems) = (words::line(&dispute.about), words::line(&dispute.systems.join(", ")));
        let count = words::counted(dispute.count, "disagreement", "disagreements");
        writeln!(out, "{}  {count} about {about}: {systems}", paint("differs", Tone::Attention, colour))?;
    }
    for note in &record.notes {
        let system = if note.system.is_empty() { "all systems" } else { &note.system };
        writeln!(out, "note     {}: {}", words::line(system), words::line(&note.code))?;
    }
    if 0 < record.withdrawn {
        let count = words::counted(record.withdrawn, "item", "items");
        writeln!(out, "note     {count} withdrawn by their sources, not counted above")?;
    }
    if !record.empty.is_empty() {
        let names: Vec<&str> = record.empty.iter().map(|kind| kind.name()).collect();
        writeln!(out, "nothing  {}", names.join(", "))?;
        writeln!(err, "nothing of a kind means that no system has said any, not that there is none")?;
    }
    match &record.content {
        Some(content) => write_content(content, record.at, out, err),
        None => writeln!(err, "its content is shown with --reveal REASON, which goes on record"),
    }
}

fn section_rows(section: &SectionShape, now: Timestamp) -> Vec<Vec<Cell>> {
    let row = |(place, source): (usize, &SourceShape)| {
        let head = place == 0;
        let once = |cell: Cell| if head { cell } else { Cell::text("") };
        let tone = if 0 < section.disputed { Tone::Attention } else { Tone::Plain };
        vec![
            once(Cell::text(section.kind.name())),
            once(Cell::number(section.items)),
            once(Cell::number(section.disputed).toned(tone)),
            Cell::text(&source.system),
            Cell::number(source.items),
            Cell::text(&words::ago(source.newest, now)),
            Cell::text(if source.cached { "kept answer" } else { "messages" }),
        ]
    };
    section.sources.iter().enumerate().map(row).collect()
}

fn write_content(
    content: &RecordContent,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "\nNHS number  {}", spaced(&content.nhs_number))?;
    for (system, known) in &content.identifiers {
        let (system, value) = (words::line(system), words::line(&known.value));
        writeln!(
            out,
            "known as    {value} ({}, {}) to {system}",
            words::line(&known.kind),
            words::line(&known.authority)
        )?;
    }
    for (system, code, text) in &content.notes {
        let system = if system.is_empty() { "all systems" } else { system };
        writeln!(out, "note        {}: {} {}", words::line(system), words::line(code), words::line(text))?;
    }
    for dispute in &content.disputes {
        writeln!(out, "differs     {}", words::line(&dispute.about))?;
        for (system, value) in &dispute.claims {
            writeln!(out, "            {}: {}", words::line(system), words::line(value))?;
        }
    }
    content.items.iter().try_for_each(|item| write_item(item, now, out))?;
    if 0 < content.unshown {
        let count = words::counted(content.unshown, "thing is", "things are");
        writeln!(err, "{count} not shown, for it would be too much: narrow it with --kind")?;
    }
    Ok(())
}

fn write_item(item: &ItemContent, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let disputed = if item.disputed { ", disputed" } else { "" };
    writeln!(out, "\n{}{disputed}", item.kind.name())?;
    for source in &item.sources {
        let (system, key) = (words::line(&source.system), words::line(&source.key));
        let ago = words::ago(source.said_at, now);
        let from = match (source.cached, source.source_id.is_empty()) {
            (true, _) => "kept answer".to_owned(),
            (false, true) => "message".to_owned(),
            (false, false) => format!("message {}", words::line(&source.source_id)),
        };
        writeln!(out, "  from {system}, {ago}, {from}, its key {key}")?;
    }
    for (name, value) in &item.fields {
        writeln!(out, "  {}: {}", words::line(name), words::line(value))?;
    }
    Ok(())
}

pub(super) fn write_cases(
    cases: &[CaseSummary],
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let row = |case: &CaseSummary| {
        vec![
            Cell::text(&case.id),
            Cell::text(&case.since.to_string()),
            Cell::text(doubt(&case.doubt)),
            Cell::text(&case.persons.join(", ")),
            Cell::text(&case.holders.join(", ")),
        ]
    };
    let heads = ["ID", "SINCE", "DOUBT", "GIVEN BY", "HELD BY"];
    table(&heads, cases.iter().map(row).collect(), colour, out)?;
    if cases.is_empty() {
        writeln!(err, "nothing is to be decided")?;
    } else if CASES_MAX <= cases.len() {
        writeln!(
            err,
            "{} shown; there may be more, and they are listed once these are decided",
            cases.len()
        )?;
    }
    Ok(())
}

/// The codes' words; a newer hub may have more codes.
fn doubt(code: &str) -> &str {
    match code {
        "number-not-verified" => "number not verified",
        "two-numbers" => "gave two numbers",
        other => other,
    }
}

pub(super) fn write_case(
    detail: &CaseDetail,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    let case = &detail.case;
    writeln!(out, "id       {}", words::line(&case.id))?;
    writeln!(out, "since    {}", case.since)?;
    writeln!(out, "doubt    {}", words::line(doubt(&case.doubt)))?;
    if let Some(number) = &detail.nhs_number {
        writeln!(out, "number   {}", spaced(number))?;
    }
    let differing =
        if detail.differing.is_empty() { "nothing".to_owned() } else { detail.differing.join(", ") };
    writeln!(out, "differs  {}\n", words::line(&differing))?;
    let sides = || {
        let persons = detail.persons.iter().map(|person| ("gave it", person));
        persons.chain(detail.holders.iter().map(|person| ("holds it", person)))
    };
    let row = |(side, person): (&str, &CasePerson)| {
        vec![
            Cell::text(side),
            Cell::text(&person.system),
            Cell::text(if person.verified { "yes" } else { "no" }),
            Cell::number(person.items),
            Cell::text(&person.fields.join(", ")),
        ]
    };
    table(&["NUMBER", "SYSTEM", "VERIFIED", "ITEMS", "SAYS"], sides().map(row).collect(), colour, out)?;
    for (side, person) in sides() {
        let Some(content) = &person.content else { continue };
        let (system, known) = (words::line(&person.system), &content.identifier);
        writeln!(out, "\n{side}: {} ({}) at {system}", words::line(&known.value), words::line(&known.kind))?;
        for (name, value) in &content.demographics {
            writeln!(out, "  {}: {}", words::line(name), words::line(value))?;
        }
    }
    if detail.nhs_number.is_none() {
        writeln!(err, "who they are is shown with --reveal REASON, which goes on record")?;
    }
    let id = words::line(&case.id);
    writeln!(
        err,
        "next: polygate match link {id} --reason REASON, or polygate match keep-apart {id} --reason REASON"
    )
}

/// An NHS number as people read it.
fn spaced(number: &NhsNumber) -> String {
    let (front, last) = number.as_str().split_at(6);
    let (first, middle) = front.split_at(3);
    format!("{first} {middle} {last}")
}

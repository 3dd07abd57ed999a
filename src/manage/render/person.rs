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
        let key = if key.is_empty() { key } else { format!(", its key {key}") };
        writeln!(out, "  from {system}, {ago}, {from}{key}")?;
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

#[cfg(test)]
mod tests {
    use crate::{
        flow::fake::{self, FakeHub},
        manage::{
            client::{Exit, Output},
            commands,
            protocol::AdminRequest,
            render,
        },
    };

    fn printed(request: &str, json: bool) -> (String, String) {
        let request: AdminRequest = serde_json::from_str(request).unwrap();
        let travelled: AdminRequest = serde_json::from_slice(&serde_json::to_vec(&request).unwrap()).unwrap();
        assert_eq!(travelled, request);
        let hub = FakeHub::new(fake::calm());
        let answer = commands::answer(&hub, request.clone(), "uid 7").unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let output = Output { json, colour: false };
        render::write(&request, &answer, output, &mut out, &mut err).unwrap();
        assert_eq!(render::exit(&request, &answer), Exit::Ok);
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn plain(request: &str) -> (String, String) {
        printed(request, false)
    }

    #[test]
    fn a_record_is_its_shape_until_a_reason_is_given() {
        let (out, err) =
            plain(r#"{"request":"record-show","nhs_number":"9990000018","kind":null,"reveal":null}"#);
        let expected = "\
KIND          ITEMS  DISPUTED  SYSTEM  OF THEM  NEWEST     FROM
demographics      2         0  emis          1  2 h ago    kept answer
                               pas           1  1 min ago  messages
result        1,204         2  emis          4  2 h ago    kept answer
                               pas       1,203  1 min ago  messages

differs  1 disagreement about result-value: emis, pas
note     all systems: incomplete
note     emis: confidential-items
note     3 items withdrawn by their sources, not counted above
nothing  notice, allergy, problem, medication, observation, immunisation, encounter, appointment, referral, document
";
        assert_eq!(out, expected);
        assert!(err.contains("not that there is none") && err.contains("--reveal REASON"), "{err}");
    }

    #[test]
    fn with_a_reason_the_content_follows_and_cannot_steer_the_terminal() {
        let (out, err) = plain(
            r#"{"request":"record-show","nhs_number":"9990000018","kind":"result","reveal":"ticket 7"}"#,
        );
        let expected = "
NHS number  999 000 0018
known as    H7 (MR, RYJ) to pas
note        emis: confidential-items Withheld
differs     result-value
            emis: 4.5
            pas: 5.4

result, disputed
  from pas, 1 min ago, message P-9, its key LAB|7
  name: Potassium
  note: twice\\u{a}\\u{1b}[2J
  value: 5.4
";
        assert!(out.ends_with(expected), "{out}");
        assert!(out.starts_with("KIND    ITEMS") && !out.contains("nothing"), "{out}");
        assert_eq!(err, "1 thing is not shown, for it would be too much: narrow it with --kind\n");
    }

    #[test]
    fn cases_are_listed_shown_and_decided() {
        let (out, err) = plain(r#"{"request":"match-list"}"#);
        let expected = "\
ID                SINCE                     DOUBT                GIVEN BY  HELD BY
00112233445566aa  2026-11-17T10:06:40.000Z  number not verified  lab       pas, rio
";
        assert_eq!((out.as_str(), err.as_str()), (expected, ""));
        let (out, err) = plain(r#"{"request":"match-show","id":"00112233445566aa","reveal":null}"#);
        let expected = "\
id       00112233445566aa
since    2026-11-17T10:06:40.000Z
doubt    number not verified
differs  given_name

NUMBER    SYSTEM  VERIFIED  ITEMS  SAYS
gave it   lab     no            3  family_name, given_name
holds it  pas     no        1,204  family_name, given_name
holds it  rio     yes          12  family_name, given_name
";
        assert_eq!(out, expected);
        assert!(err.contains("polygate match link 00112233445566aa --reason"), "{err}");
        let (out, _) = plain(r#"{"request":"match-show","id":"00112233445566aa","reveal":"ticket 7"}"#);
        assert!(out.contains("number   999 000 0018\n"), "{out}");
        let bob = "\ngave it: R7 (MR) at lab\n  family_name: Canaryname\n  given_name: Bob\n";
        assert!(out.contains(bob), "{out}");
        let decide = r#"{"request":"match-decide","id":"00112233445566aa","link":false,"reason":"twins"}"#;
        let (out, err) = plain(decide);
        assert_eq!(out, "case 00112233445566aa: kept apart from its number\n");
        assert!(err.contains("polygate record show NHS-NUMBER"), "{err}");
    }

    #[test]
    fn a_purge_says_how_much_it_was() {
        let request = r#"{"request":"record-purge","nhs_number":"999 000 0018","reason":"left"}"#;
        assert_eq!(plain(request).0, "2 answers thrown away\n");
        assert_eq!(printed(request, true).0, "{\"purged\":2}\n");
    }

    #[test]
    fn scripts_get_no_content_either_without_a_reason() {
        let requests = [
            (r#"{"request":"record-show","nhs_number":"9990000018","kind":null,"reveal":null}"#, 1),
            (r#"{"request":"match-list"}"#, 1),
            (r#"{"request":"match-show","id":"00112233445566aa","reveal":null}"#, 1),
        ];
        for (request, lines) in requests {
            let (out, err) = printed(request, true);
            assert_eq!((out.lines().count(), err.as_str()), (lines, ""));
            for content in ["9990000018", "Canaryname", "Ada", "Bob", "Potassium", "5.4", "H7", "R7"] {
                assert!(!out.contains(content), "{content} in {out}");
            }
            serde_json::from_str::<serde_json::Value>(&out).unwrap();
        }
    }
}

//! What people read of a summary: XHTML tables, in which every text of a source is text and never markup.

use serde_json::{Value, json};

use crate::domain::{
    one_record::{Disagreement, Source},
    record::ItemKind,
};

use super::{
    Reading, moment, outcome,
    reading::Told,
    terms::result_status,
    text::{division, escaped},
};

/// Bytes of one cell: a line of a summary, not a letter.
const CELL_BYTES_MAX: usize = 2_000;

/// A narrative of blocks that are XHTML already.
pub(super) fn narrative(blocks: &[String]) -> Value {
    json!({ "status": "generated", "div": division(&blocks.concat()) })
}

/// A paragraph of words.
pub(super) fn paragraph(words: &str) -> String {
    format!("<p>{}</p>", cell(words))
}

/// Items as a table: what, how, when, and who says so.
pub(super) fn table(items: &[Told<'_>]) -> String {
    let mut rows = String::new();
    for told in items {
        let disputed = if told.item.disputed { " (systems differ)" } else { "" };
        let cells = [
            format!("{}{disputed}", name(told)),
            details(told),
            when(told).unwrap_or_default(),
            sources(told),
        ];
        rows.push_str("<tr>");
        for text in &cells {
            rows.push_str(&format!("<td>{}</td>", cell(text)));
        }
        rows.push_str("</tr>");
    }
    format!(
        "<table><thead><tr><th>What</th><th>Details</th><th>When</th><th>Source</th></tr></thead>\
         <tbody>{rows}</tbody></table>"
    )
}

/// A text, escaped; a long one is cut, and says so.
fn cell(text: &str) -> String {
    if text.len() <= CELL_BYTES_MAX {
        return escaped(text);
    }
    let end = text.floor_char_boundary(CELL_BYTES_MAX);
    format!("{} […]", escaped(text.get(..end).unwrap_or_default()))
}

fn name<'a>(told: &Told<'a>) -> &'a str {
    let coding = told.item.codings.first();
    let coded = coding.map(|coding| if coding.display.is_empty() { &coding.code } else { &coding.display });
    let named = told.text("name").or(coded.map(String::as_str).filter(|text| !text.trim().is_empty()));
    named.or_else(|| told.text("report")).or_else(|| told.text("title")).unwrap_or("not named by its source")
}

/// The fields that matter to a kind, in words.
fn details(told: &Told<'_>) -> String {
    let names: &[(&str, &str)] = match told.item.kind {
        ItemKind::Allergy => &[
            ("status", "status"),
            ("certainty", "certainty"),
            ("severity", "severity"),
            ("reaction", "reaction"),
        ],
        ItemKind::Problem => &[("status", "status"), ("significance", "significance"), ("ended", "ended")],
        ItemKind::Medication => &[
            ("status", "status"),
            ("dose", "dose"),
            ("quantity", "quantity"),
            ("prescription_type", "type"),
            ("ended", "ended"),
        ],
        ItemKind::Immunisation => &[
            ("status", "status"),
            ("product", "product"),
            ("batch_number", "batch"),
            ("dose_sequence", "dose"),
        ],
        _ => &[
            ("abnormal_flags", "flag"),
            ("reference_range", "range"),
            ("specimen", "specimen"),
            ("status", "status"),
        ],
    };
    let is_result = matches!(told.item.kind, ItemKind::Result | ItemKind::Observation);
    let said = names.iter().filter_map(|(name, called)| {
        let text = told.text(name)?.trim();
        // Letters of HL7 table 0085 are words to nobody.
        let text = if is_result && *name == "status" { result_status(Some(text)) } else { text };
        Some(format!("{called} {text}"))
    });
    let value = told.text("value").map(|value| {
        let part = |name: &str| told.text(name).unwrap_or_default();
        format!("{}{} {}", part("comparator"), value.trim(), part("units")).trim().to_owned()
    });
    value.into_iter().chain(said).collect::<Vec<_>>().join("; ")
}

/// As precisely as its source said.
fn when(told: &Told<'_>) -> Option<String> {
    let names = ["observed", "given", "onset", "last_issued", "started", "recorded"];
    let text = names.iter().find_map(|name| told.text(name))?;
    Some(moment::date_time(text).unwrap_or_else(|| text.to_owned()))
}

fn sources(told: &Told<'_>) -> String {
    let named = told.item.sources.iter().map(|source| from(source, told.reading));
    named.collect::<Vec<_>>().join("; ")
}

fn from(source: &Source, reading: &Reading<'_>) -> String {
    let at = moment::of(source.said_at).unwrap_or_default();
    let day = at.get(..10).unwrap_or_default();
    if source.cached {
        let hours = source.age(reading.record.at).as_secs() / 3600;
        format!("{}, answered {day} ({hours} h old)", source.system)
    } else {
        format!("{}, {day}", source.system)
    }
}

/// What a reader must know before all sections: what is held back, what may be missing, and who says other things.
pub(super) fn cautions(reading: &Reading<'_>, left_out: &[(ItemKind, usize)]) -> Vec<String> {
    let mut blocks = vec![paragraph(
        "Put together by a program from what several systems say. Nothing was checked, preferred or merged by people.",
    )];
    let issues = outcome::of_reading(reading, &[]);
    blocks.extend(issues.iter().map(|issue| paragraph(&issue.words)));
    blocks.extend(reading.record.disagreements.iter().map(disagreement));
    blocks.extend(
        left_out
            .iter()
            .map(|(kind, count)| paragraph(&format!("Not in this summary: {count} of kind {}", kind.name()))),
    );
    blocks
}

fn disagreement(disagreement: &Disagreement) -> String {
    let about = format!("{:?}", disagreement.about);
    let claims = disagreement.claims.iter().map(|claim| {
        let value = if claim.value.trim().is_empty() { "(does not say)" } else { &claim.value };
        format!("<li>{}: {}</li>", cell(&claim.system), cell(value))
    });
    format!("<p>Systems differ about {}:</p><ul>{}</ul>", cell(&about), claims.collect::<String>())
}

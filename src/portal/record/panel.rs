//! One section of a record as a page shows it: its items with sources and ages, or why there are none.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    access::policy::Withheld,
    domain::{
        one_record::{Flag, Notice, OneItem, OneRecord, Source},
        record::ItemKind,
    },
    flow::disclose::Shown,
    portal::reception::times,
};

/// A section.
pub(super) struct Panel {
    pub id: &'static str,
    pub title: &'static str,
    pub items: Vec<Item>,
    /// What is over, and must not be taken for what is so now (GP Connect: never a resolved allergy among active ones).
    pub past: Vec<Item>,
    /// Items that this page leaves out.
    pub more: usize,
    /// Why it is empty; empty if it is not.
    pub empty: String,
}

/// An item.
pub(super) struct Item {
    pub name: String,
    pub date: String,
    /// What stands beside the name, the most telling first.
    pub details: Vec<(&'static str, String)>,
    pub mark: Option<Abnormal>,
    pub disputed: bool,
    pub sources: Vec<Badge>,
    /// Its coded entries as received.
    pub codes: Vec<String>,
}

/// Which way a value is not normal: in words and by shape.
#[derive(Clone, Copy)]
pub(super) struct Abnormal {
    pub sign: &'static str,
    pub word: &'static str,
    pub critical: bool,
}

/// Who says so.
pub(super) struct Badge {
    pub system: String,
    pub age: String,
    pub cached: bool,
}

/// Sections of the page that opens first, in its order (product users ask for a snapshot before a full record).
pub(super) const SUMMARY: [ItemKind; 6] = [
    ItemKind::Allergy,
    ItemKind::Problem,
    ItemKind::Medication,
    ItemKind::Result,
    ItemKind::Encounter,
    ItemKind::Appointment,
];
/// Items of one section on that page.
const SUMMARY_ITEMS: usize = 8;
/// The kinds that are no sections of their own: who the patient is stands at the top, and notices too.
const NO_SECTION: [ItemKind; 2] = [ItemKind::Demographics, ItemKind::Notice];

/// The sections of the snapshot.
pub(super) fn summary(shown: &Shown) -> Vec<Panel> {
    SUMMARY.into_iter().map(|kind| panel(shown, kind, SUMMARY_ITEMS)).collect()
}

/// All sections.
pub(super) fn all(shown: &Shown) -> Vec<Panel> {
    let kinds = ItemKind::ALL.into_iter().filter(|kind| !NO_SECTION.contains(kind));
    kinds.map(|kind| panel(shown, kind, usize::MAX)).collect()
}

fn panel(shown: &Shown, kind: ItemKind, most: usize) -> Panel {
    let items = shown.record.section(kind);
    let (past, current): (Vec<&OneItem>, Vec<&OneItem>) = items.iter().partition(|one| is_past(one));
    Panel {
        id: kind.name(),
        title: title(kind),
        items: current.iter().take(most).map(|one| item(&shown.record, one)).collect(),
        past: past.iter().take(most).map(|one| item(&shown.record, one)).collect(),
        more: current.len().saturating_sub(most) + past.len().saturating_sub(most),
        empty: if items.is_empty() { why_empty(shown) } else { String::new() },
    }
}

/// Whether a source says that an allergy, a problem or a medicine is over. In doubt it is not.
fn is_past(one: &OneItem) -> bool {
    let may_end = matches!(one.kind, ItemKind::Allergy | ItemKind::Problem | ItemKind::Medication);
    let status = one.fields.get("status").map(|status| status.to_ascii_lowercase()).unwrap_or_default();
    let words = ["resolved", "inactive", "completed", "stopped", "ended", "past"];
    may_end && !one.disputed && words.contains(&status.as_str())
}

/// The title of a section.
pub(super) const fn title(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Demographics => "Who the patient is",
        ItemKind::Notice => "What to know of this record",
        ItemKind::Allergy => "Allergies and intolerances",
        ItemKind::Problem => "Problems",
        ItemKind::Medication => "Medication",
        ItemKind::Result => "Results",
        ItemKind::Observation => "Observations",
        ItemKind::Immunisation => "Immunisations",
        ItemKind::Encounter => "Contacts",
        ItemKind::Appointment => "Appointments",
        ItemKind::Referral => "Referrals and cases",
        ItemKind::Document => "Documents",
    }
}

/// The difference between "nothing recorded" and "nothing known".
fn why_empty(shown: &Shown) -> String {
    let silent: Vec<&str> = shown
        .record
        .notices
        .iter()
        .filter(|notice| notice.code == "not-answered")
        .map(|notice| notice.system.as_str())
        .collect();
    let excluded = shown.record.notices.iter().any(|notice| notice.code.contains("confidential"));
    let alone = shown.record.notices.iter().any(|notice| {
        notice.code == "elsewhere" && ["offline", "silent", "unsaid"].contains(&notice.text.as_str())
    });
    let mut why = "No linked system has sent anything here.".to_owned();
    if !silent.is_empty() {
        why = format!("{} did not answer: this may be missing.", silent.join(", "));
    }
    if alone {
        why.push_str(" Other hubs were not asked just now, and may hold more.");
    }
    if excluded {
        why.push_str(" Items were left out at their source as confidential.");
    }
    if !shown.withheld.is_empty() {
        why.push_str(" Items are kept back: see the top of the page.");
    }
    why
}

/// An item as pages show it.
pub(super) fn item(record: &OneRecord, one: &OneItem) -> Item {
    let field = |name: &str| one.fields.get(name).map(String::as_str).unwrap_or_default();
    let name = ["name", "title", "service", "type", "report", "code"]
        .into_iter()
        .map(field)
        .find(|text| !text.is_empty());
    let details = DETAILS.iter().filter_map(|(label, names)| {
        let words: Vec<&str> = names
            .iter()
            .map(|name| field(name))
            .filter(|text| !text.is_empty() && Some(*text) != name)
            .collect();
        (!words.is_empty()).then(|| (*label, tidy(label, &words.join(" "))))
    });
    Item {
        name: name.unwrap_or(nameless(one.kind)).to_owned(),
        date: date_of(one),
        details: details.collect(),
        mark: one.interpretation.as_ref().and_then(|known| known.flag).and_then(abnormal),
        disputed: one.disputed,
        sources: one.sources.iter().map(|source| badge(record, source)).collect(),
        codes: one
            .codings
            .iter()
            .filter(|coding| !coding.code.is_empty())
            .map(|coding| {
                format!("{} {} {}", coding.system, coding.code, coding.display).trim_end().to_owned()
            })
            .collect(),
    }
}

/// What an item is called whose source gives it no name.
const fn nameless(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Encounter => "Contact",
        ItemKind::Appointment => "Appointment",
        ItemKind::Referral => "Referral",
        ItemKind::Document => "Document",
        _ => "Without a name",
    }
}

/// HL7 table 0085 in words; other words as they are.
fn status(text: &str) -> &str {
    match text {
        "F" => "final",
        "P" => "preliminary",
        "C" => "corrected",
        "R" | "I" => "not final yet",
        "X" => "cannot be had",
        "D" | "W" => "withdrawn",
        other => other,
    }
}

/// What is shown beside an item's name, and from which fields.
const DETAILS: [(&str, &[&str]); 22] = [
    ("Value", &["comparator", "value", "units"]),
    ("Range", &["reference_range"]),
    ("Status", &["status"]),
    ("Reaction", &["reaction"]),
    ("Severity", &["severity"]),
    ("Certainty", &["certainty"]),
    ("Dose", &["dose"]),
    ("Quantity", &["quantity"]),
    ("Kind", &["prescription_type"]),
    ("Significance", &["significance"]),
    ("Ended", &["ended"]),
    ("Last issued", &["last_issued"]),
    ("Product", &["product"]),
    ("Batch", &["batch_number"]),
    ("Reason", &["reason", "cancellation_reason"]),
    ("Disposition", &["disposition"]),
    ("Outcome", &["outcome"]),
    ("With", &["clinician"]),
    ("Where", &["location"]),
    ("By", &["author", "performer"]),
    ("At", &["organisation"]),
    ("Note", &["note"]),
];
/// Dates among them are shown as dates.
const DATES: [&str; 2] = ["Ended", "Last issued"];

fn tidy(label: &str, text: &str) -> String {
    match label {
        "Status" => status(text).to_owned(),
        label if DATES.contains(&label) => moment(text),
        _ => text.to_owned(),
    }
}

/// The fields that date an item, the most telling first.
const DATED_BY: [&str; 10] = [
    "observed",
    "start",
    "started",
    "given",
    "last_issued",
    "onset",
    "created",
    "received",
    "admitted",
    "recorded",
];

fn date_of(one: &OneItem) -> String {
    let date = DATED_BY.into_iter().find_map(|name| one.fields.get(name));
    date.map(|text| moment(text)).unwrap_or_default()
}

/// A moment as its source wrote it, for people and no more precise: `05-Jan-2026 09:30`, `Jan-2026`, `2026`.
pub(super) fn moment(text: &str) -> String {
    let digits: String = text
        .chars()
        .take_while(|one| one.is_ascii_digit() || *one == '-')
        .filter(char::is_ascii_digit)
        .collect();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    if year.is_empty() {
        return text.to_owned();
    }
    let time = match text.split_once(['T', ' ']) {
        Some((_, clock)) => clock
            .get(..5)
            .filter(|clock| clock.as_bytes().get(2) == Some(&b':'))
            .unwrap_or_default()
            .to_owned(),
        None => match (part(8, 10), part(10, 12)) {
            ("", _) | (_, "") => String::new(),
            (hour, minute) => format!("{hour}:{minute}"),
        },
    };
    let month_word = month.parse::<usize>().ok().and_then(|number| MONTHS.get(number.checked_sub(1)?));
    let date = match (month_word, day) {
        (None, _) => year.to_owned(),
        (Some(month), "" | "00") => format!("{month}-{year}"),
        (Some(month), day) => format!("{day}-{month}-{year}"),
    };
    format!("{date} {time}").trim_end().to_owned()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The mark of a value that is not normal.
pub(super) const fn abnormal(flag: Flag) -> Option<Abnormal> {
    let (sign, word, critical) = match flag {
        Flag::Normal => return None,
        Flag::Abnormal => ("◆", "Abnormal", false),
        Flag::Low => ("▼", "Low", false),
        Flag::High => ("▲", "High", false),
        Flag::CriticalAbnormal => ("‡", "Critical", true),
        Flag::CriticalLow => ("‡▼", "Critically low", true),
        Flag::CriticalHigh => ("‡▲", "Critically high", true),
    };
    Some(Abnormal { sign, word, critical })
}

fn badge(record: &OneRecord, source: &Source) -> Badge {
    Badge { system: source.system.clone(), age: age(source.age(record.at)), cached: source.cached }
}

/// How old something is: `just now`, `4 min`, `3 h`, `12 days`, `2 years`.
pub(super) fn age(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes, minutes / 60, minutes / 1_440) {
        (0, ..) => "just now".to_owned(),
        (1..60, ..) => format!("{minutes} min ago"),
        (_, hours @ 1..48, _) => format!("{hours} h ago"),
        (.., days @ 2..730) => format!("{days} days ago"),
        (.., days) => format!("{} years ago", days / 365),
    }
}

/// What a reader must know of the record's completeness, as sentences.
pub(super) fn notices(shown: &Shown) -> Vec<String> {
    // A source's own notices name the section they are about; the list of all has lost it.
    let of_sections = shown.record.section(ItemKind::Notice);
    let field = |one: &OneItem, name: &str| one.fields.get(name).cloned().unwrap_or_default();
    let has_section = |notice: &Notice| {
        of_sections.iter().any(|one| {
            field(one, "code") == notice.code
                && one.sources.iter().any(|source| source.system == notice.system)
        })
    };
    let others = shown.record.notices.iter().filter(|notice| !has_section(notice));
    let mut said: Vec<String> = others.map(words).collect();
    said.extend(of_sections.iter().map(|one| {
        let system = one.sources.first().map_or("", |source| source.system.as_str()).to_owned();
        let (section, code) = (field(one, "section"), field(one, "code"));
        let whose = if section.is_empty() { system } else { format!("{system}, {section}") };
        words(&Notice { system: whose, code, text: field(one, "name") })
    }));
    said.extend(shown.withheld.iter().map(|(why, count)| withheld(*why, *count)));
    if 0 < shown.record.withdrawn_count {
        said.push(format!(
            "{} items were withdrawn by their sources and are not shown.",
            shown.record.withdrawn_count
        ));
    }
    said.sort();
    said.dedup();
    said
}

fn withheld(why: Withheld, count: usize) -> String {
    format!("{count} items: {}", why.text())
}

/// How complete what other hubs hold is.
fn elsewhere(text: &str) -> String {
    match text.split_once(' ') {
        Some(("as-at", at)) => format!("Other hubs: all that they had sent by {}.", moment(at)),
        Some(("omitted", count)) => {
            format!("Other hubs: {count} items are left out, for they are too long or too many: ask there.")
        }
        Some(("sealed", count)) => {
            format!("Other hubs: {count} messages are sealed where they are, and not shown here.")
        }
        _ if text == "offline" => {
            "The centre cannot be reached: of other hubs only what is kept here is shown. \
            What they have received since may be missing."
                .to_owned()
        }
        _ if text == "silent" => {
            "The centre did not answer in time: of other hubs only what is kept here is shown. \
            Look again in a moment."
                .to_owned()
        }
        _ => "Other hubs could not be asked: what they hold may be missing here.".to_owned(),
    }
}

fn words(notice: &Notice) -> String {
    let system = if notice.system.is_empty() { "The hub" } else { notice.system.as_str() };
    match notice.code.as_str() {
        "as-at" => format!("{system}: as it was when it answered, {}.", moment(&notice.text)),
        "elsewhere" => elsewhere(&notice.text),
        "not-answered" => format!("{system} did not answer: what it holds may be missing here."),
        "incomplete" => format!("{system}: {}.", notice.text),
        "not-linked" => format!(
            "{system} has a person who may be this patient and is not shown here: people must decide."
        ),
        "truncated" => "The record is very long: the oldest items are left out.".to_owned(),
        "several-nhs-numbers" => "Systems give several NHS numbers for this patient.".to_owned(),
        "confidential-items" => format!("{system}: items are left out as confidential."),
        "data-in-transit" => {
            format!("{system}: a record is on its way from another practice, and may be missing.")
        }
        "data-awaiting-filing" => format!("{system}: items wait to be filed, and may be missing."),
        code if notice.text.is_empty() => format!("{system}: {}.", code.replace('-', " ")),
        _ => format!("{system}: {}.", notice.text.trim_end_matches('.')),
    }
}

/// Everything by time, the newest first.
pub(super) fn timeline(shown: &Shown) -> Vec<(String, Vec<(&'static str, Item)>)> {
    let mut by_day: BTreeMap<String, Vec<(&'static str, Item)>> = BTreeMap::new();
    for (kind, items) in &shown.record.sections {
        if NO_SECTION.contains(kind) {
            continue;
        }
        for one in items {
            let date = DATED_BY.into_iter().find_map(|name| one.fields.get(name));
            let digits: String = date
                .map(|text| text.chars().filter(char::is_ascii_digit).take(8).collect())
                .unwrap_or_default();
            by_day.entry(digits).or_default().push((title(*kind), item(&shown.record, one)));
        }
    }
    let days = by_day.into_iter().rev();
    days.map(|(day, items)| (if day.is_empty() { "Without a date".to_owned() } else { moment(&day) }, items))
        .collect()
}

/// Until when the record is open, as a time of day.
pub(super) fn until(shown: &Shown) -> String {
    times::clock(shown.until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_precisely_as_it_was_said() {
        for (said, expected) in [
            ("2026-01-05T09:30:00+00:00", "05-Jan-2026 09:30"),
            ("202601050930", "05-Jan-2026 09:30"),
            ("2026-01-05", "05-Jan-2026"),
            ("20260105", "05-Jan-2026"),
            ("2026-01", "Jan-2026"),
            ("2026", "2026"),
            ("2026-13-01", "2026"),
            ("last spring", "last spring"),
            ("", ""),
        ] {
            assert_eq!(moment(said), expected, "{said}");
        }
    }

    #[test]
    fn what_is_over_is_never_among_what_is_so() {
        let one = |kind, status: &str, disputed| OneItem {
            kind,
            fields: [("status".to_owned(), status.to_owned())].into(),
            codings: Vec::new(),
            sources: Vec::new(),
            interpretation: None,
            disputed,
        };
        assert!(is_past(&one(ItemKind::Allergy, "resolved", false)));
        assert!(is_past(&one(ItemKind::Medication, "Stopped", false)));
        assert!(!is_past(&one(ItemKind::Allergy, "active", false)));
        assert!(!is_past(&one(ItemKind::Allergy, "", false)), "in doubt it is so");
        assert!(!is_past(&one(ItemKind::Allergy, "resolved", true)), "another system says otherwise");
        assert!(!is_past(&one(ItemKind::Result, "completed", false)));
    }

    #[test]
    fn an_age_is_said_in_the_unit_that_people_use() {
        let minutes = |count: u64| age(Duration::from_secs(count * 60));
        assert_eq!(minutes(0), "just now");
        assert_eq!(minutes(59), "59 min ago");
        assert_eq!(minutes(180), "3 h ago");
        assert_eq!(minutes(3 * 1_440), "3 days ago");
        assert_eq!(minutes(800 * 1_440), "2 years ago");
    }
}

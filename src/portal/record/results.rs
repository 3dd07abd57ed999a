//! Results by test and date, and how a value went: as a drawing and as the table that it is drawn from.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::domain::{
    one_record::{OneItem, OneRecord},
    record::ItemKind,
};

use super::panel::{self, Abnormal};

/// Columns of the table: the newest.
const DATES_MAX: usize = 6;
/// Values of one drawing.
const POINTS_MAX: usize = 40;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 120.0;
const MARGIN: f64 = 12.0;

/// The whole table.
pub(super) struct Results {
    pub dates: Vec<String>,
    pub tests: Vec<Test>,
    /// Dates that are left out.
    pub older: usize,
}

/// One test. Values in other units are another.
pub(super) struct Test {
    pub name: String,
    pub units: String,
    pub range: String,
    pub cells: Vec<Vec<Value>>,
    pub trend: Option<Trend>,
}

/// One value.
#[derive(Clone)]
pub(super) struct Value {
    pub text: String,
    pub mark: Option<Abnormal>,
    pub source: String,
    pub disputed: bool,
}

/// A drawing: a polyline and its points.
pub(super) struct Trend {
    pub line: String,
    pub points: Vec<Point>,
    pub least: String,
    pub most: String,
}

/// A point of it.
pub(super) struct Point {
    pub x: String,
    pub y: String,
    pub date: String,
    pub value: String,
}

/// The results of a record.
pub(super) fn of(record: &OneRecord) -> Results {
    let mut by_test: BTreeMap<(String, String), BTreeMap<String, Vec<&OneItem>>> = BTreeMap::new();
    let mut dates: Vec<String> = Vec::new();
    for item in record.section(ItemKind::Result) {
        let field = |name: &str| item.fields.get(name).cloned().unwrap_or_default();
        let name =
            [field("name"), field("code")].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let date = sortable(&field("observed"));
        dates.push(date.clone());
        by_test.entry((name, field("units"))).or_default().entry(date).or_default().push(item);
    }
    dates.sort();
    dates.dedup();
    dates.reverse();
    let older = dates.len().saturating_sub(DATES_MAX);
    dates.truncate(DATES_MAX);
    let tests = by_test.into_iter().map(|((name, units), by_date)| Test {
        range: newest(&by_date, "reference_range"),
        cells: dates
            .iter()
            .map(|date| by_date.get(date).map(|items| values(items)).unwrap_or_default())
            .collect(),
        trend: trend(&by_date),
        name,
        units,
    });
    Results { tests: tests.collect(), dates: dates.iter().map(|date| panel::moment(date)).collect(), older }
}

fn values(items: &[&OneItem]) -> Vec<Value> {
    let value = |item: &&OneItem| {
        let field = |name: &str| item.fields.get(name).map(String::as_str).unwrap_or_default();
        Value {
            text: format!("{}{}", field("comparator"), field("value")),
            mark: item.interpretation.as_ref().and_then(|known| known.flag).and_then(panel::abnormal),
            source: item.sources.iter().map(|source| source.system.as_str()).collect::<Vec<_>>().join(", "),
            disputed: item.disputed,
        }
    };
    items.iter().map(value).collect()
}

fn newest(by_date: &BTreeMap<String, Vec<&OneItem>>, field: &str) -> String {
    let mut items = by_date.values().rev().flatten();
    items.find_map(|item| item.fields.get(field)).cloned().unwrap_or_default()
}

/// Digits alone, as precise as the source was: they sort by time.
fn sortable(text: &str) -> String {
    let digits: String =
        text.chars().take_while(|one| *one != '+' && *one != 'Z').filter(char::is_ascii_digit).collect();
    digits.chars().take(12).collect()
}

/// A drawing of at least two plain numbers; values with a comparator are none.
fn trend(by_date: &BTreeMap<String, Vec<&OneItem>>) -> Option<Trend> {
    let number = |item: &OneItem| {
        let plain = item.fields.get("comparator").is_none_or(String::is_empty);
        let value = item.fields.get("value").filter(|_| plain)?.trim().parse::<f64>().ok()?;
        value.is_finite().then_some(value)
    };
    let values: Vec<(&String, f64)> =
        by_date.iter().filter_map(|(date, items)| Some((date, number(items.first()?)?))).collect();
    let values = values.get(values.len().saturating_sub(POINTS_MAX)..)?;
    if values.len() < 2 {
        return None;
    }
    let least = values.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let most = values.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let span = if least < most { most - least } else { 1.0 };
    let step = (WIDTH - 2.0 * MARGIN) / (f64::from(u16::try_from(values.len() - 1).ok()?));
    let mut line = String::new();
    let mut points = Vec::with_capacity(values.len());
    for (number, (date, value)) in values.iter().enumerate() {
        let x = MARGIN + step * f64::from(u16::try_from(number).ok()?);
        let y = HEIGHT - MARGIN - (value - least) / span * (HEIGHT - 2.0 * MARGIN);
        // Writing to a string does not fail.
        write!(line, "{x:.1},{y:.1} ").unwrap_or_default();
        let (date, value) = (panel::moment(date), value.to_string());
        points.push(Point { x: format!("{x:.1}"), y: format!("{y:.1}"), date, value });
    }
    Some(Trend { line: line.trim_end().to_owned(), points, least: least.to_string(), most: most.to_string() })
}

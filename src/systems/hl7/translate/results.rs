//! What ORU^R01 says: OBR, OBX and the notes behind them.

use crate::{
    codec::hl7v2::{Component, Field, Segment, Value},
    domain::record::{FieldChange, ItemChange, ItemKind},
};

use super::{Reading, set};

impl<'a> Reading<'_, 'a> {
    pub(super) fn results(&mut self) -> Vec<ItemChange> {
        let message = self.message;
        let mut report: Option<Segment<'a>> = None;
        let mut order = String::new();
        let mut items: Vec<ItemChange> = Vec::new();
        // What a note behind a segment belongs to.
        let mut noted = false;
        for segment in message.segments() {
            match segment.name() {
                b"OBR" => {
                    order = self.order(&segment, items.len());
                    report = Some(segment);
                    noted = false;
                }
                b"OBX" => {
                    let Some(report) = &report else { continue };
                    let item = match segment.field(2).bytes() {
                        b"ED" => self.document(&order, report, &segment),
                        _ => self.result(&order, report, &segment),
                    };
                    items.push(item);
                    noted = true;
                }
                b"NTE" if noted => {
                    let lines = self.lines(&segment.field(3));
                    if let Some(item) = items.last_mut() {
                        add_note(item, &lines);
                    }
                }
                b"NTE" => {}
                _ => noted = false,
            }
        }
        items
    }

    fn order(&mut self, report: &Segment<'a>, items: usize) -> String {
        let [filler, placer] = [3, 2].map(|number| self.text(report.field(number).component(1).bytes()));
        let order = if filler.is_empty() { placer } else { filler };
        if !order.is_empty() {
            return order;
        }
        self.fault("obr-2-and-3-absent");
        format!("{}:{items}", self.header.control_id)
    }

    fn key(&self, order: &str, report: &Segment<'a>, observation: &Segment<'a>) -> String {
        format!(
            "{order}|{}|{}|{}",
            self.text(report.field(4).component(1).bytes()),
            self.text(observation.field(3).component(1).bytes()),
            self.text(observation.field(4).bytes()),
        )
    }

    fn result(&mut self, order: &str, report: &Segment<'a>, observation: &Segment<'a>) -> ItemChange {
        let code = observation.field(3);
        let fields = [
            ("report_code", report.field(4).component(1).value()),
            ("report", report.field(4).component(2).value()),
            ("code", code.component(1).value()),
            ("name", code.component(2).value()),
            ("value_type", observation.field(2).value()),
            ("units", observation.field(6).component(1).value()),
            ("reference_range", observation.field(7).value()),
            ("abnormal_flags", observation.field(8).value()),
            ("status", observation.field(11).value()),
            ("performer", observation.field(16).component(1).value()),
            ("method", observation.field(17).component(1).value()),
            ("specimen", specimen(report)),
        ];
        let key = self.key(order, report, observation);
        let mut item = self.item(ItemKind::Result, key, &fields);
        item.fields.extend(self.value(observation));
        item.fields.extend(self.coding(&code));
        let own = observation.field(14).component(1).value();
        let observed = if own == Value::Absent { report.field(7).component(1).value() } else { own };
        item.fields.extend(self.moment("observed", observed));
        item.fields.extend(self.moment("received", report.field(14).component(1).value()));
        item
    }

    /// OBX-5 in the terms of its type (OBX-2): a comparator apart, a code's words, text line by line.
    fn value(&self, observation: &Segment<'a>) -> Vec<(&'static str, FieldChange)> {
        let field = observation.field(5);
        if field.value() == Value::Delete {
            return vec![("value", FieldChange::Delete)];
        }
        match observation.field(2).bytes() {
            b"SN" => {
                let part = |number| self.text(field.component(number).bytes());
                let value = [part(2), part(3), part(4)].concat();
                let found = [set("comparator", part(1)), set("value", value)];
                found.into_iter().flatten().collect()
            }
            b"CE" | b"CWE" | b"CNE" | b"CF" => {
                let words = |one: Field<'a>| {
                    let text = self.text(one.component(2).bytes());
                    if text.is_empty() { self.text(one.component(1).bytes()) } else { text }
                };
                let all: Vec<String> = field.repetitions().map(words).collect();
                set("value", all.join("\n").trim().to_owned()).into_iter().collect()
            }
            _ => set("value", self.lines(&field).trim().to_owned()).into_iter().collect(),
        }
    }

    /// The third component of a coded element, and every coding where there are two.
    pub(super) fn coding(&self, code: &Field<'a>) -> Vec<(&'static str, FieldChange)> {
        let system = |component: Component<'a>| match component.bytes().to_ascii_uppercase().as_slice() {
            b"SCT" | b"SNOMED-CT" | b"SNM3" => "snomed-ct".to_owned(),
            b"LN" | b"LOINC" => "loinc".to_owned(),
            b"L" | b"99LOCAL" => "local".to_owned(),
            other => self.text(other),
        };
        let text = |number: usize| self.text(code.component(number).bytes());
        let mut found: Vec<_> = set("code_system", system(code.component(3))).into_iter().collect();
        if !text(4).is_empty() {
            let both = format!(
                "{}|{}|{}\n{}|{}|{}",
                system(code.component(3)),
                text(1),
                text(2),
                system(code.component(6)),
                text(4),
                text(5)
            );
            found.extend(set("codings", both));
        }
        found
    }

    /// An encapsulated document: a scanned letter, a report as PDF.
    fn document(&mut self, order: &str, report: &Segment<'a>, observation: &Segment<'a>) -> ItemChange {
        let (code, data) = (observation.field(3), observation.field(5));
        let part = |number: usize| self.text(data.component(number).bytes()).to_ascii_lowercase();
        let encoding = match part(4).as_str() {
            "a" | "" => "text".to_owned(),
            other => other.to_owned(),
        };
        let media_type = format!("{}/{}", part(2), part(3));
        let fields = [
            ("title", code.component(2).value()),
            ("code", code.component(1).value()),
            ("status", observation.field(11).value()),
            ("content", data.component(5).value()),
        ];
        let key = self.key(order, report, observation);
        let mut item = self.item(ItemKind::Document, key, &fields);
        item.fields.extend(set("encoding", encoding));
        item.fields.extend(set("media_type", media_type.trim_matches('/').to_owned()));
        let own = observation.field(14).component(1).value();
        let created = if own == Value::Absent { report.field(7).component(1).value() } else { own };
        item.fields.extend(self.moment("created", created));
        item
    }

    /// A field of text, each repetition a line.
    pub(super) fn lines(&self, field: &Field<'a>) -> String {
        field.repetitions().map(|line| self.text(line.bytes())).collect::<Vec<_>>().join("\n")
    }
}

/// OBR-15: the specimen's name, else its code.
fn specimen<'a>(report: &Segment<'a>) -> Value<'a> {
    let source = report.field(15).component(1);
    match source.subcomponent(2).value() {
        Value::Absent => source.subcomponent(1).value(),
        name => name,
    }
}

fn add_note(item: &mut ItemChange, lines: &str) {
    if lines.is_empty() {
        return;
    }
    let note = item.fields.iter_mut().find(|(name, _)| *name == "note");
    match note {
        Some((_, FieldChange::Set(text))) => {
            text.push('\n');
            text.push_str(lines);
        }
        _ => item.fields.push(("note", FieldChange::Set(lines.to_owned()))),
    }
}

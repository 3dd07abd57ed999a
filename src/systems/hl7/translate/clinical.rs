//! What ADT says of allergies and diagnoses beside the event: AL1 and DG1 (HL7 v2.4, sections 3.4.6 and 6.5.2), and what is
//! marked as confidential.

use crate::{
    codec::hl7v2::{Segment, Value},
    domain::record::{FieldChange, ItemChange, ItemKind},
};

use super::{Reading, set};

/// No message lists more allergies and diagnoses of one patient; of more, the rest is said to be left out.
const LISTED_MAX: usize = 200;

impl<'a> Reading<'_, 'a> {
    /// The allergies and diagnoses that a message lists. That one is not listed says nothing of it.
    pub(super) fn clinical(&mut self) -> Vec<ItemChange> {
        let segments: Vec<Segment<'a>> = self
            .message
            .segments()
            .filter(|segment| [b"AL1", b"DG1"].contains(&segment.name().first_chunk().unwrap_or(b"   ")))
            .collect();
        if LISTED_MAX < segments.len() {
            self.fault("too-many-allergies-or-diagnoses");
        }
        let listed = segments.iter().take(LISTED_MAX);
        listed
            .filter_map(|segment| {
                if segment.name() == b"AL1" { self.allergy(segment) } else { self.diagnosis(segment) }
            })
            .collect()
    }

    fn allergy(&mut self, segment: &Segment<'a>) -> Option<ItemChange> {
        let code = segment.field(3);
        let key = self.named(&code.component(1).value(), &code.component(2).value())?;
        let category = match segment.field(2).component(1).bytes() {
            b"DA" => "medication",
            b"FA" => "food",
            b"EA" | b"LA" | b"PA" | b"AA" => "environment",
            b"MA" | b"MC" => "miscellaneous",
            _ => "",
        };
        let severity = match segment.field(4).component(1).bytes() {
            b"SV" => "severe",
            b"MO" => "moderate",
            b"MI" => "mild",
            _ => "",
        };
        let fields = [("code", code.component(1).value()), ("name", code.component(2).value())];
        let mut item = self.item(ItemKind::Allergy, format!("AL1|{key}"), &fields);
        item.fields.extend(self.coding(&code));
        item.fields.extend(set("category", category.to_owned()));
        item.fields.extend(set("severity", severity.to_owned()));
        item.fields.extend(set("reaction", self.lines(&segment.field(5))));
        item.fields.extend(self.moment("onset", segment.field(6).component(1).value()));
        Some(item)
    }

    fn diagnosis(&mut self, segment: &Segment<'a>) -> Option<ItemChange> {
        let code = segment.field(3);
        // Before v2.3 the words stood in DG1-4.
        let words = match code.component(2).value() {
            Value::Absent => segment.field(4).value(),
            words => words,
        };
        let key = self.named(&code.component(1).value(), &words)?;
        let visit = self.message.segment("PV1").map(|visit| self.text(visit.field(19).component(1).bytes()));
        let status = match segment.field(6).component(1).bytes() {
            b"A" => "admitting",
            b"W" => "working",
            b"F" => "final",
            _ => "",
        };
        let fields = [
            ("code", code.component(1).value()),
            ("name", words),
            ("clinician", segment.field(16).component(1).value()),
        ];
        let key = format!("DG1|{}|{key}", visit.unwrap_or_default());
        let mut item = self.item(ItemKind::Problem, key, &fields);
        item.fields.extend(self.coding(&code));
        item.fields.extend(set("status", status.to_owned()));
        item.fields.extend(self.moment("onset", segment.field(5).component(1).value()));
        // DG1-18, confidential indicator: restricted, in the words of table 0177.
        if segment.field(18).bytes() == b"Y" {
            item.fields.push(("confidentiality", FieldChange::Set("R".to_owned())));
        }
        Some(item)
    }

    /// By what an entry is known again: its code, else its words. None if it has neither.
    fn named(&mut self, code: &Value<'a>, words: &Value<'a>) -> Option<String> {
        let text = |value: &Value<'a>| match value {
            Value::Set(bytes) => self.text(bytes),
            _ => String::new(),
        };
        let found = [text(code), text(words)].into_iter().find(|text| !text.is_empty());
        if found.is_none() {
            self.fault("entry-without-code-or-words");
        }
        found
    }
}

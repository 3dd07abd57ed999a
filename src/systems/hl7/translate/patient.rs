//! Who a message is about: PID, PD1 and MRG.

use crate::{
    codec::hl7v2::{Field, Segment, Value},
    domain::{
        nhs_number::{InvalidNhsNumber, NhsNumber},
        record::{FieldChange, Identifier, ItemChange, ItemKind},
    },
};

use super::{Reading, set};

/// An identifier longer than this is none; HL7 allows 20 to 250.
const IDENTIFIER_BYTES_MAX: usize = 250;
/// No message names more of a patient's identifiers, nor merges more patients at once.
const IDENTIFIERS_MAX: usize = 64;

impl<'a> Reading<'_, 'a> {
    pub(super) fn identifiers(&self, field: &Field<'a>) -> Vec<Identifier> {
        let identifier = |repetition: Field<'a>| {
            let value = self.text(repetition.component(1).bytes());
            let usable = !value.is_empty() && value != "\"\"" && value.len() <= IDENTIFIER_BYTES_MAX;
            usable.then(|| Identifier {
                value,
                authority: self.text(repetition.component(4).subcomponent(1).bytes()),
                kind: self.text(repetition.component(5).bytes()),
            })
        };
        field.repetitions().filter_map(identifier).take(IDENTIFIERS_MAX).collect()
    }

    /// The NHS number is the identifier that says so, by its authority or its type; some senders put it into
    /// PID-2 instead.
    pub(super) fn nhs_number(
        &self,
        pid: &Segment<'a>,
        identifiers: &[Identifier],
    ) -> Result<NhsNumber, InvalidNhsNumber> {
        match identifiers.iter().find(|one| says_nhs(&one.authority, &one.kind)) {
            Some(one) => NhsNumber::parse(&one.value),
            None => NhsNumber::parse(&self.text(pid.field(2).component(1).bytes()))
                .map_err(|_| InvalidNhsNumber::Absent),
        }
    }

    pub(super) fn merged(&mut self) -> Vec<Identifier> {
        let mut merges = self.message.segments().filter(|segment| segment.name() == b"MRG");
        let first = merges.next().map_or_else(Vec::new, |merge| self.identifiers(&merge.field(1)));
        if merges.next().is_some() {
            self.fault("mrg-several");
        }
        first
    }

    pub(super) fn demographics(&mut self, pid: &Segment<'a>) -> ItemChange {
        let (name, address) = (pid.field(5), pid.field(11));
        let part = |number: usize| pid.field(number).component(1).value();
        let who = [
            ("family_name", name.component(1).subcomponent(1).value()),
            ("given_name", name.component(2).value()),
            ("middle_names", name.component(3).value()),
            ("title", name.component(5).value()),
        ];
        let more = [
            ("gender", part(8)),
            ("address_line_1", address.component(1).subcomponent(1).value()),
            ("address_line_2", address.component(2).value()),
            ("city", address.component(3).value()),
            ("county", address.component(4).value()),
            ("postcode", address.component(5).value()),
            ("language", part(15)),
            ("ethnic_category", part(22)),
            ("death_indicator", part(30)),
            ("nhs_number_status", part(32)),
        ];
        let mut item = self.item(ItemKind::Demographics, String::new(), &who);
        item.fields.extend(self.moment("birth_date", part(7)));
        item.fields.extend(self.item(ItemKind::Demographics, String::new(), &more).fields);
        item.fields.extend(self.telephone(&pid.field(13)));
        item.fields.extend(self.moment("death_date", part(29)));
        if !item.fields.iter().any(|(name, _)| *name == "nhs_number_status") {
            item.fields.extend(self.status_beside_the_number(pid));
        }
        item.fields.extend(self.practice());
        item.fields.extend(self.protection());
        item
    }

    /// XTN: the number as one text (1, 12 from v2.7), in parts (5 to 8), or in words (9).
    fn telephone(&self, field: &Field<'a>) -> Option<(&'static str, FieldChange)> {
        let name = "telephone";
        if field.value() == Value::Delete {
            return Some((name, FieldChange::Delete));
        }
        let first = field.repetition(1);
        let part = |number: usize| self.text(first.component(number).bytes());
        let parts = || [5, 6, 7, 8].map(part).concat();
        let found = [part(1), part(12), parts(), part(9)].into_iter().find(|text| !text.is_empty());
        found.and_then(|found| match found.as_str() {
            "\"\"" => Some((name, FieldChange::Delete)),
            _ => set(name, found),
        })
    }

    /// PD1-12, protection indicator: whoever has it is not shown where they live, as PDS has it with `R`.
    fn protection(&self) -> Option<(&'static str, FieldChange)> {
        match self.message.segment("PD1")?.field(12).bytes() {
            b"Y" => Some(("confidentiality", FieldChange::Set("R".to_owned()))),
            b"N" | b"\"\"" => Some(("confidentiality", FieldChange::Delete)),
            _ => None,
        }
    }

    /// PD1-3: the practice's code as its number (XON.3, or XON.10 from v2.5), or as its name where it is one.
    fn practice(&self) -> Option<(&'static str, FieldChange)> {
        let field = self.message.segment("PD1")?.field(3);
        let [name, number, identifier] = [1, 3, 10].map(|component| field.component(component).value());
        let code = match (number, identifier, name) {
            (Value::Absent, Value::Absent, Value::Set(name)) if is_practice_code(name) => Value::Set(name),
            (Value::Absent, Value::Absent, Value::Delete) => Value::Delete,
            (Value::Absent, identifier, _) => identifier,
            (number, ..) => number,
        };
        self.change("general_practice", code)
    }

    /// Some senders write the NHS number's status into the place of its check digit: `9990000018^06^^NHS^NI`.
    fn status_beside_the_number(&self, pid: &Segment<'a>) -> Option<(&'static str, FieldChange)> {
        let status = |one: Field<'a>| {
            let authority = self.text(one.component(4).subcomponent(1).bytes());
            let kind = self.text(one.component(5).bytes());
            match one.component(2).bytes() {
                [b'0', digit @ b'1'..=b'8'] if says_nhs(&authority, &kind) => {
                    Some(format!("NSTS0{}", char::from(*digit)))
                }
                _ => None,
            }
        };
        pid.field(3).repetitions().find_map(status).and_then(|status| set("nhs_number_status", status))
    }
}

/// A practice's ODS code: a letter and five digits.
fn is_practice_code(name: &[u8]) -> bool {
    matches!(name, [letter, digits @ ..] if letter.is_ascii_uppercase() && digits.len() == 5 && digits.iter().all(u8::is_ascii_digit))
}

fn says_nhs(authority: &str, kind: &str) -> bool {
    authority == "NHS" || matches!(kind, "NH" | "NHS" | "NHSNMBR")
}

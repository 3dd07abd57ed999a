//! Statements kept in little memory: those of one bundle share one table of texts.
//!
//! The form never leaves memory, so that it may change with every version of the program. Besides the table there are
//! variable-length numbers, and moments as differences from the one before.

use std::sync::Arc;

use jiff::civil::Date;

use crate::domain::{
    booking::CancelledBy,
    contact::{
        CaseStatus, Code, Evidence, EvidenceId, FactName, FactValue, Facts, LocalId, NumberStatus, Patient,
        Reference, ReferenceKind, Said, SlotType,
    },
    ids::HubId,
    nhs_number::NhsNumber,
    time::Timestamp,
};

/// Packs statements together.
pub(super) fn pack(statements: &[Evidence]) -> Box<[u8]> {
    let mut writer = Writer { texts: Vec::new(), body: Vec::new(), moment: 0 };
    for statement in statements {
        writer.evidence(statement);
    }
    let mut whole =
        Vec::with_capacity(writer.body.len() + writer.texts.iter().map(|t| t.len() + 1).sum::<usize>() + 4);
    number(&mut whole, statements.len() as u64);
    number(&mut whole, writer.texts.len() as u64);
    for text in &writer.texts {
        number(&mut whole, text.len() as u64);
        whole.extend_from_slice(text.as_bytes());
    }
    whole.extend_from_slice(&writer.body);
    whole.into_boxed_slice()
}

/// Unpacks what [`pack`] made; other bytes give what can be read of them.
pub(super) fn unpack(bytes: &[u8]) -> Vec<Evidence> {
    let mut reader = Reader { bytes, texts: Vec::new(), moment: 0 };
    let mut statements = Vec::new();
    let Some(count) = reader.open() else { return statements };
    for _ in 0..count {
        match reader.evidence() {
            Some(statement) => statements.push(statement),
            None => break,
        }
    }
    debug_assert_eq!(statements.len() as u64, count, "what was packed is unpacked");
    statements
}

fn number(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return into.push(low);
        }
        into.push(low | 0x80);
    }
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Position of a value in its enum's list.
fn place<T: PartialEq>(all: &[T], value: &T) -> u64 {
    all.iter().position(|other| other == value).unwrap_or_default() as u64
}

struct Writer<'a> {
    texts: Vec<&'a str>,
    body: Vec<u8>,
    moment: i64,
}

impl<'a> Writer<'a> {
    fn number(&mut self, value: u64) {
        number(&mut self.body, value);
    }

    fn text(&mut self, text: &'a str) {
        let at = self.texts.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        });
        self.number(at as u64);
    }

    /// A text owned by nothing that lives as long as the statements: written out.
    fn literal(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.body.extend_from_slice(text.as_bytes());
    }

    fn moment(&mut self, moment: Timestamp) {
        self.number(zigzag(moment.0.wrapping_sub(self.moment)));
        self.moment = moment.0;
    }

    fn date(&mut self, date: Date) {
        let days = (i64::from(date.year()) << 9) | (i64::from(date.month()) << 5) | i64::from(date.day());
        self.number(zigzag(days));
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn evidence(&mut self, statement: &'a Evidence) {
        let Evidence { id, said, at, taken, references, replaces, patient, .. } = statement;
        self.text(id.hub.as_str());
        self.text(&id.system);
        self.text(&id.entry);
        self.number(u64::from(id.part));
        self.said(said);
        self.moment(*at);
        self.moment(*taken);
        self.references(references);
        self.references(replaces);
        self.patient(patient);
        self.optional(statement.service.as_ref(), |writer, service| writer.text(service.as_str()));
        self.text(&statement.slot_type.clinic);
        self.text(&statement.slot_type.slot);
        self.optional(statement.owner.as_ref(), |writer, owner| writer.text(owner));
        self.optional(statement.start, Self::moment);
        self.optional(statement.day, Self::date);
        self.facts(&statement.facts);
        self.number(statement.cleared.len() as u64);
        for name in &statement.cleared {
            self.number(place(FactName::ALL, name));
        }
    }

    fn said(&mut self, said: &'a Said) {
        self.number(place(crate::domain::contact::SaidKind::ALL, &said.kind()));
        match said {
            Said::Cancelled(by) => self.number(match by {
                None => 0,
                Some(CancelledBy::Patient) => 1,
                Some(CancelledBy::Provider) => 2,
            }),
            Said::UrgentCase(status) => self.number(place(CaseStatus::ALL, status)),
            Said::PatientMerged(retired) => self.patient(retired),
            _ => {}
        }
    }

    fn references(&mut self, references: &'a [Reference]) {
        self.number(references.len() as u64);
        for reference in references {
            self.number(place(ReferenceKind::ALL, &reference.kind));
            self.text(&reference.issuer);
            self.text(&reference.value);
        }
    }

    fn patient(&mut self, patient: &'a Patient) {
        self.optional(patient.nhs_number.as_ref(), |writer, number| writer.text(number.as_str()));
        self.optional(patient.status, |writer, status| writer.number(place(NumberStatus::ALL, &status)));
        self.number(patient.local.len() as u64);
        for id in &patient.local {
            self.text(&id.system);
            self.text(&id.value);
        }
    }

    fn facts(&mut self, facts: &'a Facts) {
        let stated: Vec<_> = FactName::ALL
            .iter()
            .enumerate()
            .filter_map(|(place, name)| facts.get(*name).map(|value| (place, value)))
            .collect();
        self.number(stated.len() as u64);
        for (place, value) in stated {
            self.number(place as u64);
            self.value(&value);
        }
    }

    fn value(&mut self, value: &FactValue) {
        match value {
            FactValue::Code(code) => {
                self.number(0);
                self.literal(code.as_str());
            }
            FactValue::Codes(codes) => {
                self.number(1);
                self.number(codes.len() as u64);
                for code in codes {
                    self.literal(code.as_str());
                }
            }
            FactValue::Word(word) => {
                self.number(2);
                self.text(word);
            }
            FactValue::Date(date) => {
                self.number(3);
                self.date(*date);
            }
            FactValue::Moment(moment) => {
                self.number(4);
                self.moment(*moment);
            }
            FactValue::Number(value) => {
                self.number(5);
                self.number(u64::from(*value));
            }
            FactValue::Flag(flag) => self.number(6 + u64::from(*flag)),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    texts: Vec<(&'a str, Option<Arc<str>>)>,
    moment: i64,
}

impl<'a> Reader<'a> {
    fn open(&mut self) -> Option<u64> {
        let count = self.number()?;
        for _ in 0..self.number()? {
            let text = self.literal()?;
            self.texts.push((text, None));
        }
        Some(count)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn literal(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let at = self.length()?;
        self.texts.get(at).map(|(text, _)| *text)
    }

    /// A text that several statements share.
    fn shared(&mut self) -> Option<Arc<str>> {
        let at = self.length()?;
        let (text, shared) = self.texts.get_mut(at)?;
        Some(Arc::clone(shared.get_or_insert_with(|| Arc::from(*text))))
    }

    fn hub(&mut self) -> Option<HubId> {
        self.text()?.parse().ok()
    }

    fn moment(&mut self) -> Option<Timestamp> {
        self.moment = self.moment.wrapping_add(unzigzag(self.number()?));
        Some(Timestamp(self.moment))
    }

    fn date(&mut self) -> Option<Date> {
        let days = unzigzag(self.number()?);
        let part = |bits: i64| i8::try_from(bits).ok();
        Date::new(i16::try_from(days >> 9).ok()?, part((days >> 5) & 15)?, part(days & 31)?).ok()
    }

    /// The outer none: cannot be read.
    #[expect(clippy::option_option, reason = "what cannot be read is something else than what is absent")]
    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.number()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.length()?;
        all.get(at).copied()
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.length()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn evidence(&mut self) -> Option<Evidence> {
        let id = EvidenceId {
            hub: self.hub()?,
            system: self.shared()?,
            entry: self.text()?.into(),
            part: u16::try_from(self.number()?).ok()?,
        };
        let said = self.said()?;
        Some(Evidence {
            id,
            said,
            at: self.moment()?,
            taken: self.moment()?,
            references: self.list(Self::reference)?,
            replaces: self.list(Self::reference)?,
            patient: self.patient()?,
            service: self.optional(Self::hub)?,
            slot_type: SlotType { clinic: self.shared()?, slot: self.shared()? },
            owner: self.optional(Self::shared)?,
            start: self.optional(Self::moment)?,
            day: self.optional(Self::date)?,
            facts: self.facts()?,
            cleared: self.list(|reader| reader.one_of(FactName::ALL))?,
        })
    }

    fn said(&mut self) -> Option<Said> {
        use crate::domain::contact::SaidKind;
        Some(match self.one_of(SaidKind::ALL)? {
            SaidKind::Booked => Said::Booked,
            SaidKind::Moved => Said::Moved,
            SaidKind::Amended => Said::Amended,
            SaidKind::Arrived => Said::Arrived,
            SaidKind::Called => Said::Called,
            SaidKind::Attended => Said::Attended,
            SaidKind::Left => Said::Left,
            SaidKind::DidNotAttend => Said::DidNotAttend,
            SaidKind::Cancelled => Said::Cancelled(match self.number()? {
                1 => Some(CancelledBy::Patient),
                2 => Some(CancelledBy::Provider),
                _ => None,
            }),
            SaidKind::WalkInOpened => Said::WalkInOpened,
            SaidKind::UrgentCase => Said::UrgentCase(self.one_of(CaseStatus::ALL)?),
            SaidKind::CommunityContact => Said::CommunityContact,
            SaidKind::Diagnostic => Said::Diagnostic,
            SaidKind::ResultOnly => Said::ResultOnly,
            SaidKind::Withdrawn => Said::Withdrawn,
            SaidKind::PatientMerged => Said::PatientMerged(self.patient()?),
        })
    }

    fn reference(&mut self) -> Option<Reference> {
        Some(Reference {
            kind: self.one_of(ReferenceKind::ALL)?,
            issuer: self.shared()?,
            value: self.text()?.into(),
        })
    }

    fn patient(&mut self) -> Option<Patient> {
        Some(Patient {
            nhs_number: self.optional(|reader| NhsNumber::parse(reader.text()?).ok())?,
            status: self.optional(|reader| reader.one_of(NumberStatus::ALL))?,
            local: self
                .list(|reader| Some(LocalId { system: reader.shared()?, value: reader.text()?.into() }))?,
        })
    }

    fn facts(&mut self) -> Option<Facts> {
        let mut facts = Facts::default();
        for _ in 0..self.number()? {
            let name = self.one_of(FactName::ALL)?;
            let value = self.value()?;
            facts.set(name, &value);
        }
        Some(facts)
    }

    fn code(&mut self) -> Option<Code> {
        self.literal()?.parse().ok()
    }

    fn value(&mut self) -> Option<FactValue> {
        Some(match self.number()? {
            0 => FactValue::Code(self.code()?),
            1 => FactValue::Codes(self.list(Self::code)?),
            2 => FactValue::word(self.text()?)?,
            3 => FactValue::Date(self.date()?),
            4 => FactValue::Moment(self.moment()?),
            5 => FactValue::Number(u32::try_from(self.number()?).ok()?),
            flag => FactValue::Flag(flag == 7),
        })
    }
}

//! From segments to a report.

use super::{Code, Investigation, Kind, Link, Party, Range, Report, Specimen, Value};
use crate::codec::edifact::{
    interchange::Message,
    moment,
    segment::{Charset, Element, Segment},
};

/// Components of FTX this long were cut there; what follows belongs to the same word.
const TEXT_CUT_AT: usize = 70;
/// Tests, and specimens, of one report: the largest panels have some hundred.
const INVESTIGATIONS_MAX: usize = 2_000;
/// Elements of PNA: name parts begin at the fifth.
const NAME_PARTS: std::ops::Range<usize> = 5..12;
/// The same of names in NAD.
const NAME_CUT_AT: usize = 35;

/// Why a message is rejected: said to its sender, without content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// Its ends do not agree.
    #[error("{0}")]
    Broken(&'static str),
    /// It is of a kind we do not take.
    #[error("this type of message is not taken here")]
    UnknownKind,
    /// It lacks what it cannot do without.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It has more in it than a report.
    #[error("it has more tests or specimens than a report has")]
    TooMany,
    /// A code is not of the list it must be of.
    #[error("{0}")]
    Code(&'static str),
}

/// Reads a report.
///
/// # Errors
/// What its sender is to be told: see [`Unreadable`]. Oddities that lose nothing are in [`Report::faults`].
pub fn read(message: &Message<'_>) -> Result<(Kind, Report), Unreadable> {
    if let Some(broken) = message.broken {
        return Err(Unreadable::Broken(broken));
    }
    let document = message.segments.iter().find(|segment| segment.tag() == b"BGM");
    let document = document.map(|segment| segment.text(1, 1, message.charset)).unwrap_or_default();
    let kind = Kind::of(&message.kind.name, &message.kind.association, document.trim());
    let kind = kind.ok_or(Unreadable::UnknownKind)?;
    let mut reader = Reader {
        charset: message.charset,
        at: Place::Head,
        report: Report { faults: message.faults.clone(), ..Report::default() },
    };
    for segment in message.segments {
        reader.take(segment);
    }
    let mut report = reader.report;
    check(kind, &report)?;
    if has_dangling_links(&report) {
        report.faults.push("rff-link-unknown");
    }
    Ok((kind, report))
}

/// What the segments that come speak of.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Head,
    Party,
    Report,
    Subject,
    Clinical,
    Specimen,
    Investigation,
    Range,
}

struct Reader {
    charset: Charset,
    at: Place,
    report: Report,
}

impl Reader {
    fn take(&mut self, segment: &Segment<'_>) {
        self.turn(segment.tag());
        match segment.tag() {
            b"NAD" => self.party(segment),
            b"SPR" => {
                let sort = self.text(segment, 1, 1);
                self.report.parties.last_mut().into_iter().for_each(|party| party.sort.clone_from(&sort));
            }
            b"PNA" => self.name(segment),
            b"PDI" => self.report.patient.gender = gender(&self.text(segment, 1, 1)).to_owned(),
            b"ADR" => self.address(segment),
            b"RFF" => self.reference(segment),
            b"DTM" => self.moment(segment),
            b"STS" => self.status(segment),
            b"SEQ" => self.sequence(segment),
            b"SPC" => self.specimen(segment),
            b"QTY" => self.quantity(segment),
            b"FTX" => self.words(segment),
            b"INV" => {
                let code = self.code(&segment.element(2));
                self.report.investigations.push(Investigation { code, ..Investigation::default() });
            }
            b"RSL" => self.result(segment),
            b"RND" => self.range(segment),
            // Understood and without content of their own, or seen in the field and of no account.
            b"UNH" | b"BGM" | b"UNT" | b"GIS" | b"CIN" | b"REL" => {}
            tag if tag.starts_with(b"S") && tag.len() == 3 && tag[1..].iter().all(u8::is_ascii_digit) => {}
            _ if self.report.faults.contains(&"segment-unknown") => {}
            _ => self.report.faults.push("segment-unknown"),
        }
    }

    fn turn(&mut self, tag: &[u8]) {
        self.at = match tag {
            b"S01" | b"NAD" => Place::Party,
            b"S02" => Place::Report,
            b"S05" | b"S06" | b"S07" => Place::Subject,
            b"S10" => Place::Clinical,
            b"S16" => {
                self.report.specimens.push(Specimen::default());
                Place::Specimen
            }
            b"INV" => Place::Investigation,
            b"S20" => {
                if let Some(investigation) = self.report.investigations.last_mut() {
                    investigation.ranges.push(Range::default());
                }
                Place::Range
            }
            _ => return,
        };
    }

    fn text(&self, segment: &Segment<'_>, element: usize, component: usize) -> String {
        segment.text(element, component, self.charset).trim().to_owned()
    }

    fn moment_of(&mut self, segment: &Segment<'_>) -> String {
        let (value, format) = (self.text(segment, 1, 2), self.text(segment, 1, 3));
        moment::read(&value, &format).unwrap_or_else(|| {
            self.fault("dtm-unreadable");
            String::new()
        })
    }

    fn fault(&mut self, code: &'static str) {
        if !self.report.faults.contains(&code) {
            self.report.faults.push(code);
        }
    }

    /// Code, list, agency and words.
    fn code(&self, element: &Element<'_>) -> Code {
        let text = |component| element.text(component, self.charset).trim().to_owned();
        Code { value: text(1), list: text(2), name: text(4) }
    }

    fn party(&mut self, segment: &Segment<'_>) {
        let who = segment.element(2);
        let name = |element: usize| rejoin(&segment.element(element).texts(self.charset), NAME_CUT_AT);
        let (plain, other) = (name(4), name(3));
        let who = Code {
            value: who.text(1, self.charset).trim().to_owned(),
            list: who.text(2, self.charset).trim().to_owned(),
            name: if plain.is_empty() { other } else { plain },
        };
        self.report.parties.push(Party { role: self.text(segment, 1, 1), sort: String::new(), who });
    }

    fn name(&mut self, segment: &Segment<'_>) {
        let patient = &mut self.report.patient;
        let text =
            |element: usize, component| segment.text(element, component, self.charset).trim().to_owned();
        if matches!(text(2, 2).as_str(), "" | "OPI") {
            patient.nhs_number = text(2, 1);
        } else {
            patient.numbers.push((text(2, 2), text(2, 1)));
        }
        for part in segment.elements().skip(NAME_PARTS.start).take(NAME_PARTS.len()) {
            let value = part.text(2, self.charset).trim().to_owned();
            match part.text(1, self.charset).trim() {
                "SU" => patient.family_name = value,
                "FO" => patient.given_name = value,
                "MI" => patient.middle_names = value,
                "TI" => patient.title = value,
                _ => {}
            }
        }
    }

    fn address(&mut self, segment: &Segment<'_>) {
        let mut lines: Vec<String> = segment.element(2).texts(self.charset).into_iter().skip(1).collect();
        lines.push(self.text(segment, 3, 1));
        lines.retain(|line| !line.trim().is_empty());
        self.report.patient.address = lines;
        self.report.patient.postcode = self.text(segment, 4, 1);
    }

    fn reference(&mut self, segment: &Segment<'_>) {
        let (what, value) = (self.text(segment, 1, 1), self.text(segment, 1, 2));
        match (self.at, what.as_str()) {
            (Place::Report, "SRI") => self.report.id = value,
            (Place::Subject, _) => self.report.patient.numbers.push((what, value)),
            (Place::Specimen, "STI") => self.specimen_now().id = value,
            (Place::Specimen, "RTI") => self.specimen_now().requester_id = value,
            (Place::Investigation | Place::Range, "ASL" | "ARL") => {
                let link = if what == "ASL" { Link::Specimen(value) } else { Link::Group(value) };
                self.report.investigations.last_mut().into_iter().for_each(|one| one.link = link.clone());
            }
            _ => {}
        }
    }

    fn moment(&mut self, segment: &Segment<'_>) {
        let what = self.text(segment, 1, 1);
        let moment = self.moment_of(segment);
        match (self.at, what.as_str()) {
            (_, "137") => self.report.prepared = moment,
            (_, "329") => self.report.patient.birth_date = moment,
            (_, "ISR") => self.report.issued = moment,
            (Place::Specimen, "SCO") => self.specimen_now().collected = moment,
            (Place::Specimen, "SRI") => self.specimen_now().received = moment,
            (Place::Investigation, "AIC") => {
                self.report
                    .investigations
                    .last_mut()
                    .into_iter()
                    .for_each(|one| one.performed.clone_from(&moment));
            }
            _ => {}
        }
    }

    fn status(&mut self, segment: &Segment<'_>) {
        let status = self.text(segment, 2, 1);
        match self.report.investigations.last_mut() {
            Some(one) if self.at == Place::Investigation => one.status = status,
            _ => self.report.status = status,
        }
    }

    fn sequence(&mut self, segment: &Segment<'_>) {
        let sequence = self.text(segment, 2, 1);
        match (self.at, self.report.investigations.last_mut()) {
            (Place::Specimen, _) => self.specimen_now().sequence = sequence,
            (Place::Investigation, Some(one)) => one.sequence = sequence,
            _ => {}
        }
    }

    fn specimen_now(&mut self) -> &mut Specimen {
        if self.report.specimens.is_empty() {
            self.report.specimens.push(Specimen::default());
        }
        let last = self.report.specimens.len() - 1;
        &mut self.report.specimens[last]
    }

    fn specimen(&mut self, segment: &Segment<'_>) {
        match self.text(segment, 1, 1).as_str() {
            "TSP" => self.specimen_now().kind = self.code(&segment.element(2)),
            "FS" => self.specimen_now().fasting = self.text(segment, 2, 1),
            _ => self.fault("spc-unknown"),
        }
    }

    fn quantity(&mut self, segment: &Segment<'_>) {
        if self.at == Place::Specimen {
            let unit = self.unit(&segment.element(2));
            self.specimen_now().volume = (self.text(segment, 1, 2), unit);
        }
    }

    fn words(&mut self, segment: &Segment<'_>) {
        let words = rejoin(&segment.element(4).texts(self.charset), TEXT_CUT_AT);
        if words.is_empty() {
            return;
        }
        let what = self.text(segment, 1, 1);
        let last = self.report.investigations.last_mut();
        match (self.at, last) {
            (Place::Investigation, Some(one)) if what == "RIT" => one.text.push(words),
            (Place::Investigation, Some(one)) => one.comments.push(words),
            (Place::Range, Some(one)) if what == "RPD" => {
                one.ranges.last_mut().into_iter().for_each(|range| range.comments.push(words.clone()));
            }
            (Place::Range, Some(one)) => one.comments.push(words),
            (Place::Specimen, _) => self.specimen_now().comments.push(words),
            _ => self.report.clinical_information.push(words),
        }
    }

    /// A unit, coded in the first component or in words in the fourth.
    fn unit(&self, element: &Element<'_>) -> String {
        let coded = element.text(1, self.charset);
        let unit = if coded.trim().is_empty() { element.text(4, self.charset) } else { coded };
        unit.trim().to_owned()
    }

    fn result(&mut self, segment: &Segment<'_>) {
        let value = match self.text(segment, 1, 1).as_str() {
            "NV" => {
                let (comparator, known) = comparator(&self.text(segment, 2, 2));
                if !known {
                    self.fault("rsl-comparator-unknown");
                }
                Value::Numeric(self.text(segment, 2, 1), comparator, self.unit(&segment.element(4)))
            }
            "CV" => {
                let text = |component| self.text(segment, 2, component);
                Value::Coded(Code { value: text(3), list: text(4), name: text(6) })
            }
            "" => Value::None,
            _ => {
                self.fault("rsl-type-unknown");
                Value::Numeric(self.text(segment, 2, 1), String::new(), self.unit(&segment.element(4)))
            }
        };
        let flag = self.text(segment, 5, 1);
        if !matches!(flag.as_str(), "" | "HI" | "LO" | "OR" | "PA") {
            self.fault("rsl-flag-unknown");
        }
        if let Some(one) = self.report.investigations.last_mut() {
            (one.value, one.flag) = (value, flag);
        }
    }

    fn range(&mut self, segment: &Segment<'_>) {
        let (low, high) = (self.text(segment, 2, 1), self.text(segment, 3, 1));
        let unit = self.unit(&segment.element(4));
        if let Some(range) = self.report.investigations.last_mut().and_then(|one| one.ranges.last_mut()) {
            (range.low, range.high, range.unit) = (low, high, unit);
        }
    }
}

/// PDI: ISO 5218.
fn gender(code: &str) -> &'static str {
    match code {
        "1" => "M",
        "2" => "F",
        "0" => "U",
        "9" => "O",
        _ => "",
    }
}

/// Code list 6321, and whether the code is in it. One that is not stays as it is: a bare value would lie.
fn comparator(code: &str) -> (String, bool) {
    let known = match code {
        "" => "",
        "5" => ">=",
        "6" => ">",
        "7" => "<",
        "8" => "<=",
        other => return (other.to_owned(), false),
    };
    (known.to_owned(), true)
}

/// Lines together again: one that fills its component was cut within a word.
fn rejoin(pieces: &[String], cut_at: usize) -> String {
    let mut whole = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        let cut = at.checked_sub(1).is_some_and(|before| cut_at <= pieces[before].chars().count());
        if 0 < at && !cut {
            whole.push('\n');
        }
        whole.push_str(piece);
    }
    whole.trim_matches('\n').trim_end().to_owned()
}

fn check(kind: Kind, report: &Report) -> Result<(), Unreadable> {
    if INVESTIGATIONS_MAX < report.investigations.len().max(report.specimens.len()) {
        return Err(Unreadable::TooMany);
    }
    let patient = &report.patient;
    if report.id.is_empty() {
        return Err(Unreadable::Missing("the report's number (RFF+SRI)"));
    }
    if patient.family_name.is_empty() && patient.nhs_number.is_empty() {
        return Err(Unreadable::Missing("the patient's name and number (PNA)"));
    }
    if report.parties.iter().any(|party| party.role == "PO" && party.who.is_empty()) {
        return Err(Unreadable::Missing("who asked for the report (NAD+PO)"));
    }
    if report.investigations.iter().any(|one| one.code.is_empty()) {
        return Err(Unreadable::Missing("what was investigated (INV)"));
    }
    for one in &report.investigations {
        match &one.value {
            Value::Numeric(value, ..) if value.is_empty() => {
                return Err(Unreadable::Missing("a result's value (RSL+NV)"));
            }
            Value::Coded(code) if code.is_empty() => {
                return Err(Unreadable::Missing("a result's code (RSL+CV)"));
            }
            _ => {}
        }
    }
    if kind == Kind::Screening { check_screening(report) } else { Ok(()) }
}

/// Screening results are SNOMED CT, each with its words (NHS004 guideline). A test may go by its words alone.
fn check_screening(report: &Report) -> Result<(), Unreadable> {
    let complete = |code: &Code| !code.value.is_empty() && !code.name.is_empty() && code.list == "921";
    for one in &report.investigations {
        if !complete(&one.code) && !one.code.value.is_empty() {
            return Err(Unreadable::Code("what was investigated (INV) is no SNOMED CT code with its words"));
        }
        if let Value::Coded(code) = &one.value
            && !complete(code)
        {
            return Err(Unreadable::Code("a result (RSL) is no SNOMED CT code with its words"));
        }
    }
    Ok(())
}

fn has_dangling_links(report: &Report) -> bool {
    report.investigations.iter().any(|one| match &one.link {
        Link::None => false,
        Link::Specimen(wanted) => !report.specimens.iter().any(|specimen| specimen.sequence == *wanted),
        Link::Group(_) => report.group(one).is_none(),
    })
}

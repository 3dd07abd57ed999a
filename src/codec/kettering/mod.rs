//! Kettering letters (`ReportMsg`, DTD ReportMsg03): what out-of-hours services and hospitals send to practices.
//!
//! The standard is not maintained and its writers differ. Dates are the worst of it: INPS Vision describes them as
//! CCYYDDMM, most others write CCYYMMDD. A date is read only where it can mean one thing, or where another date of the
//! same letter shows which order its writer keeps.

mod dates;
#[doc(hidden)]
pub mod fuzzing;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use dates::DateOrder;
pub use read::{KetteringError, read};
pub use write::write;

/// The types of service event that Vision files; it rejects any other.
pub const SERVICE_EVENT_TYPES: [&str; 17] =
    ["IP", "DC", "DH", "WR", "FF", "SF", "FV", "SV", "MV", "DI", "VO", "VP", "NC", "RC", "TR", "UN", "AE"];

/// Whom a letter is about. `Debug` shows nothing of them.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Patient {
    /// As given; not checked.
    pub nhs_number: String,
    /// Other numbers: type and value.
    pub numbers: Vec<(String, String)>,
    /// Family name.
    pub family_name: String,
    /// Given name. Practices match it letter by letter, apostrophes left out.
    pub given_name: String,
    /// Title.
    pub title: String,
    /// ISO 8601; empty if the day cannot be told from the month.
    pub birth_date: String,
    /// HL7 table 0001.
    pub gender: String,
    /// Address lines.
    pub address: Vec<String>,
    /// Postcode.
    pub postcode: String,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patient(…)")
    }
}

/// Who writes, or whom it is for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Party {
    /// The organisation's code, and of which sort it is: `PRA` a practice, `Provider` another.
    pub organisation: (String, String),
    /// Its name.
    pub organisation_name: String,
    /// The department's name.
    pub department: String,
    /// The person's code (`GP` for a GMC or GMP code) and sort.
    pub person: (String, String),
    /// The person's name.
    pub person_name: String,
}

/// A coded entry beside the letter's text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coded {
    /// The code, such as `339g.`.
    pub code: String,
    /// The scheme and its version, such as `Read 2`.
    pub scheme: String,
    /// The words.
    pub term: String,
    /// Value and unit.
    pub value: (String, String),
}

/// A piece of the letter's text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text {
    /// `TextMarkupIndicator`, as given; empty for plain text.
    pub markup: String,
    /// The text.
    pub block: String,
}

impl Text {
    /// The media type the markup stands for.
    pub fn media_type(&self) -> &'static str {
        if self.markup.to_ascii_uppercase().contains("HTML") { "text/html" } else { "text/plain" }
    }
}

/// One letter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Letter {
    /// `MsgId`, unique for ever: practices warn of one that comes twice.
    pub message_id: String,
    /// When it was sent; ISO 8601, empty if it cannot be told.
    pub issued: String,
    /// `MsgSender`.
    pub sender: String,
    /// `MsgRecipient`.
    pub recipient: String,
    /// Whom it is about.
    pub patient: Patient,
    /// Whom it is for.
    pub to: Party,
    /// Who sends it.
    pub from: Party,
    /// `ReportID`.
    pub report_id: String,
    /// `ReportType`: what it is called.
    pub report_type: String,
    /// `ReportCode`: what it is filed as.
    pub report_code: String,
    /// Who wrote it down.
    pub contributor: String,
    /// One of [`SERVICE_EVENT_TYPES`], if it says.
    pub service_event_type: String,
    /// When it happened; ISO 8601.
    pub event_date: String,
    /// When it was written; ISO 8601.
    pub created: String,
    /// Its text.
    pub texts: Vec<Text>,
    /// Coded entries.
    pub coded: Vec<Coded>,
    /// What was odd, as stable codes.
    pub faults: Vec<&'static str>,
}

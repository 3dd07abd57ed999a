//! Contacts as analysts get them: pseudonyms, months and bands of age; no number, no day, no postcode, nobody who has
//! opted out.

use std::io;

use crate::{
    activity::{codes::csv, returns::Omission},
    domain::contact::{Contact, Dataset},
};

use super::{Barred, Pseudonymiser};

const COLUMNS: [&str; 10] =
    ["patient", "contact", "month", "hub", "service", "kind", "state", "data set", "mechanism", "age band"];

/// A view under way: contacts go in, lines of CSV come out.
pub struct AnalystView<'a, W> {
    out: W,
    pseudonyms: &'a Pseudonymiser,
    barred: &'a Barred,
    /// Lines so far.
    pub rows: u64,
    /// Contacts that were kept back: sealed, restricted or opted out.
    pub kept_back: u64,
}

impl<'a, W: io::Write> AnalystView<'a, W> {
    /// Begins it for the recipient and the purpose of the pseudonyms.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn begin(mut out: W, pseudonyms: &'a Pseudonymiser, barred: &'a Barred) -> io::Result<Self> {
        csv::write(&mut out, COLUMNS)?;
        Ok(Self { out, pseudonyms, barred, rows: 0, kept_back: 0 })
    }

    /// Takes a contact; none in the result if it is in the view.
    ///
    /// # Errors
    /// If the bytes cannot be written.
    pub fn put(&mut self, contact: &Contact, dataset: Option<Dataset>) -> io::Result<Option<Omission>> {
        if let Some(bar) = self.barred.from_secondary_use(contact) {
            self.kept_back += 1;
            return Ok(Some(bar.into()));
        }
        let patient = self.pseudonyms.patient(&contact.patient).map(|pseudonym| pseudonym.to_string());
        let cells = [
            &*patient.unwrap_or_default(),
            &*self.pseudonyms.contact(contact).to_string(),
            &*contact.month().to_string(),
            &*contact.hub.to_string(),
            &*contact.service.as_ref().map(ToString::to_string).unwrap_or_default(),
            contact.kind.word(),
            contact.state.word(),
            dataset.map(Dataset::word).unwrap_or_default(),
            contact.facts.mechanism.map(|fact| fact.value.word()).unwrap_or_default(),
            age_band(contact),
        ];
        csv::write(&mut self.out, cells)?;
        self.rows += 1;
        Ok(None)
    }

    /// Ends it.
    pub fn finish(self) -> W {
        self.out
    }
}

/// Bands of twenty years: with a service and a month, narrower ones begin to point at people.
fn age_band(contact: &Contact) -> &'static str {
    let years = contact.facts.birth_date.map(|birth| contact.day.year() - birth.value.year());
    match years {
        Some(0..20) => "0 to 19",
        Some(20..40) => "20 to 39",
        Some(40..60) => "40 to 59",
        Some(60..80) => "60 to 79",
        Some(80..) => "80 and over",
        _ => "not known",
    }
}

//! What every return has in common while it is built: who stays out, what is counted, how files are called.

use std::{collections::BTreeSet, io};

use jiff::civil::Date;

use crate::{
    activity::{codes::csv, maps::Maps, privacy::Barred},
    domain::{
        contact::{Contact, ContactId, Dataset, Month, State},
        time::Timestamp,
    },
};

use super::{
    BuiltFile, Disposition, Files, Holding, Item, Omission, ReturnKind, Settings, Totals, Version,
    cds::ControlReference,
    files::Tally,
    record::{self, Record},
};

/// What is to be built.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// For which month.
    pub period: Month,
    /// Which return.
    pub kind: ReturnKind,
    /// As which version; [`super::Shelf::next_version`] gives it.
    pub version: Version,
    /// Who sends it to whom.
    pub settings: &'a Settings,
    /// Whose contacts never leave.
    pub barred: &'a Barred,
    /// The services: their main specialty and treatment function stand where a contact states none.
    pub maps: &'a Maps,
    /// The interchange's control reference, where the return is one.
    pub control: ControlReference,
    /// When it is built.
    pub now: Timestamp,
}

/// A built return.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// Its files, in the order in which they are submitted; lists for people last.
    pub files: Vec<BuiltFile>,
    /// Its sums.
    pub totals: Totals,
    /// What the receiver holds once it has taken the files; only of a net change.
    pub holding: Option<Holding>,
}

/// A return under way.
pub trait Builder {
    /// Takes a contact that was routed to a data set.
    ///
    /// # Errors
    /// If the files cannot be written.
    fn put(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition>;

    /// Ends the files.
    ///
    /// # Errors
    /// If they cannot be written.
    fn finish(self) -> io::Result<Built>;
}

impl Job<'_> {
    /// The name of one of its files, such as `cds-6.2-outpatient_2026-05_v003.xml`. Holds nothing of any patient.
    pub fn file_name(&self, part: &str) -> String {
        format!("{}_{}_v{:03}{part}", self.kind.word(), self.period, self.version.number())
    }

    /// The day on which it is built, by London's clocks.
    pub(super) fn today(&self) -> Date {
        record::local(self.now).map_or(Date::MAX, |now| now.date())
    }
}

/// What every builder has.
pub(super) struct Common<'a, F: Files> {
    pub(super) job: Job<'a>,
    pub(super) files: &'a mut F,
    pub(super) record: Record,
    totals: Totals,
    today: Date,
    seen: BTreeSet<ContactId>,
    omitted: Tally<F::File>,
}

impl<'a, F: Files> Common<'a, F> {
    pub(super) fn new(job: Job<'a>, files: &'a mut F) -> io::Result<Self> {
        job.settings.check().map_err(io::Error::other)?;
        let mut omitted = Tally::create(files, job.file_name("_omitted.csv"))?;
        csv::write(&mut omitted, ["contact", "reason", "explanation"])?;
        let (today, record, totals) = (job.today(), Record::default(), Totals::default());
        Ok(Self { job, files, record, totals, today, seen: BTreeSet::new(), omitted })
    }

    pub(super) const fn today(&self) -> Date {
        self.today
    }

    /// Whether a contact can be in the return at all; if so, [`Common::record`] is its record.
    pub(super) fn admit(&mut self, contact: &Contact, dataset: Dataset) -> Result<(), Omission> {
        if !self.seen.insert(contact.id) {
            return Err(Omission::Twice);
        }
        if let Some(bar) = self.job.barred.from_leaving(contact) {
            return Err(bar.into());
        }
        if contact.state == State::Withdrawn {
            return Err(Omission::Withdrawn);
        }
        if contact.result_only {
            return Err(Omission::ResultOnly);
        }
        if !self.job.kind.takes(dataset) {
            return Err(Omission::OtherReturn);
        }
        if contact.month() != self.job.period {
            return Err(Omission::OtherPeriod);
        }
        self.fill(contact);
        Ok(())
    }

    /// Makes [`Common::record`] the record of a contact.
    pub(super) fn fill(&mut self, contact: &Contact) {
        let profile = contact.service.as_ref().and_then(|service| self.job.maps.profile(service));
        self.record.fill(contact, self.job.settings, profile, self.today);
    }

    /// Whether the record has every item that it must have.
    pub(super) fn is_complete(&self) -> Result<(), Omission> {
        let required = self.job.settings.requirements.of(self.job.kind);
        let missing = required.into_iter().find(|item| self.record.get(*item).is_empty());
        missing.map_or(Ok(()), |item| Err(Omission::Missing(item)))
    }

    /// Counts a contact, and writes it down if it is not in the return.
    pub(super) fn count(&mut self, contact: &Contact, disposition: Disposition) -> io::Result<Disposition> {
        let attended = match disposition {
            Disposition::Omitted(why) => {
                let (id, said) = (contact.id.to_string(), why.to_string());
                csv::write(&mut self.omitted, [&*id, why.word(), &*said])?;
                self.omitted.rows += 1;
                ""
            }
            _ => {
                for item in self.record.left_out() {
                    *self.totals.left_out.entry(item.name().to_owned()).or_default() += 1;
                }
                self.record.get(Item::Attended)
            }
        };
        self.totals.attended += u64::from(contact.state == State::Attended);
        self.totals.count(disposition, attended);
        Ok(disposition)
    }

    pub(super) const fn deleted(&mut self) {
        self.totals.deleted += 1;
    }

    pub(super) const fn cost(&mut self, pence: i64) {
        self.totals.pence = self.totals.pence.saturating_add(pence);
    }

    /// Ends the list of what is not in the return, after the files that are submitted.
    pub(super) fn finish(self, mut files: Vec<BuiltFile>, holding: Option<Holding>) -> io::Result<Built> {
        files.push(self.omitted.close(self.files)?);
        Ok(Built { files, totals: self.totals, holding })
    }
}

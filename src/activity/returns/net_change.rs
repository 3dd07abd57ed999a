//! Interchanges by net change: what is new or different since the receiver last heard of it, and what is taken back.

use std::io;

use jiff::{ToSpan as _, civil::DateTime};
use sha2::{Digest as _, Sha256};

use crate::{
    activity::codes::{csv, derived},
    domain::contact::{Contact, ContactId, Dataset, Month},
};

use super::{
    Builder, Built, Disposition, Files, Held, Holding, Item, Job, Omission, ReturnKind, Standing,
    build::Common,
    cds::{self, Interchange, Schema},
    ecds,
    files::Tally,
    flat, record,
};

/// CDS UPDATE TYPE of a record that is new or takes the place of an earlier one.
const REPLACES: &str = "9";
/// CDS UPDATE TYPE of a record that is taken back.
const DELETES: &str = "1";

/// An outpatient or emergency care return under way.
pub struct NetChangeBuilder<'a, F: Files> {
    common: Common<'a, F>,
    schema: &'static Schema,
    interchange: Interchange<'a, Tally<F::File>>,
    /// Only of outpatients.
    beside: Option<Beside<F>>,
    /// What the receiver holds and nobody has spoken of yet.
    before: Holding,
    after: Holding,
    applies: DateTime,
    body: Vec<u8>,
}

/// The flat layout of the same messages, and the codes of both versions of each contact.
struct Beside<F: Files> {
    flat: Tally<F::File>,
    codes: Tally<F::File>,
    line: Vec<u8>,
}

impl<'a, F: Files> NetChangeBuilder<'a, F> {
    /// Begins a return of which the receiver holds what `before` says: that of the last version that was submitted.
    ///
    /// # Errors
    /// If the settings are not fit, the job is for another kind of return, or a file cannot be made.
    pub fn begin(job: Job<'a>, files: &'a mut F, before: Holding) -> io::Result<Self> {
        let schema = match job.kind {
            ReturnKind::Outpatient => &cds::SCHEMA_6_2,
            ReturnKind::EmergencyCare => &ecds::SCHEMA_4,
            _ => return Err(io::Error::other("the return is no net change")),
        };
        let prepared =
            record::local(job.now).ok_or_else(|| io::Error::other("the moment is in no calendar"))?;
        let prepared = whole_seconds(prepared.datetime());
        let common = Common::new(job, &mut *files)?;
        let out = Tally::create(&mut *common.files, job.file_name(".xml"))?;
        let interchange = Interchange::begin(out, job.settings, schema, job.control, prepared)?;
        let beside = match job.kind {
            ReturnKind::Outpatient => Some(Beside::begin(&job, common.files)?),
            _ => None,
        };
        let applies = applies(prepared, before.applies);
        let after = Holding { applies: Some(applies), ..Holding::default() };
        Ok(Self { common, schema, interchange, beside, before, after, applies, body: Vec::new() })
    }

    fn disposition(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition> {
        if let Err(why) = self.common.admit(contact, dataset) {
            return Ok(Disposition::Omitted(why));
        }
        if let Some(beside) = &mut self.beside {
            beside.codes(contact, self.common.today())?;
        }
        if let Err(why) = self.is_sendable() {
            return Ok(Disposition::Omitted(why));
        }
        // Records of contacts that turned out to be this one.
        for other in &contact.also {
            if let Some(held) = self.before.records.remove(other) {
                self.delete(*other, held)?;
            }
        }
        self.common.fill(contact);
        self.common.record.set(Item::CdsType, cds_type(dataset));
        cds::body(&self.common.record, self.schema, &mut self.body)?;
        let digest = digest(dataset, self.common.record.get(Item::ActivityDate), &self.body);
        let held = Held { dataset, day: contact.day, digest, standing: Standing::Sent };
        let before = self.before.records.remove(&contact.id);
        if let Some(before) = before.filter(|before| is_same(before, &held)) {
            self.after.records.insert(contact.id, before);
            return Ok(Disposition::Unchanged);
        }
        if let Some(before) = before.filter(|before| before.dataset != dataset) {
            self.delete(contact.id, before)?;
            self.common.fill(contact);
            self.common.record.set(Item::CdsType, cds_type(dataset));
        }
        self.after.records.insert(contact.id, held);
        self.stamp(REPLACES, self.applies);
        self.interchange.message(&self.common.record, &self.body)?;
        if let Some(beside) = &mut self.beside {
            beside.line(&self.common.record)?;
        }
        Ok(Disposition::Written)
    }

    fn is_sendable(&self) -> Result<(), Omission> {
        if self.common.job.kind == ReturnKind::Outpatient {
            self.common.record.outpatient_codes()?;
        }
        self.common.is_complete()
    }

    /// Takes a record back, as of a moment before what is new applies: whatever its order, it never takes that back.
    fn delete(&mut self, id: ContactId, held: Held) -> io::Result<()> {
        let settings = self.common.job.settings;
        let mut record = record::Record::default();
        record.set(Item::CdsType, cds_type(held.dataset));
        record.set(Item::UniqueIdentifier, &format!("B{}{id}", settings.provider));
        record.set(Item::ActivityDate, &held.day.to_string());
        record.set(Item::Sender, settings.sender.as_str());
        record.set(Item::Recipient, settings.recipient.as_str());
        self.common.record = record;
        let earlier = self.applies.checked_sub(1.second()).unwrap_or(self.applies);
        self.stamp(DELETES, earlier);
        self.interchange.deletion(&self.common.record)?;
        if let Some(beside) = &mut self.beside {
            beside.line(&self.common.record)?;
        }
        self.common.deleted();
        Ok(())
    }

    fn stamp(&mut self, update: &str, applies: DateTime) {
        let record = &mut self.common.record;
        record.set(Item::UpdateType, update);
        record.set(Item::ApplicableDate, &applies.strftime("%Y-%m-%d").to_string());
        record.set(Item::ApplicableTime, &applies.strftime("%H:%M:%S").to_string());
    }
}

impl<F: Files> Builder for NetChangeBuilder<'_, F> {
    fn put(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition> {
        let disposition = self.disposition(contact, dataset)?;
        self.common.count(contact, disposition)
    }

    fn finish(mut self) -> io::Result<Built> {
        let before = std::mem::take(&mut self.before.records);
        for (id, held) in before {
            if Month::of(held.day) == self.common.job.period {
                self.delete(id, held)?;
            } else {
                self.after.records.insert(id, held);
            }
        }
        let messages = self.interchange.messages();
        let mut xml = self.interchange.end()?;
        xml.rows = u64::from(messages);
        let mut files = vec![xml.close(self.common.files)?];
        if let Some(beside) = self.beside {
            files.push(beside.flat.close(self.common.files)?);
            files.push(beside.codes.close(self.common.files)?);
        }
        let mut held = Tally::create(self.common.files, self.common.job.file_name("_held.csv"))?;
        self.after.write(&mut held)?;
        held.rows = u64::try_from(self.after.records.len()).unwrap_or(u64::MAX);
        files.push(held.close(self.common.files)?);
        self.common.finish(files, Some(self.after))
    }
}

impl<F: Files> Beside<F> {
    fn begin(job: &Job<'_>, files: &mut F) -> io::Result<Self> {
        let flat = Tally::create(files, job.file_name(".txt"))?;
        let mut codes = Tally::create(files, job.file_name("_codes.csv"))?;
        csv::write(&mut codes, CODE_COLUMNS)?;
        Ok(Self { flat, codes, line: Vec::new() })
    }

    fn line(&mut self, record: &record::Record) -> io::Result<()> {
        self.flat.rows += 1;
        flat::write(&mut self.flat, record, &mut self.line)
    }

    fn codes(&mut self, contact: &Contact, today: jiff::civil::Date) -> io::Result<()> {
        let id = contact.id.to_string();
        for side in derived::side_by_side(contact, today) {
            let [(old, old_rule), (new, new_rule)] = [side.code_6_2, side.code_6_3].map(|code| match code {
                Ok(derived) => (derived.code, derived.rule.to_owned()),
                Err(why) => ("", why.to_string()),
            });
            let cells = [&*id, side.item_6_2, old, &*old_rule, side.item_6_3, new, &*new_rule];
            csv::write(&mut self.codes, cells)?;
            self.codes.rows += 1;
        }
        Ok(())
    }
}

const CODE_COLUMNS: [&str; 7] =
    ["contact", "item in 6.2", "code in 6.2", "rule", "item in 6.3", "code in 6.3", "rule in 6.3"];

const fn cds_type(dataset: Dataset) -> &'static str {
    match dataset {
        Dataset::Cds021 => "021",
        Dataset::Ecds => "011",
        _ => "020",
    }
}

fn is_same(before: &Held, now: &Held) -> bool {
    (before.dataset, before.digest) == (now.dataset, now.digest) && before.standing != Standing::Rejected
}

fn digest(dataset: Dataset, day: &str, body: &[u8]) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(cds_type(dataset).as_bytes());
    digest.update(day.as_bytes());
    digest.update(body);
    let mut half = [0; 16];
    half.iter_mut().zip(digest.finalize()).for_each(|(into, byte)| *into = byte);
    half
}

/// A version applies after the one before it, even if clocks were set back meanwhile: the later moment wins. Two
/// seconds leave room for its deletions between them.
fn applies(now: DateTime, before: Option<DateTime>) -> DateTime {
    let soonest = before.and_then(|before| before.checked_add(2.seconds()).ok());
    soonest.map_or(now, |soonest| now.max(soonest))
}

fn whole_seconds(at: DateTime) -> DateTime {
    at.with().subsec_nanosecond(0).build().unwrap_or(at)
}

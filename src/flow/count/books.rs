//! What people are shown of a month, and the files that are built of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    activity::{
        codes::{CodeLists, csv::CsvError, reference::Reference},
        funnel::{Funnel, Line},
        maps::Maps,
        privacy::Barred,
        quality::{Context, Finding, check_routed, month::Expected, month::Review, score::Scores},
        returns::{
            Answers, Build, Builder, CommunityBuilder, ContractBuilder, Files, HeldError, Holding, Job,
            NetChangeBuilder, Prices, ReturnKind, Settings, Shelf, ShelfError, Untied, Version,
        },
        route::{Route, route},
    },
    domain::{
        contact::{Acceptance, Contact, ContactId, Dataset, Month, SlotType, State, local_date},
        time::Timestamp,
    },
    sys::disk::{Disk, DiskFile, read_file, replace_file, write_all_at},
};

/// One file of a return: a year of a large hub's contract lines. Larger ones are refused when they are written.
const FILE_BYTES_MAX: u64 = 512 << 20;
/// Written in one go.
const WRITE_BYTES: usize = 1 << 20;
/// The list of what was built, and what receivers said.
const LIST_BYTES_MAX: u64 = 256 << 20;
const BUILDS: &str = "builds.json";
const ANSWERED: &str = "answers.json";

/// What counting needs besides the journal.
#[derive(Default)]
pub struct Terms {
    /// What services and slot types are.
    pub maps: Arc<Maps>,
    /// Who sends returns to whom; without it none are built.
    pub settings: Option<Settings>,
    /// Prices of the contract.
    pub prices: Prices,
    /// Whose contacts never leave.
    pub barred: Barred,
    /// National codes.
    pub lists: CodeLists,
    /// Organisations and postcodes, as far as loaded.
    pub reference: Reference,
}

/// A contact of a month with what is to be said of it.
pub struct Entry {
    /// The contact.
    pub contact: Contact,
    /// Where it is counted, and why.
    pub route: Route,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What the receiver of its return said.
    pub acceptance: Acceptance,
}

/// A month as it adds up.
#[derive(Default)]
pub struct Account {
    /// What was booked, what became of it, and where it was counted.
    pub funnel: Funnel,
    /// How often each rule is broken, by its id.
    pub findings: BTreeMap<&'static str, usize>,
    /// How complete items are.
    pub scores: Scores,
    /// Slot types that no map knows, and how many contacts they have; those with the most first.
    pub unmapped: Vec<(Arc<str>, SlotType, usize)>,
    /// Contacts in it.
    pub contacts: usize,
}

/// Why a return is not built, or an answer not taken.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The configuration does not say who sends to whom.
    #[error("no return can be built: give [activity.returns] in the configuration")]
    NoSettings,
    /// What was built and its sums differ.
    #[error("the return's sums do not tie to the funnel: {0}; nothing of it is kept")]
    Untied(#[from] Untied),
    /// The version cannot be put down.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A file of what was answered is no such table.
    #[error("the report cannot be read: {0}")]
    Report(#[from] CsvError),
    /// What the receiver holds cannot be believed.
    #[error("what the receiver holds cannot be read: {0}")]
    Held(#[from] HeldError),
    /// The disk.
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
}

/// The files of returns, and what was said of them.
pub(super) struct Books {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    shelf: Shelf,
    pub(super) answered: BTreeMap<ContactId, Acceptance>,
}

#[derive(Default, Serialize, Deserialize)]
struct Answered {
    contacts: Vec<(ContactId, Acceptance)>,
}

impl Books {
    pub(super) fn open(disk: Arc<dyn Disk>, directory: &Path) -> io::Result<Self> {
        disk.create_directory(directory)?;
        let mut books = Self {
            disk,
            directory: directory.to_owned(),
            shelf: Shelf::default(),
            answered: BTreeMap::new(),
        };
        books.shelf = books.json(BUILDS)?.unwrap_or_default();
        let answered: Answered = books.json(ANSWERED)?.unwrap_or_default();
        books.answered = answered.contacts.into_iter().collect();
        Ok(books)
    }

    pub(super) fn builds(&self) -> &[Build] {
        self.shelf.builds()
    }

    pub(super) fn file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let built = self.shelf.builds().iter().flat_map(|build| &build.files);
        if !built.into_iter().any(|file| file.name == name) {
            return Ok(None);
        }
        read_file(self.disk.as_ref(), &self.directory.join(name), FILE_BYTES_MAX).map(Some)
    }

    /// Builds the next version of a return, of the contacts of its month.
    pub(super) fn build(
        &mut self,
        (month, kind): (Month, ReturnKind),
        terms: &Terms,
        contacts: &[Contact],
        now: Timestamp,
    ) -> Result<Build, BookError> {
        let settings = terms.settings.as_ref().ok_or(BookError::NoSettings)?;
        let job = Job {
            period: month,
            kind,
            version: self.shelf.next_version(month, kind),
            settings,
            barred: &terms.barred,
            maps: &terms.maps,
            control: self.shelf.next_control(),
            now,
        };
        let before = self.holding(kind)?;
        let mut files = OnDisk { disk: Arc::clone(&self.disk), directory: self.directory.clone() };
        let routed = contacts.iter().filter_map(|contact| {
            let route = route(contact, &terms.maps);
            Some((contact, kind.wants(&route)?))
        });
        let built = match kind {
            ReturnKind::Outpatient | ReturnKind::EmergencyCare => {
                put_all(NetChangeBuilder::begin(job, &mut files, before)?, routed)?
            }
            ReturnKind::CommunityServices => put_all(CommunityBuilder::begin(job, &mut files)?, routed)?,
            ReturnKind::Contract => put_all(ContractBuilder::begin(job, &mut files, &terms.prices)?, routed)?,
        };
        let build = self.shelf.add(&job, &built)?.clone();
        self.write(BUILDS, &self.shelf)?;
        Ok(build)
    }

    /// What the receiver of a return by net change holds.
    fn holding(&self, kind: ReturnKind) -> Result<Holding, BookError> {
        let Some(name) = self.held_name(kind) else { return Ok(Holding::default()) };
        let bytes = read_file(self.disk.as_ref(), &self.directory.join(name), FILE_BYTES_MAX)?;
        let mut holding = Holding::read(&bytes)?;
        let known = self.answered.iter().map(|(id, said)| (*id, said.clone()));
        Answers { answers: known.collect(), faults: Vec::new() }.note(&mut holding);
        Ok(holding)
    }

    fn held_name(&self, kind: ReturnKind) -> Option<String> {
        let files = &self.shelf.basis(kind)?.files;
        files.iter().find(|file| file.name.ends_with("_held.csv")).map(|file| file.name.clone())
    }

    pub(super) fn submitted(
        &mut self,
        (month, kind, version): (Month, ReturnKind, Version),
        now: Timestamp,
    ) -> Result<Vec<ContactId>, BookError> {
        self.shelf.submitted(month, kind, version, now)?;
        self.write(BUILDS, &self.shelf)?;
        // What was rejected is on its way once more, and not answered yet.
        let sent = self.holding(kind)?.records;
        self.answered.retain(|id, said| !matches!(said, Acceptance::Rejected(_)) || !sent.contains_key(id));
        self.write_answered()?;
        Ok(sent.into_keys().collect())
    }

    /// Takes a receiver's report; the contacts that it speaks of.
    pub(super) fn answer(
        &mut self,
        kind: ReturnKind,
        report: &[u8],
        terms: &Terms,
    ) -> Result<Answers, BookError> {
        let settings = terms.settings.as_ref().ok_or(BookError::NoSettings)?;
        let answers = Answers::read(report, settings.provider, &self.holding(kind)?)?;
        self.answered.extend(answers.answers.iter().map(|(id, said)| (*id, said.clone())));
        self.write_answered()?;
        Ok(answers)
    }

    fn write_answered(&self) -> io::Result<()> {
        let contacts = self.answered.iter().map(|(id, said)| (*id, said.clone())).collect();
        self.write(ANSWERED, &Answered { contacts })
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> io::Result<Option<T>> {
        match read_file(self.disk.as_ref(), &self.directory.join(name), LIST_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec(value)?;
        replace_file(self.disk.as_ref(), &self.directory.join(name), &bytes)
    }
}

fn put_all<'c>(
    mut builder: impl Builder,
    routed: impl Iterator<Item = (&'c Contact, Dataset)>,
) -> Result<crate::activity::returns::Built, BookError> {
    let mut attended = 0;
    for (contact, dataset) in routed {
        builder.put(contact, dataset)?;
        attended += u64::from(contact.state == State::Attended);
    }
    let built = builder.finish()?;
    built.totals.ties(attended)?;
    Ok(built)
}

/// Files beside each other in one folder: written under another name, and named when they are whole and durable.
struct OnDisk {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

/// A file under way.
struct UnderWay {
    file: Box<dyn DiskFile>,
    waiting: Vec<u8>,
    written: u64,
}

impl UnderWay {
    fn write_out(&mut self) -> io::Result<()> {
        if FILE_BYTES_MAX < self.written + self.waiting.len() as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        write_all_at(self.file.as_ref(), &self.waiting, self.written)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl Write for UnderWay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if WRITE_BYTES <= self.waiting.len() {
            self.write_out()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_out()
    }
}

impl OnDisk {
    fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.new"))
    }
}

impl Files for OnDisk {
    type File = UnderWay;

    fn create(&mut self, name: &str) -> io::Result<UnderWay> {
        let path = self.beside(name);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(UnderWay { file: self.disk.create(&path)?, waiting: Vec::new(), written: 0 })
    }

    /// A file of that name is of a build that was never put on the shelf: it may be written over.
    fn close(&mut self, name: &str, mut file: UnderWay) -> io::Result<()> {
        file.write_out()?;
        file.file.sync_all()?;
        self.disk.rename(&self.beside(name), &self.directory.join(name))?;
        self.disk.sync_directory(&self.directory)
    }
}

/// A month's contacts, each with what is to be said of it.
pub(super) fn entries(
    contacts: Vec<Contact>,
    terms: &Terms,
    answered: &BTreeMap<ContactId, Acceptance>,
    now: Timestamp,
) -> Vec<Entry> {
    let today = local_date(now).unwrap_or_default();
    let context = Context { maps: &terms.maps, lists: &terms.lists, reference: &terms.reference, today };
    let entry = |contact: Contact| {
        let route = route(&contact, &terms.maps);
        let findings = check_routed(&contact, &route, &context);
        // What was sent under a name that it had is answered under that name.
        let names = std::iter::once(&contact.id).chain(&contact.also);
        let acceptance = names.into_iter().find_map(|id| answered.get(id)).cloned().unwrap_or_default();
        Entry { contact, route, findings, acceptance }
    };
    contacts.into_iter().map(entry).collect()
}

/// A month as it adds up.
pub(super) fn account(month: Month, entries: &[Entry]) -> Account {
    let mut account = Account { contacts: entries.len(), ..Account::default() };
    let mut review = Review::default();
    let mut unmapped: BTreeMap<(Arc<str>, SlotType), usize> = BTreeMap::new();
    for Entry { contact, route, findings, acceptance } in entries {
        account.funnel.change(None, Some(&Line::routed(contact, route, acceptance)));
        let more = review.add(contact);
        for finding in findings.iter().chain(&more) {
            *account.findings.entry(finding.rule.id).or_default() += 1;
        }
        if let Some(dataset) = route.dataset {
            account.scores.add(contact, dataset, findings);
        }
        if contact.service.is_none() {
            *unmapped.entry((Arc::clone(&contact.owner), contact.slot_type.clone())).or_default() += 1;
        }
    }
    for finding in review.finish(month, &Expected::default()) {
        *account.findings.entry(finding.rule.id).or_default() += 1;
    }
    account.unmapped = unmapped.into_iter().map(|((system, slot), count)| (system, slot, count)).collect();
    account.unmapped.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    account
}

/// The returns into which a month's contacts go.
pub(super) fn kinds(entries: &[Entry]) -> BTreeSet<ReturnKind> {
    let all = [
        ReturnKind::Outpatient,
        ReturnKind::EmergencyCare,
        ReturnKind::CommunityServices,
        ReturnKind::Contract,
    ];
    let goes = |kind: &ReturnKind| {
        entries.iter().any(|entry| {
            let priced = *kind != ReturnKind::Contract || entry.route.contract;
            priced && entry.route.dataset.is_some_and(|dataset| kind.takes(dataset))
        })
    };
    all.into_iter().filter(goes).collect()
}

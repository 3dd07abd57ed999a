//! The statements that are open, in bundles of those that could be about one contact, and the contacts that come of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::civil::Date;

use crate::{
    activity::maps::{Maps, day_of},
    domain::{
        contact::{Contact, ContactId, Evidence, Month, Said, Shape},
        ids::HubId,
        time::Timestamp,
    },
};

use super::{
    fold::{Pin, Pins, fold, led},
    group::{Statement, group},
    names::{self, hash},
    pack::{pack, unpack},
    people::{People, PersonNumber},
    shelf::{Kept, Shelf, Shelved, half},
};

/// How much a ledger keeps in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open statements: a hub's three months of 100,000 contacts with five statements each. A statement takes about 100
    /// bytes.
    pub statements_max: usize,
    /// Statements that could be about one contact: one patient's day at one service is never told of more often, and
    /// all of them are looked at again for each that comes.
    pub bundle_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { statements_max: 1_500_000, bundle_max: 400 }
    }
}

/// A person, and a service and day as one.
type Place = (PersonNumber, u64);

/// The block of everything of a person.
const NO_BLOCK: u64 = 0;

/// Why a statement is not taken. It must be kept and shown: a contact may be counted wrongly.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It holds more than it may.
    #[error("the statement holds more than it may: {0}")]
    Shape(#[from] Shape),
    /// The patient's day at that service has been told of too often.
    #[error("more than {0} statements could be about one contact")]
    Bundle(usize),
    /// Memory is full: put months away.
    #[error("more than {0} statements are open; put months away")]
    Full(usize),
}

/// What taking a statement came to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Taken {
    /// It is new, and this differs now; maybe nothing.
    Changed(Vec<Change>),
    /// It was here before.
    Repeated,
    /// It bears on months that are put away: [reopen](Ledger::reopen) them and take it again.
    Closed(BTreeSet<Month>),
}

/// A statement that was not taken.
#[derive(Debug)]
pub struct Left {
    /// Which.
    pub statement: Evidence,
    /// The months to open for it, or why it cannot be taken at all.
    pub why: Result<BTreeSet<Month>, Refused>,
}

/// How a contact differs from before.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As it was; none if there was no contact of that name.
    pub before: Option<Box<Contact>>,
    /// As it is; none if there is no contact of that name any more.
    pub after: Option<Box<Contact>>,
    /// If it is gone: the contact that it turned out to be, and to which its name leads now.
    pub into: Option<ContactId>,
}

/// Every open statement, and who is who. See the [module](super) on what it promises.
pub struct Ledger {
    maps: Arc<Maps>,
    limits: Limits,
    people: People,
    bundles: Vec<Bundle>,
    free: Vec<u32>,
    index: HashMap<u64, u32>,
    shelves: BTreeMap<Month, Shelved>,
    pins: Pins,
    statements: usize,
}

#[derive(Default)]
struct Bundle {
    packed: Box<[u8]>,
    count: usize,
}

/// Bundles that are being changed, and their contacts as they were.
#[derive(Default)]
struct Work {
    before: BTreeMap<u32, Vec<Contact>>,
}

enum Absorbed {
    New,
    Repeated,
    Closed(BTreeSet<Month>),
}

impl Ledger {
    /// An empty ledger.
    pub fn new(maps: Arc<Maps>, limits: Limits) -> Self {
        Self {
            maps,
            limits,
            people: People::default(),
            bundles: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            shelves: BTreeMap::new(),
            pins: Pins::new(),
            statements: 0,
        }
    }

    /// A ledger as it was: what was [kept](Self::kept), and its [open statements](Self::statements). With other maps, the
    /// contacts are what these maps make of the same statements.
    ///
    /// # Errors
    /// With lower limits than it had, what it holds may be too much.
    pub fn restore(
        maps: Arc<Maps>,
        limits: Limits,
        kept: Kept,
        statements: impl IntoIterator<Item = Evidence>,
    ) -> Result<Self, Refused> {
        let Kept { people, shelves, pins } = kept;
        let mut ledger = Self { people, shelves, pins, ..Self::new(maps, limits) };
        for statement in statements {
            ledger.put_back(statement)?;
        }
        Ok(ledger)
    }

    /// What to keep over a restart besides the statements.
    pub fn kept(&self) -> Kept {
        Kept { people: self.people.clone(), shelves: self.shelves.clone(), pins: self.pins.clone() }
    }

    /// Every open statement, one by one.
    pub fn statements(&self) -> impl Iterator<Item = Evidence> + '_ {
        self.bundles.iter().flat_map(unpack_bundle)
    }

    /// How many statements are open.
    pub const fn open_statements(&self) -> usize {
        self.statements
    }

    /// The maps in force.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// Takes a statement.
    ///
    /// # Errors
    /// Says why it cannot be taken; nothing has changed then.
    pub fn take(&mut self, statement: Evidence) -> Result<Taken, Refused> {
        let mut work = Work::default();
        Ok(match self.absorb(statement, &mut work, true)? {
            Absorbed::New => Taken::Changed(self.changes(work)),
            Absorbed::Repeated => Taken::Repeated,
            Absorbed::Closed(months) => Taken::Closed(months),
        })
    }

    /// Takes many statements, and tells what differs once they are all taken. The others, with why, come back.
    pub fn take_all(&mut self, statements: impl IntoIterator<Item = Evidence>) -> (Vec<Change>, Vec<Left>) {
        let mut work = Work::default();
        let mut left = Vec::new();
        for statement in statements {
            match self.absorb(statement.clone(), &mut work, true) {
                Ok(Absorbed::Closed(months)) => left.push(Left { statement, why: Ok(months) }),
                Err(refused) => left.push(Left { statement, why: Err(refused) }),
                Ok(Absorbed::New | Absorbed::Repeated) => {}
            }
        }
        (self.changes(work), left)
    }

    /// A contact was sent to somebody under this name at `at`: it stays its name, and never becomes another's. If two such
    /// turn out to be one, the one sent first stays. Nothing happens if there is no such contact.
    pub fn pin(&mut self, id: ContactId, at: Timestamp) -> Vec<Change> {
        let mut work = Work::default();
        let known = self.contact(id).filter(|contact| contact.id == id);
        let first = known.and_then(|contact| contact.evidence.first().map(|cited| cited.id.clone()));
        if let (Some(statement), Some(bundle)) = (first, self.index.get(&names::key(id)).copied()) {
            self.remember(bundle, &mut work);
            let pin = self.pins.entry(id).or_insert(Pin { at, statement });
            pin.at = at.min(pin.at);
        }
        self.changes(work)
    }

    /// The contact to which a name leads, whether it is its own or one that it had.
    pub fn contact(&self, id: ContactId) -> Option<Contact> {
        let bundle = *self.index.get(&names::key(id))?;
        led(self.contacts_of(bundle).iter(), id).cloned()
    }

    /// Every open contact, in no order that means anything. They are made one by one.
    pub fn contacts(&self) -> impl Iterator<Item = Contact> + '_ {
        (0..self.bundles.len())
            .filter_map(|place| u32::try_from(place).ok())
            .flat_map(|b| self.contacts_of(b))
    }

    /// Puts away what lies in a month and has no later day. None if nothing does. A month may be put away again when late
    /// evidence has moved something into it: [add](Shelf::add) the shelf to the one that is there.
    pub fn put_away(&mut self, month: Month) -> Option<Shelf> {
        let mut shelf = Shelf { month, bundles: Vec::new(), pins: Pins::new() };
        let mut shelved = self.shelves.remove(&month).unwrap_or_default();
        let mut gone = vec![false; self.bundles.len()];
        for (place, is_gone) in gone.iter_mut().enumerate() {
            let Ok(bundle) = u32::try_from(place) else { break };
            let Some(statements) = self.closes_with(bundle, month) else { continue };
            *is_gone = true;
            for statement in &statements {
                shelved.keys.extend(keys(statement).map(half));
                shelved.touches.extend([Month::of(day_of(statement)), month]);
                if let Some(person) = self.people.find(&statement.patient) {
                    self.people.shelve(person, bundle, month);
                }
                for id in names::of(statement) {
                    shelf.pins.extend(self.pins.remove_entry(&id));
                }
            }
            let emptied = self.bundles.get_mut(place).map(std::mem::take).unwrap_or_default();
            self.statements -= emptied.count;
            self.free.push(bundle);
            shelf.bundles.push(emptied.packed);
        }
        let is_gone = |bundle: u32| usize::try_from(bundle).is_ok_and(|place| gone.get(place) == Some(&true));
        self.index.retain(|_, bundle| !is_gone(*bundle));
        self.index.shrink_to_fit();
        shelved.keys.sort_unstable();
        shelved.keys.dedup();
        shelved.keys.shrink_to_fit();
        if !shelved.keys.is_empty() {
            self.shelves.insert(month, shelved);
        }
        if shelf.bundles.is_empty() { None } else { Some(shelf) }
    }

    /// Opens a month again, all that was put away with it. Its contacts are what they were.
    ///
    /// # Errors
    /// There is no room, and nothing has changed: put another month away first.
    pub fn reopen(&mut self, shelf: Shelf) -> Result<(), Refused> {
        if self.limits.statements_max < self.statements + shelf.statements().count() {
            return Err(Refused::Full(self.limits.statements_max));
        }
        self.shelves.remove(&shelf.month);
        self.people.reopened(shelf.month);
        self.pins.extend(shelf.pins.clone());
        shelf.statements().try_for_each(|statement| self.put_back(statement))
    }

    /// Months that are put away.
    pub fn closed_months(&self) -> impl Iterator<Item = Month> + '_ {
        self.shelves.keys().copied()
    }

    /// A bundle's statements, if all its contacts lie in months up to this one and the last of them in this one.
    fn closes_with(&self, bundle: u32, month: Month) -> Option<Vec<Evidence>> {
        let statements = self.unpacked(bundle);
        let contacts = self.contacts_in(statements.clone());
        let days = contacts.iter().map(Contact::month);
        let last = if contacts.is_empty() {
            statements.iter().map(|statement| Month::of(day_of(statement))).max()
        } else {
            days.max()
        };
        if last == Some(month) { Some(statements) } else { None }
    }

    fn put_back(&mut self, statement: Evidence) -> Result<(), Refused> {
        self.absorb(statement, &mut Work::default(), false).map(drop)
    }

    /// Takes a statement into its bundle; `work` gets the contacts of all bundles that it bears on, as they were.
    fn absorb(&mut self, statement: Evidence, work: &mut Work, is_live: bool) -> Result<Absorbed, Refused> {
        statement.check()?;
        if is_live {
            let wanted = self.wanted(&statement);
            if !wanted.is_empty() {
                return Ok(Absorbed::Closed(wanted));
            }
        }
        let mut targets: BTreeSet<u32> =
            keys(&statement).filter_map(|key| self.index.get(&key).copied()).collect();
        let mut statements = Vec::new();
        for bundle in &targets {
            statements.extend(self.unpacked(*bundle));
        }
        if let Some(known) = statements.iter().find(|known| known.id == statement.id)
            && !goes_before(&statement, known)
        {
            return Ok(Absorbed::Repeated);
        }
        if self.limits.bundle_max <= statements.len() {
            return Err(Refused::Bundle(self.limits.bundle_max));
        }
        if self.limits.statements_max <= self.statements {
            return Err(Refused::Full(self.limits.statements_max));
        }
        for bundle in targets.iter().copied().chain(self.people.about(&statement)) {
            if is_live {
                self.remember(bundle, work);
            }
        }
        let joined = self.people.take(&statement);
        statements.retain(|known| known.id != statement.id);
        statements.push(statement);
        let blocks = self.gather(&mut targets, &mut statements, work, is_live);
        self.settle(&targets, &statements, &blocks, work);
        for bundle in joined {
            self.rejoin(bundle, work, is_live);
        }
        Ok(Absorbed::New)
    }

    /// Brings in every bundle that has something of the same person, service and day; where they are to be looked for.
    fn gather(
        &mut self,
        targets: &mut BTreeSet<u32>,
        statements: &mut Vec<Evidence>,
        work: &mut Work,
        is_live: bool,
    ) -> BTreeSet<Place> {
        let mut seen = BTreeSet::new();
        loop {
            let mut found = BTreeSet::new();
            for (person, block) in self.blocks(statements) {
                if seen.insert((person, block)) && block != NO_BLOCK {
                    found.extend(self.people.in_block(person, block));
                }
            }
            found.retain(|bundle| !targets.contains(bundle));
            if found.is_empty() {
                return seen;
            }
            for bundle in found {
                if is_live {
                    self.remember(bundle, work);
                }
                let more = self.unpacked(bundle);
                // Beyond the limit they stay apart: one patient's day that is told of without end.
                if statements.len() + more.len() <= self.limits.bundle_max {
                    // In front: the one that is new stays last.
                    statements.splice(..0, more);
                    targets.insert(bundle);
                } else {
                    return seen;
                }
            }
        }
    }

    /// Writes statements as one bundle in place of `targets`.
    fn settle(
        &mut self,
        targets: &BTreeSet<u32>,
        statements: &[Evidence],
        blocks: &BTreeSet<Place>,
        work: &mut Work,
    ) {
        let mut targets = targets.iter().copied();
        let kept = targets.next().unwrap_or_else(|| self.fresh());
        work.before.entry(kept).or_default();
        let mut were = self.count(kept);
        // Mostly one statement joins those that are there: then only its keys are new.
        let known = if statements.len() == were + 1 && targets.len() == 0 { were } else { 0 };
        for lost in targets {
            were += self.count(lost);
            self.set(lost, Bundle::default());
            self.free.push(lost);
            for (person, _) in blocks.iter().filter(|(_, block)| *block == NO_BLOCK) {
                self.people.renamed(*person, lost, kept);
            }
        }
        for key in statements.iter().skip(known).flat_map(|statement| keys(statement).collect::<Vec<_>>()) {
            self.index.insert(key, kept);
        }
        for (person, block) in blocks {
            self.people.note(*person, *block, kept);
        }
        self.statements = self.statements + statements.len() - were;
        self.set(kept, Bundle { packed: pack(statements), count: statements.len() });
    }

    /// Brings together what lies apart because its patient was thought two people.
    fn rejoin(&mut self, bundle: u32, work: &mut Work, is_live: bool) {
        let mut statements = self.unpacked(bundle);
        if statements.is_empty() {
            return;
        }
        let mut targets = BTreeSet::from([bundle]);
        let blocks = self.gather(&mut targets, &mut statements, work, is_live);
        if 1 < targets.len() {
            self.settle(&targets, &statements, &blocks, work);
        }
    }

    /// Months put away on which a statement bears.
    fn wanted(&self, statement: &Evidence) -> BTreeSet<Month> {
        if self.shelves.is_empty() {
            return BTreeSet::new();
        }
        let month = Month::of(day_of(statement));
        let keys: Vec<u64> = keys(statement).collect();
        let bears =
            |shelved: &Shelved| shelved.touches.contains(&month) || keys.iter().any(|key| shelved.has(*key));
        let shelves = self.shelves.iter().filter(|(_, shelved)| bears(shelved)).map(|(month, _)| *month);
        shelves.chain(self.people.wants(statement)).collect()
    }

    /// Notes a bundle's contacts as they are, before it is changed.
    fn remember(&self, bundle: u32, work: &mut Work) {
        work.before.entry(bundle).or_insert_with(|| self.contacts_of(bundle));
    }

    /// What differs from what was noted.
    fn changes(&self, work: Work) -> Vec<Change> {
        let mut now: BTreeMap<ContactId, Contact> = BTreeMap::new();
        for bundle in work.before.keys() {
            now.extend(self.contacts_of(*bundle).into_iter().map(|contact| (contact.id, contact)));
        }
        let gone = work.before.values().flatten().map(|before| before.id).filter(|id| !now.contains_key(id));
        let leads = gone.filter_map(|id| led(now.values(), id).map(|contact| (id, contact.id)));
        let leads: BTreeMap<ContactId, ContactId> = leads.collect();
        let mut changes = Vec::new();
        for before in work.before.into_values().flatten() {
            let after = now.remove(&before.id);
            if after.as_ref() == Some(&before) {
                continue;
            }
            let into = if after.is_none() { leads.get(&before.id).copied() } else { None };
            changes.push(Change { before: Some(Box::new(before)), after: after.map(Box::new), into });
        }
        changes.extend(now.into_values().map(|after| Change {
            before: None,
            after: Some(Box::new(after)),
            into: None,
        }));
        changes
    }

    fn contacts_of(&self, bundle: u32) -> Vec<Contact> {
        self.contacts_in(self.unpacked(bundle))
    }

    fn contacts_in(&self, statements: Vec<Evidence>) -> Vec<Contact> {
        let is_of_contact = |statement: &Evidence| !matches!(statement.said, Said::PatientMerged(_));
        let mut statements: Vec<Statement> = statements
            .into_iter()
            .filter(is_of_contact)
            .map(|evidence| Statement {
                at: evidence.at.min(evidence.taken),
                who: self.people.who(&evidence.patient),
                service: self.maps.service_of(&evidence),
                day: day_of(&evidence),
                evidence,
            })
            .collect();
        statements.sort_unstable_by(|one, other| {
            let key = |s: &Statement| (s.at, s.evidence.said.kind());
            key(one).cmp(&key(other)).then_with(|| one.evidence.id.cmp(&other.evidence.id))
        });
        let groups = group(&statements);
        groups.iter().filter_map(|group| fold(&statements, group, &self.maps, &self.pins)).collect()
    }

    /// Where statements must be looked for that could be about the same contact. The block of everything of a person is
    /// among them, so that what is learnt of the person later reaches all that is theirs.
    fn blocks(&self, statements: &[Evidence]) -> BTreeSet<Place> {
        let persons: BTreeSet<PersonNumber> =
            statements.iter().filter_map(|statement| self.people.find(&statement.patient)).collect();
        let mut services: Vec<HubId> =
            statements.iter().filter_map(|statement| self.maps.service_of(statement)).collect();
        services.sort_unstable();
        services.dedup();
        let days: BTreeSet<Date> = statements.iter().map(day_of).collect();
        let mut blocks: BTreeSet<Place> = persons.iter().map(|person| (*person, NO_BLOCK)).collect();
        for (service, day) in services.iter().flat_map(|service| days.iter().map(move |day| (service, day))) {
            let year = day.year().to_le_bytes();
            let block = hash(&[
                service.as_str().as_bytes(),
                &year,
                &[day.month().cast_unsigned(), day.day().cast_unsigned()],
            ]);
            blocks.extend(persons.iter().map(|person| (*person, block)));
        }
        blocks
    }

    fn unpacked(&self, bundle: u32) -> Vec<Evidence> {
        let bundle = usize::try_from(bundle).ok().and_then(|place| self.bundles.get(place));
        bundle.map(unpack_bundle).unwrap_or_default()
    }

    fn count(&self, bundle: u32) -> usize {
        let bundle = usize::try_from(bundle).ok().and_then(|place| self.bundles.get(place));
        bundle.map_or(0, |bundle| bundle.count)
    }

    fn set(&mut self, bundle: u32, content: Bundle) {
        if let Some(place) = usize::try_from(bundle).ok().and_then(|place| self.bundles.get_mut(place)) {
            *place = content;
        }
    }

    fn fresh(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.bundles.push(Bundle::default());
            u32::try_from(self.bundles.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

fn unpack_bundle(bundle: &Bundle) -> Vec<Evidence> {
    if bundle.count == 0 { Vec::new() } else { unpack(&bundle.packed) }
}

/// Of one statement taken twice the earlier counts; of two taken at once, the one whose bytes come first.
fn goes_before(one: &Evidence, known: &Evidence) -> bool {
    let bytes = |statement: &Evidence| pack(std::slice::from_ref(statement));
    (one.taken, bytes(one)) < (known.taken, bytes(known))
}

fn keys(statement: &Evidence) -> impl Iterator<Item = u64> + '_ {
    names::of(statement).map(names::key)
}

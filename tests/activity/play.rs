//! Plays a year: statements to the hubs and to the centre, a restart in the middle, months put away; then the comparison.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use polygate::{
    activity::{
        derive::{Change, Ledger, Limits, Shelf, Taken},
        funnel::{Cell, Funnel, Key, Line, Outcomes},
        maps::Maps,
        route::Exclusion,
    },
    domain::contact::{Acceptance, Contact, Dataset, Evidence, Month, Said, State},
};

use super::{
    faults::Fault,
    year::{self, Random, TENTHS, Truth},
};

/// Patients whose tenth of a year is delivered together.
const CHUNK: u64 = 2_000;

/// What is played.
pub struct Play {
    pub seed: u64,
    pub patients: u64,
    pub fault: Option<Fault>,
}

/// One who counts: a hub, or the centre.
struct Player {
    ledger: Ledger,
    maps: Arc<Maps>,
    funnel: Funnel,
    shelves: BTreeMap<Month, Shelf>,
    fault: Option<Fault>,
    taken: u64,
    repeated: u64,
    reopened: u64,
}

/// All who counted, and what happened.
pub struct Players {
    north: Player,
    south: Player,
    centre: Player,
    truth: BTreeMap<Truth, i64>,
}

impl Play {
    /// Plays it.
    pub fn run(&self) -> Players {
        let maps = Arc::new(Fault::maps(self.fault));
        let player = |hub: Option<&str>| Player::new(Arc::clone(&maps), hub, self.fault);
        let mut players = Players {
            north: player(Some("north")),
            south: player(Some("south")),
            centre: player(None),
            truth: BTreeMap::new(),
        };
        let mut late: Vec<Evidence> = Vec::new();
        for tenth in 0..TENTHS {
            let mut later = Vec::new();
            for from in (0..self.patients).step_by(usize::try_from(CHUNK).unwrap()) {
                let mut told = Vec::new();
                for patient in from..self.patients.min(from + CHUNK) {
                    let (truths, statements) = year::contacts(self.seed, patient, tenth);
                    for (truth, count) in year::counted(&truths) {
                        *players.truth.entry(truth).or_default() += count;
                    }
                    told.extend(statements);
                }
                let (now, after) = year::delivered(self.seed, from * TENTHS + tenth, told);
                players.deliver(now, self.fault, self.seed ^ tenth);
                later.extend(after);
            }
            // What was late last time comes now, long after.
            players.deliver(std::mem::replace(&mut late, later), self.fault, self.seed ^ tenth);
            if tenth == TENTHS / 2 {
                players.all().for_each(Player::restart);
            }
            players.all().for_each(|player| player.put_away(tenth));
        }
        players.deliver(late, self.fault, self.seed);
        players.all().for_each(Player::open_all);
        players
    }
}

impl Player {
    fn new(maps: Arc<Maps>, hub: Option<&str>, fault: Option<Fault>) -> Self {
        let limits = Limits { statements_max: 10_000_000, ..Limits::default() };
        Self {
            ledger: Ledger::new(Arc::clone(&maps), limits),
            maps,
            funnel: Funnel::new(hub.map(|hub| hub.parse().unwrap())),
            shelves: BTreeMap::new(),
            fault,
            taken: 0,
            repeated: 0,
            reopened: 0,
        }
    }

    fn take(&mut self, statement: Evidence) {
        loop {
            match self.ledger.take(statement.clone()).unwrap() {
                Taken::Changed(changes) => {
                    self.taken += 1;
                    return changes.iter().for_each(|change| self.count(change));
                }
                Taken::Repeated => {
                    self.repeated += 1;
                    return;
                }
                Taken::Closed(months) => {
                    for month in months {
                        self.reopened += 1;
                        self.ledger.reopen(self.shelves.remove(&month).unwrap()).unwrap();
                    }
                }
            }
        }
    }

    fn count(&mut self, change: &Change) {
        let line = |contact: &Contact| {
            let contact = Fault::contact(self.fault, contact);
            let route = Fault::route(self.fault, &contact, &self.maps);
            Line::routed(&contact, &route, &Acceptance::Awaiting)
        };
        let before = change.before.as_deref().map(line);
        let after = change.after.as_deref().map(line);
        self.funnel.change(before.as_ref(), after.as_ref());
    }

    /// As after the power went: what was kept, and the open statements.
    fn restart(&mut self) {
        let kept = serde_json::from_str(&serde_json::to_string(&self.ledger.kept()).unwrap()).unwrap();
        let open: Vec<Evidence> = self.ledger.statements().collect();
        let limits = Limits { statements_max: 10_000_000, ..Limits::default() };
        self.ledger = Ledger::restore(Arc::clone(&self.maps), limits, kept, open).unwrap();
        self.funnel = serde_json::from_str(&serde_json::to_string(&self.funnel).unwrap()).unwrap();
    }

    /// What is more than a month old leaves memory.
    fn put_away(&mut self, tenth: u64) {
        let months = (tenth * 36 / 30).saturating_sub(1);
        if months == 0 {
            return;
        }
        let month = (1..months).fold("2026-01".parse::<Month>().unwrap(), |month, _| month.next());
        if let Some(shelf) = self.ledger.put_away(month) {
            match self.shelves.get_mut(&month) {
                Some(there) => there.add(shelf),
                None => drop(self.shelves.insert(month, shelf)),
            }
        }
    }

    fn open_all(&mut self) {
        for shelf in std::mem::take(&mut self.shelves).into_values() {
            self.ledger.reopen(shelf).unwrap();
        }
    }
}

impl Players {
    fn all(&mut self) -> impl Iterator<Item = &mut Player> {
        [&mut self.north, &mut self.south, &mut self.centre].into_iter()
    }

    /// Hubs take what they took; the centre takes all of it in another order.
    fn deliver(&mut self, statements: Vec<Evidence>, fault: Option<Fault>, seed: u64) {
        let statements = Fault::statements(fault, statements);
        for statement in &statements {
            let hub = if statement.id.hub.as_str() == "north" { &mut self.north } else { &mut self.south };
            hub.take(statement.clone());
        }
        let mut statements = statements;
        let mut random = Random::new(seed, 0xCE);
        for place in (1..statements.len()).rev() {
            // As links recover: not in the order of time, and not wholly out of it.
            let other = place - usize::try_from(random.below(500)).unwrap().min(place);
            statements.swap(place, other);
        }
        statements.into_iter().for_each(|statement| self.centre.take(statement));
    }

    /// What was played, in a line.
    pub fn summary(&self) -> String {
        let contacts: i64 = self.truth.values().sum();
        let of = |player: &Player| {
            format!(
                "{} taken, {} repeated, {} months opened again",
                player.taken, player.repeated, player.reopened
            )
        };
        format!(
            "{contacts} contacts; north: {}; south: {}; centre: {}",
            of(&self.north),
            of(&self.south),
            of(&self.centre)
        )
    }

    /// Whether all is as it happened.
    pub fn verdict(&self) -> Result<(), String> {
        let mut merged = self.north.funnel.clone();
        merged.merge(&self.south.funnel);
        self.compare(&merged, "the hubs together")?;
        self.compare(&self.centre.funnel, "the centre")?;
        if merged.cells().collect::<Vec<_>>() != self.centre.funnel.cells().collect::<Vec<_>>() {
            return Err("the hubs' funnels merged are not the centre's".to_owned());
        }
        self.conserved(&self.centre)?;
        let fresh = self.recounted();
        if fresh.cells().collect::<Vec<_>>() != self.centre.funnel.cells().collect::<Vec<_>>() {
            return Err("the funnel that grew is not that of the contacts".to_owned());
        }
        Ok(())
    }

    /// The centre's funnel of its contacts as they are, counted at once.
    fn recounted(&self) -> Funnel {
        let mut funnel = Funnel::new(None);
        for contact in self.centre.ledger.contacts() {
            let contact = Fault::contact(self.centre.fault, &contact);
            let route = Fault::route(self.centre.fault, &contact, &self.centre.maps);
            funnel.change(None, Some(&Line::routed(&contact, &route, &Acceptance::Awaiting)));
        }
        funnel
    }

    /// Every statement that was taken is on exactly one contact, but for merges of patients.
    fn conserved(&self, player: &Player) -> Result<(), String> {
        let cited: usize = player.ledger.contacts().map(|contact| contact.evidence.len()).sum();
        let merges = player.ledger.statements().filter(|s| matches!(s.said, Said::PatientMerged(_)));
        let open = player.ledger.open_statements();
        if cited + merges.count() == open {
            Ok(())
        } else {
            Err(format!("{open} statements were taken, and contacts rest on {cited}"))
        }
    }

    fn compare(&self, funnel: &Funnel, who: &str) -> Result<(), String> {
        let mut truth: BTreeMap<Key, Cell> = BTreeMap::new();
        for (happened, count) in &self.truth {
            let key = Key {
                month: happened.month,
                hub: happened.hub.parse().unwrap(),
                service: happened.service.as_ref().map(|service| service.parse().unwrap()),
            };
            happen(truth.entry(key).or_default(), happened, *count);
        }
        let mut why = String::new();
        let keys = truth.keys().chain(funnel.cells().map(|(key, _)| key));
        for key in keys.collect::<BTreeSet<_>>() {
            let is = funnel.total(|other| other == key);
            let was = truth.get(key).cloned().unwrap_or_default();
            let is_emergency = is.routed.contains_key(&Dataset::Ecds);
            let named = named(key);
            if (is.booked, is.unbooked, is.withdrawn) != (was.booked, was.unbooked, was.withdrawn) {
                let shown = |cell: &Cell| {
                    format!("{} | {} | {}", short(&cell.booked), short(&cell.unbooked), cell.withdrawn)
                };
                writeln!(why, "{who}: {named} is {}, was {}", shown(&is), shown(&was)).unwrap();
            } else if is.excluded.get(&Exclusion::ResultOnly) != was.excluded.get(&Exclusion::ResultOnly) {
                writeln!(why, "{who}: {named} excludes {:?}, was {:?}", is.excluded, was.excluded).unwrap();
            } else if is_emergency && key.service.as_ref().is_some_and(|id| id.as_str() == "s6") {
                writeln!(why, "{who}: {named} sends a service by appointment as emergency care").unwrap();
            }
        }
        for (key, sum, residue) in funnel.residues() {
            writeln!(why, "{who}: residue {residue} of {} in {}", sum.word(), named(&key)).unwrap();
        }
        if why.is_empty() { Ok(()) } else { Err(why) }
    }
}

fn named(key: &Key) -> String {
    format!(
        "{} {} {}",
        key.month,
        key.hub,
        key.service.as_ref().map_or("unmapped", |service| service.as_str())
    )
}

fn short(side: &Outcomes) -> String {
    let missed = (side.did_not_attend, side.not_seen);
    let cancelled = (side.cancelled_by_patient, side.cancelled_by_provider);
    format!(
        "{} = {} + {missed:?} + {cancelled:?} + {} + {}",
        side.opened, side.attended, side.closed_unseen, side.outstanding
    )
}

/// Counts what happened, by other code than the funnel's.
fn happen(cell: &mut Cell, truth: &Truth, count: i64) {
    if truth.state == State::Withdrawn {
        cell.withdrawn += count;
        return;
    }
    let side = if truth.booked { &mut cell.booked } else { &mut cell.unbooked };
    side.opened += count;
    *match truth.state {
        State::Attended => &mut side.attended,
        State::DidNotAttend => &mut side.did_not_attend,
        State::NotSeen => &mut side.not_seen,
        State::CancelledByPatient => &mut side.cancelled_by_patient,
        State::CancelledByProvider => &mut side.cancelled_by_provider,
        State::ClosedUnseen => &mut side.closed_unseen,
        _ => &mut side.outstanding,
    } += count;
    if truth.result_only && truth.state == State::Attended {
        *cell.excluded.entry(Exclusion::ResultOnly).or_default() += count;
    }
}

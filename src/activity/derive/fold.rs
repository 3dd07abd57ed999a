//! What is so of one contact, once it is known which statements are about it.
//!
//! For each thing every system has a say: its latest statement by its own clock. Where systems differ, [`PRECEDENCE`]
//! decides, and the difference stays on the contact.

use std::{collections::BTreeMap, sync::Arc};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    activity::maps::Maps,
    domain::{
        booking::CancelledBy,
        contact::{
            About, CaseStatus, Cited, Conflict, Contact, ContactId, ContactKind, Decided, DecidedFacts,
            EvidenceId, FactName, FactValue, Facts, LocalId, Patient, Precedence, Punctuality, Reference,
            ReferenceKind, Said, SaidKind, SlotType, State, local_date,
        },
        ids::HubId,
        time::Timestamp,
    },
};

use super::{
    group::{Group, Statement},
    names,
};

/// Who is believed where systems differ, the first that says anything of it: the rule, and why.
pub const PRECEDENCE: [(Precedence, &str); 3] = [
    (Precedence::Owner, "the system in whose book the contact is answers for it"),
    (Precedence::Desk, "at the desk somebody saw the patient come, or not"),
    (Precedence::Latest, "of others, the one that spoke last by its own clock knew most"),
];

/// That a contact was sent to somebody under a name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    /// When it was first.
    pub at: Timestamp,
    /// A statement by which that contact is known again.
    pub statement: EvidenceId,
}

/// Names under which contacts were sent to somebody.
pub type Pins = BTreeMap<ContactId, Pin>;

/// More differences on one contact are not read; the first are kept.
const CONFLICTS_MAX: usize = 64;

/// Makes the contact of a group. None if there is nothing in it.
pub(super) fn fold(statements: &[Statement], group: &Group, maps: &Maps, pins: &Pins) -> Option<Contact> {
    let all: Vec<&Statement> = group.statements.iter().map(|place| &statements[*place]).collect();
    let current: Vec<bool> = group.statements.iter().map(|place| !group.superseded.contains(place)).collect();
    let any_current = current.iter().any(|is_current| *is_current);
    let first = all.first()?;
    let mut says =
        Says { all: &all, current: &current, any_current, owner: Arc::from(""), conflicts: Vec::new() };
    let service = all.iter().rev().find_map(|statement| statement.service.clone());
    let profile = service.as_ref().and_then(|service| maps.profile(service));
    let stated = all.iter().rev().find_map(|statement| statement.evidence.owner.clone());
    says.owner = profile
        .map(|profile| Arc::clone(&profile.system))
        .or(stated)
        .or_else(|| keeper(&all))
        .unwrap_or_else(|| Arc::clone(&first.evidence.id.system));

    let state = says.state();
    let start = says.start();
    let facts = says.facts();
    let (kind, result_only) = says.kind(start.is_some());
    let hub = profile.map_or_else(|| first.evidence.id.hub.clone(), |profile| profile.hub.clone());
    let names = names(group, &all, pins);
    let patient = says.patient();
    let first_start = all.iter().find_map(|statement| statement.evidence.start);
    let conflicts = says.conflicts;
    Some(Contact {
        id: names.0,
        also: names.1,
        version: u32::try_from(group.bearing).unwrap_or(u32::MAX),
        hub,
        kind,
        result_only,
        state: state.value,
        state_by: state.by,
        state_why: state.why,
        canceller_unsaid: state.value == State::CancelledByProvider && unsaid(&all),
        arrived: all.iter().any(|statement| has_come(&statement.evidence.said)) || facts.arrived_at.is_some(),
        service,
        slot_type: slot_type(&all),
        owner: says.owner,
        start: start.map(|start| start.value),
        moved_from: first_start.filter(|first| start.is_some_and(|start| start.value != *first)),
        day: day(&all, start.map(|start| start.value), &facts),
        patient,
        references: references(&all),
        facts,
        evidence: all.iter().map(|statement| cited(statement)).collect(),
        conflicts,
    })
}

/// The system that seems to have it in its book where nobody has said which service it is: the first that gives it a
/// name of its own, else the first that is not the desk, which books in others' books.
fn keeper(all: &[&Statement]) -> Option<Arc<str>> {
    let mut names = all.iter().flat_map(|statement| &statement.evidence.references);
    let filler = names.find(|name| name.kind == ReferenceKind::Filler).map(|name| Arc::clone(&name.issuer));
    let mut systems = all.iter().map(|statement| &statement.evidence.id.system);
    filler.or_else(|| systems.find(|system| ***system != *EvidenceId::DESK).cloned())
}

/// Whether a cancellation is spoken of, and nobody says by whom.
fn unsaid(all: &[&Statement]) -> bool {
    let mut said = all.iter().filter_map(|statement| match statement.evidence.said {
        Said::Cancelled(by) => Some(by),
        _ => None,
    });
    said.all(|by| by.is_none())
}

fn cited(statement: &Statement) -> Cited {
    let evidence = &statement.evidence;
    Cited { id: evidence.id.clone(), said: evidence.said.kind(), at: statement.at, taken: evidence.taken }
}

/// The contact's own name and the others: one that was sent to somebody stays, else the strongest and earliest. A name
/// under which another contact was sent is not its.
fn names(group: &Group, all: &[&Statement], pins: &Pins) -> (ContactId, Vec<ContactId>) {
    let mut ids: Vec<ContactId> = group.names.iter().map(|name| name.id).collect();
    let mut sent = None;
    if !pins.is_empty() {
        let is_here = |pin: &Pin| all.iter().any(|statement| statement.evidence.id == pin.statement);
        ids.retain(|id| pins.get(id).is_none_or(is_here));
        let named = all.iter().flat_map(|statement| names::of(&statement.evidence));
        let pinned = named.filter_map(|id| pins.get(&id).filter(|pin| is_here(pin)).map(|pin| (pin.at, id)));
        sent = pinned.min().map(|(_, id)| id);
    }
    let weakest = || all.first().map(|statement| names::of_statement(&statement.evidence.id));
    let own = sent.or_else(|| ids.first().copied()).or_else(weakest).unwrap_or_else(|| ContactId::of(0));
    ids.retain(|id| *id != own);
    ids.sort_unstable();
    ids.dedup();
    (own, ids)
}

/// The contact to which a name leads: whose it is, else that of the statement it was made of, else one that has the
/// reference it was made of.
pub(super) fn led<'a>(contacts: impl Iterator<Item = &'a Contact>, id: ContactId) -> Option<&'a Contact> {
    let rank = |contact: &&Contact| {
        if contact.id == id || contact.also.contains(&id) {
            Some(0)
        } else if contact.evidence.iter().any(|cited| names::of_statement(&cited.id) == id) {
            Some(1)
        } else if contact.references.iter().any(|reference| names::of_reference(reference) == id) {
            Some(2)
        } else {
            None
        }
    };
    let ranked = contacts.filter_map(|contact| rank(&contact).map(|rank| (rank, contact)));
    ranked.min_by_key(|(rank, contact)| (*rank, contact.id)).map(|(_, contact)| contact)
}

const fn has_come(said: &Said) -> bool {
    matches!(
        said,
        Said::Arrived
            | Said::Called
            | Said::Attended
            | Said::Left
            | Said::WalkInOpened
            | Said::UrgentCase(CaseStatus::Begun | CaseStatus::Consulted)
            | Said::CommunityContact
            | Said::Diagnostic
    )
}

fn slot_type(all: &[&Statement]) -> SlotType {
    let said = all.iter().map(|statement| &statement.evidence.slot_type);
    said.rev().find(|slot| !slot.clinic.is_empty() || !slot.slot.is_empty()).cloned().unwrap_or_default()
}

fn day(all: &[&Statement], start: Option<Timestamp>, facts: &DecidedFacts) -> Date {
    let happened = [facts.arrived_at, facts.seen_at].into_iter().flatten().map(|fact| fact.value).min();
    let planned = start.and_then(local_date);
    let stated = || all.iter().find_map(|statement| statement.evidence.day);
    let came =
        || all.iter().find(|statement| has_come(&statement.evidence.said)).map(|statement| statement.at);
    let first = || all.first().map(|statement| statement.at);
    planned
        .or_else(stated)
        .or_else(|| happened.or_else(came).or_else(first).and_then(local_date))
        .unwrap_or(Date::ZERO)
}

fn references(all: &[&Statement]) -> Vec<Reference> {
    let mut references: Vec<Reference> = all
        .iter()
        .flat_map(|statement| {
            statement.evidence.references.iter().chain(&statement.evidence.replaces).cloned()
        })
        .collect();
    references.sort_unstable();
    references.dedup();
    references
}

/// What one system says of one thing, and in which statement.
#[derive(Clone)]
struct Say<T> {
    value: T,
    by: usize,
}

/// Who says it: a hub, and a system there.
type Source<'a> = (&'a HubId, &'a str);

/// What systems say of one contact.
struct Says<'a> {
    all: &'a [&'a Statement],
    /// Which of them are about the booking that stands, and not one that it replaces.
    current: &'a [bool],
    any_current: bool,
    owner: Arc<str>,
    conflicts: Vec<Conflict>,
}

impl<'a> Says<'a> {
    /// Statements about the booking that stands.
    fn standing(&self) -> impl Iterator<Item = (usize, &'a Statement)> + '_ {
        let any = self.any_current;
        let is_current = move |place: usize| !any || self.current.get(place).copied().unwrap_or(true);
        self.all.iter().copied().enumerate().filter(move |(place, _)| is_current(*place))
    }

    /// Which of several says counts. They are of different sources; none if there are none.
    fn decide<T: Clone + PartialEq>(
        &mut self,
        about: About,
        says: Vec<Say<T>>,
        shown: impl Fn(&T) -> String,
    ) -> Option<Decided<T>> {
        let latest = says.iter().max_by_key(|say| say.by)?.clone();
        let system = |say: &&Say<T>| &self.all[say.by].evidence.id.system;
        let owner = says.iter().filter(|say| *system(say) == self.owner).max_by_key(|say| say.by);
        let desk = says.iter().filter(|say| **system(say) == *EvidenceId::DESK).max_by_key(|say| say.by);
        let (kept, why) = match (owner, desk) {
            (Some(owner), _) => (owner.clone(), Precedence::Owner),
            (None, Some(desk)) => (desk.clone(), Precedence::Desk),
            (None, None) => (latest, Precedence::Latest),
        };
        let place = |by: usize| u16::try_from(by).unwrap_or(u16::MAX);
        let differs = |say: &&Say<T>| say.value != kept.value && shown(&say.value) != shown(&kept.value);
        let differing: Vec<&Say<T>> = says.iter().filter(differs).collect();
        let why = match (says.len(), differing.is_empty()) {
            (1, _) => Precedence::Only,
            (_, true) => Precedence::Agreed,
            _ => why,
        };
        for other in differing {
            if self.conflicts.len() < CONFLICTS_MAX {
                self.conflicts.push(Conflict {
                    about,
                    kept: shown(&kept.value),
                    kept_by: place(kept.by),
                    other: shown(&other.value),
                    other_by: place(other.by),
                    why,
                });
            }
        }
        Some(Decided { value: kept.value, by: place(kept.by), why })
    }

    fn state(&mut self) -> Decided<State> {
        let mut by_source: BTreeMap<Source<'_>, (Option<Say<State>>, usize)> = BTreeMap::new();
        for (place, statement) in self.standing() {
            let source = (&statement.evidence.id.hub, &*statement.evidence.id.system);
            let (verdict, last) = by_source.entry(source).or_insert((None, place));
            *last = place;
            if let Some(value) = verdict_of(statement, verdict.as_ref().map(|say| say.value)) {
                *verdict = Some(Say { value, by: place });
            }
        }
        let last = by_source.values().map(|(_, last)| *last).max().unwrap_or_default();
        let who = self.state_who(by_source.into_values().filter_map(|(verdict, _)| verdict).collect());
        let outstanding = Say { value: State::Outstanding, by: last };
        let says = if who.is_empty() { vec![outstanding] } else { who };
        let fallback = Decided {
            value: State::Outstanding,
            by: u16::try_from(last).unwrap_or(u16::MAX),
            why: Precedence::Only,
        };
        self.decide(About::State, says, |state| state.word().to_owned()).unwrap_or(fallback)
    }

    /// A source that does not say who cancelled agrees with one that does.
    fn state_who(&self, mut says: Vec<Say<State>>) -> Vec<Say<State>> {
        let is_unsaid = |say: &Say<State>| matches!(self.all[say.by].evidence.said, Said::Cancelled(None));
        let said = says.iter().filter(|say| !is_unsaid(say)).find_map(|say| match say.value {
            State::CancelledByPatient | State::CancelledByProvider => Some(say.value),
            _ => None,
        });
        for say in &mut says {
            if let (true, Some(said)) = (is_unsaid(say), said) {
                say.value = said;
            }
        }
        says
    }

    fn start(&mut self) -> Option<Decided<Timestamp>> {
        let mut by_system: BTreeMap<(&HubId, &str), Say<Timestamp>> = BTreeMap::new();
        for (place, statement) in self.standing() {
            if let Some(value) = statement.evidence.start {
                let source = (&statement.evidence.id.hub, &*statement.evidence.id.system);
                by_system.insert(source, Say { value, by: place });
            }
        }
        self.decide(About::Start, by_system.into_values().collect(), ToString::to_string)
    }

    fn facts(&mut self) -> DecidedFacts {
        let mut sources: Vec<(&HubId, &str)> = Vec::new();
        let mut spoken: BTreeMap<(FactName, usize), Say<Option<FactValue>>> = BTreeMap::new();
        for (place, statement) in self.all.iter().enumerate() {
            let evidence = &statement.evidence;
            let own = (&evidence.id.hub, &*evidence.id.system);
            let source = sources.iter().position(|known| *known == own).unwrap_or_else(|| {
                sources.push(own);
                sources.len() - 1
            });
            for (name, value) in evidence.facts.stated() {
                spoken.insert((name, source), Say { value: Some(value), by: place });
            }
            for name in &evidence.cleared {
                spoken.insert((*name, source), Say { value: None, by: place });
            }
        }
        let mut by_name: BTreeMap<FactName, Vec<Say<Option<FactValue>>>> = BTreeMap::new();
        for ((name, _), say) in spoken {
            by_name.entry(name).or_default().push(say);
        }
        let mut decided = DecidedFacts::default();
        for (name, says) in by_name {
            let shown =
                |value: &Option<FactValue>| value.as_ref().map(ToString::to_string).unwrap_or_default();
            let Some(Decided { value, by, why }) = self.decide(About::Fact(name), says, shown) else {
                continue;
            };
            if let Some(value) = value {
                decided.set(name, &Decided { value, by, why });
            }
        }
        decided
    }

    /// How it came about, and whether it was for nothing but telling a result.
    fn kind(&self, is_planned: bool) -> (ContactKind, bool) {
        let says = |wanted: fn(SaidKind) -> bool| {
            self.all.iter().any(|statement| wanted(statement.evidence.said.kind()))
        };
        let result_only = says(|kind| kind == SaidKind::ResultOnly);
        let is_booked = |kind| {
            matches!(kind, SaidKind::Booked | SaidKind::Moved | SaidKind::DidNotAttend | SaidKind::Cancelled)
        };
        let kind = if says(|kind| kind == SaidKind::WalkInOpened) {
            ContactKind::WalkIn
        } else if says(is_booked) {
            ContactKind::Appointment
        } else if says(|kind| kind == SaidKind::UrgentCase) {
            ContactKind::UrgentCase
        } else if says(|kind| kind == SaidKind::CommunityContact) {
            ContactKind::Community
        } else if says(|kind| kind == SaidKind::Diagnostic) {
            ContactKind::Diagnostic
        } else if result_only {
            ContactKind::ResultOnly
        } else if is_planned {
            ContactKind::Appointment
        } else {
            ContactKind::WalkIn
        };
        (kind, result_only)
    }

    /// The latest that the owner, else others, know of whose it is; the local numbers of all.
    fn patient(&mut self) -> Patient {
        let mut by_source: BTreeMap<(&HubId, &str), Say<Patient>> = BTreeMap::new();
        let mut local: Vec<LocalId> = Vec::new();
        for (place, statement) in self.all.iter().enumerate() {
            let evidence = &statement.evidence;
            local.extend(evidence.patient.local.iter().cloned());
            if evidence.patient.nhs_number.is_some() {
                let own = Patient { local: Vec::new(), ..evidence.patient.clone() };
                let source = (&evidence.id.hub, &*evidence.id.system);
                // A number that is verified once is not made less so by a message that does not say.
                let is_better = by_source
                    .get(&source)
                    .is_none_or(|known| known.value.verified().is_none() || own.verified().is_some());
                if is_better {
                    by_source.insert(source, Say { value: own, by: place });
                }
            }
        }
        let verified = by_source.values().any(|say| say.value.verified().is_some());
        let says = by_source.into_values();
        let says = says.filter(|say| !verified || say.value.verified().is_some()).collect();
        let shown = |patient: &Patient| {
            patient.nhs_number.map(|number| number.as_str().to_owned()).unwrap_or_default()
        };
        let decided = self.decide(About::Patient, says, shown);
        local.sort_unstable();
        local.dedup();
        let status = self.all.iter().rev().find_map(|statement| statement.evidence.patient.status);
        let unnumbered = Patient { status, ..Patient::default() };
        Patient { local, ..decided.map_or(unnumbered, |decided| decided.value) }
    }
}

/// What a system thinks has become of it after a statement, if the statement says so.
fn verdict_of(statement: &Statement, before: Option<State>) -> Option<State> {
    let is_late = |facts: &Facts| facts.punctuality == Some(Punctuality::LateNotSeen);
    match &statement.evidence.said {
        // Stands again, or stands elsewhere.
        Said::Booked | Said::Moved => before.map(|_| State::Outstanding),
        Said::Attended if is_late(&statement.evidence.facts) => Some(State::NotSeen),
        Said::Attended | Said::CommunityContact | Said::Diagnostic | Said::ResultOnly => {
            Some(State::Attended)
        }
        Said::Left => Some(State::NotSeen),
        Said::DidNotAttend => Some(State::DidNotAttend),
        Said::Cancelled(Some(CancelledBy::Patient)) => Some(State::CancelledByPatient),
        Said::Cancelled(_) => Some(State::CancelledByProvider),
        Said::UrgentCase(status) => match status {
            CaseStatus::Open | CaseStatus::Begun => before.map(|_| State::Outstanding),
            CaseStatus::Consulted => Some(State::Attended),
            CaseStatus::Closed => Some(State::ClosedUnseen),
            CaseStatus::NotReached => Some(State::DidNotAttend),
            CaseStatus::Cancelled => Some(State::CancelledByPatient),
        },
        Said::Withdrawn => Some(State::Withdrawn),
        Said::Amended | Said::Arrived | Said::Called | Said::WalkInOpened | Said::PatientMerged(_) => None,
    }
}

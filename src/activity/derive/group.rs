//! Which statements are about one contact.
//!
//! Three steps, each a function of the statements alone and not of their order. *Legs*: statements that share a name.
//! *Tracks*: legs of which one replaces the other, which is a move. *Groups*: tracks that different systems keep of one
//! contact, by patient, service and planned beginning. [`MATCHING`] has the rules in words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::domain::{
    contact::{ContactId, Evidence, Reference, ReferenceKind, Said, SaidKind},
    ids::HubId,
    time::Timestamp,
};

use super::{
    names,
    people::{Who, is_nhs},
};

/// A second system may tell of a booking only after the first has already cancelled it: so long, both cancelled, are one.
pub const ECHO_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// A rule of matching: its name, and what it says.
pub struct MatchingRule {
    /// Its name.
    pub id: &'static str,
    /// When statements are about one contact.
    pub one: &'static str,
    /// When they are not, though it may look so.
    pub two: &'static str,
}

/// The rules of matching, in the order in which they are tried.
pub const MATCHING: [MatchingRule; 4] = [
    MatchingRule {
        id: "M1 name",
        one: "they share a name that a system gives to one contact",
        two: "a system used the name again for another patient: booked anew, or after it was cancelled",
    },
    MatchingRule {
        id: "M2 move",
        one: "one says that it replaces the other's name",
        two: "cancelled and booked again without a word of a move",
    },
    MatchingRule {
        id: "M3 same beginning",
        one: "same patient, same service by the maps, same planned beginning, and both stood at one time; or both were cancelled within a day of each other",
        two: "one system gives them two names of one kind, or one was cancelled before the other was made",
    },
    MatchingRule {
        id: "M4 same day",
        one: "one has no planned beginning, and the patient has exactly one appointment at that service that day which stands",
        two: "several could be meant, or it is a walk-in, a case, a community contact or a diagnostic of its own",
    },
];

/// A statement with what is made of it once.
pub(super) struct Statement {
    pub(super) evidence: Evidence,
    /// By the source's clock, but never after it was taken.
    pub(super) at: Timestamp,
    pub(super) who: Option<Who>,
    pub(super) service: Option<HubId>,
    pub(super) day: Date,
}

/// Statements about one contact, by their places.
#[derive(Debug)]
pub(super) struct Group {
    /// In order.
    pub(super) statements: Vec<usize>,
    /// Those about a booking that a later one replaces.
    pub(super) superseded: BTreeSet<usize>,
    /// Its names and when each was first said; the weak ones of statements without any.
    pub(super) names: Vec<Name>,
    /// How many statements bear on it.
    pub(super) bearing: usize,
}

/// One name of a contact.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Name {
    /// A statement's own, for want of better.
    pub(super) is_weak: bool,
    pub(super) at: Timestamp,
    pub(super) kind: Option<ReferenceKind>,
    pub(super) id: ContactId,
}

/// Which statements belong together; `statements` are in order.
pub(super) fn group(statements: &[Statement]) -> Vec<Group> {
    let moves = statements.iter().any(|statement| !statement.evidence.replaces.is_empty());
    let by_name = tenancies(statements, true);
    let mut legs = if moves {
        legs(statements.len(), &tenancies(statements, false))
    } else {
        legs(statements.len(), &by_name)
    };
    let (tracks, superseded) = tracks(statements, &by_name, &mut legs);
    let leg_of: Vec<usize> = (0..statements.len()).map(|place| legs.first(place)).collect();
    let known = Known { statements, leg_of: &leg_of, superseded: &superseded };
    let tracks: Vec<Track<'_>> = tracks.into_iter().map(|places| Track::of(&known, places)).collect();
    let joined = join(&tracks);
    let bearing = bearing(&tracks, &joined);
    let groups = joined.into_iter().zip(bearing);
    groups
        .map(|(members, bearing)| {
            let mut places: Vec<usize> =
                members.iter().flat_map(|track| tracks[*track].places.iter().copied()).collect();
            places.sort_unstable();
            let superseded = places.iter().copied().filter(|place| superseded.contains(place)).collect();
            let names = names_of(statements, &places, &by_name);
            Group { statements: places, superseded, names, bearing }
        })
        .collect()
}

/// Sets of places that become one.
struct Union(Vec<usize>);

impl Union {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn first(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }

    fn sets(&mut self) -> Vec<Vec<usize>> {
        let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for place in 0..self.0.len() {
            sets.entry(self.first(place)).or_default().push(place);
        }
        sets.into_values().collect()
    }
}

/// Who had a name in turn, and which statements are theirs.
type Tenancies = Vec<(BTreeSet<Who>, Vec<usize>)>;

/// Statements that share a name.
fn legs(count: usize, by_name: &BTreeMap<&Reference, Tenancies>) -> Union {
    let mut union = Union::new(count);
    for (_, places) in by_name.values().flatten() {
        for pair in places.windows(2) {
            union.join(pair[0], pair[1]);
        }
    }
    union
}

/// Who had each name in turn; with the names that statements replace, if those count.
fn tenancies(statements: &[Statement], with_old: bool) -> BTreeMap<&Reference, Tenancies> {
    let mut by_name: BTreeMap<&Reference, Tenancies> = BTreeMap::new();
    let mut ended: BTreeSet<&Reference> = BTreeSet::new();
    for (place, Statement { evidence, who, .. }) in statements.iter().enumerate() {
        let begins = matches!(evidence.said, Said::Booked | Said::WalkInOpened);
        let old = evidence.replaces.iter().filter(|_| with_old).map(|name| (name, true));
        for (reference, begins) in evidence.references.iter().map(|name| (name, begins)).chain(old) {
            let tenancies = by_name.entry(reference).or_default();
            let tenancy = tenancy(tenancies, *who, begins || ended.contains(reference));
            if let Some((known, places)) = tenancies.get_mut(tenancy) {
                known.extend(*who);
                places.push(place);
            } else {
                tenancies.push((who.iter().copied().collect(), vec![place]));
            }
        }
        for reference in &evidence.references {
            match evidence.said {
                Said::Cancelled(_) | Said::Withdrawn => ended.insert(reference),
                Said::Booked | Said::WalkInOpened => ended.remove(reference),
                _ => false,
            };
        }
    }
    by_name
}

/// Whose time a statement falls into: the patient's own, the last one, or, past the end, a new one.
fn tenancy(tenancies: &Tenancies, who: Option<Who>, is_beginning: bool) -> usize {
    let last = tenancies.len().saturating_sub(1);
    let Some(who) = who else { return last };
    if let Some(own) = tenancies.iter().rposition(|(known, _)| known.contains(&who)) {
        return own;
    }
    match tenancies.last() {
        // A local number and an NHS number need not be two people: nobody has said so.
        Some((known, _)) if !is_beginning || !known.iter().any(|other| is_nhs(*other) == is_nhs(who)) => last,
        _ => tenancies.len(),
    }
}

/// Legs with those that replace them, and the statements of legs that are replaced.
fn tracks(
    statements: &[Statement],
    by_name: &BTreeMap<&Reference, Tenancies>,
    legs: &mut Union,
) -> (Vec<Vec<usize>>, BTreeSet<usize>) {
    let mut union = Union(legs.0.clone());
    let mut old_legs = BTreeSet::new();
    let replaced: BTreeSet<&Reference> =
        statements.iter().flat_map(|statement| &statement.evidence.replaces).collect();
    for reference in replaced {
        for (_, places) in by_name.get(reference).map(Vec::as_slice).unwrap_or_default() {
            for pair in places.windows(2) {
                union.join(pair[0], pair[1]);
            }
            let replaces = |place: &&usize| statements[**place].evidence.replaces.contains(reference);
            let new: BTreeSet<usize> =
                places.iter().filter(replaces).map(|place| legs.first(*place)).collect();
            let old = places.iter().filter(|place| !replaces(place)).map(|place| legs.first(*place));
            old_legs.extend(old.filter(|leg| !new.is_empty() && !new.contains(leg)));
        }
    }
    let superseded = (0..statements.len()).filter(|place| old_legs.contains(&legs.first(*place))).collect();
    (union.sets(), superseded)
}

/// For how long an appointment stood at one beginning, as one system has it.
struct Life {
    start: Timestamp,
    from: Timestamp,
    until: Timestamp,
}

/// What one system, or several that share names, say of one contact.
struct Track<'a> {
    places: Vec<usize>,
    who: Option<Who>,
    service: Option<&'a HubId>,
    days: BTreeSet<Date>,
    lives: Vec<Life>,
    first: Timestamp,
    is_cancelled: bool,
    /// Nothing in it says that it came about in another way than by being booked.
    may_float: bool,
    issuers: BTreeSet<(ReferenceKind, &'a str)>,
}

/// What is known of statements once legs are.
struct Known<'a> {
    statements: &'a [Statement],
    leg_of: &'a [usize],
    superseded: &'a BTreeSet<usize>,
}

impl<'a> Track<'a> {
    fn of(known: &Known<'a>, places: Vec<usize>) -> Self {
        let all = || places.iter().map(|place| &known.statements[*place]);
        let standing = places.iter().filter(|place| !known.superseded.contains(place));
        let standing: Vec<SaidKind> =
            standing.map(|place| known.statements[*place].evidence.said.kind()).collect();
        let nhs = all().filter_map(|statement| statement.who).rfind(|who| is_nhs(*who));
        let who = nhs.or_else(|| all().filter_map(|statement| statement.who).next_back());
        let service = all().filter_map(|statement| statement.service.as_ref()).next_back();
        let kinds: Vec<SaidKind> = all().map(|statement| statement.evidence.said.kind()).collect();
        let ends = standing.iter().rev().find(|kind| {
            matches!(kind, SaidKind::Cancelled | SaidKind::Withdrawn | SaidKind::Booked | SaidKind::Moved)
                || is_outcome(**kind)
        });
        let names = all().flat_map(|statement| statement.evidence.references.iter());
        Self {
            who,
            service,
            days: all().map(|statement| statement.day).collect(),
            lives: lives(known, &places),
            first: all().map(|statement| statement.at).min().unwrap_or_default(),
            is_cancelled: matches!(ends, Some(SaidKind::Cancelled | SaidKind::Withdrawn)),
            may_float: kinds.iter().all(|kind| floats(*kind)),
            issuers: names.map(|name| (name.kind, &*name.issuer)).collect(),
            places,
        }
    }

    fn is_same_sort(&self, other: &Self) -> bool {
        self.who.is_some() && self.who == other.who && self.service.is_some() && self.service == other.service
    }
}

const fn is_outcome(kind: SaidKind) -> bool {
    matches!(kind, SaidKind::Attended | SaidKind::Left | SaidKind::DidNotAttend)
}

const fn floats(kind: SaidKind) -> bool {
    matches!(
        kind,
        SaidKind::Arrived | SaidKind::Called | SaidKind::Amended | SaidKind::Cancelled | SaidKind::Withdrawn
    ) || is_outcome(kind)
}

/// Each system's own, leg by leg: what one tells late must not end what another keeps.
fn lives(known: &Known<'_>, places: &[usize]) -> Vec<Life> {
    let mut books: BTreeMap<(&str, usize), Vec<&Statement>> = BTreeMap::new();
    for place in places {
        let statement = &known.statements[*place];
        books.entry((&statement.evidence.id.system, known.leg_of[*place])).or_default().push(statement);
    }
    books.values().flat_map(|statements| lives_in_book(statements)).collect()
}

fn lives_in_book(statements: &[&Statement]) -> Vec<Life> {
    let mut lives = Vec::new();
    let mut open: Option<Life> = None;
    for (place, statement) in statements.iter().enumerate() {
        let evidence = &statement.evidence;
        let is_other = |start: &Timestamp| open.as_ref().is_none_or(|life| life.start != *start);
        if let Some(start) = evidence.start.filter(is_other) {
            // What was not seen being booked may have stood for long.
            let unseen = place == 0 && !matches!(evidence.said, Said::Booked | Said::Moved);
            let from = if unseen { Timestamp(i64::MIN) } else { statement.at };
            let from = evidence.facts.booked_at.filter(|_| place == 0).unwrap_or(from);
            let ended = open.replace(Life { start, from, until: Timestamp(i64::MAX) });
            lives.extend(ended.map(|life| Life { until: statement.at, ..life }));
        }
        if matches!(evidence.said, Said::Cancelled(_) | Said::Withdrawn) {
            lives.extend(open.take().map(|life| Life { until: statement.at, ..life }));
        }
    }
    lives.extend(open);
    lives
}

/// Whether two tracks stood at one beginning at one time; then how far apart they were first told of.
fn nearness(one: &Track<'_>, other: &Track<'_>) -> Option<(bool, i64)> {
    if !one.is_same_sort(other) || !one.issuers.is_disjoint(&other.issuers) {
        return None;
    }
    let meets = |a: &Life, b: &Life| {
        let apart = a.from.max(b.from).0.saturating_sub(a.until.min(b.until).0);
        let is_echo = one.is_cancelled && other.is_cancelled && apart <= ECHO_MILLISECONDS;
        a.start == b.start && (apart <= 0 || is_echo)
    };
    let meet = one.lives.iter().any(|a| other.lives.iter().any(|b| meets(a, b)));
    let apart = one.first.0.abs_diff(other.first.0);
    meet.then(|| (one.is_cancelled != other.is_cancelled, i64::try_from(apart).unwrap_or(i64::MAX)))
}

/// Tracks of different systems that are about one contact, as sets of places in `tracks`.
fn join(tracks: &[Track<'_>]) -> Vec<Vec<usize>> {
    let mut union = Union::new(tracks.len());
    let mut issuers: Vec<BTreeSet<(ReferenceKind, &str)>> =
        tracks.iter().map(|track| track.issuers.clone()).collect();
    let mut pairs = Vec::new();
    for (place, one) in tracks.iter().enumerate() {
        for (further, other) in tracks.iter().enumerate().skip(place + 1) {
            pairs.extend(nearness(one, other).map(|near| (near, place, further)));
        }
    }
    // Tracks stand in the order of their first statements, so that this order is theirs alone.
    pairs.sort_unstable();
    for (_, one, other) in pairs {
        let (one, other) = (union.first(one), union.first(other));
        if one != other && issuers[one].is_disjoint(&issuers[other]) {
            let both: BTreeSet<_> = issuers[one].union(&issuers[other]).copied().collect();
            union.join(one, other);
            issuers[one.min(other)] = both;
        }
    }
    attach(tracks, &mut union, &issuers);
    union.sets()
}

/// Rule M4: what has no beginning goes to the only appointment of its day.
fn attach(tracks: &[Track<'_>], union: &mut Union, issuers: &[BTreeSet<(ReferenceKind, &str)>]) {
    let mut callers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, floating) in tracks.iter().enumerate() {
        if !floating.lives.is_empty() || !floating.may_float {
            continue;
        }
        let fits = |track: &Track<'_>| {
            let is_its_day = track.lives.iter().any(|life| {
                crate::domain::contact::local_date(life.start).is_some_and(|day| floating.days.contains(&day))
            });
            is_its_day && track.is_same_sort(floating) && (floating.is_cancelled || !track.is_cancelled)
        };
        let fitting = (0..tracks.len()).filter(|other| fits(&tracks[*other]));
        let targets: BTreeSet<usize> = fitting.map(|other| union.first(other)).collect();
        if let (1, Some(target)) = (targets.len(), targets.first()) {
            callers.entry(*target).or_default().push(place);
        }
    }
    for (target, places) in callers {
        let mut known = issuers[target].clone();
        let fits = places.iter().all(|place| {
            let is_new = tracks[*place].issuers.is_disjoint(&known);
            known.extend(&tracks[*place].issuers);
            is_new
        });
        if fits {
            for place in places {
                union.join(target, place);
            }
        }
    }
}

/// For each group, how many statements bear on it: its own, and those that could have been.
fn bearing(tracks: &[Track<'_>], groups: &[Vec<usize>]) -> Vec<usize> {
    let near =
        |one: &Track<'_>, other: &Track<'_>| one.is_same_sort(other) && !one.days.is_disjoint(&other.days);
    groups
        .iter()
        .map(|members| {
            let bears = |(place, track): &(usize, &Track<'_>)| {
                members.contains(place) || members.iter().any(|member| near(&tracks[*member], track))
            };
            tracks.iter().enumerate().filter(bears).map(|(_, track)| track.places.len()).sum()
        })
        .collect()
}

/// What the statements of a group are called, strongest and earliest first. Of a name that was used for several people
/// in turn, only the first of them keeps it.
fn names_of(
    statements: &[Statement],
    places: &[usize],
    by_name: &BTreeMap<&Reference, Tenancies>,
) -> Vec<Name> {
    let mut first: BTreeMap<&Reference, Timestamp> = BTreeMap::new();
    let mut names = Vec::new();
    for place in places {
        let Statement { evidence: Evidence { id, references, replaces, .. }, at, .. } = &statements[*place];
        let is_own = |name: &&Reference| {
            let tenancies = by_name.get(name).map(Vec::as_slice).unwrap_or_default();
            !tenancies.iter().skip(1).any(|(_, theirs)| theirs.contains(place))
        };
        let own: Vec<&Reference> = references.iter().chain(replaces).filter(is_own).collect();
        if own.is_empty() {
            let id = names::of_statement(id);
            names.push(Name { is_weak: true, at: *at, kind: None, id });
        }
        for reference in own {
            first.entry(reference).or_insert(*at);
        }
    }
    names.extend(first.into_iter().map(|(reference, at)| Name {
        is_weak: false,
        at,
        kind: Some(reference.kind),
        id: names::of_reference(reference),
    }));
    names.sort_unstable();
    names
}

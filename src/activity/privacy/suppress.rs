//! Small numbers in published tables: which cells must not be shown so that none can be worked out of the others.
//!
//! A small count is not shown (`*`), and neither are others, so that differences of totals and parts give nothing away.
//! A cell counts as protected only if there is proof: other whole numbers for the cells that are not shown, that agree
//! with everything that is, and in which it is far enough from what it is. Zeros are always shown, so that whoever looks
//! knows that what is not shown is at least 1; the proof reckons with it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    elimination::{Vector, null_space},
    pattern::Patterns,
    release::{Relation, Release, ReleaseError, Table},
};

/// What may be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// The largest count that is small: 1 to this one is not shown.
    pub small_max: u64,
    /// What other counts are rounded to the nearest multiple of; 1 leaves them as they are.
    pub round_to: u64,
}

impl Rule {
    /// 1 to 5 are not shown (hospital episode statistics before September 2018).
    pub const EXACT: Self = Self { small_max: 5, round_to: 1 };
    /// 1 to 7 are not shown, others are rounded to the nearest 5 (since then; the detail is to be confirmed).
    pub const ROUNDED: Self = Self { small_max: 7, round_to: 5 };
}

/// A cell as it is published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// The count, rounded if the rule says so.
    Count(u64),
    /// `*`: small, or not shown for another's sake; which, nobody can tell.
    Suppressed,
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Suppressed => f.write_str("*"),
        }
    }
}

/// A table as it is published: each row with its total last, and last the row of totals.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SafeTable {
    /// The table, with counts as they are: never published.
    pub of: Table,
    /// What is published.
    pub rows: Vec<Vec<Shown>>,
}

/// What each cell's count may be away from itself.
struct Search<'a> {
    release: &'a Release,
    relations: &'a [Relation],
    /// Relations by cell.
    of: BTreeMap<usize, Vec<usize>>,
    suppressed: BTreeSet<usize>,
    width: u64,
}

/// Makes every table of a release safe, together.
///
/// # Errors
/// If the tables disagree.
pub fn suppress(mut release: Release, rule: Rule) -> Result<Vec<SafeTable>, ReleaseError> {
    let relations = release.relations()?;
    let mut of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, relation) in relations.iter().enumerate() {
        for cell in relation.cells() {
            of.entry(cell).or_default().push(number);
        }
    }
    let is_small = |count: u64| (1..=rule.small_max).contains(&count);
    let small: BTreeSet<usize> =
        (0..release.cells.len()).filter(|place| is_small(count(&release, *place))).collect();
    let hidden = |place: &usize| release.cells.get(*place).is_some_and(|cell| !cell.is_published);
    let unseen: BTreeSet<usize> = (0..release.cells.len()).filter(hidden).collect();
    let suppressed = small.union(&unseen).copied().collect();
    let mut search =
        Search { release: &release, relations: &relations, of, suppressed, width: rule.small_max };
    search.protect(&small);
    let suppressed = search.suppressed;
    Ok(release.tables.iter().map(|table| safe(&release, table, &suppressed, rule)).collect())
}

impl Search<'_> {
    /// Takes cells away until every small one is protected: first by the cheapest pattern for each that no earlier one
    /// protects, then, for what has none, in general.
    fn protect(&mut self, small: &BTreeSet<usize>) {
        let mut proven = BTreeSet::new();
        for cell in small {
            if proven.contains(cell) {
                continue;
            }
            let relations: Vec<&Relation> = self.relations_of(*cell).collect();
            let patterns = Patterns { release: self.release, suppressed: &self.suppressed };
            let is_wide = |vector: &Vector| self.is_solution(vector) && self.is_wide(vector, 1);
            if let Some(vector) = patterns.best(*cell, &relations, is_wide) {
                self.suppressed.extend(vector.keys());
                proven.extend(vector.into_keys());
            }
        }
        let left = small.difference(&proven).copied().collect();
        self.protect_in_general(&left);
    }

    /// Whether every sum stays as it is.
    fn is_solution(&self, vector: &Vector) -> bool {
        let change = |cell: usize| vector.get(&cell).copied().unwrap_or_default();
        let mut relations = vector.keys().flat_map(|cell| self.relations_of(*cell));
        relations.all(|relation| {
            relation.parts.iter().map(|part| change(*part)).sum::<i64>() == change(relation.total)
        })
    }

    /// Whether a cell that changes by so much in each step can be far enough from what it is.
    fn is_wide(&self, vector: &Vector, change: i64) -> bool {
        self.steps(vector).is_none_or(|steps| self.width <= steps.saturating_mul(change.unsigned_abs()))
    }

    /// Ends because each round takes at least one, and where nothing but zeros is left in sight, all counts can be any
    /// multiple of themselves.
    fn protect_in_general(&mut self, small: &BTreeSet<usize>) {
        while !small.is_empty() {
            let exposed = self.exposed(small);
            let before = self.suppressed.len();
            for cell in exposed {
                if let Some(partner) = self.partner(cell) {
                    self.suppressed.insert(partner);
                }
            }
            if self.suppressed.len() == before {
                return;
            }
        }
    }

    /// The small cells for which there is no proof.
    fn exposed(&self, small: &BTreeSet<usize>) -> Vec<usize> {
        let mut proven: BTreeSet<usize> = BTreeSet::new();
        for component in self.components() {
            if component.iter().all(|cell| !small.contains(cell)) {
                continue;
            }
            for vector in self.vectors(&component) {
                let wide = |change: i64| self.is_wide(&vector, change);
                proven.extend(vector.iter().filter(|(_, change)| wide(**change)).map(|(cell, _)| *cell));
            }
        }
        small.iter().copied().filter(|cell| !proven.contains(cell)).collect()
    }

    /// Cells that are not shown, by the sums that they are in together.
    fn components(&self) -> Vec<Vec<usize>> {
        let mut left = self.suppressed.clone();
        let mut components = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut component = vec![first];
            let mut next = 0;
            while let Some(cell) = component.get(next).copied() {
                next += 1;
                for relation in self.relations_of(cell) {
                    component.extend(relation.cells().filter(|other| left.remove(other)));
                }
            }
            components.push(component);
        }
        components
    }

    /// Changes that leave everything that is shown as it is. Totals come first, so that they follow from parts where
    /// they can: such changes touch few cells.
    fn vectors(&self, component: &[usize]) -> Vec<Vector> {
        let mut cells = component.to_vec();
        cells.sort_by_key(|cell| self.depth(*cell));
        let numbers: BTreeSet<usize> =
            cells.iter().filter_map(|cell| self.of.get(cell)).flatten().copied().collect();
        let relations: Vec<&Relation> =
            numbers.iter().filter_map(|number| self.relations.get(*number)).collect();
        let row = |relation: &&Relation| {
            let parts = relation.parts.iter().map(|part| (*part, 1));
            parts.chain([(relation.total, -1)]).filter(|(cell, _)| self.suppressed.contains(cell)).collect()
        };
        let rows: Vec<Vector> = relations.iter().map(row).collect();
        let mut vectors = null_space(&cells, rows);
        // Where only zeros are shown, every count can be a multiple of itself.
        let is_zero = |cell: usize| self.suppressed.contains(&cell) || count(self.release, cell) == 0;
        if relations.iter().all(|relation| relation.cells().all(is_zero)) {
            let itself =
                |cell: &usize| (*cell, i64::try_from(count(self.release, *cell)).unwrap_or(i64::MAX));
            vectors.push(component.iter().map(itself).filter(|(_, change)| *change != 0).collect());
        }
        vectors
    }

    /// How often a change can be made, to and fro together; none if there is no end.
    fn steps(&self, vector: &Vector) -> Option<u64> {
        let room = |cell: usize| {
            let least = u64::from(self.release.cells.get(cell).is_some_and(|cell| cell.is_published));
            count(self.release, cell).saturating_sub(least)
        };
        let most = |sign: i64| {
            let falling = vector.iter().filter(|(_, change)| (**change).signum() == -sign);
            falling.map(|(cell, change)| room(*cell) / change.unsigned_abs()).min()
        };
        Some(most(1)?.saturating_add(most(-1)?))
    }

    /// The cell to take away next for an exposed one: of all sums that bear on it, in the one with the fewest cells away,
    /// and of several the nearest. A sum with one cell away gives it away; with two, they hide each other.
    fn partner(&self, exposed: usize) -> Option<usize> {
        let mut seen = BTreeSet::from([exposed]);
        let mut reached = vec![exposed];
        let mut best: Option<(usize, &Relation)> = None;
        let mut next = 0;
        while let Some(cell) = reached.get(next).copied() {
            next += 1;
            for relation in self.relations_of(cell) {
                let away = relation.cells().filter(|cell| self.suppressed.contains(cell)).count();
                let is_better = best.is_none_or(|(fewest, _)| away < fewest);
                if is_better && self.candidates(relation).next().is_some() {
                    best = Some((away, relation));
                }
                reached.extend(
                    relation.cells().filter(|cell| self.suppressed.contains(cell) && seen.insert(*cell)),
                );
            }
        }
        self.candidates(best?.1).min_by_key(|cell| self.price(*cell))
    }

    /// Cells of a sum that are shown, and can be taken away.
    fn candidates(&self, relation: &Relation) -> impl Iterator<Item = usize> {
        relation.cells().filter(|cell| !self.suppressed.contains(cell) && 0 < count(self.release, *cell))
    }

    /// What is lost by taking a cell away: sums that it opens, a total, room to move, its count.
    fn price(&self, cell: usize) -> (usize, usize, bool, u64) {
        let opens = self.relations_of(cell).filter(|relation| {
            relation.cells().all(|other| other == cell || !self.suppressed.contains(&other))
        });
        let total = usize::MAX - self.depth(cell);
        let count = count(self.release, cell);
        (opens.count(), total, count <= self.width, count)
    }

    /// How many conditions a cell has: the fewer, the more it sums up.
    fn depth(&self, cell: usize) -> usize {
        self.release.cells.get(cell).map(|cell| cell.key.len()).unwrap_or_default()
    }

    fn relations_of(&self, cell: usize) -> impl Iterator<Item = &Relation> {
        self.of.get(&cell).into_iter().flatten().filter_map(|number| self.relations.get(*number))
    }
}

fn count(release: &Release, cell: usize) -> u64 {
    release.cells.get(cell).map(|cell| cell.count).unwrap_or_default()
}

fn safe(release: &Release, table: &Table, suppressed: &BTreeSet<usize>, rule: Rule) -> SafeTable {
    let height = table.counts.len();
    let width = table.counts.first().map(Vec::len).unwrap_or_default();
    let lines = |length: usize| (0..length).map(Some).chain([None]);
    let shown = |row, column| match release.place(table, row, column) {
        Some(place) if !suppressed.contains(&place) => {
            Shown::Count(rounded(count(release, place), rule.round_to))
        }
        _ => Shown::Suppressed,
    };
    let rows = lines(height).map(|row| lines(width).map(|column| shown(row, column)).collect()).collect();
    SafeTable { of: table.clone(), rows }
}

/// To the nearest multiple, halves up. Rounding after suppression only takes away what could be known.
fn rounded(count: u64, to: u64) -> u64 {
    match to {
        0 | 1 => count,
        to => (count + to / 2) / to * to,
    }
}

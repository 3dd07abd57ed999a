//! Tables that are published together: their cells by what they count, and the sums that tie cells to one another.

use std::collections::BTreeMap;

/// A condition: a dimension and one of its values.
pub(super) type Condition = (u16, u16);
/// What a cell counts: everything for which all conditions hold, sorted; none is the grand total.
pub(super) type Key = Vec<Condition>;

/// In place of a value: whatever is in none of the cells that are published.
const REST: u16 = u16::MAX;

/// A table to be published, with its totals, which are made here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// Its title.
    pub name: String,
    /// What all of it is restricted to, as pairs of dimension and value.
    pub filter: Vec<(String, String)>,
    /// The dimension of its rows.
    pub rows: String,
    /// The dimension of its columns.
    pub columns: String,
    /// The counts without totals, row by row, in the order of the dimensions' values.
    pub counts: Vec<Vec<u64>>,
}

/// Why tables cannot be published together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReleaseError {
    /// No such dimension, the same twice, or too many values.
    #[error("table {0}: a dimension is not known, or is there twice")]
    Dimension(String),
    /// No such value of a dimension.
    #[error("table {0}: a value of a dimension is not known")]
    Value(String),
    /// Counts for other rows or columns than the dimensions have.
    #[error("table {0}: it has other rows or columns than its dimensions")]
    Shape(String),
    /// Two tables count the same and differ, or a part is more than its whole.
    #[error("table {0}: it disagrees with another table")]
    Disagrees(String),
    /// More than [`CELLS_MAX`].
    #[error("more than {CELLS_MAX} cells are published together; publish fewer tables at once")]
    TooMany,
}

/// Cells that are published together; checking takes time with their square.
pub const CELLS_MAX: usize = 20_000;

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) key: Key,
    pub(super) count: u64,
    /// False for what is in no table, but follows of totals and parts that are.
    pub(super) is_published: bool,
}

/// Everything that is published together. What was published before and is still about belongs to it, too.
#[derive(Clone, Debug, Default)]
pub struct Release {
    dimensions: Vec<(String, Vec<String>)>,
    pub(super) tables: Vec<Table>,
    pub(super) cells: Vec<Cell>,
    by_key: BTreeMap<Key, usize>,
}

/// That a cell is the sum of others: places of cells.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// Along which dimension.
    pub(super) dimension: u16,
    pub(super) total: usize,
    pub(super) parts: Vec<usize>,
}

impl Relation {
    /// The parts and the total.
    pub(super) fn cells(&self) -> impl Iterator<Item = usize> + '_ {
        self.parts.iter().copied().chain([self.total])
    }
}

impl Release {
    /// Begins a release over dimensions, each with all of its values: each contact has exactly one of them. There is one
    /// grouping of each dimension; ages in bands of five years and of ten cannot be in one release.
    pub fn new(dimensions: Vec<(String, Vec<String>)>) -> Self {
        Self { dimensions, ..Self::default() }
    }

    /// Adds a table.
    ///
    /// # Errors
    /// Says what does not fit; then the release is as it was.
    pub fn add(&mut self, table: Table) -> Result<(), ReleaseError> {
        let fault = |kind: fn(String) -> ReleaseError| kind(table.name.clone());
        let mut filter = Key::new();
        for (dimension, value) in &table.filter {
            let place = self.dimension(dimension).ok_or_else(|| fault(ReleaseError::Dimension))?;
            let of = self.value(place, value).ok_or_else(|| fault(ReleaseError::Value))?;
            filter.push((place, of));
        }
        let rows = self.dimension(&table.rows).ok_or_else(|| fault(ReleaseError::Dimension))?;
        let columns = self.dimension(&table.columns).ok_or_else(|| fault(ReleaseError::Dimension))?;
        filter.sort_unstable();
        let mut used: Vec<u16> =
            filter.iter().map(|(dimension, _)| *dimension).chain([rows, columns]).collect();
        used.sort_unstable();
        if used.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(fault(ReleaseError::Dimension));
        }
        let (height, width) = (self.values(rows), self.values(columns));
        if table.counts.len() != height || table.counts.iter().any(|row| row.len() != width) {
            return Err(fault(ReleaseError::Shape));
        }
        let before = (self.cells.clone(), self.by_key.clone());
        let agrees =
            cells(&table, &filter, rows, columns).into_iter().all(|(key, count)| self.publish(key, count));
        if agrees && self.cells.len() <= CELLS_MAX {
            self.tables.push(table);
            return Ok(());
        }
        (self.cells, self.by_key) = before;
        Err(if agrees { ReleaseError::TooMany } else { fault(ReleaseError::Disagrees) })
    }

    /// The place of a table's cell; none for a row or column is its total.
    pub(super) fn place(&self, table: &Table, row: Option<usize>, column: Option<usize>) -> Option<usize> {
        let mut key = Key::new();
        for (dimension, value) in &table.filter {
            let place = self.dimension(dimension)?;
            key.push((place, self.value(place, value)?));
        }
        for (dimension, value) in [(&table.rows, row), (&table.columns, column)] {
            if let Some(value) = value {
                key.push((self.dimension(dimension)?, u16::try_from(value).ok()?));
            }
        }
        key.sort_unstable();
        self.by_key.get(&key).copied()
    }

    /// The place of a cell by what it counts.
    pub(super) fn place_of(&self, key: &Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Every sum between cells. Where only some parts of a total are published, the rest is a cell too: whoever has the
    /// total and the parts has it.
    ///
    /// # Errors
    /// If parts are more than their whole.
    pub(super) fn relations(&mut self) -> Result<Vec<Relation>, ReleaseError> {
        let mut relations = Vec::new();
        for total in 0..self.cells.len() {
            let Some(cell) = self.cells.get(total).filter(|cell| cell.is_published).cloned() else {
                continue;
            };
            for dimension in 0..self.dimensions.len() {
                let Ok(dimension) = u16::try_from(dimension) else { continue };
                if cell.key.iter().any(|(known, _)| *known == dimension) {
                    continue;
                }
                if let Some(parts) = self.parts(&cell, dimension)? {
                    relations.push(Relation { dimension, total, parts });
                }
            }
        }
        Ok(relations)
    }

    /// The parts of a cell along a dimension; none if none of them is published.
    fn parts(&mut self, cell: &Cell, dimension: u16) -> Result<Option<Vec<usize>>, ReleaseError> {
        let mut parts = Vec::new();
        let mut missing = Vec::new();
        for value in 0..self.values(dimension) {
            let key = with(&cell.key, (dimension, u16::try_from(value).unwrap_or(REST)));
            match self.by_key.get(&key) {
                Some(place) if self.cells.get(*place).is_some_and(|cell| cell.is_published) => {
                    parts.push(*place)
                }
                _ => missing.push(key),
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        if !missing.is_empty() {
            let known: u64 =
                parts.iter().filter_map(|place| self.cells.get(*place)).map(|cell| cell.count).sum();
            let disagrees = || ReleaseError::Disagrees("with parts".to_owned());
            let count = cell.count.checked_sub(known).ok_or_else(disagrees)?;
            let rest = with(&cell.key, (dimension, REST));
            let key = if missing.len() == 1 { missing.pop().unwrap_or(rest) } else { rest };
            parts.push(self.hidden(key, count));
        }
        Ok(Some(parts))
    }

    fn hidden(&mut self, key: Key, count: u64) -> usize {
        let next = self.cells.len();
        let place = *self.by_key.entry(key.clone()).or_insert(next);
        if place == next {
            self.cells.push(Cell { key, count, is_published: false });
        }
        place
    }

    fn publish(&mut self, key: Key, count: u64) -> bool {
        match self.by_key.get(&key) {
            Some(place) => self.cells.get(*place).is_some_and(|cell| cell.count == count),
            None => {
                self.by_key.insert(key.clone(), self.cells.len());
                self.cells.push(Cell { key, count, is_published: true });
                true
            }
        }
    }

    fn dimension(&self, name: &str) -> Option<u16> {
        let place = self.dimensions.iter().position(|(known, _)| known == name)?;
        u16::try_from(place).ok()
    }

    fn value(&self, dimension: u16, name: &str) -> Option<u16> {
        let (_, values) = self.dimensions.get(usize::from(dimension))?;
        u16::try_from(values.iter().position(|known| known == name)?).ok()
    }

    fn values(&self, dimension: u16) -> usize {
        self.dimensions.get(usize::from(dimension)).map(|(_, values)| values.len()).unwrap_or_default()
    }
}

/// The cells of a table, its totals too.
fn cells(table: &Table, filter: &Key, rows: u16, columns: u16) -> Vec<(Key, u64)> {
    let mut sums: BTreeMap<Key, u64> = BTreeMap::new();
    for (row, counts) in table.counts.iter().enumerate() {
        for (column, count) in counts.iter().enumerate() {
            let row = (rows, u16::try_from(row).unwrap_or(REST));
            let column = (columns, u16::try_from(column).unwrap_or(REST));
            for key in
                [with(&with(filter, row), column), with(filter, row), with(filter, column), filter.clone()]
            {
                let sum = sums.entry(key).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }
    sums.into_iter().collect()
}

fn with(key: &Key, condition: Condition) -> Key {
    let mut key = key.clone();
    key.push(condition);
    key.sort_unstable();
    key
}

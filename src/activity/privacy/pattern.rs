//! The smallest changes that leave every sum as it is: the corners of a rectangle, or of a box, over rows, columns and
//! whatever else tables differ by.

use std::collections::BTreeSet;

use super::{
    elimination::Vector,
    release::{Key, Relation, Release},
};

/// Patterns that are looked at for one cell: rows times columns times a handful of tables.
const PATTERNS_MAX: usize = 50_000;

/// Another place along a dimension; none is the total over it.
type Instead = (u16, Option<u16>);

/// What a pattern costs: cells that are taken away for it, totals counted more, then what they count.
type Cost = (usize, u64);

/// Looks for the cheapest pattern with a cell in it of which `is_wide` says that the cell is protected by it.
pub(super) struct Patterns<'a> {
    pub(super) release: &'a Release,
    pub(super) suppressed: &'a BTreeSet<usize>,
}

impl Patterns<'_> {
    /// The cheapest pattern; none if there is none.
    pub(super) fn best(
        &self,
        cell: usize,
        relations: &[&Relation],
        is_wide: impl Fn(&Vector) -> bool,
    ) -> Option<Vector> {
        let alternatives: Vec<Vec<Instead>> =
            relations.iter().map(|relation| self.alternatives(cell, relation)).collect();
        let mut best: Option<(Cost, Vector)> = None;
        let mut choice = vec![0; alternatives.len()];
        for _ in 0..PATTERNS_MAX {
            let chosen: Option<Vec<Instead>> =
                alternatives.iter().zip(&choice).map(|(all, place)| all.get(*place).copied()).collect();
            if let Some((cost, vector)) = chosen.and_then(|chosen| self.pattern(cell, &chosen))
                && best.as_ref().is_none_or(|(least, _)| cost < *least)
                && is_wide(&vector)
            {
                best = Some((cost, vector));
            }
            if !advance(&mut choice, &alternatives) {
                break;
            }
        }
        best.map(|(_, vector)| vector)
    }

    /// Where else along a sum a change of the cell can be made good.
    fn alternatives(&self, cell: usize, relation: &Relation) -> Vec<Instead> {
        let at = |place: usize| {
            let key = &self.release.cells.get(place)?.key;
            Some(key.iter().find(|(dimension, _)| *dimension == relation.dimension).map(|(_, value)| *value))
        };
        let is_total = relation.total == cell;
        let others = relation.cells().filter(|other| *other != cell && (is_total || self.can_change(*other)));
        others.filter_map(|other| Some((relation.dimension, at(other)?))).collect()
    }

    fn pattern(&self, cell: usize, chosen: &[Instead]) -> Option<(Cost, Vector)> {
        let base = &self.release.cells.get(cell)?.key;
        let mut vector = Vector::new();
        let mut cost = (0, 0);
        for corner in 0..1_u32.checked_shl(u32::try_from(chosen.len()).ok()?)? {
            let mut key = base.clone();
            let mut sign = 1;
            for (bit, (dimension, value)) in chosen.iter().enumerate() {
                if (corner >> bit) & 1 == 1 {
                    sign *= replace(&mut key, *dimension, *value);
                }
            }
            let place = self.release.place_of(&key)?;
            if !self.can_change(place) || vector.insert(place, sign).is_some() {
                return None;
            }
            if !self.suppressed.contains(&place) {
                let totals = base.len().saturating_sub(key.len());
                cost = (cost.0 + 1 + 2 * totals, cost.1 + self.release.cells.get(place)?.count);
            }
        }
        Some((cost, vector))
    }

    /// Zeros are shown, and stay.
    fn can_change(&self, cell: usize) -> bool {
        self.release.cells.get(cell).is_some_and(|cell| 0 < cell.count || !cell.is_published)
    }
}

/// Puts another condition on a dimension. The sign with which a change goes there: a total goes along with its parts, a
/// part against another.
fn replace(key: &mut Key, dimension: u16, value: Option<u16>) -> i64 {
    let before = key.len();
    key.retain(|(known, _)| *known != dimension);
    let had_part = key.len() < before;
    if let Some(value) = value {
        key.push((dimension, value));
        key.sort_unstable();
    }
    if had_part && value.is_some() { -1 } else { 1 }
}

/// The next combination; false after the last.
fn advance(choice: &mut [usize], alternatives: &[Vec<Instead>]) -> bool {
    for (place, all) in choice.iter_mut().zip(alternatives) {
        *place += 1;
        if *place < all.len() {
            return true;
        }
        *place = 0;
    }
    false
}

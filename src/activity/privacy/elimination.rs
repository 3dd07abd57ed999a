//! Whole-number solutions of homogeneous equations: what can change while every sum stays as it is.

use std::collections::BTreeMap;

/// A row of coefficients, or a solution, by variable; what is not there is 0.
pub(super) type Vector = BTreeMap<usize, i64>;

/// A base of the solutions of `rows`, in whole numbers. Variables that come first in `order` follow from the others where
/// they can. A solution whose numbers become too large is left out: it proves nothing then.
pub(super) fn null_space(order: &[usize], rows: Vec<Vector>) -> Vec<Vector> {
    let mut left = rows;
    let mut solved: Vec<(usize, Vector)> = Vec::new();
    for variable in order {
        let Some(place) = left.iter().position(|row| row.contains_key(variable)) else { continue };
        let pivot = left.swap_remove(place);
        left.retain_mut(|row| without(row, *variable, &pivot).is_some() && !row.is_empty());
        solved.retain_mut(|(_, row)| without(row, *variable, &pivot).is_some());
        solved.push((*variable, pivot));
    }
    let free = order.iter().filter(|variable| solved.iter().all(|(pivot, _)| pivot != *variable));
    free.filter_map(|variable| solution(*variable, &solved)).collect()
}

/// The solution in which one free variable changes, and no other free one.
fn solution(free: usize, solved: &[(usize, Vector)]) -> Option<Vector> {
    let depend =
        || solved.iter().filter_map(|(pivot, row)| Some((*pivot, *row.get(pivot)?, *row.get(&free)?)));
    let mut scale = 1_i64;
    for (_, own, other) in depend() {
        let least = own / gcd(own, other);
        scale = scale.checked_mul(least / gcd(scale, least))?.checked_abs()?;
    }
    let mut solution = Vector::from([(free, scale)]);
    for (pivot, own, other) in depend() {
        solution.insert(pivot, other.checked_mul(scale)?.checked_neg()?.checked_div(own)?);
    }
    Some(solution)
}

/// Takes a variable out of a row by another in which it stands. None if the numbers become too large.
fn without(row: &mut Vector, variable: usize, pivot: &Vector) -> Option<()> {
    let Some(own) = row.get(&variable).copied() else { return Some(()) };
    let by = pivot.get(&variable).copied()?;
    let common = gcd(own, by);
    let (own, by) = (own / common, by / common);
    let mut result = Vector::new();
    for (cell, value) in row.iter() {
        result.insert(*cell, value.checked_mul(by)?);
    }
    for (cell, value) in pivot {
        let taken = value.checked_mul(own)?;
        let entry = result.entry(*cell).or_default();
        *entry = entry.checked_sub(taken)?;
    }
    result.retain(|_, value| *value != 0);
    let common = result.values().fold(0, |common, value| gcd(common, *value));
    if 1 < common {
        result.values_mut().for_each(|value| *value /= common);
    }
    *row = result;
    Some(())
}

/// The greatest common divisor; 1 at least.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_of_four_can_turn_round() {
        // Rows and columns of a 2 × 2 table with fixed totals.
        let row = |cells: [usize; 2]| cells.into_iter().map(|cell| (cell, 1)).collect();
        let rows = vec![row([0, 1]), row([2, 3]), row([0, 2]), row([1, 3])];
        let found = null_space(&[0, 1, 2, 3], rows);
        assert_eq!(found, [Vector::from([(0, 1), (1, -1), (2, -1), (3, 1)])]);
        let fixed = vec![row([0, 1]), row([0, 2]), Vector::from([(1, 1)])];
        assert!(null_space(&[0, 1, 2], fixed).is_empty());
    }

    #[test]
    fn solutions_are_whole() {
        let rows = vec![Vector::from([(0, 2), (1, 3)]), Vector::from([(1, 5), (2, -7)])];
        let found = null_space(&[0, 1, 2], rows.clone());
        assert_eq!(found.len(), 1);
        for row in rows {
            let sum: i64 = row.iter().map(|(cell, by)| by * found[0].get(cell).copied().unwrap_or(0)).sum();
            assert_eq!(sum, 0);
        }
    }
}

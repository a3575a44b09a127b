//! In which order the rows of one call are taken: both ledgers take the same, because the sequence
//! numbers follow from it. Rows about which the same is said come together, bucket by bucket, so that the
//! store may treat them as one; what is said twice about a row keeps its order.

use std::cmp::Ordering;

use crate::{RowReport, SettleOutcome, SettleRow, parts::Name};

/// Rows that lie together in the store: their hash stays a listpack (128 entries by default).
pub(crate) const BUCKET_ROWS: u32 = 100;

/// The positions of `items` in the order in which they apply. `about` compares what is said about rows.
pub(crate) fn order<T>(
    items: &[T],
    row: impl Fn(&T) -> u32,
    about: impl Fn(&T, &T) -> Ordering,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    // Stable: and nothing to do for rows that come in order.
    order.sort_by_key(|at| row(&items[*at]));
    let pairs = || order.array_windows().map(|[a, b]| (&items[*a], &items[*b]));
    let is_repeated = pairs().any(|(a, b)| row(a) == row(b));
    let is_mixed = || pairs().any(|(a, b)| bucket(row(a)) == bucket(row(b)) && about(a, b).is_ne());
    if !is_repeated && is_mixed() {
        order.sort_by(|a, b| {
            let (a, b) = (&items[*a], &items[*b]);
            bucket(row(a))
                .cmp(&bucket(row(b)))
                .then_with(|| about(a, b))
        });
    }
    order
}

/// Compares what the holder of a claim says about two rows, but for their ids.
pub(crate) fn compare_outcomes(a: &SettleRow, b: &SettleRow) -> Ordering {
    let said = |what: &SettleRow| (outcome_code(what.outcome), what.parts);
    said(a).cmp(&said(b)).then_with(|| a.code.cmp(&b.code))
}

/// Compares what two receipts say, but for the rows' ids.
pub(crate) fn compare_reports(a: &RowReport, b: &RowReport) -> Ordering {
    let said = |report: &RowReport| {
        let part = report.part.as_ref();
        (
            report.state.code(),
            part.map(|part| (Name::of(&part.name), part.of)),
        )
    };
    said(a).cmp(&said(b)).then_with(|| a.code.cmp(&b.code))
}

/// An outcome as the scripts know it: a state's code, or one of two others.
pub(crate) const fn outcome_code(outcome: SettleOutcome) -> u8 {
    match outcome {
        SettleOutcome::State(state) => state.code(),
        SettleOutcome::Retry => 254,
        SettleOutcome::Release => 255,
    }
}

/// Which bucket a row is in.
pub(crate) const fn bucket(row: u32) -> u32 {
    row / BUCKET_ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(items: &[(u32, char)]) -> Vec<(u32, char)> {
        let order = order(items, |item| item.0, |a, b| a.1.cmp(&b.1));
        order.into_iter().map(|at| items[at]).collect()
    }

    #[test]
    fn rows_of_a_bucket_about_which_the_same_is_said_come_together() {
        assert_eq!(
            ordered(&[(205, 'b'), (7, 'b'), (5, 'a'), (6, 'b'), (8, 'a')]),
            [(5, 'a'), (8, 'a'), (6, 'b'), (7, 'b'), (205, 'b')]
        );
    }

    #[test]
    fn what_is_said_twice_about_a_row_keeps_its_order() {
        assert_eq!(
            ordered(&[(7, 'b'), (5, 'c'), (7, 'a'), (6, 'b')]),
            [(5, 'c'), (6, 'b'), (7, 'b'), (7, 'a')]
        );
    }
}

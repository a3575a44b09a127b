//! How rows become chunks. A chunk is what the connection sends in about the given seconds, counted
//! in segments, because that is what its limit is counted in.

use std::time::SystemTime;

use bus::{Outgoing, Route};
use ledger::BatchRecord;
use message::{
    Chunk, Timestamp,
    chunk::{CHUNK_ROWS_MAX, CHUNK_VERSION, ChunkRow, QUEUED_AT},
};

/// Cuts `rows` in order. A chunk has at least one row, so the slowest connection still sends; the
/// same rows and rate give the same chunks, so a batch that is finished later repeats names and
/// content exactly.
pub(crate) fn cut(
    rows: Vec<ChunkRow>,
    segments_per_second: f64,
    seconds_per_chunk: u16,
) -> Vec<Vec<ChunkRow>> {
    let budget = segments_per_second * f64::from(seconds_per_chunk);
    let mut chunks: Vec<Vec<ChunkRow>> = Vec::new();
    let (mut current, mut segments) = (Vec::new(), 0.0);
    for row in rows {
        let weight = f64::from(row.segments);
        let full = current.len() == CHUNK_ROWS_MAX || segments + weight > budget;
        if full && !current.is_empty() {
            chunks.push(std::mem::take(&mut current));
            segments = 0.0;
        }
        segments += weight;
        current.push(row);
    }
    if !current.is_empty() {
        chunks.push(current);
    }
    chunks
}

/// What every chunk of a batch has in common, beside its record.
pub(crate) struct Wrapping<'a> {
    pub(crate) record: &'a BatchRecord,
    pub(crate) text: &'a str,
    pub(crate) exempt_from_opt_out: bool,
    pub(crate) queue: &'a str,
}

impl Wrapping<'_> {
    /// One chunk on its way to the workers, named `<batch>-<first row>-a1`.
    pub(crate) fn wrap(&self, rows: Vec<ChunkRow>) -> Outgoing {
        let first = rows.first().map_or(0, |row| row.row);
        let chunk = Chunk {
            v: CHUNK_VERSION,
            organization_id: self.record.organization_id.clone(),
            distribution_id: self.record.distribution_id.clone(),
            batch_id: self.record.batch_id.clone(),
            batch: self.record.key,
            connection_id: self.record.connection_id.clone(),
            class: self.record.class,
            attempt: 1,
            text: self.text.to_owned(),
            expires_at: self.record.expires_at,
            exempt_from_opt_out: self.exempt_from_opt_out,
            rows,
        };
        let body = serde_json::to_vec(&chunk).expect("a chunk is made of JSON values only");
        let name = format!("{}-{first}-a1", self.record.key);
        let now = Timestamp::from(SystemTime::now());
        Outgoing::new(Route::Queue(self.queue.to_owned()), name, body)
            .with_header(QUEUED_AT, now.as_millis().to_string())
    }
}

#[cfg(test)]
mod tests {
    use message::{Fields, Msisdn};
    use proptest::prelude::*;

    use super::*;

    fn rows(segments: &[u8]) -> Vec<ChunkRow> {
        (0..)
            .zip(segments)
            .map(|(row, segments)| ChunkRow {
                row,
                to: Msisdn::parse("+33639980001").expect("a number"),
                segments: *segments,
                fields: Fields::new(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_chunk_and_every_chunk_is_within_its_bounds(
            segments in prop::collection::vec(1u8..=10, 0..2_000),
            per_second in prop::sample::select(vec![0.01, 0.5, 1.0, 7.3, 40.0, 100.0, 5_000.0, 1e12]),
            seconds in 1u16..=60,
        ) {
            let chunks = cut(rows(&segments), per_second, seconds);
            let all: Vec<u32> = chunks.iter().flatten().map(|row| row.row).collect();
            let rows_in = u32::try_from(segments.len()).expect("few rows");
            prop_assert_eq!(all, (0..rows_in).collect::<Vec<_>>());
            let budget = per_second * f64::from(seconds);
            let weight = |chunk: &[ChunkRow]| -> f64 {
                chunk.iter().map(|row| f64::from(row.segments)).sum()
            };
            for chunk in &chunks {
                prop_assert!((1..=CHUNK_ROWS_MAX).contains(&chunk.len()));
                prop_assert!(chunk.len() == 1 || weight(chunk) <= budget);
            }
            // No chunk could have taken the first row of the next one.
            for pair in chunks.windows(2) {
                let next = f64::from(pair[1][0].segments);
                prop_assert!(pair[0].len() == CHUNK_ROWS_MAX || weight(&pair[0]) + next > budget);
            }
        }
    }

    #[test]
    fn a_connection_without_a_sensible_rate_still_gets_chunks() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let chunks = cut(rows(&[1; 600]), rate, 5);
            assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 600);
        }
    }
}

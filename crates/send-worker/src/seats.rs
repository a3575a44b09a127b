//! Which workers serve a connection. A slow one is served by few, so that its chunks are not parked
//! in many hands: each worker would hold some, and a rate that one could keep up with would be spread
//! over holds of minutes.
//!
//! Nobody hands seats out. Every worker says in the ledger, once a second, that it is there, and
//! learns who else is; from that all of them compute the same order of workers for each connection,
//! and the first ones have its seats. A worker that dies is missing from the next list after its
//! lease, and those after it in the order move up; one that drains says so and is missing at once. A
//! worker more or less moves only the seats that it has. While two workers have different lists, a
//! connection may have a seat too many or too few for a moment: that costs some seconds, never a
//! message, because the claims decide who sends.

use message::ConnectionId;

/// Seats of a connection: as many workers as its rate needs.
pub(crate) fn seats(segments_per_second: f64, segments_per_seat: u32) -> usize {
    let seats = segments_per_second / f64::from(segments_per_seat.max(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range first"
    )]
    let seats = seats.ceil().clamp(1.0, 10_000.0) as usize;
    seats.max(1) // no number at all is one too
}

/// Whether `me` has one of the `seats` of `connection`, if these `workers` are there. Whoever is not
/// on the list any more is treated as if it were: it is asked for what it knows itself.
pub(crate) fn is_seated(
    me: &str,
    connection: &ConnectionId,
    workers: &[String],
    seats: usize,
) -> bool {
    if seats >= workers.len() {
        return true;
    }
    let mine = (score(connection, me), me);
    let before_me = workers
        .iter()
        .filter(|worker| *worker != me)
        .filter(|worker| (score(connection, worker), worker.as_str()) > mine)
        .count();
    before_me < seats
}

/// How much a worker is drawn to a connection: the same on every machine and in every version,
/// which the standard library's hashes do not promise. FNV-1a, stirred at the end.
fn score(connection: &ConnectionId, worker: &str) -> u64 {
    let bytes = connection.as_str().bytes().chain([0]).chain(worker.bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(names: std::ops::Range<u32>) -> Vec<String> {
        names.map(|n| format!("w-{n}")).collect()
    }

    fn connection(n: u32) -> ConnectionId {
        ConnectionId::new(&format!("con-{n}")).expect("valid")
    }

    fn seated(connection: &ConnectionId, workers: &[String], seats: usize) -> Vec<String> {
        let has_one = |me: &&String| is_seated(me, connection, workers, seats);
        workers.iter().filter(has_one).cloned().collect()
    }

    #[test]
    fn a_rate_has_as_many_seats_as_it_needs() {
        for (rate, expected) in [
            (0.1, 1),
            (50.0, 1),
            (50.1, 2),
            (1_000.0, 20),
            (f64::MAX, 10_000),
            (f64::NAN, 1),
        ] {
            assert_eq!(seats(rate, 50), expected, "{rate}");
        }
        assert_eq!(seats(10.0, 0), 10);
    }

    #[test]
    fn every_connection_has_its_seats_and_they_are_spread_evenly() {
        let workers = workers(0..8);
        let mut held = vec![0; workers.len()];
        for n in 0..2_000 {
            for seats in [1, 3] {
                assert_eq!(seated(&connection(n), &workers, seats).len(), seats);
            }
            let one = &seated(&connection(n), &workers, 1)[0];
            held[workers
                .iter()
                .position(|it| it == one)
                .expect("one of them")] += 1;
        }
        assert!(
            held.iter().all(|held| (180..=320).contains(held)),
            "{held:?}"
        );
        assert_eq!(seated(&connection(0), &workers, 9).len(), 8);
    }

    #[test]
    fn a_worker_more_or_less_moves_only_its_own_seats() {
        let (before, after) = (workers(0..8), workers(0..9));
        let mut moved = 0;
        for n in 0..1_000 {
            let was = seated(&connection(n), &before, 1);
            let is = seated(&connection(n), &after, 1);
            if was != is {
                assert_eq!(is, ["w-8"]);
                moved += 1;
            }
        }
        assert!((60..=170).contains(&moved), "{moved} of 1,000 moved");
    }

    #[test]
    fn who_is_missing_from_the_list_believes_that_it_is_there() {
        let others = workers(0..3);
        let alone = (0..100).filter(|n| is_seated("me", &connection(*n), &others, 1));
        assert!((5..60).contains(&alone.count()));
        assert!(is_seated("me", &connection(0), &[], 1));
    }
}

//! Limits: one cell each, on the store's clock.

use std::collections::BTreeMap;

use super::{RedisLedger, batches::decimal};
use crate::{
    Lease, LeaseRequest, LedgerError, LimitScope, LimitState, ThrottleReport, limit::Slice,
};

/// Asks limits of one group in one call; groups lie in slots of their own and are asked side by
/// side.
pub(super) async fn lease(
    ledger: &RedisLedger,
    asked: &[LeaseRequest],
) -> Result<Vec<Lease>, LedgerError> {
    let mut groups = BTreeMap::<&str, Vec<usize>>::new();
    for (place, request) in asked.iter().enumerate() {
        groups.entry(&request.scope.group).or_default().push(place);
    }
    let calls = groups.values().map(|places| async move {
        let keys: Vec<String> = places
            .iter()
            .map(|place| ledger.keys.limit(&asked[*place].scope))
            .collect();
        let args: Vec<Vec<u8>> = places
            .iter()
            .flat_map(|place| args_of(&asked[*place]))
            .collect();
        let answers: Vec<Vec<String>> = ledger
            .link
            .script(&ledger.scripts.lease, &keys, &args)
            .await?;
        Ok::<_, LedgerError>((places, answers))
    });
    let mut leases = vec![Lease::default(); asked.len()];
    for answered in futures_util::future::try_join_all(calls).await? {
        let (places, answers) = answered;
        for (place, answer) in places.iter().zip(answers) {
            leases[*place] = read_lease(&answer).ok_or_else(|| damaged(&asked[*place].scope))?;
        }
    }
    Ok(leases)
}

pub(super) async fn throttled(
    ledger: &RedisLedger,
    report: &ThrottleReport,
) -> Result<LimitState, LedgerError> {
    let args = [
        report.per_second.to_string().into(),
        decimal(report.throttled.into()),
        decimal(report.answers.into()),
        decimal(report.hold_millis.saturating_mul(1_000)),
    ];
    let keys = [ledger.keys.limit(&report.scope)];
    let answer: Vec<String> = ledger
        .link
        .script(&ledger.scripts.throttled, &keys, &args)
        .await?;
    read_state(&answer).ok_or_else(|| damaged(&report.scope))
}

pub(super) async fn set(
    ledger: &RedisLedger,
    scope: &LimitScope,
    per_second: Option<f64>,
) -> Result<(), LedgerError> {
    let rate = per_second.map(|rate| rate.to_string()).unwrap_or_default();
    let keys = [ledger.keys.limit(scope)];
    ledger
        .link
        .script(&ledger.scripts.set_limit, &keys, &[rate])
        .await
}

pub(super) async fn state(
    ledger: &RedisLedger,
    scope: &LimitScope,
    per_second: f64,
) -> Result<LimitState, LedgerError> {
    let keys = [ledger.keys.limit(scope)];
    let args = [per_second.to_string()];
    let answer: Vec<String> = ledger
        .link
        .script(&ledger.scripts.limit, &keys, &args)
        .await?;
    read_state(&answer).ok_or_else(|| damaged(scope))
}

fn args_of(request: &LeaseRequest) -> [Vec<u8>; 3] {
    [
        request.per_second.to_string().into(),
        decimal(request.want.into()),
        decimal(request.least.into()),
    ]
}

fn read_lease(answer: &[String]) -> Option<Lease> {
    let [wait, per_second, configured, interval, slices @ ..] = answer else {
        return None;
    };
    let slices = slices.chunks(2).map(|slice| {
        Some(Slice {
            starts_in_micros: slice.first()?.parse().ok()?,
            tokens: slice.get(1)?.parse().ok()?,
        })
    });
    Some(Lease {
        slices: slices.collect::<Option<_>>()?,
        interval_micros: interval.parse().ok()?,
        per_second: per_second.parse().ok()?,
        configured: configured.parse().ok()?,
        retry_after_micros: wait.parse().ok()?,
    })
}

fn read_state(answer: &[String]) -> Option<LimitState> {
    let [set, configured, per_second, held, quiet, cut] = answer else {
        return None;
    };
    let set = match set.as_str() {
        "" => None,
        rate => Some(rate.parse().ok()?),
    };
    Some(LimitState {
        set,
        configured: configured.parse().ok()?,
        per_second: per_second.parse().ok()?,
        held_for_micros: held.parse().ok()?,
        quiet_for_micros: quiet.parse().ok()?,
        cut: cut == "1",
    })
}

fn damaged(scope: &LimitScope) -> LedgerError {
    LedgerError::Damaged {
        place: format!("limit {} of {}", kind(scope), scope.group),
        why: "its script answered something else".into(),
    }
}

/// What kind of limit it is: its whole name may hold a number.
fn kind(scope: &LimitScope) -> &str {
    scope.name.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gcra::{Answers, Ask, Cell};

    /// The scripts with a clock that the test sets, in place of the store's.
    const CLOCK: &str = "local now_micros = tonumber(table.remove(ARGV))\n";
    const LEASE: &str = concat!(include_str!("lua/cell.lua"), include_str!("lua/lease.lua"));
    const THROTTLED: &str = concat!(
        include_str!("lua/cell.lua"),
        include_str!("lua/throttled.lua")
    );
    const SET: &str = concat!(
        include_str!("lua/cell.lua"),
        include_str!("lua/set_limit.lua")
    );

    async fn eval<T: redis::FromRedisValue>(
        connection: &mut redis::aio::MultiplexedConnection,
        code: &str,
        key: &str,
        args: &[String],
        now: u64,
    ) -> T {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(format!("{CLOCK}{code}"))
            .arg(1)
            .arg(key)
            .arg(args)
            .arg(now);
        cmd.query_async(connection).await.expect("the script runs")
    }

    #[tokio::test]
    async fn the_scripts_and_the_rule_agree_about_every_step() {
        let Ok(url) = std::env::var("SMSFLEET_REDIS_URL") else {
            let required = std::env::var("SMSFLEET_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
            assert!(!required, "SMSFLEET_REDIS_URL is not set");
            println!("skipped: SMSFLEET_REDIS_URL is not set");
            return;
        };
        let client = redis::Client::open(url).expect("a URL");
        let mut connection = client
            .get_multiplexed_async_connection()
            .await
            .expect("Redis answers");
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..40 {
            let key = format!("test:{{gcra}}:{:x}", random.u64(..));
            let mut cell = Cell::default();
            let mut now = 1_780_000_000_000_000;
            let mut rate = 10f64.powf(random.f64() * 5.0 - 0.5);
            for _ in 0..50 {
                now += match random.u32(0..20) {
                    0 => 3_600_000_000,
                    _ => random.u64(0..200_000),
                };
                if random.u32(0..100) == 0 {
                    now -= 1_000_000_000;
                }
                match random.u32(0..10) {
                    0 => {
                        let set = random.bool().then(|| random.f64() * 3_000.0);
                        cell.set(set);
                        let arg = set.map(|rate| rate.to_string()).unwrap_or_default();
                        let _: i64 = eval(&mut connection, SET, &key, &[arg], now).await;
                    }
                    1 | 2 => {
                        let answers = Answers {
                            throttled: random.u32(0..4),
                            of: random.u32(0..40),
                            hold_micros: random.u64(0..3).saturating_sub(1) * 700_000,
                        };
                        let expected = cell.throttled(now, rate, answers);
                        let args = [
                            rate.to_string(),
                            answers.throttled.to_string(),
                            answers.of.to_string(),
                            answers.hold_micros.to_string(),
                        ];
                        let answer: Vec<String> =
                            eval(&mut connection, THROTTLED, &key, &args, now).await;
                        assert_eq!(read_state(&answer), Some(expected));
                    }
                    _ => {
                        if random.u32(0..15) == 0 {
                            rate *= 0.5 + random.f64();
                        }
                        let ask = Ask {
                            per_second: rate,
                            want: random.u32(1..200),
                            least: random.u32(0..8),
                        };
                        let expected = cell.lease(now, ask);
                        let args = [
                            ask.per_second.to_string(),
                            ask.want.to_string(),
                            ask.least.to_string(),
                        ];
                        let answer: Vec<Vec<String>> =
                            eval(&mut connection, LEASE, &key, &args, now).await;
                        assert_eq!(read_lease(&answer[0]), Some(expected));
                    }
                }
            }
            let _: i64 = redis::cmd("DEL")
                .arg(&key)
                .query_async(&mut connection)
                .await
                .expect("deleted");
        }
    }
}

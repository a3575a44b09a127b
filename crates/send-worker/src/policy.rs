//! What an outcome means for its message. Pure: the table test is the retry documentation.

use std::time::Duration;

use bus::RetryTier;
use ledger::SettleOutcome;
use message::{MessageState, Reference, Timestamp};
use providers::SubmitClass;

use crate::request::Fate;

/// What to do with one row after its submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What the ledger shall write.
    pub(crate) settle: SettleOutcome,
    /// The code it shall keep.
    pub(crate) code: String,
    /// What happens next.
    pub(crate) then: Then,
}

/// What happens to a row after it was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: receipts will tell.
    Done,
    /// Another attempt, which counts.
    RetryAfter(RetryTier),
    /// The same attempt again, not before that much time has passed.
    ComeBackAfter(Duration),
    /// A dead letter with this reason.
    Dead(&'static str),
}

/// How the fate of attempt `attempt` of `attempts_max` is carried on.
pub(crate) fn decide(
    fate: &Fate,
    reference: Reference,
    attempt: u8,
    attempts_max: u8,
    expires_at: Timestamp,
    now: Timestamp,
    rest: Duration,
) -> Verdict {
    let verdict = |settle, code: &str, then| Verdict {
        settle,
        code: code.to_owned(),
        then,
    };
    let state = SettleOutcome::State;
    let outcome = match fate {
        Fate::Answered(outcome) => outcome,
        Fate::OptedOut => {
            return verdict(state(MessageState::Suppressed), OPTED_OUT, Then::Done);
        }
        Fate::NotLetGo => {
            let then = Then::ComeBackAfter(Duration::ZERO);
            return verdict(SettleOutcome::Release, "", then);
        }
    };
    let code = outcome.code.as_str();
    match outcome.class {
        // A code beside an acceptance is a word for people: a repetition that was recognised.
        SubmitClass::Accepted => verdict(state(MessageState::Accepted), "", Then::Done),
        SubmitClass::Rejected(reason) => {
            let code = if code.is_empty() {
                reason.as_str()
            } else {
                code
            };
            verdict(state(MessageState::Rejected), code, Then::Done)
        }
        SubmitClass::InDoubt { partial } => {
            let code = if partial { PARTIAL } else { code };
            verdict(state(MessageState::InDoubt), code, Then::Done)
        }
        SubmitClass::Throttled { .. } | SubmitClass::AccountRefused => {
            verdict(SettleOutcome::Release, code, Then::ComeBackAfter(rest))
        }
        SubmitClass::Transient => {
            let tier = retry_tier(reference, attempt);
            if attempt >= attempts_max {
                let code = format!("{ATTEMPTS_EXHAUSTED}:{code}");
                verdict(
                    state(MessageState::Failed),
                    &code,
                    Then::Dead(ATTEMPTS_EXHAUSTED),
                )
            } else if now.plus(tier.delay()) >= expires_at {
                verdict(
                    state(MessageState::ExpiredBeforeSend),
                    code,
                    Then::Dead(EXPIRED),
                )
            } else {
                verdict(SettleOutcome::Retry, code, Then::RetryAfter(tier))
            }
        }
    }
}

/// The code of rows that were not sent because their recipient had opted out.
pub(crate) const OPTED_OUT: &str = "opted_out";

/// The code of a doubt of which some parts are known to have been taken.
const PARTIAL: &str = "partial";

/// The reason of a dead letter, and the start of its rows' code.
pub(crate) const ATTEMPTS_EXHAUSTED: &str = "attempts_exhausted";

/// The reason of a dead letter.
pub(crate) const EXPIRED: &str = "expired";

/// The wait after attempt `attempt`: a tier further each time, and for half of the messages one
/// more, so that what failed together does not come back together. A pure function of the
/// message's name, so that a redelivered chunk decides the same.
pub(crate) fn retry_tier(reference: Reference, attempt: u8) -> RetryTier {
    let mixed =
        (reference.batch.as_u64() ^ u64::from(reference.row)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let jitter = usize::try_from(mixed >> 63).unwrap_or(0);
    let step = usize::from(attempt.saturating_sub(1)) + jitter;
    RetryTier::ALL[step.min(RetryTier::ALL.len() - 1)]
}

#[cfg(test)]
mod tests {
    use message::BatchKey;
    use providers::{RejectReason, SubmitOutcome};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LATER: Timestamp = Timestamp::from_millis(100_000_000);

    fn then(fate: &Fate, attempt: u8, expires_at: Timestamp) -> (SettleOutcome, Then) {
        let reference = Reference {
            batch: BatchKey::from_u64(1),
            row: 0,
        };
        let verdict = decide(
            fate,
            reference,
            attempt,
            8,
            expires_at,
            NOW,
            Duration::from_secs(2),
        );
        (verdict.settle, verdict.then)
    }

    #[test]
    fn each_outcome_has_one_way_on() {
        use MessageState as S;
        use SettleOutcome::{Release, Retry, State};
        let answered = |class, code: &str| Fate::Answered(SubmitOutcome::new(class, code));
        let transient = answered(SubmitClass::Transient, "connect");
        let cases = [
            (
                answered(SubmitClass::Accepted, ""),
                1,
                State(S::Accepted),
                Then::Done,
            ),
            (
                answered(SubmitClass::Rejected(RejectReason::BadSender), "21606"),
                1,
                State(S::Rejected),
                Then::Done,
            ),
            (
                answered(SubmitClass::DOUBT, "timeout"),
                1,
                State(S::InDoubt),
                Then::Done,
            ),
            (
                answered(SubmitClass::InDoubt { partial: true }, ""),
                1,
                State(S::InDoubt),
                Then::Done,
            ),
            (Fate::OptedOut, 1, State(S::Suppressed), Then::Done),
            (
                Fate::NotLetGo,
                8,
                Release,
                Then::ComeBackAfter(Duration::ZERO),
            ),
            (
                answered(SubmitClass::Throttled { retry_after: None }, "20429"),
                8,
                Release,
                Then::ComeBackAfter(Duration::from_secs(2)),
            ),
            (
                answered(SubmitClass::AccountRefused, "20003"),
                8,
                Release,
                Then::ComeBackAfter(Duration::from_secs(2)),
            ),
            (
                transient.clone(),
                1,
                Retry,
                Then::RetryAfter(RetryTier::S15),
            ),
            (transient.clone(), 7, Retry, Then::RetryAfter(RetryTier::H1)),
            (
                transient.clone(),
                8,
                State(S::Failed),
                Then::Dead(ATTEMPTS_EXHAUSTED),
            ),
        ];
        for (fate, attempt, settle, then_) in cases {
            assert_eq!(
                then(&fate, attempt, LATER),
                (settle, then_),
                "{fate:?} at attempt {attempt}"
            );
        }
        let soon = NOW.plus(Duration::from_secs(3));
        assert_eq!(
            then(&transient, 1, soon),
            (State(S::ExpiredBeforeSend), Then::Dead(EXPIRED))
        );
    }

    #[test]
    fn half_of_what_failed_together_comes_back_later_than_the_rest() {
        let batch = BatchKey::from_u64(7);
        let later = (0..1000)
            .filter(|row| retry_tier(Reference { batch, row: *row }, 1) == RetryTier::S15)
            .count();
        assert!((400..600).contains(&later), "{later}");
    }
}

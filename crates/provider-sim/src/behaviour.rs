//! How a twin behaves: how long it takes, how often it misbehaves, what becomes of a message, who replies.
//!
//! Everything here may change while the twin runs. A message keeps the plan that was made when it was accepted.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// The behaviour of a twin. Rates are shares between 0 and 1.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwinBehaviour {
    /// Decides everything that is left to chance. The same seed and the same messages give the same run.
    pub seed: u64,
    /// Time from the request's arrival to the answer. The message is taken at arrival, so that a client which gives up
    /// waiting has really sent it.
    #[serde(with = "humantime_serde")]
    pub latency: Duration,
    /// Added to `latency`: between nothing and this.
    #[serde(with = "humantime_serde")]
    pub latency_jitter: Duration,
    /// Time from acceptance to the final receipt; `sent` comes after three tenths of it.
    #[serde(with = "humantime_serde")]
    pub receipt_delay: Duration,
    /// Added to `receipt_delay`: between nothing and this.
    #[serde(with = "humantime_serde")]
    pub receipt_jitter: Duration,
    /// Messages that the carrier could not deliver.
    pub undelivered_rate: f64,
    /// Messages that were accepted and then never sent.
    pub failed_rate: f64,
    /// Receipts that are posted twice.
    pub duplicate_receipt_rate: f64,
    /// Messages whose final receipt comes before `sent`.
    pub reorder_rate: f64,
    /// Receipts that are never posted, though the status changes.
    pub lose_receipt_rate: f64,
    /// Requests that go wrong.
    pub fault_rates: FaultRates,
    /// Who writes back.
    pub replies: ReplyScript,
    /// How callbacks are signed.
    pub signature: SignatureVariant,
    /// Between two attempts of a callback that was not taken; the first pause, where the provider's pauses grow. Real
    /// ones last seconds to hours, which no test waits for.
    #[serde(with = "humantime_serde")]
    pub callback_retry_pause: Duration,
}

impl Default for TwinBehaviour {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Duration::ZERO,
            latency_jitter: Duration::ZERO,
            receipt_delay: Duration::from_millis(500),
            receipt_jitter: Duration::from_millis(500),
            undelivered_rate: 0.0,
            failed_rate: 0.0,
            duplicate_receipt_rate: 0.0,
            reorder_rate: 0.0,
            lose_receipt_rate: 0.0,
            fault_rates: FaultRates::default(),
            replies: ReplyScript::default(),
            signature: SignatureVariant::default(),
            callback_retry_pause: Duration::from_millis(200),
        }
    }
}

impl TwinBehaviour {
    /// Checks that shares are shares, and that those of one choice leave something over.
    ///
    /// # Errors
    /// Names the setting and its value.
    pub fn check(&self) -> anyhow::Result<()> {
        let faults = &self.fault_rates;
        let replies = &self.replies;
        for (name, rate) in [
            ("undelivered_rate", self.undelivered_rate),
            ("failed_rate", self.failed_rate),
            (
                "undelivered_rate + failed_rate",
                self.undelivered_rate + self.failed_rate,
            ),
            ("duplicate_receipt_rate", self.duplicate_receipt_rate),
            ("reorder_rate", self.reorder_rate),
            ("lose_receipt_rate", self.lose_receipt_rate),
            ("fault_rates.http_500", faults.http_500),
            ("fault_rates.http_500_but_taken", faults.http_500_but_taken),
            ("fault_rates.hang", faults.hang),
            ("fault_rates.reset", faults.reset),
            ("fault_rates.throttle_429", faults.throttle_429),
            ("fault_rates.transient_503", faults.transient_503),
            ("the sum of fault_rates", faults.sum()),
            ("fault_rates.taken_share", faults.taken_share),
            ("replies.stop.fraction", replies.stop.fraction),
            ("replies.start.fraction", replies.start.fraction),
            ("replies.help.fraction", replies.help.fraction),
            ("replies.text.fraction", replies.text.fraction),
        ] {
            ensure!(
                (0.0..=1.0).contains(&rate),
                "behaviour: {name} is {rate}, not a share between 0 and 1"
            );
        }
        Ok(())
    }
}

/// Shares of the send requests that go wrong, decided by a request's first message and its attempt, so that a retry has a
/// new chance. What is taken is every message of the request that is valid.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultRates {
    /// Answered 500; the message was not taken. The client cannot know.
    pub http_500: f64,
    /// Answered 500, though the message was taken and will be delivered.
    pub http_500_but_taken: f64,
    /// Never answered.
    pub hang: f64,
    /// The connection is reset instead of an answer.
    pub reset: f64,
    /// Answered 429 although no limit is reached. Certainly not taken.
    pub throttle_429: f64,
    /// Answered 503; not taken.
    pub transient_503: f64,
    /// Of the requests that hang or are reset: the share whose message was taken all the same.
    pub taken_share: f64,
}

impl Default for FaultRates {
    fn default() -> Self {
        Self {
            http_500: 0.0,
            http_500_but_taken: 0.0,
            hang: 0.0,
            reset: 0.0,
            throttle_429: 0.0,
            transient_503: 0.0,
            taken_share: 0.5,
        }
    }
}

impl FaultRates {
    /// All shares that exclude each other, added.
    pub(crate) fn sum(&self) -> f64 {
        self.http_500
            + self.http_500_but_taken
            + self.hang
            + self.reset
            + self.throttle_429
            + self.transient_503
    }
}

/// What people write back after a message was delivered to them. At most one reply to a message; the kinds are asked in
/// the order of the fields.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplyScript {
    /// Time from the delivery to the reply.
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// Opt-outs.
    pub stop: Replies,
    /// Opt-ins.
    pub start: Replies,
    /// Requests for help.
    pub help: Replies,
    /// Everything else, accents and emoji included.
    pub text: Replies,
}

/// How many people reply in one way.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replies {
    /// Share of the delivered messages. With a `count` it only spreads those replies over the run, and 0 means all.
    pub fraction: f64,
    /// Exactly this many, as long as enough messages of the fraction are delivered.
    pub count: Option<u64>,
    /// The texts to choose from. Empty: the twin's own for this kind.
    pub words: Vec<String>,
}

/// How the callbacks are signed, or authenticated where the provider signs nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureVariant {
    /// The provider's default, with the account's own secret.
    #[default]
    AccountSecret,
    /// Made with a wrong secret: what a stranger, or a rotated token, looks like.
    Forged,
    /// No signature at all.
    Missing,
    /// Another way of the provider to sign, by the twin's word for it; a twin refuses a word that it does not know.
    Variant(String),
}

impl SignatureVariant {
    /// The twin's own variant of this word.
    pub fn variant(word: &str) -> Self {
        Self::Variant(word.to_owned())
    }
}

/// The behaviour of a running twin.
#[derive(Debug)]
pub struct LiveBehaviour {
    now: RwLock<Arc<TwinBehaviour>>,
    /// The words of [`SignatureVariant::Variant`] that the twin knows.
    signatures: &'static [&'static str],
}

impl LiveBehaviour {
    pub(crate) fn new(
        behaviour: TwinBehaviour,
        signatures: &'static [&'static str],
    ) -> anyhow::Result<Self> {
        let live = Self {
            now: RwLock::default(),
            signatures,
        };
        live.set(behaviour)?;
        Ok(live)
    }

    /// The behaviour at this moment.
    pub fn get(&self) -> Arc<TwinBehaviour> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the behaviour from the next request on.
    ///
    /// # Errors
    /// See [`TwinBehaviour::check`], or the twin knows no such signature; then nothing changes.
    pub fn set(&self, behaviour: TwinBehaviour) -> anyhow::Result<()> {
        behaviour.check()?;
        if let SignatureVariant::Variant(word) = &behaviour.signature {
            ensure!(
                self.signatures.contains(&word.as_str()),
                "behaviour: signature has no variant {word:?}; this twin has {:?}",
                self.signatures
            );
        }
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(behaviour);
        Ok(())
    }

    /// Changes some of the behaviour from the next request on.
    ///
    /// # Errors
    /// As [`LiveBehaviour::set`].
    pub fn change(&self, edit: impl FnOnce(&mut TwinBehaviour)) -> anyhow::Result<()> {
        let mut behaviour = (*self.get()).clone();
        edit(&mut behaviour);
        self.set(behaviour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> LiveBehaviour {
        LiveBehaviour::new(TwinBehaviour::default(), &["explicit_port"])
            .expect("the default is consistent")
    }

    #[test]
    fn a_rate_that_is_no_share_is_refused_and_changes_nothing() {
        let live = live();
        assert!(live.change(|b| b.failed_rate = 1.5).is_err());
        assert!(live.change(|b| b.reorder_rate = f64::NAN).is_err());
        let both = live.change(|b| (b.failed_rate, b.undelivered_rate) = (0.6, 0.6));
        assert!(both.is_err(), "more messages end badly than there are");
        assert_eq!(*live.get(), TwinBehaviour::default());
    }

    #[test]
    fn a_signature_that_the_twin_does_not_know_is_refused() {
        let live = live();
        let own = SignatureVariant::variant("explicit_port");
        live.change(|b| b.signature = own.clone())
            .expect("the twin knows this one");
        let error = live
            .change(|b| b.signature = SignatureVariant::variant("explicit_prot"))
            .expect_err("misspelt");
        assert!(error.to_string().contains("explicit_prot"), "{error}");
        assert_eq!(live.get().signature, own);
    }

    #[test]
    fn the_behaviour_survives_a_round_through_json() {
        let behaviour = TwinBehaviour {
            signature: SignatureVariant::variant("body_hash"),
            ..TwinBehaviour::default()
        };
        let json = serde_json::to_string(&behaviour).expect("it is plain data");
        let back: TwinBehaviour = serde_json::from_str(&json).expect("it is its own output");
        assert_eq!(back, behaviour);
    }
}

//! Which fault, if any, a send request meets.

use crate::behaviour::FaultRates;
use crate::chance::{Dice, Subject};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// A 500; the message was taken or not.
    Error500 {
        /// Whether the message was taken.
        taken: bool,
    },
    /// No answer.
    Hang {
        /// Whether the message was taken.
        taken: bool,
    },
    /// A reset connection.
    Reset {
        /// Whether the message was taken.
        taken: bool,
    },
    /// A 429 without a cause.
    Throttle,
    /// A 503.
    Unavailable,
}

impl Fault {
    /// The fault of this attempt. Shares lie end to end on one roll, so they exclude each other and add up exactly.
    pub fn of(rates: &FaultRates, dice: Dice, subject: Subject<'_>) -> Option<Self> {
        if rates.sum() <= 0.0 {
            return None;
        }
        let taken = dice.roll("fault is taken", subject) < rates.taken_share;
        let mut left = dice.roll("fault", subject);
        for (rate, fault) in [
            (rates.http_500, Self::Error500 { taken: false }),
            (rates.http_500_but_taken, Self::Error500 { taken: true }),
            (rates.hang, Self::Hang { taken }),
            (rates.reset, Self::Reset { taken }),
            (rates.throttle_429, Self::Throttle),
            (rates.transient_503, Self::Unavailable),
        ] {
            if left < rate {
                return Some(fault);
            }
            left -= rate;
        }
        None
    }

    /// Whether the message is processed although the answer will not say so.
    pub fn takes_the_message(self) -> bool {
        match self {
            Self::Error500 { taken } | Self::Hang { taken } | Self::Reset { taken } => taken,
            Self::Throttle | Self::Unavailable => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rates: &FaultRates, turn: u32, wanted: impl Fn(Option<Fault>) -> bool) -> usize {
        (0..20_000)
            .filter(|n| {
                let subject = Subject {
                    recipient: 33_639_980_000 + n,
                    reference: "",
                    turn,
                };
                wanted(Fault::of(rates, Dice(3), subject))
            })
            .count()
    }

    #[test]
    fn every_share_is_met_and_the_rest_is_spared() {
        let rates = FaultRates {
            http_500: 0.1,
            http_500_but_taken: 0.1,
            hang: 0.1,
            reset: 0.1,
            throttle_429: 0.1,
            transient_503: 0.1,
            taken_share: 0.5,
        };
        let about = |share: f64, found: usize| {
            let wanted = share * 20_000.0;
            assert!(
                (found as f64 - wanted).abs() < 200.0,
                "{found} rather than {wanted}"
            );
        };
        about(
            0.1,
            count(&rates, 1, |f| f == Some(Fault::Error500 { taken: true })),
        );
        about(
            0.05,
            count(&rates, 1, |f| f == Some(Fault::Hang { taken: true })),
        );
        about(
            0.05,
            count(&rates, 1, |f| f == Some(Fault::Reset { taken: false })),
        );
        about(0.1, count(&rates, 1, |f| f == Some(Fault::Unavailable)));
        about(0.4, count(&rates, 1, |f| f.is_none()));
    }

    #[test]
    fn another_attempt_has_another_chance() {
        let rates = FaultRates {
            transient_503: 0.5,
            ..FaultRates::default()
        };
        let both = (0..20_000)
            .filter(|n| {
                (1..=2).all(|turn| {
                    let subject = Subject {
                        recipient: 33_639_980_000 + n,
                        reference: "",
                        turn,
                    };
                    Fault::of(&rates, Dice(3), subject).is_some()
                })
            })
            .count();
        assert!(
            (4_600..5_400).contains(&both),
            "{both} of 20,000 failed twice"
        );
    }
}

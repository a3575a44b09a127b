//! The states of a message and the order in which they outrank each other. A row's state is the
//! join of everything that was ever reported about it, so order and repetition do not matter.

use serde::{Deserialize, Serialize};

/// Where a message is. Codes are stored: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum MessageState {
    /// Waits for its first or its next attempt.
    Queued = 0,
    /// Claimed: a request may be on its way.
    Sending = 1,
    /// A request left and nobody can say whether it was taken.
    InDoubt = 2,
    /// Taken by the provider.
    Accepted = 3,
    /// Passed on to the carrier, says a receipt.
    Sent = 4,
    /// Refused for good by the provider's answer.
    Rejected = 5,
    /// Its validity ended at the provider or carrier, says a receipt.
    Expired = 6,
    /// Could not be delivered, says a receipt.
    Undelivered = 7,
    /// Failed for good: says a receipt, or the last attempt.
    Failed = 8,
    /// On the handset, says a receipt.
    Delivered = 9,
    /// Never handed over: the recipient opted out.
    Suppressed = 16,
    /// Never handed over: refused by intake.
    Invalid = 17,
    /// Never handed over: the distribution was cancelled.
    Cancelled = 18,
    /// Never handed over: its time was over first.
    ExpiredBeforeSend = 19,
}

impl MessageState {
    /// Every state, in the order of the codes.
    pub const ALL: [Self; 14] = [
        Self::Queued,
        Self::Sending,
        Self::InDoubt,
        Self::Accepted,
        Self::Sent,
        Self::Rejected,
        Self::Expired,
        Self::Undelivered,
        Self::Failed,
        Self::Delivered,
        Self::Suppressed,
        Self::Invalid,
        Self::Cancelled,
        Self::ExpiredBeforeSend,
    ];

    /// The stored code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Back from [`Self::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The name on the wire, in metrics and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::InDoubt => "in_doubt",
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Suppressed => "suppressed",
            Self::Invalid => "invalid",
            Self::Cancelled => "cancelled",
            Self::ExpiredBeforeSend => "expired_before_send",
        }
    }

    /// Whether the message has an end that the books may count as one. A later receipt can still
    /// improve it (`undelivered` becomes `delivered`), never take it back into flight.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Sending | Self::InDoubt | Self::Accepted | Self::Sent
        )
    }

    /// Whether the message was refused, stopped or withdrawn before any request left.
    #[must_use]
    pub const fn never_handed_over(self) -> bool {
        matches!(
            self,
            Self::Suppressed | Self::Invalid | Self::Cancelled | Self::ExpiredBeforeSend
        )
    }

    /// How much a state says: the higher rank wins a merge. `undelivered` and `failed` say the same
    /// with different words and share a rank; their error codes decide. States that were never
    /// handed over outrank all: a receipt for such a row is an alarm, not news.
    ///
    /// Source: the total order of receipts, accepted < sent < expired < undelivered/failed < delivered.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sending => 1,
            Self::InDoubt => 2,
            Self::Accepted => 3,
            Self::Sent => 4,
            Self::Rejected => 5,
            Self::Expired => 6,
            Self::Undelivered | Self::Failed => 7,
            Self::Delivered => 8,
            Self::Suppressed | Self::Invalid | Self::Cancelled | Self::ExpiredBeforeSend => 9,
        }
    }
}

impl std::fmt::Display for MessageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for MessageState {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownState)
    }
}

/// A text is not the name of a message state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message state")]
pub struct UnknownState;

/// One report about a message, in the order in which reports outrank each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub state: MessageState,
    /// The provider's error code, empty where there is none.
    pub code: String,
}

impl Report {
    /// Whether `self` says more than `known`: by rank, then by the larger code, then by the state.
    #[must_use]
    pub fn outranks(&self, known: &Self) -> bool {
        let key = |report: &Self| (report.state.rank(), report.state.code());
        (self.state.rank(), self.code.as_bytes(), key(self))
            > (known.state.rank(), known.code.as_bytes(), key(known))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reports() -> impl Strategy<Value = Vec<Report>> {
        let state = prop::sample::select(vec![
            MessageState::Accepted,
            MessageState::Sent,
            MessageState::Expired,
            MessageState::Undelivered,
            MessageState::Failed,
            MessageState::Delivered,
        ]);
        let report =
            (state, prop::sample::select(vec!["", "30003", "30006"])).prop_map(|(state, code)| {
                Report {
                    state,
                    code: code.into(),
                }
            });
        prop::collection::vec(report, 1..8)
    }

    fn join(reports: &[Report]) -> Report {
        let first = reports[0].clone();
        reports.iter().fold(first, |known, next| {
            if next.outranks(&known) {
                next.clone()
            } else {
                known
            }
        })
    }

    proptest! {
        #[test]
        fn any_order_and_duplication_of_reports_ends_in_the_same_state(reports in reports(), seed: u64) {
            let mut shuffled: Vec<_> = reports.iter().chain(&reports).cloned().collect();
            let mut state = seed | 1;
            for i in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(i, usize::try_from(state >> 33).expect("31 bits fit") % (i + 1));
            }
            prop_assert_eq!(join(&reports), join(&shuffled));
        }
    }

    #[test]
    fn every_state_reads_back_from_its_code_and_its_name() {
        for state in MessageState::ALL {
            assert_eq!(MessageState::from_code(state.code()), Some(state));
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}

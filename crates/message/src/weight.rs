//! How much of a connection a distribution gets beside the others on it.

use serde::{Deserialize, Serialize};

/// The share of a distribution on its connection, in proportion to the weights of the others that
/// wait there: 1 to 100, and 10 unless its batch says otherwise, so that one can also be put behind
/// the ordinary ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Weight(u8);

/// A number that is no weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a weight is 1 to {}", Weight::MAX.get())]
pub struct InvalidWeight;

impl Weight {
    /// The least.
    pub const MIN: Self = Self(1);
    /// The most.
    pub const MAX: Self = Self(100);

    /// The weight of that number, if it is one.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::MIN.0 && number <= Self::MAX.0 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(10)
    }
}

impl TryFrom<u8> for Weight {
    type Error = InvalidWeight;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(InvalidWeight)
    }
}

impl From<Weight> for u8 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_one_to_a_hundred() {
        for (number, valid) in [(0, false), (1, true), (100, true), (101, false)] {
            assert_eq!(Weight::new(number).is_some(), valid, "{number}");
            let read = serde_json::from_str::<Weight>(&number.to_string());
            assert_eq!(read.is_ok(), valid, "{number}");
        }
        assert_eq!(
            serde_json::to_string(&Weight::default()).expect("JSON"),
            "10"
        );
    }
}

//! Chance that can be repeated: every roll is a hash of the seed, what is decided, and whom it concerns.

/// Who a roll is about. Two rolls differ as soon as one field does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The person, as the digits of an E.164 number.
    pub recipient: u64,
    /// The client's own name for the message; empty if it gave none.
    pub reference: &'a str,
    /// Which of several: the attempt for a fault, 0 where there is only one.
    pub turn: u32,
}

/// The dice of one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number in `[0, 1)`.
    pub fn roll(self, decides: &str, subject: Subject<'_>) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.hash(decides, subject) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of `choices`, or `None` if there is none.
    pub fn pick<'c, T>(
        self,
        decides: &str,
        subject: Subject<'_>,
        choices: &'c [T],
    ) -> Option<&'c T> {
        let count = u64::try_from(choices.len())
            .ok()
            .filter(|&count| count > 0)?;
        choices.get(usize::try_from(self.hash(decides, subject) % count).ok()?)
    }

    // FNV-1a over the bytes, then SplitMix64's finaliser, because FNV alone leaves neighbours close together. Written out
    // because the standard library's hasher may change between releases, and a seed in a bug report has to keep its meaning.
    fn hash(self, decides: &str, subject: Subject<'_>) -> u64 {
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        let mut eat = |bytes: &[u8]| {
            for &byte in bytes {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        eat(&self.0.to_le_bytes());
        eat(&subject.recipient.to_le_bytes());
        eat(&subject.turn.to_le_bytes());
        eat(subject.reference.as_bytes());
        eat(&[0xff]); // ends the reference, so that it cannot run into the purpose
        eat(decides.as_bytes());
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(recipient: u64) -> Subject<'static> {
        Subject {
            recipient,
            reference: "a-1",
            turn: 0,
        }
    }

    #[test]
    fn a_roll_depends_on_each_part_and_on_nothing_else() {
        let dice = Dice(7);
        let base = dice.roll("fate", subject(33_639_980_001));
        assert_eq!(base, dice.roll("fate", subject(33_639_980_001)));
        assert_ne!(base, dice.roll("fault", subject(33_639_980_001)));
        assert_ne!(base, dice.roll("fate", subject(33_639_980_002)));
        assert_ne!(base, Dice(8).roll("fate", subject(33_639_980_001)));
        let second = Subject {
            turn: 1,
            ..subject(33_639_980_001)
        };
        assert_ne!(base, dice.roll("fate", second));
    }

    #[test]
    fn neighbouring_numbers_are_spread_evenly() {
        let below = (0..100_000)
            .filter(|n| Dice(1).roll("fate", subject(33_639_980_000 + n)) < 0.01)
            .count();
        assert!((850..1150).contains(&below), "{below} of 100,000 at 1 %");
    }

    #[test]
    fn picking_from_nothing_is_none() {
        assert_eq!(Dice(1).pick::<u8>("x", subject(1), &[]), None);
    }
}

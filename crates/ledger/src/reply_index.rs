//! Who was texted from which sender, packed: what a reply is matched by. Seventeen bytes for each
//! pair of number and sender, in hashes of about sixty pairs.

use message::{BatchKey, Msisdn, Reference, Timestamp};

use crate::Conversation;

/// A number (7 bytes) and the hash of a sender (4 bytes).
pub(crate) type Pair = [u8; 11];

/// A batch (8 bytes), a row (4 bytes) and when (5 bytes, milliseconds), big-endian.
pub(crate) type Told = [u8; 17];

/// The name of what `sender` told `number`. Two senders of one organisation that texted the same
/// number are confused once in 2^32 such pairs.
pub(crate) fn pair(number: Msisdn, sender: &str) -> Pair {
    let mut pair = [0; 11];
    pair[..7].copy_from_slice(&number.as_u64().to_be_bytes()[1..]);
    pair[7..].copy_from_slice(&hash(sender.as_bytes()).to_be_bytes()[4..]);
    pair
}

/// Packs a conversation; the time first, so that the newer one is the greater one.
pub(crate) fn told(reference: Reference, at: Timestamp) -> Told {
    let mut told = [0; 17];
    told[..5].copy_from_slice(
        &at.as_millis()
            .min((1 << 40) - 1 + OFFSET)
            .saturating_sub(OFFSET)
            .to_be_bytes()[3..],
    );
    told[5..13].copy_from_slice(&reference.batch.as_u64().to_be_bytes());
    told[13..].copy_from_slice(&reference.row.to_be_bytes());
    told
}

/// Back from [`told`].
pub(crate) fn read(told: &Told) -> Conversation {
    let integer = |bytes: &[u8]| bytes.iter().fold(0, |value, b| value << 8 | u64::from(*b));
    Conversation {
        reference: Reference {
            batch: BatchKey::from_u64(integer(&told[5..13])),
            row: u32::from_be_bytes([told[13], told[14], told[15], told[16]]),
        },
        sent_at: Timestamp::from_millis(integer(&told[..5]) + OFFSET),
    }
}

/// 2017-07-14: five bytes of milliseconds from there last until 2052.
const OFFSET: u64 = 1_500_000_000_000;

/// FNV-1a with a finish that mixes all bits: stable over machines and versions, because where an
/// entry lies follows from it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_conversation_reads_back_as_itself(batch: u64, row: u32, at in OFFSET..2_500_000_000_000) {
            let reference = Reference { batch: BatchKey::from_u64(batch), row };
            let sent_at = Timestamp::from_millis(at);
            prop_assert_eq!(read(&told(reference, sent_at)), Conversation { reference, sent_at });
        }

        #[test]
        fn the_newer_of_two_is_the_greater(a in OFFSET..2_500_000_000_000, b in OFFSET..2_500_000_000_000) {
            let reference = Reference { batch: BatchKey::from_u64(7), row: 1 };
            let of = |at| told(reference, Timestamp::from_millis(at));
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }
    }

    #[test]
    fn where_an_entry_lies_never_changes() {
        assert_eq!(hash(b"+15550100"), 15_623_908_625_062_516_264);
    }
}

//! A row as it is stored: about fifty bytes, the same in Redis and in the process. The Lua scripts
//! read and write this layout (`redis/lua/row.lua`): change both or neither.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | 32 + state code; + 64: its parts were told; + 128: with a section of parts (`parts.rs`) |
//! | 1 | attempt |
//! | 1 | connection: position in the batch's list from 1; 0 where there is none |
//! | 4 | token of the latest claim |
//! | 4 | sequence number of the latest change |
//! | 5 | claimed: 1 + milliseconds after the batch's creation; 0 for never |
//! | 5 | changed: the same |
//! | 7 | the masked number; 0 where there is none |
//! | 1 + n | the code with its length |
//! | n | the section of parts, where there is one |
//! | rest | the provider's id, packed |
//!
//! Integers are big-endian.

use message::{ConnectionId, MaskedMsisdn, MessageState, Timestamp};

use crate::{
    Row,
    parts::Parts,
    provider_id::{PackedId, cut},
};

/// Longer codes are cut: they are a provider's number or a rule and a field.
const CODE_BYTES_MAX: usize = 64;

const VERSION_1: u8 = 32;
const PARTS_TOLD: u8 = 64;
const WITH_PARTS: u8 = 128;
const STATE_BITS: u8 = 31;
const FIXED_BYTES: usize = 29;

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) state: MessageState,
    pub(crate) attempt: u8,
    /// Position in the batch's list of connections from 1; 0 where there is none.
    pub(crate) connection: u8,
    pub(crate) token: u32,
    pub(crate) seq: u32,
    /// Milliseconds after the batch's creation.
    pub(crate) claimed_at: Option<u64>,
    /// Milliseconds after the batch's creation.
    pub(crate) changed_at: Option<u64>,
    pub(crate) to: Option<MaskedMsisdn>,
    pub(crate) code: String,
    /// Whoever sent it said how many parts it has: one, if nothing is kept about them.
    pub(crate) parts_told: bool,
    pub(crate) parts: Option<Parts>,
    pub(crate) provider_id: PackedId,
}

/// What the rows of a batch share, and need to be understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// When the batch was first seen: the zero of its rows' times.
    pub(crate) created_at: Timestamp,
    /// The connections its rows were claimed for.
    pub(crate) connections: Vec<ConnectionId>,
}

impl Frame {
    /// `at` as an offset; a clock that is behind the one that created the batch reads zero.
    pub(crate) fn offset(&self, at: Timestamp) -> u64 {
        offset(self.created_at, at)
    }
}

/// `at` as milliseconds after `created_at`.
pub(crate) fn offset(created_at: Timestamp, at: Timestamp) -> u64 {
    at.as_millis().saturating_sub(created_at.as_millis())
}

/// A code as it is stored.
pub(crate) fn stored_code(code: &str) -> &str {
    &code[..cut(code, CODE_BYTES_MAX)]
}

impl Entry {
    /// A row as intake enters it.
    pub(crate) fn new(state: MessageState, to: Option<MaskedMsisdn>, code: &str) -> Self {
        Self {
            state,
            attempt: 0,
            connection: 0,
            token: 0,
            seq: 0,
            claimed_at: None,
            changed_at: None,
            to,
            code: stored_code(code).to_owned(),
            parts_told: false,
            parts: None,
            provider_id: PackedId::default(),
        }
    }

    /// The stored bytes.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let code = stored_code(&self.code).as_bytes();
        let id = self.provider_id.as_bytes();
        let mut bytes = Vec::with_capacity(FIXED_BYTES + code.len() + id.len());
        let told = if self.parts_told { PARTS_TOLD } else { 0 };
        let with_parts = if self.parts.is_some() { WITH_PARTS } else { 0 };
        let head = VERSION_1 + told + with_parts + self.state.code();
        bytes.extend([head, self.attempt, self.connection]);
        bytes.extend(self.token.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        for at in [self.claimed_at, self.changed_at] {
            // 2^40 ms are 34 years.
            let value = at.map_or(0, |at| (at + 1).min((1 << 40) - 1));
            bytes.extend(&value.to_be_bytes()[3..]);
        }
        bytes.extend(&self.to.map_or(0, MaskedMsisdn::as_u64).to_be_bytes()[1..]);
        bytes.push(u8::try_from(code.len()).expect("at most CODE_BYTES_MAX"));
        bytes.extend(code);
        if let Some(parts) = &self.parts {
            parts.pack(&mut bytes);
        }
        bytes.extend(id);
        bytes
    }

    /// Back from [`Self::pack`]; `None` if the bytes are of another version or damaged.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [head, attempt, connection] = take(&mut rest)?;
        if head & VERSION_1 == 0 {
            return None;
        }
        let token = u32::from_be_bytes(take(&mut rest)?);
        let seq = u32::from_be_bytes(take(&mut rest)?);
        let claimed_at = integer::<5>(&mut rest)?.checked_sub(1);
        let changed_at = integer::<5>(&mut rest)?.checked_sub(1);
        let to = MaskedMsisdn::from_u64(integer::<7>(&mut rest)?);
        let [code_length] = take(&mut rest)?;
        let (code, mut rest) = rest.split_at_checked(code_length.into())?;
        let parts = match head & WITH_PARTS {
            0 => None,
            _ => Some(Parts::unpack(&mut rest)?),
        };
        Some(Self {
            state: MessageState::from_code(head & STATE_BITS)?,
            attempt,
            connection,
            token,
            seq,
            claimed_at,
            changed_at,
            to,
            code: String::from_utf8(code.to_vec()).ok()?,
            parts_told: head & PARTS_TOLD != 0,
            parts,
            provider_id: PackedId::from_bytes(rest),
        })
    }

    /// The row as the services see it.
    pub(crate) fn row(&self, row: u32, frame: &Frame) -> Option<Row> {
        Some(Row {
            provider_message_id: self.provider_id.unpack()?,
            ..self.row_without_id(row, frame)
        })
    }

    /// The same while its id is not asked for.
    pub(crate) fn row_without_id(&self, row: u32, frame: &Frame) -> Row {
        let at = |offset: u64| Timestamp::from_millis(frame.created_at.as_millis() + offset);
        let connection = usize::from(self.connection).checked_sub(1);
        Row {
            row,
            state: self.state,
            attempt: self.attempt,
            seq: self.seq,
            to: self.to,
            code: self.code.clone(),
            provider_message_id: String::new(),
            connection_id: connection.and_then(|at| frame.connections.get(at).cloned()),
            claimed_at: self.claimed_at.map(at),
            changed_at: self.changed_at.map(at),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

/// A big-endian integer of `N` bytes, at most eight.
fn integer<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    let bytes: [u8; N] = take(rest)?;
    Some(
        bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use message::Msisdn;
    use proptest::prelude::*;

    use super::*;
    use crate::{PartName, parts::Name};

    fn entries() -> impl Strategy<Value = Entry> {
        (
            prop::sample::select(MessageState::ALL.to_vec()),
            any::<(u8, u8, u32, u32)>(),
            prop::option::of(0u64..1 << 39),
            prop::option::of(0u64..1 << 39),
            prop::option::of(1_000_000u64..1_000_000_000_000_000),
            "[a-z0-9:_]{0,40}|é{0,32}",
            "[A-Z]{2}[0-9a-f]{32}|[a-z0-9]{0,30}",
            any::<bool>(),
            prop::option::of(parts()),
        )
            .prop_map(
                |(state, numbers, claimed_at, changed_at, to, code, id, parts_told, parts)| Entry {
                    state,
                    attempt: numbers.0,
                    connection: numbers.1,
                    token: numbers.2,
                    seq: numbers.3,
                    claimed_at,
                    changed_at,
                    to: to.and_then(Msisdn::from_u64).map(Msisdn::masked),
                    code,
                    parts_told,
                    parts,
                    provider_id: PackedId::pack(&id),
                },
            )
    }

    fn parts() -> impl Strategy<Value = Parts> {
        let names = prop::collection::vec(any::<(bool, u8)>(), 0..90);
        (any::<(u8, u8)>(), names).prop_map(|((reported, settled), names)| {
            let mut parts = Parts::default();
            (parts.reported, parts.settled) = (reported, settled);
            for (is_number, n) in names {
                let name = match is_number {
                    true => PartName::Number(n),
                    false => PartName::Id(n.to_string()),
                };
                parts.deliver(Name::of(&name));
            }
            parts
        })
    }

    proptest! {
        #[test]
        fn a_row_reads_back_as_itself(entry in entries()) {
            prop_assert_eq!(Entry::unpack(&entry.pack()), Some(entry));
        }

        #[test]
        fn no_stored_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Entry::unpack(&bytes);
        }
    }

    #[test]
    fn a_delivered_row_fits_a_listpack_entry() {
        let mut entry = Entry::new(MessageState::Delivered, None, "30008");
        entry.provider_id = PackedId::pack("SM0123456789abcdef0123456789abcdef");
        assert!(entry.pack().len() <= 64, "{}", entry.pack().len());

        // Three of four parts are delivered, and named by ids: with the fourth it is forgotten.
        let mut waiting = Entry::new(MessageState::Sent, None, "");
        waiting.provider_id = PackedId::pack("01234567-89ab-cdef-0123-456789abcdef");
        let parts = waiting.parts.insert(Parts::default());
        for id in ["a", "b", "c"] {
            parts.deliver(Name::of(&PartName::Id(id.into())));
        }
        assert!(waiting.pack().len() <= 64, "{}", waiting.pack().len());
    }
}

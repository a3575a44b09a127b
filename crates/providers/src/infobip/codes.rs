//! Infobip's groups, statuses and errors. Source: `shared/providers/infobip.md`, sections 4, 6, 10.

use serde::Deserialize;

use crate::{ReceiptStatus, RejectReason, SubmitClass, json};

/// `status` as it stands in answers, reports and logs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(default, deserialize_with = "json::integer")]
    group_id: Option<i64>,
    #[serde(default, deserialize_with = "json::text")]
    group_name: Option<String>,
    #[serde(default, deserialize_with = "json::integer")]
    pub(super) id: Option<i64>,
    #[serde(default, deserialize_with = "json::text")]
    name: Option<String>,
}

impl Status {
    /// By number, else by name.
    pub(super) fn group(&self) -> Option<Group> {
        Group::read(self.group_id, self.group_name.as_deref())
    }

    /// The group of a report, which the status alone may tell if nothing else does.
    pub(super) fn group_of_report(&self) -> Option<Group> {
        if self.group_id.is_none() && self.group_name.is_none() {
            return Group::of_status(self.id?);
        }
        self.group()
    }

    /// What to call a status that the table does not have.
    pub(super) fn word(&self) -> String {
        let words = [&self.name, &self.group_name];
        let word = words.into_iter().flatten().find(|word| !word.is_empty());
        match (word, self.id.or(self.group_id)) {
            (Some(word), _) => word.chars().take(WORD_CHARS_MAX).collect(),
            (None, Some(id)) => id.to_string(),
            (None, None) => "unreadable_status".to_owned(),
        }
    }
}

/// An unknown word is counted and logged; the longest known one has 35 letters.
const WORD_CHARS_MAX: usize = 40;

/// What kind of status it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Accepted,
    Pending,
    Undeliverable,
    Delivered,
    Expired,
    Rejected,
}

impl Group {
    /// By number, else by name.
    pub(super) fn read(id: Option<i64>, name: Option<&str>) -> Option<Self> {
        id.and_then(Self::of).or_else(|| Self::named(name?))
    }

    /// In the order of their numbers.
    pub(super) const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Pending,
        Self::Undeliverable,
        Self::Delivered,
        Self::Expired,
        Self::Rejected,
    ];

    fn of(group_id: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(group_id).ok()?).copied()
    }

    fn named(name: &str) -> Option<Self> {
        let same = |group: &Self| group.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// By the status, of a report that names no group.
    fn of_status(id: i64) -> Option<Self> {
        Some(match id {
            26 | 3 | 7 => Self::Pending,
            4 | 9 | 31 | 100 => Self::Undeliverable,
            2 | 5 => Self::Delivered,
            15 | 22 | 29 | 87 => Self::Expired,
            6 | 8 | 10..=14 | 17..=21 | 23..=25 | 51 | 52 => Self::Rejected,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Pending => "PENDING",
            Self::Undeliverable => "UNDELIVERABLE",
            Self::Delivered => "DELIVERED",
            Self::Expired => "EXPIRED",
            Self::Rejected => "REJECTED",
        }
    }

    pub(super) const fn is_failure(self) -> bool {
        match self {
            Self::Undeliverable | Self::Expired | Self::Rejected => true,
            Self::Accepted | Self::Pending | Self::Delivered => false,
        }
    }
}

/// The `messageId` was used before: what it names was accepted then.
pub(super) const DUPLICATE: i64 = 23;

/// What a status of a failing group means at send time (section 4).
pub(super) fn submit_status(id: Option<i64>) -> SubmitClass {
    use RejectReason::{
        BadSender, Blocked, InvalidRecipient, Other, TooLong, UnsupportedDestination,
    };
    SubmitClass::Rejected(match id.unwrap_or_default() {
        DUPLICATE => return SubmitClass::Accepted,
        21 | 100 => return SubmitClass::Transient,
        id if is_account_status(id) => return SubmitClass::AccountRefused,
        6 | 18 | 19 => UnsupportedDestination,
        8 | 51 | 52 => InvalidRecipient,
        10 | 14 | 20 | 87 => Blocked,
        11 | 13 => BadSender,
        25 => TooLong,
        4 | 9 | 15 | 24 | 29 | 31 => Other,
        _ => Other,
    })
}

/// Out of credit, or the package is over: nothing more goes out until somebody pays.
const fn is_account_status(id: i64) -> bool {
    matches!(id, 12 | 17)
}

/// What a report says of its message (section 6).
pub(super) fn receipt_status(group: Group, id: Option<i64>) -> ReceiptStatus {
    match (group, id.unwrap_or_default()) {
        // Not in the table of reports, where every refusal is one. But the repetition was refused,
        // and not the message of this name, which may be on the handset already.
        (Group::Accepted, _) => ReceiptStatus::Accepted,
        (Group::Pending, 3 | 7) => ReceiptStatus::Sent,
        (Group::Pending, _) => ReceiptStatus::Accepted,
        (Group::Undeliverable, 31 | 100) => ReceiptStatus::Failed,
        (Group::Undeliverable, _) => ReceiptStatus::Undelivered,
        (Group::Delivered, 2) => ReceiptStatus::Sent, // To the operator; a later report may follow.
        (Group::Delivered, _) => ReceiptStatus::Delivered,
        (Group::Expired, 87) => ReceiptStatus::Rejected, // Fraud protection.
        (Group::Expired, _) => ReceiptStatus::Expired,
        (Group::Rejected, _) => ReceiptStatus::Rejected,
    }
}

/// A person opted out at the operator (573) or by STOP to this sender (603).
pub(super) const fn is_opt_out(error: i64) -> bool {
    matches!(error, 573 | 603)
}

/// Whether a failed report is the account's fault: what stops a connection at send time, access
/// denied (433) and the month's credit (4099).
pub(super) const fn is_account_fault(status: Option<i64>, error: Option<i64>) -> bool {
    let by_status = match status {
        Some(status) => is_account_status(status),
        None => false,
    };
    by_status || matches!(error, Some(433 | 4099))
}

//! Why messages end badly: Infobip's errors, and the status that goes with each.
//!
//! Source: shared/providers/infobip.md, section 6. The names and sentences are near to Infobip's; no client may decide by
//! them.

use serde_json::{Value, json};

use super::accounts::InfobipReportForm;
use crate::engine::Phase;

/// Why a message ended badly, and the status that goes with it.
pub(crate) struct Cause {
    /// The engine's error code: the id as text.
    code: &'static str,
    id: u16,
    /// 1 handset, 2 user, 3 operator.
    group: u8,
    permanent: bool,
    pub status: u16,
    name: &'static str,
    description: &'static str,
}

const fn cause(
    (code, id): (&'static str, u16),
    group: u8,
    permanent: bool,
    status: u16,
    name: &'static str,
    description: &'static str,
) -> Cause {
    Cause {
        code,
        id,
        group,
        permanent,
        status,
        name,
        description,
    }
}

const CAUSES: &[Cause] = &[
    cause(
        ("1", 1),
        1,
        true,
        9,
        "EC_UNKNOWN_SUBSCRIBER",
        "Unknown Subscriber",
    ),
    cause(
        ("5", 5),
        1,
        false,
        9,
        "EC_UNIDENTIFIED_SUBSCRIBER",
        "Unidentified Subscriber",
    ),
    cause(
        ("6", 6),
        1,
        false,
        9,
        "EC_ABSENT_SUBSCRIBER_SM",
        "Absent Subscriber",
    ),
    cause(
        ("9", 9),
        1,
        true,
        9,
        "EC_ILLEGAL_SUBSCRIBER",
        "Illegal Subscriber",
    ),
    cause(
        ("12", 12),
        1,
        true,
        9,
        "EC_ILLEGAL_EQUIPMENT",
        "Illegal Equipment",
    ),
    cause(("13", 13), 1, false, 9, "EC_CALL_BARRED", "Call Barred"),
    cause(
        ("27", 27),
        1,
        false,
        9,
        "EC_ABSENT_SUBSCRIBER",
        "Absent Subscriber",
    ),
    cause(
        ("32", 32),
        1,
        false,
        9,
        "EC_SM_DELIVERY_FAILURE",
        "SM Delivery Failure",
    ),
    cause(
        ("34", 34),
        3,
        false,
        9,
        "EC_SYSTEM_FAILURE",
        "System Failure",
    ),
    cause(
        ("255", 255),
        3,
        false,
        31,
        "EC_UNKNOWN_ERROR",
        "Unknown Error",
    ),
    cause(
        ("256", 256),
        1,
        false,
        9,
        "EC_MEMORY_CAPACITY_EXCEEDED",
        "Handset Memory Full",
    ),
    cause(
        ("351", 351),
        2,
        true,
        6,
        "EC_INVALID_DESTINATION",
        "Invalid Destination",
    ),
    cause(
        ("368", 368),
        2,
        true,
        11,
        "EC_INVALID_SOURCE",
        "Invalid Source",
    ),
    cause(
        ("500", 500),
        3,
        false,
        100,
        "EC_PROVIDER_GENERAL_ERROR",
        "Provider Error",
    ),
    cause(
        ("502", 502),
        3,
        false,
        9,
        "EC_NO_RESPONSE",
        "No Response From Operator",
    ),
    cause(
        ("561", 561),
        3,
        true,
        4,
        "EC_CONTENT_BLOCKED",
        "Content Blocked",
    ),
    cause(
        ("566", 566),
        3,
        true,
        4,
        "EC_DESTINATION_BLOCKED",
        "Destination Blocked by Operator",
    ),
    cause(
        ("568", 568),
        3,
        true,
        4,
        "EC_NOT_PROVISIONED",
        "Not Provisioned for SMS",
    ),
    cause(
        ("573", 573),
        3,
        true,
        4,
        "EC_BLOCKED_BY_END_USER",
        "Blocked by the End User",
    ),
    cause(
        ("603", 603),
        3,
        true,
        4,
        "EC_RECIPIENT_SENT_STOP",
        "Content Blocked: Recipient Sent STOP",
    ),
    cause(
        ("608", 608),
        2,
        false,
        87,
        "EC_SIGNALS_BLOCK",
        "Signals Block",
    ),
    cause(("2048", 2048), 2, false, 29, "EC_TIME_OUT", "Time Out"),
    cause(
        ("2050", 2050),
        2,
        true,
        10,
        "EC_DND_LIST",
        "Destination on DND List",
    ),
    cause(
        ("2052", 2052),
        2,
        true,
        14,
        "EC_DESTINATION_BLOCKLISTED",
        "Destination Blocklisted",
    ),
    cause(
        ("2053", 2053),
        2,
        true,
        13,
        "EC_SENDER_BLOCKLISTED",
        "Sender Blocklisted",
    ),
    cause(
        ("4101", 4101),
        2,
        false,
        15,
        "EC_VALIDITY_EXPIRED",
        "Validity Expired",
    ),
    cause(
        ("4103", 4103),
        2,
        false,
        20,
        "EC_FLOODING_FILTER",
        "Flooding Filter",
    ),
];

/// What chance picks from for a message that ends badly. Never an opt-out: only somebody who said STOP has one.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &[
            "1", "5", "6", "9", "12", "13", "27", "32", "34", "255", "256", "500", "502", "561",
            "566", "568",
        ],
        Phase::Failed => &["351", "368", "608", "2050", "2053", "4103"],
        Phase::Expired => &["4101", "2048"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered | Phase::Rejected => &[],
    }
}

/// The error of an engine's code, in the form of the reports; the "no error" without one.
pub(crate) fn error(code: Option<&str>, form: InfobipReportForm) -> Value {
    let Some(cause) = find(code) else {
        let ok = match form {
            InfobipReportForm::V3 => "OK",
            InfobipReportForm::V2 => "Ok",
        };
        return json!({"groupId": 0, "groupName": ok, "id": 0, "name": "NO_ERROR",
                      "description": "No Error", "permanent": false});
    };
    let group = match cause.group {
        1 => "HANDSET_ERRORS",
        2 => "USER_ERRORS",
        _ => "OPERATOR_ERRORS",
    };
    json!({"groupId": cause.group, "groupName": group, "id": cause.id, "name": cause.name,
           "description": cause.description, "permanent": cause.permanent})
}

/// The cause of an engine's code.
pub(crate) fn find(code: Option<&str>) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| Some(cause.code) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infobip::statuses;

    #[test]
    fn every_cause_has_its_own_number_as_code_and_a_status_of_the_table() {
        for cause in CAUSES {
            assert_eq!(cause.code, cause.id.to_string());
            assert!(statuses::status(cause.status).is_some(), "{}", cause.code);
        }
    }
}

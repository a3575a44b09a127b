//! Infobip's statuses and errors: their numbers, their groups, and which belong together.
//!
//! Source: shared/providers/infobip.md, sections 4 and 6. The names that the page shortens and the sentences are near to
//! Infobip's; no client may decide by them.

use serde_json::{Value, json};

use super::accounts::InfobipReportForm;
use crate::engine::Phase;

/// A status of a message, in answers, reports and logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Status {
    pub id: u16,
    group: u8,
    name: &'static str,
    description: &'static str,
}

const fn entry(id: u16, group: u8, name: &'static str, description: &'static str) -> Status {
    Status {
        id,
        group,
        name,
        description,
    }
}

const STATUSES: &[Status] = &[
    entry(
        2,
        3,
        "DELIVERED_TO_OPERATOR",
        "Message delivered to operator",
    ),
    entry(
        3,
        1,
        "PENDING_WAITING_DELIVERY",
        "Message sent, waiting for delivery report",
    ),
    entry(
        4,
        2,
        "UNDELIVERABLE_REJECTED_OPERATOR",
        "Message rejected by operator",
    ),
    entry(5, 3, "DELIVERED_TO_HANDSET", "Message delivered to handset"),
    entry(6, 5, "REJECTED_NETWORK", "Network is forbidden"),
    entry(7, 1, "PENDING_ENROUTE", "Message sent to next instance"),
    entry(8, 5, "REJECTED_PREFIX_MISSING", "Number prefix missing"),
    entry(
        9,
        2,
        "UNDELIVERABLE_NOT_DELIVERED",
        "Message sent not delivered",
    ),
    entry(10, 5, "REJECTED_DND", "Destination on DND list"),
    entry(11, 5, "REJECTED_SOURCE", "Invalid Source address"),
    entry(12, 5, "REJECTED_NOT_ENOUGH_CREDITS", "Not enough credits"),
    entry(13, 5, "REJECTED_SENDER", "By Sender"),
    entry(14, 5, "REJECTED_DESTINATION", "By Destination"),
    entry(15, 4, "EXPIRED_EXPIRED", "Message expired"),
    entry(
        17,
        5,
        "REJECTED_PREPAID_PACKAGE_EXPIRED",
        "Prepaid package expired",
    ),
    entry(
        18,
        5,
        "REJECTED_DESTINATION_NOT_REGISTERED",
        "Destination not registered",
    ),
    entry(19, 5, "REJECTED_ROUTE_NOT_AVAILABLE", "Route not available"),
    entry(20, 5, "REJECTED_FLOODING_FILTER", "Rejected flooding"),
    entry(21, 5, "REJECTED_SYSTEM_ERROR", "System error"),
    entry(
        23,
        5,
        "REJECTED_DUPLICATE_MESSAGE_ID",
        "Duplicate messageId",
    ),
    entry(24, 5, "REJECTED_INVALID_UDH", "Invalid UDH"),
    entry(25, 5, "REJECTED_MESSAGE_TOO_LONG", "Message too long"),
    entry(26, 1, "PENDING_ACCEPTED", "Message sent to next instance"),
    entry(29, 4, "EXPIRED_DLR_UNKNOWN", "Delivery report unknown"),
    entry(31, 2, "UNDELIVERABLE_NOT_SENT", "Message not sent"),
    entry(51, 5, "MISSING_TO", "Missing destination"),
    entry(52, 5, "REJECTED_DESTINATION", "Invalid destination address"),
    entry(87, 5, "SIGNALS_BLOCKED", "Message blocked by Signals"),
    entry(
        100,
        2,
        "UNDELIVERABLE_REJECTED_PLATFORM",
        "Message rejected by platform",
    ),
];

/// The status of this id.
pub(crate) fn status(id: u16) -> Option<Status> {
    STATUSES.iter().find(|status| status.id == id).copied()
}

impl Status {
    /// Whether a message that is answered with it is not sent.
    pub fn is_refusal(self) -> bool {
        matches!(self.group, 2 | 4 | 5)
    }

    /// The group's name, which is also the word of the logs' filter.
    pub fn group_name(self) -> &'static str {
        match self.group {
            0 => "ACCEPTED",
            1 => "PENDING",
            2 => "UNDELIVERABLE",
            3 => "DELIVERED",
            4 => "EXPIRED",
            _ => "REJECTED",
        }
    }

    /// As it is on the wire.
    pub fn json(self) -> Value {
        json!({
            "groupId": self.group,
            "groupName": self.group_name(),
            "id": self.id,
            "name": self.name,
            "description": self.description,
        })
    }
}

/// Why a message ended badly, and the status that goes with it.
struct Cause {
    /// The engine's error code: the id as text.
    code: &'static str,
    id: u16,
    /// 1 handset, 2 user, 3 operator.
    group: u8,
    permanent: bool,
    status: u16,
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

/// The group of what is reported at the end; until then the logs' word for a message that is on its way.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted | Phase::Queued | Phase::Sent => "PENDING",
        Phase::Undelivered => "UNDELIVERABLE",
        Phase::Delivered => "DELIVERED",
        Phase::Expired => "EXPIRED",
        Phase::Failed | Phase::Rejected => "REJECTED",
    }
}

/// The status of a phase. `to_operator`: whether the passing report says that the operator has it, or only that it is on
/// its way; both occur.
pub(crate) fn of_phase(phase: Phase, code: Option<&str>, to_operator: bool) -> Status {
    let id = match (find(code), phase) {
        (Some(cause), _) => cause.status,
        (None, Phase::Accepted | Phase::Queued) => 26,
        (None, Phase::Sent) if to_operator => 2,
        (None, Phase::Sent) => 7,
        (None, Phase::Delivered) => 5,
        (None, Phase::Undelivered) => 9,
        (None, Phase::Expired) => 15,
        (None, Phase::Failed | Phase::Rejected) => 14,
    };
    // Every id above is in the table; a test makes sure of it.
    status(id).unwrap_or(entry(id, 5, "REJECTED", "Rejected"))
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

fn find(code: Option<&str>) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| Some(cause.code) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_number_as_code_and_a_status_of_the_table() {
        for cause in CAUSES {
            assert_eq!(cause.code, cause.id.to_string());
            assert!(status(cause.status).is_some(), "{}", cause.code);
        }
    }

    #[test]
    fn what_chance_picks_is_reported_in_the_group_that_the_audit_names() {
        for phase in [Phase::Undelivered, Phase::Failed, Phase::Expired] {
            for code in codes(phase) {
                let status = of_phase(phase, Some(code), false);
                assert_eq!(status.group_name(), word(phase), "{code}");
                let error = error(Some(code), InfobipReportForm::V3);
                assert_eq!(error["id"].to_string(), *code);
                assert_ne!(error["groupId"], 0);
            }
        }
        let ends = [
            (Phase::Undelivered, "573", 4),
            (Phase::Undelivered, "603", 4),
            (Phase::Rejected, "2052", 14),
        ];
        for (phase, code, wanted) in ends {
            let status = of_phase(phase, Some(code), false);
            assert_eq!((status.id, status.group_name()), (wanted, word(phase)));
        }
    }

    #[test]
    fn a_status_and_an_error_have_the_fields_of_the_pages_example() {
        let delivered = of_phase(Phase::Delivered, None, false).json();
        let wanted = json!({"groupId":3,"groupName":"DELIVERED","id":5,"name":"DELIVERED_TO_HANDSET",
                            "description":"Message delivered to handset"});
        assert_eq!(delivered, wanted);
        let wanted = json!({"groupId":1,"groupName":"HANDSET_ERRORS","id":1,"name":"EC_UNKNOWN_SUBSCRIBER",
                            "description":"Unknown Subscriber","permanent":true});
        assert_eq!(error(Some("1"), InfobipReportForm::V3), wanted);
        assert_eq!(error(None, InfobipReportForm::V2)["groupName"], "Ok");
        for id in [26, 2, 7, 5, 9, 15, 14] {
            assert!(status(id).is_some());
        }
    }
}

//! Infobip's statuses: their numbers, their groups, and which a message has in which phase.
//!
//! Source: shared/providers/infobip.md, sections 4 and 6. The names that the page shortens and the sentences are near to
//! Infobip's; no client may decide by them.

use serde_json::{Value, json};

use super::causes;
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
    let id = match (causes::find(code), phase) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infobip::accounts::InfobipReportForm;
    use crate::infobip::causes::{codes, error};

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

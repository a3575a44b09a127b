//! Delivery reports: LINK's codes for the stages of a message, and the body of a report.
//!
//! Source: `shared/providers/link-mobility.md`, sections 6.1 and 6.2.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::accounts::LinkMobilityAccount;
use super::{Details, IDS, world};
use crate::engine::{Phase, Receipt};

/// The word in the audit. LINK itself has only numbers.
pub(crate) fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Accepted | Phase::Queued => "queued",
        Phase::Sent => "sent",
        Phase::Undelivered => "undelivered",
        Phase::Failed => "failed",
        Phase::Delivered => "delivered",
        Phase::Expired => "expired",
        Phase::Rejected => "rejected",
    }
}

/// What operators really answer. Among the failures are refusals (2103, 2106, 2205) that LINK learns of only after it has
/// taken the message.
pub(crate) fn codes(phase: Phase) -> &'static [&'static str] {
    match phase {
        Phase::Undelivered => &["1004", "1006", "2104", "2105", "2107"],
        Phase::Failed => &["1", "2", "6", "105", "1003", "2103", "2106", "2205"],
        Phase::Expired => &["1002"],
        Phase::Accepted | Phase::Queued | Phase::Sent | Phase::Delivered | Phase::Rejected => &[],
    }
}

/// The body of a report about one part.
pub(crate) fn report(account: &LinkMobilityAccount, receipt: &Receipt<Details>) -> Value {
    let message = &receipt.message;
    let id = IDS.write(message.number);
    let id = match message.segments {
        0 | 1 => id,
        _ => format!("{id}${}", receipt.part),
    };
    let now = OffsetDateTime::from(receipt.at);
    // What no operator ever had was sent to none.
    let was_sent = receipt.phase.was_sent();
    let operator = world::operator(message.to).filter(|_| was_sent);
    let sent = message.sent.filter(|_| was_sent).map_or(now, |seconds| {
        OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(seconds.into()))
    });
    // The operator's clock may be behind LINK's.
    let behind = receipt.phase == Phase::Delivered
        && receipt.dice.roll("operator clock", receipt.subject()) < 0.2;
    let told = if behind {
        sent - Duration::from_secs(1)
    } else {
        now
    };
    let code = result_code(receipt);
    let operator_code = operator.map(|_| match receipt.phase {
        Phase::Delivered => "2",
        Phase::Sent => "0",
        _ => "5",
    });
    let reference = Some(&*message.reference).filter(|reference| !reference.is_empty());
    let mut report = json!({
        "refId": reference,
        "id": id,
        "operator": operator,
        "sentTimestamp": world::rfc3339(sent),
        "timestamp": world::rfc3339(told),
        "resultCode": code.parse::<u32>().unwrap_or_default(),
        "operatorResultCode": operator_code,
        "segments": message.segments,
        "gateCustomParameters": {},
        "customParameters": { "received": world::local(now) },
    });
    if account.gate_manual_reports {
        report["resultCode"] = code.into();
        report["gateCustomParameters"] = json!([]);
        report["customParameters"] = json!([]);
        report["source"] = (*message.sender).into();
        report["destination"] = format!("+{}", message.to).into();
    }
    report
}

fn result_code(receipt: &Receipt<Details>) -> &'static str {
    match (receipt.phase, receipt.code) {
        (Phase::Accepted | Phase::Queued, _) => "1005",
        (Phase::Sent, _) => "1000",
        (Phase::Delivered, _) => "1001",
        (_, Some(code)) => code,
        (Phase::Expired, None) => "1002",
        (Phase::Undelivered, None) => "1006",
        (Phase::Failed | Phase::Rejected, None) => "0",
    }
}

//! What becomes of an accepted message: its fate, the times of its receipts, their form parameters.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

use super::messages::{Snapshot, Status};
use super::signature::Parameters;
use crate::behaviour::TwinBehaviour;
use crate::chance::{Dice, Subject};

/// Handset unreachable, unknown, landline, filtered, no reason: what carriers really answer.
const UNDELIVERED_CODES: [u32; 5] = [30003, 30005, 30006, 30007, 30008];
const FAILED_CODES: [u32; 4] = [30006, 30008, 30017, 30410];
const VALIDITY_EXPIRED: u32 = 30036;
/// A receipt's second posting comes this long after the first.
const DUPLICATE_AFTER: Duration = Duration::from_millis(150);

/// A change of status at its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    pub status: Status,
    pub error_code: u32,
    /// Whether the customer hears of it.
    pub posted: Posting,
}

/// Whether a step is told to the customer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Posting {
    Posted,
    /// A second time.
    Again,
    Lost,
}

/// All steps of a message, each with its delay since acceptance.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<(Duration, Step)>,
    /// When the person has the message, if they get it.
    pub delivered_after: Option<Duration>,
}

/// Plans the way of a message that starts in `initial`.
pub(crate) fn plan(
    behaviour: &TwinBehaviour,
    subject: Subject<'_>,
    initial: Status,
    validity: Option<Duration>,
) -> Plan {
    let dice = Dice(behaviour.seed);
    let jitter = behaviour
        .receipt_jitter
        .mul_f64(dice.roll("receipt jitter", subject));
    let end_after = behaviour.receipt_delay + jitter;
    let sent_after = end_after.mul_f64(0.3);
    let fate = dice.roll("fate", subject);
    let code = |codes: &[u32]| {
        dice.pick("error code", subject, codes)
            .copied()
            .unwrap_or_default()
    };
    let expires = validity.filter(|&validity| validity < sent_after);
    let (end, error_code) = match expires {
        Some(_) => (Status::Failed, VALIDITY_EXPIRED),
        None if fate < behaviour.failed_rate => (Status::Failed, code(&FAILED_CODES)),
        None if fate < behaviour.failed_rate + behaviour.undelivered_rate => {
            (Status::Undelivered, code(&UNDELIVERED_CODES))
        }
        None => (Status::Delivered, 0),
    };
    // No callback tells the first status; after `accepted`, which only services have, `queued` is news.
    let mut way = Vec::with_capacity(4);
    if initial == Status::Accepted {
        way.push((end_after.mul_f64(0.1), Status::Queued, 0));
    }
    if end == Status::Failed {
        way.push((expires.unwrap_or(end_after), end, error_code));
    } else if dice.roll("reorder", subject) < behaviour.reorder_rate {
        way.extend([(sent_after, end, error_code), (end_after, Status::Sent, 0)]);
    } else {
        way.extend([(sent_after, Status::Sent, 0), (end_after, end, error_code)]);
    }
    let mut steps = Vec::with_capacity(way.len());
    for (after, status, error_code) in way {
        let own = Subject {
            turn: status as u32,
            ..subject
        };
        let lost = dice.roll("lose", own) < behaviour.lose_receipt_rate;
        let again = !lost && dice.roll("duplicate", own) < behaviour.duplicate_receipt_rate;
        let posted = if lost { Posting::Lost } else { Posting::Posted };
        steps.push((
            after,
            Step {
                status,
                error_code,
                posted,
            },
        ));
        if again {
            steps.push((
                after + DUPLICATE_AFTER,
                Step {
                    status,
                    error_code,
                    posted: Posting::Again,
                },
            ));
        }
    }
    let arrives = steps
        .iter()
        .find(|(_, step)| step.status == Status::Delivered);
    Plan {
        delivered_after: arrives.map(|(after, _)| *after),
        steps,
    }
}

/// The parameters of a status callback, in the order of Twilio's own.
pub(crate) fn parameters(
    message: &Snapshot,
    account_sid: &str,
    step: Step,
    dice: Dice,
    now: OffsetDateTime,
) -> Parameters {
    let mut parameters = Parameters::with_capacity(10);
    let subject = Subject {
        recipient: message.to,
        reference: &message.reference,
        turn: 0,
    };
    // About half of the carriers say when they delivered. The documentation names no time zone; UTC is a guess.
    if step.status == Status::Delivered && dice.roll("raw dlr", subject) < 0.5 {
        let form = format_description!("[year repr:last_two][month][day][hour][minute]");
        if let Ok(date) = now.format(&form) {
            parameters.push(("RawDlrDoneDate", date));
        }
    }
    if step.error_code != 0 {
        parameters.push(("ErrorCode", step.error_code.to_string()));
    }
    parameters.push(("SmsSid", message.sid.clone()));
    parameters.push(("SmsStatus", step.status.word().to_owned()));
    parameters.push(("MessageStatus", step.status.word().to_owned()));
    parameters.push(("To", format!("+{}", message.to)));
    if let Some(service) = &message.service {
        parameters.push(("MessagingServiceSid", service.to_string()));
    }
    parameters.push(("MessageSid", message.sid.clone()));
    parameters.push(("AccountSid", account_sid.to_owned()));
    parameters.push(("From", message.sender.to_string()));
    parameters.push(("ApiVersion", "2010-04-01".to_owned()));
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(
        edit: impl Fn(&mut TwinBehaviour),
        initial: Status,
        validity: Option<Duration>,
    ) -> Plan {
        let mut behaviour = TwinBehaviour {
            receipt_jitter: Duration::ZERO,
            ..TwinBehaviour::default()
        };
        edit(&mut behaviour);
        let subject = Subject {
            recipient: 33_639_980_001,
            reference: "a-1",
            turn: 0,
        };
        plan(&behaviour, subject, initial, validity)
    }

    fn words(plan: &Plan) -> Vec<(&'static str, Posting)> {
        plan.steps
            .iter()
            .map(|(_, step)| (step.status.word(), step.posted))
            .collect()
    }

    #[test]
    fn an_undisturbed_message_is_sent_and_delivered_and_a_services_message_is_queued_before() {
        use Posting::Posted;
        let plan = planned(|_| {}, Status::Queued, None);
        assert_eq!(words(&plan), [("sent", Posted), ("delivered", Posted)]);
        assert_eq!(plan.delivered_after, Some(Duration::from_millis(500)));
        let plan = planned(|_| {}, Status::Accepted, None);
        assert_eq!(
            words(&plan),
            [("queued", Posted), ("sent", Posted), ("delivered", Posted)]
        );
    }

    #[test]
    fn a_failed_message_was_never_sent_and_an_undelivered_one_was() {
        let plan = planned(|b| b.failed_rate = 1.0, Status::Queued, None);
        assert_eq!(words(&plan), [("failed", Posting::Posted)]);
        assert!(FAILED_CODES.contains(&plan.steps[0].1.error_code));
        let plan = planned(|b| b.undelivered_rate = 1.0, Status::Queued, None);
        assert_eq!(plan.steps[1].1.status, Status::Undelivered);
        assert!(UNDELIVERED_CODES.contains(&plan.steps[1].1.error_code));
        assert_eq!(plan.delivered_after, None);
    }

    #[test]
    fn receipts_can_be_out_of_order_doubled_and_lost() {
        use Posting::{Again, Lost, Posted};
        let plan = planned(|b| b.reorder_rate = 1.0, Status::Queued, None);
        assert_eq!(words(&plan), [("delivered", Posted), ("sent", Posted)]);
        assert!(plan.steps[0].0 < plan.steps[1].0);
        let plan = planned(|b| b.duplicate_receipt_rate = 1.0, Status::Queued, None);
        assert_eq!(
            words(&plan),
            [
                ("sent", Posted),
                ("sent", Again),
                ("delivered", Posted),
                ("delivered", Again)
            ]
        );
        let plan = planned(|b| b.lose_receipt_rate = 1.0, Status::Queued, None);
        assert_eq!(words(&plan), [("sent", Lost), ("delivered", Lost)]);
    }

    #[test]
    fn a_message_that_waits_longer_than_its_validity_fails_as_expired() {
        let slow = |b: &mut TwinBehaviour| b.receipt_delay = Duration::from_secs(60);
        let plan = planned(slow, Status::Queued, Some(Duration::from_secs(5)));
        assert_eq!(words(&plan), [("failed", Posting::Posted)]);
        assert_eq!(plan.steps[0].0, Duration::from_secs(5));
        assert_eq!(plan.steps[0].1.error_code, 30036);
    }
}

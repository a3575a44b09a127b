//! What becomes of an accepted message: its fate, and the times of its receipts.

use std::time::Duration;

use super::phase::Phase;
use crate::behaviour::TwinBehaviour;
use crate::chance::{Dice, Subject};

/// A receipt's second posting comes this long after the first.
const DUPLICATE_AFTER: Duration = Duration::from_millis(150);

/// The error codes of a phase to choose from; empty if it has none.
pub(crate) type Codes = fn(Phase) -> &'static [&'static str];

/// What is known of a message when its way is planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub first: Phase,
    /// Receipts per phase: 1, or one for each part.
    pub parts: u8,
    pub validity: Option<Duration>,
    /// How it ends, if that is not left to chance, and why.
    pub end: Option<(Phase, &'static str)>,
}

/// A change of phase at its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    pub part: u8,
    pub phase: Phase,
    pub code: Option<&'static str>,
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
    /// When the person has the whole message, if they get it.
    pub delivered_after: Option<Duration>,
}

/// Plans the way of a message. Each part has steps of its own, and may be undelivered though the others are not.
pub(crate) fn plan(
    behaviour: &TwinBehaviour,
    subject: Subject<'_>,
    way: Way,
    codes: Codes,
) -> Plan {
    let mut plan = Plan {
        steps: Vec::with_capacity(4 * usize::from(way.parts)),
        delivered_after: Some(Duration::ZERO),
    };
    for part in 0..way.parts.max(1) {
        let arrives = plan_part(behaviour, subject, way, codes, part, &mut plan.steps);
        let before = plan.delivered_after;
        plan.delivered_after = before.and_then(|before| Some(before.max(arrives?)));
    }
    plan
}

/// Plans one part; says when it is delivered.
fn plan_part(
    behaviour: &TwinBehaviour,
    whole: Subject<'_>,
    way: Way,
    codes: Codes,
    part: u8,
    steps: &mut Vec<(Duration, Step)>,
) -> Option<Duration> {
    let dice = Dice(behaviour.seed);
    let subject = Subject {
        turn: u32::from(part),
        ..whole
    };
    let jitter = behaviour
        .receipt_jitter
        .mul_f64(dice.roll("receipt jitter", subject));
    let end_after = behaviour.receipt_delay + jitter;
    let sent_after = end_after.mul_f64(0.3);
    let pick = |phase: Phase| dice.pick("error code", subject, codes(phase)).copied();
    let expires = way.validity.filter(|&validity| validity < sent_after);
    // Sending fails for a message as a whole, delivering for a part.
    let fails = dice.roll("fate", whole) < behaviour.failed_rate;
    let undelivered = behaviour.failed_rate..behaviour.failed_rate + behaviour.undelivered_rate;
    let end = match (way.end, expires) {
        (Some((phase, _)), _) => phase,
        (None, Some(_)) => Phase::Expired,
        (None, None) if fails => Phase::Failed,
        (None, None) if undelivered.contains(&dice.roll("fate", subject)) => Phase::Undelivered,
        (None, None) => Phase::Delivered,
    };
    let code = way.end.map(|(_, code)| code).or_else(|| pick(end));
    // No callback tells the first phase; where that is `Accepted`, `Queued` is news.
    let mut phases = Vec::with_capacity(3);
    if way.first == Phase::Accepted {
        phases.push((end_after.mul_f64(0.1), Phase::Queued, None));
    }
    if !end.was_sent() {
        phases.push((expires.unwrap_or(end_after), end, code));
    } else if dice.roll("reorder", subject) < behaviour.reorder_rate {
        phases.extend([(sent_after, end, code), (end_after, Phase::Sent, None)]);
    } else {
        phases.extend([(sent_after, Phase::Sent, None), (end_after, end, code)]);
    }
    for &(after, phase, code) in &phases {
        let own = Subject {
            turn: u32::from(part) << 8 | phase as u32,
            ..whole
        };
        let lost = dice.roll("lose", own) < behaviour.lose_receipt_rate;
        let again = !lost && dice.roll("duplicate", own) < behaviour.duplicate_receipt_rate;
        let step = Step {
            part,
            phase,
            code,
            posted: if lost { Posting::Lost } else { Posting::Posted },
        };
        steps.push((after, step));
        if again {
            let posted = Posting::Again;
            steps.push((after + DUPLICATE_AFTER, Step { posted, ..step }));
        }
    }
    phases
        .iter()
        .find(|(_, phase, _)| *phase == Phase::Delivered)
        .map(|(after, _, _)| *after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Way = Way {
        first: Phase::Queued,
        parts: 1,
        validity: None,
        end: None,
    };

    fn codes(phase: Phase) -> &'static [&'static str] {
        match phase {
            Phase::Undelivered => &["u1", "u2"],
            Phase::Failed => &["f1", "f2"],
            Phase::Expired => &["late"],
            _ => &[],
        }
    }

    fn planned(edit: impl Fn(&mut TwinBehaviour), way: Way) -> Plan {
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
        plan(&behaviour, subject, way, codes)
    }

    fn phases(plan: &Plan) -> Vec<(Phase, Posting)> {
        plan.steps
            .iter()
            .map(|(_, step)| (step.phase, step.posted))
            .collect()
    }

    #[test]
    fn an_undisturbed_message_is_sent_and_delivered_and_an_accepted_one_is_queued_before() {
        use Phase::{Delivered, Queued, Sent};
        use Posting::Posted;
        let plan = planned(|_| {}, ONE);
        assert_eq!(phases(&plan), [(Sent, Posted), (Delivered, Posted)]);
        assert_eq!(plan.delivered_after, Some(Duration::from_millis(500)));
        let first = Phase::Accepted;
        let plan = planned(|_| {}, Way { first, ..ONE });
        assert_eq!(
            phases(&plan),
            [(Queued, Posted), (Sent, Posted), (Delivered, Posted)]
        );
    }

    #[test]
    fn a_failed_message_was_never_sent_and_an_undelivered_one_was() {
        let plan = planned(|b| b.failed_rate = 1.0, ONE);
        assert_eq!(phases(&plan), [(Phase::Failed, Posting::Posted)]);
        assert!(codes(Phase::Failed).contains(&plan.steps[0].1.code.unwrap_or_default()));
        let plan = planned(|b| b.undelivered_rate = 1.0, ONE);
        assert_eq!(plan.steps[1].1.phase, Phase::Undelivered);
        assert!(codes(Phase::Undelivered).contains(&plan.steps[1].1.code.unwrap_or_default()));
        assert_eq!(plan.delivered_after, None);
    }

    #[test]
    fn receipts_can_be_out_of_order_doubled_and_lost() {
        use Phase::{Delivered, Sent};
        use Posting::{Again, Lost, Posted};
        let plan = planned(|b| b.reorder_rate = 1.0, ONE);
        assert_eq!(phases(&plan), [(Delivered, Posted), (Sent, Posted)]);
        assert!(plan.steps[0].0 < plan.steps[1].0);
        let plan = planned(|b| b.duplicate_receipt_rate = 1.0, ONE);
        assert_eq!(
            phases(&plan),
            [
                (Sent, Posted),
                (Sent, Again),
                (Delivered, Posted),
                (Delivered, Again)
            ]
        );
        let plan = planned(|b| b.lose_receipt_rate = 1.0, ONE);
        assert_eq!(phases(&plan), [(Sent, Lost), (Delivered, Lost)]);
    }

    #[test]
    fn a_message_that_waits_longer_than_its_validity_expires() {
        let slow = |b: &mut TwinBehaviour| b.receipt_delay = Duration::from_secs(60);
        let validity = Some(Duration::from_secs(5));
        let plan = planned(slow, Way { validity, ..ONE });
        assert_eq!(phases(&plan), [(Phase::Expired, Posting::Posted)]);
        assert_eq!(plan.steps[0].0, Duration::from_secs(5));
        assert_eq!(plan.steps[0].1.code, Some("late"));
    }

    #[test]
    fn an_end_that_the_twin_decides_comes_without_sent() {
        let end = Some((Phase::Rejected, "9"));
        let plan = planned(|b| b.undelivered_rate = 1.0, Way { end, ..ONE });
        assert_eq!(phases(&plan), [(Phase::Rejected, Posting::Posted)]);
        assert_eq!(plan.steps[0].1.code, Some("9"));
    }

    #[test]
    fn parts_have_fates_of_their_own_and_fail_together() {
        let ends = |plan: &Plan| {
            let mut ends: Vec<_> = plan
                .steps
                .iter()
                .filter(|(_, step)| step.phase.is_final())
                .map(|(_, step)| step.phase)
                .collect();
            ends.dedup();
            ends
        };
        let long = Way { parts: 40, ..ONE };
        let plan = planned(|b| b.undelivered_rate = 0.5, long);
        assert_eq!(plan.steps.len(), 80);
        assert!(
            ends(&plan).contains(&Phase::Delivered) && ends(&plan).contains(&Phase::Undelivered)
        );
        assert_eq!(plan.delivered_after, None);
        let plan = planned(|b| b.failed_rate = 1.0, long);
        assert_eq!(ends(&plan), [Phase::Failed]);
        assert!(planned(|_| {}, long).delivered_after.is_some());
    }
}

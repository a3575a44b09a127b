//! What an inbound message does to its writer's standing.
//!
//! A standing's evidence is the message that began it; a second STOP moves its time and keeps its
//! evidence. So a message that is worked on again recognises what it changed, and nobody is told or
//! answered for a STOP that changed nothing.

use std::ops::RangeInclusive;

use message::{
    ConnectionId, Msisdn, OrganizationId, Timestamp,
    event::Keyword,
    keywords,
    opt_out::{OptOutChange, OptOutKind, OptOutSource, Standing},
};
use tokio::sync::{Mutex, MutexGuard};

/// A message that may change its writer's standing.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) number: Msisdn,
    /// Names the message: the evidence.
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    /// Of a message that did not arrive whole: what did, piece by piece. Nobody knows what stood
    /// between them, so a refusal that stands alone in one of them counts.
    pub(crate) fragments: &'a [String],
    /// The provider's own verdict, which outranks ours.
    pub(crate) provider_verdict: Option<Keyword>,
    /// When they wrote, from when to when: some providers tell the second only.
    pub(crate) received_at: RangeInclusive<Timestamp>,
    pub(crate) connection: &'a ConnectionId,
}

/// What has to be done about a wish.
#[derive(Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) keyword: Keyword,
    pub(crate) step: Step,
}

/// What has to be written down.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing: no keyword.
    Nothing,
    /// This message was worked on before and began the standing that is known.
    Done(OptOutChange),
    /// A change, if nothing later is known; `begins` says whether it turns the standing around.
    Write { change: OptOutChange, begins: bool },
}

impl Wish<'_> {
    /// Decides, given the standing before the message.
    pub(crate) fn decide(&self, before: Option<Standing>) -> Decision {
        if let Some(known) = before.as_ref().filter(|known| known.evidence == self.name) {
            // The text is not asked again: a `yes` that brought its writer back is an ordinary
            // answer by now.
            let keyword = match known.kind {
                OptOutKind::OptOut => Keyword::OptOut,
                OptOutKind::OptIn => Keyword::OptIn,
            };
            return Decision {
                keyword,
                step: Step::Done(known.clone()),
            };
        }
        let is_out = before
            .as_ref()
            .is_some_and(|known| known.kind == OptOutKind::OptOut);
        let keyword = self
            .provider_verdict
            .unwrap_or_else(|| self.verdict(is_out));
        let kind = match keyword {
            Keyword::OptOut => OptOutKind::OptOut,
            Keyword::OptIn => OptOutKind::OptIn,
            Keyword::Help | Keyword::None => {
                return Decision {
                    keyword,
                    step: Step::Nothing,
                };
            }
        };
        let begins = is_out != (kind == OptOutKind::OptOut);
        let evidence = if begins {
            self.name.to_owned()
        } else {
            before.map(|known| known.evidence).unwrap_or_default()
        };
        let source = match self.provider_verdict {
            Some(_) => OptOutSource::Provider,
            None => OptOutSource::Keyword,
        };
        let change = OptOutChange {
            organization_id: self.organization.clone(),
            number: self.number,
            kind,
            // Of what happened in one second nobody knows the order: then the opt-out holds.
            at: match kind {
                OptOutKind::OptOut => *self.received_at.end(),
                OptOutKind::OptIn => *self.received_at.start(),
            },
            sender: None,
            source,
            connection_id: Some(self.connection.clone()),
            evidence,
        };
        Decision {
            keyword,
            step: Step::Write { change, begins },
        }
    }

    fn verdict(&self, is_out: bool) -> Keyword {
        let refuses = |text: &String| keywords::verdict(text, is_out) == Keyword::OptOut;
        match keywords::verdict(self.text, is_out) {
            Keyword::None if self.fragments.iter().any(refuses) => Keyword::OptOut,
            keyword => keyword,
        }
    }
}

/// One at a time for each number, so that two STOPs at once do not both find its writer opted in.
/// Numbers share a few locks; between processes a moment remains, and costs a second confirmation.
pub(crate) struct Turns([Mutex<()>; TURNS]);

const TURNS: usize = 64;

impl Turns {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }

    pub(crate) async fn of(&self, number: Msisdn) -> MutexGuard<'_, ()> {
        let turn = usize::try_from(number.as_u64() % TURNS as u64).unwrap_or(0);
        self.0[turn].lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(
        text: &str,
        verdict: Option<Keyword>,
        before: Option<(OptOutKind, &str)>,
    ) -> Decision {
        decide_of(text, &[], verdict, before)
    }

    fn decide_of(
        text: &str,
        fragments: &[String],
        verdict: Option<Keyword>,
        before: Option<(OptOutKind, &str)>,
    ) -> Decision {
        let organization = OrganizationId::new("ORG_1").expect("valid");
        let connection = ConnectionId::new("C_1").expect("valid");
        let number = Msisdn::parse("+353861234567").expect("valid");
        let before = before.map(|(kind, evidence)| OptOutChange {
            organization_id: organization.clone(),
            number,
            kind,
            at: Timestamp::from_millis(1),
            sender: None,
            source: OptOutSource::Keyword,
            connection_id: None,
            evidence: evidence.to_owned(),
        });
        let wish = Wish {
            organization: &organization,
            number,
            name: "twilio-sms:SM2",
            text,
            fragments,
            provider_verdict: verdict,
            received_at: Timestamp::from_millis(2)..=Timestamp::from_millis(2),
            connection: &connection,
        };
        wish.decide(before)
    }

    fn written(decision: Decision) -> (OptOutKind, String, bool) {
        match decision.step {
            Step::Write { change, begins } => (change.kind, change.evidence, begins),
            step => panic!("{step:?} writes nothing"),
        }
    }

    use OptOutKind::{OptIn, OptOut};

    #[test]
    fn a_first_stop_begins_and_is_its_own_evidence() {
        let decision = decide("STOP", None, None);
        assert_eq!(decision.keyword, Keyword::OptOut);
        assert_eq!(written(decision), (OptOut, "twilio-sms:SM2".into(), true));
    }

    #[test]
    fn a_second_stop_begins_nothing_and_keeps_the_first_ones_evidence() {
        let decision = decide("stop", None, Some((OptOut, "twilio-sms:SM1")));
        assert_eq!(written(decision), (OptOut, "twilio-sms:SM1".into(), false));
    }

    #[test]
    fn a_stop_that_is_worked_on_again_knows_its_own_change() {
        let decision = decide("stop", None, Some((OptOut, "twilio-sms:SM2")));
        assert!(matches!(decision.step, Step::Done(_)));
    }

    #[test]
    fn yes_brings_back_only_who_is_out_and_still_does_when_it_is_worked_on_again() {
        assert_eq!(decide("yes", None, None).keyword, Keyword::None);
        assert_eq!(
            decide("yes", None, Some((OptIn, "x"))).keyword,
            Keyword::None
        );
        let back = decide("yes", None, Some((OptOut, "x")));
        assert_eq!(written(back), (OptIn, "twilio-sms:SM2".into(), true));
        assert_eq!(
            decide("yes", None, Some((OptIn, "twilio-sms:SM2"))).keyword,
            Keyword::OptIn
        );
    }

    #[test]
    fn a_start_of_somebody_who_never_left_is_written_but_begins_nothing() {
        assert_eq!(
            written(decide("START", None, None)),
            (OptIn, String::new(), false)
        );
    }

    #[test]
    fn of_a_stop_and_a_start_within_one_second_the_stop_holds() {
        let (second, end) = (Timestamp::from_millis(5_000), Timestamp::from_millis(5_999));
        let organization = OrganizationId::new("ORG_1").expect("valid");
        let connection = ConnectionId::new("C_1").expect("valid");
        let at = |text| {
            let wish = Wish {
                organization: &organization,
                number: Msisdn::parse("+353861234567").expect("valid"),
                name: "vonage-sms:1",
                text,
                fragments: &[],
                provider_verdict: None,
                received_at: second..=end,
                connection: &connection,
            };
            match wish.decide(None).step {
                Step::Write { change, .. } => change.at,
                step => panic!("{step:?} writes nothing"),
            }
        };
        assert_eq!((at("STOP"), at("START")), (end, second));
    }

    #[test]
    fn the_providers_verdict_wins_over_the_text() {
        let decision = decide("Baja ya", Some(Keyword::OptOut), None);
        assert_eq!(decision.keyword, Keyword::OptOut);
        let decision = decide("STOP", Some(Keyword::Help), None);
        assert_eq!(
            decision,
            Decision {
                keyword: Keyword::Help,
                step: Step::Nothing
            }
        );
    }

    #[test]
    fn a_refusal_that_stands_alone_in_what_arrived_of_a_message_counts() {
        let fragments = ["STOP".to_owned(), " and more".to_owned()];
        let text = "STOP… and more";
        assert_eq!(decide(text, None, None).keyword, Keyword::None);
        let decision = decide_of(text, &fragments, None, None);
        assert_eq!(decision.keyword, Keyword::OptOut);
        let others = ["HELP".to_owned(), "START".to_owned()];
        let decision = decide_of("HELP…START", &others, None, None);
        assert_eq!(decision.keyword, Keyword::None);
    }

    #[test]
    fn help_and_ordinary_answers_change_nothing() {
        for text in ["HELP", "", "4", "stop by tomorrow"] {
            assert_eq!(
                decide(text, None, Some((OptOut, "x"))).step,
                Step::Nothing,
                "{text}"
            );
        }
    }
}

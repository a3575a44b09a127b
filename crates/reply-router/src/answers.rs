//! The texts that the fleet itself sends back: one confirmation of an opt-out, one welcome after an
//! opt-in, and help. Each is a batch of one with a name made of the message it answers, so that
//! working on that message twice does not answer twice.

use std::time::Duration;

use backing::fingerprint;
use bus::{Outgoing, Route, queue};
use message::{
    Batch, BatchId, Connection, ConnectionId, DistributionId, DoubtPolicy, Method, Msisdn,
    OrganizationId, Recipient, Timestamp, batch::InternalBatch, event::Keyword, keywords,
};
use providers::{Capabilities, Inbound};

/// The mailing that answers are counted under.
const DISTRIBUTION: &str = "confirmations";

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Confirmation,
    Welcome,
    Help,
}

impl Answer {
    /// What `keyword` is answered with; `begins` says whether it turned the standing around.
    /// A second STOP gets no second confirmation.
    pub(crate) fn to(keyword: Keyword, begins: bool) -> Option<Self> {
        match keyword {
            Keyword::OptOut if begins => Some(Self::Confirmation),
            Keyword::OptIn if begins => Some(Self::Welcome),
            Keyword::Help => Some(Self::Help),
            Keyword::OptOut | Keyword::OptIn | Keyword::None => None,
        }
    }

    /// The label in metrics, and the first word of the batch id.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirm",
            Self::Welcome => "welcome",
            Self::Help => "help",
        }
    }

    /// Answers to somebody who is opted out, and only those, pass the opt-out check.
    fn exempt(self) -> bool {
        match self {
            Self::Confirmation | Self::Help => true,
            Self::Welcome => false,
        }
    }

    fn text(self, brand: &str) -> String {
        // Doubled braces would be a placeholder that nobody fills.
        let brand: String = brand.chars().filter(|c| !matches!(c, '{' | '}')).collect();
        match self {
            Self::Confirmation => keywords::confirmation(&brand),
            Self::Welcome => keywords::welcome(&brand),
            Self::Help => keywords::help(&brand),
        }
    }
}

/// Whether the provider has answered `inbound` already: it says so by its verdict, or does so for
/// its ordinary numbers. Short codes answer what their owner configured, so there it is ours.
pub(crate) fn answered_by_provider(capabilities: &Capabilities, inbound: &Inbound) -> bool {
    let to = inbound.to.as_deref();
    let ordinary_number = to.is_some_and(|to| to.starts_with('+'));
    inbound.provider_verdict.is_some() || (capabilities.answers_keywords && ordinary_number)
}

/// The connection whose sender was written to. Several may share an account and so a signature:
/// the sender decides, then the pool, then the one that the signature was checked with.
pub(crate) fn connection_to_answer_over<'c>(
    connections: &'c [Connection],
    provider: &str,
    inbound: &Inbound,
    verified_by: &ConnectionId,
) -> Option<&'c Connection> {
    let usable = || {
        connections
            .iter()
            .filter(|one| one.is_active() && one.provider == provider && one.sender.receives())
    };
    let by_sender = |key: &str| usable().find(|one| one.sender.key() == key);
    let to = inbound.to.as_deref();
    to.and_then(by_sender)
        .or_else(|| by_sender(inbound.service.as_deref()?))
        .or_else(|| usable().find(|one| one.id == *verified_by))
}

/// Whom to answer, and in whose name.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) organization: &'a OrganizationId,
    pub(crate) brand: &'a str,
    pub(crate) connection: &'a ConnectionId,
    pub(crate) number: Msisdn,
    /// Names the message that is answered.
    pub(crate) name: &'a str,
    /// When it came.
    pub(crate) at: Timestamp,
}

/// The answer as a batch for intake, good for `within` after the question.
pub(crate) fn batch(answer: Answer, asked: &Asked<'_>, within: Duration) -> Outgoing {
    let question = fingerprint([asked.name.as_bytes()]);
    let name = format!("{}-{question}", answer.as_str());
    let batch = Batch {
        organization_id: asked.organization.clone(),
        distribution_id: DistributionId::new(DISTRIBUTION).expect("a plain word"),
        batch_id: BatchId::new(&name).expect("a word and hexadecimal digits"),
        method: Method::Interactive,
        text: answer.text(asked.brand),
        recipients: vec![Recipient {
            to: asked.number.e164(),
            fields: Default::default(),
        }],
        expires_at: Some(asked.at.plus(within)),
        on_doubt: DoubtPolicy::Hold,
        max_segments: SEGMENTS_MAX,
        weight: None,
    };
    let internal = InternalBatch {
        batch,
        exempt_from_opt_out: answer.exempt(),
        connection_id: asked.connection.clone(),
    };
    let body = serde_json::to_vec(&internal).expect("batches have string keys only");
    Outgoing::new(Route::Queue(queue::INTERNAL_BATCHES.to_owned()), name, body)
}

/// A brand in a script of its own makes a text of one segment into two, hardly ever three.
const SEGMENTS_MAX: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound(to: &str, verdict: Option<Keyword>) -> Inbound {
        Inbound {
            provider_message_id: "SM1".into(),
            from: "+353861234567".into(),
            to: Some(to.into()),
            service: None,
            text: "STOP".into(),
            parts: 1,
            part: None,
            media: 0,
            answers: None,
            received_at: None,
            provider_verdict: verdict,
        }
    }

    fn capabilities(answers_keywords: bool) -> Capabilities {
        let twilio = providers::provider("twilio-sms").expect("known");
        Capabilities {
            answers_keywords,
            ..*twilio.capabilities()
        }
    }

    #[test]
    fn a_provider_that_answers_for_its_numbers_leaves_short_codes_to_us() {
        let answers = capabilities(true);
        assert!(answered_by_provider(
            &answers,
            &inbound("+13531234567", None)
        ));
        assert!(!answered_by_provider(&answers, &inbound("51234", None)));
    }

    #[test]
    fn a_provider_that_does_not_answer_leaves_all_to_us_but_what_it_judged_itself() {
        let silent = capabilities(false);
        assert!(!answered_by_provider(
            &silent,
            &inbound("+13531234567", None)
        ));
        assert!(answered_by_provider(
            &silent,
            &inbound("51234", Some(Keyword::OptOut))
        ));
    }

    #[test]
    fn only_a_change_is_confirmed_and_help_always_answered() {
        assert_eq!(
            Answer::to(Keyword::OptOut, true),
            Some(Answer::Confirmation)
        );
        assert_eq!(Answer::to(Keyword::OptOut, false), None);
        assert_eq!(Answer::to(Keyword::OptIn, true), Some(Answer::Welcome));
        assert_eq!(Answer::to(Keyword::OptIn, false), None);
        assert_eq!(Answer::to(Keyword::Help, false), Some(Answer::Help));
        assert_eq!(Answer::to(Keyword::None, false), None);
    }

    #[test]
    fn a_brand_can_not_put_a_placeholder_into_the_text() {
        assert!(!Answer::Confirmation.text("{{x}} Corp").contains('{'));
    }
}

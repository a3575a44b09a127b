//! One inbound message, from being new to everything that has to be told about it.

use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use backing::{callbacks::Taken, news, patience::Undone};
use bus::{Outgoing, RetryTier};
use ledger::Conversation;
use message::{
    Msisdn, OrganizationId, Reference, Timestamp,
    callback::Callback,
    event::Keyword,
    keywords,
    opt_out::{OptOutChange, OptOutKind, Standing},
};
use providers::{Inbound, Provider};

use crate::{
    answers::{self, Answer, Asked},
    events::{self, Matched, keyword_word},
    group::Groups,
    parts::{self, Heard, Message},
    standing::{Step, Wish},
};

/// What became of one inbound message.
#[derive(Default)]
pub(crate) struct Handled {
    /// What is to be published.
    pub(crate) out: Vec<Outgoing>,
    /// What is to be remembered once that is confirmed: the owner and the names of the message.
    pub(crate) seen: Vec<(OrganizationId, String)>,
    /// It waits for so long.
    pub(crate) parked: Option<RetryTier>,
}

/// How long a reply that answers nothing waits: what it answers may not have been written down yet.
const UNMATCHED_WAIT: RetryTier = RetryTier::S5;

/// A provider's own time of receipt that is older is not believed.
const RECEIVED_AGO_MAX: Duration = Duration::from_secs(24 * 3600);

/// A message's keyword, and the change that it made, if it made one.
struct Judged {
    keyword: Keyword,
    began: Option<OptOutChange>,
}

impl Groups {
    /// Works on an inbound message. When this returns, its opt-out is in force; nothing is told yet.
    pub(crate) async fn inbound(
        &self,
        taken: &Taken,
        provider: &'static dyn Provider,
        inbound: Inbound,
    ) -> Result<Handled, Undone> {
        let callback = &taken.callback;
        let owner = &callback.organization_id;
        let name_of = |id: &str| format!("{}:{id}", provider.slug());
        let name = name_of(&inbound.provider_message_id);
        let count = |outcome| {
            self.metrics
                .inbound
                .with_label_values(&[provider.slug(), outcome])
                .inc();
        };
        if self
            .patience
            .ledger(|| self.ledger.was_seen(owner, &name))
            .await?
        {
            count("duplicate");
            return Ok(Handled::default());
        }
        let mut message = match self.hear(owner, inbound, name_of, taken.parked > 0).await? {
            Heard::Message(message) => message,
            Heard::Waits => {
                count("waits");
                return Ok(Handled {
                    parked: Some(parts::WAIT),
                    ..Handled::default()
                });
            }
            Heard::Elsewhere => {
                count("joined");
                return Ok(Handled::default());
            }
        };
        if message.is_incomplete() {
            count("incomplete");
        }
        let name = name_of(&message.ids[0]);
        if message.inbound.to.is_none() {
            message.inbound.to = self.senders_key(callback).await?;
        }
        let inbound = &message.inbound;
        // A writer without a number (a short code, a name) can neither opt out nor be answered.
        let number = Msisdn::parse(&inbound.from).ok();
        let matched = match number {
            Some(number) => self.matched(owner, inbound, number).await?,
            None => None,
        };
        let judged = self
            .judge(&name, callback, &message, number, matched.as_ref())
            .await?;
        let mut out = Vec::new();
        if let Some(change) = &judged.began {
            if taken.parked == 0 {
                let word = news::word(change.kind);
                self.metrics.opt_outs.with_label_values(&[word]).inc();
            }
            let distribution = matched
                .as_ref()
                .map(|matched| &matched.batch.distribution_id);
            out.push(news::opt_out(change.clone(), distribution, Some(&name)));
        }
        if matched.is_none() && number.is_some() && taken.parked == 0 {
            count("parked");
            // The change is told before the wait, and once more after it with the distribution: a
            // START that comes in between would otherwise be all that anybody hears.
            return Ok(Handled {
                out,
                parked: Some(UNMATCHED_WAIT),
                ..Handled::default()
            });
        }
        count(if matched.is_some() {
            "matched"
        } else {
            "unmatched"
        });
        self.metrics
            .keywords
            .with_label_values(&[keyword_word(judged.keyword)])
            .inc();
        if let Some(number) = number {
            let answer = self.answer(
                &name,
                callback,
                provider,
                inbound,
                number,
                matched.as_ref(),
                &judged,
            );
            out.extend(answer.await?);
        }
        let seen = message.ids.iter().map(|id| (owner.clone(), name_of(id)));
        let seen = seen.collect();
        let (matched, keyword) = (matched.as_ref(), judged.keyword);
        out.push(events::reply(
            &name, callback, *message, owner, matched, keyword,
        ));
        Ok(Handled {
            out,
            seen,
            parked: None,
        })
    }

    /// The sender of the connection that the callback came over.
    pub(crate) async fn senders_key(&self, callback: &Callback) -> Result<Option<String>, Undone> {
        let connection = self
            .patience
            .ledger(|| self.ledger.connection(&callback.connection_id))
            .await?;
        Ok(connection.map(|connection| connection.sender.key()))
    }

    /// The message that the provider says is answered; else the latest to `number` from the sender
    /// that was written to, or from its pool.
    async fn matched(
        &self,
        owner: &OrganizationId,
        inbound: &Inbound,
        number: Msisdn,
    ) -> Result<Option<Matched>, Undone> {
        let answers = inbound.answers.as_deref();
        if let Some(reference) = answers.and_then(|reference| reference.parse().ok())
            && let Some(matched) = self.answered(owner, reference, number).await?
        {
            return Ok(Some(matched));
        }
        let mut latest = None;
        for sender in [inbound.to.as_ref(), inbound.service.as_ref()]
            .into_iter()
            .flatten()
        {
            let found = self
                .patience
                .ledger(|| self.ledger.latest_message(owner, sender, number))
                .await?;
            // A number can send by itself and in a pool: whatever was sent last is answered.
            latest = latest
                .into_iter()
                .chain(found)
                .max_by_key(|one| one.sent_at);
        }
        let Some(conversation) = latest else {
            return Ok(None);
        };
        let key = conversation.reference.batch;
        let batch = self.patience.ledger(|| self.ledger.batch(key)).await?;
        Ok(batch.map(|batch| Matched {
            conversation,
            batch,
        }))
    }

    /// The message of this reference, if it went to `number` and `owner` may speak of it: as the one
    /// whose it was, or as the owner of the connection that carried it.
    async fn answered(
        &self,
        owner: &OrganizationId,
        reference: Reference,
        number: Msisdn,
    ) -> Result<Option<Matched>, Undone> {
        let Reference { batch: key, row } = reference;
        let Some(batch) = self.patience.ledger(|| self.ledger.batch(key)).await? else {
            return Ok(None);
        };
        let rows = self
            .patience
            .ledger(|| self.ledger.rows(key, row, 1))
            .await?;
        let row = rows.into_iter().find(|known| known.row == row);
        let Some(row) = row.filter(|row| row.to == Some(number.masked())) else {
            return Ok(None);
        };
        let (Some(sent_at), Some(carrier)) = (row.claimed_at, row.connection_id) else {
            return Ok(None);
        };
        if batch.organization_id != *owner {
            let carrier = self
                .patience
                .ledger(|| self.ledger.connection(&carrier))
                .await?;
            if carrier.is_none_or(|carrier| carrier.organization_id != *owner) {
                return Ok(None);
            }
        }
        let conversation = Conversation { reference, sent_at };
        Ok(Some(Matched {
            conversation,
            batch,
        }))
    }

    /// Reads the keyword and writes down what it changes.
    async fn judge(
        &self,
        name: &str,
        callback: &Callback,
        message: &Message,
        number: Option<Msisdn>,
        matched: Option<&Matched>,
    ) -> Result<Judged, Undone> {
        let inbound = &message.inbound;
        let Some(number) = number else {
            let keyword = inbound
                .provider_verdict
                .unwrap_or_else(|| keywords::verdict(&inbound.text, false));
            return Ok(Judged {
                keyword,
                began: None,
            });
        };
        let organization = matched.map_or(&callback.organization_id, |matched| {
            &matched.batch.organization_id
        });
        let wish = Wish {
            organization,
            number,
            name,
            text: &inbound.text,
            fragments: &message.fragments,
            provider_verdict: inbound.provider_verdict,
            received_at: received_at(inbound, callback),
            connection: &callback.connection_id,
        };
        let _turn = self.turns.of(number).await;
        let decision = wish.decide(self.standing(organization, number).await?);
        let began = match decision.step {
            Step::Nothing => None,
            Step::Done(change) => Some(change),
            Step::Write { change, begins } => {
                let in_force = self.write(&change, callback).await?;
                Some(change).filter(|_| begins && in_force)
            }
        };
        Ok(Judged {
            keyword: decision.keyword,
            began,
        })
    }

    pub(crate) async fn standing(
        &self,
        organization: &OrganizationId,
        number: Msisdn,
    ) -> Result<Option<Standing>, Undone> {
        let numbers = [number];
        let ask = || self.ledger.standings(organization, &numbers);
        Ok(self
            .patience
            .ledger(ask)
            .await?
            .into_iter()
            .flatten()
            .next())
    }

    /// Whether `change`, which `callback` brought, is in force now: `false` if a later one is known.
    pub(crate) async fn write(
        &self,
        change: &OptOutChange,
        callback: &Callback,
    ) -> Result<bool, Undone> {
        let in_force = self
            .patience
            .ledger(|| self.ledger.change_opt_out(change))
            .await?;
        if change.kind == OptOutKind::OptOut {
            let took = Timestamp::from(SystemTime::now()).since(callback.received_at);
            self.metrics.opt_out_seconds.observe(took.as_secs_f64());
        }
        Ok(in_force)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that is known about one message"
    )]
    async fn answer(
        &self,
        name: &str,
        callback: &Callback,
        provider: &'static dyn Provider,
        inbound: &Inbound,
        number: Msisdn,
        matched: Option<&Matched>,
        judged: &Judged,
    ) -> Result<Option<Outgoing>, Undone> {
        let Some(answer) = Answer::to(judged.keyword, judged.began.is_some()) else {
            return Ok(None);
        };
        let count = |outcome| {
            self.metrics
                .answers
                .with_label_values(&[answer.as_str(), outcome])
                .inc();
        };
        if answers::answered_by_provider(provider.capabilities(), inbound) {
            count("provider_answers");
            return Ok(None);
        }
        let within = self.settings.answer_within;
        // The time of the change, not of this callback: the same answer however often it is made.
        let at = judged
            .began
            .as_ref()
            .map_or(callback.received_at, |change| change.at);
        if Timestamp::from(SystemTime::now()) >= at.plus(within) {
            count("too_late");
            return Ok(None);
        }
        let owner = &callback.organization_id;
        let connections = self
            .patience
            .ledger(|| self.ledger.connections(owner))
            .await?;
        let connection = answers::connection_to_answer_over(
            &connections,
            provider.slug(),
            inbound,
            &callback.connection_id,
        );
        let Some(connection) = connection else {
            count("no_connection");
            return Ok(None);
        };
        let organization = matched.map_or(owner, |matched| &matched.batch.organization_id);
        let settings = self
            .patience
            .ledger(|| self.ledger.organization(organization))
            .await?;
        let brand = settings.brand.as_deref().unwrap_or(organization.as_str());
        let connection = &connection.id;
        let asked = Asked {
            organization,
            brand,
            connection,
            number,
            name,
            at,
        };
        count("sent");
        Ok(Some(answers::batch(answer, &asked, within)))
    }
}

/// When the person wrote, for the order of opt-outs: as the provider says, unless that is in the future
/// or long ago; then when the ingress heard of it.
fn received_at(inbound: &Inbound, callback: &Callback) -> RangeInclusive<Timestamp> {
    let taken_at = callback.received_at;
    let told = inbound
        .received_at
        .filter(|at| *at <= taken_at && taken_at.since(*at) <= RECEIVED_AGO_MAX);
    match told {
        Some(at) if at.as_millis() % 1_000 == 0 => {
            at..=at.plus(Duration::from_millis(999)).min(taken_at)
        }
        Some(at) => at..=at,
        None => taken_at..=taken_at,
    }
}

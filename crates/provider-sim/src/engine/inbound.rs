//! A person writes: the provider acts on its keywords, then forwards the message to the customer's webhook.

use std::time::SystemTime;

use anyhow::{Context, bail};

use super::accounts::Account;
use super::ids::Number;
use super::messages::View;
use super::phone::e164;
use super::replies::Keyword;
use super::{Engine, Provider};
use crate::chance::{Dice, Subject};
use crate::locked;
use crate::webhook::{PostFailed, Posted};

/// A message from a person to one of an account's numbers.
#[derive(Debug)]
pub(crate) struct FromPerson<'a, D> {
    /// What the provider's name for it is written from; each part of a long text may have its own.
    pub number: Number,
    /// As it was given: E.164 with `+`, or whatever a carrier makes of a sender without a number.
    pub from: &'a str,
    /// The account's number, short code or keyword number.
    pub to: &'a str,
    pub text: &'a str,
    /// The account's last message to this person from that number, which this seems to answer.
    pub answers: Option<View<D>>,
    pub keyword: Option<Keyword>,
    /// Whether the provider says that it answered the keyword itself.
    pub declared: bool,
    pub at: SystemTime,
}

/// What the provider itself does about a keyword.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct KeywordEffect {
    /// What a STOP blocks and a START frees: a sender, a service, or `""` for the whole account. `None`: nothing.
    pub scope: Option<String>,
    /// Whether the provider answers by itself and declares it to the customer.
    pub declared: bool,
    /// Whether the customer is told of it a second time, under another name than the message's.
    pub told_apart: bool,
}

impl<P: Provider> Engine<P> {
    /// Delivers what somebody wrote to `to`, which may be a number of any account or what a number is an alias of.
    pub(super) async fn inbound_from(
        &self,
        from: &str,
        to: &str,
        text: &str,
    ) -> anyhow::Result<u16> {
        let person = e164(from);
        let talks = |account: &Account<P::Account>| self.conversation(account, person?, to);
        let account = (self.accounts.iter())
            .find(|account| account.lists(to))
            .or_else(|| {
                self.accounts
                    .iter()
                    .find(|account| talks(account).is_some())
            })
            .or_else(|| self.accounts.iter().find(|account| account.owns(to)))
            .with_context(|| format!("no account of the twin has the sender {to}"))?;
        let answers = talks(account);
        let sender = answers
            .as_ref()
            .map_or(to.to_owned(), |message| message.sender.to_string());
        let number = (self.provider)
            .receives_on(account, &sender, person.unwrap_or_default())
            .with_context(|| format!("{to} is a one-way sender: nobody can write to it"))?;
        let posted = self.deliver(account, from, &number, answers, text).await;
        let Some(posted) = posted else {
            bail!(
                "account {} has no inbound webhook",
                crate::TwinAccount::name(&account.settings)
            )
        };
        match posted.outcome {
            Ok(answer) => Ok(answer.status),
            Err(PostFailed::Connect) => bail!("the inbound webhook does not answer"),
            Err(PostFailed::Timeout) => bail!("the inbound webhook does not answer in time"),
        }
    }

    /// The last message of the account to a person from `to`, or from what `to` is an alias of.
    fn conversation(
        &self,
        account: &Account<P::Account>,
        person: u64,
        to: &str,
    ) -> Option<View<P::Details>> {
        let messages = locked(&self.messages);
        messages
            .newest_first(account.number, Some(person), None)
            .filter_map(|id| messages.view(id))
            .find(|message| &*message.sender == to || P::alias(&message.details) == Some(to))
    }

    /// Acts on a keyword, forwards the message, books the answers. `None` without a webhook; else the first post that
    /// failed, or the first.
    pub(super) async fn deliver(
        &self,
        account: &Account<P::Account>,
        from: &str,
        to: &str,
        answers: Option<View<P::Details>>,
        text: &str,
    ) -> Option<Posted> {
        let _busy = self.schedule.busy();
        let person = e164(from);
        let audit = &self.stage.audit;
        let mut message = FromPerson {
            number: locked(&self.messages).inbound_number(),
            from,
            to,
            text,
            answers,
            keyword: P::KEYWORDS.of(text),
            declared: false,
            at: SystemTime::now(),
        };
        let mut names = 1;
        if let Some(keyword) = message.keyword {
            let effect = self.provider.keyword_effect(account, &message, keyword);
            message.declared = effect.declared;
            names += u64::from(effect.told_apart);
            // Blocked first and told afterwards: a request may be refused before the customer knows why.
            if let (Some(person), Some(scope)) = (person, effect.scope)
                && keyword != Keyword::Help
            {
                let stops = keyword == Keyword::Stop;
                locked(&self.messages).set_blocked(account.number, person, &scope, stops);
            }
            if let (Some(person), Keyword::Start) = (person, keyword) {
                audit.stop_lifted(account.number, person);
            }
            audit.count(|totals| {
                let word = keyword.word().to_owned();
                *totals.inbound.keywords.entry(word).or_default() += 1;
                totals.inbound.answered_by_provider += u64::from(effect.declared);
            });
        }
        let posted = self.forward(account, person, &message).await;
        if posted.is_none() {
            audit.count(|totals| totals.inbound.no_webhook += 1);
        }
        let posted = posted?;
        if posted.is_success() {
            audit.count(|totals| totals.inbound.acknowledged += names);
        }
        if let (Some(person), Some(Keyword::Stop), true) =
            (person, message.keyword, posted.is_success())
        {
            audit.stop_acknowledged(account.number, person, SystemTime::now());
        }
        Some(posted)
    }

    /// Posts the callbacks of one message. Only where there are several are they sent out of order and twice, because the
    /// behaviour's rates speak of receipts.
    async fn forward(
        &self,
        account: &Account<P::Account>,
        person: Option<u64>,
        message: &FromPerson<'_, P::Details>,
    ) -> Option<Posted> {
        let behaviour = self.stage.behaviour.get();
        let dice = Dice(behaviour.seed);
        let subject = Subject {
            recipient: person.unwrap_or_default(),
            reference: message.text,
            turn: 0,
        };
        let mut callbacks = self
            .provider
            .inbound(account, message, &behaviour.signature);
        let several = callbacks.len() > 1;
        if several && dice.roll("reorder inbound", subject) < behaviour.reorder_rate {
            callbacks.reverse();
        }
        let mut worst: Option<Posted> = None;
        for (callback, turn) in callbacks.iter().zip(1..) {
            let own = Subject { turn, ..subject };
            let again =
                several && dice.roll("duplicate inbound", own) < behaviour.duplicate_receipt_rate;
            for time in 0..=u8::from(again) {
                let pause = behaviour.callback_retry_pause;
                let posted = self.stage.poster.post(callback, pause).await;
                let unreadable = posted
                    .outcome
                    .as_ref()
                    .is_ok_and(|answer| answer.is_success() && !self.provider.understands(answer));
                self.stage.audit.count(|totals| {
                    posted.count(1, &mut totals.inbound.posts);
                    totals.inbound.posts.duplicated += u64::from(time);
                    totals.inbound.unreadable_answers += u64::from(unreadable);
                });
                if worst.as_ref().is_none_or(Posted::is_success) {
                    worst = Some(match worst {
                        Some(first) if posted.is_success() => first,
                        _ => posted,
                    });
                }
            }
        }
        worst
    }
}

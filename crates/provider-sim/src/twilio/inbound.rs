//! A person writes: Twilio acts on its keywords, then forwards the message to the customer's webhook.

use std::time::SystemTime;

use anyhow::{Context, bail, ensure};

use super::accounts::{Account, is_number};
use super::form::e164;
use super::keywords::Keyword;
use super::overrides;
use super::signature::{self, Parameters};
use super::{Twilio, retry_headers};
use crate::locked;
use crate::segments;
use crate::webhook::{Answer, Post, PostFailed, Posted};

/// A message from a person to one of an account's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromPerson<'a> {
    pub from: &'a str,
    pub to: &'a str,
    /// The service that the number belongs to, if the conversation or the settings say so.
    pub service: Option<&'a str>,
    pub body: &'a str,
}

impl Twilio {
    /// Delivers what somebody wrote to `to`, a number of any account or a service.
    pub(crate) async fn inbound_from(
        &self,
        from: &str,
        to: &str,
        body: &str,
    ) -> anyhow::Result<u16> {
        let person = e164(from);
        let talks = |account: &Account| {
            let store = locked(&self.messages);
            person.and_then(|person| {
                let known =
                    store.conversation(account.number, person, is_number(to).then_some(to))?;
                let fits = is_number(to) || known.service.as_deref() == Some(to);
                fits.then_some((known.sender, known.service))
            })
        };
        let listed = |account: &&Account| account.settings.senders.iter().any(|own| own == to);
        let anyone = |account: &&Account| account.settings.senders.is_empty();
        let account = (self.accounts.iter().find(listed))
            .or_else(|| {
                self.accounts
                    .iter()
                    .find(|account| talks(account).is_some())
            })
            .or_else(|| self.accounts.iter().find(anyone))
            .with_context(|| format!("no account of the twin has the sender {to}"))?;
        let (number, service) = match talks(account) {
            Some((sender, service)) => (sender.to_string(), service.map(|sid| sid.to_string())),
            None if to.starts_with("MG") => (
                account.pool_number(person.unwrap_or_default()).to_owned(),
                Some(to.to_owned()),
            ),
            None => (to.to_owned(), None),
        };
        ensure!(
            is_number(&number),
            "{to} is a one-way sender: nobody can write to it"
        );
        let service = service.as_deref().or(account.service_of(&number));
        let message = FromPerson {
            from,
            to: &number,
            service,
            body,
        };
        let posted = self.deliver_inbound(account, message).await;
        let Some(posted) = posted else {
            bail!(
                "account {} has no inbound webhook",
                account.settings.account_sid
            )
        };
        match posted.outcome {
            Ok(answer) => Ok(answer.status),
            Err(PostFailed::Connect) => bail!("the inbound webhook does not answer"),
            Err(PostFailed::Timeout) => bail!("the inbound webhook does not answer in time"),
        }
    }

    /// Acts on a keyword, forwards the message, books the answer. `None` without a webhook.
    pub(crate) async fn deliver_inbound(
        &self,
        account: &Account,
        message: FromPerson<'_>,
    ) -> Option<Posted> {
        let _busy = self.schedule.busy();
        let keyword = Keyword::of(message.body);
        let person = e164(message.from);
        let sid = {
            let mut store = locked(&self.messages);
            // Twilio blocks first and tells afterwards, so a request may be refused before the customer knows why.
            if let (Some(person), Some(keyword)) = (person, keyword) {
                let scope = message.service.unwrap_or(message.to);
                match keyword {
                    Keyword::Stop => store.set_blocked(account.number, person, scope, true),
                    Keyword::Start => store.set_blocked(account.number, person, scope, false),
                    Keyword::Help => {}
                }
            }
            store.inbound_sid()
        };
        if let (Some(person), Some(Keyword::Start)) = (person, keyword) {
            self.stage.audit.stop_lifted(account.number, person);
        }
        let declared =
            keyword.filter(|_| account.settings.advanced_opt_out && message.service.is_some());
        self.stage.audit.count(|totals| {
            if let Some(keyword) = keyword {
                *totals
                    .inbound
                    .keywords
                    .entry(keyword.word().to_owned())
                    .or_default() += 1;
            }
            totals.inbound.answered_by_provider += u64::from(declared.is_some());
            totals.inbound.no_webhook += u64::from(account.settings.inbound_webhook.is_none());
        });
        let (url, policy) = overrides::split(account.settings.inbound_webhook.as_deref()?);
        let parameters = parameters(&sid, &account.settings.account_sid, message, declared);
        let behaviour = self.stage.behaviour.get();
        let signed = signature::sign(
            &behaviour.signature,
            &account.settings.auth_token,
            url,
            &parameters,
        );
        let post = Post {
            url: signed.url,
            headers: signed.headers,
            body: signed.body,
            retry_headers: retry_headers(),
        };
        let posted = self.stage.poster.post(&post, &policy).await;
        let unreadable = posted
            .outcome
            .as_ref()
            .is_ok_and(|answer| answer.is_success() && !is_twiml(answer));
        self.stage.audit.count(|totals| {
            posted.count(&mut totals.inbound.posts);
            totals.inbound.unreadable_answers += u64::from(unreadable);
        });
        if let (Some(person), Some(Keyword::Stop), true) = (person, keyword, posted.is_success()) {
            self.stage
                .audit
                .stop_acknowledged(account.number, person, SystemTime::now());
        }
        Some(posted)
    }
}

fn parameters(
    sid: &str,
    account_sid: &str,
    message: FromPerson<'_>,
    declared: Option<Keyword>,
) -> Parameters {
    let text = |value: &str| value.to_owned();
    let mut parameters = vec![
        ("ToCountry", String::new()),
        ("ToState", String::new()),
        ("SmsMessageSid", text(sid)),
        ("NumMedia", text("0")),
        ("ToCity", String::new()),
        ("FromZip", String::new()),
        ("SmsSid", text(sid)),
        ("FromState", String::new()),
        ("SmsStatus", text("received")),
        ("FromCity", String::new()),
        ("Body", text(message.body)),
        ("FromCountry", String::new()),
        ("To", text(message.to)),
    ];
    if let Some(service) = message.service {
        parameters.push(("MessagingServiceSid", text(service)));
    }
    if let Some(keyword) = declared {
        parameters.push(("OptOutType", text(keyword.word())));
    }
    parameters.extend([
        ("ToZip", String::new()),
        ("NumSegments", segments::count(message.body).to_string()),
        ("MessageSid", text(sid)),
        ("AccountSid", text(account_sid)),
        ("From", text(message.from)),
        ("ApiVersion", text("2010-04-01")),
    ]);
    parameters
}

/// Twilio takes XML or nothing; anything else is error 12300 in the customer's console.
fn is_twiml(answer: &Answer) -> bool {
    answer.body.is_empty()
        || answer
            .content_type
            .as_deref()
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| matches!(kind.trim(), "text/xml" | "application/xml"))
}

//! A customer for any provider: an account at its twin whose webhooks point at a fleet's ingress, and the connection that
//! the fleet has to be given for it. So demos, tests and people who try something out need not know seven accounts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::behaviour::TwinBehaviour;
use crate::infobip::{InfobipAccount, InfobipTwin};
use crate::link_mobility::{LinkMobilityAccount, LinkMobilityTwin};
use crate::messagebird::{MessageBirdAccount, MessageBirdTwin};
use crate::messagemedia::{MessageMediaAccount, MessageMediaTwin};
use crate::running::{RunningTwin, merge};
use crate::settings::{AccountLimits, TwinAccount, TwinSettings};
use crate::sinch::{SinchAccount, SinchTwin};
use crate::twilio::{TwilioAccount, TwilioTwin};
use crate::vonage::{VonageAccount, VonageTwin};

/// The slugs of all providers that have a twin, in the order of the alphabet.
pub const PROVIDERS: [&str; 7] = [
    "infobip-sms",
    "link-mobility",
    "messagebird",
    "messagemedia",
    "sinch",
    "twilio-sms",
    "vonage-sms",
];

/// Who opens an account.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The organisation, as it stands in the paths of its webhooks.
    pub organization: String,
    /// Where the fleet's ingress is, as the twin reaches it; no slash at the end.
    pub ingress_url: String,
    /// Goes into every secret of the account: something that nobody guesses, or that a test searches its logs for.
    pub secret: String,
    /// How much the account may ask at once.
    pub limits: AccountLimits,
}

/// A twin with an account, and what the fleet has to be told of it.
#[derive(Debug)]
pub struct Connected {
    /// The twin.
    pub twin: RunningTwin,
    /// The connection.
    pub connection: ConnectionForm,
}

/// A connection as `POST /v1/connections` takes it.
#[derive(Clone, Debug)]
pub struct ConnectionForm {
    /// The provider's slug.
    pub provider: &'static str,
    /// Who the messages are from, as the provider's form wants it written.
    pub sender: String,
    /// The same as the twin's people write it when they answer.
    pub number: String,
    /// The fields of the provider's form; those that name a host name the twin.
    pub fields: BTreeMap<String, String>,
}

/// Digits of the number that all customers send from; reserved for examples.
const SENDER: &str = "12025550100";

/// Opens an account for `customer` at a new twin of `provider`.
///
/// # Errors
/// If there is no such provider, or its twin does not start.
pub async fn connect(
    provider: &str,
    listen: SocketAddr,
    customer: &Customer,
    behaviour: TwinBehaviour,
) -> anyhow::Result<Connected> {
    connect_with(provider, listen, customer, behaviour, Map::new()).await
}

/// The same with settings of the account as they stand in a file, merged into what the customer has. The connection is made
/// before that, so nothing here should be what the fleet has to know.
///
/// # Errors
/// As [`connect`], or the account has no such setting.
pub async fn connect_with(
    provider: &str,
    listen: SocketAddr,
    customer: &Customer,
    behaviour: TwinBehaviour,
    special: Map<String, Value>,
) -> anyhow::Result<Connected> {
    let slug = PROVIDERS
        .into_iter()
        .find(|known| *known == provider)
        .with_context(|| {
            format!(
                "no twin of {provider:?}; there are {}",
                PROVIDERS.join(", ")
            )
        })?;
    let Customer { secret, limits, .. } = customer;
    let limits = *limits;
    let (status, message) = (
        customer.webhook("status", slug),
        customer.webhook("message", slug),
    );
    let plus = match slug {
        "link-mobility" | "messagemedia" | "twilio-sms" => "+",
        _ => "",
    };
    let number = format!("{plus}{SENDER}");
    let senders = vec![number.clone()];
    let (twin, fields) = match slug {
        "infobip-sms" => {
            let account = InfobipAccount {
                senders,
                limits,
                status_webhook: Some(status),
                inbound_webhook: Some(message),
                webhook_username: "smsfleet-hook".to_owned(),
                webhook_password: format!("hook:{secret}"),
                ..InfobipAccount::new(&customer.organization, format!("key-{secret}"))
            };
            let fields = [
                ("api_key", account.api_key.clone()),
                ("base_url", "twin.api.infobip.com".to_owned()),
                ("webhook_username", account.webhook_username.clone()),
                ("webhook_password", account.webhook_password.clone()),
            ];
            let fields = form(fields, ["test_base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (InfobipTwin::start(settings).await?, fields)
        }
        "link-mobility" => {
            let account = LinkMobilityAccount {
                platform_id: "COMMON_API".to_owned(),
                platform_partner_id: "30978".to_owned(),
                gate_id: "BVldZyQt".to_owned(),
                senders,
                limits,
                status_url: Some(status),
                message_url: Some(message),
                ..LinkMobilityAccount::new(&customer.organization, format!("pass:{secret}"))
            };
            let fields = [
                ("username", account.username.clone()),
                ("password", account.password.clone()),
                ("platform_id", account.platform_id.clone()),
                ("platform_partner_id", account.platform_partner_id.clone()),
                ("endpoint_host", "wsx.sp247.net".to_owned()),
                ("gate_id", account.gate_id.clone()),
            ];
            let fields = form(fields, ["base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (LinkMobilityTwin::start(settings).await?, fields)
        }
        "messagebird" => {
            let account = MessageBirdAccount {
                senders,
                limits,
                // As the product's help page tells its users.
                status_webhook: Some(customer.webhook("status", "twilio-sms")),
                inbound_webhook: Some(customer.webhook("message", "twilio-sms")),
                ..MessageBirdAccount::new(
                    &customer.organization,
                    format!("live_{secret}"),
                    format!("sign-{secret}"),
                )
            };
            let fields = [
                ("access_key", account.access_key.clone()),
                ("signing_key", account.signing_key.clone()),
            ];
            let fields = form(fields, ["base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (MessageBirdTwin::start(settings).await?, fields)
        }
        "messagemedia" => {
            let account = MessageMediaAccount {
                senders,
                limits,
                account_webhook: Some(message),
                ..MessageMediaAccount::new(&customer.organization, format!("pass:{secret}"))
                    .with_new_key()?
            };
            let public_key = account
                .public_key()?
                .context("the account has just got a key")?;
            let fields = [
                ("username", account.username.clone()),
                ("password", account.password.clone()),
                ("webhook_public_key", public_key),
            ];
            let fields = form(fields, ["base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (MessageMediaTwin::start(settings).await?, fields)
        }
        "sinch" => {
            let account = SinchAccount {
                webhook_secret: format!("hook-{secret}"),
                senders,
                limits,
                status_webhook: Some(status),
                inbound_webhook: Some(message),
                ..SinchAccount::new(
                    "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
                    "01HW9Z3K5N7Q2R4S6T8V0X1Y2Z",
                    format!("client-{}", customer.organization),
                    format!("secret-{secret}"),
                )
            };
            let fields = [
                ("client_id", account.client_id.clone()),
                ("client_secret", account.client_secret.clone()),
                ("region", "eu".to_owned()),
                ("project_id", account.project_id.clone()),
                ("app_id", account.app_id.clone()),
                ("webhook_secret", account.webhook_secret.clone()),
            ];
            let fields = form(fields, ["base_url", "batch_base_url", "auth_base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (SinchTwin::start(settings).await?, fields)
        }
        "twilio-sms" => {
            let account = TwilioAccount {
                senders,
                limits,
                // Twilio's overrides, as an administrator is told to paste them: a restart is bridged.
                inbound_webhook: Some(format!("{message}#rc=4&rp=all")),
                ..TwilioAccount::new(
                    "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e",
                    format!("token-{secret}"),
                )
            };
            let fields = [
                ("account_sid", account.account_sid.clone()),
                ("auth_token", account.auth_token.clone()),
            ];
            let fields = form(fields, ["base_url"]);
            let settings = settings(listen, account, behaviour, special)?;
            (TwilioTwin::start(settings).await?, fields)
        }
        "vonage-sms" => {
            let account = VonageAccount {
                signature_secret: Some(format!("sign-{secret}")),
                senders,
                limits,
                status_webhook: Some(status),
                inbound_webhook: Some(message),
                ..VonageAccount::new("a1b2c3d4", &secret.chars().take(32).collect::<String>())
            };
            let fields = [
                ("account_sid", account.api_key.clone()),
                ("auth_token", account.api_secret.clone()),
                (
                    "signature_secret",
                    account.signature_secret.clone().unwrap_or_default(),
                ),
            ];
            let fields = form(
                fields,
                ["base_url", "messages_base_url", "reports_base_url"],
            );
            let settings = settings(listen, account, behaviour, special)?;
            (VonageTwin::start(settings).await?, fields)
        }
        other => bail!("no twin of {other:?}"),
    };
    let base_url = twin.base_url();
    let fields = fields
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_else(|| base_url.clone())))
        .collect();
    Ok(Connected {
        connection: ConnectionForm {
            provider: slug,
            sender: number.clone(),
            number,
            fields,
        },
        twin,
    })
}

/// Starts a twin of `provider` with settings of its own, as they stand in a file.
///
/// # Errors
/// Names the setting that is wrong.
pub async fn start(provider: &str, text: Value) -> anyhow::Result<RunningTwin> {
    match provider {
        "infobip-sms" => InfobipTwin::start(read(text)?).await,
        "link-mobility" => LinkMobilityTwin::start(read(text)?).await,
        "messagebird" => MessageBirdTwin::start(read(text)?).await,
        "messagemedia" => MessageMediaTwin::start(read(text)?).await,
        "sinch" => SinchTwin::start(read(text)?).await,
        "twilio-sms" => TwilioTwin::start(read(text)?).await,
        "vonage-sms" => VonageTwin::start(read(text)?).await,
        other => bail!("no twin of {other:?}; there are {}", PROVIDERS.join(", ")),
    }
}

fn read<A: TwinAccount + DeserializeOwned>(text: Value) -> anyhow::Result<TwinSettings<A>> {
    let settings: TwinSettings<A> = serde_json::from_value(text)?;
    settings.check()?;
    Ok(settings)
}

impl Customer {
    fn webhook(&self, kind: &str, slug: &str) -> String {
        let Self {
            organization,
            ingress_url,
            ..
        } = self;
        format!(
            "{ingress_url}/distribution-providers/v1/receive/distribution/{kind}/{slug}/{organization}"
        )
    }
}

fn settings<A: Serialize + DeserializeOwned>(
    listen: SocketAddr,
    account: A,
    behaviour: TwinBehaviour,
    special: Map<String, Value>,
) -> anyhow::Result<TwinSettings<A>> {
    let mut account = serde_json::to_value(account).context("write the account")?;
    merge(&mut account, &Value::Object(special));
    Ok(TwinSettings {
        listen,
        accounts: vec![serde_json::from_value(account).context("read the account")?],
        behaviour,
        ..TwinSettings::default()
    })
}

/// Fields of a form; those of `hosts` are the twin's address, which is not known yet.
fn form<const N: usize, const M: usize>(
    fields: [(&str, String); N],
    hosts: [&str; M],
) -> Vec<(String, Option<String>)> {
    let fields = fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Some(value)));
    fields
        .chain(hosts.into_iter().map(|key| (key.to_owned(), None)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn customer(ingress: SocketAddr) -> Customer {
        Customer {
            organization: "ORG_1".to_owned(),
            ingress_url: format!("http://{ingress}"),
            secret: "0123456789abcdefABCDEF01".to_owned(),
            limits: AccountLimits::default(),
        }
    }

    /// A webhook that takes everything.
    async fn ingress() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(ANYWHERE)
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = axum::Router::new().fallback(|| async { "thanks" });
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn every_provider_has_an_account_for_a_customer_that_people_can_write_to() {
        let customer = customer(ingress().await);
        for provider in PROVIDERS {
            let opened = connect(provider, ANYWHERE, &customer, TwinBehaviour::default()).await;
            let opened = opened.unwrap_or_else(|error| panic!("{provider}: {error:#}"));
            let form = &opened.connection;
            assert_eq!(form.provider, provider);
            let empty = form.fields.iter().find(|(_, value)| value.is_empty());
            assert_eq!(empty, None, "{provider}");
            let written = opened
                .twin
                .send_inbound("+33612345678", &form.number, "Hi")
                .await;
            let status = written.unwrap_or_else(|error| panic!("{provider}: {error:#}"));
            assert_eq!(status, 200, "{provider}");
        }
    }

    #[tokio::test]
    async fn a_special_setting_must_be_one_of_the_account() {
        let with = async |key: &str| {
            let special = Map::from_iter([(key.to_owned(), Value::Bool(true))]);
            let behaviour = TwinBehaviour::default();
            connect_with(
                "link-mobility",
                ANYWHERE,
                &customer(ANYWHERE),
                behaviour,
                special,
            )
            .await
        };
        assert!(with("refuses_whole_requests").await.is_ok());
        assert!(with("refuses_hole_requests").await.is_err());
    }
}

//! `smsfleet twin`: a provider's twin alone, for people who test their own alerts and integrations
//! without sending an SMS.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use message::OrganizationId;
use provider_sim::{
    AccountLimits, RunningTwin, TwinBehaviour,
    customers::{self, ConnectionForm, Customer, PROVIDERS},
};
use reqwest::Url;
use runtime::{shutdown, telemetry};
use serde_json::{Value, json};

use crate::{
    demo::random_token,
    exit::{Failure, OrUsage as _},
    output,
};

/// Runs a provider's twin until Ctrl-C.
///
/// With `--settings` it has the accounts of the file. Without, it has one for `--organization`, whose webhooks are those
/// of the fleet at `--ingress`, and prints the command that connects the fleet to it. That fleet has to have the same
/// URL in `public.urls`, and `send_worker.allow_private_hosts` and `control.allow_private_hosts`.
#[derive(Debug, clap::Args)]
pub struct Twin {
    /// The provider's slug.
    #[arg(value_name = "PROVIDER", value_parser = PROVIDERS)]
    provider: String,
    /// A TOML or JSON file with everything a twin can be told: accounts, behaviour, faults, replies.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["organization", "ingress", "secret", "per_second"])]
    settings: Option<PathBuf>,
    /// Whose account it is, as in the paths of the webhooks.
    #[arg(long, short = 'o', default_value = "ORG_1", value_name = "ID")]
    organization: OrganizationId,
    /// Where the fleet's ingress is, as the twin reaches it.
    #[arg(long, default_value = "http://127.0.0.1:8081", value_name = "URL")]
    ingress: Url,
    /// What all secrets of the account are made of, 32 characters or more; made up anew at each start if left out.
    #[arg(
        long,
        env = "SMSFLEET_API_TWIN_SECRET",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    secret: Option<String>,
    /// The limit of the account; more is answered as too much.
    #[arg(long, value_name = "N")]
    per_second: Option<NonZeroU32>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Time to answer.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    latency: Option<Duration>,
    /// Share of messages that are not delivered.
    #[arg(long, value_name = "SHARE")]
    undelivered_rate: Option<f64>,
    /// Decides everything that is left to chance.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Twin {
    /// Runs until a signal.
    ///
    /// # Errors
    /// Wrong settings, or a taken port.
    pub async fn run(self, json: bool, log: &telemetry::LogSettings) -> Result<(), Failure> {
        telemetry::init(log).or_usage()?;
        let stop = shutdown::on_signal().context("watch for signals")?;
        let (twin, connection) = self.start().await.or_usage()?;
        if json {
            output::json(&self.described(&twin, connection.as_ref()))?;
        } else {
            output::line(&self.said(&twin, connection.as_ref()))?;
        }
        stop.cancelled().await;
        twin.stop().await;
        Ok(())
    }

    /// Starts it, with the connection to its account if that was not the user's own.
    async fn start(&self) -> anyhow::Result<(RunningTwin, Option<ConnectionForm>)> {
        if let Some(file) = &self.settings {
            let settings = self.overridden(read(file)?);
            let started = customers::start(&self.provider, settings).await;
            let twin = started.with_context(|| file.display().to_string())?;
            return Ok((twin, None));
        }
        let secret = match &self.secret {
            Some(secret) => {
                let long =
                    secret.len() >= SECRET_MIN && secret.bytes().all(|b| b.is_ascii_alphanumeric());
                anyhow::ensure!(
                    long,
                    "--secret: expected {SECRET_MIN} letters and digits or more"
                );
                secret.clone()
            }
            None => random_token()?,
        };
        let customer = Customer {
            organization: self.organization.to_string(),
            ingress_url: self.ingress.as_str().trim_end_matches('/').to_owned(),
            secret,
            limits: AccountLimits {
                per_second: self.per_second,
                ..AccountLimits::default()
            },
        };
        let defaults = TwinBehaviour::default();
        let behaviour = TwinBehaviour {
            latency: self.latency.unwrap_or(defaults.latency),
            undelivered_rate: self.undelivered_rate.unwrap_or(defaults.undelivered_rate),
            seed: self.seed.unwrap_or(defaults.seed),
            ..defaults
        };
        let listen = self
            .listen
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let connected = customers::connect(&self.provider, listen, &customer, behaviour).await?;
        Ok((connected.twin, Some(connected.connection)))
    }

    /// The file's settings with what the flags say.
    fn overridden(&self, mut settings: Value) -> Value {
        let latency = |latency| json!(humantime::format_duration(latency).to_string());
        let behaviour = [
            ("latency", self.latency.map(latency)),
            ("undelivered_rate", self.undelivered_rate.map(Value::from)),
            ("seed", self.seed.map(Value::from)),
        ];
        for (key, value) in behaviour {
            if let (Some(value), Some(settings)) = (value, settings.as_object_mut()) {
                let behaviour = settings.entry("behaviour").or_insert_with(|| json!({}));
                if let Some(behaviour) = behaviour.as_object_mut() {
                    behaviour.insert(key.to_owned(), value);
                }
            }
        }
        if let (Some(listen), Some(settings)) = (self.listen, settings.as_object_mut()) {
            settings.insert("listen".to_owned(), json!(listen.to_string()));
        }
        settings
    }

    /// For programs; `connection` is a body of `POST /v1/connections`.
    fn described(&self, twin: &RunningTwin, connection: Option<&ConnectionForm>) -> Value {
        let base = twin.base_url();
        let mut described = json!({
            "provider": self.provider,
            "base_url": base,
            "audit": format!("{base}/_twin/audit?summary=1"),
        });
        if let Some(form) = connection {
            described["connection"] = json!({
                "organization_id": self.organization,
                "provider": form.provider,
                "name": NAME,
                "sender": form.sender,
                "fields": form.fields,
            });
        }
        described
    }

    /// For people.
    fn said(&self, twin: &RunningTwin, connection: Option<&ConnectionForm>) -> String {
        let base = twin.base_url();
        let mut text = format!("{} twin at {base}; Ctrl-C ends it", self.provider);
        for (what, path) in [
            ("audit", "audit?summary=1"),
            ("behaviour", "behaviour"),
            ("a person writes", "inbound"),
        ] {
            text.push_str(&format!("\n  {what:<16} {base}/_twin/{path}"));
        }
        if let Some(form) = connection {
            text.push_str(&format!(
                "\nIts callbacks go to {}. Connect a fleet with\n\n{}",
                self.ingress,
                command(&self.organization, form)
            ));
        }
        text
    }
}

/// The fewest characters that make each provider's secrets long enough.
const SECRET_MIN: usize = 32;

/// What the connection is called.
const NAME: &str = "twin";

/// The command to paste. The secrets are those of a twin, so they may stand in it.
fn command(organization: &OrganizationId, form: &ConnectionForm) -> String {
    let ConnectionForm {
        provider, sender, ..
    } = form;
    let mut command = format!(
        "smsfleet connections add --organization {organization} --provider {provider} --name {NAME} --sender {}",
        quoted(sender)
    );
    for (key, value) in &form.fields {
        command.push_str(" \\\n  --field ");
        command.push_str(&quoted(&format!("{key}={value}")));
    }
    command
}

/// As a shell reads one argument.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-_=./:@".contains(c);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// JSON if it looks like it, TOML otherwise.
fn read(file: &Path) -> anyhow::Result<Value> {
    let name = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("can not read {}", name()))?;
    parse(&text).with_context(name)
}

fn parse(text: &str) -> anyhow::Result<Value> {
    if text.trim_start().starts_with('{') {
        Ok(serde_json::from_str(text)?)
    } else {
        Ok(toml::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        twin: Twin,
    }

    fn twin(arguments: &[&str]) -> Result<Twin, String> {
        Arguments::try_parse_from(std::iter::once(&"twin").chain(arguments))
            .map(|arguments| arguments.twin)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_provider_has_a_twin_and_no_other_has() {
        for provider in PROVIDERS {
            assert!(twin(&[provider, "--per-second", "5"]).is_ok(), "{provider}");
        }
        let said = twin(&["acme"]).err().unwrap_or_default();
        assert!(said.contains("messagemedia"), "{said}");
        assert!(twin(&[]).is_err(), "which one?");
        assert!(twin(&["sinch", "--settings", "f.toml", "--listen", "127.0.0.1:0"]).is_ok());
        let both = ["sinch", "--settings", "f.toml", "--organization", "O"];
        assert!(twin(&both).is_err(), "the file has the accounts");
        assert!(twin(&["sinch", "--ingress", "no url"]).is_err());
    }

    #[test]
    fn settings_are_read_from_toml_and_json_and_flags_win() {
        let toml =
            "[[accounts]]\naccount_sid = 'AC1'\nauth_token = 't'\n[behaviour]\nlatency = '5ms'\n";
        let json = r#"{"accounts":[{"account_sid":"AC1","auth_token":"t"}],"behaviour":{"latency":"5ms"}}"#;
        let (toml, json) = (
            parse(toml).expect("good TOML"),
            parse(json).expect("good JSON"),
        );
        assert_eq!(toml, json);
        let flags = [
            "twilio-sms",
            "--latency",
            "7ms",
            "--seed",
            "3",
            "--listen",
            "127.0.0.1:1",
        ];
        let settings = twin(&flags).expect("good flags").overridden(toml);
        assert_eq!(settings["behaviour"], json!({"latency": "7ms", "seed": 3}));
        assert_eq!(settings["listen"], "127.0.0.1:1");
        assert_eq!(settings["accounts"], json["accounts"]);
    }

    #[tokio::test]
    async fn a_misspelt_setting_is_named_with_its_file() {
        let file = std::env::temp_dir().join(format!("smsfleet-twin-{}.toml", std::process::id()));
        std::fs::write(&file, "latncy = 1").expect("a file");
        let twin =
            twin(&["vonage-sms", "--settings", &file.to_string_lossy()]).expect("good flags");
        let error = format!("{:#}", twin.start().await.expect_err("misspelt"));
        std::fs::remove_file(&file).ok();
        assert!(
            error.contains("latncy") && error.contains("smsfleet-twin"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn each_twin_starts_with_an_account_and_says_how_to_connect_to_it() {
        for provider in PROVIDERS {
            let twin = twin(&[provider, "--organization", "ORG_9"]).expect("good flags");
            let (running, connection) = twin.start().await.expect("it starts");
            let said = twin.said(&running, connection.as_ref());
            for part in [
                "connections add --organization ORG_9",
                provider,
                &running.base_url(),
            ] {
                assert!(said.contains(part), "{provider}: {said}");
            }
            let described = twin.described(&running, connection.as_ref());
            let known = providers::provider(provider)
                .expect("the fleet knows it")
                .form();
            let fields = described["connection"]["fields"]
                .as_object()
                .expect("fields");
            for field in known.fields {
                let given = fields.contains_key(field.key);
                assert!(given || !field.required, "{provider}: {}", field.key);
            }
            running.stop().await;
        }
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(quoted("+12025550100"), "+12025550100");
        assert_eq!(quoted("a=it's\nb"), "'a=it'\\''s\nb'");
    }
}

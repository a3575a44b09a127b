//! `smsfleet twin`: a provider's twin alone, for people who test their own alerts and integrations
//! without sending an SMS.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use anyhow::Context as _;
use provider_sim::{TwilioAccount, TwilioTwin, TwinSettings};
use runtime::{shutdown, telemetry};
use serde_json::json;

use crate::{
    exit::{Failure, OrUsage as _},
    output,
};

/// Runs a provider's twin until Ctrl-C.
#[derive(Debug, clap::Subcommand)]
pub enum Twin {
    /// Twilio Programmable Messaging.
    #[command(name = "twilio-sms")]
    Twilio(TwinArgs),
}

/// What the twin is started with. Flags win over the file.
#[derive(Debug, clap::Args)]
pub struct TwinArgs {
    /// A TOML or JSON file with everything a twin can be told: accounts, behaviour, faults, replies.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// An account; further ones belong into the file.
    #[arg(long, value_name = "SID", requires = "auth_token")]
    account_sid: Option<String>,
    /// Its token.
    #[arg(
        long,
        env = "SMSFLEET_API_TWIN_AUTH_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    auth_token: Option<String>,
    /// Where its inbound messages go.
    #[arg(long, value_name = "URL", requires = "account_sid")]
    inbound_webhook: Option<String>,
    /// Its limit; more is answered 429.
    #[arg(long, value_name = "N", requires = "account_sid")]
    per_second: Option<NonZeroU32>,
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
        let Self::Twilio(arguments) = self;
        telemetry::init(log).or_usage()?;
        let settings = arguments.settings().or_usage()?;
        settings.check().or_usage()?;
        let stop = shutdown::on_signal().context("watch for signals")?;
        let accounts: Vec<String> = settings
            .accounts
            .iter()
            .map(|account| account.account_sid.clone())
            .collect();
        let twin = TwilioTwin::start(settings).await?;
        let base = twin.base_url();
        let urls = [
            ("API", format!("{base}/2010-04-01")),
            ("audit", format!("{base}/_twin/audit?summary=1")),
            ("behaviour", format!("{base}/_twin/behaviour")),
            ("a person writes", format!("{base}/_twin/inbound")),
        ];
        if json {
            output::json(
                &json!({ "provider": "twilio-sms", "base_url": base, "accounts": accounts }),
            )?;
        } else {
            output::line(&format!(
                "twilio-sms twin, {} accounts; Ctrl-C ends it",
                accounts.len()
            ))?;
            for (what, url) in urls {
                output::line(&format!("  {what:<16} {url}"))?;
            }
        }
        stop.cancelled().await;
        twin.stop().await;
        Ok(())
    }
}

impl TwinArgs {
    fn settings(self) -> anyhow::Result<TwinSettings<TwilioAccount>> {
        let mut settings = match &self.settings {
            None => TwinSettings::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("can not read {}", path.display()))?;
                read(&text).with_context(|| path.display().to_string())?
            }
        };
        if let Some(listen) = self.listen {
            settings.listen = listen;
        }
        if let (Some(sid), Some(token)) = (self.account_sid, self.auth_token) {
            let mut account = TwilioAccount::new(sid, token);
            account.inbound_webhook = self.inbound_webhook;
            account.limits.per_second = self.per_second;
            settings.accounts.push(account);
        }
        let behaviour = &mut settings.behaviour;
        behaviour.latency = self.latency.unwrap_or(behaviour.latency);
        behaviour.undelivered_rate = self.undelivered_rate.unwrap_or(behaviour.undelivered_rate);
        behaviour.seed = self.seed.unwrap_or(behaviour.seed);
        Ok(settings)
    }
}

/// JSON if it looks like it, TOML otherwise.
fn read(text: &str) -> anyhow::Result<TwinSettings<TwilioAccount>> {
    if text.trim_start().starts_with('{') {
        Ok(serde_json::from_str(text)?)
    } else {
        Ok(toml::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_from_toml_and_json_and_a_misspelt_key_is_named() {
        let toml =
            "[[accounts]]\naccount_sid = 'AC1'\nauth_token = 't'\n[behaviour]\nlatency = '5ms'\n";
        let read_toml = read(toml).expect("good TOML");
        let json = r#"{"accounts":[{"account_sid":"AC1","auth_token":"t"}],"behaviour":{"latency":"5ms"}}"#;
        let read_json = read(json).expect("good JSON");
        assert_eq!(read_toml.behaviour, read_json.behaviour);
        assert_eq!(read_toml.accounts[0].account_sid, "AC1");
        let error = format!("{:#}", read("latncy = 1").expect_err("misspelt"));
        assert!(error.contains("latncy"), "{error}");
    }
}

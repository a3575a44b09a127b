//! `smsfleet check-config`: every section of every service, all faults at once.

use std::path::PathBuf;

use backing::BackingSettings;
use runtime::{Config, PublicSettings, service::ShutdownSettings, telemetry::LogSettings};

use crate::{
    exit::{Failure, OrUsage as _},
    output,
};

/// Checks the configuration of all services without starting any.
#[derive(Debug, clap::Args)]
pub struct CheckConfig {
    /// A TOML file; the environment is read too, as the services do.
    #[arg(long, env = "SMSFLEET_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// For `smsfleet standalone`, which needs no RabbitMQ, no Redis and no sealing keys.
    #[arg(long)]
    standalone: bool,
}

impl CheckConfig {
    /// Says what is wrong.
    ///
    /// # Errors
    /// If anything is.
    pub fn run(self) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), std::env::vars()).or_usage()?;
        let faults = faults(&config, self.standalone);
        if faults.is_empty() {
            return Ok(output::line("the configuration is valid")?);
        }
        Err(Failure::Usage(anyhow::anyhow!(
            "{} faults in the configuration:\n  - {}",
            faults.len(),
            faults.join("\n  - ")
        )))
    }
}

/// The first fault of each section.
fn faults(config: &Config, standalone: bool) -> Vec<String> {
    let checks = [
        config.section::<LogSettings>("log").err().map(say),
        config
            .section::<ShutdownSettings>("shutdown")
            .err()
            .map(say),
        config.section::<PublicSettings>("public").err().map(say),
        config
            .section::<batch_intake::Settings>("batch_intake")
            .err()
            .map(say),
        config
            .section::<send_worker::Settings>("send_worker")
            .err()
            .map(say),
        config
            .section::<ingress::Settings>("ingress")
            .err()
            .map(say),
        config
            .section::<receipt_ingest::Settings>("receipt_ingest")
            .err()
            .map(say),
        config
            .section::<reply_router::Settings>("reply_router")
            .err()
            .map(say),
        config
            .section::<control::Settings>("control")
            .err()
            .map(say),
        (!standalone)
            .then(|| BackingSettings::configure(config).err().map(say))
            .flatten(),
    ];
    checks.into_iter().flatten().collect()
}

fn say(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let token = ("SMSFLEET_CONTROL_TOKENS", "ops=0123456789abcdef");
        let variables = variables
            .iter()
            .chain([&token])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(None, variables).expect("known keys")
    }

    #[test]
    fn the_defaults_and_a_token_are_valid_for_standalone() {
        assert_eq!(faults(&config(&[]), true), [""; 0]);
    }

    #[test]
    fn faults_of_several_services_are_said_together() {
        let config = config(&[
            ("SMSFLEET_SEND_WORKER_REQUEST_TIMEOUT", "soon"),
            ("SMSFLEET_INGRESS_LISTEN", "nowhere"),
        ]);
        let faults = faults(&config, true);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(
            faults[0].contains("send_worker.request_timeout"),
            "{faults:?}"
        );
        assert!(faults[1].contains("ingress.listen"), "{faults:?}");
    }
}

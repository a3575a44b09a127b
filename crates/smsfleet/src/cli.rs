//! The command line: what there is, in one place.

use clap::{Parser, Subcommand};
use runtime::telemetry::{LogFormat, LogSettings};

use crate::{
    api::{Api, ApiArgs},
    check_config::CheckConfig,
    commands::{
        Session, connections::Connections, dead_letters::DeadLetters, distributions::Distributions,
        opt_outs::OptOuts, organizations::Organizations, providers, send::Send,
    },
    demo::{self, Demo},
    docs::Docs,
    exit::{self, Failure},
    inspect::Inspect,
    standalone::Standalone,
    twin::Twin,
};

/// Bulk SMS through the provider account that each organisation brings along.
#[derive(Debug, Parser)]
#[command(name = "smsfleet", version, after_help = exit::HELP, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    api: ApiArgs,
    /// JSON for programs instead of tables for people.
    #[arg(long, global = true)]
    json: bool,
    /// What `demo` and `twin` log to standard error: `info`, or per module `warn,send_worker=debug`.
    #[arg(long, global = true, default_value = "error", value_name = "FILTER")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(Box<Demo>),
    /// Prints a mailing list to play with, as CSV.
    Sample {
        /// Rows.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
        recipients: u32,
        /// The same seed prints the same list.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
    },
    Standalone(Standalone),
    Send(Box<Send>),
    #[command(subcommand)]
    Distributions(Distributions),
    #[command(subcommand)]
    Connections(Connections),
    #[command(subcommand)]
    OptOuts(OptOuts),
    #[command(subcommand)]
    Organizations(Organizations),
    /// Shows the providers with the fields of their connections.
    Providers,
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    Twin(Box<Twin>),
    Inspect(Box<Inspect>),
    CheckConfig(CheckConfig),
    #[command(subcommand)]
    Docs(Docs),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        let log = LogSettings {
            format: LogFormat::Human,
            filter: self.log,
        };
        let session = || {
            Ok::<_, Failure>(Session {
                api: Api::new(&self.api)?,
                json,
            })
        };
        match self.command {
            Command::Demo(demo) => demo.run(json, &log).await,
            Command::Sample { recipients, seed } => demo::print_sample(seed, recipients),
            Command::Standalone(standalone) => standalone.run().await,
            Command::Send(send) => send.run(&session()?).await,
            Command::Distributions(command) => command.run(&session()?).await,
            Command::Connections(command) => command.run(&session()?).await,
            Command::OptOuts(command) => command.run(&session()?).await,
            Command::Organizations(command) => command.run(&session()?).await,
            Command::Providers => providers::run(&session()?).await,
            Command::DeadLetters(command) => command.run(&session()?).await,
            Command::Twin(twin) => twin.run(json, &log).await,
            Command::Inspect(inspect) => inspect.run(),
            Command::CheckConfig(check) => check.run(),
            Command::Docs(docs) => docs.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_part_is_explained() {
        Cli::command().debug_assert();
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let said = argument.get_help().is_some();
                assert!(said, "{} --{}", command.get_name(), argument.get_id());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn the_token_is_never_in_the_help() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("SMSFLEET_API_TOKEN"), "{help}");
        assert!(
            !help.contains("SMSFLEET_API_TOKEN="),
            "values are hidden: {help}"
        );
    }

    #[test]
    fn a_number_with_its_plus_and_a_distribution_are_plain_arguments() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("smsfleet opt-outs show -o ORG +33639980001").is_ok());
        assert!(parse("smsfleet distributions cancel -o ORG D1 --json").is_ok());
        assert!(parse("smsfleet distributions messages -o ORG D1 --status delivered").is_ok());
        assert!(parse("smsfleet distributions messages -o ORG D1 --status gone").is_err());
        assert!(parse("smsfleet opt-outs show -o ORG.x +33639980001").is_err());
        assert!(parse("smsfleet demo --provider sinch --provider infobip-sms --json").is_ok());
        assert!(
            parse("smsfleet twin link-mobility -o ORG --ingress http://127.0.0.1:8080").is_ok()
        );
    }
}

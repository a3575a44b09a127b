//! `smsfleet demo`: a mailing at every provider before your eyes. Every service and the providers'
//! twins in one process, real HTTP between them, and at the end the books.

mod audience;
mod books;
mod check;
mod course;
mod ends;
mod evidence;
mod expect;
mod figures;
mod heard;
mod mailing;
mod pace;
mod people;
mod progress;
mod report;
mod stage;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow, ensure};
use provider_sim::customers::PROVIDERS;
use runtime::{shutdown, telemetry};

use crate::{
    exit::{Failure, OrUsage as _},
    output,
    sample::Sample,
};
use audience::Audience;
use progress::Display;
use stage::Stage;
pub use stage::random_token;

/// Sends a mailing at each provider's twin, all side by side, and checks the books.
///
/// An organisation with an account at each provider. Every service and the twins run in this one process, over HTTP on
/// loopback; nothing leaves the machine and nobody is texted. Ends with 5 if the books do not balance.
#[derive(Debug, Clone, clap::Args)]
pub struct Demo {
    /// Only this provider, and others named in the same way.
    #[arg(long = "provider", value_name = "SLUG", value_parser = PROVIDERS)]
    pub only: Vec<String>,
    /// Rows of the generated sample, shared out to the providers: some invalid, repeated, opted out, or not writable in GSM-7.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    pub recipients: u32,
    /// Decides everything that is left to chance.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Your own recipients instead of the sample; needs `--text`.
    #[arg(
        long,
        value_name = "FILE",
        requires = "text",
        conflicts_with = "recipients"
    )]
    pub csv: Option<PathBuf>,
    /// The text, with `{{field}}` or `{{field|default}}` for the CSV's columns.
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// The limit of each provider's account, in segments a second.
    #[arg(long, default_value_t = 1_000.0, value_name = "N")]
    pub rate: f64,
    /// Time a provider takes to answer a request.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20ms", value_name = "DURATION")]
    pub latency: Duration,
    /// Share of messages that are not delivered, and of requests that are answered 429 at first.
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    pub fail_rate: f64,
    /// Share of requests answered 500, half of them although the messages were taken: doubts.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub doubt_rate: f64,
    /// How long to wait for the last message; worked out from rate and recipients if left out.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub timeout: Option<Duration>,
    /// Keeps everything running afterwards and prints the URLs.
    #[arg(long)]
    pub stay: bool,
    /// Only prints the sample as CSV.
    #[arg(long)]
    pub print_csv: bool,
}

impl Demo {
    /// Runs it.
    ///
    /// # Errors
    /// [`Failure::Unbalanced`] if the books do not balance, and see [`Failure`].
    pub async fn run(self, json: bool, log: &telemetry::LogSettings) -> Result<(), Failure> {
        self.check().or_usage()?;
        if self.print_csv {
            return print_sample(self.seed, self.recipients);
        }
        telemetry::init(log).or_usage()?;
        let display = Display::for_this_terminal();
        let stop = shutdown::on_signal().context("watch for signals")?;
        let audience = self.audience()?;
        let mut stage = Stage::set(&self, audience.recipients.len()).await?;
        let played = tokio::select! {
            played = mailing::play(&self, audience, &mut stage, &display) => played,
            () = stop.cancelled() => Err(Failure::Failed(anyhow!("interrupted"))),
        };
        let report = match played {
            Ok(report) => report,
            Err(failure) => {
                stage.strike().await.ok();
                return Err(failure);
            }
        };
        report.print(json)?;
        if self.stay && stage.services.are_running() {
            display.say(&stage.urls());
            stop.cancelled().await;
        }
        stage.strike().await?;
        report.verdict()
    }

    /// Whose twins take part.
    fn providers(&self) -> Vec<&'static str> {
        let wanted =
            |slug: &&str| self.only.is_empty() || self.only.iter().any(|only| only == slug);
        PROVIDERS.into_iter().filter(wanted).collect()
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.rate.is_finite() && self.rate >= 0.1,
            "--rate: expected at least 0.1 segments a second"
        );
        for (flag, share) in [
            ("--fail-rate", self.fail_rate),
            ("--doubt-rate", self.doubt_rate),
        ] {
            ensure!(
                (0.0..=0.5).contains(&share),
                "{flag}: expected a share from 0 to 0.5"
            );
        }
        ensure!(
            self.csv.is_some() || self.text.is_none(),
            "--text goes with --csv: the sample has its own text"
        );
        Ok(())
    }

    fn audience(&self) -> Result<Audience, Failure> {
        match (&self.csv, &self.text) {
            (Some(csv), Some(text)) => {
                let recipients = crate::recipients::read_file(csv).or_usage()?;
                Ok(Audience::own(recipients, text.clone()))
            }
            _ => Ok(Audience::of_sample(Sample::generate(
                self.seed,
                self.recipients as usize,
            ))),
        }
    }
}

/// Prints the sample that `seed` makes.
///
/// # Errors
/// If standard output is closed.
pub fn print_sample(seed: u64, recipients: u32) -> Result<(), Failure> {
    let count = recipients as usize;
    if count > crate::sample::reserved() {
        eprintln!(
            "smsfleet: only {} numbers are reserved for examples: some of these may belong to people",
            output::figure(crate::sample::reserved() as u64)
        );
    }
    let mut csv = Vec::new();
    Sample::generate(seed, count).write_csv(&mut csv)?;
    Ok(output::text(&csv)?)
}

#[cfg(test)]
mod tests;

//! `smsfleet send`: a CSV file as one distribution.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use message::{
    BatchId, DistributionId, DoubtPolicy, MessageState, Method, Timestamp, Weight,
    batch::RECIPIENTS_MAX, weight::InvalidWeight,
};
use serde_json::{Value, json};

use super::{Session, Whose, handover::Handover};
use crate::{
    api::Api,
    batches::Mailing,
    exit::{Failure, OrUsage as _},
    output::{self, cell, figure},
    recipients,
};

/// Sends a CSV file as one distribution.
///
/// The CSV needs a header with a column `to` or `phone`; its other columns are the fields of the text. Repeating the
/// command changes nothing: the batch id is the idempotency key.
#[derive(Debug, clap::Args)]
pub struct Send {
    #[command(flatten)]
    whose: Whose,
    /// The distribution's id; one that exists gets another batch.
    #[arg(long, short = 'd', value_name = "ID")]
    distribution: DistributionId,
    /// The recipients; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    csv: PathBuf,
    /// The text, with `{{field}}` or `{{field|default}}` for the CSV's columns.
    #[arg(long, value_name = "TEXT")]
    text: String,
    /// The idempotency key; the distribution's id if left out. Further batches get `-2`, `-3` … behind it.
    #[arg(long, value_name = "ID")]
    batch_id: Option<BatchId>,
    /// What the mailing is for.
    #[arg(long, value_parser = method, default_value = "invite", value_name = "invite|reminder|thank_you|interactive")]
    method: Method,
    /// How long a message is worth sending, such as `6h`; the fleet's default if left out.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    expires_in: Option<Duration>,
    /// What happens to a message nobody knows the fate of: never a second SMS, or rather twice than never.
    #[arg(long, value_parser = doubt, default_value = "hold", value_name = "hold|resend")]
    on_doubt: DoubtPolicy,
    /// Billable segments a message may have.
    #[arg(long, default_value_t = 4, value_name = "N")]
    max_segments: u8,
    /// The distribution's share of its connection beside the others that wait there, 1 to 100; 10 if left out.
    #[arg(long, value_parser = weight, value_name = "N")]
    weight: Option<Weight>,
    /// Waits until every message has an end.
    #[arg(long)]
    wait: bool,
    /// How long `--wait` waits.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1h", value_name = "DURATION")]
    wait_max: Duration,
}

pub(crate) fn method(text: &str) -> Result<Method, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "expected invite, reminder, thank_you or interactive".to_owned())
}

fn doubt(text: &str) -> Result<DoubtPolicy, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected hold or resend".to_owned())
}

fn weight(text: &str) -> Result<Weight, String> {
    let number: u8 = text.parse().map_err(|_| InvalidWeight.to_string())?;
    number
        .try_into()
        .map_err(|why: InvalidWeight| why.to_string())
}

impl Send {
    /// Does it.
    ///
    /// # Errors
    /// See [`Failure`]. Batches that were taken before the failure stay taken.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let recipients = recipients::read_file(&self.csv).or_usage()?;
        let region = default_region(&session.api, &self.whose).await?;
        let mailing = self.mailing()?;
        let cut = mailing
            .cut(recipients, region.as_deref(), RECIPIENTS_MAX)
            .or_usage()?;
        let mut answers = Vec::new();
        let handover = Handover::begin(&session.api, &self.whose, &cut.batches).await?;
        for batch in &cut.batches {
            let answer = handover.hand_over(batch).await?;
            if !session.json {
                let rows = figure(batch.recipients.len() as u64);
                output::line(&format!(
                    "batch {}: {rows} recipients handed over",
                    batch.batch_id
                ))?;
            }
            answers.push(answer);
        }
        if cut.left_out > 0 && !session.json {
            let left_out = figure(cut.left_out as u64);
            output::line(&format!(
                "{left_out} rows left out: their number stands in an earlier batch"
            ))?;
        }
        let outcome = match self.wait {
            true => Some(self.wait_for_the_end(session, &handover).await?),
            false => None,
        };
        if session.json {
            output::json(&json!({
                "batches": answers, "left_out": cut.left_out, "distribution": outcome
            }))?;
        }
        Ok(())
    }

    fn mailing(&self) -> Result<Mailing, Failure> {
        let batch_id = match &self.batch_id {
            Some(id) => id.clone(),
            None => BatchId::new(self.distribution.as_str()).or_usage()?,
        };
        let now = Timestamp::from(SystemTime::now());
        Ok(Mailing {
            organization_id: self.whose.organization.clone(),
            distribution_id: self.distribution.clone(),
            batch_id,
            method: self.method,
            text: self.text.clone(),
            expires_at: self.expires_in.map(|after| now.plus(after)),
            on_doubt: self.on_doubt,
            max_segments: self.max_segments,
            weight: self.weight,
        })
    }

    /// Looks once a second until intake has read every batch and no message is in flight.
    async fn wait_for_the_end(
        &self,
        session: &Session,
        handover: &Handover<'_>,
    ) -> Result<Value, Failure> {
        let api = &session.api;
        let give_up = tokio::time::Instant::now() + self.wait_max;
        loop {
            if handover.all_published().await? {
                let path = ["distributions", self.distribution.as_str()];
                let found = api.get(&path, &self.whose.query()).await?;
                if in_flight(&found) == 0 {
                    if !session.json {
                        output::line(&counts_line(&found))?;
                    }
                    return Ok(found);
                }
            }
            if tokio::time::Instant::now() > give_up {
                return Err(Failure::Failed(anyhow!(
                    "not finished after {}: messages are still in flight",
                    humantime::format_duration(self.wait_max)
                )));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The region by which the organisation's national numbers are read.
pub(crate) async fn default_region(api: &Api, whose: &Whose) -> Result<Option<String>, Failure> {
    let found = api
        .get(&["organizations", whose.organization.as_str()], &[])
        .await?;
    Ok(Some(cell(&found, "default_region")).filter(|region| !region.is_empty()))
}

/// The counts by state in a distribution's answer.
pub(crate) fn counts(distribution: &Value) -> Vec<(MessageState, u64)> {
    let of = |state: MessageState| {
        let found = distribution.get("counts")?.get(state.as_str())?.as_u64()?;
        Some((state, found))
    };
    MessageState::ALL.into_iter().filter_map(of).collect()
}

fn in_flight(distribution: &Value) -> u64 {
    let waits = |(state, n): &(MessageState, u64)| if state.is_terminal() { 0 } else { *n };
    counts(distribution).iter().map(waits).sum()
}

/// `9,450 delivered, 12 undelivered`.
pub(crate) fn counts_line(distribution: &Value) -> String {
    let counted: Vec<String> = counts(distribution)
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{} {state}", figure(n)))
        .collect();
    counted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_at_its_end_is_in_flight() {
        let found = json!({"counts": {"delivered": 3, "sent": 1, "invalid": 1}});
        assert_eq!(in_flight(&found), 1);
        assert_eq!(counts_line(&found), "1 sent, 3 delivered, 1 invalid");
    }

    #[test]
    fn methods_are_read_by_the_names_of_the_contract() {
        assert_eq!(method("thank_you"), Ok(Method::ThankYou));
        assert!(method("spam").is_err());
    }
}

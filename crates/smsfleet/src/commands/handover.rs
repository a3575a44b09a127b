//! Batches on their way from here to intake. What came before counts: the same command may have been
//! given already, with the same content or with other.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use message::Batch;
use serde_json::Value;

use super::Whose;
use crate::{api::Api, exit::Failure, output::cell};

/// Batches that are being handed over.
pub(crate) struct Handover<'a> {
    api: &'a Api,
    whose: &'a Whose,
    batches: &'a [Batch],
    /// When each of them was last refused before this.
    refused_before: HashMap<String, String>,
    /// One of them is known already: a repetition, or a conflict that intake has yet to find.
    known_before: bool,
    since: Instant,
}

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait while too many batches wait for intake.
const BACKLOG_WAIT_MAX: Duration = Duration::from_secs(300);
/// How long intake gets to find that a known batch has other content now.
const CONFLICT_WITHIN: Duration = Duration::from_secs(3);
/// Refused batches looked through, newest first.
const REFUSED_MAX: usize = 200;

impl<'a> Handover<'a> {
    /// Looks at what is there before anything is handed over.
    pub(crate) async fn begin(
        api: &'a Api,
        whose: &'a Whose,
        batches: &'a [Batch],
    ) -> Result<Self, Failure> {
        let mut handover = Self {
            api,
            whose,
            batches,
            refused_before: HashMap::new(),
            known_before: false,
            since: Instant::now(),
        };
        for refused in handover.refused().await? {
            let id = cell(&refused, "batch_id");
            let at = cell(&refused, "at");
            handover.refused_before.entry(id).or_insert(at);
        }
        for batch in batches {
            let state = handover.state(batch).await?;
            handover.known_before |= state.is_some_and(|state| state != "refused");
        }
        Ok(handover)
    }

    /// Hands a batch over. While too many wait for intake, it waits too.
    pub(crate) async fn hand_over(&self, batch: &Batch) -> Result<Value, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            return match self.api.post(&["batches"], &[], batch).await {
                Err(Failure::Refused { status: 429, .. }) if waited < BACKLOG_WAIT_MAX => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    waited += LOOK_EVERY;
                    continue;
                }
                Err(Failure::Unreachable(error)) => {
                    let again = "repeat the command, nobody is texted twice";
                    let id = &batch.batch_id;
                    Err(Failure::Unreachable(
                        error.context(format!("batch {id}: {again}")),
                    ))
                }
                answered => answered,
            };
        }
    }

    /// Whether intake has read every batch; one that it refused since is an error.
    pub(crate) async fn all_published(&self) -> Result<bool, Failure> {
        for refused in self.refused().await? {
            let id = cell(&refused, "batch_id");
            let ours = self
                .batches
                .iter()
                .any(|batch| batch.batch_id.as_str() == id);
            if ours && self.refused_before.get(&id) != Some(&cell(&refused, "at")) {
                return Err(Failure::Failed(anyhow!("{}", said(&refused))));
            }
            if ours {
                break; // newest first: the others are older still
            }
        }
        for batch in self.batches {
            if self.state(batch).await?.as_deref() != Some("published") {
                return Ok(false);
            }
        }
        Ok(!self.known_before || self.since.elapsed() > CONFLICT_WITHIN)
    }

    /// How far intake is with a batch; nothing if it does not know it.
    async fn state(&self, batch: &Batch) -> Result<Option<String>, Failure> {
        let path = ["batches", batch.batch_id.as_str()];
        match self.api.get(&path, &self.whose.query()).await {
            Ok(found) => Ok(Some(cell(&found, "state"))),
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn refused(&self) -> Result<Vec<Value>, Failure> {
        let query = self.whose.query();
        self.api
            .items(&["refused-batches"], &query, REFUSED_MAX)
            .await
    }
}

/// Why a batch was refused as a whole.
fn said(batch: &Value) -> String {
    let refusals = batch.get("refusals").and_then(Value::as_array);
    let why: Vec<String> = refusals
        .into_iter()
        .flatten()
        .map(|refusal| {
            let [field, rule, detail] = ["field", "rule", "detail"].map(|key| cell(refusal, key));
            format!("\n  - {field} ({rule}): {detail}")
        })
        .collect();
    format!(
        "batch {} was refused:{}",
        cell(batch, "batch_id"),
        why.concat()
    )
}

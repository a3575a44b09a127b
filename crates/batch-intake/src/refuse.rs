//! A batch that is not taken: told, kept for whoever asks, and what is no batch at all also laid
//! into the dead queue.

use bus::{Delivery, Outgoing, Route};
use bytes::Bytes;
use ledger::RefusedBatch;
use message::{Refusal, Rule};

use crate::{
    metrics::Outcome,
    patience::Halt,
    reading::{Lane, Names},
    refusals::{events, source},
    service::{Intake, now},
};

/// Refusals kept with a refused batch; its events have all of them.
const REFUSALS_KEPT_MAX: usize = 100;
/// How much of an oversized body is kept in the dead queue.
const BURIED_BYTES_MAX: usize = 64 * 1024;

impl Intake {
    /// Refuses a whole batch: told, and kept for whoever asks. A crash in between tells it twice
    /// with the same event id.
    pub(crate) async fn refuse(
        &self,
        body: &Bytes,
        names: Names,
        refusals: Vec<Refusal>,
    ) -> Result<Outcome, Halt> {
        let at = now();
        let source = source(&names, body);
        self.publish(events(&source, &names, &refusals, at)).await?;
        for refusal in &refusals {
            self.metrics.refused(refusal.rule);
        }
        tracing::warn!(
            organization = names.organization_id.as_ref().map(ToString::to_string),
            batch = names.batch_id.as_ref().map(ToString::to_string),
            rule = refusals.first().map(|fault| fault.rule.as_str()),
            faults = refusals.len(),
            "batch refused"
        );
        if let Some(organization_id) = names.organization_id {
            let mut refusals = refusals;
            refusals.truncate(REFUSALS_KEPT_MAX);
            let refused = RefusedBatch {
                organization_id,
                distribution_id: names.distribution_id,
                batch_id: names.batch_id,
                refusals,
                at,
            };
            self.patience
                .until("record refusal", || {
                    self.ledger.record_refused_batch(&refused)
                })
                .await?;
        }
        Ok(Outcome::Refused)
    }

    /// Refuses what is no batch at all and keeps it for a look: nobody may know that it was sent.
    pub(crate) async fn refuse_unread(
        &self,
        delivery: &Delivery,
        lane: Lane,
        names: Names,
        refusals: Vec<Refusal>,
    ) -> Result<Outcome, Halt> {
        let reason = refusals.first().map_or(Rule::Malformed, |fault| fault.rule);
        self.publish(vec![self.dead_letter(delivery, lane, reason.as_str())])
            .await?;
        self.refuse(&delivery.body, names, refusals).await
    }

    /// The delivery as a dead letter. One that is too large is cut, and so names no queue to be
    /// redriven to.
    pub(crate) fn dead_letter(&self, delivery: &Delivery, lane: Lane, reason: &str) -> Outgoing {
        let size = delivery.body.len();
        let whole = size <= self.settings.body_bytes_max;
        let kept = if whole {
            size
        } else {
            BURIED_BYTES_MAX.min(size)
        };
        let letter = Outgoing::new(
            Route::Dead,
            delivery.message_id.clone(),
            delivery.body.slice(..kept),
        );
        let queue = whole.then(|| lane.queue());
        let letter = backing::dead_letter(letter, reason, "batch-intake", queue);
        if whole {
            letter
        } else {
            letter.with_header("cut_from_bytes", size.to_string())
        }
    }
}

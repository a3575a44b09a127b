//! One mailing of the demo, from the first opt-out to the last receipt.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use bus::queue;
use ledger::{Counts, Ledger};
use message::{Batch, BatchId, BatchKey, DistributionId, DoubtPolicy, Method};
use provider_sim::Waiting;
use serde_json::json;

use super::{
    Demo,
    audience::Audience,
    books,
    evidence::{self, own_key},
    expect::expect,
    heard::Listener,
    pace::Pace,
    people::People,
    progress::{Display, Standing},
    report::Report,
    stage::Stage,
};
use crate::{
    batches::Mailing,
    commands::{Whose, handover::Handover},
    exit::{Failure, OrUsage as _},
    output::figure,
};

/// Recipients a batch may have; the last batch of a mailing has what is left.
const BATCH: usize = message::batch::RECIPIENTS_MAX;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long nothing may move before what is in doubt counts as what is left.
const QUIET_FOR: Duration = Duration::from_secs(2);
/// How long the last replies may take after the last receipt.
/// Those that answer no message known so far are looked at again after 5 seconds.
const REPLIES_WITHIN: Duration = Duration::from_secs(20);

/// Plays the mailing and examines its books.
///
/// # Errors
/// If it could not be handed over, or a service ended.
pub async fn play(
    demo: &Demo,
    audience: &Audience,
    stage: &mut Stage,
    display: &Display,
) -> Result<Report, Failure> {
    prepare(audience, stage).await?;
    let mut listener = Listener::start(&*stage.bus)
        .await
        .context("listen to replies and events")?;
    let cut = mailing(audience, stage)?
        .cut(audience.recipients.clone(), audience.region, BATCH)
        .or_usage()?;
    let expected: Vec<_> = cut
        .batches
        .iter()
        .map(|batch| expect(batch, audience.region, &audience.opted_out))
        .collect();
    let rows: u64 = cut
        .batches
        .iter()
        .map(|batch| batch.recipients.len() as u64)
        .sum();
    display.say(&format!(
        "{} recipients as one distribution in {}, {} segments/s; everything on this machine, nobody is texted",
        figure(rows),
        match cut.batches.len() {
            1 => "one batch".to_owned(),
            several => format!("{several} batches"),
        },
        demo.rate
    ));
    let whose = Whose {
        organization: stage.organization.clone(),
    };
    let api = stage.api.clone();
    let handover = Handover::begin(&api, &whose, &cut.batches).await?;
    for batch in &cut.batches {
        handover.hand_over(batch).await?;
    }
    let watch = Watch {
        rows,
        batches: &cut.batches,
        handover: &handover,
        doubts: demo.doubt_rate > 0.0,
        timeout: demo.timeout.unwrap_or_else(|| patience(demo, rows)),
    };
    let mut people = People::who_change_their_minds(&expected);
    let (finished, pace) = watch.until_the_end(stage, &mut people, display).await?;
    let finished = finished
        && tokio::time::timeout(REPLIES_WITHIN, silence(stage, &listener))
            .await
            .is_ok();
    if !finished {
        stage.freeze().await?;
    }
    if !listener.is_whole() {
        return Err(Failure::Failed(anyhow!(
            "a subscription to replies or events ended"
        )));
    }
    let batches =
        evidence::collect(&*stage.ledger, &stage.organization, &cut.batches, expected).await?;
    let audit = stage.twin.audit();
    let heard = listener.heard();
    let checks = books::examine(&batches, &audit, heard.replies(), finished);
    Ok(Report::new(
        demo,
        cut.left_out,
        finished,
        &batches,
        &audit,
        heard,
        pace,
        checks,
    ))
}

/// The organisation's region, and the opt-outs of earlier mailings, over the API.
async fn prepare(audience: &Audience, stage: &Stage) -> Result<(), Failure> {
    let organization = stage.organization.as_str();
    let settings = json!({ "default_region": audience.region, "brand": "Demo Surveys" });
    stage
        .api
        .put(&["organizations", organization], &[], &settings)
        .await?;
    for number in &audience.opted_out {
        let path = ["opt-outs", &number.e164()];
        let query = [("organization_id", organization)];
        stage
            .api
            .put(
                &path,
                &query,
                &json!({ "note": "said STOP to an earlier mailing" }),
            )
            .await?;
    }
    Ok(())
}

fn mailing(audience: &Audience, stage: &Stage) -> anyhow::Result<Mailing> {
    Ok(Mailing {
        organization_id: stage.organization.clone(),
        distribution_id: DistributionId::new("demo-survey")?,
        batch_id: BatchId::new("demo-survey")?,
        method: Method::Invite,
        text: audience.text.clone(),
        expires_at: None,
        on_doubt: DoubtPolicy::Hold,
        max_segments: 4,
    })
}

/// Three times what it should take, and a minute for retries.
fn patience(demo: &Demo, rows: u64) -> Duration {
    let sending = Duration::from_secs_f64((rows as f64 / demo.rate).min(1e6));
    // A machine that is slower than the rate still gets its time.
    let working = Duration::from_millis(rows.saturating_mul(10));
    (sending * 3).max(working) + demo.latency * 10 + Duration::from_secs(60)
}

/// What is waited for.
struct Watch<'a> {
    rows: u64,
    batches: &'a [Batch],
    handover: &'a Handover<'a>,
    doubts: bool,
    timeout: Duration,
}

impl Watch<'_> {
    /// Watches until every row has its end, shows it, and lets people write in between. Whether
    /// they all have, and how fast it went.
    async fn until_the_end(
        &self,
        stage: &mut Stage,
        people: &mut People,
        display: &Display,
    ) -> Result<(bool, Pace), Failure> {
        let keys: Vec<BatchKey> = self.batches.iter().map(own_key).collect();
        let started = Instant::now();
        let mut progress = display.start(self.rows);
        let mut pace = Pace::default();
        let mut published = false;
        let mut moved = (started, Standing::default());
        loop {
            let standing = Standing::of(self.rows, &counts(&*stage.ledger, &keys).await?);
            let now = Instant::now();
            pace.note(now, standing.accepted);
            progress.show(standing);
            if standing != moved.1 {
                moved = (now, standing);
            }
            published = published || self.handover.all_published().await?;
            people.write(&standing, &stage.twin).await?;
            let idle = stage.twin.waiting() == Waiting::default() && now - moved.0 > QUIET_FOR;
            let only_doubts =
                self.doubts && idle && standing.ended + standing.in_doubt == self.rows;
            if published && (standing.ended == self.rows || only_doubts) {
                progress.end(standing);
                return Ok((true, pace));
            }
            if now - started > self.timeout {
                progress.end(standing);
                return Ok((false, pace));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                error = stage.failed() => return Err(error.into()),
            }
        }
    }
}

async fn counts(ledger: &dyn Ledger, keys: &[BatchKey]) -> anyhow::Result<Counts> {
    let mut all = Counts::default();
    for key in keys {
        all.extend(&ledger.counts(*key).await?);
    }
    Ok(all)
}

/// Waits until the provider has nothing more to tell, and all it told was read and handed on.
async fn silence(stage: &Stage, listener: &Listener) {
    let mut quiet_since = Instant::now();
    loop {
        stage.twin.idle().await;
        let mut waiting = 0;
        for queue in [
            queue::STATUS_CALLBACKS,
            queue::MESSAGE_CALLBACKS,
            queue::INTERNAL_BATCHES,
        ] {
            waiting += stage.bus.depth(queue).await.unwrap_or(1);
        }
        let written = stage.twin.audit_summary().totals.inbound.posts.ok;
        let all_heard = listener.heard().replies() >= written;
        if waiting > 0 || !all_heard || stage.twin.waiting() != Waiting::default() {
            quiet_since = Instant::now();
        } else if quiet_since.elapsed() > LOOK_EVERY * 5 {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

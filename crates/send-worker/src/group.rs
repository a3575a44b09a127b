//! A group of rows of one chunk, from claim to told: claim rows and check opt-outs in one round
//! trip, render, send concurrently, settle what is answered, publish what happened.
//!
//! After a crash at any `await` in here the chunk is delivered again and its claims say what to do:
//! before the claim everything is as new; between claim and settle the rows are in doubt; after the
//! settle the rows are told again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backing::news;
use bus::RetryTier;
use futures_util::{StreamExt, stream::FuturesUnordered};
use ledger::{Claim, ClaimRequest, Row, SettleOutcome, SettleRequest, SettleRow, Settled};
use message::{
    MessageState, Reference, Timestamp,
    chunk::ChunkRow,
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use providers::{Echo, OptOutScope, RejectReason, SubmitClass};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Shared,
    gate::Gate,
    in_flight::Slots,
    lane::segments,
    limits::ConnectionLimits,
    patience::{until_done, until_ok},
    policy::{self, Then, Verdict},
    request::{Answered, Fate, Request},
    run::{Again, Hold, Open, Run},
};

/// How long answers may wait for their neighbours before they are settled without them.
const SETTLE_AFTER: Duration = Duration::from_millis(200);

/// What is left to do for the chunk.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    /// Rows that travel again.
    pub(crate) again: Vec<Again>,
    /// Rows for the dead-letter queue, each with its reason.
    pub(crate) dead: Vec<(ChunkRow, &'static str)>,
    /// The group was given up before its claim: the chunk must come back.
    pub(crate) given_up: bool,
    /// Rows that the provider was too busy for: they wait at hand for their next turn.
    busy: Vec<ChunkRow>,
}

/// How long a provider that recognises repeated messages is trusted to do so.
const RECOGNISED_FOR: Duration = Duration::from_secs(15 * 60);

/// Rows that may be sent.
struct Rows {
    fresh: Vec<ChunkRow>,
    /// An earlier request for them may have been taken, and a repetition settles that.
    doubtful: Vec<ChunkRow>,
    /// When the claim looked who has opted out.
    checked_at: Instant,
}

/// One group.
pub(crate) struct Group {
    pub(crate) shared: Arc<Shared>,
    pub(crate) open: Arc<Open>,
    /// The connection's limits: they hear what the provider answers.
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) rows: Vec<ChunkRow>,
    /// Lets them leave as their tokens come.
    pub(crate) gate: Gate,
    /// When the lane hands back what it still holds.
    pub(crate) hold_until: Instant,
    /// The group's share of the delivery.
    pub(crate) hold: Hold,
    /// Bounds the requests that wait for an answer.
    pub(crate) slots: Slots,
    /// The lane that takes rows back.
    pub(crate) lane: mpsc::UnboundedSender<Run>,
}

impl Group {
    /// Runs to its end, with its share of the delivery; `stop` is only heeded while nothing has been
    /// claimed. `places` has one for each request.
    pub(crate) async fn run(mut self, places: OwnedSemaphorePermit, stop: CancellationToken) {
        let mut leftover = self.work(places, &stop).await;
        // Nothing waits behind the gate any more, whatever became of the group.
        self.gate.close();
        self.gate.has_claims();
        let busy = std::mem::take(&mut leftover.busy);
        let Self {
            shared,
            open,
            hold_until,
            hold,
            lane,
            ..
        } = self;
        if !busy.is_empty() {
            let run = Run {
                open: open.clone(),
                waiting: busy,
                hold_until,
                hold: hold.clone(),
            };
            // A lane that has ended takes nothing back; then the chunk does.
            leftover.given_up |= lane.send(run).is_err();
        }
        hold.give_back(&shared, &open, leftover).await;
    }

    async fn work(&mut self, places: OwnedSemaphorePermit, stop: &CancellationToken) -> Leftover {
        let mut leftover = Leftover::default();
        let Some(claims) = self.claim(stop).await else {
            return Leftover {
                given_up: true,
                ..leftover
            };
        };
        self.gate.has_claims();
        let rows = std::mem::take(&mut self.rows);
        let mut settles = Vec::new();
        let mut told = Vec::new();
        let mut fresh = Vec::new();
        let mut doubtful = Vec::new();
        let checked_at = Instant::now();
        let expired = self.open.chunk.expires_at <= now();
        for (row, claim) in rows.into_iter().zip(claims) {
            match claim {
                Claim::Fresh if expired => {
                    settles.push(settle_row(
                        &row,
                        SettleOutcome::State(MessageState::ExpiredBeforeSend),
                        "",
                        "",
                    ));
                    leftover.dead.push((row, policy::EXPIRED));
                }
                Claim::Fresh => fresh.push(row),
                Claim::OptedOut => {
                    settles.push(settle_row(
                        &row,
                        SettleOutcome::State(MessageState::Suppressed),
                        policy::OPTED_OUT,
                        "",
                    ));
                }
                Claim::Busy => leftover
                    .again
                    .push(Again::same_attempt(row, bus::RetryTier::S30)),
                Claim::Interrupted(known) => {
                    // Settled once more only so that a reply can be matched to it.
                    let in_doubt = SettleOutcome::State(MessageState::InDoubt);
                    settles.push(SettleRow {
                        parts: self.parts(&row, 0),
                        ..settle_row(&row, in_doubt, &known.code, "")
                    });
                    if self.may_be_repeated(&known) && !expired {
                        doubtful.push(row);
                    }
                    told.push(known);
                }
                Claim::Settled(known) => {
                    if known.state == MessageState::Queued
                        && known.attempt == self.open.chunk.attempt
                    {
                        // Decided as a retry by somebody who died before it was published.
                        let tier = policy::retry_tier(self.reference(row.row), known.attempt);
                        leftover.again.push(Again::next_attempt(row, tier));
                    }
                    told.push(known);
                }
                Claim::Unknown => leftover.dead.push((row, "unknown_message")),
            }
        }
        if !settles.is_empty() {
            told.extend(self.settle(settles).await.into_iter().filter_map(row_of));
        }
        self.tell(told, Vec::new()).await;
        let rows = Rows {
            fresh,
            doubtful,
            checked_at,
        };
        self.send(rows, places, stop, &mut leftover).await;
        leftover
    }

    /// Whether submitting a row once more settles its doubt: a provider that recognises it does
    /// so for a while only.
    fn may_be_repeated(&self, known: &Row) -> bool {
        let recent = known
            .claimed_at
            .is_some_and(|at| now().since(at) < RECOGNISED_FOR);
        self.open.provider.capabilities().repeat_is_safe && recent
    }

    async fn claim(&self, stop: &CancellationToken) -> Option<Vec<Claim>> {
        let (shared, chunk) = (&self.shared, &self.open.chunk);
        until_ok("claim", &shared.metrics.ledger_errors, stop, || {
            let claim = ClaimRequest {
                organization_id: chunk.organization_id.clone(),
                batch: chunk.batch,
                token: self.open.token,
                attempt: chunk.attempt,
                connection_id: self.open.connection.id.clone(),
                sender: self.open.connection.sender.key(),
                now: now(),
                interrupted_after_millis: shared.settings.interrupted_after_millis(),
                redelivered: self.open.redelivered,
                exempt_from_opt_out: chunk.exempt_from_opt_out,
                rows: self.rows.iter().map(|row| (row.row, row.to)).collect(),
            };
            async move { shared.ledger.claim(&claim).await }
        })
        .await
    }

    /// Sends `rows` concurrently and settles their answers in as few round trips as their pace
    /// allows: a request that hangs does not hold up its neighbours' outcomes.
    async fn send(
        &self,
        rows: Rows,
        mut places: OwnedSemaphorePermit,
        stop: &CancellationToken,
        leftover: &mut Leftover,
    ) {
        let per_request = self.open.messages_per_request();
        let checked_at = rows.checked_at;
        let mut requests = FuturesUnordered::new();
        for (rows, doubtful) in [(rows.fresh, false), (rows.doubtful, true)] {
            let mut rest = rows.into_iter().peekable();
            while rest.peek().is_some() {
                let place = places.split(1);
                let request = Request {
                    shared: &self.shared,
                    open: &self.open,
                    checked_at,
                    doubtful,
                    stop,
                };
                let rows: Vec<ChunkRow> = rest.by_ref().take(per_request).collect();
                requests.push(async move {
                    let answered = if self.gate.pass(segments(&rows)).await {
                        request.run(rows, &self.slots).await
                    } else {
                        rows.into_iter().map(|row| (row, Fate::NotLetGo)).collect()
                    };
                    drop(place); // as soon as this request is through, whatever its neighbours do
                    answered
                });
            }
        }
        drop(places);
        let mut answered: Vec<Answered> = Vec::new();
        let mut settle_at = Instant::now();
        loop {
            let due = !answered.is_empty();
            tokio::select! {
                answer = requests.next() => match answer {
                    Some(outcomes) => {
                        self.tell_limits(&outcomes);
                        if answered.is_empty() {
                            settle_at = Instant::now() + SETTLE_AFTER;
                        }
                        answered.extend(outcomes);
                        continue;
                    }
                    None => {
                        self.conclude(std::mem::take(&mut answered), leftover).await;
                        return;
                    }
                },
                () = tokio::time::sleep_until(settle_at), if due => {}
            }
            self.conclude(std::mem::take(&mut answered), leftover).await;
        }
    }

    /// Settles and tells what became of rows, and notes what is left to do for them.
    async fn conclude(&self, answered: Vec<Answered>, leftover: &mut Leftover) {
        if answered.is_empty() {
            return;
        }
        let (settings, chunk) = (&self.shared.settings, &self.open.chunk);
        let mut settles = Vec::with_capacity(answered.len());
        let mut verdicts: Vec<(ChunkRow, Verdict)> = Vec::with_capacity(answered.len());
        let mut account_refused = false;
        let mut extra = Vec::new();
        for (row, fate) in answered {
            let reference = self.reference(row.row);
            if let Fate::Answered(outcome) = &fate
                && outcome.class == SubmitClass::Rejected(RejectReason::OptedOut)
            {
                extra.extend(self.record_opt_out(&row, &outcome.code).await);
            }
            account_refused |= matches!(&fate, Fate::Answered(outcome) if outcome.class == SubmitClass::AccountRefused);
            let verdict = policy::decide(
                &fate,
                reference,
                chunk.attempt,
                settings.attempts_max.get(),
                chunk.expires_at,
                now(),
                self.rest_after(&fate),
            );
            settles.push(self.settle_answered(&row, &verdict, fate));
            verdicts.push((row, verdict));
        }
        if account_refused {
            self.rest(settings.account_refused_rest).await;
        }
        let settled = self.settle(settles).await;
        for ((row, verdict), settled) in verdicts.into_iter().zip(&settled) {
            // A receipt may have overtaken the answer: then there is nothing to try again.
            let state = match settled {
                Settled::Changed(row) | Settled::Unchanged(row) => Some(row.state),
                Settled::NeverSent(_) | Settled::Unknown => None,
            };
            let waits = state == Some(MessageState::Queued);
            let gave_up = matches!(
                state,
                Some(MessageState::Failed | MessageState::ExpiredBeforeSend)
            );
            match verdict.then {
                Then::RetryAfter(tier) if waits => {
                    leftover.again.push(Again::next_attempt(row, tier))
                }
                Then::ComeBackAfter(rest) if waits => {
                    if Instant::now() + rest < self.hold_until {
                        leftover.busy.push(row);
                    } else {
                        let tier = RetryTier::at_least(rest);
                        leftover.again.push(Again::same_attempt(row, tier));
                    }
                }
                Then::Dead(reason) if gave_up => leftover.dead.push((row, reason)),
                Then::Done | Then::RetryAfter(_) | Then::ComeBackAfter(_) | Then::Dead(_) => {}
            }
        }
        self.tell(settled.into_iter().filter_map(row_of), extra)
            .await;
    }

    /// What the ledger shall note of an answer: also the provider's ids, of all parts where they
    /// have their own.
    fn settle_answered(&self, row: &ChunkRow, verdict: &Verdict, fate: Fate) -> SettleRow {
        let settle = settle_row(row, verdict.settle, &verdict.code, "");
        let Fate::Answered(outcome) = fate else {
            return settle;
        };
        SettleRow {
            provider_message_id: outcome.provider_message_id,
            parts: self.parts(row, outcome.part_ids.len()),
            part_ids: outcome.part_ids,
            ..settle
        }
    }

    /// How many receipts will come for a row, where each part has its own: as many as the provider
    /// `told`, else as we count them.
    fn parts(&self, row: &ChunkRow, told: usize) -> u8 {
        match told {
            _ if !self.open.provider.capabilities().receipts_per_part => 0,
            0 => row.segments,
            told => u8::try_from(told).unwrap_or(u8::MAX),
        }
    }

    /// Returns the settled rows in order; waits for the ledger as long as it takes, because what is
    /// known must not become a doubt.
    async fn settle(&self, rows: Vec<SettleRow>) -> Vec<Settled> {
        let connection = &self.open.connection;
        let request = SettleRequest {
            batch: self.open.chunk.batch,
            token: self.open.token,
            now: now(),
            sender: (connection.organization_id.clone(), connection.sender.key()),
            connection_id: connection.id.clone(),
            // What we put into the URL of a receipt comes back with it; a field may be missing.
            index_ids: self.open.provider.capabilities().reference_echo != Echo::CallbackUrl,
            rows,
        };
        let errors = &self.shared.metrics.ledger_errors;
        let settled = until_done("settle", errors, || self.shared.ledger.settle(&request)).await;
        let mut changed = BTreeMap::<MessageState, u64>::new();
        for settled in &settled {
            if let Settled::Changed(row) = settled {
                *changed.entry(row.state).or_default() += 1;
            }
        }
        for (state, rows) in changed {
            let counter = &self.shared.metrics.rows;
            counter.with_label_values(&[state.as_str()]).inc_by(rows);
        }
        settled
    }

    /// Tells what `rows` say, and `extra` with it.
    async fn tell(&self, rows: impl IntoIterator<Item = Row>, extra: Vec<bus::Outgoing>) {
        let mut news = news::statuses((&self.open.chunk).into(), rows, now());
        news.extend(extra);
        self.shared.publish(news).await;
    }

    /// The provider refuses this recipient because they opted out there: so they have here.
    async fn record_opt_out(&self, row: &ChunkRow, code: &str) -> Option<bus::Outgoing> {
        let sender = match self.open.provider.capabilities().opted_out_towards {
            OptOutScope::Organization => None,
            OptOutScope::Sender => Some(self.open.connection.sender.key()),
        };
        let change = OptOutChange {
            organization_id: self.open.chunk.organization_id.clone(),
            number: row.to,
            kind: OptOutKind::OptOut,
            at: now(),
            source: OptOutSource::Provider,
            sender,
            connection_id: Some(self.open.connection.id.clone()),
            evidence: format!("{} {code}", self.open.provider.slug()),
        };
        let errors = &self.shared.metrics.ledger_errors;
        let changed = until_done("record opt-out", errors, || {
            self.shared.ledger.change_opt_out(&change)
        })
        .await;
        let distribution = &self.open.chunk.distribution_id;
        changed.then(|| news::opt_out(change, Some(distribution), None))
    }

    /// How long a row waits after such an answer. The limits hear of throttling too: this is only the
    /// row's own wait.
    fn rest_after(&self, fate: &Fate) -> Duration {
        let settings = &self.shared.settings;
        let Fate::Answered(outcome) = fate else {
            return Duration::ZERO;
        };
        match outcome.class {
            SubmitClass::Throttled { retry_after } => {
                retry_after.unwrap_or(settings.throttled_rest)
            }
            SubmitClass::AccountRefused => settings.account_refused_rest,
            _ => Duration::ZERO,
        }
    }

    /// Makes the whole fleet rest on this connection, whose account its provider refused.
    async fn rest(&self, rest: Duration) {
        let (slug, why) = (self.open.provider.slug(), "account_refused");
        self.shared
            .metrics
            .held_back
            .with_label_values(&[slug, why])
            .inc();
        tracing::warn!(connection = %self.open.connection.id, provider = slug, why, ?rest, "connection rests");
        self.limits.rest(rest).await;
    }

    /// How the provider finds our pace.
    fn tell_limits(&self, answered: &[Answered]) {
        let (mut throttled, mut hold) = (0, None);
        for (_, fate) in answered {
            if let Fate::Answered(outcome) = fate
                && let SubmitClass::Throttled { retry_after } = outcome.class
            {
                throttled += 1;
                hold = hold.max(retry_after);
            }
        }
        if throttled > 0 {
            self.slots.too_many();
        }
        let answers = u32::try_from(answered.len()).unwrap_or(u32::MAX);
        self.limits.answered(throttled, answers, hold);
    }

    fn reference(&self, row: u32) -> Reference {
        Reference {
            batch: self.open.chunk.batch,
            row,
        }
    }
}

fn settle_row(
    row: &ChunkRow,
    outcome: SettleOutcome,
    code: &str,
    provider_message_id: &str,
) -> SettleRow {
    SettleRow {
        row: row.row,
        to: row.to,
        outcome,
        code: code.to_owned(),
        provider_message_id: provider_message_id.to_owned(),
        parts: 0,
        part_ids: Vec::new(),
    }
}

fn row_of(settled: Settled) -> Option<Row> {
    match settled {
        Settled::Changed(row) | Settled::Unchanged(row) => Some(row),
        Settled::NeverSent(_) | Settled::Unknown => None,
    }
}

pub(crate) fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

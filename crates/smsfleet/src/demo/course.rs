//! One provider's mailing: prepared, handed over, attended, watched, and its books examined.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use ledger::{Counts, Ledger};
use message::{BatchId, BatchKey, DistributionId, DoubtPolicy, Method};
use provider_sim::Waiting;
use serde_json::json;

use super::{
    audience::Audience,
    books,
    evidence::{self, own_key},
    expect::{Expected, expect},
    heard::Listener,
    pace::Pace,
    people::People,
    progress::Standing,
    report::ProviderReport,
    stage::Account,
};
use crate::{
    api::Api,
    batches::{Cut, Mailing},
    commands::{Whose, handover::Handover},
    exit::Failure,
};

/// Recipients a batch may have; the last batch of a mailing has what is left.
const BATCH: usize = message::batch::RECIPIENTS_MAX;
/// Between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long nothing may move before what is in doubt counts as what is left.
const QUIET_FOR: Duration = Duration::from_secs(2);

/// The organisation's region, and the opt-outs of earlier mailings, over the API.
pub async fn prepare(audience: &Audience, account: &Account, api: &Api) -> Result<(), Failure> {
    let organization = account.organization.as_str();
    let settings = json!({ "default_region": audience.region, "brand": "Demo Surveys" });
    api.put(&["organizations", organization], &[], &settings)
        .await?;
    for number in &audience.opted_out {
        let path = ["opt-outs", &number.e164()];
        let query = [("organization_id", organization)];
        let note = json!({ "note": "said STOP to an earlier mailing" });
        api.put(&path, &query, &note).await?;
    }
    Ok(())
}

/// An account's share of the mailing, cut into batches, and what should become of its rows.
pub struct Ready {
    whose: Whose,
    cut: Cut,
    expected: Vec<Vec<Expected>>,
}

impl Ready {
    /// Cuts it, and works out what to expect before anything is sent.
    pub fn cut(account: &Account, audience: Audience) -> anyhow::Result<Self> {
        let cut = mailing(&audience, account)?.cut(audience.recipients, audience.region, BATCH)?;
        let expected = cut
            .batches
            .iter()
            .map(|batch| expect(batch, audience.region, &audience.opted_out))
            .collect();
        Ok(Self {
            whose: Whose {
                organization: account.organization.clone(),
            },
            cut,
            expected,
        })
    }

    fn keys(&self) -> Vec<BatchKey> {
        self.cut.batches.iter().map(own_key).collect()
    }

    /// Rows that are handed over.
    pub fn rows(&self) -> u64 {
        self.expected.iter().map(|batch| batch.len() as u64).sum()
    }
}

fn mailing(audience: &Audience, account: &Account) -> anyhow::Result<Mailing> {
    Ok(Mailing {
        organization_id: account.organization.clone(),
        distribution_id: DistributionId::new("demo-survey")?,
        batch_id: BatchId::new("demo-survey")?,
        method: Method::Invite,
        text: audience.text.clone(),
        expires_at: None,
        on_doubt: DoubtPolicy::Hold,
        max_segments: 4,
        weight: None,
    })
}

/// Who hands a mailing over and lets its people write: calls that may have to wait for a busy
/// machine, so whoever watches does not wait for them.
pub struct Host<'a> {
    account: &'a Account,
    ready: &'a Ready,
    handover: Handover<'a>,
    people: People,
}

impl<'a> Host<'a> {
    /// Hands the batches over.
    pub async fn begin(
        account: &'a Account,
        ready: &'a Ready,
        api: &'a Api,
    ) -> Result<Self, Failure> {
        let batches = &ready.cut.batches;
        let handover = Handover::begin(api, &ready.whose, batches).await?;
        for batch in batches {
            handover.hand_over(batch).await?;
        }
        Ok(Self {
            account,
            ready,
            handover,
            people: People::who_change_their_minds(&ready.expected),
        })
    }

    /// Until it is `over`; what was begun is finished, so that both sides have booked it.
    pub async fn attend(
        &mut self,
        ledger: &dyn Ledger,
        published: &Cell<bool>,
        over: &Cell<bool>,
    ) -> Result<(), Failure> {
        while !over.get() {
            if !published.get() {
                published.set(self.handover.all_published().await?);
            }
            let counts = counts(ledger, &self.ready.keys()).await?;
            let standing = Standing::of(self.ready.rows(), &counts);
            self.people.write(&standing, self.account).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// A mailing under way at one provider.
pub struct Course<'a> {
    account: &'a Account,
    ready: &'a Ready,
    pace: Pace,
    /// As it was looked at last.
    pub standing: Standing,
    moved_at: Instant,
    /// Every row has its end, or is one of the doubts that were asked for.
    pub ended: bool,
}

impl<'a> Course<'a> {
    /// Nothing seen yet.
    pub fn of(account: &'a Account, ready: &'a Ready) -> Self {
        Self {
            account,
            ready,
            pace: Pace::default(),
            standing: Standing::default(),
            moved_at: Instant::now(),
            ended: false,
        }
    }

    /// Looks how it stands.
    pub async fn look(
        &mut self,
        ledger: &dyn Ledger,
        published: bool,
        doubts: bool,
    ) -> anyhow::Result<()> {
        let rows = self.ready.rows();
        let standing = Standing::of(rows, &counts(ledger, &self.ready.keys()).await?);
        let now = Instant::now();
        self.pace.note(now, standing.accepted);
        if standing != self.standing {
            (self.moved_at, self.standing) = (now, standing);
        }
        let waiting = self.account.twin.waiting();
        let idle = waiting == Waiting::default() && now - self.moved_at > QUIET_FOR;
        let only_doubts = doubts && idle && standing.ended + standing.in_doubt == rows;
        self.ended = published && (standing.ended == rows || only_doubts);
        Ok(())
    }

    /// Compares the books of both sides.
    pub async fn examine(
        self,
        ledger: &dyn Ledger,
        listener: &Listener,
        finished: bool,
    ) -> anyhow::Result<ProviderReport> {
        let Self { account, ready, .. } = self;
        let organization = &account.organization;
        let expected = ready.expected.clone();
        let batches = evidence::collect(ledger, organization, &ready.cut.batches, expected).await?;
        let audit = account.twin.audit();
        let heard = listener.heard(organization);
        let checks = books::examine(
            account.provider,
            &batches,
            &audit,
            heard.replies(),
            finished,
        );
        Ok(ProviderReport::new(
            account.provider,
            organization.to_string(),
            ready.cut.left_out,
            &batches,
            &audit,
            heard,
            &self.pace,
            checks,
        ))
    }
}

async fn counts(ledger: &dyn Ledger, keys: &[BatchKey]) -> anyhow::Result<Counts> {
    let mut all = Counts::default();
    for key in keys {
        all.extend(&ledger.counts(*key).await?);
    }
    Ok(all)
}

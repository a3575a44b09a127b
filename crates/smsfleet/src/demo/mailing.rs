//! The mailings of the demo, one at each provider and all at once, from the first opt-out to the
//! last receipt.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use bus::{Bus, queue};
use futures_util::future::try_join_all;
use ledger::{Counts, Ledger};
use message::{BatchId, BatchKey, DistributionId, DoubtPolicy, Method};
use provider_sim::Waiting;
use serde_json::json;

use super::{
    Demo,
    audience::Audience,
    books,
    evidence::{self, own_key},
    expect::{Expected, expect},
    heard::Listener,
    pace::Pace,
    people::People,
    progress::{Display, Standing},
    report::{ProviderReport, Report},
    stage::{Account, Stage},
};
use crate::{
    api::Api,
    batches::{Cut, Mailing},
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

/// Plays the mailings and examines their books.
///
/// # Errors
/// If one could not be handed over, or a service ended.
pub async fn play(
    demo: &Demo,
    audience: Audience,
    stage: &mut Stage,
    display: &Display,
) -> Result<Report, Failure> {
    let Stage {
        bus,
        ledger,
        services,
        accounts,
        api,
        ..
    } = stage;
    let shares = audience.share_out(accounts.len());
    for (account, share) in accounts.iter().zip(&shares) {
        prepare(share, account, api).await?;
    }
    let mut listener = Listener::start(&**bus)
        .await
        .context("listen to replies and events")?;
    let ready: Vec<Ready> = accounts
        .iter()
        .zip(shares)
        .map(|(account, share)| Ready::cut(account, share))
        .collect::<anyhow::Result<_>>()
        .or_usage()?;
    let rows: u64 = ready.iter().map(Ready::rows).sum();
    display.say(&format!(
        "{} recipients at {}, a distribution each, {} segments/s each; everything on this machine, nobody is texted",
        figure(rows),
        match accounts.len() {
            1 => "one provider".to_owned(),
            several => format!("{several} providers"),
        },
        demo.rate
    ));
    let begun = try_join_all(
        accounts
            .iter()
            .zip(&ready)
            .map(|(account, ready)| Host::begin(account, ready, api)),
    );
    let mut hosts = begun.await?;
    let mut courses: Vec<Course<'_>> = accounts
        .iter()
        .zip(&ready)
        .map(|(account, ready)| Course::of(account, ready))
        .collect();
    let watch = Watch {
        rows,
        doubts: demo.doubt_rate > 0.0,
        timeout: demo.timeout.unwrap_or_else(|| patience(demo, rows)),
        published: vec![Cell::new(false); courses.len()],
        over: Cell::new(false),
    };
    let pace = tokio::select! {
        played = async {
            tokio::try_join!(
                watch.until_the_end(&mut courses, &**ledger, display),
                watch.attend(&mut hosts, &**ledger),
            )
        } => played?.0,
        error = services.failed() => return Err(error.into()),
    };
    let finished = courses.iter().all(|course| course.ended)
        && tokio::time::timeout(REPLIES_WITHIN, silence(accounts, &**bus, &listener))
            .await
            .is_ok();
    if !finished {
        services.freeze().await?;
    }
    if !listener.is_whole() {
        return Err(Failure::Failed(anyhow!(
            "a subscription to replies or events ended"
        )));
    }
    let mut providers = Vec::with_capacity(courses.len());
    for course in courses {
        providers.push(course.examine(&**ledger, &listener, finished).await?);
    }
    Ok(Report::new(demo.seed, finished, &pace, providers))
}

/// The organisation's region, and the opt-outs of earlier mailings, over the API.
async fn prepare(audience: &Audience, account: &Account, api: &Api) -> Result<(), Failure> {
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
struct Ready {
    whose: Whose,
    cut: Cut,
    expected: Vec<Vec<Expected>>,
}

impl Ready {
    fn cut(account: &Account, audience: Audience) -> anyhow::Result<Self> {
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

    fn rows(&self) -> u64 {
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
    })
}

/// Three times what it should take, and a minute for retries.
fn patience(demo: &Demo, rows: u64) -> Duration {
    let of_one = rows as f64 / demo.providers().len() as f64;
    let sending = Duration::from_secs_f64((of_one / demo.rate).min(1e6));
    // A machine that is slower than the rate still gets its time.
    let working = Duration::from_millis(rows.saturating_mul(10));
    (sending * 3).max(working) + demo.latency * 10 + Duration::from_secs(60)
}

/// Who hands a mailing over and lets its people write: calls that may have to wait for a busy
/// machine, so whoever watches does not wait for them.
struct Host<'a> {
    account: &'a Account,
    ready: &'a Ready,
    handover: Handover<'a>,
    people: People,
}

impl<'a> Host<'a> {
    /// Hands the batches over.
    async fn begin(account: &'a Account, ready: &'a Ready, api: &'a Api) -> Result<Self, Failure> {
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
    async fn attend(
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
struct Course<'a> {
    account: &'a Account,
    ready: &'a Ready,
    pace: Pace,
    standing: Standing,
    moved_at: Instant,
    /// Every row has its end, or is one of the doubts that were asked for.
    ended: bool,
}

impl<'a> Course<'a> {
    fn of(account: &'a Account, ready: &'a Ready) -> Self {
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
    async fn look(
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
    async fn examine(
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

/// What is waited for, and what those who wait tell each other.
struct Watch {
    rows: u64,
    doubts: bool,
    timeout: Duration,
    /// By mailing: whether intake has published all of it.
    published: Vec<Cell<bool>>,
    over: Cell<bool>,
}

impl Watch {
    /// Watches until every row everywhere has its end or the time is over, and shows it. How fast
    /// all of it went.
    async fn until_the_end(
        &self,
        courses: &mut [Course<'_>],
        ledger: &dyn Ledger,
        display: &Display,
    ) -> Result<Pace, Failure> {
        let started = Instant::now();
        let mut progress = display.start(self.rows);
        let mut pace = Pace::default();
        loop {
            let mut standing = Standing::default();
            for (course, published) in courses.iter_mut().zip(&self.published) {
                course.look(ledger, published.get(), self.doubts).await?;
                standing.add(&course.standing);
            }
            let now = Instant::now();
            pace.note(now, standing.accepted);
            progress.show(standing);
            let ended = courses.iter().all(|course| course.ended);
            if ended || now - started > self.timeout {
                progress.end(standing);
                self.over.set(true);
                return Ok(pace);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn attend(&self, hosts: &mut [Host<'_>], ledger: &dyn Ledger) -> Result<(), Failure> {
        let attending = hosts
            .iter_mut()
            .zip(&self.published)
            .map(|(host, published)| host.attend(ledger, published, &self.over));
        try_join_all(attending).await.map(drop)
    }
}

async fn counts(ledger: &dyn Ledger, keys: &[BatchKey]) -> anyhow::Result<Counts> {
    let mut all = Counts::default();
    for key in keys {
        all.extend(&ledger.counts(*key).await?);
    }
    Ok(all)
}

/// Waits until no provider has anything more to tell, and all they told was read and handed on.
async fn silence(accounts: &[Account], bus: &dyn Bus, listener: &Listener) {
    let mut quiet_since = Instant::now();
    loop {
        let mut waiting = 0;
        for queue in [
            queue::STATUS_CALLBACKS,
            queue::MESSAGE_CALLBACKS,
            queue::INTERNAL_BATCHES,
        ] {
            waiting += bus.depth(queue).await.unwrap_or(1);
        }
        let quiet = accounts.iter().all(|account| {
            let written = account.twin.audit_summary().totals.inbound.acknowledged;
            let all_heard = listener.heard(&account.organization).replies() >= written;
            all_heard && account.twin.waiting() == Waiting::default()
        });
        if waiting > 0 || !quiet {
            quiet_since = Instant::now();
        } else if quiet_since.elapsed() > LOOK_EVERY * 5 {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

//! The mailings of the demo, all at once: from the first opt-out to the last receipt.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use bus::{Bus, queue};
use futures_util::future::try_join_all;
use ledger::Ledger;
use provider_sim::Waiting;

use super::{
    Demo,
    audience::Audience,
    course::{Course, Host, LOOK_EVERY, Ready, prepare},
    heard::Listener,
    pace::Pace,
    progress::{Display, Standing},
    report::Report,
    stage::{Account, Stage},
};
use crate::{
    exit::{Failure, OrUsage as _},
    output::figure,
};

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

/// Three times what it should take, and a minute for retries.
fn patience(demo: &Demo, rows: u64) -> Duration {
    let of_one = rows as f64 / demo.providers().len() as f64;
    let sending = Duration::from_secs_f64((of_one / demo.rate).min(1e6));
    // A machine that is slower than the rate still gets its time.
    let working = Duration::from_millis(rows.saturating_mul(10));
    (sending * 3).max(working) + demo.latency * 10 + Duration::from_secs(60)
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

//! What a message at rest costs, and how fast rows are claimed, settled and merged.
//!
//! `cargo run --release -p ledger --example memory -- [redis://…] [messages]`
//!
//! Fills a ledger through the trait as intake, worker and receipts would: batches of 10,000, chunks
//! of 250 rows, every message accepted with a Twilio id and then delivered, in any order: so every row
//! ends by itself, which takes the most room. Without a URL only the
//! embedded ledger is measured. The server should be private and empty: its whole memory is counted.

use std::{sync::Arc, time::Instant};

use ledger::{
    BatchRecord, ClaimRequest, EmbeddedLedger, Ledger, NewRow, RedisLedger, RedisSettings,
    RowReport, Sealer, SettleOutcome, SettleRequest, SettleRow,
};
use message::{
    BatchId, BatchKey, Class, ConnectionId, DistributionId, DoubtPolicy, MessageState, Msisdn,
    OrganizationId, Secret, Timestamp,
};

type Failure = Box<dyn std::error::Error>;

const BATCH_ROWS: u32 = 10_000;
const CHUNK_ROWS: u32 = 250;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let url = arguments
        .first()
        .filter(|a| a.starts_with("redis"))
        .cloned();
    if url.is_some() {
        arguments.remove(0);
    }
    let messages = arguments
        .first()
        .map_or(Ok(1_000_000), |text| text.parse::<u32>())?;

    let before = resident_bytes()?;
    let embedded = EmbeddedLedger::new();
    fill("embedded", &*embedded, messages).await?;
    report(
        "embedded: resident memory",
        resident_bytes()?.saturating_sub(before),
        messages,
    );
    drop(embedded);

    let Some(url) = url else {
        return Ok(());
    };
    let key = Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into());
    let sealer = Arc::new(Sealer::new(vec![("bench".into(), key)])?);
    let redis = RedisLedger::connect(&url, RedisSettings::default(), sealer).await?;
    let before = used_bytes(&url).await?;
    fill("redis", &*redis, messages).await?;
    report(
        "redis: used_memory",
        used_bytes(&url).await?.saturating_sub(before),
        messages,
    );
    Ok(())
}

fn report(what: &str, bytes: u64, messages: u32) {
    println!(
        "{what}: {:.1} bytes a message",
        bytes as f64 / f64::from(messages)
    );
}

/// Each step over all messages, and its rate.
async fn fill(name: &str, ledger: &dyn Ledger, messages: u32) -> Result<(), Failure> {
    let organization = OrganizationId::new("acme")?;
    let connection = ConnectionId::new("con-8f14e45fceea167a")?;
    let now = Timestamp::from(std::time::SystemTime::now());
    let mut batches = Vec::new();
    for batch in 0..messages.div_ceil(BATCH_ROWS) {
        let batch_id = BatchId::new(&format!("2026-11-20:invite.{batch}"))?;
        let key = BatchKey::of(&organization, &batch_id);
        let record = BatchRecord {
            key,
            organization_id: organization.clone(),
            distribution_id: DistributionId::new("autumn-survey")?,
            batch_id,
            digest: "0".repeat(64),
            connection_id: connection.clone(),
            class: Class::Bulk,
            recipients: BATCH_ROWS,
            on_doubt: DoubtPolicy::Hold,
            expires_at: now.plus(std::time::Duration::from_secs(72 * 3600)),
            created_at: now,
            published: false,
        };
        ledger.register_batch(&record).await?;
        batches.push((key, batch * BATCH_ROWS));
    }
    let chunks: Vec<_> = batches
        .iter()
        .flat_map(|(key, first)| {
            let starts = (0..BATCH_ROWS).step_by(CHUNK_ROWS as usize);
            starts.map(move |start| (*key, *first, start..start + CHUNK_ROWS))
        })
        .collect();
    let number = |first: u32, row: u32| {
        Msisdn::from_u64(33_600_000_000 + u64::from(first + row) * 97).ok_or("not a number")
    };

    let started = Instant::now();
    for (batch, first, rows) in &chunks {
        let new = |row| -> Result<NewRow, Failure> {
            let to = Some(number(*first, row)?.masked());
            Ok(NewRow {
                row,
                to,
                invalid: None,
            })
        };
        let rows = rows.clone().map(new).collect::<Result<Vec<_>, _>>()?;
        ledger.write_rows(*batch, &rows).await?;
    }
    rate(name, "write rows", started, messages);

    let started = Instant::now();
    for (batch, first, rows) in &chunks {
        let recipient = |row| Ok::<_, Failure>((row, number(*first, row)?));
        let claim = ClaimRequest {
            organization_id: organization.clone(),
            batch: *batch,
            token: 7,
            attempt: 1,
            connection_id: connection.clone(),
            sender: "+15550100".into(),
            now,
            interrupted_after_millis: 60_000,
            redelivered: false,
            exempt_from_opt_out: false,
            rows: rows.clone().map(recipient).collect::<Result<_, _>>()?,
        };
        ledger.claim(&claim).await?;
    }
    rate(name, "claim and check opt-outs", started, messages);

    let started = Instant::now();
    for (batch, first, rows) in &chunks {
        let accepted = |row| -> Result<SettleRow, Failure> {
            Ok(SettleRow {
                row,
                to: number(*first, row)?,
                outcome: SettleOutcome::State(MessageState::Accepted),
                code: String::new(),
                provider_message_id: provider_id(*batch, row),
                parts: 1,
                part_ids: Vec::new(),
            })
        };
        let settle = SettleRequest {
            batch: *batch,
            token: 7,
            now,
            connection_id: connection.clone(),
            sender: (organization.clone(), "+15550100".into()),
            index_ids: true,
            rows: rows.clone().map(accepted).collect::<Result<_, _>>()?,
        };
        ledger.settle(&settle).await?;
    }
    rate(name, "settle and remember", started, messages);

    let started = Instant::now();
    for (batch, _) in &batches {
        let delivered = |row| RowReport {
            row,
            state: MessageState::Delivered,
            code: String::new(),
            provider_message_id: String::new(),
            part: None,
        };
        let mut reports: Vec<_> = (0..BATCH_ROWS).map(delivered).collect();
        fastrand::shuffle(&mut reports);
        for reports in reports.chunks(CHUNK_ROWS as usize) {
            ledger.merge(*batch, reports, now).await?;
        }
    }
    rate(name, "merge receipts", started, messages);

    let mut delivered = 0;
    for (batch, _) in &batches {
        delivered += ledger.counts(*batch).await?.of(MessageState::Delivered);
    }
    if delivered != u64::from(BATCH_ROWS) * batches.len() as u64 {
        return Err("not every message was delivered".into());
    }
    let last = number(
        batches.last().map_or(0, |(_, first)| *first),
        BATCH_ROWS - 1,
    )?;
    let found = ledger
        .latest_message(&organization, "+15550100", last)
        .await?;
    found.ok_or("a reply would not find its message")?;
    let (batch, _) = batches.last().ok_or("no batch")?;
    let id = provider_id(*batch, BATCH_ROWS - 1);
    let found = ledger.by_provider_id(&connection, &[&id]).await?;
    found[0].ok_or("a receipt would not find its message by its id")?;
    Ok(())
}

fn provider_id(batch: BatchKey, row: u32) -> String {
    let number = u128::from(batch.as_u64()) << 64 | u128::from(row);
    format!("SM{number:032x}")
}

fn rate(name: &str, step: &str, started: Instant, messages: u32) {
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {step}: {:.0} rows a second",
        f64::from(messages) / seconds
    );
}

async fn used_bytes(url: &str) -> Result<u64, Failure> {
    let mut connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.ok_or("no used_memory in INFO")?.parse()?)
}

fn resident_bytes() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no VmRSS in /proc/self/status")?
        .parse()?;
    Ok(kilobytes * 1024)
}

//! What the way back costs: posts signed Twilio callbacks over keep-alive connections at a real ingress
//! with a real receipt-ingest behind it, and prints the CPU seconds per 10,000 callbacks of each process,
//! the broker and Redis included. Where those two are, `deploy/dev/services run` says:
//!
//! ```text
//! cargo build --release -p ingress -p receipt-ingest --bins --example way_back
//! deploy/dev/services run target/release/examples/way_back --callbacks 100000 --connections 200
//! ```
//!
//! Every callback is a receipt for a message that the ledger knows as accepted; the run ends when
//! every message is delivered and its event has arrived at a subscriber, or says what is missing.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use bus::{AmqpBus, AmqpSettings, Bus, Topic};
use hmac::{Hmac, KeyInit, Mac};
use ledger::{
    BatchRecord, ClaimRequest, Ledger, NewRow, RedisLedger, RedisSettings, Sealer, SettleOutcome,
    SettleRequest, SettleRow,
};
use message::{
    BatchId, BatchKey, Class, Connection, ConnectionId, DistributionId, DoubtPolicy, MessageState,
    Msisdn, OrganizationId, Reference, Secret, Sender, Timestamp, event::Event,
};
use sha1::Sha1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PUBLIC: &str = "https://sms.example.org";
const TOKEN: &str = "3f1c8e2ab94d47d0a6e5c7b1928d4f60";
const ACCOUNT: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
const SENDER: &str = "+12025550142";
const BATCH_ROWS: u32 = 10_000;
const CLAIM_ROWS: usize = 250;

struct Arguments {
    callbacks: u32,
    connections: usize,
    programs: PathBuf,
    distributions: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = arguments()?;
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let (amqp, redis) = (
        variable("SMSFLEET_AMQP_URL")?,
        variable("SMSFLEET_REDIS_URL")?,
    );
    let key = STANDARD.encode(random::<32>());
    let sealer = Sealer::new(vec![("bench".to_owned(), Secret::new(key.clone()))])?;
    let ledger = RedisLedger::connect(&redis, RedisSettings::default(), Arc::new(sealer)).await?;
    let run = Run::new();
    ledger.add_connection(&run.connection).await?;
    println!("{} messages are written to the ledger", arguments.callbacks);
    let mut batches = Vec::new();
    for (n, first) in (0..arguments.callbacks)
        .step_by(BATCH_ROWS as usize)
        .enumerate()
    {
        let rows = BATCH_ROWS.min(arguments.callbacks - first);
        let distribution = n as u32 % arguments.distributions;
        batches.push((run.accepted(&*ledger, n, distribution, rows).await?, rows));
    }
    let requests = run.requests(&batches, arguments.connections);

    let bus = AmqpBus::start(&amqp, AmqpSettings::default()).await?;
    let folder = std::env::temp_dir().join(format!("way-back-{}", run.name));
    std::fs::create_dir_all(&folder)?;
    let [listen, ops_ingress, ops_receipts] = free_ports()?;
    let config = folder.join("smsfleet.toml");
    let text = format!(
        "[amqp]\nurl = \"{amqp}\"\n[redis]\nurl = \"{redis}\"\n[secrets]\nkeys = [\"bench={key}\"]\n\
         [ingress]\nlisten = \"{listen}\"\nops_listen = \"{ops_ingress}\"\n\
         [receipt_ingest]\nops_listen = \"{ops_receipts}\"\n"
    );
    std::fs::write(&config, text)?;
    let ingress = Process::start(&arguments.programs, "ingress", &config)?;
    let receipts = Process::start(&arguments.programs, "receipt-ingest", &config)?;
    ready(ops_ingress).await?;
    ready(ops_receipts).await?;
    let heard = tokio::spawn(hear(
        bus.clone(),
        run.organization.clone(),
        arguments.callbacks,
    ));
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut watched = vec![
        ("ingress", Some(ingress.id())),
        ("receipt-ingest", Some(receipts.id())),
    ];
    for (name, variable) in [
        ("rabbitmq", "SMSFLEET_DEV_RABBIT_PID"),
        ("redis", "SMSFLEET_DEV_REDIS_PID"),
    ] {
        watched.push((
            name,
            std::env::var(variable).ok().and_then(|id| id.parse().ok()),
        ));
    }
    let cpu = || -> Vec<Option<f64>> {
        watched
            .iter()
            .map(|(_, id)| id.and_then(|id| cpu_seconds(id).ok()))
            .collect()
    };
    if let Ok(pause) = std::env::var("WAY_BACK_PAUSE") {
        println!("ingress {} receipt-ingest {}", ingress.id(), receipts.id());
        tokio::time::sleep(Duration::from_secs(pause.parse()?)).await;
    }
    let (before, started) = (cpu(), Instant::now());
    let clients: Vec<_> = requests
        .into_iter()
        .map(|requests| tokio::spawn(client(listen, requests)))
        .collect();
    let mut slowest = Duration::ZERO;
    for client in clients {
        slowest = slowest.max(client.await??);
    }
    let posted = started.elapsed();
    let events = tokio::time::timeout(Duration::from_secs(60), heard)
        .await
        .context("events are missing after a minute")???;
    let told = started.elapsed();
    let after = cpu();

    let mut delivered = 0;
    for (batch, _) in &batches {
        delivered += ledger.counts(*batch).await?.of(MessageState::Delivered);
    }
    ensure!(
        delivered == u64::from(arguments.callbacks),
        "only {delivered} are delivered"
    );
    let each = f64::from(arguments.callbacks);
    println!(
        "{} callbacks over {} connections: answered in {:.2} s ({:.0}/s), slowest {slowest:.0?}; told in {:.2} s ({:.0}/s), {events} AMQP messages of events",
        arguments.callbacks,
        arguments.connections,
        posted.as_secs_f64(),
        each / posted.as_secs_f64(),
        told.as_secs_f64(),
        each / told.as_secs_f64(),
    );
    let mut total = 0.0;
    for ((name, _), (before, after)) in watched.iter().zip(before.iter().zip(&after)) {
        let (Some(before), Some(after)) = (before, after) else {
            println!("  {name:<15} not measured");
            continue;
        };
        let cost = (after - before) * 10_000.0 / each;
        total += cost;
        println!("  {name:<15} {cost:.4} CPU-s per 10,000");
    }
    println!("  {:<15} {total:.4}", "together");
    drop((ingress, receipts));
    bus.close().await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn arguments() -> anyhow::Result<Arguments> {
    let this = std::env::current_exe()?;
    let programs = this.ancestors().nth(2).context("this program's folder")?;
    let mut arguments = Arguments {
        callbacks: 100_000,
        connections: 200,
        programs: programs.to_owned(),
        distributions: 1,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given
            .next()
            .with_context(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--callbacks" => arguments.callbacks = value.parse()?,
            "--connections" => arguments.connections = value.parse()?,
            "--programs" => arguments.programs = value.into(),
            "--distributions" => arguments.distributions = value.parse()?,
            _ => anyhow::bail!("no argument is called {name}"),
        }
    }
    Ok(arguments)
}

fn random<const N: usize>() -> [u8; N] {
    std::array::from_fn(|_| fastrand::u8(..))
}

/// An organisation of its own for each run, so that runs do not meet.
struct Run {
    name: String,
    organization: OrganizationId,
    connection: Connection,
}

impl Run {
    fn new() -> Self {
        let name = format!("{:08x}", fastrand::u32(..));
        let organization = OrganizationId::new(&format!("ORG_{name}")).expect("an identifier");
        let connection = Connection {
            id: ConnectionId::new(&format!("C_{name}")).expect("an identifier"),
            organization_id: organization.clone(),
            provider: "twilio-sms".into(),
            name: "way back".into(),
            sender: Sender::Number(Msisdn::parse(SENDER).expect("a number")),
            fields: BTreeMap::from([("account_sid".into(), ACCOUNT.into())]),
            secrets: BTreeMap::from([("auth_token".into(), Secret::new(TOKEN.into()))]),
            segments_per_second: 1_000.0,
            created_at: now(),
            deleted_at: None,
        };
        Self {
            name,
            organization,
            connection,
        }
    }

    /// A batch whose messages the provider has accepted.
    async fn accepted(
        &self,
        ledger: &dyn Ledger,
        n: usize,
        distribution: u32,
        rows: u32,
    ) -> anyhow::Result<BatchKey> {
        let batch_id = BatchId::new(&format!("b-{n}")).expect("an identifier");
        let key = BatchKey::of(&self.organization, &batch_id);
        let distribution = format!("d-{}-{distribution}", self.name);
        ledger
            .register_batch(&BatchRecord {
                key,
                organization_id: self.organization.clone(),
                distribution_id: DistributionId::new(&distribution).expect("an identifier"),
                batch_id,
                digest: "0".repeat(64),
                connection_id: self.connection.id.clone(),
                class: Class::Bulk,
                recipients: rows,
                on_doubt: DoubtPolicy::Hold,
                expires_at: now().plus(Duration::from_secs(3600)),
                created_at: now(),
                published: false,
            })
            .await?;
        let news: Vec<_> = (0..rows)
            .map(|row| NewRow {
                row,
                to: Some(number(row).masked()),
                invalid: None,
            })
            .collect();
        ledger.write_rows(key, &news).await?;
        let all: Vec<_> = (0..rows).map(|row| (row, number(row))).collect();
        for (token, rows) in (1..).zip(all.chunks(CLAIM_ROWS)) {
            self.accept(ledger, key, token, rows).await?;
        }
        Ok(key)
    }

    async fn accept(
        &self,
        ledger: &dyn Ledger,
        batch: BatchKey,
        token: u32,
        rows: &[(u32, Msisdn)],
    ) -> anyhow::Result<()> {
        ledger
            .claim(&ClaimRequest {
                organization_id: self.organization.clone(),
                batch,
                token,
                attempt: 1,
                connection_id: self.connection.id.clone(),
                sender: self.connection.sender.key(),
                now: now(),
                interrupted_after_millis: 60_000,
                redelivered: false,
                exempt_from_opt_out: false,
                rows: rows.to_vec(),
            })
            .await?;
        let rows = rows.iter().map(|(row, to)| SettleRow {
            row: *row,
            to: *to,
            outcome: SettleOutcome::State(MessageState::Accepted),
            code: String::new(),
            provider_message_id: sid(batch, *row),
            parts: 0,
            part_ids: Vec::new(),
        });
        ledger
            .settle(&SettleRequest {
                batch,
                token,
                now: now(),
                index_ids: true,
                connection_id: self.connection.id.clone(),
                sender: (self.organization.clone(), self.connection.sender.key()),
                rows: rows.collect(),
            })
            .await?;
        Ok(())
    }

    /// The callbacks of every message, dealt to the connections in turn.
    fn requests(&self, batches: &[(BatchKey, u32)], connections: usize) -> Vec<Vec<Vec<u8>>> {
        let mut dealt = vec![Vec::new(); connections];
        let rows = batches
            .iter()
            .flat_map(|(batch, rows)| (0..*rows).map(|row| (*batch, row)));
        for (n, (batch, row)) in rows.enumerate() {
            dealt[n % connections].push(self.request(batch, row));
        }
        dealt
    }

    fn request(&self, batch: BatchKey, row: u32) -> Vec<u8> {
        let reference = Reference { batch, row };
        let target = format!(
            "/distribution-providers/v1/receive/distribution/status/twilio-sms/{}?m={reference}",
            self.organization
        );
        let (sid, to) = (sid(batch, row), format!("+{}", number(row).as_u64()));
        let parameters = [
            ("SmsSid", sid.as_str()),
            ("SmsStatus", "delivered"),
            ("MessageStatus", "delivered"),
            ("To", &to),
            ("MessageSid", &sid),
            ("AccountSid", ACCOUNT),
            ("From", SENDER),
            ("ApiVersion", "2010-04-01"),
            ("RawDlrDoneDate", "2611201245"),
        ];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        let mut sorted = parameters;
        sorted.sort_unstable();
        let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).expect("any length");
        mac.update(format!("{PUBLIC}{target}").as_bytes());
        for (name, value) in sorted {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        format!(
            "POST {target} HTTP/1.1\r\nHost: sms.example.org\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\
             I-Twilio-Idempotency-Token: {:032x}\r\nX-Home-Region: us1\r\nX-Twilio-Signature: {signature}\r\n\r\n{body}",
            body.len(),
            fastrand::u128(..)
        )
        .into_bytes()
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// One of the hundred numbers that are nobody's.
fn number(row: u32) -> Msisdn {
    Msisdn::parse(&format!("+120255501{:02}", row % 100)).expect("a number")
}

fn sid(batch: BatchKey, row: u32) -> String {
    format!("SM{:016x}{row:016x}", batch.as_u64())
}

/// Posts one request after the other; how long the slowest answer took.
async fn client(address: SocketAddr, requests: Vec<Vec<u8>>) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut buffer, mut slowest) = ([0; 2048], Duration::ZERO);
    for request in requests {
        let asked = Instant::now();
        stream.write_all(&request).await?;
        let mut read = 0;
        while !buffer[..read].ends_with(b"\r\n\r\n") {
            let more = stream.read(&mut buffer[read..]).await?;
            ensure!(more > 0, "the ingress hung up");
            read += more;
        }
        let answer = String::from_utf8_lossy(&buffer[..read]);
        ensure!(answer.starts_with("HTTP/1.1 204"), "answered {answer}");
        slowest = slowest.max(asked.elapsed());
    }
    Ok(slowest)
}

/// Listens until `messages` of `organization` are told to be delivered; how many AMQP messages that took.
async fn hear(
    bus: Arc<AmqpBus>,
    organization: OrganizationId,
    messages: u32,
) -> anyhow::Result<u32> {
    let mut consumer = bus
        .subscribe(Topic::Events, &format!("{organization}.#"))
        .await?;
    let (mut heard, mut events) = (0, 0);
    while heard < messages as usize {
        let delivery = consumer.next().await?;
        let Event::Status(statuses) = serde_json::from_slice(&delivery.body)? else {
            anyhow::bail!("an event that is no status");
        };
        heard += statuses.messages.len();
        events += 1;
        delivery.ack().await;
    }
    Ok(events)
}

/// A process of the fleet, gone when dropped.
struct Process(Child);

impl Process {
    fn start(programs: &Path, name: &str, config: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(programs.join(name));
        let log = std::fs::File::create(config.with_file_name(format!("{name}.log")))?;
        let child = command
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {name} of {}", programs.display()))?;
        Ok(Self(child))
    }

    fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_ports<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    let mut held = Vec::new();
    for address in &mut addresses {
        let listener = std::net::TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

async fn ready(ops: SocketAddr) -> anyhow::Result<()> {
    for _ in 0..300 {
        if let Ok(mut stream) = TcpStream::connect(ops).await {
            let mut answer = Vec::new();
            stream
                .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .await?;
            stream.read_to_end(&mut answer).await?;
            if answer.starts_with(b"HTTP/1.1 200") {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{ops} is not ready after 30 s")
}

/// What the scheduler gave the threads of a process so far, from its own books in nanoseconds.
fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = text.split(' ').next().context("an empty schedstat")?;
        nanos += on_cpu.parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

//! One organisation's millions before another's ten, through a real `batch-intake` process: prints
//! recipients per second, CPU per 10,000 recipients, memory over the run and the other's delay.
//!
//! ```text
//! cargo build --release -p batch-intake
//! deploy/dev/services run cargo run --release -p batch-intake --example load -- 100 10000
//! ```
//!
//! The arguments are batches and recipients in each; a third one, `behind`, fills the queue before
//! intake starts.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, bail};
use bus::{AmqpBus, AmqpSettings, Bus, Outgoing, Route, SendQueue, queue};
use ledger::{Ledger, RedisLedger, RedisSettings, Sealer};
use message::{
    Class, Connection, ConnectionId, DistributionId, Fields, OrganizationId, Secret, Sender,
    Timestamp,
};
use serde_json::json;

const OPS: &str = "127.0.0.1:19401";
/// Of 32 times the letter `k`: for these runs only.
const KEY: &str = "load=a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";
const TEXT: &str = "Hi {{first_name}}, how was your visit? Your answers help us: {{survey_link}} \
    Reply STOP to end these messages.";

/// Area codes: in each of them 555-0100 to 555-0199 are kept for fiction.
const AREAS: [u16; 100] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220, 223,
    224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270,
    272, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318,
    319, 320, 321, 323, 325, 330, 331, 334, 336, 337, 339, 346, 347, 351, 352, 360, 361, 364, 380,
    385, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424,
    425, 430, 432, 434, 435,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |usual: usize| match arguments.next() {
        Some(text) => text.parse().context("batches and recipients are numbers"),
        None => Ok(usual),
    };
    let (batches, recipients) = (number(100)?, number(10_000)?);
    let behind = arguments.next().is_some_and(|word| word == "behind");
    let amqp_url = env::var("SMSFLEET_AMQP_URL").context("SMSFLEET_AMQP_URL")?;
    let redis_url = env::var("SMSFLEET_REDIS_URL").context("SMSFLEET_REDIS_URL")?;

    let bus = AmqpBus::connect(&amqp_url, AmqpSettings::default()).await?;
    let (id, key) = KEY.split_once('=').context("a key")?;
    let keys = vec![(id.to_owned(), Secret::new(key.to_owned()))];
    let sealer = Arc::new(Sealer::new(keys).map_err(|error| anyhow::anyhow!("{error}"))?);
    let ledger = RedisLedger::connect(&redis_url, RedisSettings::default(), sealer).await?;
    let run = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs();
    let (large, small) = (format!("LARGE_{run}"), format!("SMALL_{run}"));
    for organization in [&large, &small] {
        ledger.add_connection(&connection(organization)?).await?;
    }

    let mut intake = if behind { None } else { Some(Intake::start()?) };
    let began = Instant::now();
    for number in 0..batches {
        hand_over(&*bus, &large, number, recipients).await?;
    }
    println!("{batches} batches handed over in {:.1?}", began.elapsed());
    let handed_over = Instant::now();
    let mut intake = match intake.take() {
        Some(running) => running,
        None => {
            hand_over(&*bus, &small, 0, 10).await?;
            Intake::start()?
        }
    };
    let started = Instant::now();
    if !behind {
        hand_over(&*bus, &small, 0, 10).await?;
    }
    let mut small_after = None;
    let mut told = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if small_after.is_none()
            && bus
                .depth(&send_queue(&small)?.name())
                .await
                .is_ok_and(|n| n > 0)
        {
            small_after = Some(started.elapsed());
            println!(
                "the other's 10 were through after {:.2?}",
                started.elapsed()
            );
        }
        let decided = intake.decided();
        if decided >= told + (batches as u64 / 10).max(1) {
            told = decided;
            println!(
                "{decided:>5} batches {:>8.1?} rss {:>4} MiB cpu {:>6.2} s",
                started.elapsed(),
                intake.rss_mib()?,
                intake.cpu_seconds()?
            );
        }
        if decided > batches as u64 {
            break;
        }
        if started.elapsed() > Duration::from_secs(900) {
            bail!("not done after 15 minutes");
        }
    }
    let seconds = if behind { started } else { began }.elapsed().as_secs_f64();
    let (rows, cpu) = ((batches * recipients) as f64, intake.cpu_seconds()?);
    println!(
        "{rows} recipients in {seconds:.1} s ({:.0} a second), {cpu:.2} CPU-s: {:.3} per 10,000, \
         {:.0} recipients per CPU second; rss {} MiB at most; handed over {:.1?} ago",
        rows / seconds,
        cpu / rows * 1e4,
        rows / cpu,
        intake.rss_max_mib()?,
        handed_over.elapsed(),
    );
    intake.stop()?;
    // What was handed on would lie in the broker for its lease.
    for organization in [&large, &small] {
        bus.purge(&send_queue(organization)?.name()).await?;
        bus.delete_send_queue_if_empty(&send_queue(organization)?)
            .await?;
    }
    bus.close().await;
    Ok(())
}

fn connection(organization: &str) -> anyhow::Result<Connection> {
    Ok(Connection {
        id: ConnectionId::new(&format!("con-{organization}"))?,
        organization_id: OrganizationId::new(organization)?,
        provider: "twilio-sms".to_owned(),
        name: "load".to_owned(),
        sender: Sender::Alphanumeric("Survey".into()),
        fields: BTreeMap::new(),
        secrets: BTreeMap::new(),
        segments_per_second: 100.0,
        created_at: Timestamp::from(SystemTime::now()),
        deleted_at: None,
    })
}

fn send_queue(organization: &str) -> anyhow::Result<SendQueue> {
    Ok(SendQueue {
        organization_id: OrganizationId::new(organization)?,
        connection_id: ConnectionId::new(&format!("con-{organization}"))?,
        distribution_id: DistributionId::new("dist")?,
        class: Class::Bulk,
    })
}

async fn hand_over(
    bus: &dyn Bus,
    organization: &str,
    number: usize,
    recipients: usize,
) -> anyhow::Result<()> {
    let rows: Vec<_> = (0..recipients)
        .map(|row| {
            let to = format!("+1{}55501{:02}", AREAS[row / 100 % 100], row % 100);
            let link = format!("https://s.example.org/{number:x}-{row:x}");
            let fields: Fields = [("first_name", "Zoé"), ("survey_link", &link)]
                .into_iter()
                .collect();
            json!({"to": to, "fields": fields})
        })
        .collect();
    let name = format!("b{number}");
    let batch = json!({
        "organization_id": organization, "distribution_id": "dist", "batch_id": name,
        "method": "invite", "text": TEXT, "recipients": rows,
    });
    let route = Route::Queue(queue::BATCHES.to_owned());
    let body = serde_json::to_vec(&batch)?;
    bus.publish(vec![Outgoing::new(route, name, body)]).await?;
    Ok(())
}

/// The process that is measured.
struct Intake(Child);

impl Intake {
    fn start() -> anyhow::Result<Self> {
        let own = env::current_exe()?;
        let beside = own
            .ancestors()
            .nth(2)
            .map(|folder| folder.join("batch-intake"));
        let program = env::var_os("BATCH_INTAKE")
            .map(PathBuf::from)
            .or(beside)
            .context("the path of batch-intake")?;
        let child = Command::new(&program)
            .env("SMSFLEET_SECRETS_KEYS", KEY)
            .env("SMSFLEET_BATCH_INTAKE_OPS_LISTEN", OPS)
            .env("SMSFLEET_LOG_FILTER", "warn")
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self(child))
    }

    fn decided(&self) -> u64 {
        let metrics = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(OPS)?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        let text = metrics().unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with("smsfleet_intake_batches_total{"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as u64
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        Ok(fs::read_to_string(format!("/proc/{}/{file}", self.0.id()))?)
    }

    /// User and system time; the clock of `/proc` ticks a hundred times a second.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = self.proc("stat")?;
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
        Ok((ticks(11).context("utime")? + ticks(12).context("stime")?) / 100.0)
    }

    fn memory(&self, name: &str) -> anyhow::Result<u64> {
        let status = self.proc("status")?;
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kib.context("memory")?.parse::<u64>()? / 1024)
    }

    fn rss_mib(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS")
    }

    fn rss_max_mib(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()?;
        self.0.wait()?;
        Ok(())
    }
}

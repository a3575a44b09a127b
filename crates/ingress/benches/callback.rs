//! What a callback costs the ingress: `cargo bench -p ingress`. Reports figures and judges none.
//!
//! - `verify`: proving who sent it, which is a pure function;
//! - `take`: everything from the socket to the answer, as CPU time of the one thread that does it, on
//!   the embedded bus and ledger, asked over keep-alive connections from another thread.

use std::{
    collections::BTreeMap,
    hint::black_box,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bus::{Bus, EmbeddedBus, queue::STATUS_CALLBACKS};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use ingress::{Ingress, IngressMetrics, Settings};
use ledger::{EmbeddedLedger, Ledger};
use message::{Connection, ConnectionId, Msisdn, OrganizationId, Secret, Sender, Timestamp};
use runtime::{CancellationToken, Config, Metrics};
use sha1::Sha1;

const PUBLIC: &str = "https://sms.example.org";
const TOKEN: &str = "3f1c8e2ab94d47d0a6e5c7b1928d4f60";
const ACCOUNT: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
const TARGET: &str =
    "/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2?m=3w5e11264sgsf-2s";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const BODY: &str = "SmsSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&SmsStatus=delivered&MessageStatus=delivered&To=%2B12025550123&MessageSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B12025550142&ApiVersion=2010-04-01&RawDlrDoneDate=2611201245";

const VERIFIED: u32 = 100_000;
const CONNECTIONS: usize = 100;
const ROUNDS: usize = 300;

fn main() {
    verify();
    take();
}

fn verify() {
    let (connection, urls) = (connection(), [PUBLIC.to_owned()]);
    let callback = http::Request::post(TARGET)
        .header("content-type", FORM)
        .header("x-twilio-signature", signature())
        .body(Bytes::from_static(BODY.as_bytes()))
        .expect("a request");
    let provider = providers::provider("twilio-sms").expect("known");
    let before = cpu_time();
    for _ in 0..VERIFIED {
        let now = Timestamp::from_millis(1);
        let verified = provider.verify_callback(&connection, black_box(&callback), &urls, now);
        assert!(black_box(verified).is_ok());
    }
    let nanos = (cpu_time() - before).as_nanos() / u128::from(VERIFIED);
    println!("verify: {nanos} ns of CPU a callback");
}

fn take() {
    let (address, listening) = std::sync::mpsc::channel();
    let (stop, stopped) = (CancellationToken::new(), std::sync::mpsc::channel());
    let door = {
        let stop = stop.clone();
        thread::spawn(move || {
            serve(&address, stop);
            let _ = stopped.0.send(cpu_time());
        })
    };
    let address = listening.recv().expect("it listens");
    let request = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: sms.example.org\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
         Content-Type: {FORM}\r\nContent-Length: {}\r\nI-Twilio-Idempotency-Token: 0\r\n\
         X-Twilio-Signature: {}\r\n\r\n{BODY}",
        BODY.len(),
        signature()
    );
    let mut streams: Vec<_> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect();
    let started = Instant::now();
    for _ in 0..ROUNDS {
        for stream in &mut streams {
            stream.write_all(request.as_bytes()).expect("written");
        }
        for stream in &mut streams {
            let mut answer = [0; 1024];
            let length = stream.read(&mut answer).expect("answered");
            assert!(answer[..length].starts_with(b"HTTP/1.1 204"));
        }
    }
    let took = started.elapsed();
    drop(streams);
    stop.cancel();
    door.join().expect("no panic");
    let cpu = stopped.1.recv().expect("it measured");
    let callbacks = (CONNECTIONS * ROUNDS) as f64;
    println!(
        "take: {:.2} us of CPU a callback, {:.3} CPU-s per 10,000 ({:.0}/s, asked by one thread)",
        cpu.as_secs_f64() * 1e6 / callbacks,
        cpu.as_secs_f64() * 1e4 / callbacks,
        callbacks / took.as_secs_f64()
    );
}

fn serve(listening: &std::sync::mpsc::Sender<SocketAddr>, stop: CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (bus, ledger) = (EmbeddedBus::new(), EmbeddedLedger::new());
        let added = ledger.add_connection(&connection()).await;
        added.expect("embedded");
        let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
        let settings: Settings = config.section("ingress").expect("the defaults fit");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("bound");
        listening.send(address).expect("somebody waits");
        let metrics = IngressMetrics::new(&Metrics::new());
        let drained = bus.clone();
        let drain = tokio::spawn(async move {
            let mut groups = drained.consume(STATUS_CALLBACKS, 100).await?;
            loop {
                groups.next().await?.ack().await;
            }
            #[expect(unreachable_code, reason = "names the type")]
            Ok::<_, bus::BusError>(())
        });
        let door = Ingress::new(settings, vec![PUBLIC.into()], bus, ledger, metrics);
        door.run(listener, stop).await.expect("drained");
        drain.abort();
    });
}

fn connection() -> Connection {
    Connection {
        id: ConnectionId::new("C_1").expect("valid"),
        organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
        provider: "twilio-sms".into(),
        name: "ours".into(),
        sender: Sender::Number(Msisdn::parse("+12025550142").expect("valid")),
        fields: BTreeMap::from([("account_sid".into(), ACCOUNT.into())]),
        secrets: BTreeMap::from([("auth_token".into(), Secret::new(TOKEN.into()))]),
        segments_per_second: 10.0,
        created_at: Timestamp::from_millis(1),
        deleted_at: None,
    }
}

fn signature() -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(BODY.as_bytes()).collect();
    pairs.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).expect("any length");
    mac.update(format!("{PUBLIC}{TARGET}").as_bytes());
    for (name, value) in pairs {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// CPU time of the calling thread, from the kernel's own books.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

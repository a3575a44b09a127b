//! A running ingress on the embedded bus and ledger, and a client that can be as rude as strangers
//! are: requests are written byte by byte.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bus::{Bus, EmbeddedBus};
use hmac::{Hmac, KeyInit, Mac};
use ingress::{Ingress, IngressMetrics, Settings};
use ledger::{EmbeddedLedger, Ledger};
use message::{
    Connection, ConnectionId, Msisdn, OrganizationId, Secret, Sender, Timestamp,
    callback::{Callback, CallbackGroup},
};
use runtime::{CancellationToken, Config, Metrics};
use sha1::Sha1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub const PUBLIC: &str = "https://sms.example.org";
pub const TOKEN: &str = "3f1c8e2ab94d47d0a6e5c7b1928d4f60";
pub const ACCOUNT: &str = "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e";
pub const ORGANIZATION: &str = "ORG_8mQ2";
pub const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// Body B1 of the wire specification.
pub const DELIVERED: &str = "SmsSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&SmsStatus=delivered&MessageStatus=delivered&To=%2B353861234567&MessageSid=SM7c0d5ab1f2e94386a1d0c4b7e6f35912&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B13531234567&ApiVersion=2010-04-01&RawDlrDoneDate=2511131245";
/// The inbound example of the wire specification, section 7.
pub const INBOUND: &str = "ToCountry=US&ToState=&SmsMessageSid=SMaa11bb22cc33dd44ee55ff6600778899&NumMedia=0&ToCity=&FromZip=&SmsSid=SMaa11bb22cc33dd44ee55ff6600778899&FromState=&SmsStatus=received&FromCity=&Body=%C3%87a+va+%3F+100%25+%26+ok+%3D+oui%0A%F0%9F%91%8D+&FromCountry=IE&To=%2B13531234567&ToZip=&NumSegments=1&MessageSid=SMaa11bb22cc33dd44ee55ff6600778899&AccountSid=AC5b1f0c7e9a2d4b36815ce0f4a7d9023e&From=%2B353861234567&ApiVersion=2010-04-01";

pub fn target(kind: &str, organization: &str) -> String {
    format!("/distribution-providers/v1/receive/distribution/{kind}/twilio-sms/{organization}")
}

/// The settings that operators get, on a free port.
pub fn settings() -> Settings {
    let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    config.section("ingress").expect("the defaults fit")
}

pub fn connection(id: &str, organization: &str, token: &str) -> Connection {
    Connection {
        id: ConnectionId::new(id).expect("valid"),
        organization_id: OrganizationId::new(organization).expect("valid"),
        provider: "twilio-sms".into(),
        name: "ours".into(),
        sender: Sender::Number(Msisdn::parse("+13531234567").expect("valid")),
        fields: BTreeMap::from([("account_sid".into(), ACCOUNT.into())]),
        secrets: BTreeMap::from([("auth_token".into(), Secret::new(token.into()))]),
        segments_per_second: 10.0,
        created_at: Timestamp::from_millis(1),
        deleted_at: None,
    }
}

/// As section 8 of the wire specification says, over form bodies.
pub fn sign(token: &str, url: &str, form: &str) -> String {
    let mut pairs: Vec<_> = form_urlencoded::parse(form.as_bytes()).collect();
    pairs.sort();
    pairs.dedup();
    let text = pairs
        .iter()
        .fold(url.to_owned(), |text, (name, value)| text + name + value);
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

pub struct Running {
    pub address: SocketAddr,
    pub bus: Arc<EmbeddedBus>,
    pub ledger: Arc<EmbeddedLedger>,
    pub metrics: Metrics,
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(settings(), EmbeddedBus::new()).await
    }

    pub async fn start_with(settings: Settings, bus: Arc<EmbeddedBus>) -> Self {
        let ledger = EmbeddedLedger::new();
        ledger
            .add_connection(&connection("C_1", ORGANIZATION, TOKEN))
            .await
            .expect("embedded");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (metrics, stop) = (Metrics::new(), CancellationToken::new());
        let ingress = Ingress::new(
            settings,
            vec![PUBLIC.into()],
            bus.clone(),
            ledger.clone(),
            IngressMetrics::new(&metrics),
        );
        let ended = tokio::spawn(ingress.run(listener, stop.clone()));
        Self {
            address,
            bus,
            ledger,
            metrics,
            stop,
            ended,
        }
    }

    /// Asks it to stop and waits until it did.
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended.await.expect("no panic").expect("drained");
    }

    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub async fn ended(self) {
        self.ended.await.expect("no panic").expect("drained");
    }

    /// A signed callback of our own account.
    pub async fn signed(&self, kind: &str, query: &str, form: &str) -> Answer {
        let target = format!("{}{query}", target(kind, ORGANIZATION));
        let signature = sign(TOKEN, &format!("{PUBLIC}{target}"), form);
        self.post(
            &target,
            &[("Content-Type", FORM), ("X-Twilio-Signature", &signature)],
            form,
        )
        .await
    }

    pub async fn post(&self, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.raw(request.as_bytes()).await
    }

    /// Writes `request` and reads until the server closes.
    pub async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.expect("listening");
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("an answer in time");
        Answer(String::from_utf8(answer).expect("text"))
    }

    /// Everything that is in `queue`, group by group; taken out.
    pub async fn groups(&self, queue: &str) -> Vec<Vec<Callback>> {
        let mut groups = Vec::new();
        while let Some(delivery) = self.bus.get(queue).await.expect("a fixed queue") {
            let group: CallbackGroup = serde_json::from_slice(&delivery.body).expect("a group");
            assert_eq!(group.v, 1);
            groups.push(group.callbacks);
            delivery.ack().await;
        }
        groups
    }

    pub fn metric(&self, line: &str) -> bool {
        let text = String::from_utf8(self.metrics.render()).expect("text");
        text.lines().any(|known| known.starts_with(line))
    }
}

#[derive(Debug)]
pub struct Answer(pub String);

impl Answer {
    pub fn status(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.split("\r\n\r\n").next()?.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

//! A batch of 10,000 recipients from the bus to the bus, both it and the ledger in the process:
//! `cargo bench -p batch-intake`. What the broker and Redis cost is measured by the example `load`.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use batch_intake::{BatchIntake, IntakeMetrics, Settings};
use bus::{Bus, EmbeddedBus, Outgoing, Route, queue};
use divan::{Bencher, counter::ItemsCount};
use ledger::{EmbeddedLedger, Ledger};
use message::{
    BatchId, BatchKey, Connection, ConnectionId, Fields, OrganizationId, Sender, Timestamp,
};
use runtime::{CancellationToken, Config, Metrics};
use serde_json::json;
use tokio::runtime::Runtime;

const RECIPIENTS: usize = 10_000;

/// Area codes: in each of them 555-0100 to 555-0199 are kept for fiction.
const AREAS: [u16; 100] = [
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 220, 223,
    224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270,
    272, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318,
    319, 320, 321, 323, 325, 330, 331, 334, 336, 337, 339, 346, 347, 351, 352, 360, 361, 364, 380,
    385, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419, 423, 424,
    425, 430, 432, 434, 435,
];

fn main() {
    message::number::load_plans();
    divan::main();
}

fn organization() -> OrganizationId {
    OrganizationId::new("ORG_1").expect("an id")
}

fn batch(name: &str) -> Vec<u8> {
    let recipients: Vec<_> = (0..RECIPIENTS)
        .map(|row| {
            let link = format!("https://s.example.org/{row:x}");
            let fields: Fields = [("first_name", "Zoé"), ("survey_link", &link)]
                .into_iter()
                .collect();
            let to = format!("+1{}55501{:02}", AREAS[row / 100], row % 100);
            json!({"to": to, "fields": fields})
        })
        .collect();
    let batch = json!({
        "organization_id": "ORG_1", "distribution_id": "dist_1", "batch_id": name,
        "method": "invite", "recipients": recipients,
        "text": "Hi {{first_name}}, how was your visit? Your answers help us: {{survey_link}}",
    });
    batch.to_string().into_bytes()
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn batch_of_10_000(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().expect("a runtime");
    let (bus, ledger) = (EmbeddedBus::new(), EmbeddedLedger::new());
    let stop = CancellationToken::new();
    runtime.block_on(start(&bus, &ledger, &stop));
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(RECIPIENTS))
        .with_inputs(|| {
            number += 1;
            let name = format!("b{number}");
            let body = batch(&name);
            (name, body)
        })
        .bench_local_values(|(name, body)| {
            runtime.block_on(async {
                let route = Route::Queue(queue::BATCHES.to_owned());
                let outgoing = vec![Outgoing::new(route, name.as_str(), body)];
                bus.publish(outgoing).await.expect("there");
                let key = BatchKey::of(&organization(), &BatchId::new(&name).expect("an id"));
                let published = || async {
                    let record = ledger.batch(key).await.expect("there");
                    record.is_some_and(|record| record.published)
                };
                while !published().await {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
                // So that the queue does not fill up over the samples.
                let queue = "sms.send.con_1.ORG_1.dist_1";
                bus.purge(queue).await.expect("there");
            });
        });
    stop.cancel();
}

async fn start(bus: &Arc<EmbeddedBus>, ledger: &Arc<EmbeddedLedger>, stop: &CancellationToken) {
    let connection = Connection {
        id: ConnectionId::new("con_1").expect("an id"),
        organization_id: organization(),
        provider: "twilio-sms".to_owned(),
        name: "bench".to_owned(),
        sender: Sender::Alphanumeric("Survey".into()),
        fields: BTreeMap::new(),
        secrets: BTreeMap::new(),
        segments_per_second: 100.0,
        created_at: Timestamp::from(SystemTime::now()),
        deleted_at: None,
    };
    ledger.add_connection(&connection).await.expect("there");
    let config = Config::load(None, std::iter::empty()).expect("the defaults are valid");
    let settings: Settings = config.section("batch_intake").expect("they fit");
    let metrics = IntakeMetrics::new(&Metrics::new());
    let intake = BatchIntake::new(settings, bus.clone(), ledger.clone(), metrics);
    tokio::spawn(intake.run(stop.clone()));
}

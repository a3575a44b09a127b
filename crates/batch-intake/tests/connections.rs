//! Which connection carries a batch, and what it makes of it.

mod support;

use bus::queue;
use ledger::Ledger;
use message::{
    Class, ConnectionId, OrganizationId, Rule, Weight, connection::OrganizationSettings,
};
use serde_json::json;
use support::{Bench, Decided, ORGANIZATION, batch, now, text, with};

fn organization(id: &str) -> OrganizationId {
    OrganizationId::new(id).expect("an id")
}

async fn without_connection() -> Bench {
    let bench = Bench::new().await;
    let id = ConnectionId::new("con_1").expect("an id");
    bench
        .ledger
        .delete_connection(&organization(ORGANIZATION), &id, now())
        .await
        .expect("there");
    bench
}

async fn refused_rule(bench: &mut Bench) -> Rule {
    bench.hand_over(text(&batch("b1", 1))).await;
    assert_eq!(bench.run(1).await, Decided::only("refused", 1));
    bench.refused().await[0].refusals[0].rule
}

#[tokio::test]
async fn an_organisation_without_a_connection_is_refused() {
    let mut bench = without_connection().await;
    assert_eq!(refused_rule(&mut bench).await, Rule::NoConnection);
}

#[tokio::test]
async fn it_uses_the_default_connection_if_there_is_one() {
    let mut bench = without_connection().await;
    bench.settings.default_organization = Some(organization("FLEET"));
    assert_eq!(refused_rule(&mut bench).await, Rule::NoConnection);
    bench.connect("FLEET", "con_fleet").await;
    bench.hand_over(text(&batch("b1", 1))).await;
    assert_eq!(bench.run(1).await, Decided::only("taken", 1));
    let left = bench.left_on("b1", "con_fleet", Class::Bulk).await;
    assert_eq!(left.rows_in_chunks(), [0]);
}

#[tokio::test]
async fn it_does_not_if_it_forbids_that() {
    let mut bench = without_connection().await;
    bench.settings.default_organization = Some(organization("FLEET"));
    bench.connect("FLEET", "con_fleet").await;
    let settings = OrganizationSettings {
        forbid_default_connection: true,
        ..OrganizationSettings::default()
    };
    bench
        .ledger
        .set_organization(&organization(ORGANIZATION), &settings)
        .await
        .expect("there");
    assert_eq!(refused_rule(&mut bench).await, Rule::NoConnection);
}

#[tokio::test]
async fn an_interrupted_batch_keeps_the_connection_that_was_chosen_first() {
    let bench = Bench::new().await;
    bench.connect(ORGANIZATION, "con_2").await;
    let faults = support::faults::Faults::new(support::faults::Mode::DieAfter(3));
    bench.hand_over(text(&batch("b1", 1))).await;
    let first = tokio::runtime::Runtime::new().expect("a runtime");
    let (intake, stop) = bench.intake(
        bench.bus.clone(),
        support::faults::FaultyLedger::new(bench.ledger.clone(), &faults),
        &runtime::Metrics::new(),
    );
    first.spawn(intake.run(stop));
    faults.died.notified().await;
    first.shutdown_background();
    let id = ConnectionId::new("con_1").expect("an id");
    let gone = bench
        .ledger
        .delete_connection(&organization(ORGANIZATION), &id, now())
        .await;
    assert!(gone.expect("there"));
    assert_eq!(bench.run(1).await, Decided::only("finished", 1));
    assert_eq!(bench.left("b1").await.rows_in_chunks(), [0]);
}

#[tokio::test]
async fn the_fleets_own_batches_go_express_over_the_connection_they_name() {
    let mut bench = Bench::new().await;
    bench.connect(ORGANIZATION, "con_2").await;
    let own = |id: &str, connection: &str| {
        json!({
            "batch": batch(id, 1),
            "exempt_from_opt_out": true,
            "connection_id": connection,
        })
    };
    bench
        .hand_over_to(queue::INTERNAL_BATCHES, text(&own("b1", "con_2")))
        .await;
    bench
        .hand_over_to(queue::INTERNAL_BATCHES, text(&own("b2", "gone")))
        .await;
    bench
        .hand_over_to(queue::INTERNAL_BATCHES, text(&batch("b3", 1)))
        .await;
    let decided = bench.run(3).await;
    assert_eq!(
        (decided.0.get("taken"), decided.0.get("refused")),
        (Some(&1), Some(&2))
    );
    let left = bench.left_on("b1", "con_2", Class::Express).await;
    let chunk = left.chunks.values().next().expect("one chunk");
    assert!(chunk.exempt_from_opt_out);
    assert_eq!(bench.refused().await.len(), 2);
}

#[tokio::test]
async fn national_numbers_are_read_by_the_organisations_region() {
    let bench = Bench::new().await;
    let settings = OrganizationSettings {
        default_region: Some("FR".to_owned()),
        ..OrganizationSettings::default()
    };
    bench
        .ledger
        .set_organization(&organization(ORGANIZATION), &settings)
        .await
        .expect("there");
    let national = with(
        batch("b1", 1),
        "recipients",
        json!([{ "to": "06 12 00 00 00", "fields": { "name": "A" } }]),
    );
    bench.hand_over(text(&national)).await;
    bench.run(1).await;
    let left = bench.left("b1").await;
    let chunk = left.chunks.values().next().expect("one chunk");
    assert_eq!(chunk.rows[0].to.e164(), "+33612000000");
}

#[tokio::test]
async fn a_chunk_is_five_seconds_of_the_connections_rate() {
    let bench = Bench::new().await; // 10 segments a second
    bench.hand_over(text(&batch("b1", 120))).await;
    bench.run(1).await;
    let left = bench.left("b1").await;
    let mut sizes: Vec<usize> = left.chunks.values().map(|chunk| chunk.rows.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [20, 50, 50]);
}

#[tokio::test]
async fn a_batch_may_say_what_its_distribution_weighs_and_a_later_one_another() {
    let bench = Bench::new().await;
    for (id, weight, then) in [
        ("b1", None, None),
        ("b2", Some(30), Some(30)),
        ("b3", None, Some(30)),
        ("b4", Some(5), Some(5)),
    ] {
        let batch = match weight {
            Some(weight) => with(batch(id, 1), "weight", json!(weight)),
            None => batch(id, 1),
        };
        bench.hand_over(text(&batch)).await;
        assert_eq!(bench.run(1).await, Decided::only("taken", 1));
        let list = bench.ledger.queues(None).await.expect("embedded");
        let (queue, _) = &list.expect("a list").queues[0];
        assert_eq!(queue.weight, then.and_then(Weight::new), "{id}");
    }
    for bad in [json!(0), json!(101), json!("much")] {
        let name = format!("bad-{bad}").replace('"', "");
        bench
            .hand_over(text(&with(batch(&name, 1), "weight", bad)))
            .await;
        assert_eq!(bench.run(1).await, Decided::only("refused", 1));
    }
}

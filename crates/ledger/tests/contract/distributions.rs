//! Distributions, their states, and the queues that workers consume.

use std::time::{Duration, SystemTime};

use ledger::{BatchRecord, DistributionRecord, DistributionState, QueueEntry, QueueList};
use message::{Class, DistributionId, Timestamp, Weight};

use crate::world::{World, at, connection};

fn distribution(name: &str) -> DistributionId {
    DistributionId::new(name).expect("valid")
}

fn queue(world: &World, name: &str, for_millis: u64) -> QueueEntry {
    let now = Timestamp::from(SystemTime::now());
    QueueEntry {
        name: format!("sms.send.con-1.{name}"),
        organization_id: world.organization.clone(),
        distribution_id: distribution(name),
        connection_id: connection("con-1"),
        class: Class::Bulk,
        expires_at: now.plus(Duration::from_millis(for_millis)),
        weight: None,
    }
}

async fn queues(world: &World, known: Option<u64>) -> Option<QueueList> {
    world.ledger.queues(known).await.expect("asked")
}

async fn set(world: &World, name: &str, state: DistributionState) -> bool {
    let distribution = distribution(name);
    let set = world
        .ledger
        .set_distribution_state(&world.organization, &distribution, state);
    set.await.expect("set")
}

async fn register(world: &World, name: &str, batch: &str, millis: u64) -> BatchRecord {
    let record = BatchRecord {
        distribution_id: distribution(name),
        created_at: at(millis),
        ..world.record(batch, 1)
    };
    world
        .ledger
        .register_batch(&record)
        .await
        .expect("registered");
    record
}

pub async fn a_distribution_lists_its_batches_in_order(world: &World) {
    let mut batches = Vec::new();
    for name in ["b-9", "b-1", "b-5", "b-9"] {
        let key = register(world, "survey", name, 1_000).await.key;
        if !batches.contains(&key) {
            batches.push(key);
        }
    }
    let asked = async |name| {
        let name = distribution(name);
        let asked = world.ledger.distribution(&world.organization, &name);
        asked.await.expect("asked")
    };
    let expected = DistributionRecord {
        organization_id: world.organization.clone(),
        distribution_id: distribution("survey"),
        state: DistributionState::Active,
        created_at: at(1_000),
        batches,
    };
    assert_eq!(asked("survey").await, Some(expected));
    assert_eq!(asked("other").await, None);
    assert!(!set(world, "other", DistributionState::Paused).await);
}

pub async fn distributions_are_listed_newest_first(world: &World) {
    for (name, millis) in [
        ("d-2", 2_000),
        ("d-9", 1_000),
        ("d-3", 2_000),
        ("d-1", 3_000),
    ] {
        register(world, name, name, millis).await;
    }
    register(world, "d-9", "late", 9_000).await;
    let page = async |offset, limit| {
        let page = world
            .ledger
            .distributions(&world.organization, offset, limit);
        let page = page.await.expect("asked").into_iter();
        page.map(|record| record.distribution_id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(page(0, 10).await, ["d-1", "d-3", "d-2", "d-9"]);
    assert_eq!(page(1, 2).await, ["d-3", "d-2"]);
    assert_eq!(page(4, 2).await, [""; 0]);
    assert_eq!(page(0, 0).await, [""; 0]);
}

pub async fn queues_are_told_again_only_when_something_changed(world: &World) {
    register(world, "a", "a", 0).await;
    register(world, "b", "b", 0).await;
    let none = queues(world, None).await.expect("told");
    assert_eq!(none.queues, []);
    assert_eq!(queues(world, Some(none.version)).await, None);

    let (a, b) = (queue(world, "a", 600_000), queue(world, "b", 600_000));
    let mut version = none.version;
    let mut expect_news = async |expected: &[(&QueueEntry, DistributionState)], whole: bool| {
        let list = queues(world, Some(version))
            .await
            .expect("something changed");
        let expected: Vec<_> = expected
            .iter()
            .map(|(q, state)| ((*q).clone(), *state))
            .collect();
        assert_eq!(list.queues, expected);
        assert_eq!(list.whole, whole);
        assert_eq!(list.gone, [""; 0]);
        assert_ne!(list.version, version);
        version = list.version;
        assert_eq!(queues(world, Some(version)).await, None);
        version
    };
    let (active, paused) = (DistributionState::Active, DistributionState::Paused);
    world.ledger.open_queue(&b).await.expect("opened");
    world.ledger.open_queue(&a).await.expect("opened");
    let version = expect_news(&[(&a, active), (&b, active)], false).await;

    // The same again, and one that would end sooner, are no news.
    let sooner = QueueEntry {
        expires_at: Timestamp::from(SystemTime::now()),
        ..a.clone()
    };
    world.ledger.open_queue(&sooner).await.expect("opened");
    assert!(set(world, "a", active).await);
    assert_eq!(queues(world, Some(version)).await, None);
    let longer = QueueEntry {
        expires_at: a.expires_at.plus(Duration::from_secs(60)),
        ..a.clone()
    };
    world.ledger.open_queue(&longer).await.expect("renewed");
    expect_news(&[(&longer, active)], false).await;

    assert!(set(world, "b", paused).await);
    expect_news(&[(&longer, active), (&b, paused)], true).await;
    assert!(set(world, "b", active).await);
    expect_news(&[(&longer, active), (&b, active)], true).await;
    assert!(set(world, "b", DistributionState::Cancelled).await);
    let cancelled = DistributionState::Cancelled;
    let version = expect_news(&[(&longer, active), (&b, cancelled)], true).await;
    assert!(
        set(world, "b", active).await,
        "there is one, but it stays cancelled"
    );
    assert_eq!(queues(world, Some(version)).await, None);
    world.ledger.close_queue(&a.name).await.expect("closed");
    let list = queues(world, Some(version)).await.expect("one is gone");
    assert_eq!((list.queues, list.gone), (Vec::new(), vec![a.name.clone()]));
    let version = list.version;
    world
        .ledger
        .close_queue(&a.name)
        .await
        .expect("closed again");
    assert_eq!(queues(world, Some(version)).await, None);
    let all = queues(world, None).await.expect("told");
    assert_eq!((all.queues, all.whole), (vec![(b, cancelled)], true));
}

pub async fn a_queue_keeps_its_weight_until_somebody_says_another(world: &World) {
    let weighs = |weight: Option<u8>| QueueEntry {
        weight: weight.and_then(Weight::new),
        ..queue(world, "a", 600_000)
    };
    let ends = queue(world, "a", 600_000).expires_at;
    let mut version = None;
    for (said, then) in [
        (None, None),
        (Some(30), Some(30)),
        (None, Some(30)),
        (Some(5), Some(5)),
    ] {
        let said = QueueEntry {
            expires_at: ends,
            ..weighs(said)
        };
        world.ledger.open_queue(&said).await.expect("opened");
        if let Some(list) = queues(world, version).await {
            version = Some(list.version);
        }
        let list = queues(world, None).await.expect("told");
        let weights: Vec<_> = list.queues.iter().map(|(entry, _)| entry.weight).collect();
        assert_eq!(weights, [then.and_then(Weight::new)]);
    }
    let name = queue(world, "a", 0).name;
    world.ledger.close_queue(&name).await.expect("closed");
    world
        .ledger
        .open_queue(&weighs(None))
        .await
        .expect("opened");
    let list = queues(world, version).await.expect("changed");
    assert_eq!(list.queues[0].0.weight, None, "a new queue of that name");
}

pub async fn what_changed_is_told_until_too_much_has(world: &World) {
    let first = queues(world, None).await.expect("told").version;
    let one = queue(world, "one", 600_000);
    world.ledger.open_queue(&one).await.expect("opened");
    let second = queues(world, Some(first)).await.expect("told");
    assert_eq!((second.whole, second.queues.len()), (false, 1));
    // Many come and go; who has followed is told of the last ones, who has not reads everything.
    let mut known = second.version;
    for n in 0..5_100 {
        let other = queue(world, &format!("other-{n}"), 600_000);
        world.ledger.open_queue(&other).await.expect("opened");
        world.ledger.close_queue(&other.name).await.expect("closed");
        if n == 5_090 {
            known = queues(world, Some(known)).await.expect("told").version;
        }
    }
    let followed = queues(world, Some(known)).await.expect("told");
    let names = |list: &QueueList| -> Vec<String> {
        list.queues.iter().map(|(q, _)| q.name.clone()).collect()
    };
    if followed.whole {
        assert_eq!(names(&followed).join(" "), one.name);
    } else {
        assert_eq!((followed.queues.len(), followed.gone.len()), (0, 9));
    }
    let late = queues(world, Some(first)).await.expect("told");
    assert_eq!((late.whole, names(&late)), (true, vec![one.name]));
}

pub async fn a_queue_nobody_renews_leaves_the_list(world: &World) {
    let short = queue(world, "short", 150);
    world.ledger.open_queue(&short).await.expect("opened");
    let before = queues(world, None).await.expect("told");
    assert_eq!(before.queues.len(), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let after = queues(world, Some(before.version))
        .await
        .expect("something changed");
    assert_eq!((after.queues, after.gone), (Vec::new(), vec![short.name]));
    assert_eq!(queues(world, Some(after.version)).await, None);
}

//! What the ledger in Redis refuses, and how it comes back.

use std::{process::Command, time::Duration};

use ledger::{Ledger, LedgerError, NewRow, RedisLedger, RedisSettings, Sealer};
use message::{MessageState, Secret};

use crate::{
    accounts::account,
    server::Server,
    world::{World, accepted, good_row, report, sealer},
};

async fn connect(url: &str, settings: RedisSettings) -> Result<(), LedgerError> {
    RedisLedger::connect(url, settings, sealer(1))
        .await
        .map(drop)
}

fn quick() -> RedisSettings {
    RedisSettings {
        response_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(300),
        connect_retries: 0,
        ..RedisSettings::default()
    }
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    let options = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let Some(server) = Server::start(&options).await else {
        return;
    };
    let refused = connect(&server.url, quick()).await.expect_err("refused");
    assert!(matches!(refused, LedgerError::Unusable(_)));
    let text = refused.to_string();
    assert!(
        text.contains("allkeys-lru") && text.contains("noeviction"),
        "{text}"
    );
}

#[tokio::test]
async fn a_url_that_can_not_be_used_is_refused_without_its_password() {
    for url in [
        "",
        "nonsense://u:hunter2@x",
        "redis://u:hunter2@:x",
        "redis://127.0.0.1:1",
    ] {
        let text = connect(url, quick())
            .await
            .expect_err("refused")
            .to_string();
        assert!(!text.contains("hunter2"), "{text}");
    }
    let settings = RedisSettings {
        key_prefix: "a{b}".into(),
        ..quick()
    };
    let refused = connect("redis://127.0.0.1:1", settings).await;
    assert!(matches!(refused, Err(LedgerError::Unusable(_))));
}

#[tokio::test]
async fn secrets_of_another_key_are_an_error_that_names_the_connection() {
    let Some(world) = World::redis().await else {
        return;
    };
    let (url, prefix) = world.store.clone().expect("a world with a store");
    let id = format!("con-{}", world.organization);
    let connection = account(&world.organization, &id);
    world
        .ledger
        .add_connection(&connection)
        .await
        .expect("added");

    let renamed = Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into());
    let renamed = std::sync::Arc::new(Sealer::new(vec![("other".into(), renamed)]).expect("valid"));
    for (sealer, expected) in [(sealer(2), "does not fit"), (renamed, "not configured")] {
        let settings = RedisSettings {
            key_prefix: prefix.clone(),
            ..RedisSettings::default()
        };
        let other = RedisLedger::connect(&url, settings, sealer)
            .await
            .expect("connected");
        let error = other.connection(&connection.id).await.expect_err("sealed");
        assert!(matches!(error, LedgerError::Sealed { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&id) && text.contains(expected), "{text}");
    }
    world.tidy_up().await;
}

#[tokio::test]
async fn a_server_that_hangs_or_restarts_is_an_error_and_then_used_again() {
    let Some(server) = Server::start(&[]).await else {
        return;
    };
    let ledger = RedisLedger::connect(&server.url, quick(), sealer(1))
        .await
        .expect("connected");
    ledger.ping().await.expect("alive");
    let signal = |signal: &str| {
        let process = server.process_id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.expect("kill runs").success());
    };
    signal("-STOP");
    assert!(matches!(
        ledger.ping().await,
        Err(LedgerError::Unavailable(_))
    ));
    signal("-CONT");
    eventually_alive(&*ledger).await;
    // Every connection is cut, and the scripts are forgotten: the next calls notice and go on.
    let mut other = server.connection().await.expect("alive");
    for command in [["SCRIPT", "FLUSH"], ["CLIENT", "KILL"]] {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(command[1]);
        if command[0] == "CLIENT" {
            cmd.arg(&["TYPE", "normal"]);
        }
        let _: redis::Value = cmd.query_async(&mut other).await.expect("done");
    }
    eventually_alive(&*ledger).await;
    let none = ledger.queues(None).await.expect("scripts are loaded again");
    assert!(none.is_some());
}

async fn eventually_alive(ledger: &dyn Ledger) {
    for _ in 0..100 {
        if ledger.ping().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the ledger did not come back");
}

#[tokio::test]
async fn everything_about_messages_ends_by_itself() {
    let Some(world) = World::redis().await else {
        return;
    };
    let record = world.record("b-1", 150);
    let registered = world.ledger.register_batch(&record).await;
    registered.expect("registered");
    let rows: Vec<_> = (0..150)
        .map(|row| NewRow {
            invalid: (row == 120).then(|| "number:to".to_owned()),
            ..good_row(row)
        })
        .collect();
    let written = world.ledger.write_rows(record.key, &rows).await;
    written.expect("written");
    let all: Vec<u32> = (0..150).collect();
    world.claim(record.key, 1, &all).await;
    let rows: Vec<_> = all.iter().map(|row| accepted(*row)).collect();
    world.settle(record.key, 1, &rows).await;
    let receipt = report(7, MessageState::Delivered, "");
    world.merge(record.key, &[receipt]).await;

    let mut connection = world.connection().await;
    let keys = world.keys().await;
    let of = |kind: &str| keys.iter().filter(|key| key.contains(kind)).count();
    assert_eq!((of("{b:"), of(":t:"), of("{i:")), (3, 17, 17), "{keys:?}");
    for key in keys {
        let millis: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .expect("asked");
        assert!(millis > 0, "{key}");
    }
    world.tidy_up().await;
}

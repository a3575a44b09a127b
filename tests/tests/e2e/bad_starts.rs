//! Configurations that can not work: a clear message, an exit code, and nothing started.

use std::net::TcpListener;
use std::process::Output;

use smsfleet_tests::fleet::{Fleet, Service, text};
use smsfleet_tests::process;
use smsfleet_tests::scene::{Options, Stage};

fn run(service: Service, fleet: &Fleet, arguments: &[&str]) -> Output {
    let config = fleet.write_config().expect("a configuration");
    process::command(service.binary())
        .expect("built")
        .arg("--config")
        .arg(config)
        .args(arguments)
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// A fleet whose broker and Redis nobody needs to reach.
fn fleet() -> Fleet {
    Fleet::new().expect("a fleet")
}

#[test]
fn a_good_configuration_is_said_to_be_one() {
    for service in Service::ALL {
        let output = run(service, &fleet(), &["--check-config"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn a_bad_configuration_ends_every_service_with_2_and_names_the_key() {
    for service in Service::ALL {
        let section = service.section();
        let ops = format!("{section}.ops_listen");
        for (key, value, named) in [
            (ops.as_str(), "\"everywhere\"", ops.as_str()),
            ("shutdown.deadline", "\"soon\"", "shutdown.deadline"),
            ("log.colour", "\"red\"", "log.colour"),
            ("amqp.queue_type", "\"lazy\"", "amqp.queue_type"),
            ("redis.response_timeout", "7", "redis.response_timeout"),
            ("secrets.keys", "[\"k1=too short\"]", "secrets.keys"),
        ] {
            let mut fleet = fleet();
            fleet.set(key, value);
            let output = run(service, &fleet, &[]);
            let said = said(&output);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{} with {key}: {said}",
                service.binary()
            );
            assert!(
                said.contains(named),
                "{} does not name {named}: {said}",
                service.binary()
            );
        }
    }
}

#[test]
fn a_variable_that_names_no_setting_ends_with_2_and_a_hint() {
    let fleet = fleet();
    let output = process::command("send-worker")
        .expect("built")
        .env("SMSFLEET_SEND_WORKER_REQUEST_TIMOUT", "5s")
        .arg("--config")
        .arg(fleet.write_config().expect("a configuration"))
        .output()
        .expect("it runs");
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("REQUEST_TIMOUT"), "{said}");
}

#[test]
fn no_secret_stands_in_the_message_about_a_bad_one() {
    for (key, value, canary) in [
        (
            "secrets.keys",
            "[\"k1=canary-key-that-is-no-base64!\"]",
            "canary-key",
        ),
        (
            "amqp.url",
            "\"amqp//guest:canary-password@host\"",
            "canary-password",
        ),
        (
            "redis.url",
            "\"redis//:canary-password@host\"",
            "canary-password",
        ),
        (
            "control.tokens",
            "[\"canary-token-without-a-name\"]",
            "canary-token",
        ),
    ] {
        let mut fleet = fleet();
        fleet.set(key, value);
        let output = run(Service::Control, &fleet, &[]);
        let said = said(&output);
        assert_ne!(output.status.code(), Some(0), "{key}: {said}");
        assert!(!said.contains(canary), "{key}: {said}");
    }
}

#[test]
fn a_port_that_is_taken_ends_a_service_with_1_and_names_the_key() {
    for service in Service::ALL {
        let key = format!("{}.ops_listen", service.section());
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut fleet = fleet();
        fleet.set(&key, text(&taken.local_addr().expect("bound").to_string()));
        let output = run(service, &fleet, &[]);
        let said = said(&output);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}: {said}",
            service.binary()
        );
        assert!(said.contains(&key), "{}: {said}", service.binary());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_of_the_ingress_or_the_api_ends_it_with_1_and_names_the_key() {
    let stage = Stage::open(Options::default())
        .await
        .expect("the stage is set");
    let Some(mut stage) = stage else { return };
    for (service, key) in [
        (Service::Ingress, "ingress.listen"),
        (Service::Control, "control.listen"),
    ] {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        stage
            .fleet
            .set(key, text(&taken.local_addr().expect("bound").to_string()));
        stage.fleet.start(service).expect("it starts");
        let ended = stage.fleet.join(service).await.expect("it ends");
        let log = stage.fleet.log(service);
        assert_eq!(ended.code, Some(1), "{log}");
        assert!(log.contains(key), "{log}");
    }
}

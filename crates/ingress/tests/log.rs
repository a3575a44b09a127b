//! What an operator reads, and what never stands in a log. Alone in its file: it listens to
//! everything this process logs.

mod support;

use std::sync::{Arc, Mutex};

use support::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refused_callback_is_one_clear_line_without_body_number_or_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let running = Running::start().await;
    let form = [
        ("Content-Type", FORM),
        ("X-Twilio-Signature", "TEDEqIp3sG1NBxmGwfx19ldRfJk="),
    ];
    running
        .post(&target("status", ORGANIZATION), &form, DELIVERED)
        .await;
    running.signed("message", "", INBOUND).await;
    let translated = "/fournisseurs-distribution/v1/recevoir/distribution/statut/twilio-sms/ORG_8mQ2?to=353861234567";
    running.post(translated, &form, DELIVERED).await;
    running.stop().await;

    let log = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    let refused: Vec<_> = log
        .lines()
        .filter(|line| line.contains("callback refused"))
        .collect();
    let [refused] = refused[..] else {
        panic!("one line, not {refused:?}")
    };
    for part in ["ORG_8mQ2", "twilio-sms", "bad_signature", "403", "C_1"] {
        assert!(refused.contains(part), "`{part}` in: {refused}");
    }
    let meant = target("status", ORGANIZATION);
    assert!(
        log.lines()
            .any(|line| line.contains("recevoir") && line.contains(&meant)),
        "{log}"
    );
    for canary in [
        "353861234567",
        "13531234567",
        TOKEN,
        "SM7c0d5ab1",
        "RawDlrDoneDate",
        "TEDEqIp3",
    ] {
        assert!(!log.contains(canary), "`{canary}` in the log");
    }
}

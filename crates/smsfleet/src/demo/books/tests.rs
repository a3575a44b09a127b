//! Each lie that a fleet could tell, and the check that finds it.

use super::*;

const KEY: u64 = 7;
const REPLIES: u64 = 3;

fn number(n: u64) -> Msisdn {
    Msisdn::from_u64(33_639_980_000 + n).expect("a number")
}

fn row(row: u32, state: MessageState) -> Row {
    Row {
        row,
        state,
        attempt: 1,
        seq: 1,
        to: Some(number(u64::from(row)).masked()),
        code: String::new(),
        provider_message_id: String::new(),
        connection_id: None,
        claimed_at: None,
        changed_at: None,
    }
}

fn entry(row: u32, phase: &str) -> AuditEntry {
    AuditEntry {
        account: "AC".into(),
        recipient: number(u64::from(row)).e164(),
        reference: Reference {
            batch: BatchKey::from_u64(KEY),
            row,
        }
        .to_string(),
        requests: 1,
        worst_late_ms: 0,
        accepted: 1,
        status: Some("the provider's own word".into()),
        phase: Some(phase.into()),
        error_code: None,
    }
}

/// Delivered, undelivered, withheld, refused, never taken.
fn honest() -> (Vec<BatchBooks>, AuditReport) {
    let mut exhausted = row(4, MessageState::Failed);
    exhausted.code = "attempts_exhausted:connect".into();
    let rows = vec![
        row(0, MessageState::Delivered),
        row(1, MessageState::Undelivered),
        row(2, MessageState::Suppressed),
        row(3, MessageState::Invalid),
        exhausted,
    ];
    let expected = vec![
        Expected::Text(number(0)),
        Expected::Text(number(1)),
        Expected::Withheld(number(2)),
        Expected::Refused,
        Expected::Text(number(4)),
    ];
    let mut audit = AuditReport {
        entries: vec![entry(0, "delivered"), entry(1, "undelivered")],
        ..AuditReport::default()
    };
    audit.totals.inbound.acknowledged = REPLIES;
    (vec![books(rows, Some(expected))], audit)
}

fn books(rows: Vec<Row>, expected: Option<Vec<Expected>>) -> BatchBooks {
    let mut counts = Counts::default();
    for row in &rows {
        counts.add(row.state, 1);
    }
    BatchBooks {
        key: BatchKey::from_u64(KEY),
        counts,
        rows,
        expected,
    }
}

/// What is found wrong after `lie`.
fn found(lie: impl FnOnce(&mut BatchBooks, &mut AuditReport)) -> Vec<&'static str> {
    let (mut batches, mut audit) = honest();
    lie(&mut batches[0], &mut audit);
    examine("twilio-sms", &batches, &audit, REPLIES, true)
        .into_iter()
        .filter(|check| !check.holds())
        .map(|check| check.what)
        .collect()
}

/// Changes the state of a row and its counters with it.
fn put(batch: &mut BatchBooks, at: usize, state: MessageState) {
    batch.rows[at].state = state;
    *batch = books(batch.rows.clone(), batch.expected.clone());
}

#[test]
fn an_honest_run_balances() {
    assert_eq!(found(|_, _| {}), [""; 0]);
}

#[test]
fn a_number_texted_twice_is_found_under_one_name_and_under_two() {
    let once_more = found(|_, audit| audit.entries[0].accepted = 2);
    assert_eq!(once_more, ["nobody was texted twice"]);
    let other_name = found(|batch, audit| {
        batch.expected = Some(vec![
            Expected::Text(number(0)),
            Expected::Text(number(0)),
            Expected::Withheld(number(2)),
            Expected::Refused,
            Expected::Text(number(4)),
        ]);
        audit.entries[1].recipient = number(0).e164();
    });
    assert_eq!(other_name, ["nobody was texted twice"]);
}

#[test]
fn a_request_to_somebody_who_had_opted_out_is_found_even_if_it_was_refused() {
    let what = "nobody who had opted out before was texted, or even tried";
    let refused = found(|_, audit| {
        audit.entries.push(AuditEntry {
            accepted: 0,
            phase: None,
            ..entry(2, "")
        });
    });
    assert_eq!(refused, [what]);
    let claimed = found(|batch, _| put(batch, 2, MessageState::Rejected));
    assert_eq!(claimed, [what]);
}

#[test]
fn a_message_that_the_provider_never_saw_is_missing() {
    let lost = found(|_, audit| drop(audit.entries.remove(0)));
    assert_eq!(lost, ["no accepted message is missing at the provider"]);
    let never_taken = found(|_, audit| audit.entries[0].accepted = 0);
    assert_eq!(
        never_taken,
        ["no accepted message is missing at the provider"]
    );
}

#[test]
fn a_message_that_only_the_provider_knows_is_found() {
    let what = "the provider took nothing that the ledger does not know";
    assert_eq!(
        found(|_, audit| audit.entries.push(entry(77, "delivered"))),
        [what]
    );
    let nameless = found(|_, audit| {
        audit.entries.push(AuditEntry {
            reference: String::new(),
            ..entry(9, "sent")
        });
    });
    assert_eq!(nameless, [what]);
}

#[test]
fn another_end_or_another_person_is_found() {
    let what = "every message the provider took has the same person and end in the ledger";
    let end = found(|_, audit| audit.entries[0].phase = Some("undelivered".into()));
    assert_eq!(end, [what]);
    let person = found(|_, audit| audit.entries[0].recipient = number(50).e164());
    assert_eq!(person, [what]);
    let retried_and_taken = found(|_, audit| audit.entries.push(entry(4, "delivered")));
    assert_eq!(retried_and_taken, [what]);
}

#[test]
fn at_every_provider_a_lost_message_is_not_a_delivered_one() {
    for provider in provider_sim::customers::PROVIDERS {
        let (mut batches, mut audit) = honest();
        put(&mut batches[0], 0, MessageState::Undelivered);
        put(&mut batches[0], 1, MessageState::Delivered);
        audit.entries[0].error_code = None;
        let wrong = examine(provider, &batches, &audit, REPLIES, true);
        let wrong: Vec<_> = wrong.iter().filter(|check| !check.holds()).collect();
        assert_eq!(wrong.len(), 1, "{provider}: {wrong:?}");
        assert_eq!(wrong[0].wrong, 2, "{provider}: {wrong:?}");
    }
}

#[test]
fn the_same_books_are_right_at_one_provider_and_wrong_at_another() {
    let (mut batches, mut audit) = honest();
    put(&mut batches[0], 1, MessageState::Rejected);
    audit.entries[1].phase = Some("failed".to_owned());
    audit.entries[1].error_code = Some("6".to_owned());
    let wrong = |provider| {
        let checks = examine(provider, &batches, &audit, REPLIES, true);
        checks.iter().map(|check| check.wrong).sum::<u64>()
    };
    assert_eq!(wrong("vonage-sms"), 0, "its word for what it never sent");
    assert_eq!(wrong("twilio-sms"), 1, "it says `failed`");
}

#[test]
fn counters_that_differ_from_the_rows_are_found() {
    let miscounted = found(|batch, _| batch.counts.add(MessageState::Delivered, 1));
    assert_eq!(
        miscounted,
        [
            "accepted = terminal + in flight, in every batch",
            "the counters equal a recount of the rows"
        ]
    );
}

#[test]
fn a_good_row_that_was_refused_and_a_row_that_vanished_are_found() {
    let refused = found(|batch, audit| {
        put(batch, 0, MessageState::Invalid);
        audit.entries.remove(0);
    });
    assert!(
        refused.contains(&"intake took every good row and refused every other"),
        "{refused:?}"
    );
    let vanished = found(|batch, _| {
        let rows = batch.rows[..4].to_vec();
        *batch = books(rows, batch.expected.clone());
    });
    assert!(
        vanished.contains(&"intake took every good row and refused every other"),
        "{vanished:?}"
    );
    assert!(
        vanished.contains(&"accepted = terminal + in flight, in every batch"),
        "{vanished:?}"
    );
}

#[test]
fn a_request_more_than_a_second_after_a_stop_is_found_unless_it_answers_the_stop() {
    let said_stop = |late: u64, audit: &mut AuditReport| {
        audit.entries[1].worst_late_ms = late;
        audit.stops.push(provider_sim::StopRecord {
            account: "AC".into(),
            recipient: number(1).e164(),
            requests_after: 1,
            worst_late_ms: 9_000,
            ..provider_sim::StopRecord::default()
        });
    };
    assert_eq!(found(|_, audit| said_stop(1_000, audit)), [""; 0]);
    let what = "no request later than 1 s after an acknowledged STOP";
    assert_eq!(found(|_, audit| said_stop(1_001, audit)), [what]);

    let (mut batches, mut audit) = honest();
    said_stop(0, &mut audit);
    let answer = BatchKey::from_u64(KEY + 1);
    batches.push(BatchBooks {
        key: answer,
        ..books(vec![row(0, MessageState::Delivered)], None)
    });
    audit.entries.push(AuditEntry {
        recipient: number(1).e164(),
        reference: Reference {
            batch: answer,
            row: 0,
        }
        .to_string(),
        worst_late_ms: 5_000,
        ..entry(0, "delivered")
    });
    let checks = examine("twilio-sms", &batches, &audit, REPLIES, true);
    assert!(checks.iter().all(Check::holds), "{checks:?}");
}

#[test]
fn a_doubt_may_be_either_way() {
    let both = found(|batch, audit| {
        put(batch, 0, MessageState::InDoubt);
        put(batch, 1, MessageState::InDoubt);
        audit.entries.remove(1);
        audit.entries[0].phase = Some("sent".into());
    });
    assert_eq!(both, [""; 0]);
}

#[test]
fn an_example_never_shows_a_full_number() {
    let (batches, mut audit) = honest();
    audit.entries[0].accepted = 3;
    let checks = examine("twilio-sms", &batches, &audit, REPLIES, true);
    let text = serde_json::to_string(&checks).expect("plain data");
    assert!(
        text.contains("taken 3 times") && !text.contains("33639980"),
        "{text}"
    );
}

#[test]
fn a_reply_that_was_acknowledged_and_never_handed_on_is_found() {
    let what = "every acknowledged reply was handed on to the platform, once";
    let lost = found(|_, audit| audit.totals.inbound.acknowledged = REPLIES + 1);
    assert_eq!(lost, [what]);
    let invented = found(|_, audit| audit.totals.inbound.acknowledged = REPLIES - 1);
    assert_eq!(invented, [what]);
}

#[test]
fn an_unfinished_run_may_be_behind_the_provider_and_never_ahead() {
    let wrong = |here, there: &str, heard| {
        let (mut batches, mut audit) = honest();
        put(&mut batches[0], 0, here);
        audit.entries[0].phase = Some(there.to_owned());
        let checks = examine("twilio-sms", &batches, &audit, heard, false);
        checks.iter().filter(|check| !check.holds()).count()
    };
    assert_eq!(wrong(MessageState::Accepted, "delivered", REPLIES - 1), 0);
    assert_eq!(wrong(MessageState::Delivered, "sent", REPLIES), 1);
    assert_eq!(wrong(MessageState::Accepted, "delivered", REPLIES + 1), 1);
}

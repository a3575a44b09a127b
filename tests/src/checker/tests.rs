//! A made-up history that balances, and one change each that must not.

use provider_sim::{AuditEntry, AuditReport, StopRecord};
use serde_json::json;

use super::*;
use crate::people;

const ROWS: usize = 10;

/// Ten people: seven delivered, one undelivered, one in doubt after a 500, one suppressed after STOP.
fn settled() -> History {
    let numbers = people::numbers(0..ROWS as u32);
    let batch = HandedOver::new("org", "d1", "b1", &numbers).expect("valid names");
    let state = |row: usize| match row {
        7 => "undelivered",
        8 => "in_doubt",
        9 => "suppressed",
        _ => "delivered",
    };
    let mut history = History {
        provider: "twilio-sms",
        ..History::default()
    };
    let mut twin = AuditReport::default();
    for (row, number) in numbers.iter().enumerate() {
        let reference = batch.reference(row);
        history.rows.push(LedgerRow {
            reference: reference.clone(),
            state: state(row).to_owned(),
            attempt: 1,
            code: String::new(),
        });
        *history.counts.entry(state(row).to_owned()).or_default() += 1;
        // Told twice and out of order, as it may be.
        for (seq, status) in [(5, state(row)), (2, "accepted"), (5, state(row))] {
            history
                .events
                .push(json!({"kind": "status", "status": status,
                "messages": [{"reference": reference, "seq": seq}]}));
        }
        if row == 9 {
            continue;
        }
        let taken = u32::from(row != 8);
        twin.totals.requests += 1;
        twin.totals.accepted += u64::from(taken);
        twin.entries.push(AuditEntry {
            account: "AC".into(),
            recipient: number.clone(),
            reference,
            requests: 1,
            accepted: taken,
            status: (taken > 0).then(|| state(row).to_owned()),
            ..AuditEntry::default()
        });
    }
    twin.totals.ambiguous_not_taken = 1;
    twin.totals.callbacks.ok = 16;
    twin.stops.push(StopRecord {
        account: "AC".into(),
        recipient: numbers[9].clone(),
        ..StopRecord::default()
    });
    twin.totals.inbound.posts.ok = 1;
    history
        .replies
        .push(json!({"provider_message_id": "SM1", "from": numbers[9]}));
    history
        .replies
        .push(json!({"provider_message_id": "SM1", "from": numbers[9]}));
    history.twin = twin;
    history.batches.push(batch);
    history
}

fn with(change: impl FnOnce(&mut History)) -> Verdict {
    let mut history = settled();
    change(&mut history);
    check(&history)
}

/// Moves a row, its counter and its event to another state.
fn move_row(history: &mut History, row: usize, state: &str) {
    let old = std::mem::replace(&mut history.rows[row].state, state.to_owned());
    *history.counts.entry(old).or_default() -= 1;
    *history.counts.entry(state.to_owned()).or_default() += 1;
    history
        .events
        .push(json!({"kind": "status", "status": state,
        "messages": [{"reference": history.rows[row].reference, "seq": 9}]}));
}

#[test]
fn a_settled_run_balances_and_says_so_figure_by_figure() {
    let verdict = check(&settled());
    assert!(verdict.balanced(), "{verdict}");
    assert_eq!(verdict.figure("attempted: rows of those"), 10);
    assert_eq!(verdict.figure("twin: messages taken"), 8);
    assert_eq!(
        verdict.figure("in doubt: a request arrived and was not taken"),
        1
    );
    assert!(verdict.to_string().ends_with("the books balance"));
}

#[test]
fn a_confirmed_row_that_the_ledger_does_not_know_is_lost() {
    let verdict = with(|history| {
        let gone = history.rows.remove(0);
        *history.counts.entry(gone.state).or_default() -= 1;
    });
    assert_eq!(verdict.count_of("lost"), 1, "{verdict}");
    assert!(verdict.to_string().ends_with("DO NOT BALANCE"));
}

#[test]
fn an_unconfirmed_batch_may_be_missing() {
    let verdict = with(|history| {
        let numbers = people::numbers(50..60);
        let mut unconfirmed = HandedOver::new("org", "d1", "b2", &numbers).expect("valid names");
        unconfirmed.confirmed = false;
        history.batches.push(unconfirmed);
    });
    assert!(verdict.balanced(), "{verdict}");
}

#[test]
fn a_message_that_is_still_queued_or_sending_is_lost() {
    for state in ["queued", "sending"] {
        let verdict = with(|history| {
            move_row(history, 0, state);
            history.twin.entries[0].accepted = 0;
            history.twin.entries[0].status = None;
            history.twin.totals.accepted -= 1;
            history.twin.totals.throttled += 1;
        });
        assert_eq!(verdict.count_of("lost"), 1, "{state}: {verdict}");
    }
}

#[test]
fn a_reference_that_the_twin_took_twice_is_doubled() {
    let verdict = with(|history| {
        history.twin.entries[0].accepted = 2;
        history.twin.entries[0].requests = 2;
        history.twin.totals.accepted += 1;
        history.twin.totals.requests += 1;
    });
    assert_eq!(verdict.count_of("doubled"), 1, "{verdict}");
}

#[test]
fn a_person_who_was_texted_under_two_names_of_one_mailing_is_doubled() {
    let verdict = with(|history| {
        let first = people::number(0);
        history.batches[0].recipients[1] = Some(first.clone());
        history.twin.entries[1].recipient = first;
    });
    assert_eq!(verdict.count_of("doubled"), 1, "{verdict}");
}

#[test]
fn a_request_for_somebody_else_than_the_row_says_is_unexpected() {
    let verdict = with(|history| history.twin.entries[0].recipient = people::number(77));
    assert_eq!(verdict.count_of("unexpected"), 1, "{verdict}");
}

#[test]
fn a_message_of_an_unknown_name_is_unexpected_unless_it_answers_somebody() {
    let foreign = |recipient: String| {
        with(move |history| {
            history.twin.totals.requests += 1;
            history.twin.totals.accepted += 1;
            history.twin.entries.push(AuditEntry {
                account: "AC".into(),
                recipient,
                reference: "zzz-0".into(),
                requests: 1,
                accepted: 1,
                ..AuditEntry::default()
            });
        })
    };
    assert_eq!(foreign(people::number(3)).count_of("unexpected"), 1);
    let answer = foreign(people::number(9));
    assert!(answer.balanced(), "{answer}");
    assert_eq!(answer.figure("twin: the fleet's own answers"), 1);
}

#[test]
fn a_ledger_row_that_nobody_handed_over_is_unexpected() {
    let verdict = with(|history| {
        history.rows.push(LedgerRow {
            reference: "zzz-0".into(),
            state: "delivered".into(),
            ..LedgerRow::default()
        });
        *history.counts.entry("delivered".into()).or_default() += 1;
    });
    assert_eq!(verdict.count_of("unexpected"), 1, "{verdict}");
    let twice = with(|history| {
        let again = history.rows[0].clone();
        *history.counts.entry(again.state.clone()).or_default() += 1;
        history.rows.push(again);
    });
    assert_eq!(twice.count_of("unexpected"), 1, "{twice}");
}

#[test]
fn a_counter_that_is_off_by_one_does_not_balance() {
    let verdict = with(|history| *history.counts.entry("delivered".into()).or_default() += 1);
    assert!(verdict.count_of("figures differ") >= 1, "{verdict}");
}

#[test]
fn a_receipt_that_was_taken_and_is_not_in_the_ledger_is_lost() {
    let verdict = with(|history| move_row(history, 0, "sent"));
    assert!(verdict.count_of("lost") >= 1, "{verdict}");
}

#[test]
fn a_receipt_that_the_provider_gave_up_to_deliver_is_a_figure_and_no_loss() {
    let gave_up = |n: u64| {
        with(move |history| {
            move_row(history, 0, "sent");
            move_row(history, 1, "sent");
            history
                .twin
                .totals
                .callbacks
                .failed
                .insert("connect".into(), n);
        })
    };
    let verdict = gave_up(2);
    assert!(verdict.balanced(), "{verdict}");
    assert_eq!(
        verdict.figure("ledger behind the twin: receipt given up"),
        2
    );
    assert!(!gave_up(1).balanced());
}

#[test]
fn a_contradicting_end_is_no_receipt_given_up() {
    let verdict = with(|history| {
        move_row(history, 0, "undelivered");
        history
            .twin
            .totals
            .callbacks
            .failed
            .insert("connect".into(), 5);
    });
    assert!(verdict.count_of("figures differ") >= 1, "{verdict}");
}

#[test]
fn a_row_that_the_ledger_believes_taken_and_the_twin_never_took_is_unexpected() {
    let verdict = with(|history| move_row(history, 8, "accepted"));
    assert!(verdict.count_of("unexpected") >= 1, "{verdict}");
    let failed = with(|history| {
        move_row(history, 9, "failed");
        history.rows[9].code = "attempts_exhausted:connect".into();
    });
    assert!(failed.balanced(), "{failed}");
}

#[test]
fn a_row_that_the_ledger_believes_unsent_and_the_twin_took_is_unexpected() {
    for state in ["suppressed", "cancelled", "rejected"] {
        let verdict = with(|history| move_row(history, 0, state));
        assert!(verdict.count_of("unexpected") >= 1, "{state}: {verdict}");
    }
}

#[test]
fn a_doubt_whose_receipt_came_and_a_doubt_without_cause_do_not_balance() {
    let unsettled = with(|history| move_row(history, 0, "in_doubt"));
    assert!(unsettled.count_of("in doubt") >= 1, "{unsettled}");
    let groundless = with(|history| move_row(history, 9, "in_doubt"));
    assert_eq!(groundless.count_of("in doubt"), 1, "{groundless}");
    let too_few = with(|history| history.twin.totals.ambiguous_not_taken = 0);
    assert!(!too_few.balanced(), "{too_few}");
}

#[test]
fn a_kill_explains_as_many_cut_off_claims_as_were_in_flight_and_no_more() {
    let cut_off = |allowed: u64| {
        with(move |history| {
            move_row(history, 9, "in_doubt");
            history.allowed.claims_cut_off = allowed;
        })
    };
    assert!(cut_off(1).balanced(), "{}", cut_off(1));
    assert_eq!(cut_off(0).count_of("in doubt"), 1);
}

#[test]
fn a_request_more_than_a_second_after_an_opt_out_is_late_and_one_within_it_is_not() {
    let after = |ms: u64| {
        with(move |history| {
            history.twin.stops[0].requests_after = 1;
            history.twin.stops[0].worst_late_ms = ms;
        })
    };
    assert!(after(900).balanced(), "{}", after(900));
    assert_eq!(after(1_001).count_of("late"), 1);
}

#[test]
fn a_suppressed_message_of_somebody_who_never_opted_out_is_unexpected() {
    let verdict = with(|history| history.twin.stops.clear());
    assert!(verdict.count_of("unexpected") >= 1, "{verdict}");
}

#[test]
fn a_good_row_that_was_refused_and_a_bad_one_that_was_taken_are_unexpected() {
    let refused = with(|history| {
        move_row(history, 9, "invalid");
        history.twin.stops.clear();
    });
    assert!(refused.count_of("unexpected") >= 1, "{refused}");
    let taken = with(|history| history.batches[0].recipients[0] = None);
    assert!(taken.count_of("unexpected") >= 1, "{taken}");
}

#[test]
fn a_platform_that_was_told_something_else_or_nothing_was_not_told() {
    let nothing = with(|history| history.events.drain(..3).for_each(drop));
    assert_eq!(nothing.count_of("untold"), 1, "{nothing}");
    let stale = with(|history| {
        let reference = history.rows[0].reference.clone();
        history
            .events
            .push(json!({"kind": "status", "status": "sent",
            "messages": [{"reference": reference, "seq": 7}]}));
    });
    assert_eq!(stale.count_of("untold"), 1, "{stale}");
}

#[test]
fn a_reply_that_was_taken_and_not_published_does_not_balance() {
    let verdict = with(|history| history.replies.clear());
    assert!(!verdict.balanced(), "{verdict}");
    let given_up = with(|history| {
        history.replies.clear();
        history
            .twin
            .totals
            .inbound
            .posts
            .failed
            .insert("connect".into(), 1);
    });
    assert_eq!(given_up.count_of("lost"), 1, "{given_up}");
}

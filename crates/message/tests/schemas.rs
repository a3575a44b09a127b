//! The published schemas against the vocabulary: what we write fits them, what they forbid we
//! refuse, and no name of ours is missing in them.

use message::{
    Batch, BatchId, BatchKey, ConnectionId, DistributionId, DoubtPolicy, MessageState, Method,
    Msisdn, OrganizationId, Recipient, Reference, Refusal, Rule, Timestamp, Weight,
    event::{
        EVENT_VERSION, Event, Keyword, OptOutEvent, RefusedEvent, ReplyEvent, ReplyTo, StatusEvent,
        StatusEvents,
    },
    opt_out::{OptOutChange, OptOutKind, OptOutSource},
};
use serde::Serialize;
use serde_json::{Value, json};

fn schema(name: &str) -> jsonschema::Validator {
    let path = format!(
        "{}/../../deploy/schemas/{name}.schema.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).expect("the schema is part of the repository");
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a valid schema")
}

fn assert_fits(schema: &jsonschema::Validator, value: &impl Serialize) {
    let value = serde_json::to_value(value).expect("has a JSON form");
    let faults: Vec<String> = schema
        .iter_errors(&value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{value:#}\n{faults:#?}");
}

fn organization() -> OrganizationId {
    OrganizationId::new("ORG_1").expect("valid")
}

fn distribution() -> DistributionId {
    DistributionId::new("spring-survey").expect("valid")
}

fn batch_id() -> BatchId {
    BatchId::new("spring-survey:1").expect("valid")
}

fn connection() -> ConnectionId {
    ConnectionId::new("c1").expect("valid")
}

const AT: Timestamp = Timestamp::from_millis(1_764_000_000_123);

fn reference() -> Reference {
    Reference {
        batch: BatchKey::of(&organization(), &batch_id()),
        row: 9_999,
    }
}

fn number() -> Msisdn {
    Msisdn::parse("+447700900123").expect("valid")
}

#[test]
fn every_event_we_can_write_fits_its_schema() {
    let schema = schema("event");
    for status in MessageState::ALL {
        if matches!(status, MessageState::Queued | MessageState::Sending) {
            continue; // never told
        }
        for full in [true, false] {
            assert_fits(
                &schema,
                &Event::Status(StatusEvents {
                    v: EVENT_VERSION,
                    organization_id: organization(),
                    distribution_id: distribution(),
                    batch_id: batch_id(),
                    status,
                    messages: vec![StatusEvent {
                        event_id: format!("{}:{status}", reference()),
                        seq: 1,
                        reference: reference(),
                        row: 9_999,
                        to: number().masked(),
                        attempt: 1,
                        error_code: full.then(|| "30003".into()),
                        provider_message_id: full
                            .then(|| "SM7c0d5ab1f2e94386a1d0c4b7e6f35912".into()),
                        connection_id: full.then(connection),
                        at: AT,
                    }],
                }),
            );
        }
    }
    let rules = [
        Rule::Malformed,
        Rule::TooLarge,
        Rule::RecipientCount,
        Rule::Template,
        Rule::Expiry,
        Rule::SegmentLimit,
        Rule::NoConnection,
        Rule::BatchConflict,
        Rule::DistributionCancelled,
        Rule::InvalidNumber,
        Rule::Duplicate,
        Rule::MissingField,
        Rule::TextLength,
    ];
    let refusals = rules.map(|rule| Refusal {
        row: Some(3),
        field: "to".into(),
        rule,
        detail: "expected".into(),
    });
    for known in [true, false] {
        assert_fits(
            &schema,
            &Event::Refused(RefusedEvent {
                v: EVENT_VERSION,
                event_id: "x".into(),
                organization_id: known.then(organization),
                distribution_id: known.then(distribution),
                batch_id: known.then(batch_id),
                refusals: refusals.to_vec(),
                at: AT,
            }),
        );
    }
    for source in [
        OptOutSource::Keyword,
        OptOutSource::Provider,
        OptOutSource::Api,
        OptOutSource::Import,
    ] {
        for (kind, sender) in [
            (OptOutKind::OptOut, Some("+12025550100".to_owned())),
            (OptOutKind::OptIn, None),
        ] {
            assert_fits(
                &schema,
                &Event::OptOut(OptOutEvent {
                    v: EVENT_VERSION,
                    event_id: "x".into(),
                    change: OptOutChange {
                        organization_id: organization(),
                        number: number(),
                        kind,
                        at: AT,
                        sender,
                        source,
                        connection_id: Some(connection()),
                        evidence: String::new(),
                    },
                }),
            );
        }
    }
}

#[test]
fn every_reply_we_can_write_fits_its_schema() {
    let schema = schema("reply");
    for keyword in [
        Keyword::OptOut,
        Keyword::OptIn,
        Keyword::Help,
        Keyword::None,
    ] {
        let in_reply_to = ReplyTo {
            reference: reference(),
            distribution_id: distribution(),
            batch_id: batch_id(),
            sent_at: AT,
        };
        assert_fits(
            &schema,
            &ReplyEvent {
                v: EVENT_VERSION,
                event_id: "x".into(),
                organization_id: organization(),
                connection_id: connection(),
                in_reply_to: (keyword == Keyword::None).then_some(in_reply_to),
                from: number().e164(),
                to: "+12025550100".into(),
                text: "👍".into(),
                parts: 1,
                incomplete: keyword == Keyword::Help,
                keyword,
                provider_message_id: "SM1".into(),
                received_at: AT,
            },
        );
    }
}

#[test]
fn every_batch_that_we_read_fits_its_schema() {
    let schema = schema("batch");
    for method in [
        Method::Invite,
        Method::Reminder,
        Method::ThankYou,
        Method::Interactive,
    ] {
        for on_doubt in [DoubtPolicy::Hold, DoubtPolicy::Resend] {
            assert_fits(
                &schema,
                &Batch {
                    organization_id: organization(),
                    distribution_id: distribution(),
                    batch_id: batch_id(),
                    method,
                    text: "Hi {{first_name}}".into(),
                    recipients: vec![Recipient {
                        to: number().e164(),
                        fields: [("first_name", "Ana")].into_iter().collect(),
                    }],
                    expires_at: Some(AT),
                    on_doubt,
                    max_segments: 4,
                    weight: Some(Weight::MAX),
                },
            );
        }
    }
}

#[test]
fn what_the_batch_schema_forbids_we_do_not_read() {
    let schema = schema("batch");
    let good = json!({
        "organization_id": "ORG_1", "distribution_id": "d", "batch_id": "b", "method": "invite", "text": "Hi",
        "recipients": [{ "to": "+447700900123" }],
    });
    assert!(schema.is_valid(&good) && serde_json::from_value::<Batch>(good.clone()).is_ok());
    for (key, bad) in [
        ("organization_id", json!("a.b")),
        ("batch_id", json!("")),
        ("method", json!("spam")),
        ("recipients", json!([{ "to": 33 }])),
        (
            "recipients",
            json!([{ "to": "+447700900123", "name": "x" }]),
        ),
        ("on_doubt", json!("maybe")),
        ("weight", json!(0)),
        ("weight", json!(101)),
        ("expires_at", json!("tomorrow")),
        ("unheard_of", json!(1)),
    ] {
        let mut batch = good.clone();
        batch[key] = bad;
        assert!(!schema.is_valid(&batch), "the schema takes {key}");
        assert!(
            serde_json::from_value::<Batch>(batch).is_err(),
            "we read {key}"
        );
    }
}

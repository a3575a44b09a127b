//! One HTTP request for one or more rows: render, build, send, read what each answer means.

use message::{Reference, chunk::ChunkRow, template::MissingField};
use providers::{MtMessage, RejectReason, SubmitOutcome};
use tokio::time::Instant;

use crate::{Shared, group::now, run::Open, submit::NoAnswer};

/// A row with what its submit came to.
pub(crate) type Answered = (ChunkRow, SubmitOutcome);

pub(crate) async fn request(shared: &Shared, open: &Open, rows: Vec<ChunkRow>) -> Vec<Answered> {
    let texts: Vec<Result<String, MissingField>> = rows
        .iter()
        .map(|row| {
            let mut text = String::new();
            open.template.render(&row.fields, &mut text).map(|()| text)
        })
        .collect();
    let validity = open.chunk.expires_at.since(now());
    let messages: Vec<MtMessage<'_>> = rows
        .iter()
        .zip(&texts)
        .filter_map(|(row, text)| {
            let reference = Reference {
                batch: open.chunk.batch,
                row: row.row,
            };
            Some(MtMessage {
                reference,
                to: row.to,
                text: text.as_deref().ok()?,
                validity,
            })
        })
        .collect();
    let started = Instant::now();
    let outcomes = if messages.is_empty() {
        Vec::new()
    } else {
        submit(shared, open, &messages).await
    };
    let (metrics, slug) = (&shared.metrics, open.provider.slug());
    let seconds = metrics.submit_seconds.with_label_values(&[slug]);
    seconds.observe(started.elapsed().as_secs_f64());
    for outcome in &outcomes {
        let submits = metrics.submits.with_label_values(&[slug, outcome.class()]);
        submits.inc();
    }
    // Rows whose text could not be rendered take their place in between.
    let mut given = outcomes.into_iter();
    let outcome = |text: Result<String, MissingField>| match text {
        // A provider that answers for fewer messages than it got leaves doubt.
        Ok(_) => given.next().unwrap_or(SubmitOutcome::InDoubt {
            code: "answer_incomplete".into(),
        }),
        Err(_) => SubmitOutcome::Rejected {
            reason: RejectReason::Other,
            code: "missing_field".into(),
        },
    };
    let outcomes: Vec<SubmitOutcome> = texts.into_iter().map(outcome).collect();
    rows.into_iter().zip(outcomes).collect()
}

async fn submit(shared: &Shared, open: &Open, messages: &[MtMessage<'_>]) -> Vec<SubmitOutcome> {
    let all = |outcome: SubmitOutcome| vec![outcome; messages.len()];
    let connection = &open.connection;
    let built = open
        .provider
        .build_request(connection, messages, &shared.public_url);
    let request = match built {
        Ok(request) => request,
        Err(error) => {
            tracing::error!(connection = %connection.id, "{error}");
            let code = "unsendable".into();
            return all(SubmitOutcome::AccountRefused { code });
        }
    };
    shared.metrics.requests_in_flight.inc();
    let answer = shared.submit.submit(request).await;
    shared.metrics.requests_in_flight.dec();
    match answer {
        Ok(response) => open.provider.read_response(messages, &response),
        Err(NoAnswer::NotSent(code)) => all(SubmitOutcome::Transient { code: code.into() }),
        Err(NoAnswer::Unknown(code)) => all(SubmitOutcome::InDoubt { code: code.into() }),
    }
}

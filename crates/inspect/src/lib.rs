//! What would the fleet make of this? Questions as JSON Lines, one JSON line for each as the answer:
//! a provider's callback, its answer to a submission, the requests that some messages make, a
//! keyword, a text's segments, a number. No network, no state: everything is in the question.

mod callback;
mod captured;
mod connection;
mod look_up;
mod messages;
mod request;
mod response;
mod text;
mod wire;

use std::{
    io::{BufRead, Write},
    time::SystemTime,
};

use anyhow::Context as _;
use message::Timestamp;
use serde_json::{Map, Value, json};

pub use captured::{read_request, read_response};

/// How questions are answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether requests show the connection's secrets.
    pub show_secrets: bool,
}

/// A line longer than this is no question: a whole bulk answer has some 100 KB.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Answers every line of `input` in order. A bad line is answered with what is wrong with it, and
/// the next one goes on. Empty lines are passed over.
///
/// # Errors
/// Only if reading or writing fails.
pub fn run(
    mut input: impl BufRead,
    mut output: impl Write,
    options: Options,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut input, LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            return output.flush();
        }
        if read > LINE_BYTES_MAX {
            input.skip_until(b'\n')?;
            line.clear();
            line.extend_from_slice(b"the line is longer than 32 MiB");
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        serde_json::to_writer(&mut output, &answer(&line, options))?;
        output.write_all(b"\n")?;
        // Somebody may be asking one by one and wait for each.
        if !input.fill_buf()?.contains(&b'\n') {
            output.flush()?;
        }
    }
}

/// The answer to one line.
#[must_use]
pub fn answer(line: &[u8], options: Options) -> Value {
    let question: Value = match serde_json::from_slice(line) {
        Ok(question) => question,
        Err(why) => return json!({ "id": null, "error": format!("the line is no JSON: {why}") }),
    };
    let id = question.get("id").cloned().unwrap_or_default();
    match judge(question, options) {
        Ok(mut answer) => {
            let mut whole = Map::from_iter([("id".to_owned(), id)]);
            whole.append(&mut answer);
            Value::Object(whole)
        }
        Err(why) => json!({ "id": id, "error": format!("{why:#}") }),
    }
}

type Answer = Map<String, Value>;

fn judge(question: Value, options: Options) -> anyhow::Result<Answer> {
    let what = question
        .get("inspect")
        .and_then(Value::as_str)
        .context("`inspect` is missing: callback, response, request, look_up, keyword, segments or number")?
        .to_owned();
    match what.as_str() {
        "callback" => callback::inspect(read(question)?),
        "response" => response::inspect(read(question)?),
        "request" => request::inspect(read(question)?, options),
        "look_up" => look_up::inspect(read(question)?, options),
        "keyword" => text::keyword(&read(question)?),
        "segments" => text::segments(&read(question)?),
        "number" => text::number(&read(question)?),
        other => anyhow::bail!(
            "`inspect` is {other:?}, not callback, response, request, look_up, keyword, segments or number"
        ),
    }
}

fn read<T: serde::de::DeserializeOwned>(question: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(question)?)
}

/// An object's members, for answers.
fn members(value: Value) -> Answer {
    match value {
        Value::Object(members) => members,
        other => Map::from_iter([("answer".to_owned(), other)]),
    }
}

/// The time that a question names, in seconds since 1970, else the clock's.
fn at(seconds: Option<f64>) -> Timestamp {
    match seconds {
        Some(seconds) => Timestamp::from_millis((seconds.max(0.0) * 1000.0) as u64),
        None => Timestamp::from(SystemTime::now()),
    }
}

/// An empty text is nothing.
fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

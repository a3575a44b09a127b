//! `smsfleet inspect`: what would the fleet make of this?

use std::{
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use inspect::{Options, answer, read_request, read_response, run};
use serde_json::{Map, Value, json};

use crate::exit::{Failure, OrUsage as _};

/// Tells what the fleet would make of a callback, an answer, some messages, a text or a number.
///
/// Without a subcommand it reads JSON Lines on standard input and writes one JSON line for each, in
/// order. Nothing is looked up, stored or sent.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Inspect {
    /// Shows secrets in requests.
    #[arg(long, global = true)]
    show_secrets: bool,
    #[command(subcommand)]
    one: Option<One>,
}

/// A single case.
#[derive(Debug, clap::Subcommand)]
enum One {
    /// Reads a captured callback: request line, headers, an empty line, the body.
    Callback {
        #[command(flatten)]
        whose: Whose,
        /// The connection's provider, where another one's path is used.
        #[arg(long, value_name = "SLUG")]
        connection_provider: Option<String>,
        /// `status` or `message`; the path says it if this does not.
        #[arg(long, value_parser = ["status", "message"])]
        kind: Option<String>,
        /// The origin that the provider called, such as <https://sms.example.net>.
        #[arg(long, value_name = "URL")]
        origin: Option<String>,
        /// When it came, in seconds since 1970; now if it is not said.
        #[arg(long, value_name = "SECONDS")]
        now: Option<f64>,
    },
    /// Reads a captured answer to a submission: status line, headers, an empty line, the body.
    Response {
        #[command(flatten)]
        whose: Whose,
        /// A JSON file with the messages: `[{"reference","to","text"}, ...]`.
        #[arg(long, value_name = "FILE")]
        messages: PathBuf,
        /// `single` or `batch`; by the number of messages if it is not said.
        #[arg(long, value_parser = ["single", "batch"])]
        mode: Option<String>,
    },
    /// Shows the requests that messages make; their JSON is on standard input.
    Request {
        #[command(flatten)]
        whose: Whose,
        /// Where callbacks shall come.
        #[arg(long, value_name = "URL")]
        public_url: Option<String>,
        /// Whose organisation.
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
        /// How long they are worth sending.
        #[arg(long, value_name = "SECONDS")]
        validity_seconds: Option<u64>,
    },
    /// Says whether a text is an opt-out, an opt-in, a call for help or none of them.
    Keyword {
        /// What somebody wrote.
        text: String,
        /// The writer is opted out.
        #[arg(long)]
        opted_out: bool,
    },
    /// Counts the segments of a text.
    Segments {
        /// The text.
        text: String,
    },
    /// Reads a number as intake does.
    Number {
        /// The number, as a scheduler wrote it.
        number: String,
        /// The region whose national form it may have, such as FR.
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
    },
}

/// Whose wire it is.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The provider, by the slug in the path.
    #[arg(long, value_name = "SLUG")]
    provider: String,
    /// A TOML or JSON file with the fields of the provider's form.
    #[arg(long, value_name = "FILE")]
    connection: PathBuf,
}

impl Inspect {
    /// Answers.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn run(self) -> Result<(), Failure> {
        let options = Options {
            show_secrets: self.show_secrets,
        };
        let output = BufWriter::new(std::io::stdout().lock());
        let Some(one) = self.one else {
            let input = std::io::stdin().lock();
            return Ok(run(input, output, options).context("answer standard input")?);
        };
        let question = one.question().or_usage()?;
        let answer = answer(question.to_string().as_bytes(), options);
        if let Some(why) = answer.get("error") {
            let why = why.as_str().unwrap_or("can not be inspected").to_owned();
            return Err(Failure::Usage(anyhow::Error::msg(why)));
        }
        let mut output = output;
        let written = serde_json::to_writer_pretty(&mut output, &answer)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(output))
            .and_then(|()| output.flush());
        Ok(written.context("write the answer")?)
    }
}

impl One {
    /// The same as a line.
    fn question(self) -> anyhow::Result<Value> {
        let (whose, mut question) = match self {
            Self::Keyword { text, opted_out } => {
                return Ok(json!({ "inspect": "keyword", "text": text, "opted_out": opted_out }));
            }
            Self::Segments { text } => return Ok(json!({ "inspect": "segments", "text": text })),
            Self::Number { number, region } => {
                return Ok(json!({ "inspect": "number", "number": number, "region": region }));
            }
            Self::Callback {
                whose,
                connection_provider,
                kind,
                origin,
                now,
            } => {
                let request = read_request(&stdin()?, origin.as_deref())?;
                let in_path = request["url"]
                    .as_str()
                    .is_some_and(|url| url.contains("/message/"));
                let kind =
                    kind.unwrap_or_else(|| if in_path { "message" } else { "status" }.to_owned());
                let question = json!({
                    "inspect": "callback", "kind": kind, "request": request, "now": now,
                    "connection_provider": connection_provider,
                });
                (whose, question)
            }
            Self::Response {
                whose,
                messages,
                mode,
            } => {
                let question = json!({
                    "inspect": "response", "messages": read(&messages)?, "mode": mode,
                    "response": read_response(&stdin()?)?,
                });
                (whose, question)
            }
            Self::Request {
                whose,
                public_url,
                organization,
                validity_seconds,
            } => {
                let messages: Value =
                    serde_json::from_slice(&stdin()?).context("standard input")?;
                let question = json!({
                    "inspect": "request", "messages": messages, "public_url": public_url,
                    "organization": organization, "validity_seconds": validity_seconds,
                });
                (whose, question)
            }
        };
        question["provider"] = whose.provider.into();
        question["connection"] = read(&whose.connection)?;
        Ok(question)
    }
}

fn stdin() -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .context("read standard input")?;
    Ok(bytes)
}

/// TOML by its name, JSON otherwise.
fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        let table: Map<String, Value> =
            toml::from_str(&text).with_context(|| path.display().to_string())?;
        return Ok(Value::Object(table));
    }
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

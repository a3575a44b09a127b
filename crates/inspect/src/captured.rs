//! HTTP as it is captured from a wire or a log: a first line, headers, an empty line, the body.

use anyhow::Context as _;
use serde_json::{Value, json};

/// The `request` of a question about a callback. A target without a scheme gets `origin`, or else
/// `https://` and its `Host`.
///
/// # Errors
/// What is no request, and where.
pub fn read_request(captured: &[u8], origin: Option<&str>) -> anyhow::Result<Value> {
    let captured = Captured::read(captured)?;
    let mut words = captured.first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        anyhow::bail!(
            "the first line is {:?}, not a method and a target",
            captured.first
        );
    };
    let url = if target.contains("://") {
        target.to_owned()
    } else {
        let host = captured
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let origin = match (origin, host) {
            (Some(origin), _) => origin.trim_end_matches('/').to_owned(),
            (None, Some((_, host))) => format!("https://{host}"),
            (None, None) => anyhow::bail!(
                "no Host, and the target is no whole URL: say under which URL it was called"
            ),
        };
        format!("{origin}{target}")
    };
    Ok(json!({
        "method": method, "url": url, "headers": captured.headers, "body_base64": captured.body_base64,
    }))
}

/// The `response` of a question about a provider's answer.
///
/// # Errors
/// What is no answer, and where.
pub fn read_response(captured: &[u8]) -> anyhow::Result<Value> {
    let captured = Captured::read(captured)?;
    let status: u16 = captured
        .first
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .with_context(|| format!("the first line is {:?}, not a status line", captured.first))?;
    Ok(json!({
        "status": status, "headers": captured.headers, "body_base64": captured.body_base64,
    }))
}

struct Captured {
    first: String,
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl Captured {
    fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let end = |blank: &[u8]| {
            let at = bytes
                .windows(blank.len())
                .position(|found| found == blank)?;
            Some((at, at + blank.len()))
        };
        let (head, body) = [end(b"\r\n\r\n"), end(b"\n\n")]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or((bytes.len(), bytes.len()));
        let head = std::str::from_utf8(&bytes[..head]).context("the head is no text")?;
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .with_context(|| format!("{line:?} is no header"))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            first,
            headers,
            body_base64: STANDARD.encode(&bytes[body..]),
        })
    }
}

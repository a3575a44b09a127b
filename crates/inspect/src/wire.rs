//! HTTP in questions and answers.

use anyhow::Context as _;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Options;

/// A request as it was received.
#[derive(Debug, Deserialize)]
pub(crate) struct GivenRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Option<String>,
    /// For bodies that are no text.
    #[serde(default)]
    body_base64: Option<String>,
}

/// An answer as it was received.
#[derive(Debug, Deserialize)]
pub(crate) struct GivenResponse {
    status: u16,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
}

impl GivenRequest {
    /// The request with its target only, as a server has it, and the origin in front of that.
    pub(crate) fn read(self) -> anyhow::Result<(Request<Bytes>, String)> {
        let (origin, target) = split(&self.url);
        let body = body(self.body, self.body_base64).context("request.body_base64")?;
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(target)
            .body(body)
            .with_context(|| format!("request.method or request.url: {target:?}"))?;
        *request.headers_mut() = headers(&self.headers).context("request.headers")?;
        Ok((request, origin.to_owned()))
    }
}

impl GivenResponse {
    pub(crate) fn read(self) -> anyhow::Result<Response<Bytes>> {
        let mut response = Response::builder()
            .status(self.status)
            .body(body(self.body, self.body_base64).context("response.body_base64")?)
            .context("response.status")?;
        *response.headers_mut() = headers(&self.headers).context("response.headers")?;
        Ok(response)
    }
}

/// Byte for byte: what is signed is the URL as it was called, not one that a parser tidied up. The
/// fragment never travels.
fn split(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let authority = match url.find("://") {
        Some(scheme) => scheme + "://".len(),
        None => return ("", if url.is_empty() { "/" } else { url }),
    };
    let end = url[authority..]
        .find(['/', '?'])
        .map_or(url.len(), |end| authority + end);
    let (origin, target) = url.split_at(end);
    (origin, if target.is_empty() { "/" } else { target })
}

fn body(text: Option<String>, coded: Option<String>) -> anyhow::Result<Bytes> {
    Ok(match (text, coded) {
        (_, Some(coded)) => STANDARD.decode(coded)?.into(),
        (Some(text), None) => text.into(),
        (None, None) => Bytes::new(),
    })
}

/// An object of texts or lists of texts, or a list of pairs: headers may come twice.
fn headers(given: &Value) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &Value| -> anyhow::Result<()> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Null => return Ok(()),
            other => other.to_string(),
        };
        let name = HeaderName::try_from(name).with_context(|| format!("{name:?}"))?;
        let value = HeaderValue::from_bytes(text.as_bytes()).with_context(|| name.to_string())?;
        headers.append(name, value);
        Ok(())
    };
    match given {
        Value::Null => {}
        Value::Object(all) => {
            for (name, value) in all {
                match value {
                    Value::Array(values) => values.iter().try_for_each(|value| add(name, value))?,
                    value => add(name, value)?,
                }
            }
        }
        Value::Array(pairs) => {
            for pair in pairs {
                match pair.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => add(name, value)?,
                    _ => anyhow::bail!("expected pairs of a name and a value"),
                }
            }
        }
        _ => anyhow::bail!("expected an object"),
    }
    Ok(headers)
}

/// A request as it would go out; its secrets only if they were asked for.
pub(crate) fn shown(request: &Request<Bytes>, options: Options) -> Map<String, Value> {
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            let text = if value.is_sensitive() && !options.show_secrets {
                "[redacted]".into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            (name.to_string(), Value::from(text))
        })
        .collect();
    crate::members(json!({
        "method": request.method().as_str(),
        "url": request.uri().to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(request.body()),
    }))
}

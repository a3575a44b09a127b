//! Answers: refusals in the body of either version of the API, and JSON for those who ask for it.
//!
//! The endpoint speaks XML too, and the page insists on `Accept: application/json`. The careful reading: who does not name
//! that type is answered in XML, of which only the likeness is Infobip's.
//!
//! Source: shared/providers/infobip.md, sections 2 and 4.

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::fields::{Violation, without_indices};
use super::request::Version;

/// A whole request that is refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub status: u16,
    pub violations: Vec<Violation>,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// A request that breaks the schema there. Without violations: it cannot even be read.
    pub fn violating(violations: Vec<Violation>) -> Self {
        Self {
            violations,
            ..Self::new(400)
        }
    }

    /// The code in the audit, and in the body of version 3.
    pub fn code(&self) -> String {
        match self.status {
            405 => "E404".to_owned(),
            status => format!("E{status}"),
        }
    }

    /// For somebody who sent these headers.
    pub fn answer(&self, version: Version, headers: &HeaderMap) -> Response {
        let mut response = match self.status {
            // Both come from what stands before the API, which speaks neither JSON nor XML.
            413 => gateway("413 Request Entity Too Large"),
            503 => gateway("503 Service Temporarily Unavailable"),
            _ => answer(200, headers, &self.body(version)),
        };
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn body(&self, version: Version) -> Value {
        let (word, sentence) = match self.status {
            400 => ("BAD_REQUEST", "Request cannot be processed."),
            401 => ("UNAUTHORIZED", "Invalid login details"),
            403 => ("FORBIDDEN", "Unauthorized access"),
            404 | 405 => ("NOT_FOUND", "Requested URL not found"),
            415 => ("BAD_REQUEST", "Unsupported content type"),
            429 => ("TOO_MANY_REQUESTS", "Too many requests"),
            _ => ("GENERAL_ERROR", "Something went wrong"),
        };
        match version {
            Version::V3 => json!({
                "errorCode": self.code(),
                "description": sentence,
                "action": "Check the request, adjust it and try again.",
                "violations": self.violations.iter().map(|violation| json!({
                    "property": violation.property,
                    "violation": violation.violation,
                })).collect::<Vec<_>>(),
                "resources": [],
            }),
            Version::V2 => {
                let mut exception = json!({"messageId": word, "text": sentence});
                for violation in &self.violations {
                    exception["validationErrors"][&violation.property] =
                        json!([violation.violation]);
                }
                json!({"requestError": {"serviceException": exception}})
            }
        }
    }

    /// As an account is told it whose violations name no message.
    pub fn vague(mut self) -> Self {
        for violation in &mut self.violations {
            violation.property = without_indices(&violation.property);
        }
        self
    }
}

/// A body for somebody who sent these headers.
pub(crate) fn answer(status: u16, headers: &HeaderMap, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let (kind, text) = if names(headers, ACCEPT, "application/json") {
        ("application/json;charset=UTF-8", body.to_string())
    } else {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned();
        write_xml(&mut text, "response", body);
        ("application/xml;charset=UTF-8", text)
    };
    (status, [(CONTENT_TYPE, kind)], text).into_response()
}

/// Whether a header names this media type, among others or with parameters.
pub(crate) fn names(headers: &HeaderMap, header: HeaderName, kind: &str) -> bool {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|value| value.split(';').next())
        .any(|value| value.trim().eq_ignore_ascii_case(kind))
}

fn gateway(title: &str) -> Response {
    let text = format!("<html><head><title>{title}</title></head><body>{title}</body></html>\r\n");
    ([(CONTENT_TYPE, "text/html")], text).into_response()
}

fn write_xml(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| write_xml(text, name, value)),
        Value::Null => {}
        value => {
            text.push_str(&format!("<{name}>"));
            match value {
                Value::Object(fields) => fields
                    .iter()
                    .for_each(|(name, value)| write_xml(text, name, value)),
                Value::String(own) => {
                    text.push_str(&own.replace('&', "&amp;").replace('<', "&lt;"));
                }
                other => text.push_str(&other.to_string()),
            }
            text.push_str(&format!("</{name}>"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal::violating(vec![Violation {
            property: "messages[3].destinations[0].to".into(),
            violation: "must not be null".into(),
        }])
    }

    #[test]
    fn each_version_has_its_own_body() {
        let body = refusal().body(Version::V3);
        assert_eq!(body["errorCode"], "E400");
        let property = &body["violations"][0]["property"];
        assert_eq!(property, "messages[3].destinations[0].to");
        assert!(body["description"].is_string() && body["resources"].is_array());
        let body = refusal().body(Version::V2);
        let exception = &body["requestError"]["serviceException"];
        assert_eq!(exception["messageId"], "BAD_REQUEST");
        let errors = &exception["validationErrors"];
        assert_eq!(
            errors["messages[3].destinations[0].to"][0],
            "must not be null"
        );
        let vague = refusal().vague();
        assert_eq!(vague.violations[0].property, "messages.destinations.to");
    }

    #[test]
    fn only_who_names_json_gets_json() {
        let kind = |accept: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let response = answer(200, &headers, &json!({"a": ["<b>", 1]}));
            response.headers()[CONTENT_TYPE] == "application/json;charset=UTF-8"
        };
        assert!(kind(Some("application/json")));
        assert!(kind(Some("text/html, application/json;q=0.9")));
        assert!(!kind(Some("*/*")));
        assert!(!kind(None));
        let mut text = String::new();
        write_xml(&mut text, "r", &json!({"a": ["<b>", 1], "n": null}));
        assert_eq!(text, "<r><a>&lt;b></a><a>1</a></r>");
    }
}

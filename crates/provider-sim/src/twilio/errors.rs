//! Twilio's refusals: error code, HTTP status, sentence, in the body that the API sends.
//!
//! Source: <https://www.twilio.com/docs/api/errors>. The sentences are near to Twilio's; no client may decide by them.

use serde_json::json;

/// A request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub code: u32,
    pub status: u16,
    pub message: String,
    /// Authentication failures have one more field.
    pub detail: Option<&'static str>,
}

impl Refusal {
    /// The refusal `code`; `about` is the offending value, shown where Twilio shows it.
    pub fn new(code: u32, about: &str) -> Self {
        let (status, message) = sentence(code, about);
        let detail = (status == 401).then_some("Your AccountSid or AuthToken was incorrect.");
        Self {
            code,
            status,
            message,
            detail,
        }
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let mut body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        if let (Some(detail), Some(body)) = (self.detail, body.as_object_mut()) {
            body.insert("detail".to_owned(), detail.into());
        }
        body.to_string()
    }
}

fn sentence(code: u32, about: &str) -> (u16, String) {
    let (status, message) = match code {
        19056 => (415, "Input request content type is invalid".into()),
        20003 => (401, "Authenticate".into()),
        20004 => (405, "Method not allowed".into()),
        20404 => (404, format!("The requested resource {about} was not found")),
        20429 => (429, "Too Many Requests".into()),
        20500 => (500, "An internal server error has occurred".into()),
        20503 => (503, "Service Unavailable".into()),
        21211 => (
            400,
            format!("The 'To' number {about} is not a valid phone number."),
        ),
        21212 => (
            400,
            format!(
                "The 'From' number {about} is not a valid phone number, shortcode, or alphanumeric sender ID."
            ),
        ),
        21266 => (
            400,
            format!("'To' and 'From' number cannot be the same: {about}"),
        ),
        21408 => (
            400,
            format!(
                "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {about}."
            ),
        ),
        21602 => (400, "Message body is required.".into()),
        21603 => (400, "A 'From' phone number is required.".into()),
        21604 => (400, "A 'To' phone number is required.".into()),
        21606 => (
            400,
            format!(
                "The 'From' phone number provided ({about}) is not a valid message-capable Twilio phone number for this destination/account."
            ),
        ),
        21609 => (
            400,
            format!("The 'StatusCallback' URL {about} is not a valid URL."),
        ),
        21610 => (400, "Attempt to send to unsubscribed recipient".into()),
        21611 => (
            400,
            format!(
                "This 'From' number {about} has exceeded the maximum number of queued messages"
            ),
        ),
        21612 => (
            400,
            format!(
                "Message cannot be sent with the current combination of 'To' ({about}) and/or 'From' parameters"
            ),
        ),
        21614 => (400, format!("'To' number: {about}, is not a mobile number")),
        21617 => (
            400,
            "The concatenated message body exceeds the 1600 character limit".into(),
        ),
        21624 => (400, format!("Invalid validity period value {about}")),
        21701 => (400, format!("The Messaging Service {about} does not exist")),
        _ => (400, format!("Bad request {about}")),
    };
    (status, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_the_documented_fields_with_numbers_as_integers() {
        let body: serde_json::Value =
            serde_json::from_str(&Refusal::new(21211, "+3538").body()).expect("it is JSON");
        assert_eq!(
            body,
            json!({"code": 21211, "message": "The 'To' number +3538 is not a valid phone number.",
                   "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400})
        );
    }

    #[test]
    fn only_an_authentication_failure_has_a_detail() {
        assert!(Refusal::new(20003, "").body().contains("\"detail\""));
        assert!(!Refusal::new(20404, "/x").body().contains("\"detail\""));
    }
}

//! Requests whose unchanging parts are built once. A connection never changes and has one target,
//! one set of headers and mostly the same bytes around each text, so a worker prepares it when it
//! opens it, and only what differs is written per request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use message::Msisdn;

use crate::{Submission, Unsendable};

/// The requests of one connection, ready but for their messages: see
/// [`crate::Provider::prepare`]. `Debug` shows no credentials.
pub trait Prepared: Send + Sync + std::fmt::Debug {
    /// The request that hands over the submission's messages, all of which passed
    /// [`crate::Provider::check_message`]. The submission's `public_url` is the one that it was
    /// prepared with and is not looked at again.
    ///
    /// # Errors
    /// [`Unsendable`] if no request can be built for them.
    fn build_request(&self, submission: &Submission<'_>) -> Result<Request<Bytes>, Unsendable>;
}

/// Target and headers of a `POST`; cloning them copies no text.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    uri: Uri,
    headers: HeaderMap,
}

impl Envelope {
    /// Nothing if `url` is none.
    pub(crate) fn post<const N: usize>(
        url: String,
        headers: [(HeaderName, HeaderValue); N],
    ) -> Option<Self> {
        Some(Self {
            uri: Uri::try_from(url).ok()?,
            headers: headers.into_iter().collect(),
        })
    }

    pub(crate) fn around(&self, body: impl Into<Bytes>) -> Request<Bytes> {
        let mut request = Request::new(body.into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// What is written into a body that one buffer holds.
pub(crate) trait Put {
    /// Bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// A number in decimal digits.
    fn put_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    /// A subscriber number without its plus.
    fn put_digits(&mut self, number: Msisdn) {
        self.put_number(number.as_u64());
    }

    /// A name or value of `application/x-www-form-urlencoded`.
    fn put_form(&mut self, text: &str) {
        for part in form_urlencoded::byte_serialize(text.as_bytes()) {
            self.put(part.as_bytes());
        }
    }

    /// A JSON string with its quotes.
    fn put_json(&mut self, text: &str);
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_json(&mut self, text: &str) {
        serde_json::to_writer(self, text).expect("a text is JSON, and memory takes it");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_reads_back(number: u64, text: String) {
            let mut out = Vec::new();
            out.put_number(number);
            prop_assert_eq!(std::str::from_utf8(&out).ok(), Some(&*number.to_string()));
            out.clear();
            out.put_json(&text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(text.clone()));
            out.clear();
            out.put_form(&text);
            let form: Vec<_> = form_urlencoded::parse(&out).collect();
            prop_assert_eq!(form.first().map_or("", |(name, _)| name), text);
        }
    }
}

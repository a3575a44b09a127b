//! What a provider can do, declared. The fleet decides by this record, never by a provider's name.

use http::{HeaderMap, Method, header};

use message::Sender;

use crate::{CallbackRefused, OptOutScope, SenderClass, SenderLimit};

/// What a provider can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capabilities {
    /// Messages with different texts in one request, at most.
    pub messages_per_request: usize,
    /// How an answer about several messages names them.
    pub answers_by: AnswersBy,
    /// Where our reference travels, and so comes back in receipts.
    pub reference_echo: Echo,
    /// Whether one receipt comes per part rather than per message.
    pub receipts_per_part: bool,
    /// Whether the parts of a long inbound message come one by one.
    pub inbound_in_parts: bool,
    /// Whether a message that was submitted before under the same reference is recognised and not
    /// sent again: then a doubt is settled by submitting once more.
    pub repeat_is_safe: bool,
    /// Whether a message's status can be looked up.
    pub status_look_up: bool,
    /// Whether the provider has an interface that lifts the opt-outs which it keeps itself.
    pub lifts_opt_outs: bool,
    /// Towards whom a person has opted out whom the provider refuses because they have.
    pub opted_out_towards: OptOutScope,
    /// Whether the provider itself answers opt-out keywords sent to its ordinary numbers.
    pub answers_keywords: bool,
    /// Segments per second a connection may send where its administrator said nothing.
    pub segments_per_second: f64,
    /// Requests that a connection may have in flight at first, where its administrator said nothing.
    pub requests_in_flight: usize,
    /// Segments per second that the provider documents for senders of some classes: what a connection
    /// with such a sender may send where its administrator said nothing.
    pub sender_limits: &'static [SenderLimit],
    /// HTTP methods of its callbacks.
    pub callback_methods: &'static [&'static str],
    /// Content types of its callbacks, without parameters.
    pub callback_content_types: &'static [&'static str],
    /// The slugs in the paths under which its callbacks arrive: its own, and those that the
    /// product's help page tells its customers.
    pub callback_slugs: &'static [&'static str],
    /// How a callback that is not proven is answered.
    pub refused_callback: RefusedCallback,
}

/// How an answer about several messages names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswersBy {
    /// One message a request: nothing to tell apart.
    One,
    /// Every entry echoes our reference.
    Reference,
    /// Entries are in the request's order, and echo our reference to check it.
    OrderAndReference,
    /// One answer for all: the first receipt names each message.
    Whole,
}

/// Where our reference travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// In the query of the callback URL that a request names.
    CallbackUrl,
    /// In a field of the request that receipts repeat, by its name there.
    Field(&'static str),
}

/// How a callback that is not proven is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedCallback {
    /// 401 or 403.
    pub status: u16,
    /// Whether `WWW-Authenticate` asks for Basic credentials.
    pub asks_for_basic: bool,
}

impl Capabilities {
    /// Segments per second that the provider documents for a sender; nothing where it does not.
    #[must_use]
    pub fn sender_limit(&self, sender: &Sender) -> Option<f64> {
        let class = SenderClass::of(sender);
        let mut limits = self.sender_limits.iter();
        let limit = limits.find(|limit| limit.class == class)?;
        Some(limit.segments_per_second)
    }

    /// Segments per second of a connection with this sender where its administrator said nothing.
    #[must_use]
    pub fn default_rate(&self, sender: &Sender) -> f64 {
        self.sender_limit(sender)
            .unwrap_or(self.segments_per_second)
    }

    /// Whether a callback of this method and content type can be this provider's.
    ///
    /// # Errors
    /// [`CallbackRefused::WrongMethod`] or [`CallbackRefused::WrongType`].
    pub fn check_callback(
        &self,
        method: &Method,
        headers: &HeaderMap,
        has_body: bool,
    ) -> Result<(), CallbackRefused> {
        let allowed = self.callback_methods;
        if !allowed.contains(&method.as_str()) {
            return Err(CallbackRefused::WrongMethod { allowed });
        }
        // A GET has its parameters in the query, and no content to have a type.
        if method == Method::GET {
            return Ok(());
        }
        // Without a body there is nothing that could have a type: a provider that tries a URL.
        if !has_body && !headers.contains_key(header::CONTENT_TYPE) {
            return Ok(());
        }
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim();
        let known = self.callback_content_types;
        if known
            .iter()
            .any(|known| known.eq_ignore_ascii_case(content_type))
        {
            Ok(())
        } else {
            Err(CallbackRefused::WrongType)
        }
    }
}

//! One provider as the fleet sees it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use message::{Connection, Msisdn, Sender, Timestamp};

use crate::{
    AccessTokens, Answer, CallbackAnswer, CallbackKind, CallbackRefused, Capabilities, Form,
    LocalRefusal, Malformed, Prepared, Reading, RejectReason, StatusLookUp, Unsendable, Verified,
};

/// One provider. What it must know has no default bodies: a hole is a compile error.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// The slug in URLs, metrics and connections.
    fn slug(&self) -> &'static str;

    /// What it can do: the worker decides by this, never by name.
    fn capabilities(&self) -> &'static Capabilities;

    /// Which fields a connection has, how they are checked, and what the sender's forms are.
    fn form(&self) -> &'static Form;

    /// Where its requests' access tokens come from; nothing if the connection's own secrets do.
    fn access_tokens(&self) -> Option<&'static dyn AccessTokens>;

    /// How the status of messages is asked for; nothing if it can not be.
    fn status_look_up(&self) -> Option<&'static dyn StatusLookUp>;

    /// How many messages one request of this connection carries: at most
    /// [`Capabilities::messages_per_request`], fewer if its fields say so.
    fn messages_per_request(&self, connection: &Connection) -> usize;

    /// Refuses what the provider is known to refuse, before it costs a whole request its answer.
    ///
    /// # Errors
    /// The refusal, as if the provider had made it.
    fn check_message(
        &self,
        connection: &Connection,
        message: &MtMessage<'_>,
    ) -> Result<(), LocalRefusal>;

    /// Whether a message must travel in the single form, however many wait.
    fn goes_alone(&self, message: &MtMessage<'_>) -> bool;

    /// Builds once what all requests of `connection` have in common, with callbacks coming to
    /// `public_url` (see [`Submission::public_url`]). Worth keeping for as long as the connection
    /// is used: what it returns writes only what differs.
    ///
    /// # Errors
    /// [`Unsendable`] if the connection's fields make no request at all.
    fn prepare(
        &self,
        connection: &Connection,
        public_url: &str,
    ) -> Result<Box<dyn Prepared>, Unsendable>;

    /// The request that hands over the submission's messages, all of which passed
    /// [`Self::check_message`]: for whoever builds one only.
    ///
    /// # Errors
    /// [`Unsendable`] if no request can be built for them.
    fn build_request(
        &self,
        connection: &Connection,
        submission: &Submission<'_>,
    ) -> Result<Request<Bytes>, Unsendable> {
        self.prepare(connection, submission.public_url)?
            .build_request(submission)
    }

    /// What an answer means for each of `messages`, in their order and number. Infallible: "no
    /// idea" is an outcome, and the most important one to get right.
    fn read_response(
        &self,
        messages: &[MtMessage<'_>],
        mode: SubmitMode,
        response: &Response<Bytes>,
    ) -> Answer;

    /// Checks that `callback` comes from the account of `connection`, at `now`. `public_urls` are
    /// all URLs under which the ingress is reachable, without a slash at the end. Method and content
    /// type have been checked against the capabilities before.
    ///
    /// # Errors
    /// [`CallbackRefused`] with the reason.
    fn verify_callback<'a>(
        &self,
        connection: &'a Connection,
        callback: &'a Request<Bytes>,
        public_urls: &[String],
        now: Timestamp,
    ) -> Result<Verified<'a>, CallbackRefused>;

    /// What a verified callback says. `kind` is what the path claims; a provider whose one webhook
    /// serves both reads what the body is. Uses the method, target, content type and body only: a
    /// callback is read again from the queue, where nothing else of it is left.
    ///
    /// # Errors
    /// [`Malformed`] if it can not be read or lacks what it must have; it is acknowledged all the same.
    fn read_callback(
        &self,
        callback: Verified<'_>,
        kind: CallbackKind,
    ) -> Result<Vec<Reading>, Malformed>;

    /// What the provider wants to hear when a callback was taken.
    fn callback_answer(&self, kind: CallbackKind) -> CallbackAnswer;
}

/// Refuses what is sent over no provider, and what this one is known to refuse: the worker asks
/// before every submission.
///
/// # Errors
/// The refusal, as if the provider had made it.
pub fn check_message(
    provider: &dyn Provider,
    connection: &Connection,
    message: &MtMessage<'_>,
) -> Result<(), LocalRefusal> {
    let refusal = |reason, code| Err(LocalRefusal { reason, code });
    if message.text.is_empty() {
        return refusal(RejectReason::Other, "empty_text");
    }
    // Source: `shared/providers/segments.md`, section 5.
    let is_name = matches!(connection.sender, Sender::Alphanumeric(_));
    if is_name && message.to.digits().starts_with('1') {
        return refusal(RejectReason::BadSender, "alphanumeric_sender_to_1");
    }
    provider.check_message(connection, message)
}

/// One MT message, rendered and ready for the wire.
#[derive(Debug, Clone, Copy)]
pub struct MtMessage<'a> {
    /// Our name for it, echoed in its receipts: at most 36 letters, digits and dashes as the fleet
    /// makes them.
    pub reference: &'a str,
    /// The recipient.
    pub to: Msisdn,
    /// The text in NFC.
    pub text: &'a str,
    /// How long it is worth sending.
    pub validity: Duration,
}

/// What one request hands over.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// From one to [`Provider::messages_per_request`]; in single mode exactly one.
    pub messages: &'a [MtMessage<'a>],
    /// The form of the request.
    pub mode: SubmitMode,
    /// Where callbacks shall come, without a slash at its end.
    pub public_url: &'a str,
    /// The access token, for providers that have [`Provider::access_tokens`].
    pub access_token: Option<&'a str>,
    /// When it is submitted: some wires want points in time rather than durations.
    pub now: Timestamp,
}

/// Providers that take many messages at once mostly have another form for one alone, whose answers
/// mean other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubmitMode {
    /// The form for one message.
    Single,
    /// The form for several, even if it carries one.
    Batch,
}

impl SubmitMode {
    /// The form that the fleet uses for so many messages.
    #[must_use]
    pub const fn of(messages: usize) -> Self {
        if messages > 1 {
            Self::Batch
        } else {
            Self::Single
        }
    }
}

//! What the providers' words for a message's state can mean in the fleet's. Where one word stands for several ends, the
//! error code decides which, and any of them is right here: codes are the business of the providers' own tests.
//!
//! Source: the receipt tables of `shared/providers/*.md` and the comments of the twins.

/// The states of the ledger that `word` of `provider` can mean.
pub(super) fn meanings(provider: &str, word: &str) -> &'static [&'static str] {
    match (provider, word) {
        ("infobip-sms", "PENDING") => &["accepted", "sent"],
        ("infobip-sms", "DELIVERED") => &["delivered"],
        ("infobip-sms", "UNDELIVERABLE") => &["undelivered", "failed"],
        ("infobip-sms", "EXPIRED") => &["expired", "rejected"],
        ("infobip-sms", "REJECTED") => &["rejected"],
        // The page reads codes from 2000 on as refusals by LINK or the operator; the twin has `failed` for them.
        ("link-mobility", "failed") => &["failed", "rejected", "undelivered"],
        ("messagebird", "sent") => &["accepted"],
        ("messagebird", "buffered") => &["sent"],
        ("messagebird", "delivery_failed") => &["undelivered", "rejected"],
        ("messagemedia", "enroute") => &["accepted"],
        ("messagemedia", "submitted") => &["sent"],
        ("messagemedia", "failed") => &["undelivered", "failed"],
        ("sinch", "QUEUED") => &["accepted"],
        ("sinch", "QUEUED_ON_CHANNEL") => &["sent"],
        ("sinch", "DELIVERED") => &["delivered"],
        ("sinch", "FAILED") => &["undelivered", "failed", "rejected", "expired"],
        ("twilio-sms", "failed") => &["failed", "expired"],
        ("vonage-sms", "submitted") => &["accepted"],
        ("vonage-sms", "accepted") => &["sent", "accepted"],
        ("vonage-sms", "failed") => &["undelivered", "failed", "rejected"],
        ("vonage-sms", "rejected") => &["rejected", "undelivered"],
        // Before its first receipt a message is `queued` or `accepted` there, `accepted` here.
        (_, "queued" | "accepted" | "sending") => &["accepted"],
        (_, "sent") => &["sent"],
        (_, "delivered") => &["delivered"],
        (_, "undelivered") => &["undelivered"],
        (_, "expired") => &["expired"],
        (_, "failed") => &["failed"],
        (_, "rejected") => &["rejected"],
        _ => &[],
    }
}

/// Whether a doubt is settled by asking again: the provider recognises what it has taken.
pub(super) fn repeats_are_recognised(provider: &str) -> bool {
    provider == "infobip-sms"
}

/// How a provider tells an inbound message.
pub(super) enum Inbound {
    /// By one callback.
    Once,
    /// By one callback for each part.
    PartByPart,
    /// By one callback or two: to the URL of the message that it answers, and to the account's. An opt-out has a name of
    /// its own there, so it may be heard twice.
    OnceOrTwice,
}

/// How `provider` tells an inbound message.
pub(super) fn inbound(provider: &str) -> Inbound {
    match provider {
        "vonage-sms" => Inbound::PartByPart,
        "messagemedia" => Inbound::OnceOrTwice,
        _ => Inbound::Once,
    }
}

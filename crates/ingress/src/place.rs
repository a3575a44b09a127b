//! What a callback's path says: `…/{status|message}/{provider}/{organization-id}`.

use std::borrow::Cow;

use message::OrganizationId;
use providers::{CallbackKind, Provider};

use crate::candidates::path_provider;

/// In front of every callback path.
const DOOR: &str = "/distribution-providers/v1/receive/distribution/";

/// What a callback's path says.
pub(crate) struct Place<'p> {
    pub(crate) kind: CallbackKind,
    /// Of the path, and only a hint: see [`crate::candidates`].
    pub(crate) slug: Cow<'p, str>,
    pub(crate) provider: &'static dyn Provider,
    pub(crate) organization: OrganizationId,
}

impl<'p> Place<'p> {
    /// Nothing for every other path. Two routes are not worth a router: a callback would pay more
    /// for it than for being verified.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let mut segments = path.strip_prefix(DOOR)?.split('/');
        let kind = match segments.next()? {
            word if word == CallbackKind::Status.as_str() => CallbackKind::Status,
            word if word == CallbackKind::Message.as_str() => CallbackKind::Message,
            _ => return None,
        };
        let slug = decoded(segments.next()?)?;
        let organization = decoded(segments.next()?)?;
        if segments.next().is_some() {
            return None;
        }
        Some(Self {
            kind,
            provider: path_provider(&slug)?,
            organization: OrganizationId::new(&organization).ok()?,
            slug,
        })
    }
}

/// `segment` without its percent signs; nothing if what they stand for is no text.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, length) = match escaped {
            Some((high, low)) => (high * 16 + low, 3),
            None => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Option<(CallbackKind, String, String)> {
        let place = Place::of(path)?;
        let slug = place.slug.into_owned();
        Some((place.kind, slug, place.organization.to_string()))
    }

    #[test]
    fn a_callback_path_names_kind_provider_and_organisation() {
        let expected = |kind| Some((kind, "twilio-sms".to_owned(), "ORG_8mQ2".to_owned()));
        for (path, kind) in [
            ("status/twilio-sms/ORG_8mQ2", CallbackKind::Status),
            ("message/twilio-sms/ORG_8mQ2", CallbackKind::Message),
            ("status/twilio%2dsms/ORG%5F8mQ2", CallbackKind::Status),
        ] {
            assert_eq!(parts(&format!("{DOOR}{path}")), expected(kind), "{path}");
        }
    }

    #[test]
    fn every_other_path_is_none() {
        for path in [
            "",
            "status/twilio-sms",
            "status/twilio-sms/",
            "status//ORG_8mQ2",
            "status/acme/ORG_8mQ2",
            "status/twilio-sms/ORG_8mQ2/",
            "status/twilio-sms/ORG_8mQ2/more",
            "status/twilio-sms/ORG.8mQ2",
            "status/twilio-sms/ORG%",
            "status/twilio-sms/ORG%2",
            "status/twilio-sms/ORG%zz",
            "status/twilio-sms/ORG%ff",
            "STATUS/twilio-sms/ORG_8mQ2",
        ] {
            assert_eq!(parts(&format!("{DOOR}{path}")), None, "{path}");
        }
        assert_eq!(parts("/status/twilio-sms/ORG_8mQ2"), None);
    }
}

//! Customers paste the webhook URL into a form, and a browser that translates pages translates it
//! too. For a path that does not exist, this finds the callback path that was probably meant.

use message::OrganizationId;
use providers::{CallbackKind, PROVIDERS};

/// The segments of a callback path.
#[derive(Clone, Copy)]
enum Slot {
    Fixed(&'static str),
    Kind,
    Provider,
    Organization,
}

const SLOTS: [Slot; 7] = [
    Slot::Fixed("distribution-providers"),
    Slot::Fixed("v1"),
    Slot::Fixed("receive"),
    Slot::Fixed("distribution"),
    Slot::Kind,
    Slot::Provider,
    Slot::Organization,
];

/// Differences that still make a near miss: four of seven segments may be missing or translated
/// beyond recognition, and one more misspelt.
const COST_MAX: f32 = 4.2;
/// More segments, or longer ones, are nobody's slip.
const SEGMENTS_MAX: usize = 14;
const SEGMENT_BYTES_MAX: usize = 100;

/// The callback path that `path` was probably meant to be; nothing if it resembles none. What
/// can not be told stands in braces.
pub(crate) fn meant(path: &str) -> Option<String> {
    // Double and trailing slashes are the smallest of slips: empty segments do not count.
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    if segments.len() > SEGMENTS_MAX || segments.iter().any(|s| s.len() > SEGMENT_BYTES_MAX) {
        return None;
    }
    let aligned = align(&segments)?;
    let mut meant = String::new();
    for (slot, segment) in SLOTS.into_iter().zip(aligned) {
        meant.push('/');
        meant.push_str(&spell(slot, segment));
    }
    Some(meant)
}

/// What of a path may stand in a log line: short, printable, and without runs of digits that could
/// be somebody's number.
pub(crate) fn printable(path: &str) -> String {
    const CHARS_MAX: usize = 200;
    const DIGITS_SHOWN: usize = 6;
    let (mut shown, mut digits) = (String::new(), 0);
    for c in path.chars().take(CHARS_MAX) {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > DIGITS_SHOWN {
            shown.push('#');
        } else {
            shown.extend(c.escape_debug());
        }
    }
    shown
}

/// Which segment stands in which slot, at the least cost: a missing or an additional segment costs
/// 1, a different one its distance. Nothing if even that costs too much.
fn align<'a>(segments: &[&'a str]) -> Option<[Option<&'a str>; SLOTS.len()]> {
    let width = segments.len() + 1;
    // `cost[slot][segment]`: the first `slot` slots filled from the first `segment` segments.
    let mut cost = vec![vec![0.0_f32; width]; SLOTS.len() + 1];
    for (slot, row) in cost.iter_mut().enumerate() {
        row[0] = slot as f32;
    }
    for (segment, cell) in cost[0].iter_mut().enumerate() {
        *cell = segment as f32;
    }
    for i in 1..=SLOTS.len() {
        for j in 1..width {
            let replaced = cost[i - 1][j - 1] + difference(SLOTS[i - 1], segments[j - 1]);
            cost[i][j] = replaced.min(cost[i - 1][j] + 1.0).min(cost[i][j - 1] + 1.0);
        }
    }
    if cost[SLOTS.len()][segments.len()] > COST_MAX {
        return None;
    }
    let mut aligned = [None; SLOTS.len()];
    let (mut i, mut j) = (SLOTS.len(), segments.len());
    while i > 0 && j > 0 {
        let replaced = cost[i - 1][j - 1] + difference(SLOTS[i - 1], segments[j - 1]);
        if cost[i][j] >= replaced {
            aligned[i - 1] = Some(segments[j - 1]);
            (i, j) = (i - 1, j - 1);
        } else if cost[i][j] >= cost[i - 1][j] + 1.0 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    Some(aligned)
}

/// 0 for the same, 1 for nothing in common.
fn difference(slot: Slot, segment: &str) -> f32 {
    match slot {
        Slot::Fixed(text) => unlike(text, segment),
        Slot::Kind => nearest(kinds(), segment).map_or(1.0, |(unlike, _)| unlike),
        Slot::Provider => {
            nearest(slugs().map(|slug| (slug, slug)), segment).map_or(1.0, |(unlike, _)| unlike)
        }
        Slot::Organization => {
            // A slug is a well-formed id too, but then the id is what is missing.
            let is_none =
                OrganizationId::new(segment).is_err() || slugs().any(|slug| slug == segment);
            f32::from(u8::from(is_none))
        }
    }
}

fn spell(slot: Slot, segment: Option<&str>) -> String {
    // Less alike than this and naming one would be a guess.
    const UNLIKE_MAX: f32 = 0.75;
    let alike = |found: Option<(f32, &'static str)>| {
        found
            .filter(|(unlike, _)| *unlike <= UNLIKE_MAX)
            .map(|(_, text)| text.to_owned())
    };
    match slot {
        Slot::Fixed(text) => text.to_owned(),
        Slot::Kind => segment
            .and_then(|segment| alike(nearest(kinds(), segment)))
            .unwrap_or_else(|| "{status|message}".to_owned()),
        Slot::Provider => segment
            .and_then(|segment| alike(nearest(slugs().map(|slug| (slug, slug)), segment)))
            .unwrap_or_else(|| "{provider}".to_owned()),
        Slot::Organization => segment
            .and_then(|segment| OrganizationId::new(segment).ok())
            .map_or_else(|| "{organization-id}".to_owned(), |id| id.to_string()),
    }
}

/// The word of a kind, and what translators make of it where that looks like the other one.
const KINDS: [(&str, CallbackKind); 6] = [
    ("status", CallbackKind::Status),
    ("estado", CallbackKind::Status),
    ("zustand", CallbackKind::Status),
    ("message", CallbackKind::Message),
    ("mensaje", CallbackKind::Message),
    ("nachricht", CallbackKind::Message),
];

fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.into_iter().map(|(word, kind)| (word, kind.as_str()))
}

fn slugs() -> impl Iterator<Item = &'static str> {
    let slugs = |provider: &&'static dyn providers::Provider| {
        provider.capabilities().callback_slugs.iter().copied()
    };
    PROVIDERS.iter().flat_map(slugs)
}

/// How unlike the likest of `words` is, and what it stands for.
fn nearest(
    words: impl Iterator<Item = (&'static str, &'static str)>,
    segment: &str,
) -> Option<(f32, &'static str)> {
    words
        .map(|(word, stands_for)| (unlike(word, segment), stands_for))
        .min_by(|a, b| a.0.total_cmp(&b.0))
}

/// The edit distance without regard to case, as a share of the longer text.
fn unlike(a: &str, b: &str) -> f32 {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<u16> = (0..).take(b.len() + 1).collect();
    let mut length = 0;
    for (i, x) in (1..).zip(a.chars()) {
        length = i;
        let mut diagonal = std::mem::replace(&mut row[0], i);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + u16::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    f32::from(row[b.len()]) / f32::from(length.max(b.len() as u16).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str =
        "/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2";

    #[test]
    fn a_translated_or_mistyped_path_names_the_one_that_was_meant() {
        for path in [
            "/fournisseurs-distribution/v1/recevoir/distribution/statut/twilio-sms/ORG_8mQ2",
            "/Verteilungsanbieter/v1/empfangen/verteilung/Status/twilio-sms/ORG_8mQ2",
            "/proveedores-de-distribucion/v1/recibir/distribucion/estado/twilio-sms/ORG_8mQ2",
            "/%E9%85%8D%E5%B8%83/v1/%E5%8F%97%E4%BF%A1/%E9%85%8D%E5%B8%83/status/twilio-sms/ORG_8mQ2",
            "/Distribution-Providers/V1/Receive/Distribution/Status/Twilio-SMS/ORG_8mQ2",
            "//distribution-providers/v1//receive/distribution/status/twilio-sms/ORG_8mQ2/",
            "/distribution-providers/v1/receive/status/twilio-sms/ORG_8mQ2",
            "/sms/distribution-providers/v1/receive/distribution/status/twilio-sms/ORG_8mQ2",
            "/distribution-providers/v1/receive/distribution/status/twillio/ORG_8mQ2",
            "/status/twilio-sms/ORG_8mQ2",
        ] {
            assert_eq!(meant(path).as_deref(), Some(RIGHT), "{path}");
        }
    }

    #[test]
    fn what_can_not_be_told_stands_in_braces() {
        assert_eq!(
            meant("/distribution-providers/v1/receive/distribution/message/twilio-sms").as_deref(),
            Some(
                "/distribution-providers/v1/receive/distribution/message/twilio-sms/{organization-id}"
            )
        );
    }

    #[test]
    fn a_scanner_gets_no_hint() {
        for path in [
            "/",
            "/wp-login.php",
            "/.env",
            "/api/v1/users",
            "/a/b/c/d/e/f/g",
            "/cgi-bin/luci/;stok=/locale",
            "/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x/x",
        ] {
            assert_eq!(meant(path), None, "{path}");
        }
        assert_eq!(meant(&format!("/{}", "a".repeat(10_000))), None);
    }

    #[test]
    fn a_path_is_logged_without_control_characters_and_without_numbers() {
        assert_eq!(
            printable("/to/+33639980001\n\u{1b}[31m"),
            "/to/+336399#####\\n\\u{1b}[31m"
        );
    }
}

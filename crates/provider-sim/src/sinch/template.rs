//! `${name}` placeholders of the Batch API.
//!
//! Source: `shared/providers/sinch.md`, section 3.2. The page leaves open whether a value that itself holds a placeholder
//! is substituted again. The twin does it, once more, because that is the reading which hurts whoever trusts the other.

use std::collections::BTreeMap;

/// A recipient's parameters.
pub(crate) type Parameters<'a> = BTreeMap<&'a str, &'a str>;

/// Fills the placeholders of `text`. `None` if one is left that no parameter fills: the recipient cannot be processed.
pub(crate) fn fill(text: &str, parameters: &Parameters<'_>) -> Option<String> {
    let filled = pass(text, parameters);
    let filled = pass(&filled, parameters);
    (!has_placeholder(&filled)).then_some(filled)
}

/// Whether `text` has something to fill.
pub(crate) fn has_placeholder(text: &str) -> bool {
    next(text).is_some()
}

fn pass(text: &str, parameters: &Parameters<'_>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next(rest) {
        filled.push_str(before);
        match parameters.get(name) {
            Some(value) => filled.push_str(value),
            None => filled.extend(["${", name, "}"]),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Text before the first placeholder, its name, the text behind it. A name has neither dollar nor brace, so that a lone `${`
/// and an empty `${}` are plain text.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    for (start, opening) in text.match_indices("${") {
        let inside = text.get(start + opening.len()..)?;
        let end = inside.find(['$', '{', '}'])?;
        let (name, after) = inside.split_at_checked(end)?;
        if let Some(after) = after.strip_prefix('}').filter(|_| !name.is_empty()) {
            return Some((text.get(..start)?, name, after));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Option<String> {
        let parameters = Parameters::from([
            ("t", "Hi Ada, 100 % & {ok}"),
            ("price", "5 $"),
            ("nested", "to ${price}"),
            ("hole", "to ${nobody}"),
            ("loop", "${loop}"),
        ]);
        fill(text, &parameters)
    }

    #[test]
    fn placeholders_are_filled_and_everything_else_stays() {
        for (text, wanted) in [
            ("${t}", "Hi Ada, 100 % & {ok}"),
            ("a ${price}, b ${price}", "a 5 $, b 5 $"),
            ("no placeholder", "no placeholder"),
            ("5 $ {t} ${ and ${}", "5 $ {t} ${ and ${}"),
            ("", ""),
        ] {
            assert_eq!(filled(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn a_placeholder_within_a_value_is_filled_too_and_one_without_a_value_is_an_error() {
        assert_eq!(filled("${nested}").as_deref(), Some("to 5 $"));
        for text in ["${nobody}", "${hole}", "${loop}", "${t} ${Price}"] {
            assert_eq!(filled(text), None, "{text}");
        }
    }
}

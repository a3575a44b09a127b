//! Names and values of a query or a form body.

use std::borrow::Cow;

use http::{HeaderMap, header};

use crate::Malformed;

/// Decoded parameters: `+` is a space, percent signs are undone, the result is UTF-8. Empty values
/// and white space stay. Names and values are sorted by their bytes and each is there once.
#[derive(Debug)]
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    pub(crate) fn parse(encoded: &'a [u8]) -> Self {
        let mut all = Vec::with_capacity(USUAL);
        all.extend(form_urlencoded::parse(encoded));
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// The value of `name`, unless it is missing or empty.
    ///
    /// # Errors
    /// [`Malformed`] if it has two: nobody can say which of them is meant.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Malformed> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Malformed {
                why: "a parameter has two different values",
            }),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// Every value of `name`.
    pub(crate) fn values<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s str> + use<'s, 'a> {
        let from = self.0.partition_point(|(known, _)| **known < *name);
        let these = self.0[from..].iter();
        let length = these.take_while(|(known, _)| known == name).count();
        let these = self.0[from..from + length].iter();
        these.map(|(_, value)| value.as_ref())
    }

    /// Every name with each of its values, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// As many as a receipt has.
const USUAL: usize = 16;

/// Whether the content type says that the body is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| {
            value
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_distinct_and_decoded() {
        let all = Parameters::parse("b=2&a=%C3%87+x%0A&b=1&b=2&c=&d&=e".as_bytes());
        let pairs: Vec<_> = all.iter().collect();
        assert_eq!(
            pairs,
            [
                ("", "e"),
                ("a", "Ç x\n"),
                ("b", "1"),
                ("b", "2"),
                ("c", ""),
                ("d", "")
            ]
        );
        assert_eq!(all.one("a"), Ok(Some("Ç x\n")));
        assert_eq!((all.one("c"), all.one("z")), (Ok(None), Ok(None)));
        assert!(all.one("b").is_err());
    }

    #[test]
    fn a_form_is_one_by_its_content_type() {
        for (value, expected) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", true),
            ("application/json", false),
            ("text/plain; application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(value));
            assert_eq!(is_form(&headers), expected, "{value}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}

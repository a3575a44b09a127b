//! Texts with placeholders, compiled once per distribution. A value is inserted as it is and never
//! parsed, so nothing that a recipient's data contains can act as a template.

use std::collections::BTreeSet;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{Fields, segments::nfc};

/// A text in NFC, cut into what stands and what is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Field {
        name: Box<str>,
        default: Option<Box<str>>,
    },
}

/// Why a text is no template. `at` counts characters from 1, after NFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// There is nothing to send.
    #[error("the text is empty")]
    Empty,
    /// `{{` without its `}}`, or with another `{{` before it.
    #[error("the placeholder that opens at character {at} is not closed by `}}}}`")]
    Unclosed {
        /// Where its `{{` stands.
        at: usize,
    },
    /// `}}` outside of a placeholder.
    #[error("the `}}}}` at character {at} closes no placeholder")]
    Unopened {
        /// Where it stands.
        at: usize,
    },
    /// A placeholder's name is empty, too long or has other characters.
    #[error(
        "the placeholder at character {at} needs a name of 1 to 64 of A-Z a-z 0-9 _, without spaces"
    )]
    Name {
        /// Where its `{{` stands.
        at: usize,
    },
}

/// A placeholder without default has no value in this row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for the placeholder `{field}`, which has no default")]
pub struct MissingField {
    /// Its name.
    pub field: String,
}

const NAME_MAX: usize = 64;
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

impl Template {
    /// Reads `{{field}}` and `{{field|default}}`; single braces are ordinary characters.
    ///
    /// # Errors
    /// The first [`TemplateFault`], from the left.
    pub fn compile(text: &str) -> Result<Self, TemplateFault> {
        let text = nfc(text);
        if text.is_empty() {
            return Err(TemplateFault::Empty);
        }
        let position = |rest: &str| text[..text.len() - rest.len()].chars().count() + 1;
        let mut pieces = Vec::new();
        let mut rest = text.as_ref();
        loop {
            let literal = rest.find(OPEN).map_or(rest, |open| &rest[..open]);
            if let Some(close) = literal.find(CLOSE) {
                let at = position(&rest[close..]);
                return Err(TemplateFault::Unopened { at });
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.into()));
            }
            rest = &rest[literal.len()..];
            if rest.is_empty() {
                return Ok(Self { pieces });
            }
            let at = position(rest);
            let inside = &rest[OPEN.len()..];
            let end = inside.find(CLOSE).ok_or(TemplateFault::Unclosed { at })?;
            if inside[..end].contains(OPEN) {
                return Err(TemplateFault::Unclosed { at });
            }
            pieces.push(field(&inside[..end]).ok_or(TemplateFault::Name { at })?);
            rest = &inside[end + CLOSE.len()..];
        }
    }

    /// The names of the placeholders, each once.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<&str> {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Literal(_) => None,
                Piece::Field { name, .. } => Some(name.as_ref()),
            })
            .collect()
    }

    /// Replaces what `out` holds by the text for one recipient, in NFC. An empty value is a value:
    /// only a field that is not there takes the default.
    ///
    /// # Errors
    /// [`MissingField`] names the first placeholder with neither; `out` is then of no use.
    pub fn render(&self, fields: &Fields, out: &mut String) -> Result<(), MissingField> {
        out.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Field { name, default } => {
                    let value = fields.get(name);
                    out.push_str(value.or(default.as_deref()).ok_or_else(|| MissingField {
                        field: name.to_string(),
                    })?);
                }
            }
        }
        // The whole and not only the values: a value may begin with a combining accent.
        if !out.is_ascii() && is_nfc_quick(out.chars()) != IsNormalized::Yes {
            *out = out.nfc().collect();
        }
        Ok(())
    }
}

fn field(inside: &str) -> Option<Piece> {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name, Some(default.into())),
        None => (inside, None),
    };
    let named = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    named.then(|| Piece::Field {
        name: name.into(),
        default,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(text: &str, fields: &[(&str, &str)]) -> Result<String, MissingField> {
        let fields = fields.iter().copied().collect();
        let mut out = "left over".to_owned();
        Template::compile(text)
            .expect("a template")
            .render(&fields, &mut out)
            .map(|()| out)
    }

    #[test]
    fn placeholders_are_filled_and_everything_else_stands() {
        let text = "Hi {{first_name|there}}, {x} {{link}}!{{link}}";
        assert_eq!(
            render(text, &[("link", "https://example.org/a")]).as_deref(),
            Ok("Hi there, {x} https://example.org/a!https://example.org/a")
        );
        assert_eq!(
            render(text, &[("link", "L"), ("first_name", "Ana")]).as_deref(),
            Ok("Hi Ana, {x} L!L")
        );
        assert_eq!(
            Template::compile(text).expect("a template").fields(),
            BTreeSet::from(["first_name", "link"])
        );
    }

    #[test]
    fn an_empty_value_is_a_value_and_an_empty_default_a_default() {
        assert_eq!(render("[{{a|x}}]", &[("a", "")]).as_deref(), Ok("[]"));
        assert_eq!(render("[{{a|}}]", &[]).as_deref(), Ok("[]"));
        assert_eq!(render("{{a|x|y}}", &[]).as_deref(), Ok("x|y"));
    }

    #[test]
    fn a_missing_field_is_named() {
        let missing = render("{{a}} {{b}}", &[("a", "1")]).expect_err("b is missing");
        assert_eq!(missing.field, "b");
        assert!(missing.to_string().contains("`b`"));
    }

    #[test]
    fn a_value_is_never_parsed() {
        let values = [("a", "{{b}}"), ("b", "{{a|x}} }} {{")];
        assert_eq!(render("{{a}}", &values).as_deref(), Ok("{{b}}"));
        assert_eq!(render("{{b}}", &values).as_deref(), Ok("{{a|x}} }} {{"));
    }

    #[test]
    fn a_fault_says_where() {
        use TemplateFault::{Empty, Name, Unclosed, Unopened};
        for (text, fault) in [
            ("", Empty),
            ("é{{a", Unclosed { at: 2 }),
            ("{{a}} {{", Unclosed { at: 7 }),
            ("{{a} }", Unclosed { at: 1 }),
            ("{{a|{{b}}", Unclosed { at: 1 }),
            ("a}} b", Unopened { at: 2 }),
            ("{{a}}}}", Unopened { at: 6 }),
            ("{{}}", Name { at: 1 }),
            ("{{|x}}", Name { at: 1 }),
            ("Hi {{ a }}", Name { at: 4 }),
            ("{{a-b}}", Name { at: 1 }),
            ("{{{a}}}", Name { at: 1 }),
            ("{{prénom}}", Name { at: 1 }),
        ] {
            assert_eq!(Template::compile(text), Err(fault), "{text}");
        }
        let longest = "x".repeat(NAME_MAX);
        assert!(Template::compile(&format!("{{{{{longest}}}}}")).is_ok());
        assert!(Template::compile(&format!("{{{{{longest}x}}}}")).is_err());
        assert_eq!(
            Unclosed { at: 2 }.to_string(),
            "the placeholder that opens at character 2 is not closed by `}}`"
        );
    }

    #[test]
    fn the_rendered_text_is_in_nfc_across_the_seams_too() {
        assert_eq!(render("e{{a}}", &[("a", "\u{301}")]).as_deref(), Ok("é"));
        assert_eq!(render("cafe\u{301}", &[]).as_deref(), Ok("café"));
        assert_eq!(render("{{a}}", &[("a", "e\u{301}")]).as_deref(), Ok("é"));
    }

    proptest! {
        #[test]
        fn whatever_compiles_renders_without_braces_of_ours(text in "[a{}|_é ]{0,40}") {
            if let Ok(template) = Template::compile(&text) {
                let fields = template.fields().iter().map(|n| ((*n).to_owned(), "v".to_owned())).collect();
                let mut out = String::new();
                prop_assert!(template.render(&fields, &mut out).is_ok());
                let ours = template.pieces.iter().any(|piece| match piece {
                    Piece::Literal(text) => text.contains(OPEN) || text.contains(CLOSE),
                    Piece::Field { default, .. } => {
                        default.as_deref().is_some_and(|default| default.contains(OPEN))
                    }
                });
                prop_assert!(!ours, "{:?}", template);
            }
        }

        #[test]
        fn no_text_makes_the_compiler_panic(text: String) {
            let _ = Template::compile(&text);
        }
    }
}

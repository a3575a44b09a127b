//! JSON taken apart without understanding it: where it is broken, what kind of value stands where,
//! and the members of an object as slices of the original. What is said about a value never
//! contains it, because it may be a number or a text.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Members an object of ours may have; the rest is counted, not kept.
const MEMBERS_MAX: usize = 64;

/// The first place where `body` is not JSON.
pub(crate) struct Broken {
    /// The path to it in dotted form, empty at the top.
    pub(crate) path: String,
    /// What is wrong, with line and column.
    pub(crate) why: String,
}

/// Whether all of `body` is JSON in UTF-8, and if not, where it stops being that.
pub(crate) fn broken(body: &[u8]) -> Option<Broken> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Walk>(&mut deserializer) {
        Err(error) => {
            let path = error.path().to_string();
            let inner = error.inner();
            let why = match std::str::from_utf8(body) {
                Err(utf8) => format!("byte {} is not UTF-8", utf8.valid_up_to()),
                // Only data errors quote what they found, and a walk raises none.
                Ok(_) if !inner.is_data() => inner.to_string(),
                Ok(_) => format!("line {} column {}", inner.line(), inner.column()),
            };
            Some(Broken {
                path: if path == "." {
                    String::new()
                } else {
                    shown(&path)
                },
                why,
            })
        }
        Ok(Walk) => deserializer.end().err().map(|error| Broken {
            path: String::new(),
            why: error.to_string(),
        }),
    }
}

/// Visits every value and keeps none, so that a path to a fault costs no memory.
struct Walk;

impl<'de> Deserialize<'de> for Walk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Walk;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_str<E>(self, _: &str) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_unit<E>(self) -> Result<Walk, E> {
                Ok(Walk)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Walk, A::Error> {
                while items.next_element::<Walk>()?.is_some() {}
                Ok(Walk)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Walk, A::Error> {
                while members.next_entry::<String, Walk>()?.is_some() {}
                Ok(Walk)
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

/// An object's members in their order, values unread.
pub(crate) struct Object<'a> {
    pub(crate) members: Vec<(String, &'a RawValue)>,
    /// How many more there were than anything of ours has.
    pub(crate) more: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                let mut more = 0;
                while members.len() < MEMBERS_MAX {
                    match map.next_entry()? {
                        Some(member) => members.push(member),
                        None => return Ok(Object { members, more }),
                    }
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    more += 1;
                }
                Ok(Object { members, more })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The items of an array, unread: at most `N`, the rest only counted.
pub(crate) struct Items<'a, const N: usize> {
    pub(crate) items: Vec<&'a RawValue>,
    pub(crate) count: usize,
}

impl<'de: 'a, 'a, const N: usize> Deserialize<'de> for Items<'a, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Each<N> {
            type Value = Items<'de, N>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < N {
                    match seq.next_element()? {
                        Some(item) => items.push(item),
                        None => {
                            let count = items.len();
                            return Ok(Items { items, count });
                        }
                    }
                }
                let mut count = items.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count = count
                        .checked_add(1)
                        .ok_or_else(|| A::Error::custom("too many"))?;
                }
                Ok(Items { items, count })
            }
        }
        deserializer.deserialize_seq(Each::<N>)
    }
}

/// What kind of value this is, for "expected …, found …".
pub(crate) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Where `value`, a slice of `text`, begins.
pub(crate) fn place(text: &str, value: &RawValue) -> String {
    let at = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.as_bytes().get(..at).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    format!("line {line} column {column}")
}

const NAME_SHOWN_MAX: usize = 80;
const DIGITS_SHOWN_MAX: usize = 6;

/// A name out of a batch as it may be repeated: short, plain, and no telephone number.
pub(crate) fn shown(name: &str) -> String {
    let plain = name.len() <= NAME_SHOWN_MAX
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b))
        && name
            .split(|c: char| !c.is_ascii_digit())
            .all(|digits| digits.len() <= DIGITS_SHOWN_MAX);
    if plain {
        name.to_owned()
    } else {
        "(a name that is not shown)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_named_by_path_line_and_column() {
        let broken =
            broken(b"{\"recipients\": [{\"to\": \"1\"},\n {\"to\": +33}]}").expect("broken");
        assert_eq!(broken.path, "recipients[1].to");
        assert!(broken.why.contains("line 2 column"), "{}", broken.why);
    }

    #[test]
    fn invalid_utf8_is_named_by_path_and_byte() {
        let broken = broken(b"{\"text\": \"\xff\"}").expect("broken");
        assert_eq!(
            (broken.path.as_str(), broken.why.as_str()),
            ("text", "byte 10 is not UTF-8")
        );
    }

    #[test]
    fn what_follows_the_end_and_what_never_ends_is_broken() {
        assert!(broken(b"{} x").is_some());
        assert!(broken(b"").is_some());
        assert!(broken(&b"[".repeat(1_000_000)).is_some());
        assert!(broken(b" {} ").is_none());
    }

    #[test]
    fn a_name_that_could_be_a_number_is_not_repeated() {
        assert_eq!(shown("fields.first_name"), "fields.first_name");
        for hidden in [
            "fields.33639980001",
            "+33639980001",
            "na me",
            "é",
            &"x".repeat(81),
        ] {
            assert_eq!(shown(hidden), "(a name that is not shown)");
        }
    }

    #[test]
    fn more_items_than_allowed_are_counted_and_not_kept() {
        let text = format!("[{}0]", "0,".repeat(99));
        let items: Items<'_, 10> = serde_json::from_str(&text).expect("an array");
        assert_eq!((items.items.len(), items.count), (10, 100));
    }
}

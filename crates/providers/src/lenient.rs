//! The readings of [`crate::json`] without a tree between: for answers that have an entry for each
//! of a hundred messages. What is refused and what a value is taken for are the same in both; here
//! a text is borrowed from the body.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;

/// What `body` is, if that is JSON.
pub(crate) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

/// An object, of which some members are read and the others are passed over.
pub(crate) trait Members<'de>: Default {
    /// Reads the value of `name`, which `map` is at: of a repeated member the last one counts.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A visitor that makes something of each kind of value; a kind that is not written makes nothing.
macro_rules! reading {
    ($visitor:ident -> $value:ty { $($method:item)* }) => {
        impl<'de> Visitor<'de> for $visitor {
            type Value = $value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            $($method)*
        }
    };
}

/// Reads all of a sequence and keeps nothing.
fn skip_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<Skipped>()?.is_some() {}
    Ok(())
}

/// Reads all of an object and keeps nothing.
fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<Name<'de>, Skipped>()?.is_some() {}
    Ok(())
}

/// A member's name.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        reading!(Read -> Name<'de> {
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        });
        deserializer.deserialize_str(Read)
    }
}

/// Any value, read as closely as a tree would be, so that what is broken is found.
pub(crate) struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        reading!(Read -> Skipped {
            fn visit_bool<E>(self, _: bool) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_i64<E>(self, _: i64) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_u64<E>(self, _: u64) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_f64<E>(self, _: f64) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_str<E>(self, _: &str) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_unit<E>(self) -> Result<Skipped, E> { Ok(Skipped) }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Skipped, A::Error> {
                skip_seq(seq).map(|()| Skipped)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Skipped, A::Error> {
                skip_map(map).map(|()| Skipped)
            }
        });
        deserializer.deserialize_any(Read)
    }
}

/// A value that is told apart by its kind only as far as anybody asks.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// `null`, or not there.
    #[default]
    Nothing,
    Text(Cow<'a, str>),
    Number(Number),
    /// Anything else.
    Other,
}

impl<'a> Scalar<'a> {
    /// A text or a number, as text.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Nothing | Self::Other => None,
        }
    }

    /// A whole number, also one that is written as a string.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        reading!(Read -> Scalar<'de> {
            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> { Ok(Scalar::Other) }
            fn visit_i64<E>(self, n: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(n.into()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(n.into()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Scalar<'de>, E> {
                Ok(Number::from_f64(n).map_or(Scalar::Nothing, Scalar::Number))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> { Ok(Scalar::Nothing) }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Scalar<'de>, A::Error> {
                skip_seq(seq).map(|()| Scalar::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
                skip_map(map).map(|()| Scalar::Other)
            }
        });
        deserializer.deserialize_any(Read)
    }
}

/// An object, or nothing if it is anything else.
#[derive(Debug)]
pub(crate) struct Part<T>(pub(crate) Option<T>);

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// The items of an array, or nothing if it is anything else.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// What is neither an object nor an array makes nothing of either.
macro_rules! nothing_of_scalars {
    ($value:ident) => {
        type Value = $value<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }
        fn visit_bool<E>(self, _: bool) -> Result<$value<T>, E> {
            Ok($value(None))
        }
        fn visit_i64<E>(self, _: i64) -> Result<$value<T>, E> {
            Ok($value(None))
        }
        fn visit_u64<E>(self, _: u64) -> Result<$value<T>, E> {
            Ok($value(None))
        }
        fn visit_f64<E>(self, _: f64) -> Result<$value<T>, E> {
            Ok($value(None))
        }
        fn visit_str<E>(self, _: &str) -> Result<$value<T>, E> {
            Ok($value(None))
        }
        fn visit_unit<E>(self) -> Result<$value<T>, E> {
            Ok($value(None))
        }
    };
}

impl<'de, T: Members<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Members<'de>> Visitor<'de> for Read<T> {
            nothing_of_scalars!(Part);
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Part<T>, A::Error> {
                skip_seq(seq).map(|()| Part(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part<T>, A::Error> {
                let mut whole = T::default();
                while let Some(Name(name)) = map.next_key()? {
                    whole.member(&name, &mut map)?;
                }
                Ok(Part(Some(whole)))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            nothing_of_scalars!(List);
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(Some(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
                skip_map(map).map(|()| List(None))
            }
        }
        deserializer.deserialize_any(Read(PhantomData))
    }
}

/// Declares an object's members by the names that they have on the wire.
macro_rules! members {
    ($(#[$doc:meta])* $type:ident<$life:lifetime> { $($wire:literal => $field:ident: $of:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $type<$life> { $($field: $of,)+ }

        impl<$life> crate::lenient::Members<$life> for $type<$life> {
            fn member<A: serde::de::MapAccess<$life>>(
                &mut self,
                name: &str,
                map: &mut A,
            ) -> Result<(), A::Error> {
                match name {
                    $($wire => self.$field = map.next_value()?,)+
                    _ => { map.next_value::<crate::lenient::Skipped>()?; }
                }
                Ok(())
            }
        }
    };
}
pub(crate) use members;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::json;

    members! {
        Borrowed<'a> {
            "id" => id: Scalar<'a>,
            "n" => n: Scalar<'a>,
            "in" => within: Part<Inner<'a>>,
            "list" => list: List<Part<Inner<'a>>>,
        }
    }
    members! {
        Inner<'a> {
            "id" => id: Scalar<'a>,
        }
    }

    #[derive(Deserialize)]
    struct Tree {
        #[serde(default, deserialize_with = "json::text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "json::integer")]
        n: Option<i64>,
        #[serde(default, rename = "in", deserialize_with = "json::part")]
        within: Option<InnerTree>,
        #[serde(default)]
        list: Value,
    }
    #[derive(Deserialize)]
    struct InnerTree {
        #[serde(default, deserialize_with = "json::text")]
        id: Option<String>,
    }

    type Read = (
        Option<String>,
        Option<i64>,
        Option<Option<String>>,
        Option<Vec<Option<Option<String>>>>,
    );

    fn borrowed(body: &[u8]) -> Option<Read> {
        let text = |scalar: Scalar<'_>| scalar.into_text().map(Cow::into_owned);
        let all = read::<Part<Borrowed<'_>>>(body)?.0?;
        let list = all.list.0.map(|items| {
            items
                .into_iter()
                .map(|item| item.0.map(|inner| text(inner.id)))
                .collect()
        });
        Some((
            text(all.id),
            all.n.integer(),
            all.within.0.map(|inner| text(inner.id)),
            list,
        ))
    }

    fn tree(body: &[u8]) -> Option<Read> {
        let all: Tree = json::read(body)?;
        let list = match all.list {
            Value::Array(items) => Some(
                items
                    .into_iter()
                    .map(|item| json::object::<InnerTree>(item).map(|inner| inner.id))
                    .collect(),
            ),
            _ => None,
        };
        Some((all.id, all.n, all.within.map(|inner| inner.id), list))
    }

    /// JSON by its grammar, repeated members and odd values included, sometimes cut or spoilt.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let scalar = prop::sample::select(vec![
            "null",
            "true",
            "7",
            "-7",
            "1.5",
            "1e3",
            "1e999",
            "18446744073709551615",
            "\"\"",
            "\"a\"",
            "\" 12 \"",
            "\"\\u0041\\n\"",
            "\"\\ud800\"",
            "\"é\"",
            "01",
            "nul",
        ])
        .prop_map(str::to_owned);
        let value = scalar.prop_recursive(4, 40, 5, |inner| {
            let name = prop::sample::select(vec!["id", "n", "in", "list", "other", "i\\u0064"]);
            let members = prop::collection::vec((name, inner.clone()), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(", "))
            });
            let items = prop::collection::vec(inner, 0..4)
                .prop_map(|items| format!("[{}]", items.join(",")));
            prop_oneof![2 => members, 1 => items]
        });
        (
            value,
            prop::option::weighted(0.1, (any::<usize>(), any::<u8>())),
        )
            .prop_map(|(text, spoil)| {
                let mut bytes = text.into_bytes();
                if let Some((at, byte)) = spoil {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
                bytes
            })
    }

    proptest! {
        #[test]
        fn what_is_read_without_a_tree_is_what_is_read_with_one(body in body()) {
            prop_assert_eq!(borrowed(&body), tree(&body));
        }
    }

    #[test]
    fn a_body_nested_beyond_reason_is_refused_by_both() {
        for depth in [100, 127, 128, 129, 100_000] {
            let body = format!("{{\"x\":{}", "[".repeat(depth)) + &"]".repeat(depth) + "}";
            assert_eq!(borrowed(body.as_bytes()), tree(body.as_bytes()), "{depth}");
        }
    }
}

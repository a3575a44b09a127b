//! Which routing keys a topic pattern means, by the rules of AMQP's topic exchange.

/// Whether `key` is one that `pattern` means: words are separated by dots, `*` stands for exactly
/// one word and `#` for any number of them, none included.
///
/// Source: AMQP 0-9-1, section 3.1.3.3.
#[must_use]
pub fn topic_matches(pattern: &str, key: &str) -> bool {
    // As everywhere in AMQP an empty text is no word, while `a..b` has an empty one in the middle.
    let words: Vec<&str> = words(key).collect();
    // `reached[n]`: the pattern read so far can mean the first `n` words. One row at a time, so the
    // cost is pattern × key whatever the pattern is; recursion would be exponential in its `#`.
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    for part in self::words(pattern) {
        if part == "#" {
            let first = reached.iter().position(|&known| known);
            if let Some(first) = first {
                reached[first..].fill(true);
            }
            continue;
        }
        for n in (0..words.len()).rev() {
            reached[n + 1] = reached[n] && (part == "*" || part == words[n]);
        }
        reached[0] = false;
    }
    reached[words.len()]
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    // `split` gives one empty word for an empty text.
    text.split('.').filter(move |_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::topic_matches;

    #[test]
    fn patterns_mean_what_the_amqp_specification_says() {
        for (pattern, key, expected) in [
            ("*.stock.#", "usd.stock", true),
            ("*.stock.#", "eur.stock.db", true),
            ("*.stock.#", "stock.nasdaq", false),
            ("#", "", true),
            ("#", "a.b.c", true),
            ("*", "", false),
            ("*", "a", true),
            ("*", "a.b", false),
            ("a.*.c", "a.b.c", true),
            ("a.*.c", "a..c", true),
            ("a.*.c", "a.c", false),
            ("a.#.c", "a.c", true),
            ("a.#.c", "a.b.b.c", true),
            ("a.#.c", "a.b.b", false),
            ("#.#", "a", true),
            ("a", "a.b", false),
            ("", "", true),
            ("", "a", false),
            ("a*", "ab", false),
        ] {
            assert_eq!(topic_matches(pattern, key), expected, "{pattern} {key}");
        }
    }

    /// The definition, word by word.
    fn by_definition(pattern: &[String], key: &[String]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((part, rest)), word) if part == "#" => {
                by_definition(rest, key)
                    || word.is_some_and(|(_, others)| by_definition(pattern, others))
            }
            (Some(_), None) => false,
            (Some((part, rest)), Some((word, others))) => {
                (part == "*" || part == word) && by_definition(rest, others)
            }
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_exactly_what_its_definition_says(
            pattern in prop::collection::vec("[ab*#]", 0..6),
            key in prop::collection::vec("[ab]", 0..6),
        ) {
            prop_assert_eq!(
                topic_matches(&pattern.join("."), &key.join(".")),
                by_definition(&pattern, &key)
            );
        }

        #[test]
        fn a_key_without_wildcards_matches_itself_and_everything_means_it(key in "[a-z0-9_.-]{0,40}") {
            prop_assert!(topic_matches(&key, &key));
            prop_assert!(topic_matches("#", &key));
        }

        #[test]
        fn many_wildcards_cost_no_more_than_few(words in 1_usize..60) {
            let pattern = vec!["#"; words].join(".") + ".z";
            prop_assert!(!topic_matches(&pattern, &vec!["a"; words].join(".")));
        }
    }
}

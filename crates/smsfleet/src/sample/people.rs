//! Names and places of a sample's recipients. Most texts stay in GSM-7; some names do not, and make
//! their text a UCS-2 one, as in any real list.

use super::numbers::Country;

/// What the fields of one row say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Empty for some: the text has a default for it.
    pub first_name: &'static str,
    /// Where they were.
    pub place: &'static str,
}

/// Names that GSM-7 can write, accents included.
const PLAIN: [(Country, &[&str], &[&str]); 5] = [
    (
        Country::France,
        &[
            "Amélie", "Léa", "Hugo", "René", "Inès", "Jules", "Noé", "Adèle",
        ],
        &["Musée Ampère", "Café des Alpes", "Bistrot 21"],
    ),
    (
        Country::Britain,
        &[
            "Olivia", "George", "Amelia", "Harry", "Isla", "Oscar", "Freya",
        ],
        &["Hill Surgery", "Bath Books", "The Old Mill"],
    ),
    (
        Country::America,
        &[
            "Emma", "Liam", "Ava", "Noah", "Mia", "Ethan", "Peña", "Sofia",
        ],
        &["Main St Clinic", "Joe's Diner", "Lake Hotel"],
    ),
    (
        Country::Germany,
        &["Jürgen", "Käthe", "Jörg", "Lena", "Björn", "Änne"],
        &["Praxis Groß", "Bäckerei Müller", "Hotel Rose"],
    ),
    (
        Country::Sweden,
        &["Åsa", "Björn", "Märta", "Elin", "Nils", "Östen"],
        &["Café Ängel", "Hotell Sjö", "Bokö"],
    ),
];

/// Names that need UCS-2: other scripts, emoji, and accents that GSM-7 does not have.
const WIDE: [&str; 10] = [
    "さくら",
    "陽翔",
    "Łukasz",
    "François",
    "Zoë 🎉",
    "Дмитро",
    "José 🙂",
    "Σοφία",
    "Chloë",
    "지우",
];

/// Somebody in `country`; one whose name GSM-7 can not write if `wide`.
pub fn person(rng: &mut fastrand::Rng, country: Country, wide: bool) -> Person {
    let (names, places) = PLAIN
        .iter()
        .find(|(of, ..)| *of == country)
        .map_or((PLAIN[0].1, PLAIN[0].2), |(_, names, places)| {
            (*names, *places)
        });
    let first_name = match wide {
        true => pick(rng, &WIDE),
        // One of twenty left no name.
        false if rng.u8(..20) == 0 => "",
        false => pick(rng, names),
    };
    Person {
        first_name,
        place: pick(rng, places),
    }
}

fn pick(rng: &mut fastrand::Rng, from: &[&'static str]) -> &'static str {
    from[rng.usize(..from.len())]
}

#[cfg(test)]
mod tests {
    use message::segments::{Encoding, measure};

    use super::*;

    #[test]
    fn plain_people_fit_gsm7_and_wide_ones_do_not() {
        for (_, names, places) in PLAIN {
            for text in names.iter().chain(places) {
                assert_eq!(measure(text).encoding, Encoding::Gsm7, "{text}");
            }
        }
        for name in WIDE {
            assert_eq!(measure(name).encoding, Encoding::Ucs2, "{name}");
        }
    }
}

//! Numbers to play with: ranges that regulators set aside for films and examples, so that a sample
//! that is sent to a real provider by mistake reaches nobody.
//!
//! Most are landlines: the mobile ranges for films of France (6 39 98) and Britain (7700 900) are not
//! in libphonenumber's plans, so intake would refuse them.
//!
//! Sources: ARCEP décision 2018-0881 (+33 1 99 00); Ofcom "Telephone numbers for use in TV and radio
//! drama programmes" (+44 20 7946 0, 113 496 0 and their like); NANPA 555-0100 to 555-0199 in every
//! area code; Bundesnetzagentur Mitteilung 148/2021 (+49 171 39200, 176 040690); PTS (+46 70 174 06).

/// Where a sample's recipient lives: decides their name and the places they visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Country {
    /// France.
    France,
    /// The United Kingdom.
    Britain,
    /// The United States.
    America,
    /// Germany.
    Germany,
    /// Sweden.
    Sweden,
}

/// Area codes whose 555-01xx are used; many more exist.
const AREA_CODES: [u64; 100] = [
    202, 212, 213, 214, 215, 216, 217, 219, 224, 225, 228, 229, 231, 234, 239, 240, 248, 251, 252,
    253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304, 305, 307, 308, 309, 310,
    312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 325, 330, 334, 336, 337, 339, 347, 351,
    352, 360, 361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419,
    423, 424, 425, 432, 434, 435, 440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507,
    508, 509, 510, 512, 513,
];

/// Area codes used before the others, so that the countries of a sample are mixed.
const AREA_CODES_FIRST: usize = 60;

/// `count` different numbers in an order that `rng` decides.
///
/// Beyond the reserved ranges (some 23,000 numbers) come ordinary French mobile numbers that may
/// belong to people: see [`reserved`]. The demo texts them in the process only.
pub fn numbers(rng: &mut fastrand::Rng, count: usize) -> Vec<(Country, u64)> {
    let mut first: Vec<_> = first_ranges().collect();
    let mut rest: Vec<_> = rest_ranges().collect();
    rng.shuffle(&mut first);
    rng.shuffle(&mut rest);
    let unreserved = (0..).map(|n| (Country::France, 33_730_000_000 + n));
    first
        .into_iter()
        .chain(rest)
        .chain(unreserved)
        .take(count)
        .collect()
}

/// How many numbers are in ranges that belong to nobody.
#[must_use]
pub fn reserved() -> usize {
    first_ranges().count() + rest_ranges().count()
}

fn first_ranges() -> impl Iterator<Item = (Country, u64)> {
    let of = |country| move |number| (country, number);
    (33_199_000_000..=33_199_004_999)
        .map(of(Country::France))
        .chain(british().map(of(Country::Britain)))
        .chain(american(&AREA_CODES[..AREA_CODES_FIRST]))
        .chain((491_713_920_000..=491_713_920_099).map(of(Country::Germany)))
        .chain((4_917_604_069_000..=4_917_604_069_099).map(of(Country::Germany)))
        .chain((46_701_740_605..=46_701_740_699).map(of(Country::Sweden)))
}

fn rest_ranges() -> impl Iterator<Item = (Country, u64)> {
    (33_199_005_000..=33_199_009_999)
        .map(|number| (Country::France, number))
        .chain(american(&AREA_CODES[AREA_CODES_FIRST..]))
}

/// London, Leeds and Edinburgh.
fn british() -> impl Iterator<Item = u64> {
    (442_079_460_000..=442_079_460_999)
        .chain(441_134_960_000..=441_134_960_999)
        .chain(441_314_960_000..=441_314_960_999)
}

fn american(areas: &[u64]) -> impl Iterator<Item = (Country, u64)> {
    areas.iter().flat_map(|area| {
        (100..=199).map(move |last| {
            (
                Country::America,
                10_000_000_000 + area * 10_000_000 + 5_550_000 + last,
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use message::number::normalise;

    use super::*;

    #[test]
    fn every_number_is_valid_in_its_countrys_plan_and_there_once() {
        let drawn = numbers(&mut fastrand::Rng::with_seed(1), reserved() + 1_000);
        for (country, number) in &drawn {
            let text = format!("+{number}");
            let read = normalise(&text, None).map(message::Msisdn::as_u64);
            assert_eq!(read, Ok(*number), "{country:?} {text}");
        }
        let different: HashSet<_> = drawn.iter().map(|(_, number)| number).collect();
        assert_eq!(different.len(), drawn.len());
        assert!(reserved() >= 20_000, "{}", reserved());
    }

    #[test]
    fn the_same_seed_draws_the_same_numbers_and_another_seed_others() {
        let draw = |seed| numbers(&mut fastrand::Rng::with_seed(seed), 500);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn a_small_sample_lives_in_several_countries() {
        let countries: HashSet<_> = numbers(&mut fastrand::Rng::with_seed(1), 1_000)
            .into_iter()
            .map(|(country, _)| country)
            .collect();
        assert_eq!(countries.len(), 5);
    }
}

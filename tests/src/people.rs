//! Recipients that exist nowhere.

/// There are so many.
const PEOPLE: u64 = 10_000_000;

/// A French mobile number that a numbering plan accepts: `+3360` and seven digits. They look random,
/// so that one found in a log is one, and not the tail of some round figure.
#[must_use]
pub fn number(person: u32) -> String {
    let person = u64::from(person);
    assert!(person < PEOPLE, "there are ten million people");
    // The factor has no divisor in common with their number: everybody has a number of their own.
    let digits = (person * 7_654_321 + 1_234_567) % PEOPLE;
    format!("+3360{digits:07}")
}

/// The numbers of `people`.
pub fn numbers(people: std::ops::Range<u32>) -> Vec<String> {
    people.map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_person_have_a_number_that_intake_takes() {
        for person in [0, 1, 49_999, 9_999_999] {
            let number = number(person);
            assert_eq!(number.len(), 12, "{number}");
            let taken = message::number::normalise(&number, None);
            assert!(taken.is_ok(), "{number}: {taken:?}");
        }
    }
}

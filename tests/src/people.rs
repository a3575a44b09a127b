//! Recipients that exist nowhere.

/// A French mobile number that a numbering plan accepts: `+3360` and seven digits.
#[must_use]
pub fn number(person: u32) -> String {
    assert!(person < 10_000_000, "there are ten million people");
    format!("+3360{person:07}")
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
            let taken = message::number::normalise(&number, None);
            assert!(taken.is_ok(), "{number}: {taken:?}");
        }
    }
}

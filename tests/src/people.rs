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

//! A mailing list to play with: the same seed makes the same list, and it has everything in it that
//! makes real lists interesting.

mod numbers;
mod people;

use std::io::Write;

use message::Recipient;

pub use numbers::reserved;
use people::person;

/// The text that goes with the sample's fields.
pub const TEXT: &str = "Hi {{first_name|there}}, how was your visit to {{place}}? Tell us in a minute: {{survey_link}} Reply STOP to opt out.";

/// The region whose national spellings some rows use.
pub const REGION: &str = "GB";

/// Rows and what is known about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The rows, in order.
    pub recipients: Vec<Recipient>,
    /// What each row was made to be.
    pub kinds: Vec<Kind>,
}

/// What a row was made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To be texted.
    Good,
    /// To be texted, and UCS-2.
    Wide,
    /// A good number whose owner opted out before.
    OptedOut,
    /// Not a number that a message can be sent to.
    Invalid,
    /// The number of an earlier row, perhaps in another spelling.
    Repeated,
}

/// Shares of the kinds, in rows of a thousand; the rest is good.
const PER_MILLE: [(Kind, usize); 4] = [
    (Kind::Invalid, 20),
    (Kind::Repeated, 20),
    (Kind::OptedOut, 15),
    (Kind::Wide, 60),
];

const INVALID: [&str; 12] = [
    "",
    "unknown",
    "n/a",
    "+44 7700",
    "+1 800 FLOWERS",
    "4.477E+11",
    "+999 12 345 678",
    "+33 1",
    "+337000000000000001",
    "call me",
    "+33199000001 / +33199000002",
    "0000000000",
];

impl Sample {
    /// `count` rows, at least one.
    #[must_use]
    pub fn generate(seed: u64, count: usize) -> Self {
        let count = count.max(1);
        let mut rng = fastrand::Rng::with_seed(seed);
        let kinds = kinds(&mut rng, count);
        let mut numbers = numbers::numbers(&mut rng, count).into_iter();
        let mut earlier = Vec::with_capacity(count);
        let mut recipients = Vec::with_capacity(count);
        for (row, kind) in kinds.iter().enumerate() {
            let Some((country, number)) = numbers.next() else {
                break; // as many numbers as rows were drawn
            };
            let to = match kind {
                Kind::Good | Kind::Wide | Kind::OptedOut => {
                    earlier.push(number);
                    format!("+{number}")
                }
                Kind::Repeated => {
                    let number = earlier[rng.usize(..earlier.len())];
                    spelled(&mut rng, number)
                }
                Kind::Invalid => INVALID[rng.usize(..INVALID.len())].to_owned(),
            };
            let person = person(&mut rng, country, *kind == Kind::Wide);
            let link = format!("https://s.example/{:x}", (row as u64 + 1) * 7_919);
            let values = [
                ("first_name", person.first_name.to_owned()),
                ("place", person.place.to_owned()),
                ("survey_link", link),
            ];
            let fields = values
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
            recipients.push(Recipient { to, fields });
        }
        Self { recipients, kinds }
    }

    /// The rows of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Recipient> {
        self.recipients
            .iter()
            .zip(&self.kinds)
            .filter(move |(_, of)| **of == kind)
            .map(|(recipient, _)| recipient)
    }

    /// The rows as CSV.
    ///
    /// # Errors
    /// If `out` can not be written.
    pub fn write_csv(&self, out: impl Write) -> anyhow::Result<()> {
        let columns = ["first_name", "place", "survey_link"];
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(std::iter::once("to").chain(columns))?;
        for recipient in &self.recipients {
            let fields = columns.map(|name| recipient.fields.get(name).unwrap_or_default());
            writer.write_record(std::iter::once(recipient.to.as_str()).chain(fields))?;
        }
        writer.flush()?;
        Ok(())
    }
}

/// Exactly the shares of each kind, mixed; the first row is a good one, which others can repeat.
fn kinds(rng: &mut fastrand::Rng, count: usize) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(count);
    for (kind, per_mille) in PER_MILLE {
        kinds.extend(std::iter::repeat_n(kind, count * per_mille / 1_000));
    }
    kinds.resize(count, Kind::Good);
    rng.shuffle(&mut kinds);
    if let Some(good) = kinds.iter().position(|kind| *kind == Kind::Good) {
        kinds.swap(0, good);
    }
    kinds
}

/// The same number as somebody else would have written it.
fn spelled(rng: &mut fastrand::Rng, number: u64) -> String {
    let digits = number.to_string();
    let british = digits.strip_prefix("44");
    match (rng.u8(..5), british) {
        (0, Some(national)) => format!("0{national}"),
        (1, Some(national)) => format!("+44 (0){national}"),
        (0, None) => format!("00{digits}"), // the international prefix of REGION
        (1, None) => format!("tel:+{digits}"),
        (2, _) => format!("+{} {} {}", &digits[..2], &digits[2..6], &digits[6..]),
        (3, _) => format!("+{}-{}.{}", &digits[..3], &digits[3..7], &digits[7..]),
        _ => format!(" +{digits} "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use message::{
        number::normalise,
        segments::{Encoding, measure},
        template::Template,
    };

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_list() {
        assert_eq!(Sample::generate(3, 400), Sample::generate(3, 400));
        assert_ne!(Sample::generate(3, 400), Sample::generate(4, 400));
    }

    #[test]
    fn every_row_is_what_it_was_made_to_be() {
        let sample = Sample::generate(1, 10_000);
        assert_eq!(sample.recipients.len(), 10_000);
        let text = Template::compile(TEXT).expect("a template");
        let mut seen = HashSet::new();
        for (recipient, kind) in sample.recipients.iter().zip(&sample.kinds) {
            let number = normalise(&recipient.to, Some(REGION));
            let mut out = String::new();
            text.render(&recipient.fields, &mut out)
                .expect("every field is there or has a default");
            let measured = measure(&out);
            assert!(measured.segments <= 4, "{out}");
            match kind {
                Kind::Invalid => assert!(number.is_err(), "{}", recipient.to),
                Kind::Repeated => {
                    assert!(!seen.insert(number.expect("a number")), "{}", recipient.to)
                }
                Kind::Good | Kind::OptedOut => {
                    assert!(seen.insert(number.expect("a number")), "{}", recipient.to);
                    assert_eq!(measured.encoding, Encoding::Gsm7, "{out}");
                }
                Kind::Wide => {
                    assert!(seen.insert(number.expect("a number")), "{}", recipient.to);
                    assert_eq!(measured.encoding, Encoding::Ucs2, "{out}");
                }
            }
        }
        let count = |kind| sample.of(kind).count();
        assert_eq!(
            (
                count(Kind::Invalid),
                count(Kind::Repeated),
                count(Kind::OptedOut),
                count(Kind::Wide)
            ),
            (200, 200, 150, 600)
        );
    }

    #[test]
    fn repeated_numbers_are_spelled_in_other_ways_too() {
        let sample = Sample::generate(1, 2_000);
        let odd = sample
            .of(Kind::Repeated)
            .filter(|r| r.to.contains([' ', '-', '(', ':']))
            .count();
        assert!(odd > 10, "{odd}");
    }

    #[test]
    fn the_csv_reads_back_as_the_same_list() {
        let sample = Sample::generate(5, 300);
        let mut csv = Vec::new();
        sample.write_csv(&mut csv).expect("memory takes it");
        assert_eq!(
            crate::recipients::read(&csv[..]).expect("good CSV"),
            sample.recipients
        );
    }
}

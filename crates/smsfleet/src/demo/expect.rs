//! What should become of every row, worked out before anything is sent and without asking the
//! fleet: the other side of the comparison.

use std::collections::HashSet;

use message::{Batch, Msisdn, number::normalise, segments::measure, template::Template};

/// What should become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Taken and texted.
    Text(Msisdn),
    /// Taken and never texted: they opted out before.
    Withheld(Msisdn),
    /// Refused by intake.
    Refused,
}

/// One for each row of `batch`, in order.
#[must_use]
pub fn expect(batch: &Batch, region: Option<&str>, opted_out: &HashSet<Msisdn>) -> Vec<Expected> {
    let template = Template::compile(&batch.text).ok();
    let mut seen = HashSet::new();
    let mut text = String::new();
    let mut row = |recipient: &message::Recipient| {
        let number = normalise(&recipient.to, region).ok()?;
        template
            .as_ref()?
            .render(&recipient.fields, &mut text)
            .ok()?;
        let fits =
            !text.trim().is_empty() && measure(&text).segments <= u16::from(batch.max_segments);
        // The first good row with a number has it; a bad one takes it away from nobody.
        (fits && seen.insert(number)).then_some(number)
    };
    batch
        .recipients
        .iter()
        .map(|recipient| match row(recipient) {
            None => Expected::Refused,
            Some(number) if opted_out.contains(&number) => Expected::Withheld(number),
            Some(number) => Expected::Text(number),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Kind, REGION, Sample, TEXT};

    fn batch(text: &str, rows: Vec<message::Recipient>) -> Batch {
        let json = serde_json::json!({"organization_id": "O", "distribution_id": "D", "batch_id": "B",
            "method": "invite", "text": text, "recipients": []});
        let batch: Batch = serde_json::from_value(json).expect("a batch");
        Batch {
            recipients: rows,
            ..batch
        }
    }

    #[test]
    fn the_sample_is_expected_to_be_what_it_was_made_to_be() {
        let sample = Sample::generate(9, 2_000);
        let opted_out = sample
            .of(Kind::OptedOut)
            .map(|recipient| normalise(&recipient.to, None).expect("a number"))
            .collect();
        let expected = expect(
            &batch(TEXT, sample.recipients.clone()),
            Some(REGION),
            &opted_out,
        );
        for (kind, expected) in sample.kinds.iter().zip(expected) {
            let fits = match kind {
                Kind::Good | Kind::Wide => matches!(expected, Expected::Text(_)),
                Kind::OptedOut => matches!(expected, Expected::Withheld(_)),
                Kind::Invalid | Kind::Repeated => expected == Expected::Refused,
            };
            assert!(fits, "{kind:?}: {expected:?}");
        }
    }

    #[test]
    fn a_row_without_a_value_or_with_too_long_a_text_is_refused() {
        let row = |to: &str, name: Option<&str>| message::Recipient {
            to: to.into(),
            fields: name.map(|name| ("n", name)).into_iter().collect(),
        };
        let long = "x".repeat(1_000);
        let rows = vec![
            row("+442079460001", None),
            row("+442079460002", Some(&long)),
            row("+442079460003", Some("Ana")),
        ];
        let expected = expect(&batch("Hi {{n}}", rows), None, &HashSet::new());
        assert_eq!(expected[..2], [Expected::Refused; 2]);
        assert!(matches!(expected[2], Expected::Text(_)));
    }
}

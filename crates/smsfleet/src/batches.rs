//! One distribution as batches: at most 10,000 recipients each, and nobody in two of them, because
//! intake looks for repeated numbers within a batch only.

use std::collections::HashSet;

use message::{
    Batch, BatchId, DistributionId, DoubtPolicy, Method, Msisdn, OrganizationId, Recipient,
    Timestamp, Weight, batch::RECIPIENTS_MAX, number::normalise,
};

/// What all batches of a distribution have in common.
#[derive(Debug, Clone)]
pub struct Mailing {
    /// Whose.
    pub organization_id: OrganizationId,
    /// Which.
    pub distribution_id: DistributionId,
    /// The idempotency key of the first batch; the others get `-2`, `-3` … behind it.
    pub batch_id: BatchId,
    /// What it is for.
    pub method: Method,
    /// The text.
    pub text: String,
    /// Not worth sending after this.
    pub expires_at: Option<Timestamp>,
    /// What to do with unsettled doubts.
    pub on_doubt: DoubtPolicy,
    /// Billable segments a text may have.
    pub max_segments: u8,
    /// Its share of the connection beside other distributions.
    pub weight: Option<Weight>,
}

/// The batches, and what was left out of them.
#[derive(Debug)]
pub struct Cut {
    /// In order.
    pub batches: Vec<Batch>,
    /// Rows whose number stands in an earlier batch already.
    pub left_out: usize,
}

/// What a number is known by: the normalised form, or, where it has none without the
/// organisation's default region, what was written.
#[derive(PartialEq, Eq, Hash)]
enum Who {
    Number(Msisdn),
    Text(String),
}

impl Mailing {
    /// Cuts `recipients` into batches of at most `size` (and [`RECIPIENTS_MAX`]).
    ///
    /// # Errors
    /// If a batch's id would become too long.
    pub fn cut(
        &self,
        recipients: Vec<Recipient>,
        region: Option<&str>,
        size: usize,
    ) -> anyhow::Result<Cut> {
        let size = size.clamp(1, RECIPIENTS_MAX);
        let several = recipients.len() > size;
        let mut seen = HashSet::new();
        let mut batches: Vec<Vec<Recipient>> = Vec::new();
        let mut of_this_batch: Vec<Who> = Vec::new();
        let mut left_out = 0;
        for recipient in recipients {
            if batches.last().is_none_or(|batch| batch.len() >= size) {
                seen.extend(of_this_batch.drain(..));
                batches.push(Vec::with_capacity(size));
            }
            if several {
                let who = match normalise(&recipient.to, region) {
                    Ok(number) => Who::Number(number),
                    Err(_) => Who::Text(recipient.to.trim().to_owned()),
                };
                if seen.contains(&who) {
                    left_out += 1;
                    continue;
                }
                of_this_batch.push(who);
            }
            if let Some(batch) = batches.last_mut() {
                batch.push(recipient);
            }
        }
        batches.retain(|batch| !batch.is_empty());
        let batches = (1..)
            .zip(batches)
            .map(|(number, recipients)| self.batch(number, recipients))
            .collect::<anyhow::Result<_>>()?;
        Ok(Cut { batches, left_out })
    }

    fn batch(&self, number: usize, recipients: Vec<Recipient>) -> anyhow::Result<Batch> {
        let batch_id = match number {
            1 => self.batch_id.clone(),
            number => BatchId::new(&format!("{}-{number}", self.batch_id))?,
        };
        Ok(Batch {
            organization_id: self.organization_id.clone(),
            distribution_id: self.distribution_id.clone(),
            batch_id,
            method: self.method,
            text: self.text.clone(),
            recipients,
            expires_at: self.expires_at,
            on_doubt: self.on_doubt,
            max_segments: self.max_segments,
            weight: self.weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailing() -> Mailing {
        Mailing {
            organization_id: OrganizationId::new("ORG").expect("an id"),
            distribution_id: DistributionId::new("D").expect("an id"),
            batch_id: BatchId::new("D").expect("an id"),
            method: Method::Invite,
            text: "Hi".into(),
            expires_at: None,
            on_doubt: DoubtPolicy::Hold,
            max_segments: 4,
            weight: Weight::new(20),
        }
    }

    fn recipients(numbers: &[&str]) -> Vec<Recipient> {
        let recipient = |to: &&str| Recipient {
            to: (*to).to_owned(),
            fields: Default::default(),
        };
        numbers.iter().map(recipient).collect()
    }

    #[test]
    fn nobody_is_in_two_batches_whatever_the_spelling() {
        let numbers = [
            "+442079460001",
            "+442079460002",
            "+44 20 7946 0001",
            "+442079460003",
            "x",
            "x",
        ];
        let cut = mailing()
            .cut(recipients(&numbers), None, 2)
            .expect("ids fit");
        let shape: Vec<_> = cut
            .batches
            .iter()
            .map(|batch| (batch.batch_id.as_str(), batch.recipients.len()))
            .collect();
        assert_eq!(shape, [("D", 2), ("D-2", 2)]);
        assert_eq!(
            cut.left_out, 2,
            "the other spelling, and the repeated rubbish"
        );
    }

    #[test]
    fn repetitions_within_a_batch_stay_for_intake_to_name_them() {
        let cut = mailing()
            .cut(recipients(&["+442079460001", "+442079460001"]), None, 10)
            .expect("ids fit");
        assert_eq!(
            (
                cut.batches.len(),
                cut.batches[0].recipients.len(),
                cut.left_out
            ),
            (1, 2, 0)
        );
    }
}

//! Who is texted in a demo, and who of them said STOP before.

use std::collections::{HashMap, HashSet};

use message::{Msisdn, Recipient, number::normalise};

use crate::sample::{Kind, REGION, Sample, TEXT};

/// Recipients, text, and those who opted out before.
#[derive(Debug, Clone)]
pub struct Audience {
    /// The rows.
    pub recipients: Vec<Recipient>,
    /// What they get.
    pub text: String,
    /// How national numbers are read.
    pub region: Option<&'static str>,
    /// Who opted out before the mailing.
    pub opted_out: HashSet<Msisdn>,
}

impl Audience {
    /// A generated list.
    pub fn of_sample(sample: Sample) -> Self {
        let opted_out = sample
            .of(Kind::OptedOut)
            .filter_map(|recipient| normalise(&recipient.to, Some(REGION)).ok())
            .collect();
        Self {
            recipients: sample.recipients,
            text: TEXT.to_owned(),
            region: Some(REGION),
            opted_out,
        }
    }

    /// The user's own list: nobody in it opted out before.
    pub fn own(recipients: Vec<Recipient>, text: String) -> Self {
        Self {
            recipients,
            text,
            region: None,
            opted_out: HashSet::new(),
        }
    }

    /// Deals the rows out to so many organisations, in turns. A number that was dealt before stays
    /// where it is: each organisation has its repetitions, and nobody is texted by two of them.
    pub fn share_out(self, organizations: usize) -> Vec<Self> {
        let organizations = organizations.max(1);
        let mut shares = vec![
            Self {
                recipients: Vec::new(),
                text: self.text.clone(),
                region: self.region,
                opted_out: HashSet::new(),
            };
            organizations
        ];
        let mut dealt: HashMap<Msisdn, usize> = HashMap::new();
        let mut next = 0;
        for recipient in self.recipients {
            let number = normalise(&recipient.to, self.region).ok();
            let known = number.and_then(|number| dealt.get(&number).copied());
            let to = known.unwrap_or(next % organizations);
            if known.is_none() {
                next += 1;
            }
            let share = &mut shares[to];
            if let Some(number) = number {
                dealt.insert(number, to);
                if self.opted_out.contains(&number) {
                    share.opted_out.insert(number);
                }
            }
            share.recipients.push(recipient);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dealt_out_evenly_and_no_number_is_dealt_to_two() {
        let whole = Audience::of_sample(Sample::generate(3, 700));
        let opted_out = whole.opted_out.clone();
        let shares = whole.share_out(7);
        let mut seen = HashSet::new();
        let mut refused = HashSet::new();
        for share in &shares {
            assert!((90..=110).contains(&share.recipients.len()), "even enough");
            let numbers: HashSet<_> = share
                .recipients
                .iter()
                .filter_map(|recipient| normalise(&recipient.to, share.region).ok())
                .collect();
            assert!(share.opted_out.is_subset(&numbers));
            assert!(seen.is_disjoint(&numbers), "one organisation per person");
            seen.extend(numbers);
            refused.extend(share.opted_out.iter().copied());
        }
        let rows: usize = shares.iter().map(|share| share.recipients.len()).sum();
        assert_eq!((rows, refused), (700, opted_out));
    }

    #[test]
    fn the_only_organisation_gets_the_list_as_it_is() {
        let whole = Audience::of_sample(Sample::generate(3, 50));
        let shares = whole.clone().share_out(1);
        assert_eq!(shares.len(), 1);
        assert_eq!(shares[0].recipients, whole.recipients);
    }
}

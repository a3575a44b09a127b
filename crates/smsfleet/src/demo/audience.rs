//! Who is texted in a demo, and who of them said STOP before.

use std::collections::HashSet;

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
}

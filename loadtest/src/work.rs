//! The batches that are handed over: one segment each, two fields, about what an invitation has.

use std::fmt::Write as _;

use message::{BatchId, BatchKey, OrganizationId, Reference};
use smsfleet_tests::people;

use crate::scenario::Work;

/// 150 characters when filled in, so one segment.
const TEXT: &str = "Hi {{first_name}}, your parcel 4711 arrives today between 14:00 and 16:00. Reply \
    STOP to opt out. Was everything as it should be? {{link}}";
/// There are so many different recipients.
const PEOPLE: u64 = 10_000_000;

/// A batch to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose.
    pub organization: u32,
    /// Its distribution.
    pub distribution: u32,
    /// Its place in the distribution.
    pub number: u32,
    /// The first recipient.
    pub first: u64,
    /// How many there are.
    pub count: u32,
}

/// The name of an organisation.
#[must_use]
pub fn organization(index: u32) -> String {
    format!("ORG_load{index}")
}

/// The name of a distribution.
#[must_use]
pub fn distribution(index: u32) -> String {
    format!("load-{index}")
}

impl Work {
    /// The organisation of a distribution.
    #[must_use]
    pub fn organization_of(&self, distribution: u32) -> u32 {
        distribution % self.organizations
    }

    /// The batches, spread evenly over the distributions, which take turns.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        let distributions = u64::from(self.distributions);
        let mut orders = Vec::new();
        let mut first = 0;
        for distribution in 0..self.distributions {
            let extra = u64::from(u64::from(distribution) < self.messages % distributions);
            let mut left = self.messages / distributions + extra;
            let mut number = 0;
            while left > 0 {
                let count = left.min(self.batch.into()) as u32;
                orders.push(Order {
                    organization: self.organization_of(distribution),
                    distribution,
                    number,
                    first,
                    count,
                });
                number += 1;
                first += u64::from(count);
                left -= u64::from(count);
            }
        }
        orders.sort_by_key(|order| (order.number, order.distribution));
        orders
    }
}

/// The batches of one distribution.
#[must_use]
pub fn orders_of(organization: u32, distribution: u32, messages: u64, batch: u32) -> Vec<Order> {
    let firsts = (0..messages).step_by(batch as usize);
    let orders = firsts.zip(0..).map(|(first, number)| Order {
        organization,
        distribution,
        number,
        first,
        count: (messages - first).min(batch.into()) as u32,
    });
    orders.collect()
}

impl Order {
    /// Its id.
    #[must_use]
    pub fn batch_id(&self) -> String {
        format!("load-{}-{}", self.distribution, self.number)
    }

    /// What its messages' names begin with.
    #[must_use]
    pub fn key(&self) -> u64 {
        let ids = (
            OrganizationId::new(&organization(self.organization)),
            BatchId::new(&self.batch_id()),
        );
        let (Ok(organization), Ok(batch)) = ids else {
            return 0;
        };
        BatchKey::of(&organization, &batch).as_u64()
    }

    /// The name of one of its messages.
    #[must_use]
    pub fn reference(&self, row: u32) -> String {
        let batch = BatchKey::from_u64(self.key());
        Reference { batch, row }.to_string()
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut text = String::with_capacity(200 + self.count as usize * 100);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            r#"{{"organization_id":"{}","distribution_id":"{}","batch_id":"{}","method":"invite","on_doubt":"hold","text":"{TEXT}","recipients":["#,
            organization(self.organization),
            distribution(self.distribution),
            self.batch_id(),
        );
        for row in 0..u64::from(self.count) {
            let person = ((self.first + row) % PEOPLE) as u32;
            let comma = if row == 0 { "" } else { "," };
            let number = people::number(person);
            let _ = write!(
                text,
                r#"{comma}{{"to":"{number}","fields":{{"first_name":"Ana","link":"https://example.org/s/{person:x}"}}}}"#
            );
        }
        text.push_str("]}");
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_spread_evenly_and_none_is_lost() {
        let work = Work {
            messages: 25,
            batch: 4,
            distributions: 3,
            organizations: 2,
            ..Work::default()
        };
        let orders = work.orders();
        let of = |distribution| {
            let mine = orders.iter().filter(|it| it.distribution == distribution);
            mine.map(|order| order.count).sum::<u32>()
        };
        assert_eq!([of(0), of(1), of(2)], [9, 8, 8]);
        assert!(orders.iter().all(|order| order.count <= 4));
        assert_eq!(orders[1].organization, 1);
    }

    #[test]
    fn a_batch_is_what_intake_reads() {
        let order = Order {
            organization: 0,
            distribution: 0,
            number: 0,
            first: 9_999_999,
            count: 2,
        };
        let batch: message::Batch = serde_json::from_slice(&order.json()).expect("a batch");
        assert_eq!(batch.recipients.len(), 2);
        assert_ne!(batch.recipients[0].to, batch.recipients[1].to);
        assert_eq!(
            BatchKey::of(&batch.organization_id, &batch.batch_id).as_u64(),
            order.key()
        );
    }
}

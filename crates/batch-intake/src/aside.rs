//! Batches of an organisation that has its share in hand are laid aside, so that the one queue which
//! schedulers know is never blocked by what one of them has put there. They lie in one of a few
//! queues by a hash of the organisation, each worked off by a lane of its own.
//!
//! A batch is confirmed where it is laid before it is acked where it was. Whoever dies in between
//! leaves it in both places: that is a batch seen twice.

use bus::{Delivery, Outgoing, Route, queue};
use message::OrganizationId;

use crate::{patience::Halt, service::Intake};

impl Intake {
    pub(crate) async fn lay_aside(&self, delivery: Delivery, organization: &OrganizationId) {
        let place = queue::WAITING_BATCHES[place(organization)];
        let laid = Outgoing {
            route: Route::Queue(place.to_owned()),
            message_id: delivery.message_id.clone(),
            body: delivery.body.clone(),
            headers: delivery.headers.clone(),
        };
        match self.publish(vec![laid]).await {
            Ok(()) => {
                self.metrics.laid_aside();
                delivery.ack().await;
            }
            // It stays where it was.
            Err(Halt::Stopped | Halt::Poison(_) | Halt::QueueGone) => drop(delivery),
        }
    }
}

/// FNV-1a: the same on every machine and in every version.
fn place(organization: &OrganizationId) -> usize {
    let hash = organization
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    (hash % queue::WAITING_BATCHES.len() as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organisations_are_spread_over_all_places() {
        let mut counts = [0; queue::WAITING_BATCHES.len()];
        for n in 0..800 {
            let id = OrganizationId::new(&format!("ORG_{n}")).expect("an id");
            counts[place(&id)] += 1;
        }
        assert!(
            counts.iter().all(|count| (50..150).contains(count)),
            "{counts:?}"
        );
    }
}

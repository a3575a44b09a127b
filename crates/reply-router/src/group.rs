//! One group of callbacks: every opt-out in force first, then everything told in one publish, then
//! remembered. Whoever calls it acks afterwards, or lets it come back.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use backing::{
    callbacks::{CallbackQueue, Kept, Reason, Taken, open},
    fingerprint,
    patience::{Patience, Undone},
};
use bus::{Bus, Delivery, Outgoing, RetryTier, queue};
use futures_util::{StreamExt, stream};
use ledger::{INBOUND_SEEN_FOR, Ledger};
use message::OrganizationId;
use providers::{CallbackKind, Inbound, Provider, ProviderOptOut, Reading, Verified};

use crate::{ReplyMetrics, Settings, inbound::Handled, standing::Turns};

const QUEUE: CallbackQueue = CallbackQueue {
    name: queue::MESSAGE_CALLBACKS,
    other: queue::STATUS_CALLBACKS,
    stage: "reply-router",
};

/// What every group needs.
pub(crate) struct Groups {
    pub(crate) settings: Settings,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) metrics: ReplyMetrics,
    pub(crate) patience: Patience,
    pub(crate) turns: Turns,
}

/// One thing that a callback of the group says about a person.
struct Said {
    callback: usize,
    /// Its position in what the callback says.
    position: u32,
    what: What,
}

enum What {
    Wrote(&'static dyn Provider, Inbound),
    Signal(ProviderOptOut),
}

/// What became of one person's messages.
#[derive(Default)]
struct Done {
    out: Vec<Outgoing>,
    seen: Vec<(OrganizationId, String)>,
    /// By callback and wait, the positions of what waits.
    parked: BTreeMap<(usize, RetryTier), Vec<u32>>,
    /// By callback and reason, the positions of what is dead.
    dead: BTreeMap<(usize, Reason), Vec<u32>>,
}

impl Groups {
    /// Does everything about `delivery` but the ack.
    ///
    /// # Errors
    /// If the process stops first; then it comes back.
    pub(crate) async fn work(&self, delivery: &Delivery) -> Result<(), Undone> {
        let taken = match open(delivery) {
            Ok(taken) => taken,
            Err(reason) => {
                self.metrics
                    .kept
                    .with_label_values(&[reason.as_str()])
                    .inc();
                return self.publish(vec![QUEUE.poison(delivery, reason)]).await;
            }
        };
        let mut kept = Kept::of(QUEUE);
        let people = self.read(&taken, &mut kept);
        let mut done = Done::default();
        // Different people at once; one person's messages stay in order.
        let people: Vec<_> = people
            .into_values()
            .map(|said| self.person(&taken, said))
            .collect();
        let mut under_way = stream::iter(people).buffer_unordered(self.settings.people_max.get());
        while let Some(person) = under_way.next().await {
            let person = person?;
            done.out.extend(person.out);
            done.seen.extend(person.seen);
            for (key, positions) in person.parked {
                done.parked.entry(key).or_default().extend(positions);
            }
            for (key, positions) in person.dead {
                done.dead.entry(key).or_default().extend(positions);
            }
        }
        drop(under_way);
        for ((index, tier), positions) in done.parked {
            kept.park(&taken[index], tier, positions);
        }
        for ((index, reason), positions) in done.dead {
            self.bury(&taken[index], reason, positions, &mut kept);
        }
        done.out.extend(kept.into_messages());
        self.publish(done.out).await?;
        for (owner, name) in &done.seen {
            self.patience
                .ledger(|| self.ledger.mark_seen(owner, name, INBOUND_SEEN_FOR))
                .await?;
        }
        Ok(())
    }

    async fn publish(&self, out: Vec<Outgoing>) -> Result<(), Undone> {
        if out.is_empty() {
            return Ok(());
        }
        self.patience.bus(|| self.bus.publish(out.clone())).await
    }

    fn bury(&self, taken: &Taken, reason: Reason, positions: Vec<u32>, kept: &mut Kept) {
        self.metrics
            .kept
            .with_label_values(&[reason.as_str()])
            .inc();
        kept.bury(taken, reason, positions);
    }

    /// What the group's callbacks say, by person.
    fn read(&self, taken: &[Taken], kept: &mut Kept) -> BTreeMap<String, Vec<Said>> {
        let mut people: BTreeMap<String, Vec<Said>> = BTreeMap::new();
        for (index, one) in taken.iter().enumerate() {
            if let Err(reason) = self.read_one(index, one, &mut people, kept) {
                self.bury(one, reason, Vec::new(), kept);
            }
        }
        people
    }

    fn read_one(
        &self,
        index: usize,
        taken: &Taken,
        people: &mut BTreeMap<String, Vec<Said>>,
        kept: &mut Kept,
    ) -> Result<(), Reason> {
        let organization = &taken.callback.organization_id;
        let provider =
            providers::provider(&taken.callback.provider).ok_or(Reason::UnknownProvider)?;
        let slug = provider.slug();
        let request = taken.request().ok_or(Reason::Malformed)?;
        let readings = provider
            .read_callback(Verified::already(&request, None), CallbackKind::Message)
            .map_err(|why| {
                tracing::warn!(provider = slug, %organization, "inbound callback put with the dead letters: {why}");
                Reason::Malformed
            })?;
        let (mut unusable, mut forward) = (None, Vec::new());
        for (position, reading) in (0..).zip(readings) {
            if !taken.is_pending(position) {
                continue;
            }
            let (person, what) = match reading {
                Reading::Inbound(inbound) => {
                    let inbound = named(inbound, &taken.callback.body, position);
                    (inbound.from.clone(), What::Wrote(provider, inbound))
                }
                Reading::OptOut(signal) => (signal.number.e164(), What::Signal(signal)),
                Reading::Receipt(_) => {
                    forward.push(position);
                    continue;
                }
                Reading::Unrecognised { .. } => {
                    tracing::warn!(provider = slug, %organization, "inbound callback of a kind that is not known");
                    unusable = Some(Reason::Unrecognised);
                    continue;
                }
                Reading::Ignored => continue,
            };
            people.entry(person).or_default().push(Said {
                callback: index,
                position,
                what,
            });
        }
        if !forward.is_empty() {
            kept.forward(taken, forward)?;
            self.metrics.forwarded.inc();
        }
        unusable.map_or(Ok(()), Err)
    }

    async fn person(&self, taken: &[Taken], said: Vec<Said>) -> Result<Done, Undone> {
        let mut done = Done::default();
        // The same message may come over two URLs within one group.
        let mut names = HashSet::new();
        for Said {
            callback: index,
            position,
            what,
        } in said
        {
            let one = &taken[index];
            let handled = match what {
                What::Wrote(provider, inbound) => {
                    if !names.insert(inbound.provider_message_id.clone()) {
                        let labels = [provider.slug(), "duplicate"];
                        self.metrics.inbound.with_label_values(&labels).inc();
                        continue;
                    }
                    self.inbound(one, provider, inbound).await
                }
                What::Signal(signal) => {
                    let told = self.signal(&one.callback, &signal).await;
                    told.map(|out| Handled {
                        out,
                        ..Handled::default()
                    })
                }
            };
            match handled {
                Ok(handled) => {
                    done.out.extend(handled.out);
                    done.seen.extend(handled.seen);
                    if let Some(tier) = handled.parked {
                        done.parked.entry((index, tier)).or_default().push(position);
                    }
                }
                Err(Undone::Hopeless(why)) => {
                    let organization = &one.callback.organization_id;
                    tracing::error!(%organization, "inbound message put with the dead letters: {why}");
                    let key = (index, Reason::LedgerDamaged);
                    done.dead.entry(key).or_default().push(position);
                }
                Err(Undone::Stopped) => return Err(Undone::Stopped),
            }
        }
        Ok(done)
    }
}

/// A message without an id of its own gets one of the callback that it came in: whoever repeats
/// that repeats its body.
fn named(inbound: Inbound, body: &[u8], position: u32) -> Inbound {
    if !inbound.provider_message_id.is_empty() {
        return inbound;
    }
    let position = position.to_be_bytes();
    Inbound {
        provider_message_id: format!("sha256:{}", fingerprint([position.as_slice(), body])),
        ..inbound
    }
}

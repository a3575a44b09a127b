//! One group of callbacks: every opt-out in force first, then everything told in one publish, then
//! remembered. Whoever calls it acks afterwards, or lets it come back.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use backing::{
    callbacks::{CallbackQueue, Kept, Reason, Taken, open},
    patience::{Patience, Undone},
};
use bus::{Bus, Delivery, Outgoing, RetryTier, queue};
use futures_util::{StreamExt, stream};
use ledger::Ledger;
use message::OrganizationId;
use providers::{CallbackKind, Inbound, Provider, ProviderOptOut, Reading, Verified};

use crate::{ReplyMetrics, Settings, standing::Turns};

const QUEUE: CallbackQueue = CallbackQueue {
    name: queue::MESSAGE_CALLBACKS,
    other: queue::STATUS_CALLBACKS,
    stage: "reply-router",
    // A reply may have overtaken the worker's note of the message that it answers.
    parked_for: RetryTier::S5,
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
    parked: Vec<usize>,
    dead: Vec<(usize, Reason)>,
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
            done.parked.extend(person.parked);
            done.dead.extend(person.dead);
        }
        drop(under_way);
        for index in done.parked {
            kept.park(&taken[index]);
        }
        for (index, reason) in done.dead {
            self.bury(&taken[index], reason, &mut kept);
        }
        done.out.extend(kept.into_messages());
        self.publish(done.out).await?;
        for (owner, name) in &done.seen {
            self.patience
                .ledger(|| self.ledger.mark_seen(owner, name))
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

    fn bury(&self, taken: &Taken, reason: Reason, kept: &mut Kept) {
        self.metrics
            .kept
            .with_label_values(&[reason.as_str()])
            .inc();
        kept.bury(taken, reason);
    }

    /// What the group's callbacks say, by person.
    fn read(&self, taken: &[Taken], kept: &mut Kept) -> BTreeMap<String, Vec<Said>> {
        let mut people: BTreeMap<String, Vec<Said>> = BTreeMap::new();
        for (index, one) in taken.iter().enumerate() {
            if let Err(reason) = self.read_one(index, one, &mut people, kept) {
                self.bury(one, reason, kept);
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
            .read_callback(Verified::already(&request), CallbackKind::Message)
            .map_err(|why| {
                tracing::warn!(provider = slug, %organization, "inbound callback put with the dead letters: {why}");
                Reason::Malformed
            })?;
        let (mut unusable, mut forward) = (None, false);
        for reading in readings {
            let (person, what) = match reading {
                Reading::Inbound(inbound) => (inbound.from.clone(), What::Wrote(provider, inbound)),
                Reading::OptOut(signal) => (signal.number.e164(), What::Signal(signal)),
                Reading::Receipt(_) => {
                    forward = true;
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
                what,
            });
        }
        if forward {
            kept.forward(taken)?;
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
            what,
        } in said
        {
            let one = &taken[index];
            let handled =
                match what {
                    What::Wrote(provider, inbound) => {
                        if !names.insert(inbound.provider_message_id.clone()) {
                            let labels = [provider.slug(), "duplicate"];
                            self.metrics.inbound.with_label_values(&labels).inc();
                            continue;
                        }
                        self.inbound(one, provider, inbound).await
                    }
                    What::Signal(signal) => self.signal(&one.callback, &signal).await.map(|out| {
                        crate::inbound::Handled {
                            out,
                            ..Default::default()
                        }
                    }),
                };
            match handled {
                Ok(handled) => {
                    done.out.extend(handled.out);
                    done.seen.extend(handled.seen);
                    if handled.parked {
                        done.parked.push(index);
                    }
                }
                Err(Undone::Hopeless(why)) => {
                    let organization = &one.callback.organization_id;
                    tracing::error!(%organization, "inbound message put with the dead letters: {why}");
                    done.dead.push((index, Reason::LedgerDamaged));
                }
                Err(Undone::Stopped) => return Err(Undone::Stopped),
            }
        }
        Ok(done)
    }
}

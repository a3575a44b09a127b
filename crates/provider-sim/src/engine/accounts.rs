//! The twin's customers: what they own, how much they may ask at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::locked;
use crate::rate::{Bucket, InFlight};
use crate::settings::{AccountLimits, CountedIn, TwinAccount};

/// One customer.
#[derive(Debug)]
pub(crate) struct Account<A> {
    /// Position in the settings.
    pub number: u16,
    pub settings: A,
    pub(super) in_flight: InFlight,
    bucket: Option<Mutex<Bucket>>,
}

/// All customers.
#[derive(Debug)]
pub(crate) struct Accounts<A> {
    list: Vec<Account<A>>,
    by_name: HashMap<String, usize>,
}

impl<A: TwinAccount> Accounts<A> {
    pub fn new(settings: Vec<A>, now: Instant) -> anyhow::Result<Self> {
        let mut list = Vec::with_capacity(settings.len());
        let mut by_name = HashMap::with_capacity(settings.len());
        for (number, settings) in settings.into_iter().enumerate() {
            by_name.insert(settings.name().to_owned(), number);
            list.push(Account {
                number: u16::try_from(number)?,
                bucket: bucket(settings.limits(), now).map(Mutex::new),
                in_flight: InFlight::default(),
                settings,
            });
        }
        Ok(Self { list, by_name })
    }

    /// The account of this [`TwinAccount::name`].
    pub fn named(&self, name: &str) -> Option<&Account<A>> {
        self.list.get(*self.by_name.get(name)?)
    }

    pub fn get(&self, number: u16) -> Option<&Account<A>> {
        self.list.get(usize::from(number))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Account<A>> {
        self.list.iter()
    }
}

impl<A: TwinAccount> Account<A> {
    /// Whether `sender` may be used: it is listed, or nothing is.
    pub fn owns(&self, sender: &str) -> bool {
        self.settings.senders().is_empty() || self.lists(sender)
    }

    /// Whether `sender` is listed.
    pub fn lists(&self, sender: &str) -> bool {
        self.settings.senders().iter().any(|own| own == sender)
    }

    /// Whether so many requests at once, and these messages and segments within this second, are within the limits.
    pub(super) fn admits(&self, at_once: u32, messages: u32, segments: u32, now: Instant) -> bool {
        if self.is_crowded(at_once) {
            return false;
        }
        let count = match self.settings.limits().counted_in {
            CountedIn::Requests => 1,
            CountedIn::Messages => messages,
            CountedIn::Segments => segments,
        };
        self.bucket
            .as_ref()
            .is_none_or(|bucket| locked(bucket).take(count, now))
    }

    /// How long the per-second limit asks to wait after a refusal; `None` without such a limit.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.bucket.as_ref().map(|bucket| locked(bucket).wait())
    }

    /// Whether so many requests at once are too many.
    pub(super) fn is_crowded(&self, at_once: u32) -> bool {
        let max = self.settings.limits().max_concurrent;
        max.is_some_and(|max| at_once > max.get())
    }

    /// Fills the bucket again, as after a long silence.
    pub(super) fn reset(&self, now: Instant) {
        if let (Some(bucket), Some(full)) = (&self.bucket, bucket(self.settings.limits(), now)) {
            *locked(bucket) = full;
        }
    }
}

fn bucket(limits: &AccountLimits, now: Instant) -> Option<Bucket> {
    let per_second = limits.per_second.map(NonZeroU32::get)?;
    let burst = limits.burst.map_or(per_second, NonZeroU32::get);
    Some(Bucket::new(per_second, burst, now))
}

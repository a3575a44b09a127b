//! LINK's throttling: result code 3 for each message over the limit, inside the 200.
//!
//! The engine's own limit would refuse a request as a whole, so the buckets are kept here.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Instant;

use super::accounts::Account;
use crate::locked;
use crate::rate::Bucket;
use crate::settings::CountedIn;

/// The bucket of each account, with the run of the twin that it belongs to: after a reset it is full again.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<u16, (u64, Bucket)>>);

/// What one request may still send.
#[derive(Debug)]
pub(crate) struct Allowance<'a> {
    throttle: &'a Throttle,
    account: &'a Account,
    run: u64,
    /// Whether the request as such was within the limit, where requests are counted.
    within: bool,
}

impl Throttle {
    /// Lets a request of the account in.
    pub fn admit<'a>(&'a self, account: &'a Account, run: u64) -> Allowance<'a> {
        let requests = account.settings.limits.counted_in == CountedIn::Requests;
        Allowance {
            throttle: self,
            account,
            run,
            within: !requests || self.take(account, run, 1),
        }
    }

    fn take(&self, account: &Account, run: u64, count: u32) -> bool {
        let limits = &account.settings.limits;
        let Some(per_second) = limits.per_second.map(NonZeroU32::get) else {
            return true;
        };
        let burst = limits.burst.map_or(per_second, NonZeroU32::get);
        let now = Instant::now();
        let fresh = || (run, Bucket::new(per_second, burst, now));
        let mut buckets = locked(&self.0);
        let bucket = buckets.entry(account.number).or_insert_with(fresh);
        if bucket.0 != run {
            *bucket = fresh();
        }
        bucket.1.take(count, now)
    }
}

impl Allowance<'_> {
    /// Whether a message of so many segments is within the limit.
    pub fn lets_through(&self, segments: u32) -> bool {
        match self.account.settings.limits.counted_in {
            CountedIn::Requests => self.within,
            CountedIn::Messages => self.throttle.take(self.account, self.run, 1),
            CountedIn::Segments => self.throttle.take(self.account, self.run, segments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinkMobilityAccount;
    use crate::engine::Accounts;

    #[test]
    fn what_is_over_the_limit_is_refused_message_by_message_and_a_new_run_begins_full() {
        let mut settings = LinkMobilityAccount::new("acme_sms", "p");
        settings.limits.per_second = NonZeroU32::new(3);
        settings.limits.counted_in = CountedIn::Messages;
        let accounts = Accounts::new(vec![settings], Instant::now()).expect("one account");
        let account = accounts.get(0).expect("it is there");
        let throttle = Throttle::default();
        let through = |run| {
            let allowance = throttle.admit(account, run);
            (0..10).filter(|_| allowance.lets_through(9)).count()
        };
        assert_eq!(through(1), 3);
        assert_eq!(through(1), 0);
        assert_eq!(through(2), 3);
    }
}

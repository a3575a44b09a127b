//! How patient MessageMedia is with a customer's webhooks. Source: `shared/providers/messagemedia.md`, section 6.

use std::time::Duration;

use super::accounts::MessageMediaAccount;
use crate::webhook::RetryPolicy;

/// For the callback URL of a message: everything but a 2xx is repeated with exponential back-off. How often, for how long
/// and within which time an answer has to come is not published.
pub(crate) const OF_MESSAGE: RetryPolicy = RetryPolicy {
    retries: 4,
    on_connect: true,
    on_timeout: true,
    on_429: true,
    on_4xx: true,
    on_5xx: true,
    attempt_timeout: Duration::from_secs(20),
    total_timeout: Duration::from_secs(600),
    doubling: true,
    wants_a_body: false,
};

/// For the account's webhook, which is not repeated unless the customer asked for it.
pub(crate) fn of_account(account: &MessageMediaAccount) -> RetryPolicy {
    RetryPolicy {
        retries: account.account_webhook_retries,
        doubling: false,
        ..OF_MESSAGE
    }
}

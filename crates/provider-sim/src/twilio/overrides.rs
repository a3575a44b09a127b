//! Webhook connection overrides: the fragment of a callback URL that changes its timeouts and retries.
//!
//! Source: <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>. The fragment is neither sent nor
//! signed. What does not parse or is out of range keeps its default; Twilio does not say what it does with it.

use std::time::Duration;

use crate::webhook::RetryPolicy;

/// Twilio's defaults: one retry, and only if no connection came about.
pub(crate) const DEFAULT: RetryPolicy = RetryPolicy {
    retries: 1,
    on_connect: true,
    on_timeout: false,
    on_429: false,
    on_4xx: false,
    on_5xx: false,
    attempt_timeout: Duration::from_secs(15),
    total_timeout: Duration::from_secs(15),
    doubling: false,
    wants_a_body: false,
};

/// Splits a callback URL into what is called and how. `ct` is read and not used: the twin's connect timeout is Twilio's
/// default, and on the networks of a test it never decides.
pub(crate) fn split(url: &str) -> (&str, RetryPolicy) {
    let Some((url, fragment)) = url.split_once('#') else {
        return (url, DEFAULT);
    };
    let mut policy = DEFAULT;
    for pair in fragment.split('&') {
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        match key {
            "rc" => {
                if let Ok(retries @ 0..=5) = value.parse::<u8>() {
                    policy.retries = retries;
                }
            }
            "rt" => policy.attempt_timeout = milliseconds(value, policy.attempt_timeout),
            "tt" => policy.total_timeout = milliseconds(value, policy.total_timeout),
            "rp" => {
                let named = |name: &str| value.split(',').any(|one| one == name || one == "all");
                policy.on_connect = named("ct");
                policy.on_timeout = named("rt");
                policy.on_4xx = named("4xx");
                policy.on_5xx = named("5xx");
            }
            _ => {}
        }
    }
    (url, policy)
}

fn milliseconds(value: &str, default: Duration) -> Duration {
    match value.parse::<u64>() {
        Ok(value @ 100..=15_000) => Duration::from_millis(value),
        _ => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_changes_what_it_names_and_is_cut_off() {
        let (url, policy) = split("https://h.example/x?m=1#rc=4&rp=all&tt=3000");
        assert_eq!(url, "https://h.example/x?m=1");
        assert_eq!(policy.retries, 4);
        assert!(policy.on_connect && policy.on_timeout && policy.on_4xx && policy.on_5xx);
        assert_eq!(policy.total_timeout, Duration::from_secs(3));
        assert_eq!(policy.attempt_timeout, DEFAULT.attempt_timeout);
    }

    #[test]
    fn a_list_of_reasons_is_taken_and_nonsense_keeps_the_defaults() {
        let (_, policy) = split("https://h.example/x#rp=5xx,rt&rc=9&tt=1&zz=1&rc");
        assert!(policy.on_5xx && policy.on_timeout && !policy.on_connect && !policy.on_4xx);
        assert_eq!(
            (policy.retries, policy.total_timeout),
            (1, DEFAULT.total_timeout)
        );
        assert_eq!(
            split("https://h.example/x"),
            ("https://h.example/x", DEFAULT)
        );
    }
}

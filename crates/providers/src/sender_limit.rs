//! Classes of senders that providers limit differently.

use message::Sender;

/// What a provider documents for senders of one class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SenderLimit {
    /// The class.
    pub class: SenderClass,
    /// Segments per second.
    pub segments_per_second: f64,
}

/// A class of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderClass {
    /// A long number of the North American numbering plan.
    NorthAmericanNumber,
    /// A toll-free number of that plan.
    TollFreeNumber,
    /// Any other long number.
    LongNumber,
    /// A short code.
    ShortCode,
    /// A name.
    Alphanumeric,
    /// A provider's pool of senders.
    Service,
}

/// Area codes of toll-free numbers in the North American numbering plan.
const TOLL_FREE: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];

impl SenderClass {
    /// The class of a sender.
    #[must_use]
    pub fn of(sender: &Sender) -> Self {
        match sender {
            Sender::Number(number) => {
                let digits = number.e164();
                match digits.strip_prefix("+1") {
                    Some(national) if national.len() == 10 => {
                        let is_free = TOLL_FREE.iter().any(|code| national.starts_with(code));
                        if is_free {
                            Self::TollFreeNumber
                        } else {
                            Self::NorthAmericanNumber
                        }
                    }
                    _ => Self::LongNumber,
                }
            }
            Sender::ShortCode(_) => Self::ShortCode,
            Sender::Alphanumeric(_) => Self::Alphanumeric,
            Sender::Service(_) => Self::Service,
        }
    }
}

#[cfg(test)]
mod tests {
    use message::Msisdn;

    use super::*;
    use crate::provider;

    #[test]
    fn senders_have_the_rates_that_their_provider_documents() {
        let number = |digits| Sender::Number(Msisdn::from_u64(digits).expect("a number"));
        let twilio = provider("twilio-sms").expect("known").capabilities();
        let sinch = provider("sinch").expect("known").capabilities();
        let cases = [
            (number(12_025_550_123), Some(1.0)),
            (number(18_005_550_123), Some(3.0)),
            (Sender::ShortCode("12345".into()), Some(100.0)),
            (number(61_491_570_006), None),
            (Sender::Alphanumeric("QUALTRICS".into()), None),
            (Sender::Service("MG0".into()), None),
        ];
        for (sender, rate) in cases {
            assert_eq!(twilio.sender_limit(&sender), rate, "{sender:?}");
            assert_eq!(sinch.sender_limit(&sender), None);
            let expected = rate.unwrap_or(twilio.segments_per_second);
            assert!((twilio.default_rate(&sender) - expected).abs() < f64::EPSILON);
        }
    }
}

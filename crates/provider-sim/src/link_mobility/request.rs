//! The body of a send request: what it seems to ask for, and whether LINK can read it.
//!
//! LINK documents which fields there are, not what it does with others. The twin refuses a request with an unknown field,
//! or with a field in the wrong place, because a misspelt `refId` and a validity per batch entry would both be lost in
//! silence.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::accounts::{Account, LinkMobilityAccess};
use super::codes::Refusal;
use crate::engine::Asked;
use crate::engine::phone::e164;
use crate::segments;

pub(crate) const BATCH_MAX: usize = 1_000;
const VALIDITY_DEFAULT: Duration = Duration::from_secs(48 * 3_600);
/// Documented for the absolute form of the validity; the twin holds the relative one to it as well.
const VALIDITY_MIN: Duration = Duration::from_secs(15 * 60);
const VALIDITY_MAX: Duration = VALIDITY_DEFAULT;
const MESSAGES: &str = "sendRequestMessages";

/// Fields that concern the request as a whole; in a single send they stand beside those of the message.
const COMMON: [&str; 8] = [
    "platformId",
    "platformPartnerId",
    "useDeliveryReport",
    "deliveryReportGates",
    "relativeValidityTime",
    "absoluteValidityTime",
    "priority",
    "ignoreResponse",
];

/// Which of the two send requests it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Single,
    Batch,
}

/// A body, read leniently.
#[derive(Debug)]
pub(crate) struct Request {
    common: Result<Map<String, Value>, Refusal>,
    messages: Vec<Value>,
}

/// What a batch says on top, and a single send beside its message.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Common {
    platform_id: Option<String>,
    platform_partner_id: Option<String>,
    use_delivery_report: Option<bool>,
    delivery_report_gates: Option<Vec<String>>,
    relative_validity_time: Option<u64>,
    absolute_validity_time: Option<String>,
    #[serde(rename = "priority")]
    _priority: Option<Priority>,
    ignore_response: Option<bool>,
    custom_parameters: Option<BTreeMap<String, String>>,
}

/// One message as it came.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Message {
    pub source: Option<String>,
    #[serde(rename = "sourceTON")]
    pub source_ton: Option<Ton>,
    pub destination: Option<String>,
    #[serde(rename = "destinationTON")]
    pub destination_ton: Option<Ton>,
    pub user_data: Option<String>,
    pub dcs: Option<Dcs>,
    pub ref_id: Option<String>,
    pub custom_parameters: Option<BTreeMap<String, String>>,
    /// Premium messages only, which no account of the twin may send.
    currency: Option<Value>,
}

/// Type of number. `SHORTCODE`, which a client of somebody else's writes, is none of LINK's.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Ton {
    Msisdn,
    Alphanumeric,
    ShortNumber,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Dcs {
    Text,
    Gsm,
    Ucs2,
    Binary,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Priority {
    High,
    Normal,
    Low,
}

/// A request that is in order as a whole.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Receipts are wanted.
    pub reported: bool,
    pub validity: Duration,
    /// Answered 204. The manual says that this is the default, and shows the opposite; the twin believes the sentence, so
    /// that a client which leaves the field out loses its ids.
    pub ignore_response: bool,
    /// Overrides the parameters of the messages.
    pub custom_parameters: Option<BTreeMap<String, String>>,
    pub messages: Vec<Message>,
}

impl Request {
    /// Never fails: what cannot be read asks for nothing.
    pub fn read(bytes: &[u8], form: Form) -> Self {
        let body: Result<Map<String, Value>, _> = serde_json::from_slice(bytes);
        let mut body = match body {
            Ok(body) => body,
            Err(error) => {
                return Self {
                    common: Err(Refusal::malformed(error)),
                    messages: Vec::new(),
                };
            }
        };
        match form {
            Form::Batch => {
                let messages = body.remove(MESSAGES);
                let (common, messages) = match messages {
                    Some(Value::Array(messages)) => (Ok(body), messages),
                    _ => (
                        Err(Refusal::malformed("no sendRequestMessages")),
                        Vec::new(),
                    ),
                };
                Self { common, messages }
            }
            Form::Single => {
                let (common, message) = body
                    .into_iter()
                    .partition(|(name, _)| COMMON.contains(&name.as_str()));
                Self {
                    common: Ok(common),
                    messages: vec![Value::Object(message)],
                }
            }
        }
    }

    /// Whom and how much it seems to ask for.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = |message: &Value| {
            let text = |name| {
                message
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            Asked {
                recipient: e164(text("destination")),
                reference: text("refId").into(),
                segments: segments::count(text("userData")),
            }
        };
        self.messages.iter().map(asked).collect()
    }

    /// Checks what concerns the request as a whole.
    pub fn check(self, account: &Account, now: SystemTime) -> Result<Submission, Refusal> {
        let settings = &account.settings;
        let common: Common = typed(Value::Object(self.common?))?;
        if !(1..=BATCH_MAX).contains(&self.messages.len()) {
            return Err(Refusal::malformed(
                "sendRequestMessages has 1 to 1000 entries",
            ));
        }
        let messages: Vec<Message> = self
            .messages
            .into_iter()
            .map(typed)
            .collect::<Result<_, _>>()?;
        let is = |given: &Option<String>, own: &str| given.as_deref() == Some(own);
        let refusal = match settings.access {
            LinkMobilityAccess::Denied => Some(106_101),
            LinkMobilityAccess::NoSmscCredentials => Some(106_102),
            LinkMobilityAccess::Granted if !is(&common.platform_id, &settings.platform_id) => {
                Some(106_200)
            }
            LinkMobilityAccess::Granted
                if !is(&common.platform_partner_id, &settings.platform_partner_id) =>
            {
                Some(106_201)
            }
            LinkMobilityAccess::Granted => None,
        };
        if let Some(code) = refusal {
            return Err(Refusal::new(code));
        }
        let reported = common.use_delivery_report.unwrap_or(true);
        let gates = common.delivery_report_gates.as_deref().unwrap_or_default();
        if reported && gates.is_empty() {
            return Err(Refusal::new(106_300));
        }
        if gates.iter().any(|gate| *gate != settings.gate_id) {
            return Err(Refusal::new(106_301));
        }
        if messages.iter().any(|message| message.currency.is_some()) {
            return Err(Refusal::new(106_202));
        }
        Ok(Submission {
            reported,
            validity: common.validity(now)?,
            ignore_response: common.ignore_response.unwrap_or(true),
            custom_parameters: common.custom_parameters,
            messages,
        })
    }
}

impl Common {
    fn validity(&self, now: SystemTime) -> Result<Duration, Refusal> {
        let validity = match (&self.absolute_validity_time, self.relative_validity_time) {
            (Some(until), _) => {
                let until = OffsetDateTime::parse(until, &Rfc3339)
                    .map_err(|_| Refusal::malformed("absoluteValidityTime is not RFC 3339"))?;
                SystemTime::from(until)
                    .duration_since(now)
                    .unwrap_or_default()
            }
            (None, Some(milliseconds)) => Duration::from_millis(milliseconds),
            (None, None) => VALIDITY_DEFAULT,
        };
        if (VALIDITY_MIN..=VALIDITY_MAX).contains(&validity) {
            Ok(validity)
        } else {
            Err(Refusal::malformed("validity is 15 minutes to 48 hours"))
        }
    }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(Refusal::malformed)
}

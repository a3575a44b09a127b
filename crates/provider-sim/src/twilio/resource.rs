//! The Message resource and its list, in Twilio's JSON.

use serde::Serialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc2822;
use time::{Date, OffsetDateTime};

use super::Details;
use super::receipts::{self, IDS};
use crate::engine::{Phase, View};

/// A message as `GET` and `POST` answer it.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub sid: String,
    pub account_sid: String,
    pub to: u64,
    pub from: Option<String>,
    pub service: Option<String>,
    pub body: String,
    pub segments: u16,
    pub phase: Phase,
    pub error_code: Option<u32>,
    pub created: u32,
    pub updated: u32,
    pub sent: Option<u32>,
}

#[derive(Serialize)]
struct Wire<'a> {
    account_sid: &'a str,
    api_version: &'static str,
    body: &'a str,
    date_created: Option<String>,
    date_sent: Option<String>,
    date_updated: Option<String>,
    direction: &'static str,
    error_code: Option<u32>,
    error_message: Option<&'static str>,
    from: Option<&'a str>,
    messaging_service_sid: Option<&'a str>,
    num_media: &'static str,
    num_segments: String,
    price: Option<&'static str>,
    price_unit: &'static str,
    sid: &'a str,
    status: &'static str,
    subresource_uris: Value,
    to: String,
    uri: String,
}

impl Resource {
    pub fn new(message: &View<Details>, account_sid: &str) -> Self {
        // A service chooses its number when it sends; until then the API shows none, and no segments.
        let chosen = message.phase != Phase::Accepted;
        Self {
            sid: IDS.write(message.number),
            account_sid: account_sid.to_owned(),
            to: message.to,
            from: chosen.then(|| message.sender.to_string()),
            service: message.details.service.clone(),
            body: message.text.to_string(),
            segments: if chosen { message.segments } else { 0 },
            phase: message.phase,
            error_code: message.code.and_then(|code| code.parse().ok()),
            created: message.created,
            updated: message.updated,
            sent: message.sent,
        }
    }

    /// The JSON object.
    pub fn json(&self) -> String {
        let path = format!(
            "/2010-04-01/Accounts/{}/Messages/{}",
            self.account_sid, self.sid
        );
        let wire = Wire {
            account_sid: &self.account_sid,
            api_version: "2010-04-01",
            body: &self.body,
            date_created: rfc2822(Some(self.created)),
            date_sent: rfc2822(self.sent),
            date_updated: rfc2822(Some(self.updated)),
            direction: "outbound-api",
            error_code: self.error_code,
            error_message: None,
            from: self.from.as_deref(),
            messaging_service_sid: self.service.as_deref(),
            num_media: "0",
            num_segments: self.segments.to_string(),
            price: None,
            price_unit: "USD",
            sid: &self.sid,
            status: receipts::word(self.phase),
            subresource_uris: json!({ "media": format!("{path}/Media.json") }),
            to: format!("+{}", self.to),
            uri: format!("{path}.json"),
        };
        // Strings and numbers only: there is nothing that JSON could not hold.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// The day that the list's `DateSent` filters compare. A message that waits counts by its creation, because a
    /// look-up after a doubtful submit has to find it at once.
    pub fn listed_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(i64::from(self.sent.unwrap_or(self.created))).ok()
    }
}

/// One filter by date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DateFilter {
    On(Date),
    OnOrBefore(OffsetDateTime),
    OnOrAfter(OffsetDateTime),
}

impl DateFilter {
    /// Reads `DateSent`, `DateSent<` or `DateSent>` with a day (`2025-11-13`) or a time (`2025-11-13T12:44:58Z`).
    pub fn parse(name: &str, value: &str) -> Option<Self> {
        use time::format_description::well_known::{Iso8601, Rfc3339};
        let time = OffsetDateTime::parse(value, &Rfc3339).ok();
        let day = time
            .map(OffsetDateTime::date)
            .or_else(|| Date::parse(value, &Iso8601::DATE).ok())?;
        match name {
            "DateSent" => Some(Self::On(day)),
            "DateSent<" => {
                let end = day.next_day()?.midnight().assume_utc() - time::Duration::SECOND;
                Some(Self::OnOrBefore(time.unwrap_or(end)))
            }
            "DateSent>" => Some(Self::OnOrAfter(time.unwrap_or(day.midnight().assume_utc()))),
            _ => None,
        }
    }

    pub fn lets_through(self, at: OffsetDateTime) -> bool {
        match self {
            Self::On(day) => at.date() == day,
            Self::OnOrBefore(end) => at <= end,
            Self::OnOrAfter(start) => at >= start,
        }
    }
}

/// The JSON of a list page. `query` is what every page of the list has in common.
pub(crate) fn page(
    messages: &[Resource],
    path: &str,
    query: &str,
    page: u32,
    page_size: usize,
    next_token: Option<&str>,
) -> String {
    let uri = |page: u32, token: &str| {
        let joint = if query.is_empty() { "" } else { "&" };
        format!("{path}?{query}{joint}PageSize={page_size}&Page={page}{token}")
    };
    let rest = json!({
        "end": (page as usize * page_size + messages.len()).saturating_sub(1),
        "first_page_uri": uri(0, ""),
        "next_page_uri": next_token.map(|token| uri(page + 1, &format!("&PageToken=PA{token}"))),
        "page": page,
        "page_size": page_size,
        "previous_page_uri": null,
        "start": page as usize * page_size,
        "uri": uri(page, ""),
    });
    let list = messages
        .iter()
        .map(Resource::json)
        .collect::<Vec<_>>()
        .join(",");
    // The first brace of `rest` gives way to the list.
    format!(
        "{{\"messages\":[{list}],{}",
        rest.to_string().trim_start_matches('{')
    )
}

fn rfc2822(unix_seconds: Option<u32>) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::from(unix_seconds?)).ok()?;
    time.format(&Rfc2822).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_fields_and_forms_of_the_documented_example() {
        let resource = Resource {
            sid: "SM7c0d5ab1f2e94386a1d0c4b7e6f35912".into(),
            account_sid: "AC5b1f0c7e9a2d4b36815ce0f4a7d9023e".into(),
            to: 353_861_234_567,
            from: Some("+13531234567".into()),
            service: None,
            body: "Votre avis compte : https://example.org/s/aZ1".into(),
            segments: 1,
            phase: Phase::Queued,
            error_code: None,
            created: 1_763_037_898,
            updated: 1_763_037_898,
            sent: None,
        };
        let json: Value = serde_json::from_str(&resource.json()).expect("it is JSON");
        assert_eq!(json["date_created"], "Thu, 13 Nov 2025 12:44:58 +0000");
        assert_eq!(json["date_sent"], Value::Null);
        assert_eq!(json["num_segments"], "1");
        assert_eq!(json["to"], "+353861234567");
        let names: Vec<&str> = json
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        let wanted = "account_sid api_version body date_created date_sent date_updated direction error_code \
                      error_message from messaging_service_sid num_media num_segments price price_unit sid status \
                      subresource_uris to uri";
        assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn date_filters_read_days_and_times() {
        let noon = OffsetDateTime::from_unix_timestamp(1_763_037_898).expect("a date of 2025");
        let lets =
            |name, value| DateFilter::parse(name, value).map(|filter| filter.lets_through(noon));
        assert_eq!(lets("DateSent", "2025-11-13"), Some(true));
        assert_eq!(lets("DateSent", "2025-11-12"), Some(false));
        assert_eq!(lets("DateSent>", "2025-11-13"), Some(true));
        assert_eq!(lets("DateSent>", "2025-11-13T12:44:59Z"), Some(false));
        assert_eq!(lets("DateSent<", "2025-11-13"), Some(true));
        assert_eq!(lets("DateSent<", "2025-11-12"), Some(false));
        assert_eq!(lets("DateSent", "yesterday"), None);
    }
}

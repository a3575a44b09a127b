//! What the twin refuses: whole requests, and messages inside a 200.

use std::num::NonZeroU32;

use provider_sim::{LinkMobilityAccess, LinkMobilityAccount};
use serde_json::{Value, json};

use super::*;
use support::quick;

#[tokio::test]
async fn every_wrong_form_of_the_credentials_is_refused() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    let body = message(PERSON, "a-1", json!({})).to_string();
    let with = async |values: &[&str]| {
        let url = format!("{}/sms/send", twin.base_url());
        let mut request = client().post(url).header(CONTENT_TYPE, "application/json");
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        read(request.body(body.clone()).send().await.unwrap()).await
    };
    for values in [
        &[][..],
        &["Basic"],
        &["Bearer YWNtZV9zbXM6UGE1NXcwcmQh"],
        &["Basic YWNtZV9zbXM6UGE1NXcwcmQ="],
        &["Basic QWNtZV9zbXM6UGE1NXcwcmQh"],
        &["Basic YWNtZV9zbXM="],
        &["Basic acme_sms:Pa55w0rd!"],
        &[BASIC, BASIC],
    ] {
        let (status, refused) = with(values).await;
        assert_eq!(
            (status, &refused["status"]),
            (401, &json!(106_100)),
            "{values:?}"
        );
        assert_eq!(refused["translatedDescription"], Value::Null);
    }
    assert_eq!(with(&["basic YWNtZV9zbXM6UGE1NXcwcmQh"]).await.0, 200);
    let totals = twin.audit().totals;
    assert_eq!(totals.refused, [("106100".into(), 8)].into());
}

#[tokio::test]
async fn a_wrong_platform_partner_or_gate_refuses_the_request_with_its_code() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for (more, code) in [
        (json!({"platformId": "COOL"}), 106_200),
        (json!({"platformId": null}), 106_200),
        (json!({"platformPartnerId": "30979"}), 106_201),
        (json!({"deliveryReportGates": null}), 106_300),
        (json!({"deliveryReportGates": []}), 106_300),
        (json!({"deliveryReportGates": ["BVldZyQT"]}), 106_301),
        (json!({"deliveryReportGates": ["BVldZyQt", "x"]}), 106_301),
        (json!({"currency": "NOK"}), 106_202),
    ] {
        let (status, refused) = send(&twin, &message(PERSON, "p-1", more.clone())).await;
        assert_eq!((status, &refused["status"]), (400, &json!(code)), "{more}");
    }
    let ungated = json!({"useDeliveryReport": false, "deliveryReportGates": null});
    assert_eq!(send(&twin, &message(PERSON, "p-2", ungated)).await.0, 200);
    twin.idle().await;
    assert!(hook.calls().is_empty(), "no reports were wanted");
}

#[tokio::test]
async fn an_account_without_access_is_refused_with_403() {
    let hook = Hook::start().await;
    for (access, code) in [
        (LinkMobilityAccess::Denied, 106_101),
        (LinkMobilityAccess::NoSmscCredentials, 106_102),
    ] {
        let closed = LinkMobilityAccount {
            access,
            ..account(&hook)
        };
        let twin = twin(closed, quick()).await;
        let (status, refused) = send(&twin, &message(PERSON, "c-1", json!({}))).await;
        assert_eq!((status, &refused["status"]), (403, &json!(code)));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_as_a_whole() {
    let hook = Hook::start().await;
    let twin = twin(account(&hook), quick()).await;
    for more in [
        json!({"platformPartnerId": 30_978}),
        json!({"sourceTON": "SHORTCODE"}),
        json!({"dcs": "UTF8"}),
        json!({"deliveryReportGates": "BVldZyQt"}),
        json!({"relativeValidityTime": "172800000"}),
        json!({"relativeValidityTime": 60_000}),
        json!({"relativeValidityTime": 172_800_001}),
        json!({"absoluteValidityTime": "tomorrow"}),
        json!({"absoluteValidityTime": "2020-01-01T00:00:00Z"}),
        json!({"priority": "URGENT"}),
        json!({"ignoreResponse": "false"}),
        json!({"customParameters": {"replySmsCount": true}}),
        json!({"refID": "m-1"}),
    ] {
        let (status, refused) = send(&twin, &message(PERSON, "m-1", more.clone())).await;
        assert_eq!((status, &refused["status"]), (400, &json!(400)), "{more}");
    }
    let mut misplaced = entry(PERSON, "m-2", "Hei");
    misplaced["relativeValidityTime"] = 900_000.into();
    for body in [
        batch(vec![misplaced], json!({})),
        batch(vec![json!("Hei")], json!({})),
        message(PERSON, "m-3", json!({})),
        json!([entry(PERSON, "m-4", "Hei")]),
    ] {
        assert_eq!(send_batch(&twin, &body).await.0, 400, "{body}");
    }
    assert_eq!(twin.audit().totals.accepted, 0);
}

#[tokio::test]
async fn a_wrong_path_method_type_or_size_is_refused_without_a_body() {
    let hook = Hook::start().await;
    let small = LinkMobilityAccount {
        body_bytes_max: NonZeroU32::new(2_000),
        ..account(&hook)
    };
    let twin = twin(small, quick()).await;
    let body = message(PERSON, "w-1", json!({})).to_string();
    let status = async |request: reqwest::RequestBuilder, kind: &str, body: String| {
        let request = request.header(AUTHORIZATION, BASIC);
        let request = request.header(CONTENT_TYPE, kind).body(body);
        read(request.send().await.unwrap()).await
    };
    let url = |path: &str| format!("{}{path}", twin.base_url());
    let (json, http) = ("application/json", client());
    for (request, kind, wanted) in [
        (http.post(url("/sms/sent")), json, 404),
        (http.put(url("/sms/send")), json, 405),
        (http.post(url("/sms/send")), "text/plain", 415),
        (
            http.post(url("/sms/send")),
            "application/json; charset=latin1",
            415,
        ),
        (
            http.post(url("/sms/send")),
            "Application/JSON;charset=\"UTF-8\"",
            200,
        ),
    ] {
        let (status, answer) = status(request, kind, body.clone()).await;
        assert_eq!(status, wanted, "{kind}");
        assert!(status == 200 || answer == "", "{answer}");
    }
    let entries = (0..20).map(|n| entry(PERSON, &format!("w-{n}"), "Hei"));
    let large = batch(entries.collect(), json!({})).to_string();
    let request = http.post(url("/sms/sendbatch"));
    assert_eq!(status(request, json, large).await.0, 413);
    let request = http.post(url("/sms/send"));
    assert_eq!(status(request, json, " ".repeat(1_100_000)).await.0, 413);
    let totals = twin.audit().totals;
    assert_eq!(
        totals.refused,
        [("413".into(), 21), ("415".into(), 2)].into()
    );
}

#[tokio::test]
async fn a_bad_message_has_its_own_result_code_and_the_others_are_sent() {
    let hook = Hook::start().await;
    let mut chosen = account(&hook);
    chosen.submit_codes = [("+4741560001".into(), 2103)].into();
    let twin = twin(chosen, quick()).await;
    let mut wanted = vec![(entry(PERSON, "e-0", "Hei"), 1005)];
    for (more, code) in [
        (json!({"source": null}), 2000),
        (json!({"source": "35312345678"}), 2000),
        // Without a TON it would be a name, and is too long for one.
        (json!({"sourceTON": null}), 2000),
        (json!({"source": "Survey", "sourceTON": null}), 1005),
        (json!({"source": "2333", "sourceTON": "SHORTNUMBER"}), 1005),
        (json!({"source": "2333", "sourceTON": "ALPHANUMERIC"}), 2000),
        (
            json!({"source": "Surveys of us", "sourceTON": "ALPHANUMERIC"}),
            2000,
        ),
        (json!({"destination": null}), 2106),
        (json!({"destination": "4741560099"}), 2106),
        (json!({"destination": "+4741 560099"}), 2106),
        (json!({"destinationTON": "SHORTNUMBER"}), 2100),
        (json!({"destinationTON": "ALPHANUMERIC"}), 2101),
        (json!({"destinationTON": null}), 1005),
        (json!({"destination": "+4741560001"}), 2103),
        (json!({"userData": null}), 4003),
        (json!({"userData": ""}), 4003),
        (json!({"userData": "a".repeat(153 * 254 + 1)}), 4003),
        (json!({"userData": "a".repeat(153 * 254)}), 1005),
        (json!({"userData": "Hei 👍"}), 4001),
        (json!({"userData": "Привет €"}), 1005),
        (json!({"dcs": "BINARY"}), 3002),
        (json!({"dcs": "UCS2"}), 1005),
        (json!({"refId": "e".repeat(65)}), 4001),
        (json!({"refId": null}), 1005),
        (
            json!({"customParameters": {"scheduledTime": "2026-01-01T00:00:00Z"}}),
            4001,
        ),
    ] {
        let mut bad = entry(PERSON, "e-1", "Hei");
        merge(&mut bad, &more);
        wanted.push((bad, code));
    }
    let entries: Vec<Value> = wanted.iter().map(|(entry, _)| entry.clone()).collect();
    let (status, answers) = send_batch(&twin, &batch(entries, json!({}))).await;
    assert_eq!(status, 200);
    for ((entry, code), answer) in wanted.iter().zip(answers.as_array().unwrap()) {
        assert_eq!(answer["resultCode"], *code, "{entry}");
        assert_eq!(answer["refId"], entry["refId"]);
        assert_eq!(answer["messageId"].is_string(), *code == 1005);
    }
    let taken = wanted.iter().filter(|(_, code)| *code == 1005).count() as u64;
    let totals = twin.audit().totals;
    assert_eq!(totals.accepted, taken);
    assert_eq!(
        totals.refused.values().sum::<u64>() + taken,
        totals.requests
    );

    let emoji = message(PERSON, "e-2", json!({"userData": "👍"}));
    let (status, answer) = send(&twin, &emoji).await;
    let wanted =
        json!({"messageId": null, "resultCode": 4001, "description": "Invalid message content"});
    assert_eq!((status, answer), (200, wanted));
}

#[tokio::test]
async fn some_accounts_refuse_the_whole_request_for_one_bad_message() {
    let hook = Hook::start().await;
    let strict = LinkMobilityAccount {
        refuses_whole_requests: true,
        ..account(&hook)
    };
    let twin = twin(strict, quick()).await;
    let good = entry(PERSON, "g-1", "Hei");
    let bad = entry("4741560099", "g-2", "Hei");
    let (status, refused) = send_batch(&twin, &batch(vec![good.clone(), bad], json!({}))).await;
    let wanted =
        json!({"status": 2106, "description": "Number error", "translatedDescription": null});
    assert_eq!((status, refused), (400, wanted));
    assert_eq!(twin.audit().totals.accepted, 0);
    assert_eq!(twin.audit().totals.refused, [("2106".into(), 2)].into());
    assert_eq!(
        send_batch(&twin, &batch(vec![good], json!({}))).await.0,
        200
    );
    let alone = send(&twin, &message("4741560099", "g-2", json!({}))).await;
    assert_eq!((alone.0, &alone.1["status"]), (400, &json!(2106)));
}

#[tokio::test]
async fn a_source_that_the_account_does_not_have_is_told_from_a_kind_that_it_does_not_have() {
    let hook = Hook::start().await;
    let mut owner = account(&hook);
    owner.senders = vec![SENDER.into(), "NO-2333".into(), "2333".into()];
    let twin = twin(owner, quick()).await;
    for (source, ton, code) in [
        (SENDER, "MSISDN", 1005),
        ("+35312345679", "MSISDN", 2000),
        ("2333", "SHORTNUMBER", 1005),
        ("2334", "SHORTNUMBER", 2000),
        ("Survey", "ALPHANUMERIC", 2002),
        ("NO-2333", "SHORTNUMBER", 2000),
    ] {
        let more = json!({"source": source, "sourceTON": ton});
        let (_, answer) = send(&twin, &message(PERSON, "s-1", more)).await;
        assert_eq!(answer["resultCode"], code, "{source}");
    }
}

//! Keywords, segments and numbers.

use message::{keywords, number, segments};
use serde::Deserialize;
use serde_json::json;

use crate::{Answer, members};

#[derive(Debug, Deserialize)]
pub(crate) struct KeywordQuestion {
    text: String,
    #[serde(default)]
    opted_out: bool,
}

pub(crate) fn keyword(question: &KeywordQuestion) -> anyhow::Result<Answer> {
    let keyword = keywords::verdict(&question.text, question.opted_out);
    Ok(members(json!({ "keyword": keyword })))
}

#[derive(Debug, Deserialize)]
pub(crate) struct SegmentsQuestion {
    text: String,
}

pub(crate) fn segments(question: &SegmentsQuestion) -> anyhow::Result<Answer> {
    let found = segments::measure(&segments::nfc(&question.text));
    Ok(members(json!({
        "encoding": found.encoding.as_str(), "units": found.units, "segments": found.segments,
    })))
}

#[derive(Debug, Deserialize)]
pub(crate) struct NumberQuestion {
    number: String,
    #[serde(default)]
    region: Option<String>,
}

pub(crate) fn number(question: &NumberQuestion) -> anyhow::Result<Answer> {
    Ok(members(
        match number::normalise(&question.number, question.region.as_deref()) {
            Ok(number) => json!({ "number": number.e164() }),
            Err(why) => json!({ "number": null, "why": why.to_string() }),
        },
    ))
}

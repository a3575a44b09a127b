//! The numbering plans of the world: libphonenumber's metadata from the `phonenumber` crate, read
//! the way libphonenumber reads it.
//!
//! Only the crate's metadata is used, not its parser. That one (0.3.10) takes a pattern that matches
//! the beginning of a number for a match, strips a trunk prefix twice, and keeps its patterns
//! in one cache behind one lock; crafted inputs made earlier versions panic. What is here gets
//! nothing but ASCII digits and can not panic on them, so there is nothing to catch.
//!
//! Source: libphonenumber `PhoneNumberUtil.java` (`parseHelper`, `maybeExtractCountryCode`,
//! `maybeStripNationalPrefixAndCarrierCode`, `isValidNumber`).

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use phonenumber::{
    Metadata,
    metadata::{DATABASE, Descriptor},
};
use regex::{Regex, RegexBuilder};

use super::NumberFault;

/// One region's plan.
#[derive(Debug)]
pub(super) struct Plan {
    region: &'static str,
    code: String,
    general: Pattern,
    /// Kinds of numbers, those that get messages first; a number is valid if one of them matches.
    kinds: Vec<Kind>,
    /// Lengths of whole numbers and of such that work only within an area; sorted.
    lengths: Vec<usize>,
    local_lengths: Vec<usize>,
    /// In regions that share a country code: whose a number is, by its first digits.
    leading_digits: Option<Pattern>,
    international_prefix: Option<Pattern>,
    national_prefix: Option<Pattern>,
    national_prefix_transform: Option<String>,
}

#[derive(Debug)]
struct Kind {
    lengths: Vec<usize>,
    pattern: Pattern,
}

/// The plan of an ISO 3166 alpha-2 region, in any case.
pub(super) fn of_region(name: &str) -> Option<&'static Plan> {
    let [a, b] = *name.as_bytes() else {
        return None;
    };
    let name = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    let index = *PLANS.by_region.get(&name)?;
    PLANS.all.get(index)
}

pub(super) fn is_country_code(code: &str) -> bool {
    !plans_of(code).is_empty()
}

/// Reads digits that followed a `+`.
pub(super) fn read_international(digits: &str) -> Result<Cow<'_, str>, NumberFault> {
    let (code, national) = split_country_code(digits).ok_or(NumberFault::CountryCode)?;
    let plan = main_plan(code).ok_or(NumberFault::CountryCode)?;
    let significant = plan.significant(national);
    if !is_valid(code, &significant) {
        return Err(NumberFault::NotInPlan);
    }
    Ok(
        if significant.len() == national.len() && significant == national {
            Cow::Borrowed(digits)
        } else {
            Cow::Owned(format!("{code}{significant}"))
        },
    )
}

/// Reads digits without `+` as somebody in `region` means them.
pub(super) fn read_national<'d>(
    digits: &'d str,
    region: &'static Plan,
) -> Result<Cow<'d, str>, NumberFault> {
    if let Some(international) = region.without_international_prefix(digits) {
        return read_international(international);
    }
    let (plan, national) = match region.after_own_code(digits) {
        Some(national) => (main_plan(&region.code).unwrap_or(region), national),
        None => (region, Cow::Borrowed(digits)),
    };
    let significant = plan.significant(&national);
    if !is_valid(&plan.code, &significant) {
        return Err(NumberFault::NotInPlan);
    }
    Ok(Cow::Owned(format!("{}{significant}", plan.code)))
}

/// The region of E.164 digits, if they are in a plan of a country.
pub(super) fn region_of(digits: &str) -> Option<&'static str> {
    let (code, national) = split_country_code(digits)?;
    let region = owner(code, national)?.region;
    (region.len() == 2).then_some(region)
}

impl Plan {
    /// What follows the prefix for calls abroad, `00` or `011`. A zero can not follow: no country
    /// code begins with it.
    pub(super) fn without_international_prefix<'d>(&self, digits: &'d str) -> Option<&'d str> {
        let end = self.international_prefix.as_ref()?.prefix_end(digits)?;
        let rest = &digits[end..];
        (!rest.starts_with('0')).then_some(rest)
    }

    /// The national number if `digits` are a number with this plan's country code but without `+`:
    /// only if they make no sense without it.
    fn after_own_code<'d>(&self, digits: &'d str) -> Option<Cow<'d, str>> {
        let national = self.without_trunk_prefix(digits.strip_prefix(&self.code)?);
        let better = !self.general.is_match(digits) && self.general.is_match(&national);
        let too_long = self.lengths.last().is_some_and(|max| digits.len() > *max);
        (better || too_long).then_some(national)
    }

    /// The national significant number: without what is dialled in front of it at home, unless that
    /// leaves something of an impossible length.
    fn significant<'d>(&self, national: &'d str) -> Cow<'d, str> {
        let stripped = self.without_trunk_prefix(national);
        let length = stripped.len();
        let too_long = self.lengths.last().is_some_and(|max| length > *max);
        if too_long || (self.lengths.contains(&length) && !self.local_lengths.contains(&length)) {
            stripped
        } else {
            Cow::Borrowed(national)
        }
    }

    fn without_trunk_prefix<'d>(&self, national: &'d str) -> Cow<'d, str> {
        let Some(captures) = self
            .national_prefix
            .as_ref()
            .and_then(|p| p.captures(national))
        else {
            return Cow::Borrowed(national);
        };
        let whole = captures.get(0).map_or(0, |group| group.end());
        let last = captures.iter().last().flatten();
        let stripped = match &self.national_prefix_transform {
            Some(transform) if last.is_some() => {
                let mut transformed = String::new();
                captures.expand(transform, &mut transformed);
                transformed.push_str(&national[whole..]);
                Cow::Owned(transformed)
            }
            _ => Cow::Borrowed(&national[whole..]),
        };
        if self.general.is_match(national) && !self.general.is_match(&stripped) {
            Cow::Borrowed(national)
        } else {
            stripped
        }
    }

    fn contains(&self, significant: &str) -> bool {
        self.lengths.contains(&significant.len())
            && self.general.is_match(significant)
            && self.kinds.iter().any(|kind| {
                (kind.lengths.is_empty() || kind.lengths.contains(&significant.len()))
                    && kind.pattern.is_match(significant)
            })
    }
}

fn is_valid(code: &str, significant: &str) -> bool {
    owner(code, significant).is_some_and(|plan| plan.contains(significant))
}

/// Of the regions that share a country code, the one that a number belongs to.
fn owner(code: &str, significant: &str) -> Option<&'static Plan> {
    let mut plans = plans_of(code)
        .iter()
        .filter_map(|index| PLANS.all.get(*index));
    if plans_of(code).len() == 1 {
        return plans.next();
    }
    plans.find(|plan| match &plan.leading_digits {
        Some(digits) => digits.prefix_end(significant).is_some(),
        None => plan.contains(significant),
    })
}

fn split_country_code(digits: &str) -> Option<(&str, &str)> {
    (1..=3)
        .filter_map(|length| digits.split_at_checked(length))
        .find(|(code, _)| is_country_code(code))
}

fn main_plan(code: &str) -> Option<&'static Plan> {
    PLANS.all.get(*plans_of(code).first()?)
}

fn plans_of(code: &str) -> &'static [usize] {
    let code = code.parse().ok().filter(|_| !code.starts_with('0'));
    code.and_then(|code: usize| PLANS.by_code.get(code))
        .map_or(&[], Vec::as_slice)
}

struct Plans {
    all: Vec<Plan>,
    by_region: HashMap<[u8; 2], usize>,
    /// By country code; the main region of each comes first.
    by_code: Vec<Vec<usize>>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(|| {
    let mut plans = Plans {
        all: Vec::new(),
        by_region: HashMap::new(),
        by_code: vec![Vec::new(); 1000],
    };
    for code in 1..1000u16 {
        for meta in DATABASE.by_code(&code).unwrap_or_default() {
            let index = plans.all.len();
            if let [a, b] = *meta.id().as_bytes() {
                plans.by_region.insert([a, b], index);
            }
            plans.by_code[usize::from(code)].push(index);
            plans.all.push(plan(meta));
        }
    }
    plans
});

fn plan(meta: &'static Metadata) -> Plan {
    let all = meta.descriptors();
    let kinds = [
        all.mobile(),
        all.fixed_line(),
        all.voip(),
        all.toll_free(),
        all.shared_cost(),
        all.premium_rate(),
        all.personal_number(),
        all.pager(),
        all.uan(),
        all.voicemail(),
    ];
    let kinds = || kinds.into_iter().flatten();
    let lengths = union(kinds().map(Descriptor::possible_length));
    let mut local_lengths = union(kinds().map(Descriptor::possible_local_length));
    local_lengths.retain(|length| !lengths.contains(length));
    Plan {
        region: meta.id(),
        code: meta.country_code().to_string(),
        general: Pattern::new(all.general().national_number().as_str()),
        kinds: kinds()
            .map(|kind| Kind {
                lengths: union([kind.possible_length()].into_iter()),
                pattern: Pattern::new(kind.national_number().as_str()),
            })
            .collect(),
        lengths,
        local_lengths,
        leading_digits: meta.leading_digits().map(|p| Pattern::new(p.as_str())),
        international_prefix: meta
            .international_prefix()
            .map(|p| Pattern::new(p.as_str())),
        national_prefix: meta
            .national_prefix_for_parsing()
            .map(|p| p.as_str())
            .or(meta.national_prefix())
            .map(Pattern::new),
        // `$1` would swallow a digit that follows it; `${1}` does not.
        national_prefix_transform: meta.national_prefix_transform_rule().map(|rule| {
            rule.replace("$1", "${1}")
                .replace("$2", "${2}")
                .replace("$3", "${3}")
        }),
    }
}

fn union<'a>(lengths: impl Iterator<Item = &'a [u16]>) -> Vec<usize> {
    let mut all: Vec<usize> = lengths.flatten().copied().map(usize::from).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A pattern of the metadata, compiled when first needed: there are about 2,500 and a mailing uses
/// a few dozen.
#[derive(Debug)]
struct Pattern {
    source: &'static str,
    whole: OnceLock<Option<Regex>>,
    prefix: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            whole: OnceLock::new(),
            prefix: OnceLock::new(),
        }
    }

    fn is_match(&self, digits: &str) -> bool {
        self.whole
            .get_or_init(|| compile(&format!(r"\A(?:{})\z", self.source)))
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(digits))
    }

    fn at_start(&self) -> Option<&Regex> {
        self.prefix
            .get_or_init(|| compile(&format!(r"\A(?:{})", self.source)))
            .as_ref()
    }

    fn prefix_end(&self, digits: &str) -> Option<usize> {
        Some(self.at_start()?.find(digits)?.end())
    }

    fn captures<'d>(&self, digits: &'d str) -> Option<regex::Captures<'d>> {
        self.at_start()?.captures(digits)
    }
}

/// The metadata wraps its patterns over lines.
fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .ignore_whitespace(true)
        .unicode(false)
        .build()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_the_metadata_compiles() {
        for plan in &PLANS.all {
            let mut patterns: Vec<&Pattern> = plan.kinds.iter().map(|kind| &kind.pattern).collect();
            patterns.push(&plan.general);
            patterns.extend(&plan.leading_digits);
            patterns.extend(&plan.international_prefix);
            patterns.extend(&plan.national_prefix);
            for pattern in patterns {
                assert!(compile(pattern.source).is_some(), "{}", plan.region);
            }
            assert!(!plan.lengths.is_empty(), "{}", plan.region);
        }
        assert!(PLANS.all.len() > 240, "{}", PLANS.all.len());
    }
}

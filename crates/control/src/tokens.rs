//! Who may use the API. There is no open API: without a token nothing starts.

use std::fmt;

use message::{OrganizationId, Secret};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The tokens of `control.tokens`.
#[derive(Debug, Clone)]
pub struct Tokens(Vec<Token>);

#[derive(Debug, Clone)]
struct Token {
    caller: Caller,
    secret: Secret,
}

/// Who made a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The token's name, for the audit log.
    pub(crate) name: Box<str>,
    /// The only organisation it may touch; nothing if all.
    pub(crate) organization: Option<OrganizationId>,
}

/// A shorter token could be guessed.
const TOKEN_CHARACTERS_MIN: usize = 16;
const NAME_CHARACTERS_MAX: usize = 64;

/// Why the tokens can not be used. Never contains a token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TokenFault {
    /// Counted from 1.
    entry: usize,
    why: &'static str,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "entry {}: {}; expected \"name=token\" or \"name@ORGANIZATION=token\"",
            self.entry, self.why
        )
    }
}

impl Tokens {
    /// The caller whose token this is. Every token is compared, each in constant time, so that
    /// the time taken says nothing about them.
    pub(crate) fn caller(&self, given: &str) -> Option<&Caller> {
        let given = Secret::new(given.to_owned());
        self.0.iter().fold(None, |found, token| {
            let same = token.secret == given;
            found.or(same.then_some(&token.caller))
        })
    }

    fn parse(entries: &[String]) -> Result<Self, TokenFault> {
        let mut tokens: Vec<Token> = Vec::with_capacity(entries.len());
        for (entry, text) in (1..).zip(entries) {
            let fault = |why| TokenFault { entry, why };
            let token = read(text).map_err(fault)?;
            if tokens
                .iter()
                .any(|known| known.caller.name == token.caller.name)
            {
                return Err(fault("its name is there already"));
            }
            if tokens.iter().any(|known| known.secret == token.secret) {
                return Err(fault("its token is there already"));
            }
            tokens.push(token);
        }
        Ok(Self(tokens))
    }
}

fn read(text: &str) -> Result<Token, &'static str> {
    let (who, token) = text.split_once('=').ok_or("it has no `=`")?;
    let (name, organization) = match who.split_once('@') {
        None => (who, None),
        Some((name, organization)) => {
            let organization = OrganizationId::new(organization)
                .map_err(|_| "its organisation is no identifier")?;
            (name, Some(organization))
        }
    };
    let named = (1..=NAME_CHARACTERS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !named {
        return Err("its name is not 1 to 64 characters of A-Z a-z 0-9 _ - .");
    }
    if token.len() < TOKEN_CHARACTERS_MIN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("its token is not at least 16 visible ASCII characters");
    }
    Ok(Token {
        caller: Caller {
            name: name.into(),
            organization,
        },
        secret: Secret::new(token.to_owned()),
    })
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<String>::deserialize(deserializer)?;
        if entries.is_empty() {
            return Err(D::Error::custom(
                "no token is set, and there is no open API; \
                 set at least one \"name=token\", e.g. in $SMSFLEET_CONTROL_TOKENS",
            ));
        }
        Self::parse(&entries).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(entries: &[&str]) -> Result<Tokens, TokenFault> {
        let entries: Vec<String> = entries.iter().map(|text| (*text).to_owned()).collect();
        Tokens::parse(&entries)
    }

    #[test]
    fn a_token_names_its_caller_and_what_it_may_touch() {
        let tokens =
            tokens(&["ops=0123456789abcdef", "crm@ORG_1=fedcba9876543210="]).expect("valid");
        let ops = tokens.caller("0123456789abcdef").expect("known");
        assert_eq!((&*ops.name, &ops.organization), ("ops", &None));
        let crm = tokens.caller("fedcba9876543210=").expect("known");
        assert_eq!(crm.organization, OrganizationId::new("ORG_1").ok());
        for stranger in ["", "0123456789abcde", "0123456789abcdeF", "ops"] {
            assert_eq!(tokens.caller(stranger), None);
        }
    }

    #[test]
    fn a_faulty_entry_is_named_without_its_token() {
        for entry in [
            "0123456789abcdef",
            "=0123456789abcdef",
            "a b=0123456789abcdef",
            "a@=0123456789abcdef",
            "a=0123456789abcde",
            "a=0123456789abcdef\n",
            "ops=another-token-of-it",
            "other=0123456789-first",
        ] {
            let fault = tokens(&["ops=0123456789-first", entry])
                .expect_err(entry)
                .to_string();
            assert!(fault.starts_with("entry 2: "), "{fault}");
            assert!(!fault.contains("0123456789"), "{fault}");
        }
    }

    #[test]
    fn nothing_starts_without_a_token() {
        let fault = serde_json::from_str::<Tokens>("[]")
            .expect_err("empty")
            .to_string();
        assert!(fault.contains("there is no open API"), "{fault}");
    }
}

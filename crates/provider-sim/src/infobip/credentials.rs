//! The Basic credentials of callbacks; nothing is signed.
//!
//! Source: shared/providers/infobip.md, section 8.

use http::HeaderValue;

use super::accounts::InfobipAccount;
use crate::behaviour::SignatureVariant;
use crate::engine::auth::basic_value;

/// Other forms of the same credentials that a webhook has to take.
pub(crate) const VARIANTS: &[&str] = &[LOWER_CASE_SCHEME];
/// `basic` rather than `Basic`.
const LOWER_CASE_SCHEME: &str = "lower_case_scheme";

/// The header's value; `None` if the account has no credentials, or the behaviour leaves them out.
pub(crate) fn header(
    account: &InfobipAccount,
    signature: &SignatureVariant,
) -> Option<HeaderValue> {
    let (user, password) = (&account.webhook_username, &account.webhook_password);
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let value = basic_value(user, password)?;
    match signature {
        SignatureVariant::AccountSecret => Some(value),
        SignatureVariant::Forged => basic_value(user, &format!("not {password}")),
        SignatureVariant::Missing => None,
        // The only word.
        SignatureVariant::Variant(_) => {
            HeaderValue::from_str(&value.to_str().ok()?.replacen('B', "b", 1)).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(password: &str, signature: &SignatureVariant) -> Option<String> {
        let account = InfobipAccount {
            webhook_username: "smsfleet-hook".into(),
            webhook_password: password.into(),
            ..InfobipAccount::new("a", "k")
        };
        let value = header(&account, signature)?;
        value.to_str().ok().map(str::to_owned)
    }

    #[test]
    fn the_vectors_of_the_page_are_reproduced() {
        let own = SignatureVariant::AccountSecret;
        let lower = SignatureVariant::variant(LOWER_CASE_SCHEME);
        for (name, password, signature, wanted) in [
            (
                "B1",
                "Kf7-wQ2m",
                &own,
                "Basic c21zZmxlZXQtaG9vazpLZjctd1EybQ==",
            ),
            (
                "B2",
                "p:a:ss:word",
                &own,
                "Basic c21zZmxlZXQtaG9vazpwOmE6c3M6d29yZA==",
            ),
            (
                "B3",
                "pâsswörd✓",
                &lower,
                "basic c21zZmxlZXQtaG9vazpww6Jzc3fDtnJk4pyT",
            ),
            (
                "B4",
                "~~~???>>",
                &own,
                "Basic c21zZmxlZXQtaG9vazp+fn4/Pz8+Pg==",
            ),
        ] {
            assert_eq!(
                written(password, signature).as_deref(),
                Some(wanted),
                "{name}"
            );
        }
    }

    #[test]
    fn what_the_page_says_must_be_rejected_is_never_written() {
        let own = SignatureVariant::AccountSecret;
        for (name, password, wrong) in [
            ("N1", "~~~???>>", "Basic c21zZmxlZXQtaG9vazp-fn4_Pz8-Pg=="),
            ("N2", "Kf7-wQ2m", "Basic c21zZmxlZXQtaG9vaw=="),
            ("N3", "Kf7-wQ2m", "Basic c21zZmxlZXQtaG9vazo="),
            ("N4", "pâsswörd", "Basic c21zZmxlZXQtaG9vazpw4nNzd/ZyZA=="),
            ("N5", "Kf7-wQ2m", "App Kf7-wQ2m"),
        ] {
            let written = written(password, &own);
            assert!(written.is_some_and(|value| value != wrong), "{name}");
        }
        let forged = written("Kf7-wQ2m", &SignatureVariant::Forged);
        assert!(forged.is_some() && forged != written("Kf7-wQ2m", &own));
        assert_eq!(written("Kf7-wQ2m", &SignatureVariant::Missing), None);
        let bare = InfobipAccount::new("a", "k");
        assert_eq!(header(&bare, &own), None);
    }
}

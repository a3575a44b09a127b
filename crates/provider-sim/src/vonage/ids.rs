//! How the two APIs name messages.

use super::accounts::{Account, VonageAccount, VonageApi};
use super::{Details, Vonage};
use crate::engine::{Engine, IdForm, View};

/// The form of the names that an API gives.
pub(crate) fn form(account: &VonageAccount, api: VonageApi) -> IdForm {
    // The Messages API knows UUIDs only, and its webhooks may speak of messages of both.
    let uuid = account.uuid_message_ids || account.api == VonageApi::Messages;
    match api {
        VonageApi::Sms if !uuid => IdForm::Hex16,
        VonageApi::Sms | VonageApi::Messages => IdForm::Uuid,
    }
}

/// The account's message of a name, and which of its parts that is.
pub(crate) fn find(
    twin: &Engine<Vonage>,
    account: &Account,
    name: &str,
) -> Option<(View<Details>, u8)> {
    let messages = twin.messages();
    let number = [IdForm::Hex16, IdForm::Uuid]
        .into_iter()
        .find_map(|form| form.read(name, messages.run))?;
    let view = messages.view(messages.find(account.number, number)?)?;
    let named_so = form(&account.settings, view.details.api).write(number) == name;
    (named_so && u16::from(number.part) < view.segments.max(1)).then_some((view, number.part))
}

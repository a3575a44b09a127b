//! Callbacks as they are published: a [`message::callback::CallbackGroup`], written callback by
//! callback as they arrive, straight from what the request holds.

use base64::{Engine, engine::general_purpose::STANDARD};
use message::{Timestamp, callback::CALLBACKS_VERSION};
use serde::{Serialize, Serializer};

/// A [`message::callback::Callback`] that owns nothing.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    pub(crate) organization_id: &'a str,
    pub(crate) connection_id: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) received_at: Timestamp,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) content_type: &'a str,
    #[serde(serialize_with = "base64")]
    pub(crate) body: &'a [u8],
}

fn base64<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(body))
}

/// Begins a group in `group`, which is empty.
pub(crate) fn begin(group: &mut Vec<u8>) {
    let head = format!("{{\"v\":{CALLBACKS_VERSION},\"callbacks\":[");
    group.extend_from_slice(head.as_bytes());
}

/// Writes `callback` behind those that are in `group`.
///
/// # Errors
/// In theory; then what was written of it has to be cut off again.
pub(crate) fn append(group: &mut Vec<u8>, callback: &Written<'_>) -> serde_json::Result<()> {
    if group.last() != Some(&b'[') {
        group.push(b',');
    }
    serde_json::to_writer(group, callback)
}

/// Ends `group`.
pub(crate) fn end(group: &mut Vec<u8>) {
    group.extend_from_slice(b"]}");
}

#[cfg(test)]
mod tests {
    use message::{
        ConnectionId, OrganizationId,
        callback::{Callback, CallbackGroup},
    };

    use super::*;

    #[test]
    fn what_is_written_piece_by_piece_is_the_group_byte_for_byte() {
        let at = Timestamp::from_millis(1_790_000_000_120);
        let bodies: [&[u8]; 4] = [b"a=1&b=%2B", b"", b"\"\\\n", &[0, 159, 146, 150, 255]];
        let mut group = Vec::new();
        begin(&mut group);
        for body in bodies {
            let callback = Written {
                organization_id: "ORG_8mQ2",
                connection_id: "C_1",
                provider: "twilio-sms",
                received_at: at,
                method: "POST",
                target: "/a?q=\"\\[",
                content_type: "",
                body,
            };
            append(&mut group, &callback).expect("written");
        }
        end(&mut group);
        let callbacks = bodies.map(|body| Callback {
            organization_id: OrganizationId::new("ORG_8mQ2").expect("valid"),
            connection_id: ConnectionId::new("C_1").expect("valid"),
            provider: "twilio-sms".into(),
            received_at: at,
            method: "POST".into(),
            target: "/a?q=\"\\[".into(),
            content_type: String::new(),
            body: body.to_vec(),
            pending: Vec::new(),
        });
        let whole = CallbackGroup {
            v: CALLBACKS_VERSION,
            callbacks: callbacks.to_vec(),
        };
        let whole = serde_json::to_string(&whole).expect("serializable");
        assert_eq!(String::from_utf8(group).expect("text"), whole);
    }
}

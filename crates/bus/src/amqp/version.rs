//! Which RabbitMQ answers. RabbitMQ 3.10 accepts the arguments of features that it does not have,
//! so what may be declared is decided by the version that the broker greets with.
//!
//! lapin reads that greeting and keeps it to itself; this reads one more, before it connects.

use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::{
    tcp::{AMQPUriTcpExt, OwnedTLSConfig},
    types::{AMQPValue, FieldTable, parsing::parse_field_table},
    uri::AMQPUri,
};

use crate::BusError;

/// Major and minor version of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u16, pub(super) u16);

impl Version {
    /// The first with a message TTL and at-least-once dead-lettering for quorum queues.
    pub(super) const TIMED_QUORUM_QUEUES: Self = Self(3, 10);
}

const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// A greeting has some 500 bytes.
const GREETING_BYTES_MAX: usize = 64 * 1024;

/// Asks for the greeting and hangs up.
pub(super) async fn ask(uri: &AMQPUri) -> Result<Version, BusError> {
    let payload = greeting(uri).await.map_err(|error| {
        BusError::Unavailable(format!("greeting of the broker: {error}").into())
    })?;
    version_in(&payload)
        .ok_or_else(|| BusError::Unavailable("what answers does not greet like RabbitMQ".into()))
}

async fn greeting(uri: &AMQPUri) -> std::io::Result<Vec<u8>> {
    let runtime = lapin::runtime::default_runtime().map_err(std::io::Error::other)?;
    let tls = OwnedTLSConfig::default();
    let mut stream = uri
        .connect_with_config_async(tls.as_ref(), &runtime)
        .await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    stream.flush().await?;
    // A frame: type, channel, size, payload, end mark.
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    if size > GREETING_BYTES_MAX {
        return Err(std::io::Error::other("it is too long"));
    }
    let mut payload = vec![0; size];
    stream.read_exact(&mut payload).await?;
    Ok(payload)
}

/// `connection.start`: class and method, protocol version, then the server's properties.
fn version_in(payload: &[u8]) -> Option<Version> {
    const START: [u8; 4] = [0, 10, 0, 10];
    let properties = payload.strip_prefix(&START)?.get(2..)?;
    let (_, table) = parse_field_table(properties).ok()?;
    version_of(&table)
}

fn version_of(properties: &FieldTable) -> Option<Version> {
    let AMQPValue::LongString(text) = properties.inner().get("version")? else {
        return None;
    };
    let text = text.to_string();
    let mut numbers = text.split(['.', '-', '+']).map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some(Version(major, minor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_servers_properties() {
        for (text, expected) in [
            ("3.10.8", Some(Version(3, 10))),
            ("4.2.0-rc.1", Some(Version(4, 2))),
            ("3.9", Some(Version(3, 9))),
            ("three", None),
        ] {
            let mut table = FieldTable::default();
            table.insert("version".into(), AMQPValue::LongString(text.into()));
            assert_eq!(version_of(&table), expected, "{text}");
        }
        assert!(Version(3, 9) < Version::TIMED_QUORUM_QUEUES);
        assert!(Version(4, 0) > Version::TIMED_QUORUM_QUEUES);
    }

    #[test]
    fn anything_else_than_a_greeting_is_no_version() {
        for payload in [
            &b""[..],
            &[0, 10, 0, 10],
            &[0; 40],
            &[0, 10, 0, 10, 0, 9, 255, 255, 255, 255],
        ] {
            assert_eq!(version_in(payload), None, "{payload:?}");
        }
    }
}

//! Organisations and their connections. Secrets are sealed before they leave the process.

use std::collections::{BTreeMap, HashMap};

use message::{
    Connection, ConnectionId, OrganizationId, Secret, Sender, Timestamp,
    connection::OrganizationSettings,
};
use serde::{Deserialize, Serialize};

use super::{
    RedisLedger,
    batches::{decimal, to_json},
};
use crate::{
    LedgerError,
    sealing::{Place, Sealed, Sealer},
};

/// A connection as it is stored. Its end lies beside it: everything else never changes.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: ConnectionId,
    organization_id: OrganizationId,
    provider: String,
    name: String,
    sender: Sender,
    fields: BTreeMap<String, String>,
    secrets: BTreeMap<String, Sealed>,
    segments_per_second: f64,
    created_at: Timestamp,
}

pub(super) async fn add(ledger: &RedisLedger, connection: &Connection) -> Result<(), LedgerError> {
    let organization = &connection.organization_id;
    let stored = to_json(&seal(&ledger.sealer, connection)?);
    // The index first: one that points to nothing is harmless, a connection without one is lost.
    let mut set = redis::cmd("SET");
    set.arg(ledger.keys.connection(&connection.id))
        .arg(organization.as_str())
        .arg("NX");
    ledger.link.run::<redis::Value>(&set).await?;
    let deleted = connection.deleted_at.map(|at| decimal(at.as_millis()));
    let keys = ["c", "co", "cd"].map(|what| ledger.keys.of(organization, what));
    let args = [
        connection.id.as_str().into(),
        stored,
        deleted.unwrap_or_default(),
    ];
    ledger
        .link
        .script(&ledger.scripts.add_connection, &keys, &args)
        .await
}

pub(super) async fn of(
    ledger: &RedisLedger,
    organization: &OrganizationId,
) -> Result<Vec<Connection>, LedgerError> {
    let [records, order, ends] = ["c", "co", "cd"].map(|what| ledger.keys.of(organization, what));
    let mut pipe = redis::pipe();
    pipe.cmd("ZRANGE").arg(order).arg(0).arg(-1);
    pipe.cmd("HGETALL").arg(ends);
    pipe.cmd("HGETALL").arg(records);
    let (order, ends, records): (Vec<String>, HashMap<String, u64>, HashMap<String, String>) =
        ledger.link.pipe(&pipe).await?;
    let ordered = order
        .iter()
        .filter_map(|id| Some((records.get(id)?, ends.get(id))));
    ordered
        .map(|(record, end)| open(&ledger.sealer, organization, record, end))
        .collect()
}

pub(super) async fn get(
    ledger: &RedisLedger,
    id: &ConnectionId,
) -> Result<Option<Connection>, LedgerError> {
    let mut owner = redis::cmd("GET");
    owner.arg(ledger.keys.connection(id));
    let owner: Option<String> = ledger.link.run(&owner).await?;
    let Some(owner) = owner.and_then(|owner| OrganizationId::new(&owner).ok()) else {
        return Ok(None);
    };
    let mut pipe = redis::pipe();
    pipe.cmd("HGET")
        .arg(ledger.keys.of(&owner, "c"))
        .arg(id.as_str());
    pipe.cmd("HGET")
        .arg(ledger.keys.of(&owner, "cd"))
        .arg(id.as_str());
    let (record, end): (Option<String>, Option<u64>) = ledger.link.pipe(&pipe).await?;
    record
        .map(|record| open(&ledger.sealer, &owner, &record, end.as_ref()))
        .transpose()
}

pub(super) async fn delete(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    id: &ConnectionId,
    at: Timestamp,
) -> Result<bool, LedgerError> {
    let keys = ["c", "cd"].map(|what| ledger.keys.of(organization, what));
    let args = [id.as_str().into(), decimal(at.as_millis())];
    ledger
        .link
        .script(&ledger.scripts.delete_connection, &keys, &args)
        .await
}

pub(super) async fn settings(
    ledger: &RedisLedger,
    organization: &OrganizationId,
) -> Result<OrganizationSettings, LedgerError> {
    let mut get = redis::cmd("GET");
    get.arg(ledger.keys.of(organization, "s"));
    let stored: Option<String> = ledger.link.run(&get).await?;
    let Some(stored) = stored else {
        return Ok(OrganizationSettings::default());
    };
    serde_json::from_str(&stored).map_err(|error| LedgerError::Damaged {
        place: format!("settings of {organization}"),
        why: error.to_string(),
    })
}

pub(super) async fn set_settings(
    ledger: &RedisLedger,
    organization: &OrganizationId,
    settings: &OrganizationSettings,
) -> Result<(), LedgerError> {
    let mut set = redis::cmd("SET");
    set.arg(ledger.keys.of(organization, "s"))
        .arg(to_json(settings));
    ledger.link.run(&set).await
}

fn seal(sealer: &Sealer, connection: &Connection) -> Result<Stored, LedgerError> {
    let secrets = connection.secrets.iter().map(|(field, secret)| {
        let sealed = sealer.seal(
            &place(&connection.organization_id, &connection.id, field),
            secret,
        );
        Ok((
            field.clone(),
            sealed.map_err(|why| unopened(&connection.id, why))?,
        ))
    });
    Ok(Stored {
        id: connection.id.clone(),
        organization_id: connection.organization_id.clone(),
        provider: connection.provider.clone(),
        name: connection.name.clone(),
        sender: connection.sender.clone(),
        fields: connection.fields.clone(),
        secrets: secrets.collect::<Result<_, LedgerError>>()?,
        segments_per_second: connection.segments_per_second,
        created_at: connection.created_at,
    })
}

/// `owner` is whose hash it lay in: a record that was copied to another organisation does not open.
fn open(
    sealer: &Sealer,
    owner: &OrganizationId,
    record: &str,
    end: Option<&u64>,
) -> Result<Connection, LedgerError> {
    let stored: Stored = serde_json::from_str(record).map_err(|error| LedgerError::Damaged {
        place: format!("connections of {owner}"),
        why: error.to_string(),
    })?;
    let secrets = stored.secrets.iter().map(|(field, sealed)| {
        let secret = sealer.open(&place(owner, &stored.id, field), sealed);
        Ok((
            field.clone(),
            secret.map_err(|why| unopened(&stored.id, why))?,
        ))
    });
    let secrets = secrets.collect::<Result<BTreeMap<String, Secret>, LedgerError>>()?;
    Ok(Connection {
        id: stored.id,
        organization_id: stored.organization_id,
        provider: stored.provider,
        name: stored.name,
        sender: stored.sender,
        fields: stored.fields,
        secrets,
        segments_per_second: stored.segments_per_second,
        created_at: stored.created_at,
        deleted_at: end.map(|at| Timestamp::from_millis(*at)),
    })
}

fn place<'a>(
    organization: &'a OrganizationId,
    connection: &'a ConnectionId,
    field: &'a str,
) -> Place<'a> {
    Place {
        organization,
        connection,
        field,
    }
}

fn unopened(connection: &ConnectionId, why: &'static str) -> LedgerError {
    LedgerError::Sealed {
        connection: connection.clone(),
        why,
    }
}

//! Organisations and their connections.

use message::{Connection, OrganizationId, Secret, Sender, connection::OrganizationSettings};

use crate::world::{World, at, connection, number};

pub const SECRET: &str = "canary-7f3a-hunter2";

pub fn account(organization: &OrganizationId, id: &str) -> Connection {
    Connection {
        id: connection(id),
        organization_id: organization.clone(),
        provider: "twilio-sms".into(),
        name: "Main \"é\"".into(),
        sender: Sender::Number(number(1)),
        fields: [("account_sid".to_owned(), "AC1".to_owned())].into(),
        secrets: [("auth_token".to_owned(), Secret::new(SECRET.into()))].into(),
        segments_per_second: 12.5,
        created_at: at(7),
        deleted_at: None,
    }
}

pub async fn connections_keep_their_order_and_deleted_ones_stay(world: &World) {
    // Ids are unique in the fleet, so this world's have to be.
    let name = |name: &str| format!("{name}-{}", world.organization);
    let mut expected: Vec<_> = ["z", "a", "m"]
        .map(|id| account(&world.organization, &name(id)))
        .into();
    for one in &expected {
        world.ledger.add_connection(one).await.expect("added");
        world.ledger.add_connection(one).await.expect("added again");
    }
    let listed = async || {
        world
            .ledger
            .connections(&world.organization)
            .await
            .expect("listed")
    };
    assert_eq!(listed().await, expected);

    let second = expected[1].id.clone();
    let delete = async |at| {
        let delete = world
            .ledger
            .delete_connection(&world.organization, &second, at);
        delete.await.expect("asked")
    };
    assert!(delete(at(50)).await);
    assert!(!delete(at(60)).await, "it is a tombstone already");
    expected[1].deleted_at = Some(at(50));
    assert_eq!(listed().await, expected);
    world
        .ledger
        .add_connection(&account(&world.organization, &name("a")))
        .await
        .expect("asked");
    assert_eq!(listed().await, expected, "adding does not raise the dead");

    let by_id = world.ledger.connection(&second).await.expect("asked");
    assert_eq!(by_id.as_ref(), Some(&expected[1]));
    let token = by_id.as_ref().and_then(|found| found.secret("auth_token"));
    assert_eq!(token.map(Secret::reveal), Some(SECRET));
    assert_eq!(
        world
            .ledger
            .connection(&connection("none"))
            .await
            .expect("asked"),
        None
    );
    let stranger = OrganizationId::new("another").expect("valid");
    let foreign = world
        .ledger
        .delete_connection(&stranger, &expected[0].id, at(1));
    assert!(!foreign.await.expect("asked"));

    if world.store.is_some() {
        assert_no_secret_is_stored(world).await;
    }
}

/// Reads every value of this world past the ledger.
async fn assert_no_secret_is_stored(world: &World) {
    let mut store = world.connection().await;
    let keys = world.keys().await;
    assert!(keys.len() > 3);
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut store)
            .await
            .expect("read");
        // A dump may be compressed, so the values themselves as well.
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut store)
            .await
            .expect("read");
        let text = match kind.as_str() {
            "hash" => {
                let all: Vec<String> = redis::cmd("HGETALL")
                    .arg(&key)
                    .query_async(&mut store)
                    .await
                    .expect("read");
                all.join(" ")
            }
            "string" => redis::cmd("GET")
                .arg(&key)
                .query_async(&mut store)
                .await
                .expect("read"),
            _ => String::new(),
        };
        for bytes in [dump.as_slice(), text.as_bytes()] {
            let found = bytes
                .windows(SECRET.len())
                .any(|part| part == SECRET.as_bytes());
            assert!(!found, "{key} shows a secret");
        }
    }
}

pub async fn an_organisation_is_as_it_was_decided(world: &World) {
    let asked = async || {
        world
            .ledger
            .organization(&world.organization)
            .await
            .expect("asked")
    };
    assert_eq!(asked().await, OrganizationSettings::default());
    let settings = OrganizationSettings {
        forbid_default_connection: true,
        default_region: Some("FR".into()),
        brand: Some("Acme".into()),
    };
    let set = world
        .ledger
        .set_organization(&world.organization, &settings);
    set.await.expect("set");
    assert_eq!(asked().await, settings);
    world.ledger.ping().await.expect("alive");
}

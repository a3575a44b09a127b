//! Who works: what the seats of slow connections are given out by.

use std::time::Duration;

use crate::world::World;

const LONG: Duration = Duration::from_secs(60);

async fn attend(world: &World, worker: &str, lease: Duration) -> Vec<String> {
    world.ledger.attend(worker, lease).await.expect("told")
}

pub async fn a_worker_is_there_until_its_lease_ends_or_it_leaves(world: &World) {
    let short = Duration::from_millis(200);
    assert_eq!(attend(world, "a", LONG).await, ["a"]);
    assert_eq!(attend(world, "b", short).await, ["a", "b"]);
    // Renewed in time it stays, and a lease is as long as it was last said.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(attend(world, "b", short).await, ["a", "b"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(attend(world, "a", LONG).await, ["a"], "b died");
    assert_eq!(attend(world, "b", LONG).await, ["a", "b"], "and came back");
    world.ledger.leave("a").await.expect("left");
    world.ledger.leave("a").await.expect("left again");
    world.ledger.leave("nobody").await.expect("never there");
    assert_eq!(attend(world, "b", LONG).await, ["b"]);
}

pub async fn workers_are_told_in_one_order_to_all(world: &World) {
    for name in ["w-3", "w-1", "w-2"] {
        attend(world, name, LONG).await;
    }
    for name in ["w-1", "w-2", "w-3"] {
        assert_eq!(attend(world, name, LONG).await, ["w-1", "w-2", "w-3"]);
    }
}

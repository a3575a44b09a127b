//! Redis Cluster: a node of one refuses a call whose keys are in several slots, and a script that
//! touches a key it was not given, exactly as a large one does.

use ledger::EmbeddedLedger;

use crate::{lattice, server::Server, world::World};

#[tokio::test]
async fn everything_holds_on_a_cluster() {
    let Some(server) = Server::start(&["--cluster-enabled", "yes"]).await else {
        return;
    };
    let mut node = server.connection().await.expect("it has started");
    let _: () = redis::cmd("CLUSTER")
        .arg(&["ADDSLOTSRANGE", "0", "16383"])
        .query_async(&mut node)
        .await
        .expect("slots assigned");
    loop {
        let state: String = redis::cmd("CLUSTER")
            .arg("INFO")
            .query_async(&mut node)
            .await
            .expect("asked");
        if state.contains("cluster_state:ok") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Two names of the one node: that is how a cluster is told apart from a server.
    let url = format!("{0},{0}", server.url);
    crate::everything(&url).await;
    let redis = World::at(&url).await;
    let embedded = World {
        ledger: EmbeddedLedger::new(),
        organization: redis.organization.clone(),
        store: None,
    };
    lattice::compare(&redis, &embedded, 10).await;
}

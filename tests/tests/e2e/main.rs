//! The fleet as its users meet it: see `smsfleet_tests` for what these tests stand on. One program
//! for all of them, because linking is what takes the time.

mod bad_batches;
mod bad_callbacks;
mod bad_starts;
mod deaths;
mod mailing;
mod operators;
mod outages;
mod providers;

/// A scene with everything up; ends the test, said once, where there are no services.
macro_rules! open {
    ($options:expr) => {
        match smsfleet_tests::scene::Scene::open($options)
            .await
            .expect("the scene opens")
        {
            Some(scene) => scene,
            None => return,
        }
    };
}
pub(crate) use open;

use smsfleet_tests::scene::Scene;
use smsfleet_tests::wait;

/// Waits until the twin has taken so many messages.
pub(crate) async fn taken(scene: &Scene, messages: u64) {
    let what = format!("the twin has taken {messages} messages");
    wait::until(&what, wait::PATIENCE, async || {
        (scene.twin().audit_summary().totals.accepted >= messages).then_some(())
    })
    .await
    .expect("the mailing goes on");
}

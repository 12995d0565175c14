//! Controllers that are killed.

use spillway_rollout::decision::NoteKind;
use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

/// Kills the controller each time that it has written its memory, before it can do what it decided, and starts another one.
async fn with_kills_until(shop: &Shop, end: Phase) -> u32 {
    let client = shop.controllers_client("controller").await;
    let mut kills = 0;
    let mut version = shop.version_of("web").await;
    loop {
        let controller = shop.run_with(client.clone(), None);
        let mut reached = false;
        wait_until("the controller to write its memory", DEADLINE, async || {
            let rollout = shop.rollouts().get("web").await.expect("the Rollout");
            reached = rollout.status().phase == Some(end) && shop.replicas("web").await == Some(0);
            let written = rollout.metadata.resource_version != version;
            if written {
                version.clone_from(&rollout.metadata.resource_version);
            }
            written || reached
        })
        .await;
        controller.kill().await;
        if reached {
            return kills;
        }
        kills += 1;
        assert!(kills < 400, "it gets nowhere: {:?}", shop.status("web").await);
    }
}

#[tokio::test]
async fn a_controller_that_is_killed_after_every_decision_comes_to_the_same_end() {
    let shop = Shop::start().await;
    let foreign = shop.foreign_routes().await;
    shop.create_rollout().await;
    let mut kills = with_kills_until(&shop, Phase::Idle).await;
    shop.release("web:2").await;
    // One that is killed before its first window has nothing to judge, so each lives for a little while.
    let client = shop.controllers_client("longer-lived").await;
    let mut last = None;
    loop {
        let controller = shop.run_with(client.clone(), None);
        let seen = async || {
            let state = shop.state().await;
            let stage = state.rollout.as_ref().map(|progress| (progress.step, progress.stage));
            (state.phase, stage, state.live_revision, shop.weights().await)
        };
        wait_until("the next step", DEADLINE, async || last.as_ref() != Some(&seen().await)).await;
        last = Some(seen().await);
        controller.kill().await;
        kills += 1;
        let is_over = shop.status("web").await.phase == Some(Phase::Succeeded);
        if is_over {
            break;
        }
        assert!(kills < 400, "it gets nowhere: {:?}", shop.status("web").await);
    }
    let _controller = shop.run_with(client, None);
    wait_until("the old version to stop", DEADLINE, async || shop.replicas("web-blue").await == Some(0)).await;
    assert_eq!(shop.weights().await, [("web-green".to_owned(), 100)]);
    assert_eq!(shop.image("web-green").await.as_deref(), Some("web:2"));
    assert_eq!(shop.replicas("web").await, Some(0));
    assert_eq!(shop.foreign_routes().await, foreign);
    let state = shop.state().await;
    assert_eq!(state.rollout.map(|progress| progress.attempt), Some(1), "it was one rollout");
    let promotions = state.history.iter().filter(|happened| happened.kind == NoteKind::Promoted).count();
    assert_eq!(promotions, 1, "{:?}", state.history);
    assert!(kills > 5, "it was killed {kills} times");
}

#[tokio::test]
async fn a_bad_version_goes_back_although_the_controller_is_killed() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let controller = shop.run().await;
    shop.is_adopted().await;
    shop.world.candidate_is_bad();
    shop.release("web:2").await;
    wait_until("traffic at the candidate", DEADLINE, async || shop.weights().await.len() == 2).await;
    controller.kill().await;
    let _another = shop.run().await;
    shop.reaches(Phase::RolledBack).await;
    wait_until("all traffic to go back", DEADLINE, async || {
        shop.weights().await == [("web-blue".to_owned(), 100)] && shop.replicas("web-green").await == Some(0)
    })
    .await;
}

//! What people ask for.

use spillway_rollout::observed::{Command, CommandAction};
use spillway_rollout::state::Phase;
use spillway_rollout_drivers::kubernetes::give_command;
use spillway_testkit::wait_until;

use crate::shop::{DEADLINE, Shop};

fn command(id: &str, action: CommandAction) -> Command {
    Command { id: id.to_owned(), at: 1, by: "a tester".to_owned(), action, reason: None }
}

#[tokio::test]
async fn commands_are_carried_out_once_and_in_their_order() {
    let shop = Shop::start().await;
    shop.create_rollout().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    let give = async |command: Command| {
        give_command(&shop.cluster.client, shop.cluster.namespace(), "web", &command).await.expect("it is taken");
    };
    give(command("1", CommandAction::Pause)).await;
    give(command("1", CommandAction::Pause)).await;
    shop.says("web", "Held", "Held").await;
    shop.release("web:2").await;
    let samples = shop.world.samples();
    wait_until("some more looks", DEADLINE, async || shop.world.samples() > samples + 3).await;
    assert_eq!(shop.status("web").await.phase, Some(Phase::Idle), "it waits");
    give(command("2", CommandAction::Resume)).await;
    wait_until("the new version to be live", DEADLINE, async || {
        shop.weights().await == [("web-green".to_owned(), 100)]
    })
    .await;
    assert_eq!(shop.state().await.commands, ["1", "2"]);
}

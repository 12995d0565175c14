//! What people type about a Rollout of a cluster.

use serde_json::json;
use spillway_rollout::state::Phase;
use spillway_testkit::wait_until;

use crate::program::Program;
use crate::shop::{DEADLINE, Shop, spec};

/// A shop in whose Rollout a person has to approve the first step, and nothing ends by itself.
async fn careful_shop() -> Shop {
    let shop = Shop::start().await;
    let mut spec = spec("web");
    spec["steps"] = json!([{ "weight": 20, "bake": "1s", "approval": true }, { "weight": 100, "bake": "1s" }]);
    spec["observation"] = json!("1h");
    shop.create("web", spec).await;
    shop
}

async fn waits_for_approval(program: &Program) {
    wait_until("the first step to wait for a person", DEADLINE, async || {
        program.status().await["state"]["rollout"]["stage"] == "approval"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_reaches_the_controller_and_says_what_came_of_it() {
    let shop = careful_shop().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    let program = Program::new(&shop);
    let table = program.text(&["status", "web"]).await;
    assert!(table.contains("web") && table.lines().all(|line| line.chars().count() <= 80), "{table}");

    let said = program.text(&["pause", "web", "--by", "ann", "--reason", "a holiday"]).await;
    assert!(said.starts_with("`pause` by ann: ") && said.contains("Reason: a holiday"), "{said}");
    shop.release("web:2").await;
    let said = program.text(&["resume", "web", "--by", "ann"]).await;
    assert!(said.starts_with("`resume` by ann: it goes on"), "{said}");
    waits_for_approval(&program).await;

    let said = program.text(&["abort", "web", "--by", "bob"]).await;
    assert!(said.contains("`abort` by bob: all traffic goes to the live slot"), "{said}");
    shop.reaches(Phase::Aborted).await;
    assert_eq!(shop.weights().await, [("web-blue".to_owned(), 100)]);
    program.text(&["retry", "web"]).await;
    waits_for_approval(&program).await;
    assert_eq!(program.status().await["state"]["rollout"]["attempt"], 2);

    let said = program.text(&["approve", "web", "--by", "ann"]).await;
    assert!(said.contains("`approve` by ann: step 1 of 2 (20 %) is approved"), "{said}");
    shop.reaches(Phase::Observing).await;
    let said = program.text(&["undo", "web", "--by", "bob"]).await;
    assert!(said.contains("`undo` by bob: "), "{said}");
    wait_until("the old version to be live again", DEADLINE, async || {
        shop.weights().await == [("web-blue".to_owned(), 100)]
    })
    .await;
    shop.reaches(Phase::Aborted).await;

    program.text(&["retry", "web"]).await;
    waits_for_approval(&program).await;
    let said = program.text(&["promote", "web", "--full", "--by", "ann"]).await;
    assert!(said.contains("`promote --full` by ann: "), "{said}");
    shop.reaches(Phase::Observing).await;
    let said = program.text(&["promote", "web"]).await;
    assert!(said.contains("the observation ends now"), "{said}");

    program.text(&["override", "web", "--for", "1h", "--reason", "a fix that cannot wait"]).await;
    let status = program.status().await;
    assert!(status["state"]["overrideUntil"].as_i64() > status["at"].as_i64(), "{status}");
    let history = status["state"]["history"].to_string();
    assert!(history.contains("a fix that cannot wait"), "the reason is kept: {history}");
    let report = program.text(&["report", "web"]).await;
    assert!(report.starts_with("## web – "), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_no_sense_is_told_with_its_reason() {
    let shop = careful_shop().await;
    let _controller = shop.run().await;
    shop.is_adopted().await;
    let program = Program::new(&shop);
    let refused = program.text(&["approve", "web", "--by", "ann"]).await;
    assert!(refused.contains("`approve` by ann was refused: no step waits for an approval"), "{refused}");
    for (arguments, code, words) in [
        (&["status"][..], 64, "name the rollout"),
        (&["status", "shop"], 64, "there is no Rollout shop in namespace"),
        (&["pause", "shop"], 64, "(rollout_not_found)"),
    ] {
        let ended = program.run(arguments).await;
        assert!(ended.code == Some(code) && ended.stderr.contains(words), "{arguments:?}: {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_nobody_carries_out_waits_and_says_so() {
    let shop = careful_shop().await;
    let program = Program::new(&shop);
    let ended = program.run(&["pause", "web", "--wait", "1s"]).await;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.stderr.contains("not carried out within") && ended.stderr.contains("(rollout_command_waits)"));
    assert_eq!(program.text(&["pause", "web", "--no-wait"]).await, "given\n");
    let _controller = shop.run().await;
    wait_until("both to be carried out", DEADLINE, async || shop.state().await.commands.len() == 2).await;
    assert!(shop.state().await.paused);
}

//! Who is told what.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spillway_rollout::decision::{Note, NoteKind};
use spillway_rollout::plan::Plan;
use spillway_rollout::ports::Notifier;
use spillway_rollout::spec::{Notification, NotificationKind};
use spillway_rollout::state::State;
use spillway_rollout_drivers::http::HttpClient;
use spillway_rollout_drivers::notify::{Notices, NotifySettings};
use spillway_slo::budget::Budget;
use spillway_testkit::{Answer, Sink, free_port};

use crate::plan::{plan, progressing, secrets};
use crate::support::DEADLINE;

fn notices(pagerduty: &str, known: &[(&str, &str)]) -> Notices {
    let settings = NotifySettings {
        pagerduty_url: pagerduty.to_owned(),
        first_pause: Duration::from_millis(1),
        timeout: Duration::from_millis(500),
        ..NotifySettings::default()
    };
    Notices::new(HttpClient::new(), secrets(known), settings)
}

fn telling(kind: NotificationKind, to: &str, only_problems: bool) -> Plan {
    let mut plan = plan(&[], &[]);
    plan.namespace = Some("shop".to_owned());
    plan.notifications = vec![Notification { kind, to: to.to_owned(), only_problems }];
    plan
}

fn note(kind: NoteKind, text: &str) -> Note {
    Note { at: 1_700_000_000_000, kind, text: text.to_owned() }
}

fn bodies(sink: &Sink) -> Vec<Value> {
    sink.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

async fn tell(plan: &Plan, state: &State, pagerduty: &str, notes: &[Note]) {
    let notices = notices(pagerduty, &[]);
    notices.tell(plan, state, notes).await;
    notices.flush(DEADLINE).await;
}

#[tokio::test]
async fn slack_gets_text_and_blocks() {
    let slack = Sink::start().await;
    let plan = telling(NotificationKind::Slack, &slack.url("/services/T/B"), false);
    let text = "errors are 3 times <those> of v1 & rising";
    tell(&plan, &progressing(), "", &[note(NoteKind::RolledBack, text)]).await;
    let text = "errors are 3 times &lt;those&gt; of v1 &amp; rising";
    let facts = "revision v2 · step 1 of 1 · 10 % of the traffic · 2023-11-14T22:13:20Z";
    assert_eq!(
        bodies(&slack),
        [json!({
            "text": format!("Rolled back: shop/gateway: {text}"),
            "blocks": [
                { "type": "section", "text": { "type": "mrkdwn", "text": format!("*Rolled back: shop/gateway*\n{text}") } },
                { "type": "context", "elements": [{ "type": "mrkdwn", "text": facts }] },
            ],
        })]
    );
}

#[tokio::test]
async fn a_webhook_gets_everything_in_order_or_problems_only() {
    let notes = [
        note(NoteKind::Started, "v2 starts"),
        note(NoteKind::Held, "no data"),
        note(NoteKind::StepPassed, "10 % is good"),
    ];
    for (only_problems, expected) in [(false, vec!["started", "held", "stepPassed"]), (true, vec!["held"])] {
        let sink = Sink::start().await;
        tell(&telling(NotificationKind::Webhook, &sink.url("/"), only_problems), &progressing(), "", &notes).await;
        let kinds: Vec<Value> = bodies(&sink).into_iter().map(|body| body["kind"].clone()).collect();
        assert_eq!(kinds, expected);
    }
    let sink = Sink::start().await;
    tell(&telling(NotificationKind::Webhook, &sink.url("/"), true), &progressing(), "", &notes).await;
    let expected = json!({
        "rollout": "gateway", "namespace": "shop", "revision": "v2", "liveRevision": "v1", "phase": "progressing",
        "step": 0, "steps": 1, "weight": 10, "kind": "held", "problem": true, "text": "no data",
        "at": "2023-11-14T22:13:20Z",
    });
    assert_eq!(bodies(&sink), [expected]);
}

#[tokio::test]
async fn a_page_opens_with_a_problem_and_closes_when_nobody_is_needed() {
    let pagerduty = Sink::start().await;
    let plan = telling(NotificationKind::PagerDuty, "routing-key", true);
    let notes = [
        note(NoteKind::Weight, "10 %"),
        note(NoteKind::Held, "no data"),
        note(NoteKind::Resumed, "ann resumed it"),
        note(NoteKind::RolledBack, "errors"),
        note(NoteKind::Succeeded, "all is well"),
    ];
    tell(&plan, &progressing(), &pagerduty.url("/v2/enqueue"), &notes).await;
    let events = bodies(&pagerduty);
    let actions: Vec<&Value> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve", "trigger", "resolve"]);
    for event in &events {
        assert_eq!(event["routing_key"], "routing-key");
        assert_eq!(event["dedup_key"], "spillway-rollout/shop/gateway/v2");
    }
    let payload = &events[2]["payload"];
    assert_eq!(payload["summary"], "shop/gateway: Rolled back: errors");
    assert_eq!((&payload["severity"], &payload["source"]), (&json!("error"), &json!("shop/gateway")));
    assert_eq!(payload["custom_details"]["liveRevision"], "v1");
}

#[tokio::test]
async fn the_budget_has_a_page_of_its_own() {
    let pagerduty = Sink::start().await;
    let plan = telling(NotificationKind::PagerDuty, "routing-key", false);
    let mut state = progressing();
    for budget in [Budget::Emergency, Budget::Healthy] {
        state.budgets.insert("slo".to_owned(), budget);
        tell(&plan, &state, &pagerduty.url("/"), &[note(NoteKind::Budget, "the budget changed")]).await;
    }
    let [opened, closed] = bodies(&pagerduty).try_into().unwrap();
    assert_eq!((&opened["event_action"], &opened["payload"]["severity"]), (&json!("trigger"), &json!("critical")));
    assert_eq!(closed["event_action"], "resolve");
    assert_eq!(opened["dedup_key"], "spillway-rollout/shop/gateway/budget");
    assert_eq!(opened["dedup_key"], closed["dedup_key"]);
}

#[tokio::test]
async fn a_message_is_tried_again_when_that_may_help() {
    let sink = Sink::start().await;
    sink.script("/busy", [Answer::status(503), Answer::reset(), Answer::retry_after(429, "0"), Answer::status(200)]);
    sink.on("/gone", Answer::status(404));
    sink.on("/down", Answer::status(500));
    for (path, attempts) in [("/busy", 4), ("/gone", 1), ("/down", 4)] {
        let plan = telling(NotificationKind::Webhook, &sink.url(path), false);
        tell(&plan, &progressing(), "", &[note(NoteKind::Started, "v2 starts")]).await;
        assert_eq!(sink.requests_to(path).len(), attempts, "{path}");
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody() {
    let (sink, hangs) = (Sink::start().await, Sink::start().await);
    hangs.on("/", Answer::hang());
    let mut plan = telling(NotificationKind::Webhook, &hangs.url("/"), false);
    let other = Notification { kind: NotificationKind::Webhook, to: sink.url("/"), only_problems: false };
    plan.notifications.push(other);
    let notices = notices("", &[]);
    let many: Vec<Note> = (0..300).map(|n| note(NoteKind::Weight, &n.to_string())).collect();
    let begun = Instant::now();
    for batch in many.chunks(50) {
        notices.tell(&plan, &progressing(), batch).await;
        // The queue to the one that hangs is full by now.
        sink.wait_for_count(sink.count().max(1), DEADLINE).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    sink.wait_for_count(100, DEADLINE).await;
}

#[tokio::test]
async fn secrets_are_resolved_at_use_and_an_unknown_one_harms_nobody() {
    let sink = Sink::start().await;
    let notices = notices("", &[("HOOK", &sink.url("/secret"))]);
    let mut plan = telling(NotificationKind::Slack, "env:HOOK", false);
    for to in ["env:MISSING", "no address"] {
        plan.notifications.push(Notification {
            kind: NotificationKind::Slack,
            to: to.to_owned(),
            only_problems: false,
        });
    }
    let gone = format!("http://127.0.0.1:{}/", free_port());
    plan.notifications.push(Notification { kind: NotificationKind::Slack, to: gone, only_problems: false });
    notices.tell(&plan, &progressing(), &[note(NoteKind::Started, "v2 starts")]).await;
    notices.flush(DEADLINE).await;
    assert_eq!(sink.requests_to("/secret").len(), 1);
}

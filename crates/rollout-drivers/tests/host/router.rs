//! Weights, mirrors and their failures on a real nginx.

use std::fs;
use std::sync::atomic::Ordering;

use spillway_rollout::observed::RouterObserved;
use spillway_rollout::ports::Target as _;
use spillway_rollout::slot::{Slot, Slots};
use spillway_rollout_drivers::host::router_file;
use spillway_testkit::wait_until;
use tokio::net::TcpListener;

use crate::support::client::Client;
use crate::support::{DEADLINE, Rig, example, open, split};

/// Percent of requests that green answers.
async fn share_of_green(rig: &Rig, n_requests: u32) -> f64 {
    let mut client = Client::new(rig.nginx.address());
    let mut n_green = 0u32;
    for _ in 0..n_requests {
        let answer = client.get("/").await.unwrap();
        assert_eq!(answer.status, 200);
        n_green += u32::from(answer.body == "green");
    }
    f64::from(n_green) * 100.0 / f64::from(n_requests)
}

fn green(weight: u8) -> RouterObserved {
    RouterObserved { weights: Slots { blue: 100 - weight, green: weight }, mirror: Slots::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_split_as_the_weights_say() {
    let mut rig = Rig::start().await;
    for (weight, n_requests) in [(0, 500), (1, 3_000), (10, 3_000), (50, 6_000), (99, 3_000), (100, 500)] {
        rig.weigh(weight).await.unwrap();
        assert_eq!(rig.observe().await.router, Some(green(weight)));
        let share = share_of_green(&rig, n_requests).await;
        let allowed = if matches!(weight, 0 | 100) { 0.0 } else { 3.0 };
        assert!((share - f64::from(weight)).abs() <= allowed, "{share} % of requests at a weight of {weight} %");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_safe_requests_only_unless_the_plan_says_otherwise() {
    let mut rig = Rig::start().await;
    let mut client = Client::new(rig.nginx.address());
    rig.target.apply(&rig.plan, &split(0, 100)).await.unwrap();
    for _ in 0..50 {
        assert_eq!(client.get("/x?y=z").await.unwrap().body, "blue");
        assert_eq!(client.post("/x", "body").await.unwrap().body, "blue");
    }
    let counts = &rig.slots.green.counts;
    wait_until("50 copies", DEADLINE, async || counts.copies.load(Ordering::SeqCst) == 50).await;
    assert_eq!(counts.requests.load(Ordering::SeqCst), 0);
    assert_eq!(counts.unsafe_copies.load(Ordering::SeqCst), 0);

    rig.plan.target.host.as_mut().unwrap().nginx.mirror_unsafe_methods = true;
    rig.target.apply(&rig.plan, &split(0, 100)).await.unwrap();
    for _ in 0..20 {
        assert_eq!(client.post("/x", "body").await.unwrap().body, "blue");
    }
    let counts = &rig.slots.green.counts;
    wait_until("20 whole copies", DEADLINE, async || counts.unsafe_copies.load(Ordering::SeqCst) == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_requests_is_copied_and_none_to_where_it_went_already() {
    let mut rig = Rig::start().await;
    rig.target.apply(&rig.plan, &split(50, 50)).await.unwrap();
    let mut client = Client::new(rig.nginx.address());
    let n_requests = 4_000u64;
    let mut n_blue = 0u64;
    for _ in 0..n_requests {
        n_blue += u64::from(client.get("/").await.unwrap().body == "blue");
    }
    let copies = || rig.slots.green.counts.copies.load(Ordering::SeqCst);
    let expected = n_blue / 2;
    wait_until("half of blue's requests as copies", DEADLINE, async || copies().abs_diff(expected) < 150).await;
    rig.target.apply(&rig.plan, &split(50, 0)).await.unwrap();
    let before = copies();
    share_of_green(&rig, 100).await;
    assert_eq!(copies(), before, "no copies without a mirror");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_main_configuration_changes_nothing() {
    let mut rig = Rig::start().await;
    rig.weigh(10).await.unwrap();
    let before = rig.file_text();
    rig.nginx.configure("this_is_no_directive on;");

    let error = rig.weigh(50).await.unwrap_err().to_string();
    assert!(error.contains("unknown directive \"this_is_no_directive\""), "{error}");
    assert!(error.ends_with("the old weights stay"), "{error}");
    assert_eq!(rig.file_text(), before);
    assert_eq!(rig.observe().await.router, Some(green(10)));
    let share = share_of_green(&rig, 2_000).await;
    assert!((share - 10.0).abs() <= 3.0, "{share} %");

    let file = rig.file().display().to_string();
    rig.nginx.configure(&example(&file, rig.nginx.port()));
    rig.weigh(50).await.unwrap();
    assert_eq!(rig.observe().await.router, Some(green(50)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_the_running_nginx_refuses_is_taken_back() {
    let mut rig = Rig::start().await;
    // `nginx -t` does not mind a port that is taken: it could be nginx's own.
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (file, before) = (rig.file().display().to_string(), rig.file_text());
    let second = format!("server {{ listen {}; }}", taken.local_addr().unwrap());
    rig.nginx.configure(&format!("{}\n{second}", example(&file, rig.nginx.port())));

    let error = rig.weigh(100).await.unwrap_err().to_string();
    assert!(
        error.contains("did not take the new configuration") && error.contains("Address already in use"),
        "{error}"
    );
    assert_eq!(rig.file_text(), before);
    assert_eq!(rig.observe().await.router, Some(RouterObserved::all_to(Slot::Blue)));
    assert!(share_of_green(&rig, 300).await < 0.1);

    drop(taken);
    rig.weigh(100).await.unwrap();
    assert!(share_of_green(&rig, 300).await > 99.9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_and_not_loaded_does_not_count() {
    let mut rig = Rig::start().await;
    rig.weigh(10).await.unwrap();
    // As after a controller that died between the file and the reload.
    let servers = Slots::make(|slot| vec![rig.slots.get(slot).address()]);
    fs::write(rig.file(), router_file::render("web", &servers, &green(100), false).unwrap()).unwrap();
    rig.target = open(rig.state.path());
    assert_eq!(rig.observe().await.router, Some(green(10)));

    rig.weigh(100).await.unwrap();
    assert_eq!(rig.observe().await.router, Some(green(100)));
    assert!(share_of_green(&rig, 300).await > 99.9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_by_hand_or_lost_is_written_again() {
    let mut rig = Rig::start().await;
    rig.weigh(10).await.unwrap();
    let written = rig.file_text();
    for change in ["web_green 127.0.0.1:1;", ""] {
        fs::write(rig.file(), change).unwrap();
        assert_eq!(rig.observe().await.router, Some(green(10)));
        rig.weigh(10).await.unwrap();
        assert_eq!(rig.file_text(), written);
    }
    fs::remove_file(rig.file()).unwrap();
    rig.weigh(10).await.unwrap();
    assert_eq!(rig.file_text(), written);
    // Without its memory it reads the file.
    fs::remove_file(rig.state.path().join("router.json")).unwrap();
    rig.target = open(rig.state.path());
    assert_eq!(rig.observe().await.router, Some(green(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_running_nginx_nothing_is_known() {
    let mut rig = Rig::start().await;
    rig.nginx.kill();
    let seen = rig.observe().await;
    assert_eq!(seen.router, None);
    assert!(seen.troubles[0].starts_with("nginx does not run: start it"), "{:?}", seen.troubles);
    assert!(rig.weigh(50).await.is_err());

    rig.plan.target.host.as_mut().unwrap().nginx.program = Some("no-such-nginx".to_owned());
    let seen = rig.observe().await;
    assert!(seen.troubles[0].contains("target.host.nginx.program"), "{:?}", seen.troubles);
}

#[test]
fn names_and_addresses_cannot_break_out_of_the_file() {
    assert_eq!(router_file::prefix("my-api"), "my_api");
    assert_eq!(router_file::prefix("2nd"), "_2nd");
    let render = |address: &str, weights: Slots<u8>| {
        let servers = Slots::make(|_| vec![address.to_owned()]);
        let router = RouterObserved { weights, mirror: Slots::default() };
        router_file::render("web", &servers, &router, false)
    };
    let all = Slots { blue: 100, green: 0 };
    for address in ["127.0.0.1:1; } server {", "127.0.0.1", ":80", "127.0.0.1:0", "a b:1", "127.0.0.1:99999"] {
        assert!(render(address, all).unwrap_err().contains("is no address"), "{address}");
    }
    for address in ["127.0.0.1:8081", "[::1]:8081", "host-1.example:80"] {
        let text = render(address, all).unwrap();
        assert_eq!(router_file::read(&text), Some(RouterObserved::all_to(Slot::Blue)));
    }
    assert!(render("127.0.0.1:1", Slots { blue: 50, green: 49 }).unwrap_err().contains("add up to 100"));
}

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Ports that no outgoing connection is given by the systems we test on (Linux starts at 32768, macOS at 49152), so that a server
/// that was killed can come back on its port.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Waits until `condition` holds, looking every few milliseconds.
///
/// `what` completes the sentence "waited 5s for …" of the panic at the deadline. The deadline is wall time, and a paused tokio clock
/// moves on between two looks, so the helper serves both kinds of test.
///
/// # Panics
/// When `deadline` has passed and the condition, looked at once more, is still false.
pub async fn wait_until(what: &str, deadline: Duration, condition: impl AsyncFnMut() -> bool) {
    assert!(holds_within(deadline, condition).await, "waited {deadline:?} for {what}, in vain");
}

/// True as soon as `condition` holds; false when it still does not at the deadline.
pub(crate) async fn holds_within(deadline: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        let last_look = started.elapsed() >= deadline;
        if condition().await {
            return true;
        }
        if last_look {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// A TCP port on 127.0.0.1 that nothing listens on. Another process may take it before the caller does: retry on a bind error.
///
/// # Panics
/// When 200 random ports in a row are taken.
pub fn free_port() -> u16 {
    (0..200)
        .map(|_| rand::random_range(PORTS))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("no free port on 127.0.0.1 among 200 tried between 15000 and 32000")
}

/// Whether this run asked for the large tests (`cargo xtask test --large`). A test named `large_*` returns at once when it did not, so
/// that a plain `cargo test` stays quick.
pub fn large_tests_wanted() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a switch of the test run, not a setting of the product")]
    std::env::var("SPILLWAY_TEST_LARGE").is_ok_and(|value| value == "1")
}

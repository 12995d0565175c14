//! What an examiner sees of a Redis server, and that it writes nothing there.

use spillway_coordination::examination::{ExaminationError, ServerExaminer, ServerFacts, ServerPart};
use spillway_coordination::{RedisExaminer, RedisSettings};
use spillway_testkit::Redis;

fn examiner(url: &str) -> RedisExaminer {
    RedisExaminer::new(&RedisSettings::at(url)).expect("a URL")
}

async fn ask(redis: &Redis, command: &[&str]) {
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    asked.exec_async(&mut connection).await.expect("an answer");
}

#[tokio::test]
async fn a_server_is_seen_and_left_as_it_was() {
    let redis = Redis::start().await;
    ask(&redis, &["CONFIG", "SET", "maxmemory", "100mb"]).await;
    ask(&redis, &["XADD", "spillway:ready", "*", "d", "x"]).await;
    ask(&redis, &["XADD", "spillway:ready:blue", "*", "d", "x"]).await;
    let mut examiner = examiner(&redis.url());
    match examiner.examine(ServerPart::RoundTrip).await.expect("an answer") {
        ServerFacts::RoundTrip { round_trip, clock_offset_ms } => {
            assert!(!round_trip.is_zero() && clock_offset_ms.abs() < 1_000, "{round_trip:?} {clock_offset_ms}");
        }
        other => panic!("{other:?}"),
    }
    match examiner.examine(ServerPart::Counters).await.expect("an answer") {
        ServerFacts::Counters(counters) => {
            assert!(counters.is_primary && counters.memory_bytes > 0 && counters.clients > 0, "{counters:?}");
            assert_eq!((counters.memory_limit, counters.policy.as_str()), (Some(100 << 20), "noeviction"));
            assert!(counters.version.starts_with(|c: char| c.is_ascii_digit()), "{counters:?}");
        }
        other => panic!("{other:?}"),
    }
    let lengths = [("ready", 1), ("ready:blue", 1), ("ready:green", 0)];
    let expected = ServerFacts::Queues(lengths.map(|(name, n)| (name.to_owned(), n)).to_vec());
    assert_eq!(examiner.examine(ServerPart::Queues).await.expect("an answer"), expected);
    // Not even a probe: both keys of this test are all there is.
    assert!(redis.says("role:master").await);
    ask(&redis, &["DEL", "spillway:ready", "spillway:ready:blue"]).await;
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let left: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await.expect("an answer");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_one_lacks() {
    let redis = Redis::start().await;
    ask(&redis, &["ACL", "SETUSER", "app", "on", ">pw", "~spillway:*", "+time", "+client", "+xlen"]).await;
    let url = redis.url().replace("redis://", "redis://app:pw@");
    let mut examiner = examiner(&url);
    assert!(examiner.examine(ServerPart::RoundTrip).await.is_ok());
    let refused = examiner.examine(ServerPart::Counters).await;
    assert!(matches!(refused, Err(ExaminationError::Forbidden { command: "INFO", .. })), "{refused:?}");
    assert!(examiner.examine(ServerPart::Queues).await.is_ok(), "what is allowed goes on");
    let wrong = RedisExaminer::new(&RedisSettings::at(url.replace(":pw@", ":other@"))).expect("a URL");
    let refused = { wrong }.examine(ServerPart::RoundTrip).await;
    assert!(matches!(refused, Err(ExaminationError::Login(_))), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_away_or_hangs_is_told_and_asked_again() {
    let mut redis = Redis::start().await;
    let mut examiner = examiner(&redis.url());
    assert!(examiner.examine(ServerPart::Counters).await.is_ok());
    redis.kill().await;
    let away = examiner.examine(ServerPart::Counters).await;
    assert!(matches!(away, Err(ExaminationError::Unreachable(_))), "{away:?}");
    redis.restart().await;
    assert!(examiner.examine(ServerPart::Counters).await.is_ok());
    redis.pause();
    let hangs = examiner.examine(ServerPart::Queues).await;
    assert!(matches!(hangs, Err(ExaminationError::Unreachable(_))), "{hangs:?}");
    redis.resume();
    assert!(examiner.examine(ServerPart::Queues).await.is_ok());
}

//! The servers start, die, come back and leave nothing behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use spillway_testkit::{Postgres, Redis, free_port, shared_database, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn postgres_keeps_committed_rows_over_kill_and_stop() {
    let mut postgres = Postgres::start().await;
    let url = postgres.url();
    let first_pid = postgres.pid().expect("runs");
    postgres.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await;

    postgres.kill().await;
    assert_eq!(postgres.pid(), None);
    assert!(TcpStream::connect(address_of(&url)).await.is_err(), "a killed server refuses connections");
    postgres.restart().await;
    assert_eq!(postgres.url(), url);
    assert_ne!(postgres.pid(), Some(first_pid));
    assert_eq!(postgres.query("SELECT n FROM kept").await, "7");

    postgres.stop().await;
    postgres.restart().await;
    assert_eq!(postgres.query("SELECT n FROM kept; SHOW fsync").await, "7\non");
}

#[tokio::test]
async fn dropped_postgres_leaves_no_process_and_no_files() {
    let postgres = Postgres::start().await;
    let (pid, data_dir) = (postgres.pid().expect("runs"), postgres.data_dir().to_owned());
    assert!(data_dir.join("PG_VERSION").exists());
    drop(postgres);
    assert!(!data_dir.exists());
    assert!(!is_running(pid));
}

/// Runs itself in a second process, which starts a server, says so and waits to be killed.
#[tokio::test]
async fn watchdog_kills_the_server_and_removes_its_data_when_its_owner_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "how this test tells its second process what to do")]
    let is_second_process = std::env::var("SPILLWAY_TESTKIT_OWNER").is_ok();
    if is_second_process {
        let postgres = Postgres::start().await;
        println!("\nSERVER {} {}", postgres.pid().expect("runs"), postgres.data_dir().display());
        std::future::pending().await
    }

    let mut owner = Command::new(std::env::current_exe().expect("own program"))
        .args(["--exact", "watchdog_kills_the_server_and_removes_its_data_when_its_owner_is_killed", "--nocapture"])
        .env("SPILLWAY_TESTKIT_OWNER", "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("start a second test process");
    let output = BufReader::new(owner.stdout.take().expect("piped"));
    let line =
        output.lines().map_while(Result::ok).find(|line| line.starts_with("SERVER ")).expect("a line about the server");
    let mut words = line.split(' ').skip(1);
    let pid: u32 = words.next().expect("a pid").parse().expect("a pid");
    let data_dir = Path::new(words.next().expect("a directory"));
    assert!(is_running(pid) && data_dir.exists());

    owner.kill().expect("kill the second process");
    owner.wait().expect("wait for the second process");
    wait_until("the orphaned server's end", DEADLINE, async || !is_running(pid)).await;
    wait_until("its data to be removed", DEADLINE, async || !data_dir.exists()).await;
}

#[tokio::test]
async fn shared_databases_are_empty_separate_and_dropped() {
    let (one, other) = tokio::join!(shared_database(), shared_database());
    one.query("CREATE TABLE t (n int)").await;
    let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(one.query(tables).await, "1");
    assert_eq!(other.query(tables).await, "0");

    let name = one.url().rsplit('/').next().expect("a database name").to_owned();
    drop(one);
    assert_eq!(other.query(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")).await, "0");
}

#[tokio::test]
async fn redis_can_be_flushed_killed_and_restarted() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    assert_eq!(redis_command(&url, "SET kept 1").await.as_deref(), Some("+OK"));
    redis.flush_all().await;
    assert_eq!(redis_command(&url, "EXISTS kept").await.as_deref(), Some(":0"));

    redis.kill().await;
    assert_eq!(redis.pid(), None);
    assert_eq!(redis_command(&url, "PING").await, None);
    redis.restart().await;
    assert_eq!(redis.url(), url);
    assert_eq!(redis_command(&url, "PING").await.as_deref(), Some("+PONG"));
}

#[tokio::test]
async fn paused_redis_hangs_and_resumes() {
    let redis = Redis::start().await;
    redis.pause();
    let url = redis.url();
    let mut answer = tokio::spawn(async move { redis_command(&url, "PING").await });
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut answer).await.is_err(),
        "a stopped server answers nothing"
    );
    redis.resume();
    assert_eq!(answer.await.expect("no panic").as_deref(), Some("+PONG"));
}

#[test]
fn free_port_can_be_bound() {
    assert!(std::net::TcpListener::bind(("127.0.0.1", free_port())).is_ok());
}

#[tokio::test]
#[should_panic(expected = "waited 20ms for the impossible, in vain")]
async fn wait_until_names_what_it_waited_for() {
    wait_until("the impossible", Duration::from_millis(20), async || false).await;
}

#[tokio::test(start_paused = true)]
async fn wait_until_moves_a_paused_clock_on() {
    let started = tokio::time::Instant::now();
    wait_until("an hour", DEADLINE, async || started.elapsed() > Duration::from_secs(30)).await;
}

fn address_of(url: &str) -> String {
    let address = url.rsplit('@').next().expect("an address").trim_start_matches("redis://");
    address.split('/').next().expect("host and port").to_owned()
}

/// False for a process that only waits to be reaped, which some containers never do.
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn redis_command(url: &str, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address_of(url)).await.ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
    let mut answer = [0; 128];
    let n_bytes = stream.read(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer[..n_bytes]).trim_end().to_owned())
}

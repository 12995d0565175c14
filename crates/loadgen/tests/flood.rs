//! Floods against real servers on this machine.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use spillway_loadgen::flood::{Content, Flood, FloodError, FloodReport, Load, RequestPlan, Target};
use spillway_loadgen::metrics::Trend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What the server saw.
#[derive(Default)]
struct Seen {
    requests: AtomicU64,
    bytes: AtomicU64,
    /// Those on which a request came.
    connections: AtomicUsize,
    bodies: Mutex<Vec<Vec<u8>>>,
}

/// What a server does with a request.
struct Reply {
    at: Option<Instant>,
    /// Written one after the other, with time for each to arrive.
    parts: Vec<String>,
    close: bool,
}

type Answer = dyn Fn(u64) -> Reply + Send + Sync;

impl Reply {
    fn now(text: &str) -> Self {
        Self { at: None, parts: vec![text.to_owned()], close: false }
    }

    fn after(wait: Duration) -> Self {
        Self { at: Some(Instant::now() + wait), ..Self::now(OK) }
    }
}

/// A server that knows just enough HTTP; `answer` gets the number of the request.
async fn server(answer: impl Fn(u64) -> Reply + Send + Sync + 'static) -> (SocketAddr, Arc<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Seen::default());
    let answer: Arc<Answer> = Arc::new(answer);
    let own = seen.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, own.clone(), answer.clone()));
        }
    });
    (address, seen)
}

async fn serve(mut tcp: TcpStream, seen: Arc<Seen>, answer: Arc<Answer>) -> Option<()> {
    tcp.set_nodelay(true).ok()?;
    let mut buffer = Vec::new();
    let mut first = true;
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if tcp.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        if std::mem::take(&mut first) {
            seen.connections.fetch_add(1, Ordering::SeqCst);
        }
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let whole = end + length.unwrap_or(0_usize);
        while buffer.len() < whole {
            if tcp.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        seen.bytes.fetch_add(whole as u64, Ordering::SeqCst);
        let number = seen.requests.fetch_add(1, Ordering::SeqCst);
        seen.bodies.lock().push(buffer[end..whole].to_vec());
        buffer.drain(..whole);
        let reply = answer(number);
        if let Some(at) = reply.at {
            tokio::time::sleep_until(at.into()).await;
        }
        for (n, part) in reply.parts.iter().enumerate() {
            if n > 0 {
                tokio::time::sleep(ms(2)).await;
            }
            tcp.write_all(part.as_bytes()).await.ok()?;
        }
        if reply.close {
            return None;
        }
    }
}

/// 4 connections on 2 threads.
fn flood(address: SocketAddr, content: Content) -> Flood {
    let target = Target::parse(&format!("http://{address}/in/test")).expect("a target");
    let plan = RequestPlan { method: None, headers: Vec::new(), content, signing: None };
    let requests = plan.build(&target, 1_790_000_000_000).expect("requests");
    let timeout = Duration::from_secs(5);
    Flood { connections: 4, duration: ms(300), timeout, threads: Some(2), ..Flood::new(target, requests) }
}

async fn run(flood: Flood) -> FloodReport {
    flood.run(&CancellationToken::new(), |_| {}).await.expect("a report")
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn open(rate: f64, most_wait_ms: u64) -> Load {
    Load::Open { rate, most_wait: ms(most_wait_ms) }
}

/// Samples of at least so many milliseconds.
fn above(trend: &Trend, limit_ms: u64) -> u64 {
    trend.buckets().filter(|bucket| bucket.low >= limit_ms * 1_000).map(|bucket| bucket.count).sum()
}

#[tokio::test]
async fn the_report_counts_what_the_server_saw() {
    let (address, seen) = server(|number| match number % 10 {
        3 => Reply::now("HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        5 => Reply::now("HTTP/1.1 204 No Content\r\n\r\n"),
        _ => Reply::now(OK),
    })
    .await;
    let content = Content::Bytes(b"<id>################</id>".to_vec());
    let report = run(flood(address, content)).await;
    let requests = seen.requests.load(Ordering::SeqCst);
    assert!(requests > 50, "{requests} requests in 300 ms");
    assert_eq!((report.requests, report.failed, report.dropped, report.unfinished), (requests, 0, 0, 0));
    assert_eq!(report.bytes.sent, seen.bytes.load(Ordering::SeqCst));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 4, "connections are kept");
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let with = |rest| (0..requests).filter(|number| number % 10 == rest).count() as u64;
    assert_eq!(report.status_codes[&503], with(3));
    assert_eq!(report.status_codes[&204], with(5));
    assert_eq!(report.status_codes.values().sum::<u64>(), requests);
    assert_eq!(report.histograms.latency.count(), requests);
    assert_eq!(report.from_intended_ms.max, None, "nothing was due at a time");
    let bodies: HashSet<_> = seen.bodies.lock().iter().cloned().collect();
    assert_eq!(bodies.len() as u64, requests, "each body is unique");
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(serde_json::from_value::<FloodReport>(json).expect("a report").requests, requests);
}

#[tokio::test]
async fn a_schedule_is_kept_to_the_request_and_every_part_of_the_wait_is_told() {
    let (address, seen) = server(|_| Reply::now(OK)).await;
    let report = run(Flood { load: open(1_000.0, 1_000), duration: ms(500), ..flood(address, Content::Empty) }).await;
    assert_eq!((report.requests, report.failed, report.dropped), (500, 0, 0));
    assert_eq!(seen.requests.load(Ordering::SeqCst), 500);
    assert!((0.5..0.7).contains(&report.duration_s), "{}", report.duration_s);
    let all = &report.histograms;
    assert_eq!((all.latency.count(), all.from_intended.count(), all.start_delay.count()), (500, 500, 500));
    // Each of the three is rounded to the microsecond.
    let gap = all.from_intended.sum().abs_diff(all.latency.sum() + all.start_delay.sum());
    assert!(gap <= 1_000, "{gap} µs");
}

#[tokio::test]
async fn a_server_that_stops_answering_shows_in_the_time_from_due_and_not_in_the_service_time() {
    const STALL_MS: u64 = 600;
    const RATE: u64 = 500;
    let stalled_until = Mutex::new(None);
    let (address, _) = server(move |number| {
        let now = Instant::now();
        let mut until = stalled_until.lock();
        if number == 100 {
            *until = Some(now + ms(STALL_MS));
        }
        Reply { at: until.filter(|until| *until > now), ..Reply::now(OK) }
    })
    .await;
    let load = open(RATE as f64, 5_000);
    let report = run(Flood { load, duration: ms(1_500), ..flood(address, Content::Empty) }).await;
    assert_eq!((report.requests, report.failed, report.dropped), (750, 0, 0));
    let stalled = above(&report.histograms.latency, STALL_MS / 4);
    assert_eq!(stalled, 4, "one for each connection");
    // Falling linearly from T: of R·T requests, those above x are R·(T − x).
    for limit_ms in [100, 200, 300, 400, 500] {
        let expected = RATE * (STALL_MS - limit_ms) / 1_000;
        let found = above(&report.histograms.from_intended, limit_ms);
        assert!(found.abs_diff(expected) <= 12, "{found} above {limit_ms} ms, not {expected}");
    }
    let longest = report.from_intended_ms.max.expect("samples");
    assert!((longest - STALL_MS as f64).abs() < 60.0, "{longest}");
}

#[tokio::test]
async fn a_request_that_finds_no_free_connection_in_time_is_dropped_and_counted() {
    // Each connection answers in 100 ms, so two of them make 20/s of the 100/s.
    let (address, seen) = server(|_| Reply::after(ms(100))).await;
    let load = open(100.0, 50);
    let report = run(Flood { connections: 2, load, duration: ms(1_000), ..flood(address, Content::Empty) }).await;
    assert_eq!(report.requests + report.dropped, 100, "every request of the schedule is accounted for");
    assert_eq!(report.requests, seen.requests.load(Ordering::SeqCst));
    assert!((14..=24).contains(&report.requests), "{}", report.requests);
    let longest = report.start_delay_ms.max.expect("samples");
    assert!((30.0..52.0).contains(&longest), "a request that was sent had waited up to {longest} ms");
}

#[tokio::test]
async fn answers_come_whole_however_they_are_cut_and_however_they_end() {
    let table = [
        (vec!["HTTP/1.1 200 OK\r\nx-a:", " b\r\ncontent-le", "ngth: 4\r\n\r", "\nab", "cd"], false),
        (vec!["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nab", "cd\r", "\n0\r\n", "\r\n"], false),
        (vec!["HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nab", "cd"], true),
        (vec!["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nab"], true),
        (vec!["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nab"], true),
    ];
    for (parts, close) in table {
        let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
        let own = parts.clone();
        let (address, seen) = server(move |_| Reply { at: None, parts: own.clone(), close }).await;
        let report = run(Flood { load: open(40.0, 1_000), duration: ms(250), ..flood(address, Content::Empty) }).await;
        assert_eq!((report.requests, report.failed), (10, 0), "{parts:?}: {:?}", report.errors);
        assert_eq!(report.status_codes[&200], 10);
        let connections = seen.connections.load(Ordering::SeqCst);
        assert!(if close { connections == 10 } else { connections <= 4 }, "{parts:?}: {connections}");
    }
}

#[tokio::test]
async fn failures_are_counted_by_kind_and_the_connection_is_opened_again() {
    let (address, seen) = server(|number| match number {
        1 => Reply { close: true, ..Reply::now("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort") },
        2 => Reply::now("SMTP ready\r\n"),
        3 => Reply::after(Duration::from_secs(60)),
        _ => Reply::now(OK),
    })
    .await;
    let (load, timeout) = (open(50.0, 1_000), ms(200));
    let report = run(Flood { timeout, load, duration: ms(400), ..flood(address, Content::Empty) }).await;
    assert_eq!((report.requests, report.failed, report.dropped), (17, 3, 0), "{:?}", report.errors);
    assert_eq!(report.requests + report.failed, seen.requests.load(Ordering::SeqCst));
    let errors: Vec<_> = report.errors.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(errors, [("closed", 1), ("protocol", 1), ("timeout", 1)]);
    let longest = report.latency_ms.max.expect("samples");
    assert!((200.0..300.0).contains(&longest), "what ran out of time counts as its limit: {longest}");
}

#[tokio::test]
async fn a_server_that_goes_away_costs_errors_and_neither_a_hang_nor_a_storm_of_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        // The probe and the first connections, which are dropped; then nobody listens.
        for _ in 0..5 {
            drop(listener.accept().await);
        }
    });
    let report = run(Flood { duration: ms(500), ..flood(address, Content::Empty) }).await;
    assert_eq!(report.requests, 0);
    assert!(report.errors["refused"] >= 4, "{:?}", report.errors);
    let all: u64 = report.errors.values().sum();
    assert!(all < 100, "pauses grow between attempts: {:?}", report.errors);
}

#[tokio::test]
async fn a_large_body_goes_out_in_pieces_and_arrives_whole() {
    let (address, seen) = server(|_| Reply::now(OK)).await;
    let size = 8 * 1024 * 1024;
    let (load, content) = (open(10.0, 1_000), Content::Generated(size));
    let report = run(Flood { load, duration: ms(300), ..flood(address, content) }).await;
    assert_eq!((report.requests, report.failed), (3, 0), "{:?}", report.errors);
    assert_eq!(report.bytes.sent, seen.bytes.load(Ordering::SeqCst));
    let bodies: HashSet<_> = seen.bodies.lock().drain(..).collect();
    assert_eq!(bodies.iter().map(Vec::len).collect::<Vec<_>>(), [size; 3], "each is unique");
}

#[tokio::test]
async fn a_flood_against_nobody_ends_before_it_begins_and_says_what_to_do() {
    let address = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let begun = Instant::now();
    let outcome = flood(address, Content::Empty).run(&CancellationToken::new(), |_| {}).await;
    let error = outcome.expect_err("nobody is there");
    assert!(matches!(error, FloodError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("start the server"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_by_name() {
    type Change = fn(&mut Flood);
    let table: [(&str, Change); 6] = [
        ("connections", |flood| flood.connections = 0),
        ("threads", |flood| flood.threads = Some(0)),
        ("rate", |flood| flood.load = open(0.0, 1)),
        ("rate", |flood| flood.load = open(f64::NAN, 1)),
        ("duration", |flood| flood.duration = Duration::ZERO),
        ("timeout", |flood| flood.timeout = Duration::MAX),
    ];
    for (name, change) in table {
        let mut flood = flood(([127, 0, 0, 1], 9).into(), Content::Empty);
        change(&mut flood);
        let error = flood.run(&CancellationToken::new(), |_| {}).await.expect_err(name).to_string();
        assert!(error.starts_with(name), "{error}");
    }
    for url in ["localhost:80/x", "ftp://a/", "http://", "http://u:p@a/"] {
        let error = Target::parse(url).expect_err(url).to_string();
        assert!(error.contains("http://HOST:PORT/PATH"), "{error}");
    }
}

#[tokio::test]
async fn an_interrupted_flood_ends_soon_and_accounts_for_what_it_did_not_send() {
    // The first request is under way for ever, the others wait.
    let (address, seen) = server(|_| Reply::after(Duration::from_secs(60))).await;
    let stop = CancellationToken::new();
    let minute = Duration::from_secs(60);
    let load = Load::Open { rate: 100.0, most_wait: minute };
    let flood = Flood { connections: 1, load, duration: minute, timeout: minute, ..flood(address, Content::Empty) };
    let begun = Instant::now();
    let mut seconds = 0;
    let report = flood.run(&stop, |second| {
        seconds = second.number;
        stop.cancel();
    });
    let report = report.await.expect("a report");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(seen.requests.load(Ordering::SeqCst), 1);
    assert_eq!((report.requests, report.failed, report.unfinished), (0, 0, 1));
    assert!((95..=130).contains(&report.dropped), "{} were due in the first second", report.dropped);
    assert!(seconds >= 1);
}

#[tokio::test]
async fn http2_and_a_schedule_go_together() {
    let app = axum::Router::new().fallback(|body: axum::body::Bytes| async move { body });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (load, content) = (open(200.0, 1_000), Content::Generated(100));
    let report = run(Flood { http2: true, load, duration: ms(250), ..flood(address, content) }).await;
    assert_eq!((report.requests, report.failed, report.dropped), (50, 0, 0), "{:?}", report.errors);
    assert_eq!(report.status_codes[&200], 50);
    assert_eq!(report.histograms.from_intended.count(), 50);
}

//! Looks at everything at once, each thing bounded in time, and has it judged.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use spillway_coordination::examination::{ServerExaminer, ServerPart};
use spillway_model::Clock;
use spillway_report::text::span;
use spillway_store::examination::{Examiner, Facts, Part};
use spillway_store::{EXAMINE_TIMEOUT, StoreError};
use tokio::time::{Instant, timeout_at};

use crate::certificates::{self, CertificateFile};
use crate::judge::{self, Context, Limits};
use crate::scrape::Scrape;
use crate::{Check, Finding, Report, host};

/// What is added to the time that a database has for itself before it is given up.
const GRACE: Duration = Duration::from_secs(1);
/// A connection, with everything that may be asked on the way to it.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(3);

/// What is asked of a running node.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Status and text of the answer to a `GET`, or why there is none.
    async fn get(&self, path: &str) -> Result<(u16, String), String>;
}

/// A database to look at.
pub struct Database {
    /// Its place, without a password.
    pub shown: String,
    /// Connects.
    pub connecting: BoxFuture<'static, Result<Box<dyn Examiner>, StoreError>>,
}

/// A Redis server to look at.
pub struct Redis {
    /// Its place, without a password.
    pub shown: String,
    /// Looks.
    pub examiner: Box<dyn ServerExaminer>,
}

/// A node to look at.
pub struct Node {
    /// Where it is; `None` when nobody said.
    pub url: Option<String>,
    /// Asks it, or why it cannot be asked.
    pub probe: Result<Box<dyn Probe>, String>,
}

/// Everything that is looked at.
pub struct Subject {
    /// The database that events are kept in.
    pub store: Database,
    /// Its replica, if one is set.
    pub replica: Option<Database>,
    /// Redis, if it is set.
    pub redis: Option<Redis>,
    /// The node.
    pub node: Node,
    /// A folder on the volume that matters.
    pub folder: PathBuf,
    /// Files with certificates.
    pub certificates: Vec<CertificateFile>,
    /// Limits of the settings.
    pub limits: Limits,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Looks at all of it for at most `longest`. What is not known by then is unknown.
pub async fn examine(subject: Subject, longest: Duration) -> Report {
    let begun = Instant::now();
    let deadline = begun + longest;
    let Subject { store, replica, redis, node, folder, certificates, limits, clock } = subject;
    let at = clock.now();
    let mut places = vec![store.shown.clone()];
    places.extend(replica.iter().map(|replica| replica.shown.clone()));
    places.extend(redis.iter().map(|redis| redis.shown.clone()));
    places.extend(node.url.clone());
    let context = |database: &Database| Context { shown: database.shown.clone(), now: at, limits };
    let of_store = context(&store);
    let replica = async {
        match replica {
            Some(replica) => look_at_replica(replica, &limits, at, deadline).await,
            None => Vec::new(),
        }
    };
    let redis = async {
        match redis {
            Some(redis) => look_at_redis(redis, &limits, deadline).await,
            None => Vec::new(),
        }
    };
    let machine = async {
        match timeout_at(deadline, host::read(folder)).await {
            Ok(machine) => judge::host(&machine, &limits),
            Err(_) => vec![Finding::unknown(Check::Disk, "the machine did not answer in time")],
        }
    };
    let (store, replica, redis, node, machine, certificates) = tokio::join!(
        look_at_database(store, &of_store, deadline),
        replica,
        redis,
        look_at_node(node, at as f64 / 1e3, &limits, deadline),
        machine,
        look_at_certificates(certificates, at, deadline),
    );
    let findings = [store, replica, redis, node, machine, certificates].concat();
    Report::new(findings, places, at, begun.elapsed())
}

/// The outcome, or that it took too long: at most `longest`, and never beyond the deadline.
async fn limited<T>(deadline: Instant, longest: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let begun = Instant::now();
    let late = |_| format!("no answer within {}", span(begun.elapsed().as_secs_f64() * 1e3));
    timeout_at(deadline.min(begun + longest), work).await.map_err(late)
}

async fn look_at_database(database: Database, context: &Context, deadline: Instant) -> Vec<Finding> {
    let mut examiner = match limited(deadline, CONNECT, database.connecting).await {
        Ok(Ok(examiner)) => examiner,
        Ok(Err(error)) => return vec![judge::unreachable(&context.shown, &error)],
        Err(late) => {
            let summary = format!("{} cannot be opened: {late}", context.shown);
            return vec![Finding::new(Check::Database, crate::Verdict::Critical, summary)];
        }
    };
    let mut findings = Vec::new();
    let mut has_schema = true;
    for part in examiner.parts() {
        if !has_schema && reads_own_tables(*part) {
            continue;
        }
        match limited(deadline, EXAMINE_TIMEOUT + GRACE, examiner.examine(*part)).await {
            Ok(Ok(facts)) => {
                if let Facts::Server(server) = &facts {
                    has_schema = server.schema.is_some();
                }
                findings.extend(judge::database(&facts, context));
            }
            Ok(Err(error)) => findings.push(judge::unreadable(*part, &error, &context.shown)),
            Err(late) => findings.push(Finding::unknown(judge::check_of(*part), late)),
        }
    }
    // Nothing depends on a farewell.
    drop(limited(deadline, GRACE, examiner.close()).await);
    findings
}

async fn look_at_replica(
    database: Database,
    limits: &Limits,
    now: spillway_model::UnixMillis,
    deadline: Instant,
) -> Vec<Finding> {
    let context = Context { shown: database.shown.clone(), now, limits: *limits };
    let findings = look_at_database(database, &context, deadline).await;
    // A replica that is away costs the primary reads, and nothing else.
    let as_replica = |finding: Finding| match finding.check {
        Check::Database => Finding {
            check: Check::Replica,
            verdict: crate::Verdict::Warning,
            runbook: Check::Replica.runbook().to_owned(),
            ..finding
        },
        _ => finding,
    };
    findings.into_iter().map(as_replica).collect()
}

/// Parts that need the schema.
fn reads_own_tables(part: Part) -> bool {
    matches!(part, Part::Queue | Part::DeadLetters | Part::Rollouts | Part::Indexes)
}

async fn look_at_redis(mut redis: Redis, limits: &Limits, deadline: Instant) -> Vec<Finding> {
    let mut findings = Vec::new();
    for part in ServerPart::ALL {
        match limited(deadline, CONNECT, redis.examiner.examine(part)).await {
            Ok(Ok(facts)) => findings.extend(judge::redis(&facts, &redis.shown, limits)),
            Ok(Err(error)) => {
                let finding = judge::redis_failed(part, &error, &redis.shown);
                let is_away = finding.check == Check::Redis;
                findings.push(finding);
                if is_away {
                    break;
                }
            }
            Err(late) => findings.push(Finding::unknown(judge::redis_check_of(part), late)),
        }
    }
    findings
}

async fn look_at_node(node: Node, now_s: f64, limits: &Limits, deadline: Instant) -> Vec<Finding> {
    let url = node.url.as_deref();
    let probe = match node.probe {
        Ok(probe) => probe,
        Err(reason) => return vec![judge::no_gateway(url, &reason)],
    };
    let begun = Instant::now();
    let first = limited(deadline, ANSWER, probe.get("/health")).await.and_then(|answer| answer);
    if let Err(reason) = first {
        return vec![judge::no_gateway(url, &reason)];
    }
    // The first one also connected.
    let connected = begun.elapsed();
    let mut findings = vec![match round_trip(probe.as_ref(), deadline).await {
        Ok(trip) => judge::gateway_latency(trip, connected),
        Err(late) => Finding::unknown(Check::GatewayLatency, late),
    }];
    match limited(deadline, ANSWER, probe.get("/metrics")).await.and_then(|answer| answer) {
        Ok((200, text)) => {
            let scrape = Scrape::read(&text);
            if scrape.is_of_spillway() {
                findings.extend(judge::gateway(&scrape, url.unwrap_or_default(), now_s, limits));
            } else {
                findings.push(judge::no_gateway(url, "it answers, but not as a Spillway gateway does"));
            }
        }
        Ok((status, _)) => findings.push(judge::no_gateway(url, &format!("/metrics answered {status}"))),
        Err(reason) => findings.push(judge::no_gateway(url, &reason)),
    }
    findings
}

/// Median of a few answers.
async fn round_trip(probe: &dyn Probe, deadline: Instant) -> Result<Duration, String> {
    let mut trips = Vec::with_capacity(5);
    for _ in 0..5 {
        let begun = Instant::now();
        limited(deadline, ANSWER, probe.get("/health")).await.and_then(|answer| answer)?;
        trips.push(begun.elapsed());
    }
    trips.sort_unstable();
    Ok(trips[2])
}

async fn look_at_certificates(
    files: Vec<CertificateFile>,
    now: spillway_model::UnixMillis,
    deadline: Instant,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let reading = file.clone();
        let read = tokio::task::spawn_blocking(move || certificates::read(&reading));
        let read = match limited(deadline, ANSWER, read).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) => Err("reading it ended badly".to_owned()),
            Err(late) => Err(late),
        };
        findings.push(judge::certificate(&file, &read, now));
    }
    findings
}

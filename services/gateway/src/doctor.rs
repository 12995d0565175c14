//! `spillway doctor`: what the settings name is handed to the doctor, and its report printed.

mod probe;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use spillway_coordination::{InvalidRedisUrl, RedisExaminer, RedisSettings};
use spillway_doctor::certificates::CertificateFile;
use spillway_doctor::examine::Node;
use spillway_doctor::{Database, Limits, Probe, Redis, Report, Subject, render};
use spillway_model::SystemClock;
use spillway_settings::{HttpUrl, Settings, StoreUrl};
use spillway_store::Examiner;
use spillway_store::postgres::PostgresExaminer;
use spillway_store::sqlite::SqliteExaminer;

use crate::arguments::ServeOptions;
use crate::commands::{EXIT_USAGE, fail};

pub(crate) const AFTER_HELP: &str = "\
Exit codes, of the worst finding, as monitoring plugins have them:
  0  all is well
  1  something to look at (look; in JSON: warning)
  2  something to act on (act; in JSON: critical)
  3  something is not known, and nothing is worse
 64  arguments or settings cannot be used

Examples:
  spillway doctor
  spillway doctor --config /etc/spillway/spillway.toml --url https://hooks.example.com
  spillway doctor --output markdown > doctor.md
  spillway doctor --output json | jq '.findings[] | select(.verdict == \"critical\")'";

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    #[command(flatten)]
    settings: ServeOptions,
    /// A running gateway [default: where the settings say that it listens]
    #[arg(long, env = "SPILLWAY_URL", value_parser = url)]
    url: Option<HttpUrl>,
    /// Longest time for all of it, from 1s to 10m; what is not known by then is unknown
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    deadline: Duration,
    /// How to print: for a terminal, for scripts, or for a document
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Markdown,
}

fn url(text: &str) -> Result<HttpUrl, String> {
    text.parse().map_err(|_| "write http://HOST[:PORT] or https://HOST[:PORT], without user and password".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    let allowed = Duration::from_secs(1)..=Duration::from_secs(600);
    time.filter(|time| allowed.contains(time)).ok_or_else(|| "write a time from 1s to 10m, such as 30s".to_owned())
}

pub(crate) fn run(options: &DoctorOptions) -> ExitCode {
    let settings = match Settings::load(&options.settings.load_args()) {
        Ok(loaded) => loaded.settings,
        Err(errors) => return fail(EXIT_USAGE, &errors),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let report = runtime.block_on(async {
        let subject = subject(&settings, options)?;
        Ok::<_, InvalidRedisUrl>(spillway_doctor::examine(subject, options.deadline).await)
    });
    // A thread that hangs on a volume must not hold the report up.
    runtime.shutdown_background();
    match report {
        Ok(report) => print(&report, options.output),
        Err(error) => fail(EXIT_USAGE, &error),
    }
}

fn print(report: &Report, format: Format) -> ExitCode {
    let text = match format {
        Format::Table => Ok(render::screen(report)),
        Format::Markdown => Ok(render::markdown(report)),
        Format::Json => render::json(report).map(|text| text + "\n"),
    };
    match text {
        Ok(text) => {
            // A closed pipe (`spillway doctor | head`) is no error.
            let _ = anstream::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(report.verdict.exit_code())
        }
        Err(error) => fail(1, &error),
    }
}

/// What the settings name. Must be called on a runtime.
fn subject(settings: &Settings, options: &DoctorOptions) -> Result<Subject, InvalidRedisUrl> {
    let redis = match &settings.redis.url {
        None => None,
        Some(url) => {
            let key_prefix = settings.redis.key_prefix.clone();
            let examiner = RedisExaminer::new(&RedisSettings { key_prefix, ..RedisSettings::at(url.expose()) })?;
            Some(Redis { shown: url.to_string(), examiner: Box::new(examiner) })
        }
    };
    Ok(Subject {
        store: database(&settings.store.url),
        replica: settings.store.replica_url.as_ref().and_then(replica),
        redis,
        node: node(settings, options.url.clone()),
        folder: match &settings.store.url {
            StoreUrl::Sqlite(_) => settings.store.data_dir.clone(),
            StoreUrl::Postgres(_) => PathBuf::from("."),
        },
        certificates: certificates(settings),
        limits: Limits {
            pool_warning_ratio: settings.store.pool_warn_ratio,
            pool_critical_ratio: settings.store.pool_critical_ratio,
            node_connections: settings.store.max_connections(),
            intake_queue: settings.intake.queue,
            ready_queue: settings.delivery.ready_queue,
            node_clients: settings.server.max_connections,
            replica_max_lag: settings.store.replica_max_lag,
        },
        clock: Arc::new(SystemClock),
    })
}

fn database(url: &StoreUrl) -> Database {
    let shown = url.to_string();
    match url.clone() {
        StoreUrl::Sqlite(path) => Database {
            shown,
            connecting: Box::pin(async move { Ok(Box::new(SqliteExaminer::open(&path).await?) as Box<dyn Examiner>) }),
        },
        StoreUrl::Postgres(url) => Database {
            shown,
            connecting: Box::pin(async move {
                Ok(Box::new(PostgresExaminer::connect(url.expose()).await?) as Box<dyn Examiner>)
            }),
        },
    }
}

fn replica(url: &StoreUrl) -> Option<Database> {
    // The settings refuse a SQLite database as a replica.
    let StoreUrl::Postgres(secret) = url.clone() else { return None };
    let connecting = Box::pin(async move {
        Ok(Box::new(PostgresExaminer::connect_to_replica(secret.expose()).await?) as Box<dyn Examiner>)
    });
    Some(Database { shown: url.to_string(), connecting })
}

fn certificates(settings: &Settings) -> Vec<CertificateFile> {
    let tls = settings.server.tls.iter();
    let served = tls.map(|tls| CertificateFile { path: tls.certificate.clone(), setting: "server.tls.certificate" });
    let authorities = settings.delivery.ca_file.iter();
    let trusted = authorities.map(|path| CertificateFile { path: path.clone(), setting: "delivery.ca_file" });
    served.chain(trusted).collect()
}

fn node(settings: &Settings, given: Option<HttpUrl>) -> Node {
    let url = given.map(|url| url.to_string()).or_else(|| own_url(settings));
    let probe = match &url {
        None => Err("the settings leave the port to the system".to_owned()),
        Some(url) => probe::HttpProbe::new(url).map(|probe| Box::new(probe) as Box<dyn Probe>),
    };
    Node { url, probe }
}

/// Where the settings say that a gateway on this machine listens. With TLS its certificate is for the name that senders use.
fn own_url(settings: &Settings) -> Option<String> {
    let server = &settings.server;
    match (&server.public_url, &server.tls) {
        (Some(public), Some(_)) => Some(public.to_string()),
        (None, Some(_)) => (server.listen.port() != 0).then(|| format!("https://{}", reachable(server.listen))),
        (_, None) => (server.listen.port() != 0).then(|| format!("http://{}", reachable(server.listen))),
    }
}

/// An address that can be connected to: a server that listens on all of them is on the loopback, too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;

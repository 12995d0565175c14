//! The target's own metrics.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::exposition::{self, Reading};
use super::recording::{Rate, Recording, Step};
use super::{ObserveError, unit};
use crate::fetch::{Answer, FetchError, Server, shown};

/// Longest time of one look.
const TIMEOUT: Duration = Duration::from_secs(2);

const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What most client libraries expose of their process, and what it is called here.
const USUAL: &[(&str, &str)] = &[
    ("process_cpu_seconds_total", "cpu"),
    ("process_resident_memory_bytes", "memory"),
    ("process_open_fds", "open files"),
];

/// One address of metrics.
pub(super) struct Scrape {
    server: Server,
    url: Url,
    metrics: Vec<Wanted>,
    looks: u64,
    failures: u64,
    last_failure: Option<FetchError>,
}

struct Wanted {
    metric: String,
    name: String,
    /// Named by the user, who wants to hear when it is not there.
    asked_for: bool,
    seen: bool,
    rate: Rate,
}

impl Scrape {
    /// Looks at `url` once. Also returns what is missing there.
    pub(super) async fn open(url: &Url, names: &[String]) -> Result<(Self, Vec<String>), ObserveError> {
        let problem = |reason: String| ObserveError::Metrics { url: shown(url), reason };
        let mut server = Server::new(url, TIMEOUT).map_err(|_| problem("it is not http:// or https://".to_owned()))?;
        let Answer { text, .. } = server.get(url, ACCEPT).await.map_err(|error| problem(error.to_string()))?;
        let there = exposition::names(&text);
        if there.is_empty() {
            return Err(problem("the answer has no metric in the text form of Prometheus or OpenMetrics".to_owned()));
        }
        let nearest = |name: &str| {
            let likeness = |other: &&str| (strsim::jaro_winkler(name, other) * 1e6) as u64;
            there.iter().max_by_key(|other| likeness(other)).copied().unwrap_or_default()
        };
        let missing = names.iter().filter(|name| !there.contains(name.as_str()));
        let warnings = missing
            .map(|name| format!("{} has no metric {name} yet; the nearest is {}", shown(url), nearest(name)))
            .collect();
        let usual = USUAL.iter().map(|(metric, name)| Wanted::new(metric, name, false));
        let asked_for = names.iter().map(|name| Wanted::new(name, name, true));
        let metrics = usual.chain(asked_for).collect();
        Ok((Self { server, url: url.clone(), metrics, looks: 0, failures: 0, last_failure: None }, warnings))
    }

    pub(super) fn source(&self) -> String {
        format!("metrics {}", shown(&self.url))
    }

    /// Takes a reading. A target that does not answer is only counted: it may come back.
    pub(super) async fn sample(&mut self, origin: Instant, recording: &mut Recording) {
        let answer = self.server.get(&self.url, ACCEPT).await;
        self.looks += 1;
        let Answer { text, cut_off } = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.failures += 1;
                self.last_failure = Some(error);
                return;
            }
        };
        if cut_off {
            recording.warn("the metrics are longer than 1 MiB, and only that much of them was read");
        }
        let now = Instant::now();
        let at = now.saturating_duration_since(origin);
        let names: Vec<&str> = self.metrics.iter().map(|wanted| wanted.metric.as_str()).collect();
        let readings = exposition::read(&text, &names);
        for (wanted, reading) in self.metrics.iter_mut().zip(readings) {
            let Some(Reading { value, is_counter }) = reading else { continue };
            wanted.seen = true;
            if !is_counter {
                let (unit, factor) = unit::of_gauge(&wanted.metric);
                recording.record(&wanted.name, unit, at, value * factor);
                continue;
            }
            let (unit, factor) = unit::of_counter(&wanted.metric);
            match wanted.rate.step(now, value) {
                Step::Gained(gained) => recording.record(&wanted.name, unit, at, gained * factor),
                Step::First => {}
                Step::Fell => recording.warn("a counter began again: the target was restarted during the run"),
            }
        }
    }

    /// Tells what was not measured.
    pub(super) fn end(&self, recording: &mut Recording) {
        if let Some(error) = &self.last_failure {
            recording.warn(format!("{} of {} looks failed; the last: {error}", self.failures, self.looks));
        }
        if self.failures == self.looks {
            return;
        }
        for wanted in self.metrics.iter().filter(|wanted| wanted.asked_for && !wanted.seen) {
            recording.warn(format!("the metric {} was not there during the run", wanted.metric));
        }
    }
}

impl Wanted {
    fn new(metric: &str, name: &str, asked_for: bool) -> Self {
        Self { metric: metric.to_owned(), name: name.to_owned(), asked_for, seen: false, rate: Rate::default() }
    }
}

//! Retention: removes what is old in small rounds, with rests between them so that intake does not notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::{Clock, Configuration, Retention};
use spillway_settings::RetentionSettings;
use spillway_store::{ExpireLimits, Expired, RetentionPolicy, Store, StoreError};
use spillway_telemetry::{Metrics, Removed};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;

/// Between two looks when there was nothing left to remove.
const PASS: Duration = Duration::from_secs(60);
/// When the first one is: a start has other things to do.
const FIRST: Duration = Duration::from_secs(5);

/// Removes what is older than the settings and the sources' own rules say, until it is stopped.
pub(super) fn start(
    parts: &Parts,
    settings: &RetentionSettings,
    configuration: watch::Receiver<Arc<Configuration>>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let runner = Runner {
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        metrics: parts.metrics.clone(),
        default: rule(settings),
        configuration,
    };
    tokio::spawn(async move {
        // A round that is cut off was not written, or is whole.
        let _ = stop.run_until_cancelled_owned(runner.run()).await;
    })
}

fn rule(settings: &RetentionSettings) -> Retention {
    Retention {
        events_ms: settings.events.milliseconds(),
        payloads_ms: settings.payloads.milliseconds(),
        attempts_ms: settings.attempts.milliseconds(),
    }
}

struct Runner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    default: Retention,
    configuration: watch::Receiver<Arc<Configuration>>,
}

impl Runner {
    async fn run(self) {
        tokio::time::sleep(FIRST).await;
        let mut pace = Pace::default();
        let mut pass = Expired::default();
        loop {
            let begun = Instant::now();
            let rest = match self.round(pace.rows).await {
                Ok(expired) => {
                    self.count(expired);
                    pass += Expired { more: false, ..expired };
                    let elapsed = begun.elapsed();
                    self.metrics.retention_round.observe(elapsed);
                    if expired.more { pace.after(elapsed) } else { PASS }
                }
                Err(error) if error.is_transient() => {
                    tracing::debug!(code = error.code(), %error, "a round of retention gave way; the next one is in a minute");
                    PASS
                }
                Err(error) => {
                    tracing::warn!(code = error.code(), %error, "retention could not remove anything; it is tried again in a minute");
                    PASS
                }
            };
            if rest == PASS {
                report(std::mem::take(&mut pass));
            }
            tokio::time::sleep(rest).await;
        }
    }

    async fn round(&self, rows: usize) -> Result<Expired, StoreError> {
        let policy = policy(self.default, &self.configuration.borrow());
        self.store.expire(policy, ExpireLimits { now: self.clock.now(), rows }).await
    }

    fn count(&self, expired: Expired) {
        for (what, count) in [
            (Removed::Events, expired.events),
            (Removed::Payloads, expired.payloads),
            (Removed::Attempts, expired.attempts),
            (Removed::Partitions, expired.partitions),
        ] {
            self.metrics.retention_removed.get(what).inc_by(count);
        }
    }
}

/// The server's rule and those of sources that have one.
fn policy(default: Retention, configuration: &Configuration) -> RetentionPolicy {
    let own = configuration.sources.iter().filter_map(|source| Some((source.id, source.retention?)));
    RetentionPolicy { default, sources: own.collect::<HashMap<_, _>>() }
}

fn report(Expired { events, payloads, attempts, partitions, .. }: Expired) {
    if events + payloads + attempts + partitions > 0 {
        tracing::info!(events, payloads, attempts, partitions, "retention removed what was old enough");
    }
}

/// How much a round takes, so that it is over in a few milliseconds, and how long the rest behind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    rows: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: Self::FEWEST }
    }
}

impl Pace {
    const FEWEST: usize = 100;
    const MOST: usize = 2_000;
    /// A round that takes longer was too large, or came at a bad time.
    const LONG: Duration = Duration::from_millis(3);
    /// A round that takes less may be larger.
    const SHORT: Duration = Duration::from_millis(1);
    /// The rest is so many times as long as the round was.
    const REST: u32 = 3;
    const SHORTEST_REST: Duration = Duration::from_millis(10);
    const LONGEST_REST: Duration = Duration::from_secs(1);

    /// Learns from a round, and says how long to rest.
    fn after(&mut self, elapsed: Duration) -> Duration {
        if elapsed > Self::LONG {
            self.rows = (self.rows / 2).max(Self::FEWEST);
        } else if elapsed < Self::SHORT {
            self.rows = (self.rows + self.rows / 4).min(Self::MOST);
        }
        (elapsed * Self::REST).clamp(Self::SHORTEST_REST, Self::LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use spillway_model::{Name, Source, SourceId};

    use super::*;

    fn source(n: u128, retention: Option<Retention>) -> Source {
        let name: Name = format!("source-{n}").parse().expect("a name");
        let document = serde_json::json!({ "id": SourceId::from_u128(n), "name": name, "provider": "none" });
        Source { retention, ..serde_json::from_value(document).expect("a source") }
    }

    #[test]
    fn sources_have_their_own_rules_and_the_others_that_of_the_settings() {
        let own = Retention { payloads_ms: Some(5), ..Retention::default() };
        let sources = vec![source(1, None), source(2, Some(own))];
        let policy =
            policy(rule(&RetentionSettings::default()), &Configuration { sources, ..Configuration::default() });
        let days_90 = Retention { events_ms: Some(90 * 86_400_000), ..Retention::default() };
        assert_eq!(policy, RetentionPolicy { default: days_90, sources: [(SourceId::from_u128(2), own)].into() });
    }

    #[test]
    fn rounds_grow_while_they_are_short_shrink_when_they_are_long_and_are_followed_by_a_rest() {
        let ms = Duration::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.after(Duration::ZERO), ms(10));
        for _ in 0..100 {
            pace.after(Duration::ZERO);
        }
        assert_eq!(pace.rows, Pace::MOST);
        assert_eq!((pace.after(ms(3)), pace.rows), (ms(10), Pace::MOST));
        assert_eq!((pace.after(ms(100)), pace.rows), (ms(300), Pace::MOST / 2));
        for _ in 0..10 {
            assert_eq!(pace.after(Duration::from_secs(9)), Duration::from_secs(1));
        }
        assert_eq!(pace.rows, Pace::FEWEST);
    }
}

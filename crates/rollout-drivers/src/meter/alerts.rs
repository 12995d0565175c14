//! Alerts that fire.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use spillway_rollout::spec::{Alerts, AlertsFrom};

use super::prometheus::{self, Prometheus};
use super::readings::Asked;
use super::selector::quoted;

/// Names that are passed on; more say no more.
const MOST_NAMES: usize = 50;

/// An alert of Alertmanager.
#[derive(Deserialize)]
struct OfAlertmanager {
    labels: BTreeMap<String, String>,
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    state: String,
}

/// Names of the alerts that fire and have the labels, each once.
pub(super) async fn firing(asked: &Asked<'_>, wanted: &Alerts) -> Result<Vec<String>, String> {
    let found: Vec<BTreeMap<String, String>> = match wanted.from {
        AlertsFrom::Alertmanager => {
            let url = wanted.url.as_deref().ok_or("alerts from alertmanager need its address: give alerts.url")?;
            of_alertmanager(asked, url, &wanted.labels).await?
        }
        AlertsFrom::Prometheus => of_prometheus(asked, wanted).await?,
    };
    // The server was asked for them; it is cheap to be sure.
    let has_all = |labels: &BTreeMap<String, String>| {
        wanted.labels.iter().all(|(name, value)| labels.get(name).map_or("", String::as_str) == value)
    };
    let names = found.into_iter().filter(has_all);
    let names = names.map(|mut labels| labels.remove("alertname").unwrap_or_else(|| "without a name".to_owned()));
    Ok(names.collect::<BTreeSet<_>>().into_iter().take(MOST_NAMES).collect())
}

/// Silenced and inhibited ones do not fire.
async fn of_alertmanager(
    asked: &Asked<'_>,
    url: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<BTreeMap<String, String>>, String> {
    let filters: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    let mut question = vec![("active", "true"), ("silenced", "false"), ("inhibited", "false")];
    question.extend(filters.iter().map(|filter| ("filter", filter.as_str())));
    let base = prometheus::base(url)?;
    let answer = prometheus::ask(asked.http, &base, "api/v2/alerts", &question, None, asked.timeout).await?;
    let origin = base.origin().ascii_serialization();
    if !answer.status.is_success() {
        return Err(format!("Alertmanager at {origin} answered {}", answer.status));
    }
    let alerts: Vec<OfAlertmanager> = serde_json::from_slice(&answer.body)
        .map_err(|_| format!("{origin} does not answer as an Alertmanager does"))?;
    Ok(alerts.into_iter().filter(|alert| alert.status.state != "suppressed").map(|alert| alert.labels).collect())
}

async fn of_prometheus(asked: &Asked<'_>, wanted: &Alerts) -> Result<Vec<BTreeMap<String, String>>, String> {
    let of_plan = asked.plan.analysis.prometheus.as_ref().map(|source| source.url.as_str());
    // The token is for the plan's server alone.
    let prometheus = match wanted.url.as_deref().filter(|url| Some(*url) != of_plan) {
        Some(url) => Prometheus::anonymous(asked.http, url, asked.timeout)?,
        None => asked.prometheus().await?,
    };
    let alerts = prometheus.alerts().await?;
    Ok(alerts.into_iter().filter(|alert| alert.state == "firing").map(|alert| alert.labels).collect())
}

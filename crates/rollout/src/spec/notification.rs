//! Who is told, and where it is shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Someone who is told what happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notification {
    /// How someone is told: `slack`, an incoming webhook of Slack; `pagerDuty`, an event that opens a page when a person is needed and closes it
    /// afterwards; `webhook`, JSON by POST.
    pub kind: NotificationKind,
    /// Where, for Slack and webhooks: an address, `env:NAME` or `file:PATH`. For PagerDuty the routing key; on Kubernetes `secret:NAME/KEY` too.
    pub to: String,
    /// Only what needs a person (rolled back, held, frozen, waiting for approval). Default false: starts, steps and ends too.
    #[serde(default)]
    pub only_problems: bool,
}

/// A gateway whose console shows the rollout, and passes on what people say there. When it cannot be reached the rollout goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Console {
    /// Base address of the gateway's API, such as `http://spillway:8080`.
    pub url: String,
    /// API key that may write: `env:NAME` or `file:PATH`, of the controller's environment.
    pub key: String,
}

/// How someone is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotificationKind {
    /// A Slack incoming webhook.
    Slack,
    /// PagerDuty Events API v2: triggers when it needs a person, resolves when it no longer does.
    PagerDuty,
    /// JSON by POST.
    Webhook,
}

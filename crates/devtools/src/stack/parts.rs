//! What a stack is made of, in the order of its start: each part needs only parts before it.

use std::fmt;

/// One process of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Postgres,
    Redis,
    Receiver,
    Api1,
    Api2,
    Worker,
    Nginx,
    Pushgateway,
    Alertmanager,
    Prometheus,
}

/// Somewhere that a part listens: all of them on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    /// In the state file and in messages.
    pub(super) name: &'static str,
    /// The one that is taken when nobody says otherwise. PostgreSQL and Redis leave theirs to servers that run already.
    pub(super) usual: u16,
}

impl Part {
    pub(super) const ALL: [Self; 10] = [
        Self::Postgres,
        Self::Redis,
        Self::Receiver,
        Self::Api1,
        Self::Api2,
        Self::Worker,
        Self::Nginx,
        Self::Pushgateway,
        Self::Alertmanager,
        Self::Prometheus,
    ];

    /// As the containers are called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Receiver => "receiver",
            Self::Api1 => "api-1",
            Self::Api2 => "api-2",
            Self::Worker => "worker",
            Self::Nginx => "nginx",
            Self::Pushgateway => "pushgateway",
            Self::Alertmanager => "alertmanager",
            Self::Prometheus => "prometheus",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Where it listens; the first is its address.
    pub(super) const fn ports(self) -> &'static [Port] {
        match self {
            Self::Postgres => &[Port { name: "postgres", usual: 15_432 }],
            Self::Redis => &[Port { name: "redis", usual: 16_379 }],
            Self::Receiver => &[Port { name: "receiver", usual: 9_099 }],
            Self::Api1 => &[Port { name: "api-1", usual: 8_081 }],
            Self::Api2 => &[Port { name: "api-2", usual: 8_082 }],
            Self::Worker => &[Port { name: "worker", usual: 8_083 }],
            Self::Nginx => &[Port { name: "nginx", usual: 8_080 }, Port { name: "nginx-metrics", usual: 8_085 }],
            Self::Pushgateway => &[Port { name: "pushgateway", usual: 9_091 }],
            Self::Alertmanager => &[Port { name: "alertmanager", usual: 9_093 }],
            Self::Prometheus => &[Port { name: "prometheus", usual: 9_090 }],
        }
    }

    /// What it is there for, for people.
    pub(super) const fn purpose(self) -> &'static str {
        match self {
            Self::Postgres => "the store",
            Self::Redis => "coordination",
            Self::Receiver => "destination of webhooks, Slack, PagerDuty and webhook of alerts",
            Self::Api1 | Self::Api2 => "intake and API",
            Self::Worker => "delivery",
            Self::Nginx => "load balancer: senders and people come here",
            Self::Pushgateway => "results of load tests",
            Self::Alertmanager => "tells people about alerts",
            Self::Prometheus => "metrics, rules, alerts",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

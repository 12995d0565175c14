use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use spillway_slo::threshold::MetricKind;

/// A metric under k6's name, and those of ours: two that keep an arrival-rate run honest, and the time of a WebSocket reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Requests that ended, with or without an answer.
    HttpReqs,
    /// Share of requests that failed.
    HttpReqFailed,
    /// Sending, waiting and receiving, without connecting.
    HttpReqDuration,
    /// Waiting for a connection.
    HttpReqBlocked,
    /// Establishing the TCP connection.
    HttpReqConnecting,
    /// The TLS handshake.
    HttpReqTlsHandshaking,
    /// Writing the request.
    HttpReqSending,
    /// From the request's last byte to the answer's first one.
    HttpReqWaiting,
    /// Reading the answer with its full body.
    HttpReqReceiving,
    /// Iterations that ran to their end.
    Iterations,
    /// Iterations that were due and never began.
    DroppedIterations,
    /// Bytes sent.
    DataSent,
    /// Bytes received.
    DataReceived,
    /// One iteration, from its actual start.
    IterationDuration,
    /// Actual start minus scheduled start.
    IterationStartDelay,
    /// Completion minus scheduled start: the latency without coordinated omission.
    ResponseFromIntended,
    /// Share of checks that held.
    Checks,
    /// Virtual users that iterate.
    Vus,
    /// Virtual users that there may be.
    VusMax,
    /// WebSocket sessions that began.
    WsSessions,
    /// Establishing a WebSocket connection.
    WsConnecting,
    /// One WebSocket session.
    WsSessionDuration,
    /// WebSocket messages sent.
    WsMsgsSent,
    /// WebSocket messages received.
    WsMsgsReceived,
    /// From sending a WebSocket message to its reply.
    WsMessageDuration,
}

/// What a metric's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A number of bytes.
    Bytes,
    /// A share from 0 to 1.
    Share,
    /// A time: recorded in microseconds, judged in milliseconds.
    Time,
}

/// A name that no metric has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric `{0}`")]
pub struct UnknownMetric(pub String);

impl Metric {
    /// Every metric, each at the place of its own number.
    pub const ALL: [Self; 25] = [
        Self::HttpReqs,
        Self::HttpReqFailed,
        Self::HttpReqDuration,
        Self::HttpReqBlocked,
        Self::HttpReqConnecting,
        Self::HttpReqTlsHandshaking,
        Self::HttpReqSending,
        Self::HttpReqWaiting,
        Self::HttpReqReceiving,
        Self::Iterations,
        Self::DroppedIterations,
        Self::DataSent,
        Self::DataReceived,
        Self::IterationDuration,
        Self::IterationStartDelay,
        Self::ResponseFromIntended,
        Self::Checks,
        Self::Vus,
        Self::VusMax,
        Self::WsSessions,
        Self::WsConnecting,
        Self::WsSessionDuration,
        Self::WsMsgsSent,
        Self::WsMsgsReceived,
        Self::WsMessageDuration,
    ];

    /// The name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpReqs => "http_reqs",
            Self::HttpReqFailed => "http_req_failed",
            Self::HttpReqDuration => "http_req_duration",
            Self::HttpReqBlocked => "http_req_blocked",
            Self::HttpReqConnecting => "http_req_connecting",
            Self::HttpReqTlsHandshaking => "http_req_tls_handshaking",
            Self::HttpReqSending => "http_req_sending",
            Self::HttpReqWaiting => "http_req_waiting",
            Self::HttpReqReceiving => "http_req_receiving",
            Self::Iterations => "iterations",
            Self::DroppedIterations => "dropped_iterations",
            Self::DataSent => "data_sent",
            Self::DataReceived => "data_received",
            Self::IterationDuration => "iteration_duration",
            Self::IterationStartDelay => "iteration_start_delay",
            Self::ResponseFromIntended => "response_from_intended",
            Self::Checks => "checks",
            Self::Vus => "vus",
            Self::VusMax => "vus_max",
            Self::WsSessions => "ws_sessions",
            Self::WsConnecting => "ws_connecting",
            Self::WsSessionDuration => "ws_session_duration",
            Self::WsMsgsSent => "ws_msgs_sent",
            Self::WsMsgsReceived => "ws_msgs_received",
            Self::WsMessageDuration => "ws_message_duration",
        }
    }

    /// What may be asked of it.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::HttpReqs
            | Self::Iterations
            | Self::DroppedIterations
            | Self::DataSent
            | Self::DataReceived
            | Self::WsSessions
            | Self::WsMsgsSent
            | Self::WsMsgsReceived => MetricKind::Counter,
            Self::Vus | Self::VusMax => MetricKind::Gauge,
            Self::HttpReqFailed | Self::Checks => MetricKind::Rate,
            Self::HttpReqDuration
            | Self::HttpReqBlocked
            | Self::HttpReqConnecting
            | Self::HttpReqTlsHandshaking
            | Self::HttpReqSending
            | Self::HttpReqWaiting
            | Self::HttpReqReceiving
            | Self::IterationDuration
            | Self::IterationStartDelay
            | Self::ResponseFromIntended
            | Self::WsConnecting
            | Self::WsSessionDuration
            | Self::WsMessageDuration => MetricKind::Trend,
        }
    }

    /// What its numbers mean.
    pub const fn unit(self) -> Unit {
        match (self.kind(), self) {
            (MetricKind::Trend, _) => Unit::Time,
            (MetricKind::Rate, _) => Unit::Share,
            (_, Self::DataSent | Self::DataReceived) => Unit::Bytes,
            _ => Unit::Count,
        }
    }

    /// Whether it is a part of a request's time, of which a series keeps a histogram only if a threshold asks for it.
    pub(crate) const fn is_phase(self) -> bool {
        matches!(
            self,
            Self::HttpReqBlocked
                | Self::HttpReqConnecting
                | Self::HttpReqTlsHandshaking
                | Self::HttpReqSending
                | Self::HttpReqWaiting
                | Self::HttpReqReceiving
        )
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(name: &str) -> Result<Self, UnknownMetric> {
        Self::ALL.into_iter().find(|metric| metric.name() == name).ok_or_else(|| UnknownMetric(name.to_owned()))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_everywhere_and_its_own_place() {
        for (place, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(metric as usize, place);
            assert_eq!(metric.name().parse(), Ok(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        assert_eq!("http_req".parse::<Metric>(), Err(UnknownMetric("http_req".to_owned())));
    }
}

//! GitHub's REST API of hook deliveries.
//!
//! Reference: <https://docs.github.com/en/rest/repos/webhooks>, "List deliveries for a repository webhook" and "Redeliver a delivery".

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use spillway_model::{Clock as _, Secret, SystemClock, UnixMillis};
use spillway_settings::HttpUrl;

use super::missing::Delivery;
use crate::client::api::http_client;
use crate::client::error::ClientError;
use crate::client::time;

/// Entries of a page, the most that GitHub gives.
const PAGE: usize = 100;
/// Pages that are read, at most.
const MAX_PAGES: usize = 200;
/// Larger answers are not read.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Longest wait for a rate limit. When GitHub asks for more, the command ends and says when to go on.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a request is sent again that the rate limit turned away.
const MAX_TURNED_AWAY: u32 = 5;

/// Where a hook is in the API.
pub(super) struct Hook(pub(super) String);

/// Deliveries, the newest first.
pub(super) struct Listed {
    pub(super) deliveries: Vec<Delivery>,
    /// Whether all since the wanted time are among them.
    pub(super) is_complete: bool,
}

/// What GitHub said to the wish for a redelivery.
pub(super) enum Asked {
    Yes,
    Refused(String),
}

pub(super) struct GitHub {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: HttpUrl,
    hook: Hook,
    authorization: HeaderValue,
    timeout: Duration,
}

impl GitHub {
    pub(super) fn new(url: HttpUrl, hook: Hook, token: Secret, timeout: Duration) -> Result<Self, ClientError> {
        let client = http_client(url.as_str().starts_with("https://"))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| ClientError::Usage("the token has characters that no token has".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self { client, url, hook, authorization, timeout })
    }

    /// Deliveries since that time, page by page.
    pub(super) async fn deliveries(&self, since: UnixMillis) -> Result<Listed, ClientError> {
        let first = format!("{}{}/deliveries?per_page={PAGE}", self.url, self.hook.0);
        let (mut deliveries, mut next) = (Vec::new(), Some(first));
        for _ in 0..MAX_PAGES {
            let Some(address) = next else { return Ok(Listed { deliveries, is_complete: true }) };
            let (head, body) = self.call(Method::GET, &address).await?;
            if head.status != StatusCode::OK {
                return Err(self.refusal(head.status, &body));
            }
            let page: Vec<Delivery> = serde_json::from_slice(&body).map_err(|_| self.not_github(head.status))?;
            for delivery in page {
                let at = time::parse(&delivery.delivered_at).ok_or_else(|| self.not_github(head.status))?;
                if at < since {
                    return Ok(Listed { deliveries, is_complete: true });
                }
                deliveries.push(delivery);
            }
            next = self.next_page(&head.headers)?;
        }
        Ok(Listed { deliveries, is_complete: next.is_none() })
    }

    /// Asks for a redelivery.
    pub(super) async fn ask(&self, delivery: u64) -> Result<Asked, ClientError> {
        let address = format!("{}{}/deliveries/{delivery}/attempts", self.url, self.hook.0);
        let (head, body) = self.call(Method::POST, &address).await?;
        match head.status {
            status if status.is_success() => Ok(Asked::Yes),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refusal(head.status, &body)),
            status => Ok(Asked::Refused(format!("{status}: {}", message(&body)))),
        }
    }

    /// The address of the next page, which must be the API's own: the token goes nowhere else.
    fn next_page(&self, headers: &HeaderMap) -> Result<Option<String>, ClientError> {
        let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let Some(next) = links.flat_map(|links| links.split(',')).find_map(next_of) else { return Ok(None) };
        if next.strip_prefix(self.url.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            return Ok(Some(next.to_owned()));
        }
        let reason =
            format!("{} names a next page on another server, which is not followed; check --api-url", self.url);
        Err(ClientError::Unreachable { reason, source: None })
    }

    /// The answer, after waiting where the rate limit asks for a short time.
    async fn call(&self, method: Method, address: &str) -> Result<(response::Parts, Bytes), ClientError> {
        let mut n_turned_away = 0;
        loop {
            let (head, body) = self.exchange(method.clone(), address).await?;
            let Some(wait) = turned_away(&head, SystemClock.now()) else { return Ok((head, body)) };
            if wait > MAX_WAIT || n_turned_away >= MAX_TURNED_AWAY {
                let reason = format!(
                    "GitHub's rate limit is used up: call again in {} s. What was asked for until now will be sent",
                    wait.as_secs()
                );
                return Err(ClientError::Unreachable { reason, source: None });
            }
            n_turned_away += 1;
            tokio::time::sleep(wait).await;
        }
    }

    async fn exchange(&self, method: Method, address: &str) -> Result<(response::Parts, Bytes), ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/vnd.github+json")
            .header(header::USER_AGENT, concat!("spillway/", env!("CARGO_PKG_VERSION")))
            .header("x-github-api-version", "2022-11-28")
            .body(Full::default())
            .map_err(|error| ClientError::Usage(format!("{address} cannot be used as a URL: {error}")))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| ClientError::Unreachable {
                reason: format!("{} cannot be reached: check --api-url and the network", self.url),
                source: Some(Box::new(error)),
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|source| {
                let reason = format!("the answer of {} broke off or is larger than {MAX_ANSWER_BYTES} bytes", self.url);
                ClientError::Unreachable { reason, source: Some(source) }
            })?;
            Ok((head, body.to_bytes()))
        };
        let in_time = tokio::time::timeout(self.timeout, exchange).await;
        in_time.unwrap_or_else(|_| Err(ClientError::TooSlow { url: self.url.clone(), limit: self.timeout }))
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let what = match status {
            StatusCode::UNAUTHORIZED => "the token is unknown or has expired".to_owned(),
            StatusCode::FORBIDDEN => "the token may not read or redeliver this hook's deliveries".to_owned(),
            StatusCode::NOT_FOUND => {
                format!("there is no {}, or the token may not see it; check --repo or --org, and --hook", self.hook.0)
            }
            other => format!("it answered {other}"),
        };
        let reason = format!("{} refused: {what} ({})", self.url, message(body));
        ClientError::Unreachable { reason, source: None }
    }

    fn not_github(&self, status: StatusCode) -> ClientError {
        let reason = format!("{} answered {status}, but not as GitHub does: check --api-url", self.url);
        ClientError::Unreachable { reason, source: None }
    }
}

/// The target of a link with `rel="next"`.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.split(';').any(|parameter| parameter.trim() == "rel=\"next\"").then_some(target)
}

/// How long to wait when the rate limit turned the request away.
fn turned_away(head: &response::Parts, now: UnixMillis) -> Option<Duration> {
    let number = |name: &str| head.headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    if ![StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&head.status) {
        return None;
    }
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        let now = u64::try_from(now).unwrap_or_default() / 1_000;
        let reset = number("x-ratelimit-reset").unwrap_or(now + 1);
        return Some(Duration::from_secs(reset.saturating_sub(now).max(1)));
    }
    (head.status == StatusCode::TOO_MANY_REQUESTS).then_some(Duration::from_secs(1))
}

/// What GitHub says is wrong, in a line.
fn message(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = value["message"].as_str().unwrap_or("without a reason");
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, headers: &[(&'static str, &'static str)]) -> response::Parts {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).expect("a response").into_parts().0
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait() {
        let now = 1_000_000;
        for (head, expected) in [
            (head(200, &[("x-ratelimit-remaining", "0")]), None),
            (head(403, &[]), None),
            (head(403, &[("retry-after", "7")]), Some(7)),
            (head(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")]), Some(30)),
            (head(429, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")]), Some(1)),
            (head(429, &[]), Some(1)),
        ] {
            assert_eq!(turned_away(&head, now).map(|wait| wait.as_secs()), expected, "{head:?}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let links = r#"<https://a/x?cursor=1>; rel="prev", <https://a/x?cursor=2>; rel="next""#;
        assert_eq!(links.split(',').find_map(next_of), Some("https://a/x?cursor=2"));
        assert_eq!(next_of(r#"<https://a/x>; rel="last""#), None);
        assert_eq!(next_of("nonsense"), None);
    }
}

//! Requests that have to be answered as expected, in order.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use spillway_rollout::observed::GateState;
use spillway_rollout::ports::PortError;
use spillway_rollout::spec::HttpCheck;

use super::answer::{excerpt, shown};
use super::{Progress, broken};
use crate::http::{HttpAnswer, HttpClient};

/// A check that fails once may have met a start that is not over.
const TRIES: u32 = 3;
const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(
    http: &HttpClient,
    base: Result<String, PortError>,
    checks: &[HttpCheck],
    retry_pause: Duration,
    progress: &Progress,
) -> GateState {
    for (place, check) in checks.iter().enumerate() {
        let what = format!("{} {}", method(check), shown(&check.path));
        progress.tell(format!("check {} of {}: {what}", place + 1, checks.len()));
        let request = match request(&base, check) {
            Ok(request) => request,
            Err(reason) => return broken(format!("{what} cannot be asked: {reason}")),
        };
        let mut failure = String::new();
        for attempt in 1..=TRIES {
            let timeout = check.timeout.map_or(USUAL_TIMEOUT, |timeout| timeout.0);
            let wrong = match http.send(request.clone(), timeout).await {
                Ok(answer) => wrong(check, &answer),
                Err(error) => Some(error.to_string()),
            };
            let Some(wrong) = wrong else {
                failure.clear();
                break;
            };
            failure = wrong;
            if attempt < TRIES {
                tokio::time::sleep(retry_pause).await;
            }
        }
        if !failure.is_empty() {
            let summary = format!("{what} failed {TRIES} times: {failure}");
            return GateState::Failed { summary, report: None };
        }
    }
    let n = checks.len();
    let summary = if n == 1 { "the check passed".to_owned() } else { format!("all {n} checks passed") };
    GateState::Passed { summary, report: None }
}

fn method(check: &HttpCheck) -> String {
    check.method.as_deref().unwrap_or("GET").to_ascii_uppercase()
}

fn request(base: &Result<String, PortError>, check: &HttpCheck) -> Result<Request<Full<Bytes>>, String> {
    let url = if check.path.starts_with("http://") || check.path.starts_with("https://") {
        check.path.clone()
    } else {
        let base = base.as_ref().map_err(ToString::to_string)?;
        format!("{}/{}", base.trim_end_matches('/'), check.path.trim_start_matches('/'))
    };
    let method = Method::from_bytes(method(check).as_bytes()).map_err(|error| error.to_string())?;
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    let body = check.body.clone().unwrap_or_default();
    request.body(Full::from(body)).map_err(|error| error.to_string())
}

/// What is not as expected.
fn wrong(check: &HttpCheck, answer: &HttpAnswer) -> Option<String> {
    let status = answer.status;
    match check.status {
        Some(expected) if status.as_u16() != expected => {
            return Some(format!("answered {status} instead of {expected}"));
        }
        None if !status.is_success() => return Some(format!("answered {status} instead of 2xx")),
        _ => {}
    }
    let text = String::from_utf8_lossy(&answer.body);
    let expected = check.contains.as_ref().filter(|expected| !text.contains(expected.as_str()))?;
    Some(format!("the answer does not contain `{}`, it begins with `{}`", excerpt(expected), excerpt(&text)))
}

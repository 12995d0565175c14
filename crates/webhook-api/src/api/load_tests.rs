//! `/api/v1/load-tests`: results of load tests, as the load generator publishes them.

mod result;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use spillway_store::Document;
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::body::parse;
use super::documents::{Content, check_name, content_of, keep};
use super::error::{ApiError, Kind};
use super::page::List;
use super::path::PathValue;
use super::query::Parameters;
use super::timestamp::Timestamp;
use crate::gateway::Gateway;
use result::{Difference, LoadTestResult};

const KIND: &str = "load_test";
/// Results that are kept; the oldest goes.
const MOST_KEPT: usize = 200;

/// A result, in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadTestRow {
    /// Identifier, which the publisher chose.
    id: String,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Name of the key that published it.
    by: String,
    /// The result, without comparison and time line.
    #[serde(flatten)]
    result: LoadTestResult,
    /// What the publisher's comparison with an earlier run found: `faster`, `slower` or `no_evidence`; null without one.
    change: Option<String>,
    /// Plain differences to the run before it with the same name and environment. They are no judgement: two equal runs differ, too.
    previous: Option<Difference>,
}

/// A result as it was published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoadTestView {
    /// Identifier, which the publisher chose.
    id: String,
    /// When it was published.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Name of the key that published it.
    by: String,
    #[serde(flatten)]
    result: LoadTestResult,
}

/// Which results to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LoadTestQuery {
    /// Only runs of this test.
    name: Option<String>,
}

/// List results of load tests, the latest run first. At most 200 are kept.
#[utoipa::path(get, path = "/api/v1/load-tests", tag = "load-tests", operation_id = "list_load_tests", params(LoadTestQuery),
    responses((status = 200, description = "The results", body = List<LoadTestRow>)))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    Parameters(query): Parameters<LoadTestQuery>,
) -> Result<Response, ApiError> {
    let documents = gateway.store.documents(KIND, MOST_KEPT).await?;
    let mut views: Vec<LoadTestView> = documents.iter().filter_map(view).collect();
    views.sort_by(|one, other| (other.result.started_ms(), &other.id).cmp(&(one.result.started_ms(), &one.id)));
    let previous: Vec<_> = (0..views.len()).map(|position| previous(&views, position)).collect();
    let rows = views.into_iter().zip(previous).map(|(view, previous)| row(view, previous));
    let is_wanted = |row: &LoadTestRow| query.name.as_ref().is_none_or(|name| *name == row.result.name);
    Ok(Json(List::whole(rows.filter(is_wanted).collect())).into_response())
}

/// The difference to the next older run of the same test. `views` has the latest first.
fn previous(views: &[LoadTestView], position: usize) -> Option<Difference> {
    let (this, older) = (views.get(position)?, views.get(position + 1..)?);
    let before = older.iter().find(|older| older.result.is_same_test(&this.result))?;
    Some(Difference::new(&before.id, &before.result, &this.result))
}

fn row(view: LoadTestView, previous: Option<Difference>) -> LoadTestRow {
    let LoadTestView { id, at, by, mut result } = view;
    result.timeline = Vec::new();
    let comparison = result.comparison.take();
    let change = comparison.as_ref().and_then(|comparison| comparison["change"].as_str()).map(str::to_owned);
    LoadTestRow { id, at, by, result, change, previous }
}

fn view(document: &Document) -> Option<LoadTestView> {
    let (by, result) = content_of(document)?;
    Some(LoadTestView { id: document.key.clone(), at: Timestamp(document.at), by, result })
}

/// Show the result of a load test.
#[utoipa::path(get, path = "/api/v1/load-tests/{load_test}", tag = "load-tests", operation_id = "show_load_test",
    params(("load_test" = String, Path, description = "Id")),
    responses((status = 200, description = "The result", body = LoadTestView)))]
pub(crate) async fn show(
    State(gateway): State<Arc<Gateway>>,
    PathValue(id): PathValue<String>,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::not_found(Kind::LoadTest, &id);
    let document = gateway.store.document(KIND, &id).await?.ok_or_else(unknown)?;
    Ok(Json(view(&document).ok_or_else(unknown)?).into_response())
}

/// Publish the result of a load test, at most 1 MiB. `spillway-loadgen run --out gateway=URL` does so.
#[utoipa::path(put, path = "/api/v1/load-tests/{load_test}", tag = "load-tests", operation_id = "put_load_test",
    params(("load_test" = String, Path, description = "Id: 1 to 150 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"")),
    request_body = LoadTestResult, responses((status = 204, description = "It is kept")))]
pub(crate) async fn put(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    PathValue(id): PathValue<String>,
    Content(body): Content,
) -> Result<StatusCode, ApiError> {
    check_name("load_test", &id)?;
    let result: LoadTestResult = parse(&body)?;
    result.check()?;
    keep(&gateway, KIND, id, caller, &result).await?;
    let documents = gateway.store.documents(KIND, MOST_KEPT + 20).await?;
    for document in documents.iter().skip(MOST_KEPT) {
        gateway.store.delete_document(KIND, &document.key).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Forget the result of a load test.
#[utoipa::path(delete, path = "/api/v1/load-tests/{load_test}", tag = "load-tests", operation_id = "delete_load_test",
    params(("load_test" = String, Path, description = "Id")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    PathValue(id): PathValue<String>,
) -> Result<StatusCode, ApiError> {
    if gateway.store.document(KIND, &id).await?.is_none() {
        return Err(ApiError::not_found(Kind::LoadTest, &id));
    }
    gateway.store.delete_document(KIND, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

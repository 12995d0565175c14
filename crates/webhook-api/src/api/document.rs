//! The description of the API in OpenAPI 3.1.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderValue, Method, header};
use ring::digest::{SHA256, digest};
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response as DescribedResponse, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required};

use super::access::scope_of;

const SECURITY: &str = "key";
/// Where single entries of the configuration are, which have a tag each.
const ENTRIES: [&str; 5] =
    ["/api/v1/sources/", "/api/v1/destinations/", "/api/v1/connections/", "/api/v1/keys/", "/api/v1/workers/"];

/// The whole description: intake, API, health, metrics.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = super::managed().into_openapi();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(path, &method, operation);
        }
    }
    for (path, method, operation) in unmanaged() {
        document.paths.add_path_operation(path, vec![method], operation);
    }
    document
}

/// What the routes are added to.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Spillway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Takes webhooks in, keeps them, and delivers them until they are received. \
             Errors are problem documents (RFC 9457) with a stable `code`. \
             Lists answer `{\"data\": […], \"next\": …}`; pass `next` as `cursor` to go on. \
             A source, destination, connection or key is answered with its `ETag`; a change with that tag in `If-Match` is \
             refused with 412 if somebody else was first.",
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("spk_…")
        .description(Some("A key of the API. Scopes: `read`, `write`, `admin`; each includes those before it."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(SECURITY, SecurityScheme::Http(bearer))
        .schema("Problem", problem())
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// Answers with the description. It is written once.
pub(super) async fn serve() -> Response {
    static DOCUMENT: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
        let text = Bytes::from(openapi().to_json().unwrap_or_default());
        let hash = HEXLOWER.encode(&digest(&SHA256, &text).as_ref()[..8]);
        let tag = HeaderValue::try_from(format!("W/\"{hash}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        (text, tag)
    });
    let (text, tag) = &*DOCUMENT;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::ETAG, tag.clone()),
    ];
    (headers, text.clone()).into_response()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Adds what every operation of the API has: the key, and the problems that it may answer with.
fn complete(path: &str, method: &Method, operation: &mut Operation) {
    let scope = scope_of(method, path).as_str();
    operation.security = Some(vec![SecurityRequirement::new(SECURITY, [scope])]);
    let changes = method != Method::GET;
    let has_body = operation.request_body.is_some();
    let is_conditional = changes && ENTRIES.iter().any(|entries| path.starts_with(entries));
    if is_conditional {
        operation.parameters.get_or_insert_default().push(if_match());
    }
    let problems = [
        ("400", "Path, query or JSON cannot be read", true),
        ("401", "The key is missing or unknown", true),
        ("403", "The key's scope is too low", true),
        ("404", "What the path names does not exist", path.contains('{')),
        ("408", "The body did not arrive in time", has_body),
        ("409", "The change contradicts what is stored", changes),
        ("412", "The entry has another ETag than If-Match names", is_conditional),
        ("413", "The body is too large", has_body),
        ("415", "The body is not JSON", has_body),
        ("422", "A value is not allowed, or names something that does not exist", has_body),
        ("429", "Too many requests with this key, or too many without a known one", true),
        ("500", "The store holds something unexpected", true),
        ("503", "Try again after the time in Retry-After", true),
    ];
    for (status, description, _) in problems.into_iter().filter(|(_, _, possible)| *possible) {
        operation.responses.responses.insert(status.to_owned(), refused(description).into());
    }
}

fn if_match() -> RefOr<Parameter> {
    ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Changes the entry only if it still has this ETag"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
        .into()
}

/// The paths outside the API, which need no key.
fn unmanaged() -> Vec<(&'static str, HttpMethod, Operation)> {
    let get = |path, id: &str, tag: &str, summary: &str, content: &str, unavailable: bool| {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(id))
            .tag(tag)
            .summary(Some(summary))
            .response("200", answered(summary, content));
        if unavailable {
            operation = operation.response("503", answered("The checks, with what is wrong", content));
        }
        (path, HttpMethod::Get, operation.build())
    };
    vec![
        ("/in/{source}", HttpMethod::Post, intake()),
        get("/health", "health", "health", "The process is up", "application/json", false),
        get("/readyz", "ready", "health", "Whether this node can take traffic", "application/json", true),
        get("/healthz", "healthz", "health", "Every dependency, with detail", "application/json", true),
        get("/metrics", "metrics", "monitoring", "Metrics in OpenMetrics text", "application/openmetrics-text", false),
        get("/openapi.json", "openapi", "monitoring", "This description", "application/json", false),
    ]
}

fn intake() -> Operation {
    let source = ParameterBuilder::new()
        .name("source")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("Name of the source"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    let body = RequestBodyBuilder::new()
        .description(Some("Any bytes; they are forwarded unchanged"))
        .content("*/*", Content::builder().build())
        .build();
    let acknowledgement = |description: &str| {
        let content = Content::builder().schema(Some(Ref::from_schema_name("Acknowledgement"))).build();
        ResponseBuilder::new().description(description).content("application/json", content).build()
    };
    let problems = [
        ("400", "The body ended early, or the idempotency key cannot be used"),
        ("401", "The signature is missing, wrong or too old"),
        ("404", "There is no enabled source of this name"),
        ("405", "Webhooks are sent with POST"),
        ("408", "The body did not arrive in time"),
        ("413", "The body is too large"),
        ("429", "More requests than the source's limit"),
        ("431", "The headers are too many or too large"),
        ("502", "Only with intake.mode synchronous: the event is stored, and a delivery of it failed"),
        ("503", "The event could not be stored: send the request again"),
        ("504", "Only with intake.mode synchronous: the event is stored, and was not delivered in time"),
    ];
    let operation = OperationBuilder::new()
        .operation_id(Some("receive_webhook"))
        .tag("intake")
        .summary(Some("Receive a webhook"))
        .description(Some(
            "A 2xx means that the event and its deliveries are on disk. It is signed as its provider signs.",
        ))
        .parameter(source)
        .request_body(Some(body))
        .response("202", acknowledgement("The event is stored"))
        .response("200", acknowledgement("It was stored before, or this was a handshake of the provider"));
    problems.into_iter().fold(operation, |operation, (status, text)| operation.response(status, refused(text))).build()
}

fn answered(description: &str, content_type: &str) -> DescribedResponse {
    ResponseBuilder::new().description(description).content(content_type, Content::builder().build()).build()
}

fn refused(description: &str) -> DescribedResponse {
    let content = Content::builder().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// The form of [`crate::Problem`].
fn problem() -> ObjectBuilder {
    let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let status = ObjectBuilder::new().schema_type(Type::Integer).description(Some("The HTTP status"));
    let object = ObjectBuilder::new()
        .description(Some("A problem document (RFC 9457)"))
        .property("type", text("`urn:spillway:problem:` and the code"))
        .property("title", text("What kind of problem it is"))
        .property("status", status)
        .property("code", text("Stable; each has a page in the runbooks"))
        .property("detail", text("What happened, and what to do"));
    ["type", "title", "status", "code", "detail"].into_iter().fold(object, ObjectBuilder::required)
}

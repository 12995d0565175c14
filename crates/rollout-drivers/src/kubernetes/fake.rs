//! A few objects behind the API server's addresses, for what the test server is too old for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Objects by their address.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeApi {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    writes: Arc<Mutex<Vec<String>>>,
}

impl FakeApi {
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.objects.lock().insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().get(path).cloned()
    }

    /// Methods and addresses of all writes since the last call.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock())
    }

    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { Ok::<_, Infallible>(fake.answer(request).await) }
        });
        Client::new(service, "shop")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let body = body.collect().await.expect("a body").to_bytes();
        if parts.method != Method::GET {
            self.writes.lock().push(format!("{} {path}", parts.method));
        }
        let mut objects = self.objects.lock();
        let answer = match parts.method {
            Method::GET => objects.get(&path).cloned(),
            Method::DELETE => objects.remove(&path),
            _ => {
                let object: Value = serde_json::from_slice(&body).expect("JSON");
                objects.insert(path.clone(), object.clone());
                Some(object)
            }
        };
        let (status, answer) = match answer {
            Some(answer) => (StatusCode::OK, answer),
            None => (
                StatusCode::NOT_FOUND,
                json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not there" }),
            ),
        };
        let body = Body::from(serde_json::to_vec(&answer).expect("JSON"));
        Response::builder().status(status).body(body).expect("an answer")
    }
}

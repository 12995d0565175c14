//! A slot inside the test's process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers its name, and counts.
pub(crate) struct SlotServer {
    address: String,
    pub(crate) counts: Arc<Counts>,
    task: JoinHandle<()>,
}

/// Requests that came.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Own ones.
    pub(crate) requests: AtomicU64,
    /// Copies with safe methods.
    pub(crate) copies: AtomicU64,
    /// Copies with unsafe methods whose body came whole.
    pub(crate) unsafe_copies: AtomicU64,
}

impl SlotServer {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counts = Arc::new(Counts::default());
        let router = Router::new().fallback(answer).with_state((name, Arc::clone(&counts)));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, counts, task }
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

impl Drop for SlotServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    State((name, counts)): State<(&'static str, Arc<Counts>)>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    let is_copy = headers.contains_key("x-rollout-mirror");
    let count = match (is_copy, method.is_safe()) {
        (false, _) => Some(&counts.requests),
        (true, true) => Some(&counts.copies),
        (true, false) => (body == "body").then_some(&counts.unsafe_copies),
    };
    if let Some(count) = count {
        count.fetch_add(1, Ordering::SeqCst);
    }
    (StatusCode::OK, name)
}

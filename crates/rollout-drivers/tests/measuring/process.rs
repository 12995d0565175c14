//! A process with metrics.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;

/// What the process shows.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) started: f64,
    /// Requests that were answered within 0.1 s, and slower ones: with 200, and with 500.
    pub(crate) fast: u64,
    pub(crate) slow: u64,
    pub(crate) fast_errors: u64,
    pub(crate) pool: (u64, u64),
    pub(crate) memory: u64,
    /// In place of all that.
    pub(crate) text: Option<(u16, String)>,
    pub(crate) hangs: bool,
}

/// A server whose metrics a test sets.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) address: String,
    shown: Arc<Mutex<Shown>>,
}

impl Process {
    pub(crate) async fn start() -> Self {
        let shown = Shown {
            started: 1_000.0,
            fast: 0,
            slow: 0,
            fast_errors: 0,
            pool: (1, 10),
            memory: 1_000,
            text: None,
            hangs: false,
        };
        let shown = Arc::new(Mutex::new(shown));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(&shown));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shown }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock().unwrap());
    }
}

async fn metrics(State(shown): State<Arc<Mutex<Shown>>>) -> impl IntoResponse {
    let shown = shown.lock().unwrap().clone();
    if shown.hangs {
        std::future::pending::<()>().await;
    }
    let (status, text) = match shown.text.clone() {
        Some((status, text)) => (StatusCode::from_u16(status).unwrap(), text),
        None => (StatusCode::OK, text(&shown)),
    };
    (status, [("content-type", "text/plain; version=0.0.4")], text)
}

fn text(shown: &Shown) -> String {
    let mut text = String::from("# TYPE http_server_request_duration_seconds histogram\n");
    let name = "http_server_request_duration_seconds";
    for (status, fast, slow) in [(200, shown.fast, shown.slow), (500, shown.fast_errors, 0)] {
        let labels = format!("http_route=\"/sources/{{id}}\",http_response_status_code=\"{status}\"");
        if fast + slow > 0 {
            let all = fast + slow;
            writeln!(text, "{name}_bucket{{le=\"0.1\",{labels}}} {fast}").unwrap();
            writeln!(text, "{name}_bucket{{{labels},le=\"1.0\"}} {all}").unwrap();
            writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}").unwrap();
            writeln!(text, "{name}_count{{{labels}}} {all}\n{name}_sum{{{labels}}} 1.5").unwrap();
        }
    }
    let ((used, max), memory, started) = (shown.pool, shown.memory, shown.started);
    writeln!(text, "spillway_store_pool_connections{{state=\"used\"}} {used}").unwrap();
    writeln!(text, "spillway_store_pool_connections{{state=\"max\"}} {max}").unwrap();
    writeln!(text, "process_resident_memory_bytes {memory}\nprocess_start_time_seconds {started}").unwrap();
    text
}

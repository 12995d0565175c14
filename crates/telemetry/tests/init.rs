//! Installing telemetry for the whole process, so this test has a process of its own.

use std::time::Duration;

use spillway_telemetry::{SpanName, TelemetryError, TelemetrySettings, TraceSettings, init};

#[test]
fn telemetry_is_installed_once_and_traces_need_a_runtime() {
    let endpoint = Some("http://127.0.0.1:4317".to_owned());
    let with_traces =
        TelemetrySettings { traces: TraceSettings { endpoint, ..TraceSettings::default() }, ..Default::default() };
    assert!(matches!(init(&with_traces), Err(TelemetryError::NoRuntime)));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let guard = init(&TelemetrySettings::default()).unwrap();
        assert!(!guard.tracer().start(SpanName::Intake, None).is_recording());
        assert!(matches!(init(&TelemetrySettings::default()), Err(TelemetryError::AlreadyInstalled(_))));
        guard.shutdown(Duration::from_secs(1)).await;
    });
}

//! Thresholds and objectives as files write them.

use std::time::Duration;

use spillway_slo::gate::{Gate, GateError};
use spillway_slo::threshold::{NoSamples, Threshold, Thresholds};

fn written(thresholds: &[Threshold]) -> Vec<String> {
    thresholds.iter().map(|one| format!("{} {}", one.selector, one.expression)).collect()
}

/// The part of the file at which an error points, and what it says.
fn refused<T: serde::de::DeserializeOwned>(file: &str) -> (String, String) {
    let error = toml::from_str::<T>(file).err().expect(file);
    let place = error.span().map(|span| file[span].to_owned()).unwrap_or_default();
    (place, error.message().to_owned())
}

mod thresholds {
    use super::*;

    const SHAPES: &str = r#"
        http_reqs = "rate>=100"
        http_req_failed = ["rate<0.01", { threshold = "rate<0.05 over 10s", abortOnFail = true }]
        "http_req_duration{name:login}" = { threshold = "p(95)<500", abortOnFail = true, delayAbortEval = "10s", noSamples = "pass" }
        checks = []
    "#;

    #[test]
    fn every_shape_of_k6_is_read() {
        let Thresholds(read) = toml::from_str(SHAPES).expect("valid");
        let mut lines = written(&read);
        lines.sort();
        assert_eq!(
            lines,
            [
                "http_req_duration{name:login} p(95)<500",
                "http_req_failed rate<0.01",
                "http_req_failed rate<0.05 over 10s",
                "http_reqs rate>=100"
            ]
        );
        let login = read.iter().find(|one| !one.selector.tags.is_empty()).expect("login");
        assert!(login.abort_on_fail);
        assert_eq!((login.delay_abort_eval, login.no_samples), (Duration::from_secs(10), NoSamples::Pass));
        let plain = read.iter().find(|one| one.selector.metric == "http_reqs").expect("http_reqs");
        assert!(!plain.abort_on_fail);
        assert_eq!((plain.delay_abort_eval, plain.no_samples), (Duration::ZERO, NoSamples::Fail));
    }

    #[test]
    fn json_is_read_alike_with_milliseconds_as_numbers() {
        let json = r#"{"http_req_duration": [{"threshold": "med<1", "delayAbortEval": 1500}, "max<9"], "http_reqs": "count>1"}"#;
        let Thresholds(read) = serde_json::from_str(json).expect("valid");
        assert_eq!(written(&read), ["http_req_duration med<1", "http_req_duration max<9", "http_reqs count>1"]);
        assert_eq!(read[0].delay_abort_eval, Duration::from_millis(1500));
    }

    #[test]
    fn errors_point_into_the_file() {
        for (file, place, says) in [
            (r#"http_reqs = "p95<5""#, r#""p95<5""#, "the nearest is `p(95)`"),
            (r#"http_reqs = ["count>1", "rate<1%"]"#, r#""rate<1%""#, "at character 7 of `rate<1%`"),
            (r#"http_reqs = { threshold = "avg~1" }"#, r#""avg~1""#, "`avg~1` is no aggregation"),
            (r#""http reqs" = "rate>1""#, r#""http reqs""#, "at character 5 of `http reqs`"),
            (r#"a = { threshold = "rate>1", abortOnFial = true }"#, "abortOnFial", "abortOnFail"),
            (r#"a = { threshold = "rate>1", delayAbortEval = "-1s" }"#, r#""-1s""#, "cannot be negative"),
            (r#"a = { threshold = "rate>1", noSamples = "skip" }"#, r#""skip""#, "`fail` or `pass`"),
            (r"a = { abortOnFail = true }", "{ abortOnFail = true }", "missing field `threshold`"),
            (r"a = 5", "5", "an expression such as"),
            (r#"a = [["rate>1"]]"#, r#"["rate>1"]"#, "an expression such as"),
        ] {
            let (found, message) = refused::<Thresholds>(file);
            assert_eq!(found, place, "{file}: {message}");
            assert!(message.contains(says), "{file}: {message}");
        }
    }
}

mod gate {
    use super::*;

    const SAMPLE: &str = "
        p50_ms = 100
        p95_ms = 250
        p99_ms = 400
        error_rate_percent = 0.5
        throughput_rps = 1000

        [environments.production]

        [environments.staging]
        p95_ms = 400.5
        error_rate_percent = 0.7
        throughput_rps = 100
    ";

    fn sample() -> Gate {
        toml::from_str(SAMPLE).expect("valid")
    }

    #[test]
    fn objectives_are_thresholds_and_an_environment_overrides_its_own() {
        let base = [
            "http_req_duration p(50)<=100",
            "http_req_duration p(95)<=250",
            "http_req_duration p(99)<=400",
            "http_req_failed rate<=0.005",
            "http_reqs rate>=1000",
        ];
        assert_eq!(written(&sample().thresholds(None).expect("base")), base);
        assert_eq!(written(&sample().thresholds(Some("production")).expect("production")), base);
        assert_eq!(
            written(&sample().thresholds(Some("staging")).expect("staging")),
            [base[0], "http_req_duration p(95)<=400.5", base[2], "http_req_failed rate<=0.007", "http_reqs rate>=100"]
        );
    }

    #[test]
    fn what_is_not_stated_is_not_judged() {
        let gate: Gate = toml::from_str("[environments.ci]\nerror_rate_percent = 0").expect("valid");
        assert_eq!(written(&gate.thresholds(Some("ci")).expect("ci")), ["http_req_failed rate<=0"]);
        assert_eq!(gate.thresholds(None), Err(GateError::Nothing));
    }

    #[test]
    fn an_environment_that_is_not_in_the_file_is_refused() {
        let error = sample().thresholds(Some("prod")).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "the objectives have no environment `prod` (it has production, staging): choose one of them, or add \
             [environments.prod], which may be empty"
        );
    }

    #[test]
    fn errors_point_into_the_file() {
        for (file, place, says) in [
            ("p59_ms = 1", "p59_ms", "the nearest name is `p95_ms`"),
            ("[environments.x]\nthroughput = 5", "throughput", "the nearest name is `throughput_rps`"),
            ("p50_ms = 0", "0", "greater than zero"),
            ("p99_ms = -1.5", "-1.5", "greater than zero"),
            ("throughput_rps = inf", "inf", "greater than zero"),
            ("[environments.x]\nerror_rate_percent = 101", "101", "from 0 to 100 percent"),
            ("error_rate_percent = nan", "nan", "from 0 to 100 percent"),
            ("p50_ms = \"1\"", "\"1\"", "expected f64"),
            (
                "environments = { x = { environments = { y = {} } } }",
                "{ environments = { y = {} } }",
                "no environments of its own",
            ),
        ] {
            let (found, message) = refused::<Gate>(file);
            assert_eq!(found, place, "{file}: {message}");
            assert!(message.contains(says), "{file}: {message}");
        }
    }
}

use std::time::Duration;

use spillway_rollout::spec::LoadTest;

use super::*;

fn run() -> LoadRun {
    LoadRun {
        id: "v2-1-0-load".to_owned(),
        rollout: "gateway".to_owned(),
        test: LoadTest {
            file: "smoke.toml".to_owned(),
            config_map: Some("load".to_owned()),
            image: Some("spillway-loadgen:1".to_owned()),
            arguments: vec!["--scale".to_owned(), "0.1".to_owned()],
            ..LoadTest::default()
        },
        target: "http://gateway-green:8080".to_owned(),
        timeout: Duration::from_secs(600),
    }
}

#[test]
fn a_job_runs_once_reads_its_file_and_has_a_deadline() {
    let job = job(&run(), "shop", None).unwrap();
    let spec = job.spec.as_ref().unwrap();
    let pod = spec.template.spec.as_ref().unwrap();
    assert_eq!(job.metadata.name.as_deref(), Some("gateway-v2-1-0-load"));
    assert_eq!((spec.backoff_limit, spec.active_deadline_seconds), (Some(0), Some(600)));
    let arguments = ["run", "/test/smoke.toml", "--target", "http://gateway-green:8080", "--scale", "0.1"];
    assert_eq!(pod.containers[0].args.as_ref().unwrap(), &arguments);
    assert_eq!(pod.volumes.as_ref().unwrap()[0].config_map.as_ref().unwrap().name, "load");
    assert_eq!(pod.automount_service_account_token, Some(false));
}

#[test]
fn what_is_missing_is_named() {
    let wrong = |change: fn(&mut LoadTest)| {
        let mut run = run();
        change(&mut run.test);
        job(&run, "shop", None).unwrap_err()
    };
    assert_eq!(wrong(|test| test.image = None), InvalidLoadTest::Image);
    assert_eq!(wrong(|test| test.config_map = None), InvalidLoadTest::ConfigMap("smoke.toml".to_owned()));
    assert_eq!(wrong(|test| test.file = "../x".to_owned()), InvalidLoadTest::Key("../x".to_owned()));
}

#[test]
fn names_fit_and_stay_apart() {
    let name = |rollout: &str, id: &str| job_name(&LoadRun { rollout: rollout.to_owned(), id: id.to_owned(), ..run() });
    let long = "a".repeat(60);
    let (first, second) = (name(&long, "v2-1-0-load"), name(&long, "v3-1-0-load"));
    assert!(first.len() <= 63 && second.len() <= 63, "{first} {second}");
    assert_ne!(first, second);
    assert_ne!(name(&"b".repeat(60), "v2-1-0-load"), first);
    assert_eq!(first, name(&long, "v2-1-0-load"));
    assert!(first.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
}

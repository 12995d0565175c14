use spillway_rollout::state::GateStatus;

use super::*;
use crate::people::sample;

const MOST_BYTES: usize = 300_000;

const PLAN: &str = "apiVersion: spillway.dev/v1alpha1\nkind: Rollout\nmetadata: {name: checkout}\n";

/// A rollout that was looked at every 15 s.
fn report(mut view: View, n_points: u32) -> Report {
    let mut series = Series::default();
    let end = view.at;
    let (totals, weight) = match &view.state.rollout {
        Some(rollout) => ((rollout.candidate_total, rollout.live_total), rollout.weight),
        None => Default::default(),
    };
    for n in 0..n_points {
        view.at = end - i64::from(n_points - n - 1) * 15_000;
        let share = f64::from(n + 1) / f64::from(n_points);
        if let Some(rollout) = &mut view.state.rollout {
            rollout.weight = if share < 0.4 { 10 } else { 25 };
            rollout.candidate_total.requests = (4_210.0 * share) as u64;
            rollout.candidate_total.errors = (5.0 * share) as u64;
            rollout.live_total.requests = (21_804.0 * share) as u64;
            rollout.live_total.errors = (26.0 * share) as u64;
        }
        series.record(&view);
    }
    if let Some(rollout) = &mut view.state.rollout {
        (rollout.candidate_total, rollout.live_total, rollout.weight) = (totals.0, totals.1, weight);
    }
    Report { view, series, plan: PLAN.to_owned() }
}

#[test]
fn a_report_needs_no_other_file_and_the_verdict_comes_first() {
    let report = report(sample::failed(), 100);
    let page = report.html();
    // To be looked at, when the build is told a file.
    if let Some(file) = option_env!("SAMPLE_ROLLOUT_REPORT") {
        std::fs::write(file, &page).expect("the file can be written");
    }
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    for foreign in
        ["<script", "<link", "<img", "<iframe", "src=", "url(", "@import", "http-equiv=\"refresh", "http:", "https:"]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for part in ["rolled back", "4.2 %", "critical-alerts", "smoke", "v1.4.0", "kind: Rollout", "roll back"] {
        assert!(page.contains(part), "{part}");
    }
    let verdict = page.find("are proven worse").expect("the verdict");
    assert!(page.find("<section").is_some_and(|section| verdict < section), "the verdict comes first");
}

#[test]
fn a_long_rollout_with_everything_at_its_limit_stays_small() {
    let mut view = sample::good();
    let long = "x<&\"'|".repeat(2_000);
    view.state.history = std::iter::repeat_n(view.state.history[0].clone(), 200).collect();
    view.state.history.iter_mut().for_each(|one| one.text.clone_from(&long));
    view.guards = (0..50)
        .map(|n| crate::people::view::GuardView { name: format!("{n}{long}"), ..view.guards[2].clone() })
        .collect();
    if let Some(rollout) = &mut view.state.rollout {
        let gate = GateStatus {
            summary: long.clone(),
            name: long.clone(),
            report: Some(long.clone()),
            ..rollout.gates[0].clone()
        };
        rollout.gates = vec![gate; 400];
        rollout.revision.clone_from(&long);
    }
    let mut report = report(view, 5_000);
    report.plan = long.repeat(20);
    let page = report.html();
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    assert!(report.markdown().len() < MOST_BYTES);
}

#[test]
fn links_lead_to_reports_and_run_nothing() {
    let mut view = sample::good();
    let set = |view: &mut View, report: &str| {
        if let Some(rollout) = &mut view.state.rollout {
            rollout.gates[2].report = Some(report.to_owned());
        }
    };
    for (address, is_link) in [
        ("https://ci.example/run/7", true),
        ("reports/load-1.html", true),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
        ("//evil.example", false),
    ] {
        set(&mut view, address);
        let page = Report { view: view.clone(), series: Series::default(), plan: String::new() }.html();
        assert_eq!(page.contains("href="), is_link, "{address}");
        assert!(page.contains(address), "{address}");
    }
}

#[test]
fn the_section_has_the_form_of_the_deployment_report() {
    insta::assert_snapshot!(report(sample::failed(), 10).markdown());
}

#[test]
fn page_and_section_are_written_side_by_side_for_each_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("reports");
    let first = report(sample::failed(), 10);
    let mut second = report(sample::promoted(), 10);
    if let Some(rollout) = &mut second.view.state.rollout {
        rollout.attempt = 2;
    }
    let pages = [&first, &second].map(|report| report.write(&folder).expect("written"));
    assert_eq!(pages, ["checkout-v1-5-0-1.html", "checkout-v1-5-0-2.html"].map(|name| folder.join(name)));
    let text = std::fs::read_to_string(folder.join(DEPLOYMENT_REPORT)).expect("the deployment report");
    let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(headings, ["# Deployment report", "## checkout – ❌ rolled back", "## checkout – ✅ promoted"]);
}

#[test]
fn without_a_series_the_history_is_drawn() {
    let report = Report { view: sample::good(), series: Series::default(), plan: String::new() };
    assert_eq!(report.over_time().points().len(), 5);
    assert!(report.html().contains("<polygon"), "there is an area");
}

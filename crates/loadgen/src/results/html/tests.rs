use super::*;
use crate::metrics::Second;
use crate::results::tests::sample::{Noise, run};

const MOST_BYTES: usize = 300_000;

#[test]
fn a_report_needs_no_other_file() {
    let (before, now) = (run(1, 120, 1.0), run(2, 120, 1.3));
    let page = html(&now, Some(&before));
    // To be looked at, when the build is told a file.
    if let Some(file) = option_env!("SAMPLE_REPORT") {
        std::fs::write(file, &page).expect("the file can be written");
    }
    assert!(page.starts_with("<!DOCTYPE html>"));
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    for foreign in ["<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import", "http-equiv=\"refresh"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for part in ["failed", "rate&lt;0.001", "p95", "status 503", "/in/stripe", "slower", "--scale", "4f2a91c", "memory"]
    {
        assert!(page.contains(part), "{part}");
    }
    let verdict = page.find("1 of 4 thresholds did not hold").expect("the verdict");
    assert!(page.find("<section").is_some_and(|section| verdict < section), "the verdict comes first");
}

#[test]
fn a_day_with_a_thousand_endpoints_stays_small() {
    let mut summary = run(1, 30, 1.0);
    let mut noise = Noise::new(5);
    summary.timeline = (0..crate::metrics::MOST_SECONDS)
        .map(|at| Second {
            at_ms: at as f64 * 21_600.0,
            duration_ms: 21_600.0,
            requests: 2_000_000 + (noise.uniform() * 1e6) as u64,
            errors: (noise.uniform() * 100.0) as u64,
            dropped: (noise.uniform() * 100.0) as u64,
            p50_ms: Some(10.0 * noise.normal().exp()),
            p95_ms: Some(100.0 * noise.normal().exp()),
            p99_ms: Some(if at == 1_234 { 54_321.0 } else { 500.0 }),
            ..Second::default()
        })
        .collect();
    let series =
        summary.snapshot.series.iter().find(|series| !series.tags.name.is_empty()).cloned().expect("a request");
    summary.snapshot.series = (0..1_000)
        .map(|n| {
            let mut series = series.clone();
            series.tags.name = format!("/{n}/{}", "<&>".repeat(200));
            series
        })
        .collect();
    let line =
        |n: usize| (0..crate::metrics::MOST_SECONDS).map(|at| (at as f64 * 21_600.0, (at * n % 97) as f64)).collect();
    let one = summary.observed[0].series[0].clone();
    summary.observed[0].series = (0..40)
        .map(|n| crate::observe::ObservedSeries { points: line(n), name: "<&>".repeat(200), ..one.clone() })
        .collect();
    summary.thresholds = vec![summary.thresholds[0].clone(); 500];
    summary.meta.options = serde_json::json!({ "long": "<&>".repeat(100_000) });
    summary.meta.command = vec!["<&>".repeat(1_000); 300];
    let page = html(&summary, Some(&summary));
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    // The worst second is drawn: the axis reaches up to it.
    assert!(
        page.contains(">1m40s<") || page.contains(">100 s<") || page.contains(">50.0 s<"),
        "the worst second is on the axis"
    );
}

#[test]
fn text_of_others_is_text() {
    const EVIL: &str = "\"><script>alert(1)</script><b a='";
    let mut summary = run(1, 70, 1.0);
    summary.meta.name = EVIL.to_owned();
    summary.meta.file = EVIL.to_owned();
    summary.meta.target = Some(EVIL.to_owned());
    summary.meta.command = vec![EVIL.to_owned()];
    summary.meta.options = serde_json::json!({ EVIL: EVIL });
    summary.meta.tags = [(EVIL.to_owned(), EVIL.to_owned())].into();
    summary.thresholds[0].selector = EVIL.to_owned();
    summary.observed[0].source = EVIL.to_owned();
    summary.observed[0].series[0].name = EVIL.to_owned();
    summary.observed[0].warnings = vec![EVIL.to_owned()];
    summary.generator.invalid = Some(EVIL.to_owned());
    for series in &mut summary.snapshot.series {
        (series.tags.name, series.tags.check, series.tags.error) = (EVIL.to_owned(), EVIL.to_owned(), EVIL.to_owned());
    }
    let page = html(&summary, Some(&summary));
    assert!(!page.contains("<script") && !page.contains("<b a"), "{page}");
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn a_run_without_anything_has_a_report_too() {
    let mut summary = run(1, 1, 1.0);
    summary.timeline.clear();
    summary.snapshot.series.clear();
    summary.thresholds.clear();
    summary.scenarios.clear();
    summary.observed.clear();
    summary.duration = std::time::Duration::ZERO;
    assert!(html(&summary, Some(&summary)).contains("No request ended in this run."));
}

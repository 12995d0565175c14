use super::*;

#[test]
fn a_candidate_with_more_errors_is_rolled_back_and_named() {
    let settings = JudgeSettings::default();
    let mut judge = begun(&settings, 1);
    assert_eq!(judge.rolls_back(&settings), None);
    let looks = windows_until_roll_back(&mut judge, &settings, &errors((75, 3), (675, 1)), 10);
    assert!(looks.is_some_and(|looks| looks <= 3), "{looks:?}");
    let evidence = judge.rolls_back(&settings).unwrap();
    assert_eq!(evidence.metric, CompareMetric::Errors);
    assert!(evidence.roll_back >= evidence.roll_back_limit);
    assert_eq!(evidence.candidate_ratio, Some(0.04));
    assert_eq!(evidence.boundary, None);
    assert_eq!(evidence.expected_ms, Some(0));
    assert!(!judge.passes(&settings));
}

#[test]
fn without_any_history_a_broken_candidate_is_found_in_the_second_window_at_the_latest() {
    let settings = errors_only();
    let mut judge = Judge::default();
    judge.begin_step(&settings);
    assert!(windows_until_roll_back(&mut judge, &settings, &errors((75, 40), (675, 0)), 2).is_some());
}

#[test]
fn an_equal_candidate_passes_and_is_not_rolled_back() {
    let settings = JudgeSettings::default();
    let mut judge = begun(&settings, 1);
    let block = window(
        Some(timed(10_000, &[8_000, 4_000, 1_333, 400, 53, 0])),
        Some(timed(90_000, &[72_000, 36_000, 12_000, 3_600, 480, 0])),
    );
    let looks = (1..=20).find(|_| {
        judge.look(&settings, &block);
        assert_eq!(judge.rolls_back(&settings), None);
        judge.passes(&settings)
    });
    assert!(looks.is_some(), "{:?}", judge.evidence(&settings));
}

#[test]
fn a_candidate_that_is_worse_than_tolerated_never_passes() {
    let settings = errors_only();
    for errors_of_1000 in [3, 5, 50, 1_000] {
        let mut judge = begun(&settings, 1);
        for _ in 0..500 {
            judge.look(&settings, &errors((1_000, errors_of_1000), (9_000, 9)));
            assert!(!judge.passes(&settings), "{errors_of_1000} of 1,000");
        }
    }
}

#[test]
fn green_needs_evidence() {
    let settings = JudgeSettings::default();
    let mut judge = begun(&settings, 1);
    let blocks = [
        window(None, None),
        window(Some(counts(75, 0)), None),
        window(None, Some(counts(675, 0))),
        errors((0, 0), (675, 1)),
        errors((75, 0), (0, 0)),
    ];
    for _ in 0..10_000 {
        blocks.iter().for_each(|block| judge.look(&settings, block));
    }
    for evidence in judge.evidence(&settings) {
        assert_eq!((evidence.roll_back, evidence.pass, evidence.candidate_requests), (0.0, 0.0, 0));
        assert_eq!((evidence.candidate_ratio, evidence.expected_ms), (None, None));
    }
    // Errors alone are proven; latency was never seen.
    (0..10_000).for_each(|_| judge.look(&settings, &errors((750, 0), (6_750, 6))));
    let evidence = judge.evidence(&settings);
    assert!(evidence[0].pass >= evidence[0].pass_limit && !judge.passes(&settings));
    assert!(!judge.passes(&self::settings(&[])), "without comparisons nothing passes");
    assert_eq!(judge.rolls_back(&self::settings(&[])), None);
}

#[test]
fn the_boundary_that_moved_is_named() {
    let settings = settings(&[CompareMetric::Latency]);
    for moved in 1..BOUNDARIES.len() - 1 {
        let mut judge = begun(&settings, 1);
        let (live, mut candidate) = ([601, 301, 101, 31, 5, 1], [60, 30, 10, 3, 0, 0]);
        let above = candidate[moved - 1];
        candidate[moved] = above;
        let block = window(Some(timed(75, &candidate)), Some(timed(750, &live)));
        assert!(windows_until_roll_back(&mut judge, &settings, &block, 60).is_some(), "boundary {moved}");
        let evidence = judge.rolls_back(&settings).unwrap();
        assert_eq!(evidence.boundary, Some(BOUNDARIES[moved]));
        assert_eq!(evidence.candidate_ratio, Some(above as f64 / 75.0));
    }
}

#[test]
fn a_boundary_that_most_of_the_live_requests_exceed_says_nothing() {
    let settings = settings(&[CompareMetric::Latency]);
    let mut judge = begun(&settings, 1);
    // Of the live requests 80 % are slower than the first boundary, of the candidate's all: beyond it they are alike.
    let block = window(Some(timed(75, &[75, 30, 10, 3, 0, 0])), Some(timed(750, &[601, 301, 101, 31, 5, 1])));
    assert_eq!(windows_until_roll_back(&mut judge, &settings, &block, 1_000), None);
    assert!(judge.passes(&settings));
}

#[test]
fn a_restart_changes_nothing() {
    let settings = JudgeSettings { n_steps: 3, ..JudgeSettings::default() };
    let mut judge = Judge::default();
    let mut restarted = judge.clone();
    let version = synthetic::Version { error_ratio: 0.003, burst: 2, latency_median: 0.04, latency_sigma: 0.8 };
    let traffic = synthetic::Traffic { requests: 333, window_ms: 15_000, boundaries: BOUNDARIES.to_vec() };
    let mut windows = synthetic::Windows::new(synthetic::Sampler::new(5, 5), traffic, version, version);
    for n in 0..200 {
        let block = windows.next(0.15);
        for judge in [&mut judge, &mut restarted] {
            if n < 40 {
                judge.learn(&settings, &block);
            } else {
                if n % 40 == 0 {
                    judge.begin_step(&settings);
                }
                judge.look(&settings, &block);
            }
        }
        restarted = serde_json::from_str(&serde_json::to_string(&restarted).unwrap()).unwrap();
        assert_eq!(judge, restarted);
    }
    assert_eq!(judge.evidence(&settings), restarted.evidence(&settings));
    assert!(judge.evidence(&settings)[0].roll_back != 0.0);
}

#[test]
fn errors_in_bursts_weigh_less() {
    let settings = errors_only();
    let learnt = |burst: u64| {
        let mut judge = Judge::default();
        let version = synthetic::Version { error_ratio: 0.005, burst, latency_median: 0.1, latency_sigma: 1.0 };
        let traffic = synthetic::Traffic { requests: 750, window_ms: 15_000, boundaries: Vec::new() };
        let mut windows = synthetic::Windows::new(synthetic::Sampler::new(3, burst), traffic, version, version);
        (0..240).for_each(|_| judge.learn(&settings, &windows.next(0.0)));
        judge.begin_step(&settings);
        judge
    };
    let (mut single, mut bursts) = (learnt(1), learnt(5));
    let dispersion = |judge: &Judge| judge.evidence(&settings)[0].dispersion;
    assert!((1.0..1.3).contains(&dispersion(&single)), "{}", dispersion(&single));
    assert!((4.0..6.0).contains(&dispersion(&bursts)), "{}", dispersion(&bursts));
    // One burst more than usual at the candidate is a verdict only where errors come one by one.
    let block = errors((75, 5), (675, 3));
    assert!(windows_until_roll_back(&mut single, &settings, &block, 2).is_some());
    assert!(windows_until_roll_back(&mut bursts, &settings, &block, 2).is_none());
    assert!(windows_until_roll_back(&mut bursts, &settings, &block, 20).is_some());
}

#[test]
fn dispersion_is_frozen_within_a_step_and_learnt_between_steps() {
    let settings = JudgeSettings { n_steps: 2, ..errors_only() };
    let mut judge = begun(&settings, 5);
    let dispersion = |judge: &Judge| judge.evidence(&settings)[0].dispersion;
    let frozen = dispersion(&judge);
    assert!(frozen < 1.1, "{frozen}");
    let burst = |n| errors((75, 0), (675, if n % 5 == 0 { 20 } else { 0 }));
    for n in 0..240 {
        judge.look(&settings, &burst(n));
        assert_eq!(dispersion(&judge), frozen);
    }
    judge.begin_step(&settings);
    assert!(dispersion(&judge) > 5.0, "{}", dispersion(&judge));
    let learnt = judge.clone();
    judge.learn(&settings, &burst(0));
    assert_eq!(judge, learnt, "nothing is learnt after the first step began");
}

#[test]
fn without_history_dispersion_follows_the_live_version_until_enough_is_known() {
    let settings = errors_only();
    let mut judge = Judge::default();
    judge.begin_step(&settings);
    let seen: Vec<f64> = (0..200)
        .map(|n| {
            judge.look(&settings, &errors((75, 0), (675, if n % 5 == 0 { 10 } else { 0 })));
            judge.evidence(&settings)[0].dispersion
        })
        .collect();
    assert_eq!(seen[0], 2.0);
    assert!(seen[39] > 5.0 && seen[40..].iter().all(|&later| later == seen[40]), "{seen:?}");
}

#[test]
fn steps_share_alpha() {
    let settings = JudgeSettings { n_steps: 4, ..errors_only() };
    let alone = errors_only();
    let bad = errors((75, 3), (675, 1));
    let (mut shared, mut single) = (begun(&settings, 1), begun(&alone, 1));
    single.look(&alone, &bad);
    shared.look(&settings, &bad);
    let (single, mean) = (single.evidence(&alone)[0].roll_back, shared.evidence(&settings)[0].roll_back);
    assert!((mean - ((single.exp() + 3.0) / 4.0).ln()).abs() < 1e-12, "{single} {mean}");
    // What the first step found stays in the mean; the second begins with an e-value of 1.
    shared.begin_step(&settings);
    assert!((shared.evidence(&settings)[0].roll_back - mean).abs() < 1e-12);
    assert_eq!(shared.evidence(&settings)[0].pass, 0.0);
    assert_eq!(shared.evidence(&settings)[0].candidate_requests, 0);
}

#[test]
fn more_steps_than_planned_are_no_second_chance() {
    let settings = errors_only();
    let mut judge = begun(&settings, 1);
    (0..40).for_each(|_| judge.look(&settings, &errors((75, 0), (675, 1))));
    let before = judge.evidence(&settings)[0].roll_back;
    assert!(before < -0.3, "{before}");
    judge.begin_step(&settings);
    assert_eq!(judge.evidence(&settings)[0].roll_back, before);
}

#[test]
fn two_metrics_share_alpha_and_the_same_one_twice_does_not() {
    let limit = |metrics: &[CompareMetric]| Judge::default().evidence(&settings(metrics))[0].roll_back_limit.exp();
    let (errors, latency) = (CompareMetric::Errors, CompareMetric::Latency);
    let limits = [limit(&[errors]), limit(&[errors, errors]), limit(&[latency, errors])];
    for (limit, expected) in limits.into_iter().zip([100.0, 100.0, 200.0]) {
        assert!((limit / expected - 1.0).abs() < 1e-12, "{limit}");
    }
    let asked = Judge::default().evidence(&settings(&[latency, errors]));
    assert_eq!([asked[0].metric, asked[1].metric], [latency, errors]);
}

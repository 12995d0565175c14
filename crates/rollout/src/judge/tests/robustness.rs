use proptest::prelude::*;

use super::*;

fn any_counts() -> impl Strategy<Value = Option<Counts>> {
    let number = prop_oneof![4 => 0u64..2_000, 1 => Just(0), 1 => Just(u64::MAX), 1 => any::<u64>()];
    let counts = (number.clone(), number.clone(), number.clone(), prop::collection::vec(number, 0..80))
        .prop_map(|(requests, errors, timed, slower)| Counts { requests, errors, timed, slower });
    prop::option::weighted(0.9, counts)
}

fn any_boundaries() -> impl Strategy<Value = Vec<f64>> {
    let ascending = (1usize..80).prop_map(|n| (1..=n).map(|k| k as f64 * 0.01).collect());
    prop_oneof![4 => ascending, 1 => prop::collection::vec(any::<f64>(), 0..5), 1 => Just(BOUNDARIES.to_vec())]
}

fn any_block() -> impl Strategy<Value = Block> {
    let window_ms = prop_oneof![4 => Just(15_000u64), 1 => any::<u64>()];
    (window_ms, any_boundaries(), any_counts(), any_counts(), any::<bool>()).prop_map(
        |(window_ms, boundaries, mut candidate, mut live, fits)| {
            for counts in [&mut candidate, &mut live].into_iter().flatten().filter(|_| fits) {
                counts.slower.resize(boundaries.len(), 3);
            }
            Block { at: 0, window_ms, boundaries, candidate, live }
        },
    )
}

fn any_settings() -> impl Strategy<Value = JudgeSettings> {
    let metrics = prop::collection::vec(prop_oneof![Just(CompareMetric::Errors), Just(CompareMetric::Latency)], 0..4);
    let number = || prop_oneof![3 => 0.0..2.0f64, 1 => any::<f64>()];
    (metrics, number(), number(), number(), number(), 0u32..4).prop_map(
        |(metrics, alpha, beta, tolerated_ratio, tolerated_difference, n_steps)| JudgeSettings {
            metrics,
            alpha,
            beta,
            tolerated_ratio,
            tolerated_difference,
            fast_enough: 0.0,
            n_steps,
        },
    )
}

proptest! {
    #[test]
    fn any_input_gives_numbers_and_bounded_memory(
        settings in any_settings(),
        looks in prop::collection::vec((0..10u8, any_block()), 0..25),
    ) {
        let mut judge = Judge::default();
        for (what, block) in &looks {
            match what {
                0 => judge.begin_step(&settings),
                1 | 2 => judge.learn(&settings, block),
                _ => judge.look(&settings, block),
            }
            let evidence = judge.evidence(&settings);
            prop_assert_eq!(evidence.len(), settings.metrics.len());
            for one in &evidence {
                let numbers = [one.roll_back, one.roll_back_limit, one.pass, one.pass_limit, one.dispersion];
                prop_assert!(numbers.iter().all(|number| number.is_finite()), "{:?}", one);
                prop_assert!(one.dispersion >= 1.0 && one.roll_back_limit > 0.0 && one.pass_limit > 0.0);
                for ratio in [one.candidate_ratio, one.live_ratio].into_iter().flatten() {
                    prop_assert!((0.0..=1.0).contains(&ratio));
                }
            }
            prop_assert_eq!(judge.rolls_back(&settings).is_some(), evidence.iter().any(|e| e.roll_back >= e.roll_back_limit));
            let text = serde_json::to_string(&judge).unwrap();
            prop_assert!(text.len() < 100_000, "{} bytes", text.len());
            prop_assert_eq!(&serde_json::from_str::<Judge>(&text).unwrap(), &judge);
        }
    }
}

#[test]
fn more_errors_than_requests_are_all_requests() {
    let settings = errors_only();
    let (mut contradicting, mut all) = (begun(&settings, 1), begun(&settings, 1));
    contradicting.look(&settings, &errors((10, 99), (90, 0)));
    all.look(&settings, &errors((10, 10), (90, 0)));
    assert_eq!(contradicting, all);
}

#[test]
fn other_boundaries_start_the_histogram_afresh_and_are_no_second_chance() {
    let settings = settings(&[CompareMetric::Latency]);
    let mut judge = begun(&settings, 1);
    let equal = window(Some(timed(75, &[60, 30, 10, 3, 0, 0])), Some(timed(750, &[601, 301, 101, 31, 5, 1])));
    (0..40).for_each(|_| judge.look(&settings, &equal));
    let before = judge.evidence(&settings)[0].roll_back;
    let mut other = equal.clone();
    other.boundaries[5] = 2.0;
    judge.look(&settings, &other);
    let evidence = judge.evidence(&settings);
    assert_eq!((evidence[0].roll_back, evidence[0].candidate_requests), (before, 0), "{evidence:?}");
    // It judges again with what is usual at the new boundaries, and finds what moves there.
    let slow = Block { candidate: Some(timed(75, &[60, 30, 10, 10, 10, 10])), ..other };
    assert!(windows_until_roll_back(&mut judge, &settings, &slow, 20).is_some());
    assert!(judge.rolls_back(&settings).unwrap().boundary.unwrap() >= 0.1);
}

#[test]
fn a_histogram_that_is_missing_for_a_while_goes_on() {
    let settings = JudgeSettings::default();
    let mut judge = begun(&settings, 1);
    let whole = window(Some(timed(75, &[60, 30, 10, 3, 0, 0])), Some(timed(750, &[601, 301, 101, 31, 5, 1])));
    (0..4).for_each(|_| judge.look(&settings, &whole));
    let latency = |judge: &Judge| judge.evidence(&settings)[1].clone();
    let before = latency(&judge);
    let without = Block { boundaries: Vec::new(), ..errors((75, 0), (675, 1)) };
    let shortened = window(Some(timed(75, &[60, 30])), Some(timed(750, &[601, 301, 101, 31, 5, 1])));
    judge.look(&settings, &without);
    assert_eq!(latency(&judge), before);
    judge.look(&settings, &shortened);
    let after = latency(&judge);
    assert_eq!((after.roll_back, after.pass, after.candidate_requests), (before.roll_back, before.pass, 300));
}

#[test]
fn of_many_boundaries_64_are_compared() {
    let settings = settings(&[CompareMetric::Latency]);
    let boundaries: Vec<f64> = (1..=1_000).map(|k| f64::from(k) * 0.001).collect();
    let slower = |timed: u64| (0..1_000).map(|k| timed * (1_000 - k) / 1_000).collect::<Vec<_>>();
    let block = |candidate, live| Block { boundaries: boundaries.clone(), ..window(candidate, live) };
    let mut judge = Judge::default();
    (0..10).for_each(|_| judge.learn(&settings, &block(None, Some(timed(900, &slower(900))))));
    judge.begin_step(&settings);
    let mut slow = slower(100);
    slow[500..].fill(50);
    let slow = block(Some(timed(100, &slow)), Some(timed(900, &slower(900))));
    assert!(windows_until_roll_back(&mut judge, &settings, &slow, 10).is_some());
    assert!(judge.rolls_back(&settings).unwrap().boundary.unwrap() > 0.5);
    assert!(serde_json::to_string(&judge).unwrap().len() < 64 * 1_500);
}

use proptest::prelude::*;

use super::*;
use crate::options::Stage;
use crate::segment::{Segment, SegmentedIndex};

fn whole() -> SegmentedIndex {
    SegmentedIndex::new(&Segment::whole())
}

fn part(segment: &str, sequence: Option<&str>) -> SegmentedIndex {
    SegmentedIndex::new(&Segment::parse(Some(segment), sequence).unwrap())
}

fn stages(stages: &[(f64, f64)]) -> Vec<Stage> {
    stages
        .iter()
        .map(|(seconds, target)| Stage { duration: Duration::from_secs_f64(*seconds), target: *target })
        .collect()
}

fn ramping(start_rate: f64, of: &[(f64, f64)]) -> ExecutorPlan {
    ExecutorPlan::RampingArrivalRate {
        start_rate,
        time_unit: Duration::from_secs(1),
        stages: stages(of),
        pre_allocated_vus: 1,
        max_vus: 1,
        spacing: Spacing::Even,
    }
}

fn constant(rate: f64, time_unit: Duration, duration: Duration, spacing: Spacing) -> ExecutorPlan {
    ExecutorPlan::ConstantArrivalRate { rate, time_unit, duration, pre_allocated_vus: 1, max_vus: 1, spacing }
}

fn users(start_vus: u32, of: &[(f64, f64)]) -> ExecutorPlan {
    ExecutorPlan::RampingVus { start_vus, stages: stages(of), graceful_ramp_down: Duration::ZERO }
}

fn milliseconds(executor: &ExecutorPlan, segment: &SegmentedIndex) -> Vec<u128> {
    arrivals(executor, segment).map(|at| at.as_millis()).collect()
}

#[test]
fn ramping_rates_follow_the_formula_and_carry_their_area_over() {
    for (start, stages, expected) in [
        (0.0, &[(5.0, 1.0), (1.0, 1.0), (5.0, 0.0)][..], &[3162, 4472, 5500, 6527, 7837, 11000][..]),
        // A jump has no area: 1/s, then 2/s at once.
        (1.0, &[(1.5, 1.0), (0.0, 2.0), (1.0, 2.0)], &[1000, 1750, 2250]),
        // A pause keeps the half that was due.
        (1.0, &[(0.5, 1.0), (0.0, 0.0), (10.0, 0.0), (0.0, 1.0), (1.0, 1.0)], &[11000]),
        (0.0, &[(3.0, 0.0)], &[]),
    ] {
        let executor = ramping(start, stages);
        assert_eq!(milliseconds(&executor, &whole()), expected, "{stages:?}");
        assert_eq!(iterations(&executor), Some(expected.len() as u64));
    }
}

#[test]
fn a_constant_rate_begins_at_once_and_never_drifts() {
    let second = Duration::from_secs(1);
    assert_eq!(milliseconds(&constant(4.0, second, second, Spacing::Even), &whole()), [0, 250, 500, 750]);
    let thirds = constant(3.0, second, 86_400 * second, Spacing::Even);
    assert_eq!(iterations(&thirds), Some(259_200));
    let last = arrivals(&thirds, &whole()).last().unwrap();
    assert_eq!(last, Duration::from_nanos(86_399_666_666_667));
    let slow = constant(0.5, 60 * second, 300 * second, Spacing::Even);
    assert_eq!(milliseconds(&slow, &whole()), [0, 120_000, 240_000]);
}

#[test]
fn a_poisson_process_is_the_same_for_a_seed_and_has_the_rate() {
    let second = Duration::from_secs(1);
    let run = |seed| milliseconds(&constant(1000.0, second, 100 * second, Spacing::Poisson { seed }), &whole());
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let starts = run(7);
    // Five standard deviations of a Poisson number with mean 100,000.
    assert!(starts.len().abs_diff(100_000) < 1_600, "{}", starts.len());
    // Of exponential gaps the standard deviation is the mean.
    let exact: Vec<f64> = arrivals(&constant(1000.0, second, 100 * second, Spacing::Poisson { seed: 7 }), &whole())
        .map(|at| at.as_secs_f64())
        .collect();
    let gaps: Vec<f64> = exact.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
    assert!((deviation / mean - 1.0).abs() < 0.02, "{deviation} of {mean}");
    assert_eq!(iterations(&constant(1.0, second, second, Spacing::Poisson { seed: 1 })), None);
}

#[test]
fn users_change_one_by_one_at_even_distances_and_jump_where_there_is_no_time() {
    let changes = |executor: &ExecutorPlan, segment: &SegmentedIndex| -> Vec<(u128, u64)> {
        vu_changes(executor, segment).map(|change| (change.at.as_millis(), change.vus)).collect()
    };
    let executor = users(1, &[(2.0, 3.0), (1.0, 3.0), (0.0, 5.0), (2.0, 1.0)]);
    let expected = [(0, 1), (1000, 2), (2000, 3), (3000, 5), (3500, 4), (4000, 3), (4500, 2), (5000, 1)];
    assert_eq!(changes(&executor, &whole()), expected);
    // The second of two has the users 2 and 4.
    assert_eq!(changes(&executor, &part("1/2:1", None)), [(0, 0), (1000, 1), (3000, 2), (4000, 1), (5000, 0)]);
    assert_eq!(max_vus(&executor), 5);
    assert_eq!(changes(&ExecutorPlan::ConstantVus { vus: 9, duration: Duration::from_secs(1) }, &whole()), [(0, 9)]);
}

#[test]
fn long_schedules_cost_nothing_until_they_are_read() {
    let million = users(0, &[(1e6, 4e9)]);
    assert_eq!(vu_changes(&million, &whole()).nth(1).unwrap().at, Duration::from_micros(250));
    let fast = ramping(0.0, &[(1e9, 1e9)]);
    assert_eq!(arrivals(&fast, &whole()).take(3).count(), 3);
    let peak = users(0, &[(30.0, 15_000.0), (120.0, 15_000.0), (30.0, 0.0)]);
    assert_eq!(vu_changes(&peak, &whole()).count(), 30_001);
}

proptest! {
    #[test]
    fn segments_divide_every_schedule(
        lengths in prop::collection::vec(1_u64..5, 1..5),
        start in 0_u32..40,
        stages in prop::collection::vec((0_u32..4, 0_u32..40), 1..5),
        seed in prop::option::of(any::<u64>()),
    ) {
        let total: u64 = lengths.iter().sum();
        let ends: Vec<u64> = std::iter::once(0).chain(lengths.iter().scan(0, |end, length| { *end += length; Some(*end) })).collect();
        let sequence = ends.iter().map(|end| format!("{end}/{total}")).collect::<Vec<_>>().join(",");
        let parts: Vec<_> = ends.windows(2).map(|ends| part(&format!("{}/{total}:{}/{total}", ends[0], ends[1]), Some(&sequence))).collect();
        let of: Vec<(f64, f64)> = stages.iter().map(|(seconds, target)| (f64::from(*seconds), f64::from(*target))).collect();

        let mut rates = ramping(f64::from(start), &of);
        if let (Some(seed), ExecutorPlan::RampingArrivalRate { spacing, .. }) = (seed, &mut rates) {
            *spacing = Spacing::Poisson { seed };
        }
        let all: Vec<_> = arrivals(&rates, &whole()).collect();
        prop_assert!(all.is_sorted());
        prop_assert!(all.iter().all(|at| *at <= end(&rates)));
        let mut together: Vec<_> = parts.iter().flat_map(|part| arrivals(&rates, part)).collect();
        together.sort();
        prop_assert_eq!(&together, &all);
        if seed.is_none() {
            prop_assert_eq!(iterations(&rates), Some(all.len() as u64));
        }

        let ramp = users(start, &of);
        let at = |segment: &SegmentedIndex, time: Duration| {
            vu_changes(&ramp, segment).take_while(|change| change.at <= time).last().map_or(0, |change| change.vus)
        };
        for change in vu_changes(&ramp, &whole()) {
            let now = at(&whole(), change.at);
            prop_assert_eq!(parts.iter().map(|part| at(part, change.at)).sum::<u64>(), now);
        }
        prop_assert!(vu_changes(&ramp, &whole()).all(|change| change.vus <= u64::from(max_vus(&ramp))));
    }
}

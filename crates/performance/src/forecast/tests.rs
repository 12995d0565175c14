use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3_600;

/// Deterministic noise, evenly spread over -1 to 1.
fn noise(n: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    (0..n).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

fn history(values: impl IntoIterator<Item = f64>) -> History {
    let values: Vec<_> = values.into_iter().map(Some).collect();
    History::new(1_000_000 * HOUR, HOUR, &values).expect("enough values")
}

fn disk(history: &History, limit: f64) -> Forecast {
    forecast(Resource::Disk, Some(history), Some(limit), "")
}

/// Hours until the limit is reached.
fn hours(history: &History, at_s: Option<i64>) -> f64 {
    (at_s.expect("a time") - history.end_s()) as f64 / HOUR as f64
}

#[test]
fn linear_growth_reaches_the_limit_when_a_line_does() {
    // 1 GB an hour from 100 GB: at 171 GB after 72 hours, at 200 GB 29 hours later.
    let line = history((0..72).map(|n| 1e11 + 1e9 * f64::from(n)));
    let told = disk(&line, 2e11);
    assert_eq!(told.outlook, Outlook::Expected);
    assert!((hours(&line, told.reached_s) - 29.0).abs() < 1.5, "{told:?}");
    assert!(told.probability.unwrap() > 0.95, "{told:?}");
    assert!(told.text.starts_with("Use of the volume that holds the store reaches 186 GiB in 29"), "{}", told.text);

    let noisy = history((0..72).zip(noise(72)).map(|(n, noise)| 1e11 + 1e9 * f64::from(n) + 2e8 * noise));
    let told = disk(&noisy, 2e11);
    assert_eq!(told.outlook, Outlook::Expected);
    assert!((hours(&noisy, told.reached_s) - 29.0).abs() < 5.0, "{told:?}");
    assert!(told.earliest_s < told.reached_s && told.reached_s < told.latest_s, "{told:?}");
    assert!(hours(&noisy, told.earliest_s) > 20.0 && hours(&noisy, told.latest_s) < 40.0, "{told:?}");
}

#[test]
fn a_far_limit_is_not_expected_within_the_horizon() {
    let line = history((0..72).map(|n| 1e11 + 1e9 * f64::from(n)));
    let told = disk(&line, 1e13);
    assert_eq!((told.outlook, told.reached_s, told.latest_s), (Outlook::NotExpected, None, None));
    assert_eq!(told.horizon_s, 144 * HOUR);
    assert!(told.probability.unwrap() < 0.01);
}

#[test]
fn what_is_constant_or_shrinks_never_reaches_it() {
    let told = disk(&history([5e9; 48]), 1e10);
    assert_eq!((told.outlook, told.probability), (Outlook::Never, Some(0.0)));
    assert_eq!(told.model.as_deref(), Some("constant"));
    assert_eq!(
        told.text,
        "Use of the volume that holds the store does not grow: in the last 2 days it came no nearer to 9.31 GiB."
    );
    let shrinking = disk(&history((0..72).map(|n| 8e10 - 1e9 * f64::from(n))), 1e11);
    assert_eq!(shrinking.outlook, Outlook::Never, "{shrinking:?}");
}

#[test]
fn noise_gives_a_wide_interval_and_no_date() {
    let calm = history(noise(96).map(|noise| 5e9 + 1e7 * noise));
    let wild = history(noise(96).map(|noise| 5e9 + 2e9 * noise));
    let width = |told: &Forecast| told.points.last().map(|point| point.upper - point.lower).expect("points");
    let (calm, wild) = (disk(&calm, 1e10), disk(&wild, 1e10));
    assert!(width(&wild) > 20.0 * width(&calm), "{} and {}", width(&wild), width(&calm));
    assert_ne!(wild.outlook, Outlook::Expected, "{wild:?}");
    assert!(width(&wild) > 2e9, "at least the spread of what was seen");
}

#[test]
fn what_is_reached_needs_no_forecast() {
    let told = disk(&history([1.1e10; 30]), 1e10);
    assert_eq!((told.outlook, told.points.len()), (Outlook::Reached, 0));
    assert_eq!(told.text, "Use of the volume that holds the store is 10.2 GiB, and the limit is 9.31 GiB.");
}

#[test]
fn without_data_or_limit_it_refuses_and_says_why() {
    let told = forecast(Resource::Memory, None, Some(1e9), "");
    assert_eq!(told.outlook, Outlook::InsufficientData);
    assert_eq!(told.text, "Use of memory cannot be forecast yet: 4 hours without a longer gap are needed.");
    let told =
        forecast(Resource::Events, Some(&history([5.0; 20])), None, "The most that this node can take is not known.");
    assert_eq!((told.outlook, told.now), (Outlook::NoLimit, Some(5.0)));
    assert_eq!(told.text, "The most that this node can take is not known.");
    for limit in [0.0, -1.0, f64::NAN] {
        assert_eq!(forecast(Resource::Pool, Some(&history([5.0; 20])), Some(limit), "").outlook, Outlook::NoLimit);
    }
}

#[test]
fn the_course_is_handed_out_in_few_points_and_to_its_end() {
    let line = history((0..336).map(|n| 1e11 + 1e9 * f64::from(n)));
    let told = disk(&line, 1e13);
    assert_eq!(told.horizon_s, 360 * HOUR);
    assert!(told.points.len() <= MAX_POINTS && told.points.len() > 30);
    assert_eq!(told.points.last().map(|point| point.at_s), Some(line.end_s() + told.horizon_s));
    assert!(told.points.is_sorted_by(|a, b| a.at_s < b.at_s));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_was_seen_the_answer_is_in_order(values in proptest::collection::vec(0.0..1e12f64, 14..60), limit in 1.0..2e12f64) {
        let history = history(values);
        let told = disk(&history, limit);
        prop_assert!(told.probability.is_none_or(|p| (0.0..=1.0).contains(&p)));
        for (first, second) in [(told.earliest_s, told.reached_s), (told.reached_s, told.latest_s)] {
            if let (Some(first), Some(second)) = (first, second) {
                prop_assert!(first <= second, "{:?}", told);
            }
        }
        prop_assert_eq!(told.outlook == Outlook::Expected, told.reached_s.is_some());
        prop_assert!(told.points.iter().all(|point| point.lower <= point.value && point.value <= point.upper));
        prop_assert!(told.text.ends_with('.'));
    }
}

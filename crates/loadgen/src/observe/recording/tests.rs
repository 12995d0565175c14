use super::*;

fn recorded(values: impl IntoIterator<Item = f64>) -> ObservedSeries {
    let mut recording = Recording::new("test".to_owned());
    for (second, value) in values.into_iter().enumerate() {
        recording.record("cpu", ObservedUnit::Percent, Duration::from_secs(second as u64), value);
    }
    recording.end().series.remove(0)
}

#[test]
fn a_day_of_seconds_is_bounded_and_keeps_its_peak() {
    let day = recorded((0..86_400).map(|second| if second == 40_001 { 99.0 } else { f64::from(second % 7) }));
    assert!((MOST_SECONDS / 2..=MOST_SECONDS).contains(&day.points.len()), "{} points", day.points.len());
    let peaks: Vec<_> = day.points.iter().filter(|(_, value)| *value == 99.0).collect();
    assert_eq!(peaks.len(), 1);
    let stride = day.points[1].0 - day.points[0].0;
    assert!((peaks[0].0..peaks[0].0 + stride).contains(&40_001_000.0), "{peaks:?}, {stride} ms a point");
    assert!(day.points.windows(2).all(|pair| pair[1].0 - pair[0].0 == stride), "evenly spaced");
}

#[test]
fn what_is_no_number_leaves_no_point() {
    assert_eq!(recorded([1.0, f64::NAN, f64::INFINITY, 2.0]).points, [(0.0, 1.0), (3_000.0, 2.0)]);
}

#[test]
fn a_rate_needs_two_readings_and_restarts_with_its_counter() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut rate = Rate::default();
    let steps = [(0, 100.0), (2, 150.0), (2, 150.0), (3, 10.0), (4, 40.0)].map(|(s, value)| rate.step(at(s), value));
    assert_eq!(steps, [Step::First, Step::Gained(25.0), Step::First, Step::Fell, Step::Gained(30.0)]);
}

#[test]
fn warnings_are_told_once_and_bounded() {
    let mut recording = Recording::new("test".to_owned());
    (0..100).for_each(|n| recording.warn(format!("warning {}", n / 2)));
    assert_eq!(recording.end().warnings.len(), MOST_WARNINGS);
}

use proptest::prelude::*;

use super::*;

fn readings(id: AlertId, value: f64) -> Readings {
    let mut readings = Readings::default();
    readings.set(id, Some(value));
    readings
}

/// Looks every five seconds for so long.
fn hold(board: &mut Board, at_s: &mut i64, seconds: i64, readings: &Readings) {
    for _ in 0..seconds / 5 {
        *at_s += 5;
        board.evaluate(*at_s, readings);
    }
}

#[test]
fn every_threshold_fires_after_its_time_and_not_before() {
    for rule in rules(&Limits::default()) {
        for level in &rule.levels {
            let mut board = Board::new(&Limits::default());
            let reading = readings(rule.id, level.value);
            let mut at_s = 1_000;
            board.evaluate(at_s, &reading);
            let severity = |board: &Board| board.severity(rule.id);
            if level.for_s > 0 {
                assert_ne!(severity(&board), Some(level.severity), "{:?} at once", rule.id);
                hold(&mut board, &mut at_s, i64::from(level.for_s) - 5, &reading);
                assert_ne!(severity(&board), Some(level.severity), "{:?} before its time", rule.id);
                hold(&mut board, &mut at_s, 5, &reading);
            }
            assert_eq!(severity(&board), Some(level.severity), "{:?} after {} s", rule.id, level.for_s);
            let alert = board.active().remove(0);
            assert_eq!((alert.since_s, alert.threshold, alert.value), (1_000, level.value, Some(level.value)));
        }
    }
}

#[test]
fn the_thresholds_are_those_of_the_requirements() {
    let thresholds = |id| {
        let rules = rules(&Limits::default());
        let rule = rules.iter().find(|rule| rule.id == id).unwrap();
        rule.levels.iter().map(|level| (level.severity.as_str(), level.value)).collect::<Vec<_>>()
    };
    let errors = [("info", 0.005), ("warning", 0.01), ("critical", 0.02)];
    for id in [AlertId::IntakeErrors, AlertId::ApiErrors, AlertId::DeliveryErrors] {
        assert_eq!(thresholds(id), errors);
    }
    for id in [AlertId::IntakeLatency, AlertId::ApiLatency] {
        assert_eq!(thresholds(id), [("info", 0.4), ("warning", 0.8), ("critical", 5.0)]);
    }
    assert_eq!(thresholds(AlertId::ApiLatencyTail), [("critical", 10.0)]);
    assert_eq!(thresholds(AlertId::Cpu), [("warning", 0.75), ("critical", 0.9)]);
    assert_eq!(thresholds(AlertId::Memory), [("warning", 0.8), ("critical", 0.95)]);
    assert_eq!(thresholds(AlertId::Disk), [("warning", 0.8), ("critical", 0.95)]);
    assert_eq!(thresholds(AlertId::StorePool), [("warning", 0.8), ("critical", 0.9)]);
    assert_eq!(thresholds(AlertId::CertificateExpiry)[0], ("warning", 7.0));
}

#[test]
fn it_gets_worse_and_better_by_levels_and_ends_after_a_while_inside() {
    let mut board = Board::new(&Limits::default());
    let mut at_s = 0;
    hold(&mut board, &mut at_s, 400, &readings(AlertId::Cpu, 0.8));
    assert_eq!(board.severity(AlertId::Cpu), Some(Severity::Warning));
    hold(&mut board, &mut at_s, 200, &readings(AlertId::Cpu, 0.95));
    assert_eq!(board.severity(AlertId::Cpu), Some(Severity::Critical));
    hold(&mut board, &mut at_s, 70, &readings(AlertId::Cpu, 0.78));
    assert_eq!(board.severity(AlertId::Cpu), Some(Severity::Warning), "back below 81 %, and still above 67.5 %");
    hold(&mut board, &mut at_s, 55, &readings(AlertId::Cpu, 0.5));
    assert_eq!(board.severity(AlertId::Cpu), Some(Severity::Warning), "not yet for a minute");
    hold(&mut board, &mut at_s, 10, &readings(AlertId::Cpu, 0.5));
    assert_eq!(board.active(), []);
}

#[test]
fn no_data_raises_nothing_and_ends_what_it_outlasts() {
    let mut board = Board::new(&Limits::default());
    let mut at_s = 0;
    let mut unknown = Readings::default();
    unknown.set(AlertId::Cpu, Some(f64::NAN));
    hold(&mut board, &mut at_s, 600, &unknown);
    assert_eq!(board.active(), []);
    assert!(board.rules().all(|(_, state, value)| state == RuleState::NoData && value.is_none()));
    hold(&mut board, &mut at_s, 30, &readings(AlertId::StoreDown, 1.0));
    assert_eq!(board.severity(AlertId::StoreDown), Some(Severity::Critical));
    hold(&mut board, &mut at_s, 30, &unknown);
    assert_eq!(board.severity(AlertId::StoreDown), Some(Severity::Critical));
    hold(&mut board, &mut at_s, 60, &unknown);
    assert_eq!(board.active(), []);
}

#[test]
fn the_worst_comes_first_and_says_what_is_wrong() {
    let mut board = Board::new(&Limits::default());
    let mut at_s = 0;
    let mut readings = Readings::default();
    readings.set(AlertId::StorePool, Some(0.84));
    readings.set(AlertId::CertificateExpiry, Some(0.5));
    readings.set(AlertId::StoreDown, Some(1.0));
    hold(&mut board, &mut at_s, 200, &readings);
    let told: Vec<_> = board.active().into_iter().map(|alert| alert.text).collect();
    assert_eq!(
        told,
        [
            "Time until the server's certificate expires: 0.5 days (critical below 1 day).",
            "The store does not answer.",
            "Store's connection pool, in use: 84 % (warning from 80 % on).",
        ]
    );
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    let mut board = Board::new(&Limits::default());
    board.evaluate(1_000_000, &readings(AlertId::StoreDown, 1.0));
    board.evaluate(100, &readings(AlertId::StoreDown, 1.0));
    board.evaluate(110, &readings(AlertId::StoreDown, 1.0));
    assert_eq!(board.severity(AlertId::StoreDown), Some(Severity::Critical));
}

proptest! {
    #[test]
    fn a_value_around_its_threshold_raises_one_alert(values in proptest::collection::vec(0.73..0.95f64, 10..200)) {
        // Never below 90 % of the warning, so once it is on it stays on.
        let mut board = Board::new(&Limits::default());
        let mut was_on = false;
        for (at_s, value) in (0..).step_by(30).zip(values) {
            board.evaluate(at_s, &readings(AlertId::Memory, value));
            let is_on = board.severity(AlertId::Memory).is_some();
            prop_assert!(is_on || !was_on, "it ended at {}", value);
            was_on = is_on;
        }
    }

    #[test]
    fn whatever_happens_a_calm_hour_ends_every_alert(values in proptest::collection::vec(proptest::option::of(0.0..1e6f64), 0..100)) {
        let mut board = Board::new(&Limits::default());
        let mut at_s = 0;
        for value in values {
            at_s += 30;
            let mut readings = Readings::default();
            AlertId::ALL.iter().for_each(|id| readings.set(*id, value));
            board.evaluate(at_s, &readings);
        }
        let mut calm = Readings::default();
        AlertId::ALL.iter().for_each(|id| calm.set(*id, Some(0.0)));
        calm.set(AlertId::CertificateExpiry, Some(90.0));
        hold(&mut board, &mut at_s, 3_600, &calm);
        prop_assert_eq!(board.active(), vec![]);
    }
}

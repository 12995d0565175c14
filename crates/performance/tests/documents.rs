//! The coarse rings outlive the process.

use proptest::prelude::*;
use spillway_performance::{
    BusinessKind, CounterMetric, DOCUMENT_LIMIT_BYTES, GaugeMetric, Histogram, InvalidDocument, LatencyMetric,
    MAX_BUSINESS_METRICS, Recorder, Segment, TrendWindow,
};

const NOW: i64 = 1_767_225_600 + 1_234;

fn observe(recorder: &mut Recorder, at_s: i64, n: u64) {
    recorder.observe(at_s);
    recorder.count(CounterMetric::IntakeReceived, at_s, n);
    recorder.gauge(GaugeMetric::Memory, at_s, Some(n as f64));
    let mut durations = Histogram::default();
    durations.counts[(n % 24) as usize] = n;
    recorder.latency(LatencyMetric::Acknowledgement, at_s, &durations);
}

/// The documents that a process wrote over time: each is written when its stretch ends, or now.
fn documents(recorder: &Recorder, from_s: i64, to_s: i64) -> Vec<Vec<u8>> {
    let mut segments: Vec<Segment> = Vec::new();
    for at_s in (from_s..=to_s).step_by(60).chain([to_s]) {
        for segment in Segment::at(at_s) {
            if !segments.contains(&segment) {
                segments.push(segment);
            }
        }
    }
    segments.into_iter().map(|segment| recorder.document(segment)).collect()
}

fn restarted(documents: &[Vec<u8>], now_s: i64) -> Recorder {
    let mut recorder = Recorder::default();
    for document in documents {
        recorder.restore(document, now_s).expect("a whole document");
    }
    recorder
}

#[test]
fn a_restart_keeps_the_day_and_the_month() {
    let mut before = Recorder::default();
    let from = NOW - 5 * 3_600;
    for at_s in from..=NOW {
        observe(&mut before, at_s, (at_s % 7) as u64);
    }
    before.business_mut().record("orders", BusinessKind::Counter, "orders", NOW, 2.5).expect("recorded");
    before.business_mut().record("stock", BusinessKind::Gauge, "", NOW, -1.0).expect("recorded");
    let mut after = restarted(&documents(&before, from, NOW), NOW);
    for name in ["intake_received", "memory_bytes", "acknowledgement", "orders", "stock"] {
        for window in [TrendWindow::Day, TrendWindow::Month] {
            assert_eq!(after.trend(name, window, 24, NOW), before.trend(name, window, 24, NOW), "{name}");
        }
    }
    // It goes on in the slots that were under way.
    for at_s in NOW + 1..=NOW + 30 {
        observe(&mut before, at_s, 3);
        observe(&mut after, at_s, 3);
    }
    let trend = |recorder: &Recorder| recorder.trend("intake_received", TrendWindow::Day, 24, NOW + 30);
    assert_eq!(trend(&after), trend(&before));
}

#[test]
fn damaged_documents_are_refused_whole() {
    let mut recorder = Recorder::default();
    observe(&mut recorder, NOW, 5);
    let document = recorder.document(Segment::at(NOW)[0]);
    let empty = Recorder::default().document(Segment::at(NOW)[0]);
    for length in (0..document.len()).filter(|length| *length != empty.len()) {
        let mut other = Recorder::default();
        let taken = other.restore(&document[..length], NOW);
        // Cut between two series it is a shorter document; else it is damaged, and nothing of it is taken.
        if taken == Err(InvalidDocument) {
            assert_eq!(other.counted(CounterMetric::IntakeReceived, NOW - 60, NOW + 60), 0, "{length} bytes");
        }
    }
    assert_eq!(Recorder::default().restore(b"", NOW), Err(InvalidDocument));
    assert_eq!(Recorder::default().restore(b"{\"json\":true}", NOW), Err(InvalidDocument));
}

#[test]
fn what_is_in_the_future_or_too_old_is_left_out() {
    let mut recorder = Recorder::default();
    observe(&mut recorder, NOW, 5);
    let document = recorder.document(Segment::at(NOW)[0]);
    let mut early = Recorder::default();
    early.restore(&document, NOW - 3_600).expect("a whole document");
    assert_eq!(early.trend("intake_received", TrendWindow::Day, 24, NOW).and_then(|it| it.points[23].value), None);
    let mut late = Recorder::default();
    observe(&mut late, NOW + 40 * 86_400, 1);
    late.restore(&document, NOW + 40 * 86_400).expect("a whole document");
    let points = late.trend("intake_received", TrendWindow::Day, 24, NOW + 40 * 86_400).expect("a series").points;
    assert_eq!(points.iter().filter(|point| point.value.is_some()).count(), 1);
}

#[test]
fn keys_go_around_without_a_collision_among_what_is_kept() {
    let keys: Vec<_> = Segment::keys().collect();
    assert_eq!(keys.len(), 57);
    for (stretch, held) in [(3_600, 25), (86_400, 31)] {
        let at = |n: i64| Segment::at(NOW + n * stretch)[usize::from(stretch > 3_600)].key();
        let mut used: Vec<_> = (0..held).map(at).collect();
        assert!(used.iter().all(|key| keys.contains(key)));
        used.sort();
        used.dedup();
        assert_eq!(used.len(), held as usize);
    }
}

#[test]
fn the_largest_document_stays_below_the_limit() {
    let mut recorder = Recorder::default();
    let full = Histogram { counts: [u64::from(u32::MAX) / 2; 24] };
    // Midnight, so that one hour and one day are full.
    let begin = NOW.div_euclid(86_400) * 86_400;
    for at_s in (begin..begin + 86_400).step_by(60) {
        recorder.observe(at_s);
        CounterMetric::ALL.iter().for_each(|metric| recorder.count(*metric, at_s, u64::MAX));
        GaugeMetric::ALL.iter().for_each(|metric| recorder.gauge(*metric, at_s, Some(1e30)));
        LatencyMetric::ALL.iter().for_each(|metric| recorder.latency(*metric, at_s, &full));
    }
    for n in 0..MAX_BUSINESS_METRICS {
        let name = format!("{n:0>64}").replacen('0', "a", 1);
        for at_s in (begin..begin + 86_400).step_by(1_800) {
            let unit = "twenty_letters_long_";
            recorder.business_mut().record(&name, BusinessKind::Counter, unit, at_s, 1.5).expect("recorded");
        }
    }
    for segment in Segment::at(begin + 86_399) {
        let bytes = recorder.document(segment).len();
        assert!(bytes < DOCUMENT_LIMIT_BYTES / 2, "{segment:?} takes {bytes} bytes");
        assert!(bytes > 50_000, "{segment:?} takes only {bytes} bytes: is it full?");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut recorder = Recorder::default();
        let _ = recorder.restore(&bytes, NOW);
        let mut framed = b"SPT1".to_vec();
        framed.extend(bytes);
        let _ = recorder.restore(&framed, NOW);
    }

    #[test]
    fn a_flipped_byte_does_no_harm(at in 0usize..400, flip in 1u8..=255) {
        let mut recorder = Recorder::default();
        for at_s in NOW - 300..NOW {
            observe(&mut recorder, at_s, 9);
        }
        let mut document = recorder.document(Segment::at(NOW)[0]);
        let at = at % document.len();
        document[at] ^= flip;
        let _ = recorder.restore(&document, NOW);
        let _ = recorder.trend("memory_bytes", TrendWindow::Day, 60, NOW);
    }
}

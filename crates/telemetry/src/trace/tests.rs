use super::*;

const PARENT: TraceContext = TraceContext { trace_id: 0xabc, span_id: 0xdef, flags: 1 };
const UNSAMPLED_PARENT: TraceContext = TraceContext { flags: 0, ..PARENT };

fn tracer(sample_ratio: f64) -> Tracer {
    let endpoint = Some("http://collector:4317".to_owned());
    Tracer::new(&TraceSettings { endpoint, sample_ratio, ..TraceSettings::default() }).unwrap()
}

#[test]
fn the_parents_decision_goes_before_the_ratio() {
    assert!(tracer(0.0).decide(PARENT.trace_id, Some(PARENT)));
    assert!(!tracer(1.0).decide(PARENT.trace_id, Some(UNSAMPLED_PARENT)));
    assert!(!tracer(0.0).decide(0, None));
    assert!(tracer(1.0).decide(u128::MAX, None));
}

#[test]
fn the_ratio_holds_over_many_traces_and_is_the_same_on_every_node() {
    let ids: Vec<u128> = (0..10_000).map(|_| rand::random()).collect();
    let (one, other) = (tracer(0.25), tracer(0.25));
    let sampled = ids.iter().filter(|id| one.decide(**id, None)).count();
    assert!((2_200..=2_800).contains(&sampled), "{sampled} of 10,000 at a ratio of 0.25");
    assert!(ids.iter().all(|id| one.decide(*id, None) == other.decide(*id, None)));
}

#[test]
fn without_an_endpoint_the_senders_context_passes_unchanged() {
    let span = Tracer::disabled().start(SpanName::Intake, Some(PARENT));
    assert_eq!(span.context(), PARENT);
    assert!(!span.is_recording());
    assert!(span.exemplar().is_none());
}

#[test]
fn without_an_endpoint_and_a_parent_an_unsampled_trace_begins() {
    let span = Tracer::disabled().start(SpanName::Intake, None);
    assert!(!span.context().is_sampled());
    assert_eq!(TraceContext::parse(span.context().to_string().as_bytes()), Some(span.context()));
    assert_ne!(span.context().trace_id, Tracer::disabled().start(SpanName::Intake, None).context().trace_id);
}

#[test]
fn an_unsampled_span_stays_in_the_trace_under_its_own_id() {
    let span = tracer(1.0).start(SpanName::Deliver, Some(UNSAMPLED_PARENT));
    assert_eq!(span.context().trace_id, PARENT.trace_id);
    assert_ne!(span.context().span_id, PARENT.span_id);
    assert!(!span.context().is_sampled());
    assert!(span.span().is_disabled());
}

#[test]
fn a_ratio_outside_zero_to_one_is_refused() {
    for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let settings = TraceSettings { sample_ratio: bad, ..TraceSettings::default() };
        assert!(matches!(Tracer::new(&settings), Err(TelemetryError::SampleRatio(_))), "{bad}");
    }
}

#[test]
fn settings_do_not_print_header_values() {
    let headers = vec![("authorization".to_owned(), "Bearer secret".to_owned())];
    let printed = format!("{:?}", TraceSettings { headers, ..TraceSettings::default() });
    assert!(printed.contains("authorization") && !printed.contains("secret"), "{printed}");
}

#[test]
fn what_a_sender_began_or_is_recorded_is_kept_and_a_fresh_unsampled_trace_is_not() {
    let keeps = |tracer: Tracer, parent| tracer.start(SpanName::Intake, parent).to_keep().map(|kept| kept.trace_id);
    for tracer in [Tracer::disabled(), tracer(1.0)] {
        assert_eq!(keeps(tracer, Some(PARENT)), Some(PARENT.trace_id));
        assert_eq!(keeps(tracer, Some(UNSAMPLED_PARENT)), Some(UNSAMPLED_PARENT.trace_id));
    }
    assert_eq!(keeps(Tracer::disabled(), None), None);
    assert_eq!(keeps(tracer(0.0), None), None);
    assert!(keeps(tracer(1.0), None).is_some());
}

#[test]
fn work_on_something_without_a_kept_trace_is_not_sampled_later() {
    let span = tracer(1.0).resume(SpanName::Deliver, None);
    assert!(!span.context().is_sampled());
    assert_eq!(tracer(1.0).resume(SpanName::Deliver, Some(PARENT)).context().trace_id, PARENT.trace_id);
}

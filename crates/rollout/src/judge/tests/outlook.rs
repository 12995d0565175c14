use super::*;

#[test]
fn the_expectation_comes_true() {
    let settings = errors_only();
    let mut judge = begun(&settings, 1);
    let mut left = Vec::new();
    let found = (1..400u64).find(|n| {
        // 3 errors in 1,000 at the candidate, 1 in 1,000 at the live version, evenly.
        let evenly = |of_40: u64| n * of_40 / 40 - (n - 1) * of_40 / 40;
        judge.look(&settings, &errors((75, evenly(9)), (675, evenly(27))));
        left.push(judge.evidence(&settings)[0].expected_ms.map(|ms| ms as f64 / 15_000.0));
        judge.rolls_back(&settings).is_some()
    });
    let found = found.unwrap() as usize;
    for at in [found / 3, found / 2, found * 3 / 4] {
        let (expected, really) = (left[at - 1].unwrap(), (found - at) as f64);
        assert!((0.4..2.5).contains(&(expected / really)), "after {at}: {expected} windows, not {really}");
    }
    assert_eq!(left.last(), Some(&Some(0.0)));
}

#[test]
fn a_good_candidate_sees_when_it_passes() {
    let settings = errors_only();
    let mut judge = begun(&settings, 1);
    let block = errors((1_000, 1), (9_000, 9));
    judge.look(&settings, &block);
    let expected = judge.evidence(&settings)[0].expected_ms.unwrap() as f64 / 15_000.0;
    let really = (1..100).find(|_| {
        judge.look(&settings, &block);
        judge.passes(&settings)
    });
    let really = really.unwrap() as f64;
    assert!((0.6..1.7).contains(&(expected / really)), "{expected} windows, not {really}");
}

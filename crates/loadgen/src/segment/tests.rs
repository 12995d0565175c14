use proptest::prelude::*;

use super::*;

fn indices(segment: &str, sequence: Option<&str>, n: usize) -> Vec<u64> {
    let segment = Segment::parse(Some(segment), sequence).unwrap();
    let index = SegmentedIndex::new(&segment);
    (0..n as u64).map(|number| index.nth(number)).collect()
}

#[test]
fn every_way_to_write_a_share_is_exact() {
    for (text, same) in [
        ("0:1", "0:1"),
        ("1/3:2/3", "1/3:2/3"),
        ("0.2:40%", "1/5:2/5"),
        ("25%", "0:1/4"),
        (" 2/4 : 1.0 ", "1/2:1"),
        (".5:1", "1/2:1"),
    ] {
        assert_eq!(Segment::parse(Some(text), None).unwrap().to_string(), same, "{text}");
    }
    assert_eq!(Segment::parse(None, None).unwrap(), Segment::whole());
    assert!(Segment::parse(Some("0:1"), None).unwrap().is_whole());
}

#[test]
fn what_is_no_part_of_a_whole_is_refused_with_the_way_out() {
    let empty = |text: &str| SegmentError::Empty(text.to_owned());
    let end = |text: &str| SegmentError::End(text.to_owned());
    for (segment, sequence, error) in [
        (Some("1/2:1/3"), None, empty("1/2:1/3")),
        (Some("0:0"), None, empty("0:0")),
        (Some("1/3:"), None, end("")),
        (Some("1/0:1"), None, end("1/0")),
        (Some("-1/2:1"), None, end("-1/2")),
        (Some("0:1.5"), None, end("1.5")),
        (Some("0:0.00000000000000000001"), None, end("0.00000000000000000001")),
        (Some("1/4:3/4"), None, SegmentError::Unequal("1/4:3/4".to_owned())),
        (Some("0:2/3"), None, SegmentError::Unequal("0:2/3".to_owned())),
        (Some("0:1/5000"), None, SegmentError::TooFine),
        (Some("0:1/100003"), Some("0,1/100003,1"), SegmentError::TooFine),
        (Some("0:1/2"), Some("0,1/2,1/2,1"), SegmentError::Order("0,1/2,1/2,1".to_owned())),
        (Some("0:1/2"), Some("0,1/2"), SegmentError::NotWhole("0,1/2".to_owned())),
        (
            Some("0:2/3"),
            Some("0,1/3,2/3,1"),
            SegmentError::NotInSequence { segment: "0:2/3".to_owned(), sequence: "0,1/3,2/3,1".to_owned() },
        ),
        (None, Some("0,1/2,1"), SegmentError::SequenceAlone),
    ] {
        assert_eq!(Segment::parse(segment, sequence), Err(error), "{segment:?} {sequence:?}");
    }
}

#[test]
fn stripes_are_those_of_k6() {
    assert_eq!(indices("1/3:2/3", None, 4), [1, 4, 7, 10]);
    let sequence = Some("0,1/6,1/2,1");
    assert_eq!(indices("1/2:1", sequence, 4), [0, 2, 4, 6]);
    assert_eq!(indices("1/6:1/2", sequence, 4), [1, 3, 7, 9]);
    assert_eq!(indices("0:1/6", sequence, 3), [5, 11, 17]);
}

proptest! {
    #[test]
    fn each_index_belongs_to_one_part_and_shares_add_up(
        lengths in prop::collection::vec(1_u64..9, 1..9),
        equal in any::<bool>(),
        n in 0_u64..400,
        many in any::<u32>(),
    ) {
        let lengths = if equal { vec![1; lengths.len()] } else { lengths };
        let total: u64 = lengths.iter().sum();
        let mut ends = vec![0];
        ends.extend(lengths.iter().scan(0, |end, length| { *end += length; Some(*end) }));
        let sequence = ends.iter().map(|end| format!("{end}/{total}")).collect::<Vec<_>>().join(",");
        let mut owners = vec![0; usize::try_from(n).unwrap()];
        let (mut sum, mut large) = (0, 0);
        for (part, length) in ends.windows(2).zip(&lengths) {
            let text = format!("{}/{total}:{}/{total}", part[0], part[1]);
            let segment = Segment::parse(Some(&text), (!equal).then_some(sequence.as_str())).unwrap();
            let index = SegmentedIndex::new(&segment);
            let share = index.share(n);
            let ideal = n as f64 * *length as f64 / total as f64;
            // Parts are dealt out one after the other, and each is rounded once on top of those before it.
            prop_assert!((share as f64 - ideal).abs() <= lengths.len() as f64, "{share} of {ideal}");
            for number in 0..share {
                owners[usize::try_from(index.nth(number)).unwrap()] += 1;
                prop_assert!(index.owns(index.nth(number)));
            }
            prop_assert!(index.nth(share) >= n);
            sum += share;
            large += index.share(u64::from(many));
        }
        prop_assert_eq!((sum, large), (n, u64::from(many)));
        prop_assert!(owners.iter().all(|owners| *owners == 1), "{:?}", owners);
    }

    #[test]
    fn no_text_panics(segment in "[0-9/.%:,-]{0,24}|\\PC{0,8}", sequence in prop::option::of("[0-9/.%,]{0,24}")) {
        let _ = Segment::parse(Some(&segment), sequence.as_deref());
    }
}

//! The part of a whole test that one generator runs, and which iterations and users fall to it.
//!
//! A segment is a half-open interval `(from, to]` of the whole, with exact rational ends. Iterations and users are dealt in stripes, as in
//! k6: within each period of the common denominator the longest part takes the first index that is due to it. So each index belongs to
//! exactly one part, and each part has its share of every prefix, give or take one.

mod fraction;
mod index;

use std::fmt;

use fraction::Fraction;
pub use index::SegmentedIndex;

/// Parts that a sequence may have.
pub const MOST_PARTS: usize = 1_000;

/// Largest common denominator of a sequence: within so many indices each part has its exact share.
pub const MOST_FINE: u64 = 100_000;

/// A part of a test, and how the whole is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where the parts end, from 0 to 1.
    ends: Vec<Fraction>,
    /// The part of this generator: from `ends[part]` to `ends[part + 1]`.
    part: usize,
}

/// Why a text is no segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// An end that is no number from 0 to 1.
    #[error("`{0}` is no share of the whole: write a number from 0 to 1 such as 1/3, 0.2 or 10%")]
    End(String),
    /// The segment is empty or runs backwards.
    #[error("the segment `{0}` is empty: write FROM:TO with FROM less than TO, such as 1/3:2/3")]
    Empty(String),
    /// The ends do not go upwards.
    #[error("the sequence `{0}` does not go upwards: write each end once, such as 0,1/3,2/3,1")]
    Order(String),
    /// The sequence is not the whole.
    #[error("the sequence `{0}` is not the whole: it begins with 0 and ends with 1, such as 0,1/3,2/3,1")]
    NotWhole(String),
    /// The segment is no part of the sequence.
    #[error(
        "the segment `{segment}` is no part of the sequence `{sequence}`: both its ends stand there, one after the other"
    )]
    NotInSequence {
        /// The segment.
        segment: String,
        /// The sequence.
        sequence: String,
    },
    /// A sequence without a segment.
    #[error("a sequence alone says nothing: give the segment (executionSegment) that this generator runs, too")]
    SequenceAlone,
    /// Without a sequence all parts are of one size, and this one does not fit.
    #[error(
        "the segment `{0}` is not one of several equal parts: say how the whole is divided \
         (executionSegmentSequence, such as 0,1/2,3/4,1), or two generators would run the same iterations"
    )]
    Unequal(String),
    /// More parts, or finer ones, than are supported.
    #[error(
        "the sequence is too fine: at most {MOST_PARTS} parts, whose ends have a common denominator of at most {MOST_FINE}"
    )]
    TooFine,
}

impl Segment {
    /// The whole test.
    #[must_use]
    pub fn whole() -> Self {
        Self { ends: vec![Fraction::ZERO, Fraction::ONE], part: 0 }
    }

    /// Reads a segment, `FROM:TO` or `TO` alone, and the sequence of ends that divides the whole. Nothing is the whole test.
    ///
    /// Without a sequence the whole has equal parts: `1/3:2/3` is the second of three. Generators whose parts differ in size need the same
    /// sequence.
    ///
    /// # Errors
    /// When a text breaks the grammar, the segment is no part of the sequence, or of no equal parts without one.
    pub fn parse(segment: Option<&str>, sequence: Option<&str>) -> Result<Self, SegmentError> {
        let Some(text) = segment else {
            return if sequence.is_some() { Err(SegmentError::SequenceAlone) } else { Ok(Self::whole()) };
        };
        let (from, to) = text.split_once(':').unwrap_or(("0", text));
        let (from, to) = (share(from)?, share(to)?);
        if from >= to {
            return Err(SegmentError::Empty(text.to_owned()));
        }
        let Some(sequence) = sequence else { return Self::equal(from, to, text) };
        let ends = sequence.split(',').map(share).collect::<Result<Vec<_>, _>>()?;
        if !ends.is_sorted_by(|one, next| one < next) {
            return Err(SegmentError::Order(sequence.to_owned()));
        }
        if ends.first() != Some(&Fraction::ZERO) || ends.last() != Some(&Fraction::ONE) {
            return Err(SegmentError::NotWhole(sequence.to_owned()));
        }
        let part = ends
            .windows(2)
            .position(|part| part == [from, to])
            .ok_or_else(|| SegmentError::NotInSequence { segment: text.to_owned(), sequence: sequence.to_owned() })?;
        let segment = Self { ends, part };
        match segment.denominator() {
            Some(denominator) if denominator <= MOST_FINE && segment.parts() <= MOST_PARTS => Ok(segment),
            _ => Err(SegmentError::TooFine),
        }
    }

    fn equal(from: Fraction, to: Fraction, text: &str) -> Result<Self, SegmentError> {
        let unequal = || SegmentError::Unequal(text.to_owned());
        let length = to.minus(from).ok_or_else(unequal)?;
        let (1, parts) = length.parts() else { return Err(unequal()) };
        if usize::try_from(parts).is_ok_and(|parts| parts > MOST_PARTS) {
            return Err(SegmentError::TooFine);
        }
        let ends: Vec<_> = (0..=parts).filter_map(|part| Fraction::new(part, parts)).collect();
        let part = ends.iter().position(|end| *end == from).ok_or_else(unequal)?;
        Ok(Self { ends, part })
    }

    /// Whether it is the whole test.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.ends.len() == 2
    }

    fn parts(&self) -> usize {
        self.ends.len() - 1
    }

    /// Of all ends together; `None` when it is beyond all limits.
    fn denominator(&self) -> Option<u64> {
        self.ends.iter().try_fold(1, |common, end| fraction::least_common_multiple(common, end.parts().1))
    }

    /// Each part's length in units of the common denominator, and that denominator.
    fn lengths(&self) -> (Vec<u64>, u64) {
        let denominator = self.denominator().unwrap_or(1);
        let places: Vec<u64> = self.ends.iter().map(|end| end.parts().0 * (denominator / end.parts().1)).collect();
        (places.windows(2).map(|part| part[1] - part[0]).collect(), denominator)
    }
}

fn share(text: &str) -> Result<Fraction, SegmentError> {
    Fraction::parse(text.trim())
        .filter(|share| *share <= Fraction::ONE)
        .ok_or_else(|| SegmentError::End(text.trim().to_owned()))
}

impl Default for Segment {
    fn default() -> Self {
        Self::whole()
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ends[self.part], self.ends[self.part + 1])
    }
}

#[cfg(test)]
mod tests;

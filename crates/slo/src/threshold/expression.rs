//! What must hold of a metric: `aggregation comparison limit`, and over which window.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::aggregation::{Aggregation, AggregationProblem};
use crate::SyntaxError;
use crate::duration::{DurationProblem, Timespan};
use crate::syntax::excerpt;

/// What must hold, written `p(95)<500` or, for a window of the run, `p(95)<500 over 30s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expression {
    /// The number that is compared.
    pub aggregation: Aggregation,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what: milliseconds for a trend, 0 to 1 for a rate, per second for the rate of a counter. Finite.
    pub limit: f64,
    /// The last part of the run that counts; none is the whole run. Whole seconds, from one to [`Expression::MAX_WINDOW`].
    pub window: Option<Duration>,
}

/// How a value is compared with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`, and k6's `===`
    Equal,
    /// `!=`
    NotEqual,
}

/// What is wrong with the text of an [`Expression`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionProblem {
    /// In the aggregation.
    #[error(transparent)]
    Aggregation(#[from] AggregationProblem),
    /// No comparison, or an unknown one.
    #[error("expected a comparison: <, <=, >, >=, ==, === or !=")]
    Comparison,
    /// No number, one that is not finite, or one with a unit.
    #[error("expected a number without a unit: trends are in milliseconds, rates go from 0 to 1")]
    Limit,
    /// Something after the limit that is no window.
    #[error("`{0}` is too much: after the limit comes nothing, or a window such as `over 30s`")]
    Trailing(String),
    /// In the window's duration.
    #[error(transparent)]
    WindowDuration(#[from] DurationProblem),
    /// A window of a length that is not supported.
    #[error("a window has whole seconds, from 1s to 1h")]
    Window,
}

/// Spellings; of two for the same, the first is the one that is written.
const COMPARISONS: [(&str, Comparison); 7] = [
    ("==", Comparison::Equal),
    ("===", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Expression {
    /// The longest window: what a run keeps for one is bounded.
    pub const MAX_WINDOW: Duration = Duration::from_secs(3_600);
}

impl Comparison {
    /// Whether `value` stands to `limit` as it should.
    #[must_use]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

impl FromStr for Expression {
    type Err = SyntaxError<ExpressionProblem>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Each part is a slice of the text, so its distance from the text's end is its place.
        let text = text.trim_end();
        let place = |part: &str| text.len() - part.len();
        let error = |problem, part: &str| SyntaxError::new(problem, text, place(part));

        let start = text.trim_start();
        let Some(end) = start.find(['<', '>', '=', '!']) else {
            let word = start.find(char::is_whitespace).unwrap_or(start.len());
            start[..word].parse::<Aggregation>().map_err(|wrong| wrong.inside(text, place(start)))?;
            return Err(error(ExpressionProblem::Comparison, start[word..].trim_start()));
        };
        let (aggregation, rest) = start.split_at(end);
        let aggregation = aggregation.trim_end().parse::<Aggregation>();
        let aggregation = aggregation.map_err(|wrong| wrong.inside(text, place(start)))?;

        let (comparison, rest) = comparison(rest).ok_or_else(|| error(ExpressionProblem::Comparison, rest))?;
        let (limit, rest) = limit(rest.trim_start()).map_err(|wrong| error(ExpressionProblem::Limit, wrong))?;

        let rest = rest.trim_start();
        let window = match rest.split_once(char::is_whitespace) {
            None if rest.is_empty() => None,
            Some(("over", window)) => {
                let window = window.trim_start();
                let Timespan(length) =
                    window.parse().map_err(|wrong: SyntaxError<_>| wrong.inside(text, place(window)))?;
                if length.is_zero() || length > Self::MAX_WINDOW || length.subsec_nanos() != 0 {
                    return Err(error(ExpressionProblem::Window, window));
                }
                Some(length)
            }
            None if rest == "over" => {
                return Err(SyntaxError::new(DurationProblem::Missing.into(), text, text.len()));
            }
            _ => return Err(error(ExpressionProblem::Trailing(excerpt(rest)), rest)),
        };
        Ok(Self { aggregation, comparison, limit, window })
    }
}

fn comparison(text: &str) -> Option<(Comparison, &str)> {
    let matching = COMPARISONS.into_iter().filter(|(spelling, _)| text.starts_with(spelling));
    let (spelling, comparison) = matching.max_by_key(|(spelling, _)| spelling.len())?;
    Some((comparison, &text[spelling.len()..]))
}

/// The number at the beginning and what follows it, or the place where no number is.
fn limit(text: &str) -> Result<(f64, &str), &str> {
    let (number, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    if let Some(foreign) = number.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)) {
        return Err(&text[foreign..]);
    }
    number.parse().ok().filter(|limit: &f64| limit.is_finite()).map(|limit| (limit, rest)).ok_or(text)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelling = COMPARISONS.iter().find(|(_, comparison)| comparison == self);
        f.write_str(spelling.map_or("", |(spelling, _)| spelling))
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.aggregation, self.comparison, self.limit)?;
        match self.window {
            Some(window) => write!(f, " over {}", Timespan(window)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_aggregation_comparison_and_spacing_is_read() {
        for (text, written) in [
            ("count>1000", "count>1000"),
            ("rate<0.01", "rate<0.01"),
            ("value!=3", "value!=3"),
            ("avg <= 200", "avg<=200"),
            ("  min\t>=  .5 ", "min>=0.5"),
            ("max==1e3", "max==1000"),
            ("med===5.", "med==5"),
            ("p(99.9)<-1.5", "p(99.9)<-1.5"),
            ("p(95)<500 over 30s", "p(95)<500 over 30s"),
            ("p(95) < 500  over  90s", "p(95)<500 over 1m30s"),
            ("rate<0.5 over 2000", "rate<0.5 over 2s"),
        ] {
            assert_eq!(text.parse::<Expression>().map(|read| read.to_string()), Ok(written.to_owned()), "{text}");
        }
    }

    #[test]
    fn errors_point_at_the_character() {
        use ExpressionProblem::{Comparison, Limit, Window};
        let missing = || AggregationProblem::Missing.into();
        let trailing = |text: &str| ExpressionProblem::Trailing(text.to_owned());
        for (text, problem, character) in [
            ("", missing(), 1),
            ("  ", missing(), 1),
            ("<500", missing(), 1),
            (" p(x)<5", AggregationProblem::Percentile.into(), 4),
            ("avg", Comparison, 4),
            ("avg 500", Comparison, 5),
            ("avg=500", Comparison, 4),
            ("avg!500", Comparison, 4),
            ("avg<", Limit, 5),
            ("avg<>5", Limit, 5),
            ("avg=<5", Comparison, 4),
            ("avg====5", Limit, 7),
            ("avg<500ms", Limit, 8),
            ("rate<1%", Limit, 7),
            ("avg<inf", Limit, 5),
            ("avg<1e999", Limit, 5),
            ("avg<1-2", Limit, 5),
            ("avg<5 6", trailing("6"), 7),
            ("avg<5 for 30s", trailing("for 30s"), 7),
            ("avg<5 over", DurationProblem::Missing.into(), 11),
            ("avg<5 over soon", DurationProblem::NotANumber.into(), 12),
            ("avg<5 over 1m3x", DurationProblem::UnknownUnit("x".to_owned()).into(), 15),
            ("avg<5 over 30", Window, 12),
            ("avg<5 over 0s", Window, 12),
            ("avg<5 over 1.5s", Window, 12),
            ("avg<5 over 61m", Window, 12),
        ] {
            let error = text.parse::<Expression>().expect_err(text);
            assert_eq!((error.problem(), error.character()), (&problem, character), "{text}");
        }
    }

    #[test]
    fn the_message_says_where_and_what_was_meant() {
        let error = "p95 < 500".parse::<Expression>().expect_err("no aggregation");
        assert_eq!(
            error.to_string(),
            "`p95` is no aggregation, the nearest is `p(95)`: use count, rate, value, avg, min, max, med or p(N) \
             (at character 1 of `p95 < 500`)"
        );
    }

    fn aggregations() -> impl Strategy<Value = Aggregation> {
        use Aggregation::{Avg, Count, Max, Med, Min, Percentile, Rate, Value};
        prop_oneof![
            prop::sample::select(vec![Count, Rate, Value, Avg, Min, Max, Med]),
            (0.0..=100.0).prop_map(Percentile),
        ]
    }

    prop_compose! {
        fn expressions()(
            aggregation in aggregations(),
            comparison in prop::sample::select(COMPARISONS.map(|(_, comparison)| comparison).to_vec()),
            limit in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
            window in prop::option::of((1..=3_600_u64).prop_map(Duration::from_secs)),
        ) -> Expression {
            Expression { aggregation, comparison, limit, window }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(expression in expressions()) {
            prop_assert_eq!(expression.to_string().parse(), Ok(expression));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,4}(avg|p\\([0-9]{0,3}\\)?)?\\PC{0,3}[<>=!]{0,3}\\PC{0,8}( over \\PC{0,5})?") {
            let _ = text.parse::<Expression>();
        }
    }
}

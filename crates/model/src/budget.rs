//! What a budget may say, and its amounts as the whole numbers that are counted.

use crate::Budget;

/// Millionths of a currency unit: what costs are counted in.
const MICROS: f64 = 1_000_000.0;
/// The largest amount, in currency units, of a limit or of one request.
const MAX_COST: f64 = 1_000_000_000.0;
const MAX_REQUESTS: u64 = 1_000_000_000;
const MAX_PLACES: u32 = 65_536;
const MAX_HEADER_BYTES: usize = 100;

/// A budget that cannot be kept, or would let nothing through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidBudget {
    /// Which part of it, such as `requests_per_hour`; empty when it is the budget as a whole.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Budget {
    /// Whether the budget can be kept.
    ///
    /// # Errors
    /// When it limits nothing, lets nothing through, or has amounts that cannot be counted: zero, negative, not a number, or above 10⁹.
    pub fn check(&self) -> Result<(), InvalidBudget> {
        if *self == Self::default() {
            return refuse(
                "",
                "it limits nothing; set requests_per_hour, cost_per_hour or max_concurrent, or leave it out",
            );
        }
        if self.requests_per_hour == Some(0) {
            return refuse("requests_per_hour", nothing_passes());
        }
        if self.requests_per_hour.is_some_and(|n| n > MAX_REQUESTS) {
            return refuse("requests_per_hour", format!("it must be from 1 to {MAX_REQUESTS}"));
        }
        match self.max_concurrent {
            Some(0) => return refuse("max_concurrent", nothing_passes()),
            Some(n) if n > MAX_PLACES => {
                return refuse("max_concurrent", format!("it must be from 1 to {MAX_PLACES}"));
            }
            _ => {}
        }
        self.check_cost()
    }

    fn check_cost(&self) -> Result<(), InvalidBudget> {
        let (limit, each) = (self.cost_per_hour, self.cost_per_request);
        if limit == Some(0.0) {
            return refuse("cost_per_hour", nothing_passes());
        }
        if limit.is_some_and(|cost| micros(cost).is_none_or(|micros| micros == 0)) {
            return refuse("cost_per_hour", "it must be a number from 0.000001 to 1000000000");
        }
        if each.is_some_and(|cost| micros(cost).is_none()) {
            return refuse("cost_per_request", "it must be a number from 0 to 1000000000");
        }
        if limit.is_none() && (each.is_some() || self.cost_header.is_some()) {
            let field = if each.is_some() { "cost_per_request" } else { "cost_header" };
            return refuse(field, "it has no effect without cost_per_hour; set that as well");
        }
        if let (Some(limit), Some(each)) = (limit, each)
            && each > limit
        {
            let reason = "one request would cost more than cost_per_hour allows, so none could ever be sent";
            return refuse("cost_per_request", reason);
        }
        if limit.is_some() && self.cost_micros_each() == 0 && self.cost_header.is_none() {
            let reason =
                "nothing says what a request costs; set cost_per_request, or cost_header if the answers say it";
            return refuse("cost_per_hour", reason);
        }
        match &self.cost_header {
            Some(name) if !is_header_name(name) => {
                refuse("cost_header", format!("{name:?} is not a header name of at most {MAX_HEADER_BYTES} bytes"))
            }
            _ => Ok(()),
        }
    }

    /// [`Budget::cost_per_hour`] in millionths; `None` without a limit.
    #[must_use]
    pub fn max_cost_micros(&self) -> Option<u64> {
        self.cost_per_hour.and_then(micros)
    }

    /// [`Budget::cost_per_request`] in millionths; zero when it is left out.
    #[must_use]
    pub fn cost_micros_each(&self) -> u64 {
        self.cost_per_request.and_then(micros).unwrap_or_default()
    }

    /// What a header says a request cost, in millionths. `None` when that is no amount from 0 to 10⁹.
    #[must_use]
    pub fn read_cost(text: &str) -> Option<u64> {
        text.trim().parse().ok().and_then(micros)
    }
}

/// The amount in millionths, rounded; `None` when it is negative, not finite or absurdly large.
fn micros(cost: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    let rounded = |cost: f64| (cost * MICROS).round() as u64;
    (0.0..=MAX_COST).contains(&cost).then(|| rounded(cost))
}

fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= MAX_HEADER_BYTES && name.bytes().all(is_token)
}

fn nothing_passes() -> &'static str {
    "a budget of zero lets nothing through; to hold a destination's deliveries, pause it (spillway destinations pause NAME)"
}

fn refuse(field: &'static str, reason: impl Into<String>) -> Result<(), InvalidBudget> {
    Err(InvalidBudget { field, reason: reason.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(budget: &Budget) -> &'static str {
        budget.check().err().map_or("nothing", |error| error.field)
    }

    #[test]
    fn a_budget_that_can_be_kept_is_accepted() {
        let requests = Budget { requests_per_hour: Some(1_000), ..Budget::default() };
        let places = Budget { max_concurrent: Some(10), ..Budget::default() };
        let cost = Budget { cost_per_hour: Some(50.0), cost_per_request: Some(0.03), ..Budget::default() };
        let said = Budget { cost_per_hour: Some(50.0), cost_header: Some("x-cost".to_owned()), ..Budget::default() };
        assert_eq!([requests, places, cost, said].map(|budget| refused(&budget)), ["nothing"; 4]);
    }

    #[test]
    fn what_lets_nothing_through_or_cannot_be_counted_is_refused_by_field() {
        let of = |change: fn(&mut Budget)| {
            let mut budget = Budget { requests_per_hour: Some(1), ..Budget::default() };
            change(&mut budget);
            refused(&budget)
        };
        assert_eq!(refused(&Budget::default()), "");
        assert_eq!(of(|one| one.requests_per_hour = Some(0)), "requests_per_hour");
        assert_eq!(of(|one| one.requests_per_hour = Some(u64::MAX)), "requests_per_hour");
        assert_eq!(of(|one| one.max_concurrent = Some(0)), "max_concurrent");
        for cost in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e10, 1e-9] {
            let budget = Budget { cost_per_hour: Some(cost), cost_per_request: Some(0.0), ..Budget::default() };
            assert_eq!(refused(&budget), "cost_per_hour", "{cost}");
        }
        for cost in [-0.5, f64::NAN, 1e10, 51.0] {
            let budget = Budget { cost_per_hour: Some(50.0), cost_per_request: Some(cost), ..Budget::default() };
            assert_eq!(refused(&budget), "cost_per_request", "{cost}");
        }
        assert_eq!(of(|one| one.cost_per_request = Some(1.0)), "cost_per_request");
        assert_eq!(of(|one| one.cost_header = Some("x-cost".to_owned())), "cost_header");
        assert_eq!(of(|one| one.cost_per_hour = Some(1.0)), "cost_per_hour");
        let named = Budget { cost_per_hour: Some(1.0), cost_header: Some("x cost".to_owned()), ..Budget::default() };
        assert_eq!(refused(&named), "cost_header");
    }

    #[test]
    fn zero_says_how_to_hold_a_destination_instead() {
        let error = Budget { requests_per_hour: Some(0), ..Budget::default() }.check().expect_err("refused");
        assert!(error.to_string().contains("pause"), "{error}");
    }

    #[test]
    fn costs_in_headers_are_read_or_not_believed() {
        assert_eq!(Budget::read_cost(" 0.0315 "), Some(31_500));
        assert_eq!(Budget::read_cost("0"), Some(0));
        for text in ["", "free", "-1", "NaN", "inf", "1e300", "1,5", "0.03 USD"] {
            assert_eq!(Budget::read_cost(text), None, "{text}");
        }
    }
}

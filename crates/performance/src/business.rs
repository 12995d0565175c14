//! Numbers that users record: orders, sign-ups, revenue.

use std::collections::BTreeMap;

use crate::cell::{Amount, Last};
use crate::recorder::is_built_in;
use crate::rings::{BUSINESS, Rings};

/// Most names at once. A name that nothing was recorded under for 30 days makes room for a new one.
pub const MAX_BUSINESS_METRICS: usize = 1_000;

const FORGOTTEN_AFTER_S: i64 = 30 * 86_400;
const LONGEST_NAME: usize = 64;
const LONGEST_UNIT: usize = 20;

/// What a user's number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusinessKind {
    /// Adds up; shown as a rate.
    Counter,
    /// The last value counts.
    Gauge,
}

impl BusinessKind {
    /// `counter` or `gauge`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Why a number was not recorded. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BusinessError {
    /// The name does not fit the grammar.
    #[error("a name is a small letter, and up to 63 small letters, digits and underscores")]
    Name,
    /// A metric of the process itself has the name.
    #[error("a metric of Spillway's own has this name")]
    Reserved,
    /// The unit does not fit.
    #[error("a unit is 1 to {LONGEST_UNIT} letters, digits, '/', '%' and underscores")]
    Unit,
    /// The value is not a number, or less than nothing for a counter.
    #[error("{0}")]
    Value(&'static str),
    /// The name is used for the other kind.
    #[error("this name is a {}", .0.as_str())]
    Kind(BusinessKind),
    /// There are as many names as may be.
    #[error("there are {MAX_BUSINESS_METRICS} names already")]
    Full,
}

/// What became of a recorded number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BusinessTotal {
    /// The sum since the process started for a counter, the value for a gauge.
    pub value: f64,
    /// What it is.
    pub kind: BusinessKind,
}

/// The numbers that users record, under a bounded number of names.
#[derive(Debug, Clone, Default)]
pub struct Business {
    series: BTreeMap<Box<str>, BusinessSeries>,
}

#[derive(Debug, Clone)]
pub(crate) struct BusinessSeries {
    pub(crate) unit: Box<str>,
    pub(crate) values: Values,
    latest: i64,
    total: f64,
}

#[derive(Debug, Clone)]
pub(crate) enum Values {
    Counter(Rings<Amount>),
    Gauge(Rings<Last>),
}

impl Business {
    /// Records a number. `unit` names what is counted; a given one replaces that of an earlier call, and the empty one keeps it.
    ///
    /// # Errors
    /// As [`BusinessError`] says.
    pub fn record(
        &mut self,
        name: &str,
        kind: BusinessKind,
        unit: &str,
        at_s: i64,
        value: f64,
    ) -> Result<BusinessTotal, BusinessError> {
        check(name, unit)?;
        if !value.is_finite() {
            return Err(BusinessError::Value("the value must be a number"));
        }
        if kind == BusinessKind::Counter && value < 0.0 {
            return Err(BusinessError::Value("a counter only grows: the value must not be below 0"));
        }
        self.make_room(name, at_s)?;
        let series = self.series.entry(name.into()).or_insert_with(|| BusinessSeries::new(kind, at_s));
        if series.kind() != kind {
            return Err(BusinessError::Kind(series.kind()));
        }
        if !unit.is_empty() {
            series.unit = unit.into();
        }
        series.latest = at_s;
        match &mut series.values {
            Values::Counter(rings) => {
                rings.add(at_s, &Amount(value));
                series.total = (series.total + value).min(f64::MAX);
            }
            Values::Gauge(rings) => {
                rings.add(at_s, &Last(value));
                series.total = value;
            }
        }
        Ok(BusinessTotal { value: series.total, kind })
    }

    /// Each name with its kind and unit, in order.
    pub fn names(&self) -> impl Iterator<Item = (&str, BusinessKind, &str)> {
        self.series.iter().map(|(name, series)| (&**name, series.kind(), &*series.unit))
    }

    /// The sum since the process started, or the last value, of each name in order. Values that an earlier process recorded are not in it.
    pub fn totals(&self) -> impl Iterator<Item = (&str, f64)> {
        self.series.iter().map(|(name, series)| (&**name, series.total))
    }

    /// Whether something was recorded under this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.series.contains_key(name)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether nothing was ever recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&BusinessSeries> {
        self.series.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &BusinessSeries)> {
        self.series.iter().map(|(name, series)| (&**name, series))
    }

    /// The series that another process wrote down under a name; `None` when it cannot be kept.
    pub(crate) fn restored(&mut self, name: &str, kind: BusinessKind, unit: &str, at_s: i64) -> Option<&mut Values> {
        check(name, unit).ok()?;
        if self.series.len() >= MAX_BUSINESS_METRICS && !self.series.contains_key(name) {
            return None;
        }
        let series = self.series.entry(name.into()).or_insert_with(|| BusinessSeries::new(kind, at_s));
        series.latest = series.latest.max(at_s);
        if series.unit.is_empty() {
            series.unit = unit.into();
        }
        (series.kind() == kind).then_some(&mut series.values)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let of = |(name, series): (&str, &BusinessSeries)| {
            size_of::<(Box<str>, BusinessSeries)>() + name.len() + series.unit.len() + series.memory_bytes()
        };
        self.iter().map(of).sum()
    }

    fn make_room(&mut self, name: &str, at_s: i64) -> Result<(), BusinessError> {
        if self.series.len() < MAX_BUSINESS_METRICS || self.series.contains_key(name) {
            return Ok(());
        }
        self.series.retain(|_, series| at_s - series.latest < FORGOTTEN_AFTER_S);
        if self.series.len() < MAX_BUSINESS_METRICS { Ok(()) } else { Err(BusinessError::Full) }
    }
}

impl BusinessSeries {
    fn new(kind: BusinessKind, at_s: i64) -> Self {
        let values = match kind {
            BusinessKind::Counter => Values::Counter(Rings::new(BUSINESS)),
            BusinessKind::Gauge => Values::Gauge(Rings::new(BUSINESS)),
        };
        Self { unit: Box::default(), values, latest: at_s, total: 0.0 }
    }

    pub(crate) fn kind(&self) -> BusinessKind {
        match self.values {
            Values::Counter(_) => BusinessKind::Counter,
            Values::Gauge(_) => BusinessKind::Gauge,
        }
    }

    fn memory_bytes(&self) -> usize {
        match &self.values {
            Values::Counter(rings) => rings.memory_bytes(),
            Values::Gauge(rings) => rings.memory_bytes(),
        }
    }
}

fn check(name: &str, unit: &str) -> Result<(), BusinessError> {
    if !is_business_name(name) {
        return Err(BusinessError::Name);
    }
    if is_built_in(name) {
        return Err(BusinessError::Reserved);
    }
    let fits = unit.len() <= LONGEST_UNIT && unit.bytes().all(|b| b.is_ascii_alphanumeric() || b"/%_".contains(&b));
    if fits { Ok(()) } else { Err(BusinessError::Unit) }
}

/// Whether a name fits the grammar: `[a-z][a-z0-9_]{0,63}`.
pub(crate) const fn is_business_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > LONGEST_NAME || !bytes[0].is_ascii_lowercase() {
        return false;
    }
    let mut place = 1;
    while place < bytes.len() {
        let byte = bytes[place];
        if !(byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return false;
        }
        place += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use BusinessKind::{Counter, Gauge};

    #[test]
    fn counters_add_up_and_gauges_stand_at_their_last_value() {
        let mut business = Business::default();
        assert_eq!(business.record("orders", Counter, "orders", 10, 3.0).unwrap().value, 3.0);
        assert_eq!(business.record("orders", Counter, "", 20, 0.5).unwrap().value, 3.5);
        assert_eq!(business.record("stock", Gauge, "", 20, -4.0).unwrap().value, -4.0);
        assert_eq!(business.names().collect::<Vec<_>>(), [("orders", Counter, "orders"), ("stock", Gauge, "")]);
        assert_eq!(business.totals().collect::<Vec<_>>(), [("orders", 3.5), ("stock", -4.0)]);
    }

    #[test]
    fn what_cannot_be_recorded_says_why_and_changes_nothing() {
        let mut business = Business::default();
        business.record("orders", Counter, "", 0, 1.0).unwrap();
        for (name, kind, unit, value, error) in [
            ("", Counter, "", 1.0, BusinessError::Name),
            ("Orders", Counter, "", 1.0, BusinessError::Name),
            ("1st", Counter, "", 1.0, BusinessError::Name),
            ("orders-paid", Counter, "", 1.0, BusinessError::Name),
            (&"a".repeat(65), Counter, "", 1.0, BusinessError::Name),
            ("cpu_ratio", Gauge, "", 1.0, BusinessError::Reserved),
            ("sales", Counter, "a unit", 1.0, BusinessError::Unit),
            ("orders", Gauge, "", 1.0, BusinessError::Kind(Counter)),
        ] {
            assert_eq!(business.record(name, kind, unit, 0, value), Err(error), "{name:?}");
        }
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            let refused = business.record("orders", Counter, "", 0, value);
            assert!(matches!(refused, Err(BusinessError::Value(_))), "{value}: {refused:?}");
        }
        assert_eq!(business.totals().collect::<Vec<_>>(), [("orders", 1.0)]);
    }

    #[test]
    fn the_thousand_and_first_name_waits_until_one_is_forgotten() {
        let mut business = Business::default();
        for n in 0..MAX_BUSINESS_METRICS {
            business.record(&format!("name_{n}"), Counter, "", n as i64, 1.0).unwrap();
        }
        assert_eq!(business.record("one_more", Counter, "", 2_000, 1.0), Err(BusinessError::Full));
        assert_eq!(business.record("name_7", Counter, "", 2_000, 1.0).unwrap().value, 2.0, "known names go on");
        let later = FORGOTTEN_AFTER_S + 5;
        business.record("one_more", Counter, "", later, 1.0).unwrap();
        assert_eq!(business.len(), MAX_BUSINESS_METRICS + 1 - 6, "those of the seconds 0 to 5 are gone");
    }
}

//! Exact shares of a whole.

use std::cmp::Ordering;
use std::fmt;

/// A rational number that is not negative, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    numerator: u64,
    denominator: u64,
}

impl Fraction {
    pub(super) const ZERO: Self = Self { numerator: 0, denominator: 1 };
    pub(super) const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `None` for a denominator of zero.
    pub(super) fn new(numerator: u64, denominator: u64) -> Option<Self> {
        let divisor = greatest_common_divisor(numerator, denominator);
        (denominator > 0).then(|| Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// Reads `1/3`, `0.2`, `10%`; `None` for anything else, and for more digits than a `u64` holds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Self::new(digits(numerator.trim())?, digits(denominator.trim())?);
        }
        let (number, hundredths) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim(), 100),
            None => (text, 1),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = |text: &str| if text.is_empty() { Some(0) } else { digits(text) };
        let numerator = part(whole)?.checked_mul(scale)?.checked_add(part(fraction)?)?;
        Self::new(numerator, scale.checked_mul(hundredths)?)
    }

    /// Numerator and denominator.
    pub(super) fn parts(self) -> (u64, u64) {
        (self.numerator, self.denominator)
    }

    /// `None` when the difference is negative, or too fine for a `u64`.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        let denominator = least_common_multiple(self.denominator, other.denominator)?;
        let scaled = |one: Self| one.numerator.checked_mul(denominator / one.denominator);
        Self::new(scaled(self)?.checked_sub(scaled(other)?)?, denominator)
    }
}

/// Digits only: no sign and no blank.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `None` when it is beyond a `u64`.
pub(super) fn least_common_multiple(one: u64, other: u64) -> Option<u64> {
    (one / greatest_common_divisor(one, other)).checked_mul(other)
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    let (mut greater, mut lesser) = (one, other);
    while lesser > 0 {
        (greater, lesser) = (lesser, greater % lesser);
    }
    greater.max(1)
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |one: u64, other: u64| u128::from(one) * u128::from(other);
        product(self.numerator, other.denominator).cmp(&product(other.numerator, self.denominator))
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

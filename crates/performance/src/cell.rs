//! What one slot of a ring holds.

/// A value for a stretch of time, which adds up with others: what is kept of an hour is the sum of what is kept of its minutes.
pub trait Cell: Copy + Default + 'static {
    /// What many slots add up to, which may need more room than one of them.
    type Sum: Default;

    /// Adds what was observed in another stretch.
    fn merge(&mut self, other: &Self);

    /// Adds it to a sum.
    fn add_to(&self, sum: &mut Self::Sum);

    /// Whether nothing was observed.
    fn is_empty(&self) -> bool;
}

/// How often something happened. It stays at its largest value rather than starting anew, which takes 1.19 million a second for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count(pub u32);

impl Cell for Count {
    type Sum = u64;

    fn merge(&mut self, other: &Self) {
        self.0 = self.0.saturating_add(other.0);
    }

    fn add_to(&self, sum: &mut u64) {
        *sum += u64::from(self.0);
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// The samples of a value that goes up and down.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Of all samples.
    pub sum: f32,
    /// The largest sample.
    pub max: f32,
    /// How many there are.
    pub samples: u32,
}

impl Level {
    /// One sample. What is not finite is none.
    #[must_use]
    pub fn sample(value: f64) -> Self {
        let value = value as f32;
        if value.is_finite() { Self { sum: value, max: value, samples: 1 } } else { Self::default() }
    }

    /// The mean of the samples.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.samples > 0).then(|| f64::from(self.sum) / f64::from(self.samples))
    }

    /// The largest sample.
    #[must_use]
    pub fn largest(&self) -> Option<f64> {
        (self.samples > 0).then(|| f64::from(self.max))
    }
}

impl Cell for Level {
    type Sum = Self;

    fn merge(&mut self, other: &Self) {
        self.max = match (self.samples, other.samples) {
            (0, _) => other.max,
            (_, 0) => self.max,
            _ => self.max.max(other.max),
        };
        self.sum += other.sum;
        self.samples = self.samples.saturating_add(other.samples);
    }

    fn add_to(&self, sum: &mut Self) {
        sum.merge(self);
    }

    fn is_empty(&self) -> bool {
        self.samples == 0
    }
}

/// An amount that a user counted, which may be a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Amount(pub(crate) f64);

impl Cell for Amount {
    type Sum = Self;

    fn merge(&mut self, other: &Self) {
        let sum = self.0 + other.0;
        self.0 = if sum.is_finite() { sum } else { f64::MAX };
    }

    fn add_to(&self, sum: &mut Self) {
        sum.merge(self);
    }

    fn is_empty(&self) -> bool {
        self.0 == 0.0
    }
}

/// The last of the values that a user set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Last(pub(crate) f64);

impl Default for Last {
    fn default() -> Self {
        Self(f64::NAN)
    }
}

impl Cell for Last {
    type Sum = Self;

    fn merge(&mut self, other: &Self) {
        if !other.is_empty() {
            *self = *other;
        }
    }

    fn add_to(&self, sum: &mut Self) {
        sum.merge(self);
    }

    fn is_empty(&self) -> bool {
        self.0.is_nan()
    }
}

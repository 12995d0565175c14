//! One series at several resolutions.

use crate::cell::Cell;
use crate::ring::Ring;

/// One resolution: how long a slot is, and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// Seconds.
    pub step_s: u32,
    /// At least so many, up to a page more.
    pub slots: u32,
}

const fn tier(step_s: u32, slots: u32) -> Tier {
    Tier { step_s, slots }
}

/// Counters and gauges: 1 s for 5 min, 10 s for 1 h, 1 min for 24 h, 1 h for 30 d.
pub(crate) const SCALARS: &[Tier] = &[tier(1, 300), tier(10, 360), tier(60, 1_440), tier(3_600, 720)];
/// Latencies, of which a slot is 24 times larger: 10 s for 1 h, 5 min for 24 h, 1 h for 30 d.
pub(crate) const LATENCIES: &[Tier] = &[tier(10, 360), tier(300, 288), tier(3_600, 720)];
/// Latencies of parts, of which nobody asks for more than an hour.
pub(crate) const LATENCIES_OF_PARTS: &[Tier] = &[tier(60, 60)];
/// What users record, under a thousand names: 2 min for 1 h, 30 min for 24 h, 1 d for 30 d.
pub(crate) const BUSINESS: &[Tier] = &[tier(120, 30), tier(1_800, 48), tier(86_400, 30)];

/// The rings of one series, from the finest to the coarsest. What is added goes into all of them, so that each is exact by itself.
#[derive(Debug, Clone)]
pub struct Rings<C> {
    rings: Box<[Ring<C>]>,
}

impl<C: Cell> Rings<C> {
    /// Empty rings, from the finest to the coarsest.
    #[must_use]
    pub fn new(tiers: &[Tier]) -> Self {
        Self { rings: tiers.iter().map(|tier| Ring::new(tier.step_s, tier.slots)).collect() }
    }

    /// Adds what was observed at a time.
    pub fn add(&mut self, at_s: i64, cell: &C) {
        self.rings.iter_mut().for_each(|ring| ring.add(at_s, cell));
    }

    /// What was observed from `from_s` until before `to_s`, from the finest ring that reaches back so far, whose slots at both ends count
    /// whole.
    #[must_use]
    pub fn sum(&self, from_s: i64, to_s: i64) -> C::Sum {
        self.reaching(from_s).map_or_else(C::Sum::default, |ring| ring.sum(from_s, to_s))
    }

    /// The finest ring that holds `from_s`, or else the coarsest.
    #[must_use]
    pub fn reaching(&self, from_s: i64) -> Option<&Ring<C>> {
        let holds = |ring: &&Ring<C>| ring.oldest_s().is_some_and(|oldest| oldest <= from_s);
        self.rings.iter().find(holds).or(self.rings.last())
    }

    /// Bytes that are allocated now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&*self.rings) + self.rings.iter().map(Ring::memory_bytes).sum::<usize>()
    }

    /// The coarsest ring whose slots are no longer than `step_s` and that holds a window of this length; else the finest that holds it, or
    /// the last.
    pub(crate) fn for_window(&self, window_s: i64, step_s: i64) -> Option<&Ring<C>> {
        let holds = |ring: &&Ring<C>| ring.holds_s() >= window_s;
        let fits = self.rings.iter().rev().filter(holds).find(|ring| ring.step_s() <= step_s);
        fits.or_else(|| self.rings.iter().find(holds)).or(self.rings.last())
    }

    /// The ring with slots of this length.
    pub(crate) fn with_step(&self, step_s: i64) -> Option<&Ring<C>> {
        self.rings.iter().find(|ring| ring.step_s() == step_s)
    }

    pub(crate) fn with_step_mut(&mut self, step_s: i64) -> Option<&mut Ring<C>> {
        self.rings.iter_mut().find(|ring| ring.step_s() == step_s)
    }

    /// The two coarsest rings, which outlive the process: that of a day and that of a month. `None` where there are fewer.
    pub(crate) fn lasting(&self) -> Option<[&Ring<C>; 2]> {
        match &*self.rings {
            [.., day, month] => Some([day, month]),
            _ => None,
        }
    }
}

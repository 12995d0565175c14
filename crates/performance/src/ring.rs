//! One ring of slots: the newest stretch of a series at one resolution.

use crate::cell::Cell;

/// Slots that are allocated and given up together, in long rings and in short ones.
const LONG_PAGE: i64 = 60;
const SHORT_PAGE: i64 = 12;
/// A ring of fewer slots is a short one.
const LONG_FROM: i64 = 240;

/// A series in slots of `step_s` seconds, which start at multiples of it. It holds at least `slots` of them, up to a page more, and takes
/// memory only for pages in which something was observed; a page is given up when the ring comes around to it.
///
/// The clock may step. Forward, the slots in between are empty. Back by less than the ring holds, what comes adds to what is there; back by
/// more, the ring starts anew, rather than wait until the time is reached again.
#[derive(Debug, Clone)]
pub struct Ring<C> {
    step_s: i64,
    /// Slots of a page.
    page: i64,
    pages: Box<[Option<Box<[C]>>]>,
    newest: Option<i64>,
}

impl<C: Cell> Ring<C> {
    /// An empty ring. `slots` is rounded up to whole pages, of 60 or in short rings of 12, and `step_s` is at least one.
    #[must_use]
    pub fn new(step_s: u32, slots: u32) -> Self {
        let slots = i64::from(slots);
        let page = if slots < LONG_FROM { SHORT_PAGE } else { LONG_PAGE };
        let pages = (0..(slots + page - 1) / page + 1).map(|_| None).collect();
        Self { step_s: i64::from(step_s.max(1)), page, pages, newest: None }
    }

    /// Length of a slot in seconds.
    #[must_use]
    pub fn step_s(&self) -> i64 {
        self.step_s
    }

    /// Seconds that it holds at least.
    #[must_use]
    pub fn holds_s(&self) -> i64 {
        (self.pages.len() as i64 - 1) * self.page * self.step_s
    }

    /// Adds what was observed at a time.
    pub fn add(&mut self, at_s: i64, cell: &C) {
        let slot = at_s.div_euclid(self.step_s);
        if self.oldest().is_some_and(|oldest| slot < oldest) {
            self.clear();
        }
        self.put(slot, cell);
    }

    /// Adds what was observed before, such as what another process wrote down. What is older than the ring holds is left out.
    pub fn restore(&mut self, at_s: i64, cell: &C) {
        let slot = at_s.div_euclid(self.step_s);
        if self.oldest().is_none_or(|oldest| slot >= oldest) {
            self.put(slot, cell);
        }
    }

    /// What was observed in the slot that holds this time; nothing where the ring holds nothing.
    #[must_use]
    pub fn at(&self, at_s: i64) -> C {
        self.slot(at_s.div_euclid(self.step_s))
    }

    /// The sum of the slots that hold `from_s` up to the one that holds the second before `to_s`.
    #[must_use]
    pub fn sum(&self, from_s: i64, to_s: i64) -> C::Sum {
        let mut sum = C::Sum::default();
        self.each(from_s, to_s, |_, cell| cell.add_to(&mut sum));
        sum
    }

    /// Calls `visit` with the start in seconds of each slot in the same range in which something was observed.
    pub fn each(&self, from_s: i64, to_s: i64, mut visit: impl FnMut(i64, &C)) {
        let (Some(oldest), Some(newest)) = (self.oldest(), self.newest) else { return };
        let first = from_s.div_euclid(self.step_s).max(oldest);
        let last = (to_s - 1).div_euclid(self.step_s).min(newest);
        for slot in first..=last {
            if let Some(page) = &self.pages[self.page_of(slot)] {
                let cell = &page[self.place_of(slot)];
                if !cell.is_empty() {
                    visit(slot * self.step_s, cell);
                }
            }
        }
    }

    /// Start of the oldest slot that is held, if anything was ever added.
    #[must_use]
    pub fn oldest_s(&self) -> Option<i64> {
        Some(self.oldest()? * self.step_s)
    }

    /// Bytes that the ring has allocated now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let used = self.pages.iter().flatten().map(|page| size_of_val(&**page)).sum::<usize>();
        size_of_val(&*self.pages) + used
    }

    fn put(&mut self, slot: i64, cell: &C) {
        self.advance(slot);
        if cell.is_empty() {
            return;
        }
        let (page, place, length) = (self.page_of(slot), self.place_of(slot), self.page as usize);
        let page = self.pages[page].get_or_insert_with(|| vec![C::default(); length].into_boxed_slice());
        page[place].merge(cell);
    }

    /// Makes room up to this slot.
    fn advance(&mut self, slot: i64) {
        let Some(newest) = self.newest else {
            self.newest = Some(slot);
            return;
        };
        let (from, to) = (newest.div_euclid(self.page), slot.div_euclid(self.page));
        if to - from >= self.pages.len() as i64 {
            self.clear();
        } else {
            for page in from + 1..=to {
                self.pages[page.rem_euclid(self.pages.len() as i64) as usize] = None;
            }
        }
        self.newest = Some(newest.max(slot));
    }

    fn clear(&mut self) {
        self.pages.fill_with(|| None);
        self.newest = None;
    }

    fn slot(&self, slot: i64) -> C {
        let (Some(oldest), Some(newest)) = (self.oldest(), self.newest) else { return C::default() };
        if slot < oldest || slot > newest {
            return C::default();
        }
        self.pages[self.page_of(slot)].as_ref().map_or_else(C::default, |page| page[self.place_of(slot)])
    }

    fn page_of(&self, slot: i64) -> usize {
        slot.div_euclid(self.page).rem_euclid(self.pages.len() as i64) as usize
    }

    fn place_of(&self, slot: i64) -> usize {
        slot.rem_euclid(self.page) as usize
    }

    fn oldest(&self) -> Option<i64> {
        Some((self.newest?.div_euclid(self.page) - (self.pages.len() as i64 - 1)) * self.page)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::cell::Count;

    #[test]
    fn it_holds_what_it_promises_and_no_more_than_a_page_beyond() {
        let mut ring = Ring::new(1, 300);
        for at in 0..1_000 {
            ring.add(at, &Count(1));
            let held = ring.sum(i64::MIN / 2, i64::MAX / 2);
            assert!((held as i64) >= (at + 1).min(301) && held <= 360, "{held} at {at}");
        }
        assert_eq!(ring.sum(700, 1_000), 300);
        assert_eq!(ring.at(999), Count(1));
        assert_eq!((ring.at(0), ring.at(1_000), ring.at(-5)), (Count(0), Count(0), Count(0)));
    }

    #[test]
    fn a_quiet_time_gives_its_memory_back() {
        let mut ring = Ring::new(1, 120);
        let empty = ring.memory_bytes();
        ring.add(5, &Count(1));
        assert!(ring.memory_bytes() > empty);
        for at in 6..200 {
            ring.add(at, &Count(0));
        }
        assert_eq!(ring.memory_bytes(), empty);
    }

    #[test]
    fn a_clock_that_steps_back_far_starts_the_ring_anew() {
        let mut ring = Ring::new(1, 60);
        ring.add(1_000_000, &Count(7));
        ring.add(999_990, &Count(1));
        assert_eq!(ring.sum(999_000, 1_000_001), 8, "a small step adds up");
        ring.add(5, &Count(2));
        assert_eq!(ring.sum(0, 2_000_000), 2);
        ring.restore(-10_000, &Count(9));
        assert_eq!(ring.sum(-20_000, 2_000_000), 2, "what is restored never clears");
    }

    proptest! {
        #[test]
        fn it_is_a_map_that_forgets_the_oldest(step in 1u32..100, slots in 1u32..200, gaps in proptest::collection::vec((0i64..400, 1u32..5), 1..100)) {
            let mut ring = Ring::new(step, slots);
            let mut model: BTreeMap<i64, u32> = BTreeMap::new();
            let mut at = 0;
            for (gap, count) in gaps {
                at += gap;
                ring.add(at, &Count(count));
                *model.entry(at.div_euclid(i64::from(step))).or_default() += count;
            }
            let oldest = ring.oldest_s().unwrap() / i64::from(step);
            prop_assert!(at / i64::from(step) - oldest >= i64::from(slots), "it holds at least its slots");
            let expected: u64 = model.range(oldest..).map(|(_, count)| u64::from(*count)).sum();
            prop_assert_eq!(ring.sum(i64::MIN / 2, at + 1), expected);
            for (slot, count) in model.range(oldest..) {
                prop_assert_eq!(ring.at(slot * i64::from(step)), Count(*count));
            }
        }
    }
}

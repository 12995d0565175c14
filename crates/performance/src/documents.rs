//! The coarse rings as documents, so that they outlive the process.
//!
//! A document holds one stretch of one resolution: an hour of the rings of a day, or a day of the rings of a month. Only the two that are
//! under way change, so writing them each minute costs some kilobytes. Keys go around like the rings do, and a document is replaced when its
//! key comes around: nothing has to be deleted.

use crate::business::{BusinessKind, Values};
use crate::cell::{Amount, Cell, Count, Last, Level};
use crate::histogram::{BUCKETS, Buckets};
use crate::metric::{CounterMetric, GaugeMetric, LatencyMetric};
use crate::recorder::Recorder;
use crate::ring::Ring;
use crate::rings::Rings;
use crate::varint::{Reader, put, put_text};

/// No document is larger; the largest possible one takes less than half of it.
pub const DOCUMENT_LIMIT_BYTES: usize = 1 << 20;

const FORM: &[u8; 4] = b"SPT1";
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// Documents of each resolution: what the rings hold, and the one under way.
const HOURS: i64 = 25;
const DAYS: i64 = 32;

/// A stretch of time that has a document of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// An hour, of the rings that hold a day.
    Hour(i64),
    /// A day, of the rings that hold a month.
    Day(i64),
}

/// A document that cannot be read. Nothing of it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document is damaged or of another version")]
pub struct InvalidDocument;

impl Segment {
    /// The segments that this time belongs to.
    #[must_use]
    pub const fn at(at_s: i64) -> [Self; 2] {
        [Self::Hour(at_s.div_euclid(HOUR_S)), Self::Day(at_s.div_euclid(DAY_S))]
    }

    /// The key of its document. It is another segment's when it is so old that no ring holds it.
    #[must_use]
    pub fn key(self) -> String {
        match self {
            Self::Hour(hour) => format!("hour-{:02}", hour.rem_euclid(HOURS)),
            Self::Day(day) => format!("day-{:02}", day.rem_euclid(DAYS)),
        }
    }

    /// The keys of all documents that a process may have.
    pub fn keys() -> impl Iterator<Item = String> {
        (0..HOURS).map(|hour| Self::Hour(hour).key()).chain((0..DAYS).map(|day| Self::Day(day).key()))
    }

    const fn bounds(self) -> (i64, i64) {
        match self {
            Self::Hour(hour) => (hour * HOUR_S, (hour + 1) * HOUR_S),
            Self::Day(day) => (day * DAY_S, (day + 1) * DAY_S),
        }
    }

    fn ring<C: Cell>(self, rings: &Rings<C>) -> Option<&Ring<C>> {
        let [day, month] = rings.lasting()?;
        Some(match self {
            Self::Hour(_) => day,
            Self::Day(_) => month,
        })
    }
}

impl Recorder {
    /// The document of a segment.
    #[must_use]
    pub fn document(&self, segment: Segment) -> Vec<u8> {
        let mut out = FORM.to_vec();
        put(&mut out, u64::try_from(segment.bounds().0).unwrap_or(0));
        write(&mut out, segment, Kind::Covered, "", "", self.covered_rings());
        for metric in CounterMetric::ALL {
            write(&mut out, segment, Kind::Counter, metric.name(), "", self.counter(*metric));
        }
        for metric in GaugeMetric::ALL {
            write(&mut out, segment, Kind::Gauge, metric.name(), "", self.levels(*metric));
        }
        for metric in LatencyMetric::ALL {
            write(&mut out, segment, Kind::Latency, metric.name(), "", self.latencies(*metric));
        }
        for (name, series) in self.business().iter() {
            match &series.values {
                Values::Counter(rings) => write(&mut out, segment, Kind::BusinessCounter, name, &series.unit, rings),
                Values::Gauge(rings) => write(&mut out, segment, Kind::BusinessGauge, name, &series.unit, rings),
            }
        }
        out
    }

    /// Takes in what a document holds. What is older than the rings reach, in the future of `now_s`, or of a metric that is not known here,
    /// is left out.
    ///
    /// # Errors
    /// When the document cannot be read; nothing was taken then.
    pub fn restore(&mut self, document: &[u8], now_s: i64) -> Result<(), InvalidDocument> {
        read(document, |_| Some(())).ok_or(InvalidDocument)?;
        let taken = read(document, |record| {
            self.take(record, now_s);
            Some(())
        });
        taken.ok_or(InvalidDocument)
    }

    fn take(&mut self, mut record: Record<'_>, now_s: i64) {
        match record.kind {
            Kind::Covered => record.pour(self.covered_rings_mut(), now_s),
            Kind::Counter => {
                if let Some(metric) = CounterMetric::named(record.name) {
                    record.pour(self.counter_mut(metric), now_s);
                }
            }
            Kind::Gauge => {
                if let Some(metric) = GaugeMetric::named(record.name) {
                    record.pour(self.levels_mut(metric), now_s);
                }
            }
            Kind::Latency => {
                if let Some(metric) = LatencyMetric::named(record.name) {
                    record.pour(self.latencies_mut(metric), now_s);
                }
            }
            Kind::BusinessCounter | Kind::BusinessGauge => {
                let is_counter = record.kind == Kind::BusinessCounter;
                let kind = if is_counter { BusinessKind::Counter } else { BusinessKind::Gauge };
                match self.business_mut().restored(record.name, kind, record.unit, record.start_s.min(now_s)) {
                    Some(Values::Counter(rings)) => record.pour(rings, now_s),
                    Some(Values::Gauge(rings)) => record.pour(rings, now_s),
                    None => {}
                }
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Covered,
    Counter,
    Gauge,
    Latency,
    BusinessCounter,
    BusinessGauge,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Covered, Self::Counter, Self::Gauge, Self::Latency, Self::BusinessCounter, Self::BusinessGauge];
}

/// What a document holds of one series.
struct Record<'d> {
    start_s: i64,
    kind: Kind,
    name: &'d str,
    unit: &'d str,
    step_s: i64,
    cells: Reader<'d>,
}

impl Record<'_> {
    fn pour<C: Packed>(&mut self, rings: &mut Rings<C>, now_s: i64) {
        let Some(ring) = rings.with_step_mut(self.step_s) else { return };
        while let Some((slot, cell)) = self.cell::<C>() {
            let at_s = self.start_s.saturating_add(slot.saturating_mul(self.step_s));
            if at_s <= now_s {
                ring.restore(at_s, &cell);
            }
        }
    }

    fn cell<C: Packed>(&mut self) -> Option<(i64, C)> {
        let slot = self.cells.number().filter(|slot| *slot < DAY_S as u64)?;
        Some((slot as i64, C::take(&mut self.cells)?))
    }

    /// Whether every cell can be read.
    fn reads_whole(mut self) -> bool {
        fn all<C: Packed>(record: &mut Record<'_>) -> bool {
            while !record.cells.is_empty() {
                if record.cell::<C>().is_none() {
                    return false;
                }
            }
            true
        }
        match self.kind {
            Kind::Covered | Kind::Counter => all::<Count>(&mut self),
            Kind::Gauge => all::<Level>(&mut self),
            Kind::Latency => all::<Buckets>(&mut self),
            Kind::BusinessCounter => all::<Amount>(&mut self),
            Kind::BusinessGauge => all::<Last>(&mut self),
        }
    }
}

fn write<C: Packed>(out: &mut Vec<u8>, segment: Segment, kind: Kind, name: &str, unit: &str, rings: &Rings<C>) {
    let Some(ring) = segment.ring(rings) else { return };
    let (from_s, to_s) = segment.bounds();
    let mut cells = Vec::new();
    ring.each(from_s, to_s, |at_s, cell| {
        put(&mut cells, u64::try_from((at_s - from_s) / ring.step_s()).unwrap_or(0));
        cell.pack(&mut cells);
    });
    if cells.is_empty() {
        return;
    }
    out.push(kind as u8);
    put_text(out, name);
    put_text(out, unit);
    put(out, ring.step_s() as u64);
    put(out, cells.len() as u64);
    out.append(&mut cells);
}

/// Hands every record to `take`; `None` as soon as one is damaged.
fn read<'d>(document: &'d [u8], mut take: impl FnMut(Record<'d>) -> Option<()>) -> Option<()> {
    let mut reader = Reader::new(document);
    if &reader.array::<4>()? != FORM {
        return None;
    }
    let start_s = i64::try_from(reader.number()?).ok()?;
    while !reader.is_empty() {
        let [kind] = reader.array()?;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        let (name, unit) = (reader.text()?, reader.text()?);
        let step_s = i64::try_from(reader.number()?).ok()?;
        let length = reader.length()?;
        let cells = Reader::new(reader.bytes(length)?);
        let record = || Record { start_s, kind, name, unit, step_s, cells };
        if !record().reads_whole() {
            return None;
        }
        take(record())?;
    }
    Some(())
}

/// A cell as bytes.
trait Packed: Cell {
    fn pack(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Option<Self>;
}

impl Packed for Count {
    fn pack(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.0));
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self(u32::try_from(reader.number()?).ok()?))
    }
}

impl Packed for Level {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sum.to_le_bytes());
        out.extend_from_slice(&self.max.to_le_bytes());
        put(out, u64::from(self.samples));
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let (sum, max) = (f32::from_le_bytes(reader.array()?), f32::from_le_bytes(reader.array()?));
        let samples = u32::try_from(reader.number()?).ok()?;
        (sum.is_finite() && max.is_finite()).then_some(Self { sum, max, samples })
    }
}

impl Packed for Buckets {
    /// Which buckets are not empty, and how many they hold.
    fn pack(&self, out: &mut Vec<u8>) {
        let used = (0..BUCKETS).filter(|bucket| self.0[*bucket] > 0);
        put(out, used.clone().fold(0, |mask, bucket| mask | 1 << bucket));
        used.for_each(|bucket| put(out, u64::from(self.0[bucket])));
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let mask = reader.number().filter(|mask| *mask < 1 << BUCKETS)?;
        let mut buckets = Self::default();
        for bucket in (0..BUCKETS).filter(|bucket| mask & 1 << bucket != 0) {
            buckets.0[bucket] = u32::try_from(reader.number()?).ok()?;
        }
        Some(buckets)
    }
}

impl Packed for Amount {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let amount = f64::from_le_bytes(reader.array()?);
        amount.is_finite().then_some(Self(amount))
    }
}

impl Packed for Last {
    fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let value = f64::from_le_bytes(reader.array()?);
        value.is_finite().then_some(Self(value))
    }
}

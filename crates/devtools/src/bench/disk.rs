//! The disk by itself: a durable answer takes at least one flush. And the memory of the page cache, which a growing database takes.

use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::BenchArgs;
use super::client::histogram;
use super::table::Figure;
use crate::Failure;

/// How long each round measures.
const ROUND: Duration = Duration::from_secs(1);
/// What a small commit writes.
const BLOCK: [u8; 4_096] = [0x5a; 4_096];
/// Blocks of the file, which are written round and round as the engines do with their logs.
const BLOCKS: u64 = 1_024;

/// Pages of the file that is written for the first time: 64 MiB.
const NEW_PAGES: u64 = 16_384;

/// How long the kernel takes to have a page of a file in memory written, the first time and the next.
///
/// Where they are far apart, the machine gives memory that nobody uses back to its host: fill it before you measure.
pub(crate) fn pages(arguments: &BenchArgs) -> Result<[Figure; 2], Failure> {
    let [mut first, mut next] = <[Vec<f64>; 2]>::default();
    for _ in 0..arguments.rounds() {
        std::fs::create_dir_all("target/bench")?;
        let file = tempfile::tempfile_in("target/bench")?;
        for times in [&mut first, &mut next] {
            let begun = Instant::now();
            for block in 0..NEW_PAGES {
                file.write_all_at(&BLOCK, block * BLOCK.len() as u64)?;
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / NEW_PAGES as f64);
        }
    }
    let next = Figure::new("a page of a file in memory: written over", "µs", next);
    Ok([Figure::new("a page of a file in memory: written first", "µs", first).against(&next), next])
}

/// How long one block takes to be written and flushed, one after the other.
pub(crate) fn flushes(arguments: &BenchArgs) -> Result<[Figure; 2], Failure> {
    let [mut p50, mut p99] = <[Vec<f64>; 2]>::default();
    for _ in 0..arguments.rounds() {
        std::fs::create_dir_all("target/bench")?;
        let file = tempfile::tempfile_in("target/bench")?;
        for block in 0..BLOCKS {
            file.write_all_at(&BLOCK, block * BLOCK.len() as u64)?;
        }
        file.sync_all()?;
        let (begun, mut took) = (Instant::now(), histogram());
        for block in (0..BLOCKS).cycle().take_while(|_| begun.elapsed() < ROUND) {
            let start = Instant::now();
            file.write_all_at(&BLOCK, block * BLOCK.len() as u64)?;
            file.sync_data()?;
            took.saturating_record(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        p50.push(took.value_at_quantile(0.5) as f64 / 1e3);
        p99.push(took.value_at_quantile(0.99) as f64 / 1e3);
    }
    let figure = |quantile: &str, rounds| Figure::new(format!("one flush of the disk alone: {quantile}"), "ms", rounds);
    Ok([figure("p50", p50), figure("p99", p99)])
}

//! Results: medians with their spread, ratios to the reference, bars.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde::Serialize;

use crate::Failure;
use crate::report::grouped;

/// One figure over several rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: Vec<f64>,
    /// What it is to be compared with: the median divided by the reference's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bar: Option<Bar>,
}

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    RatioAtLeast(f64),
    RatioAtMost(f64),
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        let min = sorted.first().copied().unwrap_or(f64::NAN);
        let max = sorted.last().copied().unwrap_or(f64::NAN);
        Self { what: what.into(), unit, median, min, max, rounds, ratio: None, bar: None }
    }

    pub(crate) fn against(mut self, reference: &Self) -> Self {
        self.ratio = Some(self.median / reference.median);
        self
    }

    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        self.bar = Some(bar);
        self
    }

    fn holds(&self) -> Option<bool> {
        Some(match self.bar? {
            Bar::AtLeast(least) => self.median >= least,
            Bar::AtMost(most) => self.median <= most,
            Bar::RatioAtLeast(least) => self.ratio.is_some_and(|ratio| ratio >= least),
            Bar::RatioAtMost(most) => self.ratio.is_some_and(|ratio| ratio <= most),
        })
    }
}

/// The results of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) figures: Vec<Figure>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), figures: Vec::new() }
    }

    pub(crate) fn push(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// Writes target/bench/NAME.json and prints. Returns whether every bar was reached.
    pub(crate) fn publish(&self, name: &str, json: bool) -> Result<bool, Failure> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::create_dir_all("target/bench")?;
        std::fs::write(format!("target/bench/{name}.json"), &text)?;
        if json {
            println!("{text}");
        } else {
            self.print();
        }
        Ok(self.figures.iter().all(|figure| figure.holds() != Some(false)))
    }

    fn print(&self) {
        println!("{}", self.title);
        let mut table = comfy_table::Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header(["what", "median", "min … max", "ratio", "bar", ""]);
        for figure in &self.figures {
            let bar = match figure.bar {
                None => String::new(),
                Some(Bar::AtLeast(bar)) => format!("≥ {}", number(bar)),
                Some(Bar::AtMost(bar)) => format!("≤ {}", number(bar)),
                Some(Bar::RatioAtLeast(bar)) => format!("≥ {bar:.2} ×"),
                Some(Bar::RatioAtMost(bar)) => format!("≤ {bar:.2} ×"),
            };
            let mark = match figure.holds() {
                None => "",
                Some(true) => "✓",
                Some(false) => "✗",
            };
            table.add_row([
                figure.what.clone(),
                format!("{} {}", number(figure.median), figure.unit),
                format!("{} … {}", number(figure.min), number(figure.max)),
                figure.ratio.map(|ratio| format!("{ratio:.2} ×")).unwrap_or_default(),
                bar,
                mark.to_owned(),
            ]);
        }
        println!("{table}");
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { grouped(value) } else { format!("{value:.3}") }
}

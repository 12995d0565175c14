//! Grafana dashboards from one description: what a panel asks, in which unit, under which title. Names cannot drift, because the check holds every
//! query to the list of metrics.

mod grafana;
mod shipped;

pub use grafana::json;
pub use shipped::shipped;

/// One dashboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Dashboard {
    /// Its file's name and its address in Grafana: lower-case letters and hyphens.
    pub uid: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The question that it answers.
    pub description: &'static str,
    /// Panels, by rows.
    pub rows: Vec<Row>,
}

/// Panels side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What they have in common.
    pub title: &'static str,
    /// From left to right; they share the width.
    pub panels: Vec<Panel>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// How.
    pub kind: Kind,
    /// In which unit.
    pub unit: Unit,
    /// What it asks.
    pub queries: Vec<Query>,
}

/// How a panel looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Curves over time.
    Curves,
    /// A number with its last hour drawn small.
    Number,
    /// A row for each series.
    Table,
}

/// Units, by Grafana's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Plain counts.
    Count,
    /// Events in a second.
    PerSecond,
    /// Durations.
    Seconds,
    /// Sizes.
    Bytes,
    /// 0 to 1.
    Share,
}

/// What a panel asks Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The query; `$__rate_interval` is Grafana's window.
    pub expr: &'static str,
    /// The series' name, with `{{label}}` for a label.
    pub legend: &'static str,
}

impl Dashboard {
    /// Every query with its panel's title.
    pub fn queries(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        let panels = self.rows.iter().flat_map(|row| &row.panels);
        panels.flat_map(|panel| panel.queries.iter().map(|query| (panel.title, query.expr)))
    }
}

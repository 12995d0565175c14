//! Grafana's own form of a dashboard.

use serde_json::{Value, json};

use super::{Dashboard, Kind, Panel, Query, Unit};

/// Grafana divides a page into so many columns.
const COLUMNS: usize = 24;
const DATASOURCE: &str = "${datasource}";

/// The dashboard as Grafana reads it, made for files that are provisioned.
#[must_use]
pub fn json(dashboard: &Dashboard) -> Value {
    let mut panels = Vec::new();
    let (mut y, mut id) = (0, 0);
    let mut next_id = || {
        id += 1;
        id
    };
    for row in &dashboard.rows {
        panels.push(json!({
            "id": next_id(), "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
        }));
        y += 1;
        let width = COLUMNS / row.panels.len().max(1);
        let height = row.panels.iter().map(|panel| height(panel.kind)).max().unwrap_or_default();
        for (n, panel) in row.panels.iter().enumerate() {
            panels.push(self::panel(panel, next_id(), [n * width, y, width, height]));
        }
        y += height;
    }
    json!({
        "uid": format!("spillway-{}", dashboard.uid),
        "title": format!("Spillway: {}", dashboard.title),
        "description": dashboard.description,
        "tags": ["spillway"],
        "schemaVersion": 39,
        "version": 1,
        "editable": false,
        "refresh": "10s",
        "time": { "from": "now-1h", "to": "now" },
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [{ "type": "dashboards", "tags": ["spillway"], "asDropdown": true, "title": "Spillway", "includeVars": true, "keepTime": true }],
        "annotations": { "list": [{
            "name": "Starts", "enable": true, "iconColor": "purple",
            "datasource": { "type": "prometheus", "uid": DATASOURCE },
            "expr": "changes(process_start_time_seconds[1m]) > 0", "step": "30s", "titleFormat": "{{instance}} was started",
        }] },
        "templating": { "list": [{
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0,
        }] },
        "panels": panels,
    })
}

fn height(kind: Kind) -> usize {
    match kind {
        Kind::Number => 4,
        Kind::Curves => 8,
        Kind::Table => 9,
    }
}

fn panel(panel: &Panel, id: usize, [x, y, w, h]: [usize; 4]) -> Value {
    let table = panel.kind == Kind::Table;
    let targets = panel.queries.iter().zip('A'..='Z').map(|(Query { expr, legend }, letter)| {
        json!({
            "refId": letter.to_string(), "expr": expr, "legendFormat": legend,
            "datasource": { "type": "prometheus", "uid": DATASOURCE },
            "instant": table, "range": !table, "format": if table { "table" } else { "time_series" },
        })
    });
    let kind = match panel.kind {
        Kind::Curves => "timeseries",
        Kind::Number => "stat",
        Kind::Table => "table",
    };
    let options = match panel.kind {
        Kind::Curves => {
            json!({ "legend": { "displayMode": "list", "placement": "bottom" }, "tooltip": { "mode": "multi", "sort": "desc" } })
        }
        Kind::Number => {
            json!({ "reduceOptions": { "calcs": ["lastNotNull"] }, "graphMode": "area", "colorMode": "none" })
        }
        Kind::Table => json!({ "showHeader": true, "cellHeight": "sm" }),
    };
    json!({
        "id": id, "type": kind, "title": panel.title,
        "datasource": { "type": "prometheus", "uid": DATASOURCE },
        "gridPos": { "x": x, "y": y, "w": w, "h": h },
        "fieldConfig": { "defaults": {
            "unit": unit(panel.unit), "min": 0,
            "custom": { "lineWidth": 1, "fillOpacity": 8, "showPoints": "never" },
        }, "overrides": [] },
        "options": options,
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "ops",
        Unit::Seconds => "s",
        Unit::Bytes => "bytes",
        Unit::Share => "percentunit",
    }
}

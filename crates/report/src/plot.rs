//! Draws charts as SVG. Colours are stand-ins that the style sheet replaces by those of the theme.

mod spark;

use std::fmt::Display;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, PathElement, Polygon, Rectangle, SVGBackend,
    ShapeStyle, Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use plotters::style::RGBColor;

pub use spark::spark;

use crate::text::{on_axis, span};

/// Lines behind everything.
pub const GRID: RGBColor = RGBColor(10, 0, 1);
/// Axes and what is beside the point.
pub const MUTED: RGBColor = RGBColor(10, 0, 2);
/// The median; the first series of a chart that has no percentiles.
pub const P50: RGBColor = RGBColor(10, 0, 3);
/// The 95th percentile; the second series.
pub const P95: RGBColor = RGBColor(10, 0, 4);
/// The 99th percentile; the third series.
pub const P99: RGBColor = RGBColor(10, 0, 5);
/// The load behind a chart.
pub const LOAD: RGBColor = RGBColor(10, 0, 6);
/// What is bad.
pub const BAD: RGBColor = RGBColor(10, 0, 7);
/// What the chart is about.
pub const ACCENT: RGBColor = RGBColor(10, 0, 8);
/// What was before: dashed.
pub const BASELINE: RGBColor = RGBColor(10, 0, 9);
/// Bars.
pub const BAR: RGBColor = RGBColor(10, 0, 10);

/// Size of text in pixels, in the unit of plotters, which the backend divides again.
const TEXT_SIZE: f64 = 12.0 * 1.24;

/// Least distance between labels, in pixels.
const LABEL_HEIGHT: i32 = 14;

/// Why something could not be drawn; into a text everything can.
pub type Failure = DrawingAreaErrorKind<std::io::Error>;

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Axis {
    /// From the first value to the second one.
    Linear(f64, f64),
    /// The same, on a logarithmic scale; both above zero.
    Log(f64, f64),
}

/// The size of a chart and of the room about its plot, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Pixels.
    pub width: i32,
    /// Pixels.
    pub height: i32,
    /// Room for labels beside the plot, pixels.
    pub right: i32,
    /// Points of a line at most.
    pub points: usize,
    /// Labels of the horizontal axis at most.
    pub labels: usize,
    class: &'static str,
}

const LEFT: i32 = 60;
const TOP: i32 = 12;
const BOTTOM: i32 = 22;

impl Size {
    /// For a screen or paper.
    #[must_use]
    pub const fn wide(height: i32) -> Self {
        Self { width: 952, height, right: 96, points: 600, labels: 9, class: "wide" }
    }

    /// For a phone.
    #[must_use]
    pub const fn narrow(height: i32) -> Self {
        Self { width: 358, height, right: 84, points: 200, labels: 4, class: "narrow" }
    }
}

impl Axis {
    /// Place of a value, from 0 to 1; what lies outside is at the end.
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(from, to) => (value - from) / (to - from),
            Self::Log(from, to) => (value.max(1e-9) / from).ln() / (to / from).ln(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// A linear axis from zero that holds `most`, with room above.
    #[must_use]
    pub fn from_zero(most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most * 1.1 } else { 1.0 };
        Self::Linear(0.0, most)
    }

    /// A logarithmic axis that holds all values; its ends are 1, 2 or 5 times a power of ten.
    #[must_use]
    pub fn log(values: impl Iterator<Item = f64> + Clone) -> Self {
        let sound = values.filter(|value| value.is_finite() && *value > 0.0);
        let (least, most) = (sound.clone().fold(f64::MAX, f64::min), sound.fold(1e-3, f64::max));
        let least = least.min(most).max(1e-3);
        let steps = || (-3..=9).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
        let from = steps().filter(|step| *step <= least * 1.0001).fold(1e-3, f64::max);
        let to = steps().find(|step| *step >= most * 0.9999 && *step > from * 1.5).unwrap_or(1e10);
        Self::Log(from, to)
    }

    /// Values that are worth a line, at most about `most`.
    #[must_use]
    pub fn ticks(self, most: usize) -> Vec<f64> {
        match self {
            Self::Linear(from, to) => {
                let step = nice_step((to - from) / most.max(1) as f64);
                (0..=most * 2).map(|n| from + step * n as f64).take_while(|tick| *tick <= to * 1.000_001).collect()
            }
            Self::Log(from, to) => {
                let decades = (to / from).log10();
                let steps: &[f64] = if decades * 3.0 <= most as f64 + 1.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let all = (-3..=10).flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)));
                let all: Vec<f64> = all.filter(|tick| *tick >= from * 0.999 && *tick <= to * 1.001).collect();
                let every = all.len().div_ceil(most.max(1)).max(1);
                all.into_iter().step_by(every).collect()
            }
        }
    }
}

/// Instants of a linear axis of milliseconds that are worth a label, at most `most` and zero: steps that clocks have.
#[must_use]
pub fn times(axis: Axis, most: usize) -> Vec<f64> {
    const STEPS: [f64; 19] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0,
        21_600.0, 43_200.0, 86_400.0, 604_800.0,
    ];
    let Axis::Linear(_, end) = axis else { return Vec::new() };
    let step = STEPS.into_iter().map(|step| step * 1e3).find(|step| end / step <= most as f64).unwrap_or(end);
    (0..=most).map(|n| n as f64 * step).take_while(|tick| *tick <= end).collect()
}

/// An instant of such an axis.
#[must_use]
pub fn clock(ms: f64) -> String {
    if ms == 0.0 { "0".to_owned() } else { span(ms) }
}

/// 1, 2 or 5 times a power of ten that is not less.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-12).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

/// Where a chart is drawn.
pub struct Plot<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    /// Its size.
    pub size: Size,
    x: Axis,
    y: Axis,
    /// Labels beside the plot: height, colour, text.
    labels: Vec<(i32, RGBColor, String)>,
}

impl Plot<'_> {
    fn at(&self, x: f64, y: f64) -> (i32, i32) {
        self.pixel(self.x.share(x), self.y.share(y))
    }

    fn pixel(&self, x: f64, y: f64) -> (i32, i32) {
        let (width, height) = (self.size.width - LEFT - self.size.right, self.size.height - TOP - BOTTOM);
        (LEFT + (x * f64::from(width)).round() as i32, TOP + height - (y * f64::from(height)).round() as i32)
    }

    /// Horizontal lines with their values at the left.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn rows(&self, most: usize, text: impl Fn(f64) -> String) -> Result<(), Failure> {
        self.rows_at(&self.y.ticks(most), text)
    }

    /// Horizontal lines at these values, with their texts at the left.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn rows_at(&self, ticks: &[f64], text: impl Fn(f64) -> String) -> Result<(), Failure> {
        for tick in ticks {
            let y = self.pixel(0.0, self.y.share(*tick)).1;
            let ends = vec![(LEFT, y), (self.size.width - self.size.right, y)];
            self.area.draw(&PathElement::new(ends, stroke(GRID, 1)))?;
            self.text(&on_axis(&text(*tick)), (LEFT - 8, y), MUTED, HPos::Right, VPos::Center)?;
        }
        Ok(())
    }

    /// Values below the plot.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn columns(&self, ticks: &[f64], text: impl Fn(f64) -> String) -> Result<(), Failure> {
        let bottom = self.pixel(0.0, 0.0).1;
        for tick in ticks {
            let x = self.pixel(self.x.share(*tick), 0.0).0;
            self.area.draw(&PathElement::new(vec![(x, bottom), (x, bottom + 4)], stroke(MUTED, 1)))?;
            self.text(&on_axis(&text(*tick)), (x, bottom + 6), MUTED, HPos::Center, VPos::Top)?;
        }
        Ok(())
    }

    /// A line; it is broken where there is no value.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn line(&self, points: &[(f64, Option<f64>)], colour: RGBColor, width: u32) -> Result<(), Failure> {
        for part in points.split(|(_, value)| value.is_none()) {
            let mut path: Vec<(i32, i32)> = part.iter().filter_map(|(x, y)| y.map(|y| self.at(*x, y))).collect();
            if let [(x, y)] = path[..] {
                path.push((x + 2, y));
            }
            if !path.is_empty() {
                self.area.draw(&PathElement::new(path, stroke(colour, width)))?;
            }
        }
        Ok(())
    }

    /// An area from zero up, on a vertical axis of its own. Each value holds until the next one.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn area(&self, points: &[(f64, f64)], end: f64, axis: Axis, colour: RGBColor) -> Result<(), Failure> {
        let mut path: Vec<(i32, i32)> = Vec::with_capacity(points.len() * 2 + 2);
        for (place, (x, y)) in points.iter().enumerate() {
            let y = axis.share(*y);
            let next = points.get(place + 1).map_or(end, |(next, _)| *next);
            path.push(self.pixel(self.x.share(*x), y));
            path.push(self.pixel(self.x.share(next), y));
        }
        let (Some(first), Some(last)) = (path.first().copied(), path.last().copied()) else { return Ok(()) };
        let bottom = self.pixel(0.0, 0.0).1;
        path.extend([(last.0, bottom), (first.0, bottom)]);
        path.dedup();
        self.area.draw(&Polygon::new(path, fill(colour)))
    }

    /// A bar from zero up.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn bar(&self, from: f64, to: f64, height: f64, colour: RGBColor) -> Result<(), Failure> {
        let (left, top) = self.at(from, height);
        let (right, bottom) = self.pixel(self.x.share(to), 0.0);
        if top == bottom {
            return Ok(());
        }
        self.area.draw(&Rectangle::new([(left, top), ((right - 1).max(left + 1), bottom)], fill(colour)))
    }

    /// A vertical line with a label at its top, `row` lines down.
    ///
    /// # Errors
    /// Never when it is drawn into a text, as here.
    pub fn mark(&self, x: f64, row: i32, colour: RGBColor, text: &str) -> Result<(), Failure> {
        let x = self.pixel(self.x.share(x), 0.0).0;
        let (top, bottom) = (self.pixel(0.0, 1.0).1 + row * LABEL_HEIGHT, self.pixel(0.0, 0.0).1);
        self.area.draw(&PathElement::new(vec![(x, top), (x, bottom)], stroke(colour, 1)))?;
        let room_right = self.size.width - x > 120;
        let (at, anchor) = if room_right { (x + 5, HPos::Left) } else { (x - 5, HPos::Right) };
        self.text(text, (at, top + 6), colour, anchor, VPos::Center)
    }

    /// A label beside the plot at the height of a value; on the plot's own axis without one.
    pub fn label(&mut self, value: f64, axis: Option<Axis>, colour: RGBColor, text: String) {
        let y = self.pixel(0.0, axis.unwrap_or(self.y).share(value)).1;
        self.labels.push((y, colour, text));
    }

    /// Draws the labels so that none covers another.
    fn place_labels(&mut self) -> Result<(), Failure> {
        let mut labels = std::mem::take(&mut self.labels);
        labels.sort_by_key(|(y, _, _)| *y);
        let bottom = self.pixel(0.0, 0.0).1;
        let mut least = TOP;
        for (y, _, _) in &mut labels {
            *y = (*y).max(least);
            least = *y + LABEL_HEIGHT;
        }
        let mut most = bottom;
        for (y, _, _) in labels.iter_mut().rev() {
            *y = (*y).min(most);
            most = *y - LABEL_HEIGHT;
        }
        let x = self.size.width - self.size.right + 6;
        labels.iter().try_for_each(|(y, colour, text)| self.text(text, (x, *y), *colour, HPos::Left, VPos::Center))
    }

    fn text(&self, text: &str, at: (i32, i32), colour: RGBColor, h: HPos, v: VPos) -> Result<(), Failure> {
        let style = TextStyle::from(("sans-serif", TEXT_SIZE).into_font()).color(&colour).pos(Pos::new(h, v));
        self.area.draw(&Text::new(text.to_owned(), at, style))
    }
}

fn stroke(colour: RGBColor, width: u32) -> ShapeStyle {
    ShapeStyle::from(&colour).stroke_width(width)
}

fn fill(colour: RGBColor) -> ShapeStyle {
    ShapeStyle::from(&colour).filled()
}

/// One chart in each of the sizes; the style sheet shows the one that fits. `about` says what it shows, for those who do not see it.
pub fn chart(
    sizes: [Size; 2],
    about: &impl Display,
    axes: (Axis, Axis),
    draw: impl Fn(&mut Plot<'_>) -> Result<(), Failure>,
) -> Markup {
    html! {
        figure {
            @for size in sizes {
                svg class=(size.class) viewBox=(format!("0 0 {} {}", size.width, size.height)) role="img" aria-label=(about) {
                    (PreEscaped(inner(size, axes, &draw)))
                }
            }
        }
    }
}

/// The elements of an SVG, without what the page says already. Empty if drawing fails, which drawing into a text does not.
fn inner(size: Size, axes: (Axis, Axis), draw: impl Fn(&mut Plot<'_>) -> Result<(), Failure>) -> String {
    let mut svg = String::new();
    {
        let (width, height) = (size.width.unsigned_abs(), size.height.unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let mut plot = Plot { area, size, x: axes.0, y: axes.1, labels: Vec::new() };
        let drawn = draw(&mut plot).and_then(|()| plot.place_labels()).and_then(|()| plot.area.present());
        if drawn.is_err() {
            return String::new();
        }
    }
    shorten(&svg)
}

/// The elements of an SVG alone, without what is the same for all.
fn shorten(svg: &str) -> String {
    let inner = svg.split_once(">\n").map_or("", |(_, inner)| inner);
    let inner = inner.trim_end().strip_suffix("</svg>").unwrap_or(inner);
    let mut short = inner.to_owned();
    for (long, brief) in [
        (" opacity=\"1\"", ""),
        (" stroke-width=\"1\"", ""),
        (" stroke=\"none\"", ""),
        (" font-family=\"sans-serif\"", ""),
        (" font-size=\"12\"", ""),
        (" \"/>", "\"/>"),
        (">\n", ">"),
        ("\n</", "</"),
    ] {
        short = short.replace(long, brief);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values_and_have_few_round_ticks() {
        assert_eq!(Axis::log([3.0, 180.0].into_iter()), Axis::Log(2.0, 200.0));
        assert_eq!(Axis::log([5.0, 5.0].into_iter()), Axis::Log(5.0, 10.0));
        assert_eq!(Axis::log(std::iter::empty()), Axis::Log(0.001, 0.002));
        assert_eq!(Axis::Log(2.0, 200.0).ticks(7), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        assert_eq!(Axis::Log(0.1, 5_000.0).ticks(6), [0.1, 1.0, 10.0, 100.0, 1_000.0]);
        assert_eq!(Axis::Linear(0.0, 110.0).ticks(4), [0.0, 50.0, 100.0]);
        for axis in [Axis::from_zero(f64::NAN), Axis::from_zero(0.0), Axis::Linear(1.0, 1.0), Axis::Log(1.0, 1.0)] {
            assert!((0.0..=1.0).contains(&axis.share(f64::NAN)) && axis.ticks(5).len() < 20, "{axis:?}");
        }
    }
}

//! A line without axes, as small as a word.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::{IntoDrawingArea, PathElement, Polygon, SVGBackend};

use super::{Axis, LOAD, RGBColor, fill, shorten, stroke};

const WIDTH: i32 = 200;
const HEIGHT: i32 = 40;

/// A small line from zero up over an area. It is broken where there is no value. `about` says what it shows, for those who do not see it.
#[must_use]
pub fn spark(points: &[(f64, Option<f64>)], colour: RGBColor, about: &str) -> Markup {
    html! {
        svg.spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(about) {
            (PreEscaped(inner(points, colour)))
        }
    }
}

fn inner(points: &[(f64, Option<f64>)], colour: RGBColor) -> String {
    let from = points.first().map_or(0.0, |(at, _)| *at);
    let to = points.last().map_or(1.0, |(at, _)| *at);
    let most = points.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
    let (x, y) = (Axis::Linear(from, to), Axis::from_zero(most));
    let place = |at: f64, value: f64| {
        let (right, up) = (x.share(at) * f64::from(WIDTH), y.share(value) * f64::from(HEIGHT - 4));
        (right.round() as i32, HEIGHT - 2 - up.round() as i32)
    };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs())).into_drawing_area();
        for part in points.split(|(_, value)| value.is_none()) {
            let path: Vec<(i32, i32)> = part.iter().filter_map(|(at, y)| y.map(|y| place(*at, y))).collect();
            let (Some(first), Some(last)) = (path.first().copied(), path.last().copied()) else { continue };
            let below = path.iter().copied().chain([(last.0, HEIGHT), (first.0, HEIGHT)]).collect::<Vec<_>>();
            let drawn = area.draw(&Polygon::new(below, fill(LOAD)));
            if drawn.and_then(|()| area.draw(&PathElement::new(path, stroke(colour, 2)))).is_err() {
                return String::new();
            }
        }
        if area.present().is_err() {
            return String::new();
        }
    }
    shorten(&svg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::ACCENT;

    #[test]
    fn it_is_broken_where_nothing_was_measured_and_stays_inside() {
        let points = [(0.0, Some(1.0)), (1.0, Some(f64::NAN)), (2.0, None), (3.0, Some(4.0)), (4.0, Some(1e300))];
        let drawn = spark(&points, ACCENT, "Received").into_string();
        assert_eq!(drawn.matches("<polyline").count(), 2, "{drawn}");
        assert!(!drawn.contains("style=") && !drawn.contains("NaN"), "{drawn}");
        assert_eq!(spark(&[], ACCENT, "x").into_string().matches("<polyline").count(), 0);
    }
}

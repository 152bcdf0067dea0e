//! The comparison's pictures: accuracy against instructions, and against bytes.
use super::summary::{Cell, Group};
use crate::{
    error::Error,
    experiment::{
        plan::RECALIBRATED,
        settings::{Budget, Method},
    },
    files,
    plot::{self, Frame, INK},
};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{ops::Range, path::Path};

/// A method's points.
struct Series {
    name: String,
    colour: RGBColor,
    marker: Marker,
    points: Vec<Point>,
}

/// Accuracy with its spread over the seeds.
struct Point {
    x: f64,
    top1: f64,
    deviation: f64,
}

/// Shapes, for those to whom the colours look alike.
#[derive(Clone, Copy)]
enum Marker {
    Circle,
    Square,
    Triangle,
    Cross,
    Diamond,
}

/// Okabe and Ito's colours, with a shape each; then some of them with another.
const LOOKS: [(RGBColor, Marker); 12] = [
    (RGBColor(0, 114, 178), Marker::Circle),
    (RGBColor(213, 94, 0), Marker::Square),
    (RGBColor(0, 158, 115), Marker::Triangle),
    (RGBColor(204, 121, 167), Marker::Diamond),
    (RGBColor(86, 180, 233), Marker::Cross),
    (RGBColor(230, 159, 0), Marker::Square),
    (RGBColor(100, 100, 100), Marker::Triangle),
    (RGBColor(0, 0, 0), Marker::Diamond),
    (RGBColor(0, 114, 178), Marker::Triangle),
    (RGBColor(213, 94, 0), Marker::Cross),
    (RGBColor(0, 158, 115), Marker::Diamond),
    (RGBColor(204, 121, 167), Marker::Circle),
];

/// Accuracy against Cortex-M7 instructions, or against host time where nothing was counted: `name.svg` and `name.png`.
///
/// # Errors
/// A file that cannot be written or drawn.
pub fn accuracy_latency(folder: &Path, groups: &[Group<'_>]) -> Result<(), Error> {
    let counted = groups.iter().any(|group| group.cells.iter().any(|cell| cell.instructions().is_some()));
    let cost = |_: &Group<'_>, cell: &Cell<'_>| {
        if counted { cell.instructions().map(|count| count / 1e6) } else { cell.host_ms() }
    };
    let x_desc = if counted { "million Cortex-M7 instructions an image" } else { "host milliseconds an image" };
    let title = "Accuracy against the work of an image";
    draw(folder, "accuracy-latency", [title, x_desc], &series(groups, cost))
}

/// Accuracy against the bytes that a device needs to have this level and all sparser ones.
///
/// # Errors
/// A file that cannot be written or drawn.
pub fn accuracy_storage(folder: &Path, groups: &[Group<'_>]) -> Result<(), Error> {
    let bytes = |group: &Group<'_>, cell: &Cell<'_>| {
        let prefix = |cell: &Cell<'_>| cell.mean(|row| row.prefix_bytes as f64);
        let whole = match group.key.method {
            // A file of its own for each level.
            Method::StandAlone => {
                group.cells.iter().filter(|other| other.sparsity >= cell.sparsity).map(prefix).sum::<f64>()
            }
            _ => prefix(cell),
        };
        Some(whole / 1e3)
    };
    let titles = ["Accuracy against the bytes that this level and the sparser ones need", "kilobytes"];
    draw(folder, "accuracy-storage", titles, &series(groups, bytes))
}

fn series(groups: &[Group<'_>], x: impl Fn(&Group<'_>, &Cell<'_>) -> Option<f64>) -> Vec<Series> {
    let shown = groups.iter().filter(|group| is_shown(group)).zip(LOOKS.into_iter().cycle());
    let one = |(group, (colour, marker)): (&Group<'_>, (RGBColor, Marker))| {
        let point = |cell: &Cell<'_>| {
            let deviation = cell.deviation(|row| row.top1_int8).unwrap_or(0.0);
            Some(Point { x: x(group, cell)?, top1: cell.top1(), deviation })
        };
        Series { name: name(group), colour, marker, points: group.cells.iter().filter_map(point).collect() }
    };
    shown.map(one).filter(|series| !series.points.is_empty()).collect()
}

/// One curve a row of the comparison: its variants are in the tables.
fn is_shown(group: &Group<'_>) -> bool {
    match group.key.method {
        Method::Nested => group.key.variant.is_none(),
        Method::StandAlone => group.key.budget == Some(Budget::A) || group.key.budget == Some(Budget::B),
        Method::DynamicPruning => RECALIBRATED.iter().any(|name| group.key.variant.as_deref() == Some(name)),
        Method::Dsnn | Method::Slimmable | Method::Dense => true,
    }
}

/// Short enough for the legend.
fn name(group: &Group<'_>) -> String {
    match (group.key.method, group.key.variant.as_deref()) {
        (Method::DynamicPruning, variant) if variant == Some(RECALIBRATED[0]) => "pruned stand-alone".to_owned(),
        (Method::DynamicPruning, _) => "pruned dense".to_owned(),
        _ => group.key.name(),
    }
}

fn draw(folder: &Path, name: &str, [title, x_desc]: [&str; 2], series: &[Series]) -> Result<(), Error> {
    if series.is_empty() {
        return Ok(());
    }
    plot::register_fonts();
    let wrong = |path: &Path, problem: String| Error::Picture { path: path.to_owned(), problem };
    let png = folder.join(format!("{name}.png"));
    files::replace(&png, |temporary| {
        let area = BitMapBackend::new(temporary, plot::SIZE).into_drawing_area();
        chart(&area, [title, x_desc], series).map_err(|error| wrong(&png, error))
    })?;
    let svg = folder.join(format!("{name}.svg"));
    files::replace(&svg, |temporary| {
        let area = SVGBackend::new(temporary, plot::SIZE).into_drawing_area();
        chart(&area, [title, x_desc], series).map_err(|error| wrong(&svg, error))
    })
}

fn chart<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    [title, x_desc]: [&str; 2],
    all: &[Series],
) -> Result<(), String> {
    let (x, y) = ranges(all);
    // Drawn where they are not, points below the picture would be taken for results.
    let floor = y.start;
    let subtitle = "int8, from the file; bars are ± one deviation over the seeds; what is far below is left out";
    let decimals = if x.end < 1.0 { 2 } else { 1 };
    let mut chart = Frame { title, subtitle, x_desc, margin: LEGEND }.draw(area, x, y, decimals)?;
    let wrong = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    for series in all {
        let style = series.colour.stroke_width(3);
        let points = || series.points.iter().filter(|point| point.top1 >= floor);
        let line = points().map(|point| (point.x, point.top1));
        chart.draw_series(LineSeries::new(line, style)).map_err(wrong)?;
        let bar = |point: &Point| {
            let ends = [-1.0, 1.0].map(|side| (point.x, point.top1 + side * point.deviation));
            PathElement::new(ends.to_vec(), series.colour.stroke_width(2))
        };
        chart.draw_series(points().map(bar)).map_err(wrong)?;
        let mark = |point: &Point| {
            let shape = Polygon::new(series.marker.corners((0, 0)), series.colour.filled());
            EmptyElement::at((point.x, point.top1)) + shape
        };
        chart.draw_series(points().map(mark)).map_err(wrong)?;
    }
    legend(area, all).and_then(|()| area.present()).map_err(wrong)
}

/// Pixels to the right of the chart, for the names.
const LEGEND: u32 = 290;

/// Shapes and names, beside the chart.
fn legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    all: &[Series],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    const LINE: i32 = 36;
    let left = (plot::SIZE.0 - LEGEND) as i32;
    for (index, series) in all.iter().enumerate() {
        let middle = 130 + LINE * index as i32;
        area.draw(&Polygon::new(series.marker.corners((left + 24, middle)), series.colour.filled()))?;
        let style = (plot::FONT, 22).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.clone(), (left + 46, middle), style))?;
    }
    Ok(())
}

impl Marker {
    /// The shape's corners in pixels, around a middle.
    fn corners(self, (x, y): (i32, i32)) -> Vec<(i32, i32)> {
        const CROSS: [(i32, i32); 12] = [
            (-3, -9),
            (3, -9),
            (3, -3),
            (9, -3),
            (9, 3),
            (3, 3),
            (3, 9),
            (-3, 9),
            (-3, 3),
            (-9, 3),
            (-9, -3),
            (-3, -3),
        ];
        const CIRCLE: [(i32, i32); 12] =
            [(8, 0), (7, 4), (4, 7), (0, 8), (-4, 7), (-7, 4), (-8, 0), (-7, -4), (-4, -7), (0, -8), (4, -7), (7, -4)];
        let corners: &[(i32, i32)] = match self {
            Marker::Circle => &CIRCLE,
            Marker::Square => &[(-7, -7), (7, -7), (7, 7), (-7, 7)],
            Marker::Triangle => &[(0, -10), (9, 7), (-9, 7)],
            Marker::Diamond => &[(0, -10), (10, 0), (0, 10), (-10, 0)],
            Marker::Cross => &CROSS,
        };
        corners.iter().map(|corner| (x + corner.0, y + corner.1)).collect()
    }
}

/// Cost from 0, because its ratios matter; accuracy around the points, but a network that fails does not press the others
/// together: nothing far below the best is shown.
fn ranges(all: &[Series]) -> (Range<f64>, Range<f64>) {
    /// Points below the best accuracy that the picture reaches down to at most.
    const DEPTH: f64 = 8.0;
    let points = || all.iter().flat_map(|series| &series.points);
    let widest = points().map(|point| point.x).fold(0.0, f64::max);
    let best = points().map(|point| point.top1).fold(f64::NEG_INFINITY, f64::max);
    let worst = points().map(|point| point.top1).fold(f64::INFINITY, f64::min).max(best - DEPTH);
    let room = ((best - worst) * 0.1).max(0.2);
    (0.0..widest * 1.08, worst - room..best + room)
}

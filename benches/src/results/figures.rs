//! The comparison's pictures: accuracy against instructions, and against bytes.
use super::{
    look::Look,
    summary::{Cell, Group, of_kind},
};
use crate::{
    error::Error,
    experiment::plan::{self, Kind, PrunedRate},
    files,
    plot::{self, CostAxis, Frame, INK},
};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::{ops::Range, path::Path};

/// The points of a row of the comparison, sparsest first.
struct Series {
    name: String,
    look: Look,
    points: Vec<Point>,
}

/// Accuracy with its spread over the seeds.
struct Point {
    cost: f64,
    top1: f64,
    deviation: f64,
}

/// Accuracy against Cortex-M7 instructions, or against host time where nothing was counted: `name.svg` and `name.png`. `of` tells
/// what was trained on what.
///
/// # Errors
/// A file that cannot be written or drawn.
pub fn accuracy_latency(folder: &Path, groups: &[Group<'_>], of: &str) -> Result<(), Error> {
    let counted = groups.iter().any(|group| group.cells.iter().any(|cell| cell.instructions().is_some()));
    let cost = |_: Kind, _: &Group<'_>, cell: &Cell<'_>| {
        if counted { cell.instructions().map(|count| count / 1e6) } else { cell.host_ms() }
    };
    let x_desc = if counted {
        "million Cortex-M7 instructions an image, logarithmic"
    } else {
        "host milliseconds an image, logarithmic"
    };
    let title = format!("Accuracy against the work of an image: {of}");
    draw(folder, "accuracy-latency", [&title, x_desc], &series(groups, cost))
}

/// Accuracy against the bytes that a device needs to have this level and all sparser ones.
///
/// # Errors
/// A file that cannot be written or drawn.
pub fn accuracy_storage(folder: &Path, groups: &[Group<'_>], of: &str) -> Result<(), Error> {
    let bytes = |kind: Kind, group: &Group<'_>, cell: &Cell<'_>| {
        let prefix = |cell: &Cell<'_>| cell.mean(|row| row.prefix_bytes as f64);
        let whole = match kind {
            // A file of its own for each level.
            Kind::StandAlone(_) => {
                group.cells.iter().filter(|other| other.sparsity >= cell.sparsity).map(prefix).sum::<f64>()
            }
            _ => prefix(cell),
        };
        Some(whole / 1e3)
    };
    let title = format!("Accuracy against the bytes of this level and the sparser ones: {of}");
    draw(folder, "accuracy-storage", [&title, "kilobytes, logarithmic"], &series(groups, bytes))
}

/// One curve a row of the comparison.
fn series(groups: &[Group<'_>], cost: impl Fn(Kind, &Group<'_>, &Cell<'_>) -> Option<f64>) -> Vec<Series> {
    let one = |kind: Kind| {
        let group = of_kind(groups, kind)?;
        let point = |cell: &Cell<'_>| {
            let deviation = cell.deviation(|row| row.top1_int8).unwrap_or(0.0);
            let cost = cost(kind, group, cell).filter(|&cost| cost > 0.0)?;
            Some(Point { cost, top1: cell.top1(), deviation })
        };
        let points: Vec<Point> = group.cells.iter().filter_map(point).collect();
        (!points.is_empty()).then(|| Series { name: name(kind, group), look: Look::of(kind), points })
    };
    plan::all().filter(|&kind| is_drawn(groups, kind)).filter_map(one).collect()
}

/// Not what is pruned and not recalibrated, hardly better than chance, nor what is pruned at a rate that serves no level better
/// than the other.
fn is_drawn(groups: &[Group<'_>], kind: Kind) -> bool {
    let Kind::Pruned { dense, rate, recalibrated } = kind else { return true };
    let rate = match rate {
        PrunedRate::OfLevels => PrunedRate::OfTrained,
        PrunedRate::OfTrained => PrunedRate::OfLevels,
    };
    let [own, other] = [kind, Kind::Pruned { dense, rate, recalibrated }].map(|kind| of_kind(groups, kind));
    let is_better = own.zip(other).is_none_or(|(own, other)| {
        own.cells.iter().any(|cell| other.at(cell.sparsity).is_none_or(|other| cell.top1() > other.top1()))
    });
    recalibrated && is_better
}

/// Short enough for the legend.
fn name(kind: Kind, group: &Group<'_>) -> String {
    match kind {
        Kind::Pruned { dense, rate, .. } => {
            let of = if dense { "pruned dense" } else { "pruned stand-alone" };
            of.to_owned() + if rate == PrunedRate::OfTrained { ", own rate" } else { "" }
        }
        Kind::Slimmable { joint: true } | Kind::Dsnn { joint: true } => format!("{}, joint", kind.method().name()),
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

/// Where things are in the picture.
struct Space {
    /// Accuracies: what is below is noted in a strip under them.
    shown: Range<f64>,
    /// Where that strip ends, in the accuracies' scale; nothing is below: their own end.
    bottom: f64,
    /// Costs, as powers of 2.
    cost: Range<f64>,
}

fn chart<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    [title, x_desc]: [&str; 2],
    all: &[Series],
) -> Result<(), String> {
    let wrong = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    let space = Space::around(all);
    let subtitle = "int8, from the file, each level; bars are ± one standard deviation over the seeds".to_owned()
        + if space.bottom < space.shown.start { "; grey strip: below the scale" } else { "" };
    let label = |power: &f64| format!("{}", (power.exp2() * 1e3).round() / 1e3);
    let axis = CostAxis { range: space.cost.clone(), ticks: space.ticks(), label: &label };
    let frame = Frame { title, subtitle: &subtitle, x_desc, margin: LEGEND, floor: space.shown.start };
    let chart = frame.draw(area, axis, space.bottom..space.shown.end)?;
    let place = |cost: f64, top1: f64| chart.backend_coord(&(cost.log2(), top1));
    if space.bottom < space.shown.start {
        let corners = [(space.cost.start, space.shown.start), (space.cost.end, space.bottom)];
        let strip = corners.map(|corner| chart.backend_coord(&corner));
        area.draw(&Rectangle::new(strip, STRIP.filled())).map_err(wrong)?;
    }
    // What the comparison is about lies over the others.
    let upwards = || all.iter().rev();
    for Series { look, points, .. } in upwards() {
        for point in points.iter().filter(|point| space.shows(point)) {
            let ends = [-1.0, 1.0].map(|side| (point.top1 + side * point.deviation).max(space.shown.start));
            look.bar(area, ends.map(|end| place(point.cost, end))).map_err(wrong)?;
        }
    }
    for Series { look, points, .. } in upwards() {
        for pair in points.windows(2) {
            if let Some(ends) = space.visible([&pair[0], &pair[1]]) {
                look.line(area, ends.map(|(cost, top1)| place(cost, top1))).map_err(wrong)?;
            }
        }
    }
    for Series { look, points, .. } in upwards() {
        for point in points.iter().filter(|point| space.shows(point)) {
            look.mark(area, place(point.cost, point.top1)).map_err(wrong)?;
        }
    }
    notes(area, all, &space, place).map_err(wrong)?;
    legend(area, all).and_then(|()| area.present()).map_err(wrong)
}

/// Pixels of a note, and how near to each other are points whose notes stand over each other.
const NOTE: i32 = 26;
const NOTE_WIDTH: i32 = 76;
/// Behind the notes.
const STRIP: RGBColor = RGBColor(240, 240, 240);

/// Points below the scale, in the strip under it: shape and accuracy, the lowest one lowest.
fn notes<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    all: &[Series],
    space: &Space,
    place: impl Fn(f64, f64) -> (i32, i32),
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let mut below: Vec<(&Look, &Point)> = Vec::new();
    for Series { look, points, .. } in all {
        below.extend(points.iter().filter(|point| !space.shows(point)).map(|point| (look, point)));
    }
    below.sort_by(|(_, a), (_, b)| a.top1.total_cmp(&b.top1));
    let mut noted: Vec<(i32, i32)> = Vec::new();
    for (look, point) in below {
        let (x, border) = place(point.cost, space.bottom);
        let under = noted.iter().filter(|(other, _)| (other - x).abs() < NOTE_WIDTH).map(|&(_, y)| y).min();
        let y = under.unwrap_or(border + NOTE / 2 - 4) - NOTE;
        look.mark(area, (x, y))?;
        let style = (plot::FONT, 20).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(format!("{:.1}", point.top1), (x + 14, y), style))?;
        noted.push((x, y));
    }
    Ok(())
}

/// Pixels to the right of the chart, for the names.
const LEGEND: u32 = 320;

/// Lines, shapes and names, beside the chart.
fn legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    all: &[Series],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    const LINE: i32 = 36;
    let left = (plot::SIZE.0 - LEGEND) as i32;
    for (index, series) in all.iter().enumerate() {
        let middle = 130 + LINE * index as i32;
        if series.points.len() > 1 {
            series.look.line(area, [(left + 16, middle), (left + 72, middle)])?;
        }
        series.look.mark(area, (left + 44, middle))?;
        let style = (plot::FONT, 22).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.clone(), (left + 84, middle), style))?;
    }
    Ok(())
}

impl Space {
    /// Costs on a scale of ratios, as far as there are points. Accuracies as far down as half of the points and as much again
    /// as these are from the best: networks that fail do not press the others together.
    fn around(all: &[Series]) -> Space {
        /// Of the distance from the best point to the one in the middle.
        const DEPTH: f64 = 2.5;
        /// Of the widths that the points take.
        const ROOM: f64 = 0.06;
        let points = || all.iter().flat_map(|series| &series.points);
        let span = |values: &[f64]| values.first().copied().unwrap_or(0.0)..values.last().copied().unwrap_or(0.0);
        let sorted = |value: fn(&Point) -> f64| {
            let mut values: Vec<f64> = points().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let top1 = sorted(|point| point.top1);
        let Range { start: worst, end: best } = span(&top1);
        let middle = top1.get(top1.len() / 2).copied().unwrap_or(best);
        let least = worst.max(best - DEPTH * (best - middle).max(0.1));
        let highest = points().map(|point| point.top1 + point.deviation).fold(best, f64::max);
        let room = ((highest - least) * ROOM).max(0.1);
        let cost = span(&sorted(|point| point.cost.log2()));
        let side = ((cost.end - cost.start) * ROOM).max(0.1);
        let (shown, cost) = (least - room..highest + room, cost.start - side..cost.end + side);
        let below: Vec<f64> =
            points().filter(|point| point.top1 < shown.start).map(|point| point.cost.log2()).collect();
        // As many notes over each other as there are near to one of them.
        let pixels = (cost.end - cost.start) / f64::from(plot::SIZE.0 - LEGEND - 110);
        let near =
            |place: f64| below.iter().filter(|other| (*other - place).abs() < f64::from(NOTE_WIDTH) * pixels).count();
        let lines = below.iter().map(|&place| near(place)).max();
        let strip = lines.map_or(0.0, |lines| f64::from(NOTE) * lines as f64 + 6.0) / f64::from(plot::SIZE.1 - 195);
        let bottom = shown.end - (shown.end - shown.start) / (1.0 - strip.min(0.5));
        Space { shown, bottom, cost }
    }

    fn shows(&self, point: &Point) -> bool {
        point.top1 >= self.shown.start
    }

    /// What is in the picture of a straight line between two points: drawn where they are not, points below would be taken
    /// for results.
    fn visible(&self, [a, b]: [&Point; 2]) -> Option<[(f64, f64); 2]> {
        let ends = |point: &Point, other: &Point| {
            if self.shows(point) {
                return (point.cost, point.top1);
            }
            let share = (self.shown.start - point.top1) / (other.top1 - point.top1);
            (point.cost * (other.cost / point.cost).powf(share), self.shown.start)
        };
        (self.shows(a) || self.shows(b)).then(|| [ends(a, b), ends(b, a)])
    }

    /// Powers of 2 that are round numbers; few enough that their labels stand apart.
    fn ticks(&self) -> Vec<f64> {
        const STEPS: [&[f64]; 3] = [&[1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0], &[1.0, 2.0, 5.0], &[1.0]];
        const MOST: usize = 14;
        const DECADES: Range<i32> = -9..12;
        let of = |steps: &[f64]| -> Vec<f64> {
            let decades = DECADES.flat_map(|decade| steps.iter().map(move |step| (step * 10f64.powi(decade)).log2()));
            decades.filter(|tick| self.cost.contains(tick)).collect()
        };
        STEPS.map(of).into_iter().find(|ticks| ticks.len() <= MOST).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::{
            record::{Record, Row},
            settings::{Settings, Suite},
        },
        results::summary::groups,
    };

    fn points(points: &[(f64, f64)]) -> Vec<Point> {
        points.iter().map(|&(cost, top1)| Point { cost, top1, deviation: 0.0 }).collect()
    }

    #[test]
    fn a_network_that_fails_is_noted_at_the_border_and_its_line_ends_there() {
        let all = [points(&[(1.0, 90.0), (2.0, 91.0), (4.0, 92.0)]), points(&[(1.0, 10.0), (4.0, 91.5)])];
        let look = Look::of(Kind::Nested);
        let all = all.map(|points| Series { name: String::new(), look, points });
        let space = Space::around(&all);
        assert!((88.0..90.0).contains(&space.shown.start) && space.shown.end > 92.0, "{:?}", space.shown);
        assert!(all[0].points.iter().all(|point| space.shows(point)) && !space.shows(&all[1].points[0]));
        let [(cost, top1), end] = space.visible([&all[1].points[0], &all[1].points[1]]).unwrap();
        assert_eq!((top1, end), (space.shown.start, (4.0, 91.5)));
        // On a scale of ratios the line is straight.
        let share = (cost.log2() - 0.0) / 2.0;
        assert!((10.0 + share * 81.5 - top1).abs() < 1e-9);
        let below = points(&[(1.0, 10.0), (2.0, 20.0)]);
        assert_eq!(space.visible([&below[0], &below[1]]), None);
    }

    #[test]
    fn of_two_rates_of_what_is_pruned_the_one_that_is_never_better_is_not_drawn() {
        let [of_levels, own, ..] = plan::RECALIBRATED;
        let drawn = |top1: [[f64; 2]; 2]| {
            let mut rows = Vec::new();
            for (kind, top1) in [of_levels, own].into_iter().zip(top1) {
                let variant = kind.variant().map(str::to_owned);
                let settings = Settings { method: kind.method(), variant, ..Settings::example() };
                rows.extend([90.0, 70.0].into_iter().zip(top1).map(|(sparsity, top1_int8)| {
                    let m7_instructions = Some(1);
                    Row { sparsity, top1_int8, m7_instructions, ..Row::example(&settings, "run") }
                }));
            }
            let record = Record { rows, ..Record::default() };
            let drawn = series(&groups(&record, Suite::Full), |_, _, _| Some(1.0));
            drawn.into_iter().map(|series| series.name).collect::<Vec<_>>()
        };
        assert_eq!(drawn([[80.0, 80.0], [80.0, 79.0]]), ["pruned stand-alone"]);
        assert_eq!(drawn([[80.0, 80.0], [70.0, 81.0]]), ["pruned stand-alone", "pruned stand-alone, own rate"]);
    }

    #[test]
    fn ticks_are_round_numbers_within_the_axis_and_points_of_one_cost_have_an_axis() {
        let of = |values: &[(f64, f64)]| {
            let look = Look::of(Kind::Nested);
            Space::around(&[Series { name: String::new(), look, points: points(values) }])
        };
        let ticks = |space: Space| space.ticks().iter().map(|tick| tick.exp2()).collect::<Vec<_>>();
        let near = ticks(of(&[(0.9, 90.0), (3.2, 91.0)]));
        let wanted = [1.0, 1.25, 1.5, 2.0, 2.5, 3.0];
        assert!(near.len() == 6 && near.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{near:?}");
        assert!((2..15).contains(&ticks(of(&[(1e-3, 90.0), (1e4, 91.0)])).len()));
        let one = of(&[(2.0, 50.0)]);
        assert!(one.cost.contains(&1.0) && one.shown.contains(&50.0) && one.ticks().len() < 15);
    }
}

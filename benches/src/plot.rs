//! Pictures. Fonts come with the program, so that they look the same everywhere and need nothing installed.
use crate::{
    error::Error,
    files,
    report::{Entry, Report},
};
use plotters::{
    coord::{
        Shift,
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
        types::RangedCoordf64,
    },
    prelude::*,
    style::{
        FontStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};
use std::{ops::Range, path::Path, sync::Once};

pub const FONT: &str = "sans-serif";
pub const SIZE: (u32, u32) = (1280, 800);
/// Colours that people who cannot tell red from green tell apart (Okabe and Ito), and greys for what is not data.
const NESTED: RGBColor = RGBColor(0, 114, 178);
const DENSE: RGBColor = RGBColor(213, 94, 0);
pub const INK: RGBColor = RGBColor(40, 40, 40);
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// What all pictures have around their points.
pub struct Frame<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub x_desc: &'a str,
    /// Pixels left free to the right.
    pub margin: u32,
    /// Accuracies below it have no label.
    pub floor: f64,
}

/// A chart of accuracy against a cost.
pub type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Ticked, RangedCoordf64>>;

/// The axis of the cost.
pub struct CostAxis<'a> {
    pub range: Range<f64>,
    /// Where it has a label and a line.
    pub ticks: Vec<f64>,
    pub label: &'a dyn Fn(&f64) -> String,
}

/// An axis whose labels and lines are given.
pub struct Ticked {
    inner: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.inner.range()
    }
}

impl Frame<'_> {
    /// Titles, grid and axes.
    pub fn draw<'a, B: DrawingBackend>(
        &self,
        area: &'a DrawingArea<B, Shift>,
        cost: CostAxis<'_>,
        accuracy: Range<f64>,
    ) -> Result<Chart<'a, B>, String> {
        let wrong = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
        let text = |size: i32| (FONT, size).into_font().color(&INK);
        area.fill(&WHITE).map_err(wrong)?;
        area.draw(&Text::new(self.title, (40, 22), text(32))).map_err(wrong)?;
        area.draw(&Text::new(self.subtitle, (40, 64), text(23))).map_err(wrong)?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(110)
            .margin_right(self.margin)
            .margin_left(20)
            .margin_bottom(15)
            .x_label_area_size(70)
            .y_label_area_size(90)
            .build_cartesian_2d(Ticked { inner: cost.range.into(), ticks: cost.ticks }, accuracy)
            .map_err(wrong)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(text(22))
            .axis_desc_style(text(24))
            .x_desc(self.x_desc)
            .y_desc("top-1 accuracy, per cent")
            .y_labels(8)
            .x_label_formatter(cost.label)
            .y_label_formatter(&|&top1| if top1 < self.floor { String::new() } else { format!("{top1:.1}") })
            .draw()
            .map_err(wrong)?;
        Ok(chart)
    }
}

/// Accuracy against time an image: the levels of the nested network as a line, the dense network as a point.
pub fn accuracy_latency(path: &Path, report: &Report) -> Result<(), Error> {
    register_fonts();
    files::replace(path, |temporary| {
        let area = BitMapBackend::new(temporary, SIZE).into_drawing_area();
        draw(&area, report).map_err(|problem| Error::Picture { path: path.to_owned(), problem })
    })
}

/// Makes the font known that all pictures use.
pub fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let registered = register_font(FONT, FontStyle::Normal, notosans::REGULAR_TTF);
        assert!(registered.is_ok(), "the font is part of the program");
    });
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, report: &Report) -> Result<(), String> {
    let subtitle = format!("{}, {} blocks; {}; int8, one host thread", report.network, report.block, report.dataset);
    let title = "Accuracy against time, one network at each of its levels";
    let frame =
        Frame { title, subtitle: &subtitle, x_desc: "milliseconds an image", margin: 40, floor: f64::NEG_INFINITY };
    let (time, accuracy) = ranges(report);
    let ticks = RangedCoordf64::from(time.clone()).key_points(8);
    let time = CostAxis { range: time, ticks, label: &|time| format!("{time:.2}") };
    let mut chart = frame.draw(area, time, accuracy)?;
    points(&mut chart, report).map_err(|error| error.to_string())?;
    area.present().map_err(|error| error.to_string())
}

fn points<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    report: &Report,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let text = |size: i32| (FONT, size).into_font().color(&INK);
    let points = || report.levels.iter().map(|entry| (entry.host_ms, entry.top1_int8));
    chart.draw_series(LineSeries::new(points(), NESTED.stroke_width(3)))?;
    chart.draw_series(points().map(|point| Circle::new(point, 9, NESTED.filled())))?;
    let dense = (report.dense.host_ms, report.dense.top1_int8);
    chart.draw_series([TriangleMarker::new(dense, 13, DENSE.filled())])?;

    // Below the points: the line rises to the right, so there it meets no text.
    let label = |entry: &Entry, heading: &str, colour: &'static RGBColor| {
        let style = text(20).color(colour).pos(Pos::new(HPos::Center, VPos::Top));
        let lines = [heading.to_owned(), format!("{:.0} % sparse", entry.sparsity), kilobytes(entry.file_bytes)];
        let [first, second, third] = lines.map(|line| (line, style.clone()));
        EmptyElement::at((entry.host_ms, entry.top1_int8))
            + Text::new(first.0, (0, 16), first.1)
            + Text::new(second.0, (0, 39), second.1)
            + Text::new(third.0, (0, 62), third.1)
    };
    chart.draw_series(report.levels.iter().map(|entry| label(entry, &entry.name(), &NESTED)))?;
    chart.draw_series([label(&report.dense, "dense network", &DENSE)])?;
    Ok(())
}

fn kilobytes(bytes: usize) -> String {
    format!("{:.1} kB", bytes as f64 / 1000.0)
}

fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    values.fold(f64::INFINITY..f64::NEG_INFINITY, |range, value| range.start.min(value)..range.end.max(value))
}

/// The axes: time from 0, because its ratios matter; accuracy around the points, because its differences do.
fn ranges(report: &Report) -> (Range<f64>, Range<f64>) {
    let time = span(report.entries().map(|entry| entry.host_ms));
    let accuracy = span(report.entries().map(|entry| entry.top1_int8));
    let room = ((accuracy.end - accuracy.start) * 0.3).max(0.5);
    (0.0..time.end * 1.12, accuracy.start - room..(accuracy.end + room).min(100.0 + room / 4.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report;

    #[test]
    fn the_picture_is_a_png_that_shows_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        let draw = |report: &Report| {
            accuracy_latency(&path, report).unwrap();
            files::read(&path).unwrap()
        };
        let mut report = report::tests::sample();
        let bytes = draw(&report);
        assert!(bytes.starts_with(b"\x89PNG"));
        assert_eq!(draw(&report), bytes);
        report.levels[0].top1_int8 += 0.1;
        assert_ne!(draw(&report), bytes);
    }
}

//! The two figures.
use super::{
    SPARSITIES,
    record::{Row, Speed, TrainFile},
};
use crate::{
    error::Error,
    files,
    plot::{FONT, GRID, INK, SIZE, register_fonts},
};
use plotters::prelude::*;
use std::path::Path;

/// Okabe and Ito's colours, for lines and bars in this order.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];

/// Room to the right, for the names of the lines.
const MARGIN: u32 = 230;

fn text(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

fn picture(path: &Path, draw: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), Error> {
    register_fonts();
    files::replace(path, |temporary| {
        draw(temporary).map_err(|problem| Error::Picture { path: path.to_owned(), problem })
    })
}

/// Layer L on one thread: our times as a line, other engines' as level lines, for zeros change nothing there.
pub fn time_against_sparsity(path: &Path, rows: &[Row]) -> Result<(), Error> {
    let times = |engine: &str| -> Vec<(f64, f64)> {
        let of = |&sparsity: &usize| {
            let is =
                |row: &&Row| row.layer == "L" && row.threads == 1 && row.engine == engine && row.sparsity == sparsity;
            rows.iter().find(is).map(|row| (sparsity as f64, row.ms))
        };
        let mut points: Vec<_> = SPARSITIES.iter().filter_map(of).collect();
        if let [(_, ms)] = points[..] {
            points = vec![(0.0, ms), (95.0, ms)];
        }
        points
    };
    let engines = ["ours", "ours-dense", "onnxruntime", "rten", "tract", "ours-portable"];
    let lines: Vec<_> = engines.iter().zip(COLOURS).map(|(engine, colour)| (*engine, colour, times(engine))).collect();
    picture(path, |temporary| draw_lines(temporary, &lines).map_err(|error| error.to_string()))
}

type Line = (&'static str, RGBColor, Vec<(f64, f64)>);

fn draw_lines(path: &Path, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new("Time against sparsity: 3×3, 56×56×64 → 64, one thread", (40, 22), text(32)))?;
    let all = lines.iter().flat_map(|(.., points)| points.iter().map(|(_, ms)| *ms));
    let (least, most) = all.fold((0.1f64, 1.0f64), |(least, most), ms| (least.min(ms), most.max(ms)));
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .margin_top(80)
        .margin_right(MARGIN)
        .x_label_area_size(70)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..100.0, (least / 1.3..most * 1.3).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(22))
        .axis_desc_style(text(24))
        .x_desc("zeros among the weights, per cent")
        .y_desc("milliseconds (each step doubles the space of its factor)")
        .y_label_formatter(&|ms| format!("{ms:.2}"))
        .draw()?;
    for (name, colour, points) in lines {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 5, colour.filled())))?;
        if let Some(last) = points.last() {
            let label = EmptyElement::at(*last) + Text::new(*name, (70, -10), text(22).color(colour));
            chart.draw_series([label])?;
        }
    }
    area.present()?;
    Ok(())
}

/// Images a second of each engine, a group of bars a width; two threads.
pub fn training(path: &Path, train: &TrainFile) -> Result<(), Error> {
    let threads = train.rows.iter().map(|row| row.threads).max().unwrap_or(1);
    let rows: Vec<&Speed> = train.rows.iter().filter(|row| row.threads == threads).collect();
    picture(path, |temporary| draw_bars(temporary, &rows, threads).map_err(|error| error.to_string()))
}

fn draw_bars(path: &Path, rows: &[&Speed], threads: usize) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!("Training throughput: ResNet-8, batch 64, {threads} threads");
    area.draw(&Text::new(title, (40, 22), text(32)))?;
    let most = rows.iter().map(|row| row.images_per_second).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .margin(20)
        .margin_top(80)
        .x_label_area_size(110)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..rows.len() as f64, 0.0..most * 1.12)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text(22))
        .axis_desc_style(text(24))
        .y_desc("images a second")
        .y_label_formatter(&|speed| format!("{speed:.0}"))
        .draw()?;
    for (index, row) in rows.iter().enumerate() {
        let at = index as f64;
        let colour = COLOURS[if row.width < 1.0 { 1 } else { 0 }];
        let bar = Rectangle::new([(at + 0.15, 0.0), (at + 0.85, row.images_per_second)], colour.filled());
        chart.draw_series([bar])?;
        let label = |height, offset, words: String| {
            EmptyElement::at((at + 0.15, height)) + Text::new(words, (0, offset), text(20))
        };
        chart.draw_series([label(row.images_per_second, -24, format!("{:.0}", row.images_per_second))])?;
        chart.draw_series([label(0.0, 12, row.engine.clone()), label(0.0, 38, format!("width {}", row.width))])?;
    }
    area.present()?;
    Ok(())
}

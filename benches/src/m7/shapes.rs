//! Shapes that the reference layers leave out: none may fall off a cliff.
use super::{Anchors, Firmware, Layer, single};
use crate::{
    random,
    table::{Table, grouped},
};
use nested_csr::{Block, Level, Operation, Padding, Profile, TensorShape, Weights, Window};
use nested_mask::Ladder;
use serde::Serialize;

/// A sparse layer, and the reference layer whose instructions it is held against.
struct Shape {
    input: [usize; 3],
    window: Window,
    rows: usize,
    nearest: &'static str,
    /// Why it may take more times as many than the goal, beside the outputs that nobody needs.
    why: &'static str,
}

const fn shape(input: [usize; 3], window: Window, rows: usize, nearest: &'static str, why: &'static str) -> Shape {
    Shape { input, window, rows, nearest, why }
}

const THREE: Window = Window::square(3, 1, 1);
const STRIDE_TWO: Window = Window::square(3, 2, 1);
const FIVE: Window = Window::square(5, 1, 2);
const ONE: Window = Window::square(1, 1, 0);
const LINE: Window = Window { kernel: [1, 5], stride: 1, padding: Padding { top: 0, left: 2, bottom: 0, right: 2 } };

const SHORT_ROWS: &str = "27 weights a row at most: packing, decoding and requantisation are spread over few";
const FEW_PIXELS: &str = "few outputs to spread packing and decoding over";
const REST: &str = "no multiple of 4 pixels wide: a line's last four pixels are packed over some of the four before";

/// Height, width and channels of the input.
const SHAPES: [Shape; 18] = [
    shape([16, 16, 32], FIVE, 32, "C", ""),
    shape([8, 8, 16], FIVE, 32, "E", ""),
    shape([31, 33, 16], THREE, 16, "A", REST),
    shape([15, 15, 32], THREE, 32, "C", REST),
    shape([17, 13, 32], THREE, 32, "C", REST),
    shape([7, 7, 64], THREE, 64, "E", REST),
    shape([5, 3, 64], THREE, 64, "E", FEW_PIXELS),
    shape([2, 2, 64], THREE, 64, "E", FEW_PIXELS),
    shape([31, 31, 16], STRIDE_TWO, 32, "B", REST),
    shape([15, 15, 32], STRIDE_TWO, 64, "D", REST),
    shape([32, 32, 3], THREE, 16, "A", SHORT_ROWS),
    shape([8, 8, 96], THREE, 96, "E", ""),
    shape([8, 8, 96], ONE, 96, "G", ""),
    shape([7, 7, 64], ONE, 64, "F", FEW_PIXELS),
    shape([3, 5, 256], ONE, 256, "H", FEW_PIXELS),
    shape([1, 1, 256], ONE, 256, "K2", ""),
    shape([1, 1, 64], THREE, 64, "K2", ""),
    shape([1, 64, 32], LINE, 32, "C", FEW_PIXELS),
];

/// One shape at one sparsity, with the preferred scratch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShapeRow {
    /// Height×width×channels → output channels, kernel, stride.
    pub shape: String,
    /// Per cent.
    pub sparsity: usize,
    pub instructions: u32,
    /// A multiplication with a non-zero weight.
    pub per_nonzero_mac: f64,
    pub nearest: &'static str,
    /// Over the nearest reference layer's.
    pub ratio: f64,
    pub scratch_bytes: usize,
    /// Given where the ratio is above the goal.
    pub why: Option<String>,
}

impl Shape {
    /// Outputs that the kernel computes over those that are needed: two lines (or halves of the map, for 1×1) at a time,
    /// four pixels of each.
    fn computed(&self) -> f64 {
        let [height, width, _] = self.input;
        let (lines, pixels) = self.window.output(height, width).unwrap_or((1, 1));
        let needed = (lines * pixels) as f64;
        if needed == 1.0 {
            return needed;
        }
        if self.window == ONE {
            return (lines * pixels).next_multiple_of(8) as f64 / needed;
        }
        (lines.next_multiple_of(2) * pixels.next_multiple_of(4)) as f64 / needed
    }

    fn reason(&self, ratio: f64, most: f64) -> Option<String> {
        let computed = self.computed();
        let outputs = (computed > 1.05)
            .then(|| format!("{computed:.2} outputs computed for each needed, in pairs of lines and fours of pixels"));
        let rest = (ratio > most * computed).then(|| self.why.to_owned()).filter(|why| !why.is_empty());
        let reasons: Vec<String> = outputs.into_iter().chain(rest).collect();
        let reasons = if reasons.is_empty() { "not explained".to_owned() } else { reasons.join("; ") };
        (ratio > most).then_some(reasons)
    }
}

/// Runs all shapes at 70 and 90 %; `layers` holds the reference layers.
///
/// # Errors
/// The firmware's, or an output that differs from the host's.
pub fn measure_shapes(
    firmware: &Firmware,
    anchors: &Anchors,
    layers: &[Layer],
) -> Result<Vec<ShapeRow>, crate::error::Error> {
    let mut rows = Vec::new();
    for shape in &SHAPES {
        for sparsity in [70, 90] {
            rows.extend(measure(firmware, shape, sparsity, layers, anchors.goals.most.shape)?);
        }
    }
    Ok(rows)
}

fn measure(
    firmware: &Firmware,
    shape: &Shape,
    sparsity: usize,
    layers: &[Layer],
    most: f64,
) -> Result<Option<ShapeRow>, crate::error::Error> {
    const SEED: u64 = 1;
    let [height, width, channels] = shape.input;
    let input = TensorShape { channels, height, width };
    let ladder = Ladder::new([sparsity as f64 / 100.0])?;
    let block = Block::OneByOne;
    let model = random::layer(input, shape.window, shape.rows, block, &ladder, Profile::Speed, SEED)?;
    let macs = nonzero_macs(&model)?;
    let nearest = layers.iter().find(|row| {
        row.layer == shape.nearest && row.block == "1x1" && row.sparsity == sparsity as f64 && !row.least_scratch
    });
    let counts = single::measure(firmware, model)?;
    let (Some(count), Some(nearest)) = (counts.iter().find(|count| !count.least_scratch), nearest) else {
        return Ok(None);
    };
    let per_nonzero_mac = f64::from(count.instructions) / macs as f64;
    let ratio = per_nonzero_mac / (nearest.per_dense_mac / (1.0 - sparsity as f64 / 100.0));
    let Window { kernel: [kernel_height, kernel_width], stride, .. } = shape.window;
    let name = format!("{height}x{width}x{channels} -> {}, {kernel_height}x{kernel_width} s{stride}", shape.rows);
    Ok(Some(ShapeRow {
        shape: name,
        sparsity,
        instructions: count.instructions,
        per_nonzero_mac,
        nearest: shape.nearest,
        ratio,
        scratch_bytes: count.scratch_bytes,
        why: shape.reason(ratio, most),
    }))
}

/// Multiplications with a non-zero weight; padding counts as pixels.
fn nonzero_macs(model: &nested_csr::Model<Vec<u8>>) -> Result<usize, nested_csr::FormatError> {
    let Some(node) = model.node(0) else { return Ok(0) };
    let stored = match node.operation {
        Operation::Convolution { weights: Weights::Sparse(matrix), .. } => matrix.stored(Level::FIRST)?,
        _ => 0,
    };
    Ok(stored * node.output.height * node.output.width)
}

/// Prints each shape beside its nearest reference layer.
pub fn print_shapes(anchors: &Anchors, rows: &[ShapeRow]) {
    let why = format!("why more than {}", anchors.goals.most.shape);
    let headings = [
        "shape",
        "sparsity %",
        "instructions",
        "a non-zero MAC",
        "nearest layer",
        "times its",
        "scratch B",
        why.as_str(),
    ];
    let mut table = Table::new(headings);
    for row in rows {
        table.row([
            row.shape.clone(),
            row.sparsity.to_string(),
            grouped(row.instructions.into()),
            format!("{:.2}", row.per_nonzero_mac),
            row.nearest.to_owned(),
            format!("{:.2}", row.ratio),
            grouped(row.scratch_bytes as u64),
            row.why.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
}

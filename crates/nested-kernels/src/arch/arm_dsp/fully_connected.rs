//! One output pixel: too little to amortise a table over, so rows are streamed past the input.
#[cfg(nested_kernels_backend = "dsp")]
use super::{Bounds, clamp};
use super::{
    byte_rows::{ByteRows, each_block},
    ops,
};
use crate::{Geometry, KernelError, Scratch, rows::RowSource};
use nested_csr::{Level, MatrixView, NodeParameters, Padding, Requantization, Sink, TensorShape};

/// Whether there is but one output pixel: the columns are then the window's pixels, and padding.
pub(super) fn has_one_pixel(geometry: &Geometry) -> bool {
    geometry.output.height * geometry.output.width == 1
}

/// Words for the window in the order of columns, where the input is not, for four activations in two words, and for each
/// row's sum.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let columns = columns(geometry);
    let fours = columns.div_ceil(4);
    let ordered = if is_ordered(geometry) { 0 } else { fours };
    let words = ordered + 2 * fours + geometry.output.channels;
    Scratch { minimum: words, preferred: words }
}

/// Whether the window is a single pixel of the only one there is.
fn is_ordered(geometry: &Geometry) -> bool {
    geometry.window.kernel == [1, 1]
        && geometry.window.padding == Padding::default()
        && geometry.input.height * geometry.input.width == 1
}

fn columns(geometry: &Geometry) -> usize {
    geometry.taps() * geometry.input.channels
}

/// Writes the window in the order of columns: by taps, then by channels.
fn order(geometry: &Geometry, input: &[i8], ordered: &mut [i8]) {
    let TensorShape { channels, height, width } = geometry.input;
    let [_, kernel_width] = geometry.window.kernel.map(usize::from);
    let [top, left] = [geometry.window.padding.top, geometry.window.padding.left].map(usize::from);
    let (mut y, mut x) = (0usize, 0usize);
    for cells in ordered.chunks_exact_mut(channels.max(1)) {
        let pixel = y.checked_sub(top).zip(x.checked_sub(left)).filter(|(y, x)| *y < height && *x < width);
        match pixel {
            Some((y, x)) => {
                let values = input.iter().skip(y * width + x).step_by((height * width).max(1));
                cells.iter_mut().zip(values).for_each(|(cell, value)| *cell = *value);
            }
            None => cells.fill(geometry.zero_point),
        }
        x += 1;
        if x == kernel_width {
            (y, x) = (y + 1, 0);
        }
    }
}

/// The scratch, cut up.
struct Parts<'s> {
    /// The window in the order of columns.
    ordered: &'s [i8],
    /// Activations 0 and 2, and 1 and 3, of each four.
    halves: &'s mut [[u32; 2]],
    sums: &'s mut [i32],
}

impl<'s> Parts<'s> {
    fn new(geometry: &Geometry, input: &'s [i8], scratch: &'s mut [u32]) -> Result<Self, KernelError> {
        let given = scratch.len();
        let too_short = || KernelError::ScratchTooShort { needed: self::scratch(geometry).minimum, given };
        Parts::cut(geometry, input, scratch).ok_or_else(too_short)
    }

    /// `None` when the scratch is too short.
    fn cut(geometry: &Geometry, input: &'s [i8], scratch: &'s mut [u32]) -> Option<Self> {
        let columns = columns(geometry);
        let fours = columns.div_ceil(4);
        let (halves, rest) = scratch.split_at_mut_checked(2 * fours)?;
        let (sums, rest) = rest.split_at_mut_checked(geometry.output.channels)?;
        let ordered = if is_ordered(geometry) {
            input
        } else {
            let ordered: &mut [i8] = bytemuck::cast_slice_mut(rest.get_mut(..fours)?);
            let ordered = ordered.get_mut(..columns)?;
            order(geometry, input, ordered);
            ordered
        };
        Some(Parts { ordered, halves: halves.as_chunks_mut::<2>().0, sums: bytemuck::cast_slice_mut(sums) })
    }

    /// What dense rows read.
    fn write_halves(&mut self) {
        let (fours, rest) = self.ordered.as_chunks::<4>();
        let mut last = [0; 4];
        last.iter_mut().zip(rest).for_each(|(cell, value)| *cell = *value);
        for (halves, four) in self.halves.iter_mut().zip(fours.iter().chain([&last])) {
            let word = u32::from_le_bytes(four.map(|value| value as u8));
            *halves = [ops::extended(word), ops::extended(word >> 8)];
        }
    }
}

/// Every output of sparse rows.
pub(super) fn sparse(
    matrix: &MatrixView<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let columns = matrix.shape().columns;
    let first = matrix.byte_ring(Level::FIRST)?;
    if let Some(ring) = &first
        && ring.weights.len() == geometry.output.channels * columns
    {
        // All weights are in the first ring: it is dense.
        return dense(bytemuck::cast_slice(ring.weights), parameters, geometry, input, output, scratch);
    }
    let parts = Parts::new(geometry, input, scratch)?;
    #[cfg(nested_kernels_backend = "dsp")]
    if rings::outputs(matrix, first, level, parameters, parts.ordered, parts.sums, output)? {
        clamp::clamp(output, Bounds::new(parameters));
        return Ok(());
    }
    match ByteRows::new(matrix, level)? {
        Some(rows) => add_up(rows, parts.ordered, parts.sums),
        None => add_up(matrix.rows(level)?, parts.ordered, parts.sums),
    }
    finish(parts.sums, parameters, output);
    Ok(())
}

/// Each row's sum.
fn add_up(mut rows: impl RowSource, ordered: &[i8], sums: &mut [i32]) {
    for slot in sums {
        let mut product = Product { ordered, sum: 0 };
        rows.next_row_into(&mut product);
        *slot = product.sum;
    }
}

/// A row's sum as its weights come.
struct Product<'a> {
    ordered: &'a [i8],
    sum: i32,
}

impl Sink for Product<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let value = self.ordered.get(column).copied().unwrap_or(0);
        self.sum = self.sum.wrapping_add(i32::from(weight) * i32::from(value));
    }

    #[inline(never)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let mut sum = self.sum;
        let taken = each_block(gaps, weights, self.ordered.as_chunks().0, |values, weights| {
            for (weight, value) in weights.iter().zip(values) {
                sum = sum.wrapping_add(i32::from(weight.cast_signed()) * i32::from(*value));
            }
        });
        self.sum = sum;
        taken
    }
}

/// Every output of dense rows.
pub(super) fn dense(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let mut parts = Parts::new(geometry, input, scratch)?;
    parts.write_halves();
    let rest = parts.ordered.as_chunks::<4>().1;
    for (sum, row) in parts.sums.iter_mut().zip(weights.chunks_exact(columns(geometry).max(1))) {
        let (fours, last) = row.as_chunks::<4>();
        let tail = last.iter().zip(rest).map(|(weight, value)| i32::from(*weight) * i32::from(*value)).sum();
        *sum = dot::dense(fours, parts.halves, tail);
    }
    finish(parts.sums, parameters, output);
    Ok(())
}

/// From sums to outputs.
#[inline(never)]
fn finish(sums: &[i32], parameters: &NodeParameters<'_>, output: &mut [i8]) {
    let zero_point = i32::from(parameters.zero_point);
    let (low, high) = (i32::from(parameters.low), i32::from(parameters.high));
    let mut cells = output.iter_mut().zip(sums);
    parameters.rows.each(|Requantization { multiplier, bias }| {
        if let Some((cell, sum)) = cells.next() {
            let scaled = multiplier.apply(sum.wrapping_add(bias)).wrapping_add(zero_point);
            *cell = scaled.max(low).min(high) as i8;
        }
    });
}

#[cfg(nested_kernels_backend = "dsp")]
mod dot;
#[cfg(nested_kernels_backend = "dsp")]
mod rings;

/// What the assembly does, in Rust.
#[cfg(not(nested_kernels_backend = "dsp"))]
mod dot {
    /// Adds the products of whole chunks of four to `sum`.
    pub(super) fn dense(weights: &[[i8; 4]], halves: &[[u32; 2]], sum: i32) -> i32 {
        let product = |weight: i8, half: u32| i32::from(weight) * i32::from(half as i16);
        weights.iter().zip(halves).fold(sum, |sum, (w, [even, odd])| {
            let four = [(w[0], *even), (w[1], *odd), (w[2], even >> 16), (w[3], odd >> 16)];
            four.into_iter().fold(sum, |sum, (weight, half)| sum.wrapping_add(product(weight, half)))
        })
    }
}

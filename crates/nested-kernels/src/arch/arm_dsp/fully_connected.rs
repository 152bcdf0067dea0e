//! One output pixel: too little to amortise a table over, so rows are streamed past the input.
use super::ops;
#[cfg(nested_kernels_backend = "dsp")]
use super::{Bounds, clamp};
use crate::{Geometry, KernelError, Scratch};
use nested_csr::{Level, MatrixView, NodeParameters, Padding, Requantization};

/// Whether the kernel is the whole map: one output pixel, no padding.
pub(super) fn is_it(geometry: &Geometry) -> bool {
    let [height, width] = geometry.window.kernel.map(usize::from);
    let whole = geometry.input.height == height && geometry.input.width == width;
    whole && geometry.window.padding == Padding::default()
}

/// Words for the input in the order of columns, where it is not, for four activations in two words, and for each row's sum.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let words = ordered_words(geometry) + 2 * geometry.input.len().div_ceil(4) + geometry.output.channels;
    Scratch { minimum: words, preferred: words }
}

/// One pixel is in the order of columns.
fn ordered_words(geometry: &Geometry) -> usize {
    if geometry.taps() == 1 { 0 } else { geometry.input.len().div_ceil(4) }
}

/// The scratch, cut up.
struct Parts<'s> {
    /// The input in the order of columns.
    ordered: &'s [i8],
    /// Activations 0 and 2, and 1 and 3, of each four.
    halves: &'s mut [[u32; 2]],
    sums: &'s mut [i32],
}

impl<'s> Parts<'s> {
    fn new(geometry: &Geometry, input: &'s [i8], scratch: &'s mut [u32]) -> Option<Self> {
        let (ordered, rest) = scratch.split_at_mut_checked(ordered_words(geometry))?;
        let (halves, rest) = rest.split_at_mut_checked(2 * input.len().div_ceil(4))?;
        let sums = bytemuck::cast_slice_mut(rest.get_mut(..geometry.output.channels)?);
        let pixels = geometry.taps();
        let ordered = if pixels == 1 {
            input
        } else {
            let ordered: &mut [i8] = bytemuck::cast_slice_mut(ordered);
            for (channel, plane) in input.chunks_exact(pixels.max(1)).enumerate() {
                let cells = ordered.iter_mut().skip(channel).step_by(geometry.input.channels.max(1));
                cells.zip(plane).for_each(|(cell, value)| *cell = *value);
            }
            ordered.get(..input.len())?
        };
        Some(Parts { ordered, halves: halves.as_chunks_mut::<2>().0, sums })
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
    if let Some(ring) = level.up_to().next().map(|first| matrix.byte_ring(first)).transpose()?.flatten()
        && ring.weights.len() == geometry.output.channels * columns
    {
        // All weights are in the first ring: it is dense.
        return dense(bytemuck::cast_slice(ring.weights), parameters, geometry, input, output, scratch);
    }
    let given = scratch.len();
    let too_short = KernelError::ScratchTooShort { needed: self::scratch(geometry).minimum, given };
    let parts = Parts::new(geometry, input, scratch).ok_or(too_short)?;
    #[cfg(nested_kernels_backend = "dsp")]
    if rings::outputs(matrix, level, parameters, parts.ordered, parts.sums, output)? {
        clamp::clamp(output, Bounds::new(parameters));
        return Ok(());
    }
    let mut rows = matrix.rows(level)?;
    for sum in parts.sums.iter_mut() {
        *sum = 0;
        rows.next_row(|column, weight| {
            let value = parts.ordered.get(column).copied().unwrap_or(0);
            *sum = sum.wrapping_add(i32::from(weight) * i32::from(value));
        });
    }
    finish(parts.sums, parameters, output);
    Ok(())
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
    let given = scratch.len();
    let too_short = KernelError::ScratchTooShort { needed: self::scratch(geometry).minimum, given };
    let mut parts = Parts::new(geometry, input, scratch).ok_or(too_short)?;
    parts.write_halves();
    let rest = parts.ordered.as_chunks::<4>().1;
    for (sum, row) in parts.sums.iter_mut().zip(weights.chunks_exact(input.len().max(1))) {
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
    let zero_point = i32::from(parameters.output.zero_point);
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

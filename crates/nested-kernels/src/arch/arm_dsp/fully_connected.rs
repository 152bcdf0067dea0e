//! One output pixel: too little to amortise a table over, so rows are streamed past the input.
use super::Bounds;
use crate::{Geometry, KernelError, Scratch, rows::RowSource};
use nested_csr::{Padding, Requantization, Sink};

/// Whether the kernel is the whole map: one output pixel, no padding.
pub(super) fn is_it(geometry: &Geometry) -> bool {
    let [height, width] = geometry.window.kernel.map(usize::from);
    let whole = geometry.input.height == height && geometry.input.width == width;
    whole && geometry.window.padding == Padding::default()
}

/// Words for the input in the order of columns, and for four activations in two words.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let chunks = geometry.input.len().div_ceil(4);
    Scratch { minimum: 3 * chunks, preferred: 3 * chunks }
}

/// Every row's output.
pub(super) fn run<R: RowSource>(
    mut rows: R,
    requantization: impl Fn(usize) -> Requantization,
    bounds: Bounds,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let needed = self::scratch(geometry).minimum;
    let too_short = KernelError::ScratchTooShort { needed, given: scratch.len() };
    let Some((ordered, halves)) = scratch.split_at_mut_checked(needed / 3) else { return Err(too_short) };
    let Some(halves) = halves.get_mut(..needed / 3 * 2) else { return Err(too_short) };
    let ordered: &mut [i8] = bytemuck::cast_slice_mut(ordered);
    let pixels = geometry.taps();
    for (channel, plane) in input.chunks_exact(pixels).enumerate() {
        let cells = ordered.iter_mut().skip(channel).step_by(geometry.input.channels);
        cells.zip(plane).for_each(|(cell, value)| *cell = *value);
    }
    let halves = halves.as_chunks_mut::<2>().0;
    for (halves, four) in halves.iter_mut().zip(ordered.as_chunks::<4>().0) {
        let four = four.map(|value| u32::from(i16::from(value) as u16));
        *halves = [four[0] | four[2] << 16, four[1] | four[3] << 16];
    }
    let ordered = ordered.get(..input.len()).unwrap_or_default();
    for (row, output) in output.iter_mut().enumerate() {
        let Requantization { multiplier, bias } = requantization(row);
        let mut sum = Sum { input: ordered, halves, sum: bias };
        if rows.next_row_into(&mut sum).is_none() {
            break;
        }
        let scaled = multiplier.apply(sum.sum).wrapping_add(bounds.zero_point.into());
        *output = scaled.max(bounds.low.into()).min(bounds.high.into()) as i8;
    }
    Ok(())
}

/// A row's dot product with the input.
struct Sum<'i> {
    /// In the order of columns.
    input: &'i [i8],
    /// Activations 0 and 2, and 1 and 3, of each four.
    halves: &'i [[u32; 2]],
    sum: i32,
}

impl Sink for Sum<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let value = self.input.get(column).copied().unwrap_or(0);
        self.sum = self.sum.wrapping_add(i32::from(weight) * i32::from(value));
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        let (fours, rest) = weights.as_chunks::<4>();
        self.sum = dot::dense(fours, self.halves, self.sum);
        let done = fours.len() * 4;
        rest.iter().enumerate().for_each(|(i, weight)| self.weight(done + i, *weight));
    }

    #[cfg(nested_kernels_backend = "dsp")]
    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        if WIDTH == 1 {
            return dot::sparse(gaps, weights.as_flattened(), self.input, &mut self.sum);
        }
        (0, 0)
    }
}

#[cfg(nested_kernels_backend = "dsp")]
mod dot;

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

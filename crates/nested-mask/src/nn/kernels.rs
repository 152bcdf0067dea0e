//! The inner loops. Every slice is of vectors, one lane an image; positions are counted in vectors.
//!
//! A convolution is a sweep over output pixels: each pixel's sum walks a [`Table`] of constant offsets. So a pruned weight
//! costs nothing, stride and padding are only addresses, and the input gradient is the same sweep with another table.
mod gradient;
mod table;

use super::vector::Scalar;
pub(crate) use gradient::weight_gradient;
use pulp::{Arch, Simd, WithSimd};
pub(crate) use table::{NOWHERE, TALL, Table};

/// Where a sweep reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// First pixel's base in the source.
    pub source: usize,
    /// From a source row to the next.
    pub source_row: usize,
    /// From a source pixel to the next.
    pub source_step: usize,
    /// First pixel in a destination plane.
    pub target: usize,
    /// From a destination row to the next.
    pub target_row: usize,
    /// From a destination pixel to the next.
    pub target_step: usize,
    /// From a destination plane (one a table row) to the next.
    pub target_plane: usize,
    /// Whether sums are added to what is there.
    pub accumulate: bool,
}

/// Runs a sweep over one group of images.
pub(crate) fn sweep<T: Scalar>(arch: Arch, sweep: Sweep, table: &Table<T>, source: &[T], target: &mut [T]) {
    arch.dispatch(SweepOp { sweep, table, source, target });
}

struct SweepOp<'a, T> {
    sweep: Sweep,
    table: &'a Table<T>,
    source: &'a [T],
    target: &'a mut [T],
}

/// Tables up to this size stay in the nearest cache while all rows of pixels are swept, so that the source is read once.
const NEAR: usize = 4096;

impl<T: Scalar> WithSimd for SweepOp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let source = T::vectors::<S>(self.source);
        let target = T::vectors_mut::<S>(self.target);
        match self.sweep.source_step {
            1 => sweep_rows::<T, S, 1>(simd, &self.sweep, self.table, source, target),
            2 => sweep_rows::<T, S, 2>(simd, &self.sweep, self.table, source, target),
            _ => sweep_rows::<T, S, 0>(simd, &self.sweep, self.table, source, target),
        }
    }
}

#[inline(always)]
fn sweep_rows<T: Scalar, S: Simd, const STEP: usize>(
    simd: S,
    sweep: &Sweep,
    table: &Table<T>,
    source: &[T::Vector<S>],
    target: &mut [T::Vector<S>],
) {
    let band = if table.weights.len() <= NEAR { 1 } else { sweep.height.max(1) };
    for top in (0..sweep.height).step_by(band) {
        let mut weights = &table.weights[..];
        for block in &table.blocks {
            let offsets = &table.offsets[block.start..block.end];
            let (own, rest) = weights.split_at(offsets.len() * block.height);
            weights = rest;
            for y in top..(top + band).min(sweep.height) {
                if block.height == TALL {
                    row::<T, S, STEP, TALL>(simd, sweep, offsets, own, block.row, y, source, target);
                } else {
                    row::<T, S, STEP, 1>(simd, sweep, offsets, own, block.row, y, source, target);
                }
            }
        }
    }
}

/// One row of pixels of one block, in pieces that fit the registers.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn row<T: Scalar, S: Simd, const STEP: usize, const R: usize>(
    simd: S,
    sweep: &Sweep,
    offsets: &[u32],
    weights: &[T],
    first: usize,
    y: usize,
    source: &[T::Vector<S>],
    target: &mut [T::Vector<S>],
) {
    let wide = S::REGISTER_COUNT >= 32;
    let mut x = 0;
    while x < sweep.width {
        let left = sweep.width - x;
        let piece = piece(
            left,
            if R == 1 {
                if wide { 14 } else { 8 }
            } else if wide {
                7
            } else {
                2
            },
        );
        let at = Place { first, x, y };
        match piece {
            14 => pixels::<T, S, STEP, R, 14>(simd, sweep, offsets, weights, at, source, target),
            8 => pixels::<T, S, STEP, R, 8>(simd, sweep, offsets, weights, at, source, target),
            7 => pixels::<T, S, STEP, R, 7>(simd, sweep, offsets, weights, at, source, target),
            4 => pixels::<T, S, STEP, R, 4>(simd, sweep, offsets, weights, at, source, target),
            2 => pixels::<T, S, STEP, R, 2>(simd, sweep, offsets, weights, at, source, target),
            _ => pixels::<T, S, STEP, R, 1>(simd, sweep, offsets, weights, at, source, target),
        }
        x += piece;
    }
}

/// Pixels of the next piece of a row: a size that divides what is left, or the greatest that fits.
#[inline(always)]
fn piece(left: usize, most: usize) -> usize {
    let sizes = [14, 8, 7, 4, 2, 1];
    let fits = |size: &usize| *size <= most && *size <= left;
    let whole = sizes.into_iter().filter(fits).find(|size| left.is_multiple_of(*size) && *size * 2 >= most);
    whole.or(sizes.into_iter().find(fits)).unwrap_or(1)
}

#[derive(Clone, Copy)]
struct Place {
    first: usize,
    x: usize,
    y: usize,
}

#[inline(always)]
fn pixels<T: Scalar, S: Simd, const STEP: usize, const R: usize, const P: usize>(
    simd: S,
    sweep: &Sweep,
    offsets: &[u32],
    weights: &[T],
    at: Place,
    source: &[T::Vector<S>],
    target: &mut [T::Vector<S>],
) {
    let step = if STEP == 0 { sweep.source_step } else { STEP };
    let base = sweep.source + at.y * sweep.source_row + at.x * step;
    let start = sweep.target + at.y * sweep.target_row + at.x * sweep.target_step;
    let mut sums = [[T::splat(simd, T::zero()); P]; R];
    if sweep.accumulate {
        for r in 0..R {
            for p in 0..P {
                sums[r][p] = target[start + (at.first + r) * sweep.target_plane + p * sweep.target_step];
            }
        }
    }
    let (weights, _) = weights.as_chunks::<R>();
    for (&offset, weight) in offsets.iter().zip(weights) {
        let from = base + offset as usize;
        let inputs = &source[from..from + (P - 1) * step + 1];
        let weight = weight.map(|w| T::splat(simd, w));
        for p in 0..P {
            let input = inputs[p * step];
            for r in 0..R {
                sums[r][p] = T::times_plus(simd, input, weight[r], sums[r][p]);
            }
        }
    }
    for r in 0..R {
        for p in 0..P {
            target[start + (at.first + r) * sweep.target_plane + p * sweep.target_step] = sums[r][p];
        }
    }
}

//! The gradient of the weights: the products of a sweep, summed over pixels and images instead of over weights.
use super::{Sweep, TALL, Table};
use crate::nn::vector::Scalar;
use pulp::{Arch, Simd, WithSimd};

/// Adds to `gradient`, one value a weight of the table, the sum over pixels and images of output gradient times input.
///
/// `sweep` is the forward one, with `target*` describing the output gradient.
pub(crate) fn weight_gradient<T: Scalar>(
    arch: Arch,
    sweep: Sweep,
    table: &Table<T>,
    source: &[T],
    output: &[T],
    gradient: &mut [T],
) {
    arch.dispatch(WeightGradientOp { sweep, table, source, output, gradient });
}

struct WeightGradientOp<'a, T> {
    sweep: Sweep,
    table: &'a Table<T>,
    source: &'a [T],
    output: &'a [T],
    gradient: &'a mut [T],
}

impl<T: Scalar> WithSimd for WeightGradientOp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let source = T::vectors::<S>(self.source);
        let output = T::vectors::<S>(self.output);
        match self.sweep.source_step {
            1 => gradient_blocks::<T, S, 1>(simd, &self.sweep, self.table, source, output, self.gradient),
            2 => gradient_blocks::<T, S, 2>(simd, &self.sweep, self.table, source, output, self.gradient),
            _ => gradient_blocks::<T, S, 0>(simd, &self.sweep, self.table, source, output, self.gradient),
        }
    }
}

#[inline(always)]
fn gradient_blocks<T: Scalar, S: Simd, const STEP: usize>(
    simd: S,
    sweep: &Sweep,
    table: &Table<T>,
    source: &[T::Vector<S>],
    output: &[T::Vector<S>],
    mut gradient: &mut [T],
) {
    let wide = S::REGISTER_COUNT >= 32;
    for block in &table.blocks {
        let mut offsets = &table.offsets[block.start..block.end];
        while !offsets.is_empty() {
            let most = if block.height == TALL {
                if wide { 6 } else { 2 }
            } else if wide {
                12
            } else {
                6
            };
            let count = [12, 6, 2, 1].into_iter().find(|&n| n <= most && n <= offsets.len()).unwrap_or(1);
            let (own, rest) = offsets.split_at(count);
            let (into, after) = std::mem::take(&mut gradient).split_at_mut(count * block.height);
            match (block.height, count) {
                (TALL, 6) => columns::<T, S, STEP, TALL, 6>(simd, sweep, own, block.row, source, output, into),
                (TALL, 2) => columns::<T, S, STEP, TALL, 2>(simd, sweep, own, block.row, source, output, into),
                (TALL, _) => columns::<T, S, STEP, TALL, 1>(simd, sweep, own, block.row, source, output, into),
                (_, 12) => columns::<T, S, STEP, 1, 12>(simd, sweep, own, block.row, source, output, into),
                (_, 6) => columns::<T, S, STEP, 1, 6>(simd, sweep, own, block.row, source, output, into),
                (_, 2) => columns::<T, S, STEP, 1, 2>(simd, sweep, own, block.row, source, output, into),
                (_, _) => columns::<T, S, STEP, 1, 1>(simd, sweep, own, block.row, source, output, into),
            }
            gradient = after;
            offsets = rest;
        }
    }
}

#[inline(always)]
fn columns<T: Scalar, S: Simd, const STEP: usize, const R: usize, const K: usize>(
    simd: S,
    sweep: &Sweep,
    offsets: &[u32],
    first: usize,
    source: &[T::Vector<S>],
    output: &[T::Vector<S>],
    gradient: &mut [T],
) {
    let step = if STEP == 0 { sweep.source_step } else { STEP };
    let span = (sweep.width - 1) * step + 1;
    let mut sums = [[T::splat(simd, T::zero()); K]; R];
    for y in 0..sweep.height {
        let base = sweep.source + y * sweep.source_row;
        let inputs: [&[T::Vector<S>]; K] =
            std::array::from_fn(|k| &source[base + offsets[k] as usize..base + offsets[k] as usize + span]);
        let outputs: [&[T::Vector<S>]; R] = std::array::from_fn(|r| {
            let start = sweep.target + (first + r) * sweep.target_plane + y * sweep.target_row;
            &output[start..start + sweep.width]
        });
        for x in 0..sweep.width {
            let output: [T::Vector<S>; R] = std::array::from_fn(|r| outputs[r][x]);
            for k in 0..K {
                let input = inputs[k][x * step];
                for r in 0..R {
                    sums[r][k] = T::times_plus(simd, input, output[r], sums[r][k]);
                }
            }
        }
    }
    for k in 0..K {
        for r in 0..R {
            gradient[k * R + r] += T::sum_lanes(simd, sums[r][k]);
        }
    }
}

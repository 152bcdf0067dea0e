//! Depthwise 3×3 on maps of a few pixels, narrower than a block: the walk would compute more outputs than there are and copy
//! them from a strip. Here a channel is copied into its padding and each output is summed alone.
use super::Bounds;
use crate::{Geometry, KernelError, Scratch, requant::Finish};
use nested_csr::NodeParameters;

/// Outputs of a line that a block of the walk makes.
const BLOCK: usize = 4;
/// Lines of outputs up to which the copy is small.
const LINES: usize = 8;

/// Whether these sums are made here.
pub(super) fn is_it(geometry: &Geometry) -> bool {
    let output = geometry.output;
    geometry.window.kernel == [3, 3] && output.width < BLOCK && output.height <= LINES
}

/// What is read of a padded channel, rows and columns.
fn padded(geometry: &Geometry) -> [usize; 2] {
    let stride = usize::from(geometry.window.stride);
    [geometry.output.height, geometry.output.width].map(|size| (size - 1) * stride + 3)
}

/// Words of the padded channel.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let [rows, columns] = padded(geometry);
    Scratch { minimum: rows * columns, preferred: rows * columns }
}

/// See [`crate::depthwise`], which has checked all lengths.
pub(super) fn depthwise(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let [rows, columns] = padded(geometry);
    let given = scratch.len();
    let too_short = || KernelError::ScratchTooShort { needed: rows * columns, given };
    let channel: &mut [i32] = bytemuck::cast_slice_mut(scratch.get_mut(..rows * columns).ok_or_else(too_short)?);
    channel.fill(geometry.zero_point.into());
    let Bounds { zero_point, low, high } = Bounds::new(parameters);
    let planes = [geometry.input, geometry.output].map(|shape| (shape.height * shape.width).max(1));
    let (filters, _) = weights.as_chunks::<9>();
    let inputs = filters.iter().zip(input.chunks_exact(planes[0]));
    for (row, ((filter, input), output)) in inputs.zip(output.chunks_exact_mut(planes[1])).enumerate() {
        copy(geometry, columns, input, channel);
        let finish = Finish::from_parts(parameters.rows.get(row), zero_point, low, high);
        sums(geometry, columns, channel, &filter.map(i32::from), &finish, output);
    }
    Ok(())
}

/// Copies a channel into its padding.
fn copy(geometry: &Geometry, columns: usize, input: &[i8], channel: &mut [i32]) {
    let (top, left) = (geometry.window.padding.top.into(), geometry.window.padding.left.into());
    let lines = channel.chunks_exact_mut(columns.max(1)).skip(top);
    for (line, pixels) in lines.zip(input.chunks_exact(geometry.input.width.max(1))) {
        let cells = line.get_mut(left..).unwrap_or_default();
        cells.iter_mut().zip(pixels).for_each(|(cell, pixel)| *cell = (*pixel).into());
    }
}

/// Every output of a channel.
#[inline(always)]
fn sums(geometry: &Geometry, columns: usize, channel: &[i32], filter: &[i32; 9], finish: &Finish, output: &mut [i8]) {
    let stride = usize::from(geometry.window.stride);
    let (filter, _) = filter.as_chunks::<3>();
    let mut first = 0;
    for line in output.chunks_exact_mut(geometry.output.width.max(1)) {
        let mut at = first;
        for cell in line {
            let mut sum = finish.bias;
            for (row, taps) in filter.iter().enumerate() {
                if let Some(under) = channel.get(at + row * columns..).and_then(|rest| rest.first_chunk::<3>()) {
                    for (weight, value) in taps.iter().zip(under) {
                        sum = sum.wrapping_add(weight * value);
                    }
                }
            }
            *cell = finish.apply(sum);
            at += stride;
        }
        first += stride * columns;
    }
}

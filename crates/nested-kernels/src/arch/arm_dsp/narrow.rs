//! Depthwise 3×3 on maps of a few pixels, narrower than a block: the walk would compute more outputs than there are and copy
//! them from a strip. Here a channel is copied into its padding, and each output is summed alone, two taps an instruction.
use super::{Bounds, ops};
use crate::{Geometry, KernelError, Scratch, requant::Finish};
use nested_csr::NodeParameters;

/// Outputs of a line that a block of the walk makes.
const BLOCK: usize = 4;
/// Lines of outputs up to which the copy is small.
const LINES: usize = 8;
/// The greatest stride.
const STRIDE: usize = 2;
/// From a line of the padded channel to the next: what the last output of a line reads, and one that counts for nothing.
const PITCH: usize = (BLOCK - 2) * STRIDE + TAPS + 1;
/// Of a line of a filter.
const TAPS: usize = 3;
/// From the first pixel under an output to the last.
const WINDOW: usize = (TAPS - 1) * PITCH + TAPS + 1;

/// Whether these sums are made here.
pub(super) fn is_it(geometry: &Geometry) -> bool {
    let Geometry { output, window, .. } = geometry;
    let small = output.width < BLOCK && output.height <= LINES && usize::from(window.stride) <= STRIDE;
    window.kernel == [TAPS as u8; 2] && small
}

/// Words of the padded channel.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let lines = (geometry.output.height - 1) * usize::from(geometry.window.stride) + TAPS;
    let words = lines * PITCH / 2;
    Scratch { minimum: words, preferred: words }
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
    let given = scratch.len();
    let needed = self::scratch(geometry).minimum;
    let too_short = || KernelError::ScratchTooShort { needed, given };
    let channel: &mut [i16] = bytemuck::cast_slice_mut(scratch.get_mut(..needed).ok_or_else(too_short)?);
    channel.fill(geometry.zero_point.into());
    let Bounds { zero_point, low, high } = Bounds::new(parameters);
    let planes = [geometry.input, geometry.output].map(|shape| (shape.height * shape.width).max(1));
    let (filters, _) = weights.as_chunks::<{ TAPS * TAPS }>();
    let inputs = filters.iter().zip(input.chunks_exact(planes[0]));
    for (row, ((filter, input), output)) in inputs.zip(output.chunks_exact_mut(planes[1])).enumerate() {
        copy(geometry, input, channel);
        let finish = Finish::from_parts(parameters.rows.get(row), zero_point, low, high);
        sums(geometry, channel, filter, &finish, output);
    }
    Ok(())
}

/// Copies a channel into its padding; what no output reads is left out.
fn copy(geometry: &Geometry, input: &[i8], channel: &mut [i16]) {
    let (top, left) = (geometry.window.padding.top.into(), geometry.window.padding.left.into());
    let (lines, _) = channel.as_chunks_mut::<PITCH>();
    for (line, pixels) in lines.iter_mut().skip(top).zip(input.chunks_exact(geometry.input.width.max(1))) {
        let cells = line.get_mut(left..).unwrap_or_default();
        cells.iter_mut().zip(pixels).for_each(|(cell, pixel)| *cell = (*pixel).into());
    }
}

/// Every output of a channel.
#[inline(always)]
fn sums(geometry: &Geometry, channel: &[i16], filter: &[i8; TAPS * TAPS], finish: &Finish, output: &mut [i8]) {
    let stride = usize::from(geometry.window.stride);
    let [a, b, c, d, e, f, g, h, i] = *filter;
    let pairs = [
        ops::halves(a, b),
        ops::halves(c, 0),
        ops::halves(d, e),
        ops::halves(f, 0),
        ops::halves(g, h),
        ops::halves(i, 0),
    ];
    let mut first = 0;
    for line in output.chunks_exact_mut(geometry.output.width.max(1)) {
        let mut at = first;
        for cell in line {
            let Some(under) = channel.get(at..).and_then(|rest| rest.first_chunk::<WINDOW>()) else { return };
            let mut sum = finish.bias as u32;
            for (pair, weights) in pairs.iter().enumerate() {
                let place = pair / 2 * PITCH + pair % 2 * 2;
                if let Some([low, high]) = under.get(place..).and_then(|rest| rest.first_chunk::<2>()) {
                    sum = ops::smlad(u32::from(*low as u16) | u32::from(*high as u16) << 16, *weights, sum);
                }
            }
            *cell = finish.apply(sum as i32);
            at += stride;
        }
        first += stride * PITCH;
    }
}

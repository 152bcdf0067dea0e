//! Depthwise 3×3 on maps of a few pixels, narrower than a block: the walk would compute more outputs than there are and copy
//! them from a strip. Here a channel is copied into its padding, and each output is summed alone, two taps an instruction.
use super::{Bounds, clamp, ops};
use crate::{Geometry, KernelError, Scratch};
use nested_csr::{NodeParameters, Requantization};

/// Outputs of a line that a block of the walk makes.
const BLOCK: usize = 4;
/// Lines of outputs up to which the copy is small.
const LINES: usize = 8;
/// The greatest stride.
const STRIDE: usize = 2;
/// Of a line of a filter, and lines of it.
const TAPS: usize = 3;
/// Pairs of pixels of a padded line: what the last output reads, and one pixel that counts for nothing.
const PAIRS: usize = ((BLOCK - 2) * STRIDE + TAPS).div_ceil(2);

/// A line of the padded channel.
type Line = [[i16; 2]; PAIRS];

/// Whether these sums are made here.
pub(super) fn is_it(geometry: &Geometry) -> bool {
    let Geometry { output, window, .. } = geometry;
    let small = output.width < BLOCK && output.height <= LINES && usize::from(window.stride) <= STRIDE;
    window.kernel == [TAPS as u8; 2] && small
}

/// Words of the padded channel.
pub(super) fn scratch(geometry: &Geometry) -> Scratch {
    let lines = (geometry.output.height - 1) * usize::from(geometry.window.stride) + TAPS;
    let words = lines * PAIRS;
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
    let (words, _) = scratch.get_mut(..needed).ok_or_else(too_short)?.as_chunks_mut::<PAIRS>();
    let lines: &mut [Line] = bytemuck::cast_slice_mut(words);
    lines.fill([[geometry.zero_point.into(); 2]; PAIRS]);
    let bounds = Bounds::new(parameters);
    let planes = [geometry.input, geometry.output].map(|shape| (shape.height * shape.width).max(1));
    let mut filters = weights.as_chunks::<{ TAPS * TAPS }>().0.iter();
    let (mut inputs, mut outputs) = (input.chunks_exact(planes[0]), output.chunks_exact_mut(planes[1]));
    let sums = match (geometry.window.stride, geometry.output.width) {
        (1, 1) => sums::<1, 1>,
        (1, 2) => sums::<1, 2>,
        (1, _) => sums::<1, 3>,
        (_, 1) => sums::<2, 1>,
        (_, 2) => sums::<2, 2>,
        _ => sums::<2, 3>,
    };
    parameters.rows.each(|row| {
        if let (Some(filter), Some(input), Some(output)) = (filters.next(), inputs.next(), outputs.next()) {
            copy(geometry, input, lines);
            sums(lines, filter, row, bounds.zero_point, output);
        }
    });
    clamp::clamp(output, bounds);
    Ok(())
}

/// Copies a channel into its padding; what no output reads is left out.
#[inline(never)]
fn copy(geometry: &Geometry, input: &[i8], lines: &mut [Line]) {
    let (top, left) = (geometry.window.padding.top.into(), geometry.window.padding.left.into());
    let lines = lines.get_mut(top..).unwrap_or_default();
    match geometry.input.width {
        2 if left <= 2 * PAIRS - 2 => copy_lines(input, lines, left, |pixels: &[i8; 2]| pixels.map(i16::from)),
        4 if left <= 2 * PAIRS - 4 => copy_lines(input, lines, left, extended),
        width => {
            for (line, pixels) in lines.iter_mut().zip(input.chunks_exact(width.max(1))) {
                let cells = line.as_flattened_mut().get_mut(left..).unwrap_or_default();
                cells.iter_mut().zip(pixels).for_each(|(cell, pixel)| *cell = (*pixel).into());
            }
        }
    }
}

/// Copies lines of `WIDTH` pixels, all of which are read.
#[inline(always)]
fn copy_lines<const WIDTH: usize>(
    input: &[i8],
    lines: &mut [Line],
    left: usize,
    extended: impl Fn(&[i8; WIDTH]) -> [i16; WIDTH],
) {
    for (line, pixels) in lines.iter_mut().zip(input.as_chunks::<WIDTH>().0) {
        if let Some(cells) = line.as_flattened_mut().get_mut(left..).and_then(|cells| cells.first_chunk_mut()) {
            *cells = extended(pixels);
        }
    }
}

/// Four pixels, 16 bits each.
#[inline(always)]
fn extended(pixels: &[i8; 4]) -> [i16; 4] {
    let word = u32::from_le_bytes(pixels.map(i8::cast_unsigned));
    let (even, odd) = (ops::extended(word), ops::extended(word >> 8));
    let (first, second) = (ops::bottoms(even, odd), ops::tops(odd, even));
    [first as i16, (first >> 16) as i16, second as i16, (second >> 16) as i16]
}

/// A line of a filter, by what it meets two pairs of pixels with: where its first pixel is a pair's first, and its second.
struct Taps {
    even: [u32; 2],
    odd: [u32; 2],
}

impl Taps {
    #[inline(always)]
    fn new([a, b, c]: [i8; TAPS]) -> Taps {
        let halves = ops::halves;
        Taps { even: [halves(a, b), halves(c, 0)], odd: [halves(0, a), halves(b, c)] }
    }
}

/// Every output of a channel, `WIDTH` a line, but for the clamp.
#[inline(never)]
fn sums<const STRIDE: usize, const WIDTH: usize>(
    lines: &[Line],
    filter: &[i8; TAPS * TAPS],
    row: Requantization,
    zero_point: i8,
    output: &mut [i8],
) {
    let [a, b, c, d, e, f, g, h, i] = *filter;
    let filter = [[a, b, c], [d, e, f], [g, h, i]].map(Taps::new);
    let multiplier = row.multiplier.m() as u32;
    let (outputs, _) = output.as_chunks_mut::<WIDTH>();
    // As many as there are lines of outputs: `scratch` says how many lines of pixels these read.
    let windows = lines.windows(TAPS).step_by(STRIDE);
    debug_assert_eq!(windows.len(), outputs.len());
    for (outputs, lines) in outputs.iter_mut().zip(windows) {
        let mut sums = [row.bias as u32; WIDTH];
        for (taps, line) in filter.iter().zip(lines) {
            for (x, sum) in sums.iter_mut().enumerate() {
                let first = x * STRIDE;
                let taps = if first.is_multiple_of(2) { taps.even } else { taps.odd };
                // Of constants, so that it is there, and is not asked for.
                let Some(pairs) = line.get(first / 2..).and_then(<[_]>::first_chunk::<2>) else { continue };
                for (pair, weights) in pairs.iter().zip(taps) {
                    let word = u32::from(pair[0].cast_unsigned()) | u32::from(pair[1].cast_unsigned()) << 16;
                    *sum = ops::smlad(word, weights, *sum);
                }
            }
        }
        *outputs = sums.map(|sum| ops::saturated(ops::smmlar(sum, multiplier, i32::from(zero_point) as u32)) as i8);
    }
}

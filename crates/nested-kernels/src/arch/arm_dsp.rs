//! The backend for Cortex-M cores with the DSP extension: a packed copy of a band of the input, two activations a word;
//! a weight row decoded once into a table of steps through it; and a walk of that table for each block of 8 outputs, two
//! multiplications an instruction.
use crate::{
    Geometry, KernelError, Scratch,
    add::Sum,
    arch::{Buffers, Convolution, Depthwise, Threads},
    rows::{DenseRows, RowSource},
};
use band::{Band, Lines, Parts};
use byte_rows::ByteRows;
use nested_csr::{Block, Level, NodeParameters, Requantization, Weights};
use pack::Pairing;
use pointwise::Pointwise;
#[cfg(any(test, nested_kernels_backend = "dsp"))]
use sum::Fours;
use walk::Walk;

/// `global_asm!` for a core with the DSP extension. The assembler takes it for granted on Armv7E-M; on Armv8-M, where the
/// target says nothing of it, a core that has it must be named.
#[cfg(all(nested_kernels_backend = "dsp", not(nested_kernels_armv8m)))]
macro_rules! dsp_asm {
    ($($text:tt)*) => { core::arch::global_asm!($($text)*); };
}
#[cfg(all(nested_kernels_backend = "dsp", nested_kernels_armv8m))]
macro_rules! dsp_asm {
    ($($text:tt)*) => { core::arch::global_asm!(".cpu cortex-m33", $($text)*); };
}

mod band;
mod byte_rows;
mod clamp;
#[cfg(nested_kernels_backend = "dsp")]
mod filter_rows;
mod fully_connected;
mod ops;
mod pack;
mod pointwise;
#[cfg(nested_kernels_backend = "dsp")]
mod ring_rows;
#[cfg(nested_kernels_backend = "dsp")]
mod row_walk;
mod small_maps;
#[cfg(nested_kernels_backend = "dsp")]
mod stored_rows;
#[cfg(any(test, nested_kernels_backend = "dsp"))]
mod sum;
mod table;
mod walk;

#[cfg(test)]
mod tests;

/// The bounds that all rows of a layer share.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    pub(crate) zero_point: i8,
    pub(crate) low: i8,
    pub(crate) high: i8,
}

impl Bounds {
    fn new(parameters: &NodeParameters<'_>) -> Self {
        Bounds { zero_point: parameters.zero_point, low: parameters.low, high: parameters.high }
    }
}

/// The DSP extension's instructions, or plain Rust for them; small cores have no threads to share the work.
///
/// It has the methods of [`Backend`](super::Backend), but only tests have it implement the trait, and behind them arguments are
/// apart. What implements a trait, and what that calls when inlined, rustc exports from the crate, so that LLVM inlines
/// otherwise; and of references in a struct LLVM does not know that they are exclusive. Either costs layers up to 3 % more
/// instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dsp;

impl Dsp {
    pub(crate) fn name(&self) -> &'static str {
        if cfg!(nested_kernels_backend = "dsp") { "Arm DSP" } else { "portable" }
    }

    #[inline(always)]
    pub(crate) fn convolution(
        &self,
        Convolution { weights, level, geometry }: Convolution<'_>,
        parameters: &NodeParameters<'_>,
        Buffers { input, output, scratch }: Buffers<'_>,
        _: Threads,
    ) -> Result<(), KernelError> {
        convolution(weights, level, parameters, geometry, input, output, scratch)
    }

    #[inline(always)]
    pub(crate) fn convolution_scratch(
        &self,
        Convolution { weights, level, geometry }: Convolution<'_>,
    ) -> Result<Scratch, KernelError> {
        if fully_connected::has_one_pixel(geometry) {
            return Ok(fully_connected::scratch(geometry));
        }
        // A level chooses for itself how it is run.
        match streamed(weights, level, geometry) {
            Some(layer) => Ok(layer.scratch()),
            None => scratch_words(lines(weights, level, geometry), geometry),
        }
    }

    #[inline(always)]
    pub(crate) fn depthwise(
        &self,
        Depthwise { weights, geometry }: Depthwise<'_>,
        parameters: &NodeParameters<'_>,
        Buffers { input, output, scratch }: Buffers<'_>,
    ) -> Result<(), KernelError> {
        depthwise(weights, parameters, geometry, input, output, scratch)
    }

    #[inline(always)]
    pub(crate) fn depthwise_scratch(&self, geometry: &Geometry) -> Result<Scratch, KernelError> {
        if small_maps::is_it(geometry) {
            return Ok(small_maps::scratch(geometry));
        }
        let Scratch { minimum, .. } = group_words(geometry, 1)?;
        let Scratch { preferred, .. } = group_words(geometry, preferred_group(geometry)?)?;
        Ok(Scratch { minimum, preferred })
    }

    #[inline(always)]
    pub(crate) fn add(&self, sum: &Sum, left: &[i8], right: &[i8], output: &mut [i8]) {
        #[cfg(any(test, nested_kernels_backend = "dsp"))]
        let (output, left, right) = {
            let fours = Fours::new(sum.weights, &sum.finish);
            let (chunks, rest) = output.as_chunks_mut();
            let ((lefts, left), (rights, right)) = (left.as_chunks(), right.as_chunks());
            for (output, (left, right)) in chunks.iter_mut().zip(lefts.iter().zip(rights)) {
                *output = fours.of(*left, *right);
            }
            fours.clamp(chunks.as_flattened_mut());
            (rest, left, right)
        };
        for (output, (left, right)) in output.iter_mut().zip(left.iter().zip(right)) {
            *output = sum.of(*left, *right);
        }
    }

    #[inline(always)]
    pub(crate) fn add_in_place(&self, sum: &Sum, left: &mut [i8], right: &[i8]) {
        #[cfg(any(test, nested_kernels_backend = "dsp"))]
        let (left, right) = {
            let fours = Fours::new(sum.weights, &sum.finish);
            let ((chunks, rest), (rights, right)) = (left.as_chunks_mut(), right.as_chunks());
            for (left, right) in chunks.iter_mut().zip(rights) {
                *left = fours.of(*left, *right);
            }
            fours.clamp(chunks.as_flattened_mut());
            (rest, right)
        };
        for (left, right) in left.iter_mut().zip(right) {
            *left = sum.of(*left, *right);
        }
    }
}

fn convolution(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let requantization = |row| parameters.rows.get(row);
    let bounds = Bounds::new(parameters);
    if fully_connected::has_one_pixel(geometry) {
        return match weights {
            Weights::Sparse(matrix) => {
                fully_connected::sparse(matrix, level, parameters, geometry, input, output, scratch)
            }
            Weights::Dense(weights) => fully_connected::dense(weights, parameters, geometry, input, output, scratch),
            _ => Err(KernelError::UnknownWeights),
        };
    }
    if let Some(layer) = streamed(weights, level, geometry) {
        return layer.convolve(parameters, input, output, scratch);
    }
    let lines = lines(weights, level, geometry);
    #[cfg(nested_kernels_backend = "dsp")]
    if let Weights::Sparse(matrix) = weights
        && let Some(rows) = ring_rows::RingRows::new(matrix, level, lines, geometry, parameters)
    {
        convolve_bands(lines, geometry, input, scratch, |band, first, parts| {
            let done = rows.clone().walk(band, first, parameters, bounds, parts, output);
            done.then_some(()).ok_or(KernelError::WeightsChanged)
        })?;
        clamp::clamp(output, bounds);
        return Ok(());
    }
    match *weights {
        Weights::Sparse(matrix) => match ByteRows::new(&matrix, level)? {
            Some(rows) => {
                let rows = || Ok::<_, KernelError>(rows.clone());
                convolve_rows(lines, rows, requantization, bounds, geometry, input, output, scratch)
            }
            None => {
                let rows = || matrix.rows(level);
                convolve_rows(lines, rows, requantization, bounds, geometry, input, output, scratch)
            }
        },
        Weights::Dense(weights) => {
            let columns = geometry.columns().ok_or(KernelError::TooLarge)?;
            let rows = || Ok::<_, KernelError>(DenseRows::new(weights, columns));
            convolve_rows(lines, rows, requantization, bounds, geometry, input, output, scratch)
        }
        _ => Err(KernelError::UnknownWeights),
    }
}

/// Whether this is compiled for a core whose compiler makes the most of pairs of pixels, and of a table of sparse weights: it
/// knows no dual product, and has no registers for what a stream of gaps and weights needs beside the sums.
const PLAIN: bool = cfg!(all(nested_kernels_backend = "portable", target_arch = "arm"));

/// A layer whose rows are better streamed than walked from a table.
fn streamed<'a>(weights: &Weights<'a>, level: Level, geometry: &Geometry) -> Option<Pointwise<'a>> {
    Pointwise::new(weights, level, geometry).filter(|layer| !PLAIN || layer.is_dense())
}

/// Pairs of channels suit weights that come in pairs, and wide lines; pairs of pixels suit all others.
fn lines(weights: &Weights<'_>, level: Level, geometry: &Geometry) -> Lines {
    let channels = geometry.input.channels;
    let in_pairs = match weights {
        // For 8 pixels, 13 instructions a pair of channels, or 8 a weight.
        Weights::Dense(_) => 13 * channels.div_ceil(2) < 8 * channels,
        Weights::Sparse(matrix) => {
            let whole = matrix.shape().rows * matrix.shape().columns;
            let pairs = matrix.block() == Block::OneByTwo && channels.is_multiple_of(2);
            pairs || matrix.stored(level).is_ok_and(|stored| stored >= whole / 8 * 7)
        }
        _ => false,
    };
    let by_channels = Lines::new(geometry, Pairing::Channels);
    if in_pairs && !PLAIN && by_channels.are_wide(geometry) {
        by_channels
    } else {
        Lines::new(geometry, Pairing::Pixels)
    }
}

/// Words of scratch for a band of one line, and for all.
fn scratch_words(lines: Lines, geometry: &Geometry) -> Result<Scratch, KernelError> {
    let words = |count| Band::new(geometry, lines, count)?.words();
    let minimum = words(1).ok_or(KernelError::TooLarge)?;
    // A map that is too large for one band's offsets prefers the largest band that is not.
    let mut count = lines.extent;
    while count > 1 && words(count).is_none() {
        count /= 2;
    }
    Ok(Scratch { minimum, preferred: words(count).unwrap_or(minimum).max(minimum) })
}

/// The largest band that fits a scratch, one of several of nearly equal size.
fn largest_band(geometry: &Geometry, lines: Lines, scratch: usize) -> Option<(Band<'_>, usize)> {
    let fits = |count| Band::new(geometry, lines, count).filter(|band| band.words().is_some_and(|w| w <= scratch));
    let (mut fitting, mut too_many) = (1, lines.extent + 1);
    fits(1)?;
    while too_many - fitting > 1 {
        let middle = fitting.midpoint(too_many);
        if fits(middle).is_some() { fitting = middle } else { too_many = middle }
    }
    let count = lines.extent.div_ceil(lines.extent.div_ceil(fitting.max(1)).max(1));
    Some((fits(count)?, count))
}

/// Convolves with rows from any source; `rows` starts anew from the first row. Not inlined: within [`convolution`], which is
/// large, it costs up to 0.5 % more instructions.
#[allow(clippy::too_many_arguments)]
#[inline(never)]
fn convolve_rows<R: RowSource, E: Into<KernelError>>(
    lines: Lines,
    rows: impl Fn() -> Result<R, E>,
    requantization: impl Fn(usize) -> Requantization,
    bounds: Bounds,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    convolve_bands(lines, geometry, input, scratch, |band, first, parts| {
        walk_rows(band, first, rows().map_err(Into::into)?, &requantization, bounds, parts, output)
    })?;
    clamp::clamp(output, bounds);
    Ok(())
}

/// Packs the input band by band, as large as the scratch allows, and walks each from its first line on.
fn convolve_bands(
    lines: Lines,
    geometry: &Geometry,
    input: &[i8],
    scratch: &mut [u32],
    mut walk: impl FnMut(&Band<'_>, usize, &mut Parts<'_>) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let given = scratch.len();
    let too_short = || too_short(lines, geometry, given);
    let (band, count) = largest_band(geometry, lines, given).ok_or_else(too_short)?;
    let mut parts = band.parts(scratch).ok_or_else(too_short)?;
    band.prepare(&mut parts);
    each_band(lines, count, |first| {
        band.pack(first, input, &mut parts);
        walk(&band, first, &mut parts)
    })
}

/// Why no band fits a scratch.
#[cold]
fn too_short(lines: Lines, geometry: &Geometry, given: usize) -> KernelError {
    match scratch_words(lines, geometry) {
        Ok(Scratch { minimum, .. }) => KernelError::ScratchTooShort { needed: minimum, given },
        Err(error) => error,
    }
}

/// Calls `f` with the first line of each band of `count` lines.
fn each_band(
    lines: Lines,
    count: usize,
    mut f: impl FnMut(usize) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let mut first = 0;
    while first < lines.extent {
        // The last band overlaps the one before it rather than being smaller.
        first = usize::min(first, lines.extent - count);
        f(first)?;
        first += count;
    }
    Ok(())
}

/// Every row's outputs in a band.
fn walk_rows(
    band: &Band<'_>,
    first: usize,
    mut rows: impl RowSource,
    requantization: &impl Fn(usize) -> Requantization,
    bounds: Bounds,
    parts: &mut Parts<'_>,
    output: &mut [i8],
) -> Result<(), KernelError> {
    let outputs = band.outputs(first);
    let short = band.is_short();
    let even = band.geometry.input.channels.is_multiple_of(2);
    let plane = band.geometry.output.height * band.geometry.output.width;
    #[cfg(not(nested_kernels_backend = "dsp"))]
    let farthest = parts.places.iter().fold(0, |farthest, place| farthest.max(*place as i32));
    for (row, plane) in output.chunks_exact_mut(plane.max(1)).enumerate() {
        let Requantization { multiplier, bias } = requantization(row);
        let decoded = match band.lines.pairing {
            Pairing::Pixels => table::pixels(&mut rows, parts.places, parts.table),
            Pairing::Channels => table::channels(&mut rows, parts.places, even, parts.table),
        };
        // As many rows as output channels: so it was checked.
        let decoded = decoded.ok_or(KernelError::WeightsChanged)?;
        let fits = multiplier.m() & 0xff == 0 && decoded.fits(bias, parts.table);
        let wide = band.lines.pairing == Pairing::Pixels && !fits;
        if wide {
            decoded.write_wide_head(parts.table);
        } else {
            decoded.write_head(band.lines.pairing, bias, parts.table);
        }
        let walk = || Walk {
            packed: parts.packed,
            table: parts.table,
            entries: decoded.entries,
            segments: parts.segments,
            start: decoded.start + row as i32 * band.row_step(),
            #[cfg(not(nested_kernels_backend = "dsp"))]
            places: [decoded.start, farthest],
            multiplier: multiplier.m(),
            zero_point: bounds.zero_point.into(),
            outputs,
        };
        let target = if short { &mut *parts.strip } else { &mut *plane };
        match band.lines.pairing {
            Pairing::Channels => walk().channels(target),
            Pairing::Pixels if wide => walk().pixels_wide(decoded.biases(bias), target),
            Pairing::Pixels => walk().pixels(target),
        }
        if short {
            band.copy_strip(first, parts.strip, plane);
        }
    }
    Ok(())
}

/// Groups of channels, as many as the scratch holds.
fn depthwise(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    if small_maps::is_it(geometry) {
        return small_maps::depthwise(weights, parameters, geometry, input, output, scratch);
    }
    let taps = geometry.taps();
    let count = group_in(geometry, scratch.len())?.min(preferred_group(geometry)?).max(1);
    let whole = grouped(geometry, count);
    let lines = Lines::depthwise(&whole);
    let given = scratch.len();
    let too_short = || too_short(lines, &whole, given);
    let (band, lines_of_band) = largest_band(&whole, lines, given).ok_or_else(too_short)?;
    let mut parts = band.parts(scratch).ok_or_else(too_short)?;
    // A channel's padding stays when the next group is packed.
    band.prepare(&mut parts);
    let bounds = Bounds::new(parameters);
    let [in_plane, out_plane] = [geometry.input, geometry.output].map(|shape| shape.height * shape.width);
    let mut done = 0;
    while done < geometry.input.channels {
        let count = count.min(geometry.input.channels - done);
        let of = |each: usize| done * each..(done + count) * each;
        let slices = (input.get(of(in_plane)), weights.get(of(taps)), output.get_mut(of(out_plane)));
        // All lengths were checked against this geometry.
        let (Some(input), Some(weights), Some(output)) = slices else { return Err(KernelError::Geometry) };
        let group = grouped(geometry, count);
        let band = Band::new(&group, lines, lines_of_band).ok_or(KernelError::TooLarge)?;
        each_band(lines, lines_of_band, |first| {
            band.pack(first, input, &mut parts);
            #[cfg(nested_kernels_backend = "dsp")]
            if filter_rows::walk(weights, parameters, done, &band, first, &mut parts, output) {
                return Ok(());
            }
            let requantization = |row| parameters.rows.get(done + row);
            walk_rows(&band, first, DenseRows::new(weights, taps), &requantization, bounds, &mut parts, output)
        })?;
        done += count;
    }
    clamp::clamp(output, bounds);
    Ok(())
}

/// Channels of a depthwise convolution that are packed together spread the cost of a band: so many, or what so many words
/// hold.
const GROUP: usize = 16;
const GROUP_WORDS: usize = 4096;

fn grouped(geometry: &Geometry, channels: usize) -> Geometry {
    let mut group = *geometry;
    (group.input.channels, group.output.channels) = (channels, channels);
    group
}

fn group_words(geometry: &Geometry, channels: usize) -> Result<Scratch, KernelError> {
    let group = grouped(geometry, channels);
    scratch_words(Lines::depthwise(&group), &group)
}

/// The most channels whose whole maps are packed in `words` words; at least 1.
fn group_in(geometry: &Geometry, words: usize) -> Result<usize, KernelError> {
    let [one, two] = [1, 2].map(|channels| group_words(geometry, channels).map(|scratch| scratch.preferred));
    let one = one?;
    let more = words.saturating_sub(one).checked_div(two?.saturating_sub(one)).unwrap_or(0);
    Ok((more + 1).min(geometry.input.channels))
}

/// The channels of a group when there is room.
fn preferred_group(geometry: &Geometry) -> Result<usize, KernelError> {
    Ok(group_in(geometry, GROUP_WORDS)?.max(GROUP.min(geometry.input.channels)))
}

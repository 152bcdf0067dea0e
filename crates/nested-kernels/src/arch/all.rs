//! The algorithm of the portable and vector backends: a padded int16 copy of a band of the input, in which each tap is a constant
//! offset; a weight row decoded once into a table; and a tile of accumulators in registers that the table sweeps over
//! the band's output pixels. One algorithm over a handful of instructions ([`Lanes`]), which vector backends bring along.
use crate::{
    Geometry, KernelError, Scratch,
    requant::Finish,
    rows::{DenseRows, RowSource},
};
use band::Band;
use lanes::Lanes;
use nested_csr::{Level, NodeParameters, Padding, Weights};
use sweep::Sweep;

mod band;
pub(crate) mod lanes;
mod sweep;

/// A convolution with the instructions of a backend.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn convolution_with(
    lanes: impl Lanes,
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let finish = |row| Finish::new(parameters.rows.get(row), parameters);
    match *weights {
        Weights::Sparse(matrix) => {
            let rows = || matrix.rows(level);
            convolve_rows(lanes, rows, finish, geometry, input, output, scratch)
        }
        Weights::Dense(weights) => {
            let columns = geometry.columns().ok_or(KernelError::TooLarge)?;
            let rows = || Ok::<_, KernelError>(DenseRows::new(weights, columns));
            convolve_rows(lanes, rows, finish, geometry, input, output, scratch)
        }
    }
}

/// See [`crate::convolution_scratch`].
pub(crate) fn convolution_scratch(_: &Weights<'_>, geometry: &Geometry) -> Result<Scratch, KernelError> {
    if is_fully_connected(geometry) {
        return Ok(Scratch::default());
    }
    band_scratch(geometry, geometry.input.channels)
}

/// A depthwise convolution with the instructions of a backend: a convolution of one channel and one row for each channel.
#[inline(always)]
pub(crate) fn depthwise_with(
    lanes: impl Lanes,
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let taps = geometry.taps();
    let mut one = *geometry;
    (one.input.channels, one.output.channels) = (1, 1);
    let channels = weights.chunks_exact(taps.max(1)).zip(input.chunks_exact(one.input.len().max(1)));
    for (channel, ((weights, input), output)) in
        channels.zip(output.chunks_exact_mut(one.output.len().max(1))).enumerate()
    {
        let rows = || Ok::<_, KernelError>(DenseRows::new(weights, taps));
        let finish = |_| Finish::new(parameters.rows.get(channel), parameters);
        sweep_bands(lanes, rows, finish, &one, input, output, scratch)?;
    }
    Ok(())
}

/// See [`crate::depthwise_scratch`].
pub(crate) fn depthwise_scratch(geometry: &Geometry) -> Result<Scratch, KernelError> {
    band_scratch(geometry, 1)
}

/// Whether the kernel is the whole map: one output pixel, no padding.
fn is_fully_connected(geometry: &Geometry) -> bool {
    let [height, width] = geometry.window.kernel.map(usize::from);
    let whole = geometry.input.height == height && geometry.input.width == width;
    whole && geometry.window.padding == Padding::default()
}

/// Convolves with rows from any source; `rows` starts anew from the first row.
#[inline(always)]
pub(crate) fn convolve_rows<R: RowSource, E: Into<KernelError>>(
    lanes: impl Lanes,
    rows: impl Fn() -> Result<R, E>,
    finish: impl Fn(usize) -> Finish,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    if is_fully_connected(geometry) {
        let rows = rows().map_err(Into::into)?;
        fully_connected(rows, finish, geometry, input, output);
        return Ok(());
    }
    sweep_bands(lanes, rows, finish, geometry, input, output, scratch)
}

/// One pixel: too little to amortise a table over, so each row is streamed.
fn fully_connected(
    mut rows: impl RowSource,
    finish: impl Fn(usize) -> Finish,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
) {
    let (pixels, channels) = (geometry.taps(), geometry.input.channels);
    for (row, output) in output.iter_mut().enumerate() {
        let finish = finish(row);
        let mut accumulator = finish.bias;
        let mut taps = Taps::new(channels);
        let decoded = rows.next_row_into(&mut |column: usize, weight: i8| {
            let (tap, channel) = taps.split(column);
            if let Some(value) = input.get(channel * pixels + tap) {
                accumulator = accumulator.wrapping_add(i32::from(weight) * i32::from(*value));
            }
        });
        if decoded.is_some() {
            *output = finish.apply(accumulator);
        }
    }
}

/// Splits columns `tap · Cin + channel` without dividing: within a ring they ascend.
struct Taps {
    channels: usize,
    tap: usize,
    first: usize,
}

impl Taps {
    fn new(channels: usize) -> Self {
        Taps { channels: channels.max(1), tap: 0, first: 0 }
    }

    /// `(column / channels, column % channels)`.
    #[inline(always)]
    fn split(&mut self, column: usize) -> (usize, usize) {
        if column < self.first {
            (self.tap, self.first) = (0, 0);
        }
        while column - self.first >= self.channels {
            self.tap += 1;
            self.first += self.channels;
        }
        (self.tap, column - self.first)
    }
}

/// Words for a row's table and for a band of one output row, or of all.
fn band_scratch(geometry: &Geometry, channels: usize) -> Result<Scratch, KernelError> {
    let table = geometry.taps().checked_mul(channels).ok_or(KernelError::TooLarge)?;
    let words = |rows| {
        let band = Band::new(geometry, channels, rows)?;
        table.checked_add(band.words())
    };
    let minimum = words(1).ok_or(KernelError::TooLarge)?;
    // A map that is too large for one band's offsets prefers the largest band that is not.
    let mut rows = geometry.output.height;
    while rows > 1 && words(rows).is_none() {
        rows /= 2;
    }
    Ok(Scratch { minimum, preferred: words(rows).unwrap_or(minimum) })
}

/// Works through the output in bands of rows, as high as the scratch allows.
#[inline(always)]
fn sweep_bands<R: RowSource, E: Into<KernelError>>(
    lanes: impl Lanes,
    rows: impl Fn() -> Result<R, E>,
    finish: impl Fn(usize) -> Finish,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let given = scratch.len();
    let channels = geometry.input.channels;
    let needed = band_scratch(geometry, channels)?.minimum;
    let too_short = KernelError::ScratchTooShort { needed, given };
    let columns = geometry.taps() * channels;
    let (table, copy) = scratch.split_at_mut_checked(columns).ok_or(too_short.clone())?;
    let copy: &mut [i16] = bytemuck::cast_slice_mut(copy);
    let height = geometry.output.height;
    let most = Band::most_rows(geometry, channels, copy.len()).ok_or(too_short)?;
    // Bands of nearly equal height: the last one is not left with a single row.
    let step = height.div_ceil(height.div_ceil(most.max(1)).max(1));
    let mut first = 0;
    while first < height {
        let count = step.min(height - first);
        let band = Band::new(geometry, channels, count).ok_or(KernelError::TooLarge)?;
        band.fill(geometry, first, input, copy);
        let mut rows = rows().map_err(Into::into)?;
        let mut sweep = Sweep { lanes, band: &band, geometry, first, copy, table };
        for (row, output) in
            output.chunks_exact_mut((geometry.output.height * geometry.output.width).max(1)).enumerate()
        {
            if sweep.row(&mut rows, finish(row), output).is_none() {
                break;
            }
        }
        first += count;
    }
    Ok(())
}

//! The algorithm of the portable and vector backends: a padded int16 copy of a band of the input, in which each tap is a constant
//! offset; a weight row decoded once into a table; and a tile of accumulators in registers that the table sweeps over
//! the band's output pixels. One algorithm over a handful of instructions ([`Lanes`]), which vector backends bring along.
use crate::{
    Geometry, KernelError, Scratch,
    requant::Finish,
    rows::{DenseRows, RowSource},
};
use band::Band;
use cut::{Cut, Work};
use lanes::Lanes;
use nested_csr::{Level, NodeParameters, Padding, Sink, Weights};
use sweep::Sweep;
use table::{Method, Places};
use work::{Decode, Groups, Kept, Pack, Streamed};

mod band;
mod cut;
pub(crate) mod lanes;
#[cfg(feature = "rayon")]
mod parallel;
mod sweep;
mod table;
mod work;

/// Who does the work; the results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread.
    One,
    /// The threads of the rayon pool that the call is made in.
    #[cfg(feature = "rayon")]
    Pool,
}

impl Threads {
    /// Whether they share the bands.
    fn share(self) -> bool {
        self != Threads::One
    }
}

/// A convolution with the instructions of a backend.
#[allow(clippy::too_many_arguments)]
pub(crate) fn convolution_with<L: Lanes>(
    lanes: L,
    threads: Threads,
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let finish = |row| Finish::new(parameters.rows.get(row), parameters);
    let layer = Layer { lanes, threads, work: work::<L>(weights, level, geometry)?, finish };
    match *weights {
        Weights::Sparse(matrix) => layer.convolve(|| matrix.rows(level), input, output, scratch),
        Weights::Dense(weights) => {
            let columns = layer.work.columns;
            layer.convolve(|| Ok::<_, KernelError>(DenseRows::new(weights, columns)), input, output, scratch)
        }
    }
}

/// See [`crate::convolution_scratch`].
pub(crate) fn convolution_scratch_with<L: Lanes>(
    _: L,
    weights: &Weights<'_>,
    level: Level,
    geometry: &Geometry,
) -> Result<Scratch, KernelError> {
    if is_fully_connected(geometry) {
        return Ok(Scratch::default());
    }
    work_scratch::<L>(&work::<L>(weights, level, geometry)?)
}

/// A depthwise convolution with the instructions of a backend: a convolution of one channel and one row for each channel.
#[allow(clippy::too_many_arguments)]
pub(crate) fn depthwise_with(
    lanes: impl Lanes,
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let one = one_channel(geometry);
    let work = depthwise_work(&one);
    let channels = weights.chunks_exact(work.columns.max(1)).zip(input.chunks_exact(one.input.len().max(1)));
    for (channel, ((weights, input), output)) in
        channels.zip(output.chunks_exact_mut(one.output.len().max(1))).enumerate()
    {
        let finish = |_| Finish::new(parameters.rows.get(channel), parameters);
        let rows = || Ok::<_, KernelError>(DenseRows::new(weights, work.columns));
        Layer { lanes, threads: Threads::One, work, finish }.sweep(rows, input, output, scratch)?;
    }
    Ok(())
}

/// See [`crate::depthwise_scratch`].
pub(crate) fn depthwise_scratch_with<L: Lanes>(_: L, geometry: &Geometry) -> Result<Scratch, KernelError> {
    work_scratch::<L>(&depthwise_work(&one_channel(geometry)))
}

/// The work of a level of these weights.
fn work<'a, L: Lanes>(weights: &Weights<'_>, level: Level, geometry: &'a Geometry) -> Result<Work<'a>, KernelError> {
    let columns = geometry.columns().ok_or(KernelError::TooLarge)?;
    let rows = geometry.output.channels;
    let all = columns * rows;
    let stored = match weights {
        Weights::Dense(_) => all,
        Weights::Sparse(matrix) => matrix.stored(level)?,
    };
    Ok(Work { geometry, method: Method::of::<L>(stored, all), rows, columns, stored })
}

fn one_channel(geometry: &Geometry) -> Geometry {
    let mut one = *geometry;
    (one.input.channels, one.output.channels) = (1, 1);
    one
}

/// A row that has no others to share its taps with.
fn depthwise_work(one: &Geometry) -> Work<'_> {
    let columns = one.taps();
    Work { geometry: one, method: Method::Alone, rows: 1, columns, stored: columns }
}

/// Words for the least cut, and for the fastest.
fn work_scratch<L: Lanes>(work: &Work<'_>) -> Result<Scratch, KernelError> {
    let minimum = work.words::<L>(work.least()).ok_or(KernelError::TooLarge)?;
    let fastest = work.words::<L>(work.fastest::<L>(cfg!(feature = "rayon")));
    Ok(Scratch { minimum, preferred: fastest.unwrap_or(minimum).max(minimum) })
}

/// Whether the kernel is the whole map: one output pixel, no padding.
fn is_fully_connected(geometry: &Geometry) -> bool {
    let [height, width] = geometry.window.kernel.map(usize::from);
    let whole = geometry.input.height == height && geometry.input.width == width;
    whole && geometry.window.padding == Padding::default()
}

/// A layer at one level, on the instructions and threads that work on it.
struct Layer<'a, L, F> {
    lanes: L,
    threads: Threads,
    work: Work<'a>,
    finish: F,
}

impl<L: Lanes, F: Fn(usize) -> Finish + Copy + Send + Sync> Layer<'_, L, F> {
    /// Convolves with rows from any source; `rows` starts anew from the first row.
    fn convolve<R: RowSource + Send, E: Into<KernelError>>(
        &self,
        rows: impl Fn() -> Result<R, E>,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        if is_fully_connected(self.work.geometry) {
            fully_connected(rows().map_err(Into::into)?, self.finish, self.work.geometry, input, output);
            return Ok(());
        }
        self.sweep(rows, input, output, scratch)
    }

    /// Works through the output in bands of rows.
    fn sweep<R: RowSource + Send, E: Into<KernelError>>(
        &self,
        rows: impl Fn() -> Result<R, E>,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        let Work { geometry, method, columns, .. } = self.work;
        let needed = self.work.words::<L>(self.work.least()).ok_or(KernelError::TooLarge)?;
        let too_short = KernelError::ScratchTooShort { needed, given: scratch.len() };
        let cut = self.work.fitting::<L>(scratch.len(), self.threads.share()).ok_or(too_short.clone())?;
        let band = self.work.band::<L>(cut.step).ok_or(KernelError::TooLarge)?;
        let parts = scratch.split_at_mut_checked(method.offset_words(columns));
        let (offsets, rest) = parts.ok_or(too_short.clone())?;
        let (tables, copies) = rest.split_at_mut_checked(self.work.table_words(cut.kept)).ok_or(too_short.clone())?;
        let copies: &mut [L::Element] = bytemuck::cast_slice_mut(copies);
        let copies = copies.get_mut(..band.len * cut.held).ok_or(too_short)?;
        let places = Places::<L>::new(&band, geometry);
        places.all(columns, offsets);
        let sweep = Sweep { lanes: self.lanes, band: &band, geometry, first: 0, rows: cut.step, copy: &[] };
        let groups = Groups { sweep, method, columns, offsets, finish: self.finish };
        if cut.kept {
            self.keep(groups, cut, rows().map_err(Into::into)?, input, output, tables, copies);
            return Ok(());
        }
        for first in (0..geometry.output.height).step_by(cut.step) {
            self.lanes.enter(Pack::<L> { band: &band, geometry, first, input, copy: &mut *copies });
            let rows = rows().map_err(Into::into)?;
            let mut groups = groups;
            (groups.sweep.first, groups.sweep.copy) = (first, &*copies);
            groups.sweep.rows = cut.step.min(geometry.output.height - first);
            self.lanes.enter(Streamed { groups, rows, words: tables, output });
        }
        Ok(())
    }

    /// Decodes all rows first.
    #[allow(clippy::too_many_arguments)]
    fn keep(
        &self,
        groups: Groups<'_, L, F>,
        cut: Cut,
        rows: impl RowSource + Send,
        input: &[i8],
        output: &mut [i8],
        tables: &mut [u32],
        copies: &mut [L::Element],
    ) {
        let Groups { sweep: Sweep { lanes, band, geometry, .. }, method, columns, .. } = groups;
        let (starts, words) = tables.split_at_mut(self.work.groups() + 1);
        let places = Places::<L>::new(band, geometry);
        let decode = Decode { places, method, columns, rows, starts: &mut *starts, words: &mut *words };
        #[cfg(feature = "rayon")]
        if self.threads == Threads::Pool && cut.held * cut.step >= geometry.output.height {
            parallel::prepare(groups.sweep, cut, input, copies, decode);
            parallel::sweep(groups, cut, starts, words, copies, output);
            return;
        }
        lanes.enter(decode);
        for first in (0..geometry.output.height).step_by(cut.step) {
            lanes.enter(Pack::<L> {
                band,
                geometry,
                first,
                input,
                copy: copies.get_mut(..band.len).unwrap_or(&mut []),
            });
            let mut groups = groups;
            groups.sweep.first = first;
            let copies = copies.get(..band.len).unwrap_or(&[]);
            lanes.enter(Kept { groups, first: 0, starts, words, step: cut.step, copies, output });
        }
    }
}

/// One pixel: too little to amortise a table over, so each row is streamed.
fn fully_connected(
    mut rows: impl RowSource,
    finish: impl Fn(usize) -> Finish,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
) {
    for (row, output) in output.iter_mut().enumerate() {
        let finish = finish(row);
        let taps = Taps::new(geometry.input.channels);
        let mut dot = Dot { input, pixels: geometry.taps(), taps, sum: finish.bias };
        if rows.next_row_into(&mut dot).is_some() {
            *output = finish.apply(dot.sum);
        }
    }
}

/// A row's product with the only window that there is.
struct Dot<'a> {
    input: &'a [i8],
    /// Of the map.
    pixels: usize,
    taps: Taps,
    sum: i32,
}

impl Sink for Dot<'_> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        let (tap, channel) = self.taps.split(column);
        if let Some(value) = self.input.get(channel * self.pixels + tap) {
            self.sum = self.sum.wrapping_add(i32::from(weight) * i32::from(*value));
        }
    }

    #[inline(always)]
    fn all(&mut self, weights: &[i8]) {
        if self.pixels != 1 {
            return weights.iter().enumerate().for_each(|(column, weight)| self.weight(column, *weight));
        }
        // One pixel: the columns are the channels.
        let product = |(weight, value): (&i8, &i8)| i32::from(i16::from(*weight) * i16::from(*value));
        let products = weights.iter().zip(self.input).map(product);
        self.sum = products.fold(self.sum, i32::wrapping_add);
    }
}

/// Splits columns `tap · Cin + channel` without dividing: within a ring they ascend.
#[derive(Clone, Copy)]
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

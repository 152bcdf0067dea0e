//! The algorithm of the portable and vector backends: a padded copy of a band of the input, in which each tap is a constant
//! offset; a weight row decoded once into a table; and a tile of accumulators in registers that the table sweeps over
//! the band's output pixels. One algorithm over a handful of instructions ([`Lanes`]), which vector backends bring along.
use crate::{
    Geometry, KernelError, Scratch,
    add::Sum,
    arch::{Backend, Buffers, Convolution, Depthwise, Threads},
    rows::{DenseRows, RowSource},
};
use band::Band;
use connected::FullyConnected;
use core::ops::Range;
use cut::{Cut, Frame, Work};
use elements::{Elements, ElementsInPlace};
use finishes::Finishes;
use lanes::Lanes;
use nested_csr::{Level, NodeParameters, Padding, Weights};
use table::{Decoder, Method};
use work::{Channels, Decode, Kept, Maps, Pack, Streamed, Whole};

mod band;
mod connected;
pub(crate) mod copy;
mod cut;
mod elements;
pub(crate) mod finishes;
pub(crate) mod lanes;
#[cfg(feature = "rayon")]
#[allow(unsafe_code)]
mod parallel;
mod sweep;
mod table;
mod work;

impl<L: Lanes> Backend for L {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn convolution(
        &self,
        layer: Convolution<'_>,
        parameters: &NodeParameters<'_>,
        mut buffers: Buffers<'_>,
        threads: Threads,
    ) -> Result<(), KernelError> {
        let (lanes, Convolution { weights, level, geometry }) = (*self, layer);
        let finishes = Finishes::new(parameters);
        if let Weights::Dense(weights) = *weights
            && lanes.points(geometry, weights, finishes, buffers.lend())
        {
            return Ok(());
        }
        if let Weights::Sparse(matrix) = *weights
            && lanes.gathered_words(geometry).is_some_and(|words| words <= buffers.scratch.len())
            && (!is_fully_connected(geometry) || has_long_runs(matrix.stored(level)?, geometry, level))
            && lanes.gathered(geometry, matrix.rows(level)?, finishes, buffers.lend())
        {
            return Ok(());
        }
        let work = work::<L>(weights, level, Frame::new::<L>(geometry))?;
        let layer = Layer { lanes, threads, work, finishes };
        match *weights {
            Weights::Sparse(matrix) => layer.convolve(|| matrix.rows(level), buffers),
            Weights::Dense(weights) => {
                let columns = layer.work.columns;
                layer.convolve(|| Ok::<_, KernelError>(DenseRows::new(weights, columns)), buffers)
            }
            _ => Err(KernelError::UnknownWeights),
        }
    }

    fn convolution_scratch(&self, layer: Convolution<'_>) -> Result<Scratch, KernelError> {
        let (lanes, Convolution { weights, level, geometry }) = (*self, layer);
        let special = match weights {
            Weights::Dense(_) => lanes.points_words(geometry),
            Weights::Sparse(_) => lanes.gathered_words(geometry),
            _ => return Err(KernelError::UnknownWeights),
        };
        if is_fully_connected(geometry) {
            return Ok(Scratch { minimum: 0, preferred: special.unwrap_or(0) });
        }
        let work = work::<L>(weights, level, Frame::new::<L>(geometry))?;
        let mut scratch = work.scratch::<L>()?;
        if let Some(words) = special {
            scratch.preferred = scratch.minimum.max(words);
        }
        Ok(scratch)
    }

    /// A convolution of one channel and one row for each channel.
    fn depthwise(
        &self,
        layer: Depthwise<'_>,
        parameters: &NodeParameters<'_>,
        mut buffers: Buffers<'_>,
    ) -> Result<(), KernelError> {
        let (lanes, finishes) = (*self, Finishes::new(parameters));
        if lanes.filters(layer, finishes, buffers.lend()) {
            return Ok(());
        }
        let Buffers { input, output, scratch } = buffers;
        let (weights, geometry) = (layer.weights, &one_channel(layer.geometry));
        let layer = Layer { lanes, threads: Threads::One, work: depthwise_work(Frame::new::<L>(geometry)), finishes };
        let cut = layer.cut(scratch.len())?;
        let Parts { band, decoder, words, copy } = layer.parts(cut, scratch)?;
        let (band, step) = (&band, cut.step);
        lanes.enter(Channels { lanes, geometry, decoder, finishes, band, step, weights, input, words, copy, output });
        Ok(())
    }

    fn depthwise_scratch(&self, geometry: &Geometry) -> Result<Scratch, KernelError> {
        depthwise_work(Frame::new::<L>(&one_channel(geometry))).scratch::<L>()
    }

    fn add(&self, sum: &Sum, left: &[i8], right: &[i8], output: &mut [i8]) {
        self.enter(Elements { sum: *sum, left, right, output });
    }

    fn add_in_place(&self, sum: &Sum, left: &mut [i8], right: &[i8]) {
        self.enter(ElementsInPlace { sum: *sum, left, right });
    }
}

impl Buffers<'_> {
    /// The same, for a way of the lanes' own, which may decline.
    fn lend(&mut self) -> Buffers<'_> {
        Buffers { input: self.input, output: self.output, scratch: self.scratch }
    }
}

/// The work of a level of these weights.
fn work<'a, L: Lanes>(weights: &Weights<'_>, level: Level, frame: Frame<'a>) -> Result<Work<'a>, KernelError> {
    let columns = frame.geometry.columns().ok_or(KernelError::TooLarge)?;
    let rows = frame.geometry.output.channels;
    let all = columns * rows;
    let stored = match weights {
        Weights::Dense(_) => all,
        Weights::Sparse(matrix) => matrix.stored(level)?,
        _ => return Err(KernelError::UnknownWeights),
    };
    Ok(Work { frame, method: Method::of::<L>(stored, rows, all), rows, columns, stored })
}

fn one_channel(geometry: &Geometry) -> Geometry {
    let mut one = *geometry;
    (one.input.channels, one.output.channels) = (1, 1);
    one
}

/// A row that has no others to share its taps with.
fn depthwise_work(one: Frame<'_>) -> Work<'_> {
    let columns = one.geometry.taps();
    Work { frame: one, method: Method::Alone, rows: 1, columns, stored: columns }
}

/// Whether the rings of a row hold so many weights that following them in registers pays with a single pixel, too.
fn has_long_runs(stored: usize, geometry: &Geometry, level: Level) -> bool {
    const LEAST: usize = 32;
    stored >= LEAST * geometry.output.channels * level.number()
}

/// Whether the kernel is the whole map: one output pixel, no padding.
fn is_fully_connected(geometry: &Geometry) -> bool {
    let [height, width] = geometry.window.kernel.map(usize::from);
    let whole = geometry.input.height == height && geometry.input.width == width;
    whole && geometry.window.padding == Padding::default()
}

/// A layer at one level, on the instructions and threads that work on it.
struct Layer<'a, L> {
    lanes: L,
    threads: Threads,
    work: Work<'a>,
    finishes: Finishes<'a>,
}

/// A scratch, shared out: one share's, when there are more.
struct Parts<'s, L: Lanes> {
    band: Band,
    /// With the offsets of all columns.
    decoder: Decoder<'s, L>,
    /// Of tables.
    words: &'s mut [u32],
    copy: &'s mut [L::Element],
}

impl<L: Lanes> Layer<'_, L> {
    /// Convolves with rows from any source; `rows` starts anew from the first row.
    fn convolve<R: RowSource, E: Into<KernelError>>(
        &self,
        rows: impl Fn() -> Result<R, E> + Sync,
        buffers: Buffers<'_>,
    ) -> Result<(), KernelError> {
        let geometry = self.work.frame.geometry;
        let Buffers { input, output, scratch } = buffers;
        if is_fully_connected(geometry) {
            let rows = rows().map_err(Into::into)?;
            self.lanes.enter(FullyConnected { rows, finishes: self.finishes, geometry, input, output });
            return Ok(());
        }
        let cut = self.cut(scratch.len())?;
        #[cfg(feature = "rayon")]
        if cut.shares > 1 {
            return parallel::convolve(self, cut, rows, Buffers { input, output, scratch });
        }
        let parts = self.parts(cut, scratch)?;
        let (all, maps) = (0..geometry.output.height, &mut Whole::new(geometry, output));
        if cut.kept {
            self.keep(parts, cut.step, rows().map_err(Into::into)?, input, all, maps);
            return Ok(());
        }
        let Parts { band, decoder, words, copy } = parts;
        let (lanes, finishes) = (self.lanes, self.finishes);
        for first in all.step_by(cut.step) {
            let rows = rows().map_err(Into::into)?;
            lanes.enter(Pack { lanes, band: &band, geometry, first, input, copy: &mut *copy });
            let height = cut.step.min(geometry.output.height - first);
            let sweep = band.sweep(lanes, geometry, height, copy, finishes.common());
            let pixels = first * geometry.output.width..(first + height) * geometry.output.width;
            lanes.enter(Streamed { sweep, decoder, finishes, rows, words, maps: &mut *maps, pixels });
        }
        Ok(())
    }

    /// The best cut that a scratch of so many words has room for.
    fn cut(&self, words: usize) -> Result<Cut, KernelError> {
        let needed = self.work.words::<L>(Cut::LEAST).ok_or(KernelError::TooLarge)?;
        let too_short = KernelError::ScratchTooShort { needed, given: words };
        self.work.fitting::<L>(words, self.shares()).ok_or(too_short)
    }

    /// Shares of the work, one a thread; 1 when other threads would begin too late.
    fn shares(&self) -> usize {
        match self.threads {
            Threads::One => 1,
            #[cfg(feature = "rayon")]
            Threads::Pool => {
                let output = self.work.frame.geometry.output;
                // Products of a weight with a pixel. So many take some twenty microseconds, whatever the width of a
                // register; in fewer, another thread gains less than waking it, decoding once more and packing shared rows
                // twice cost.
                let least = L::PIXELS << 16;
                let enough = self.work.stored.saturating_mul(output.height * output.width) >= least;
                if enough { rayon::current_num_threads() } else { 1 }
            }
        }
    }

    /// Shares out the scratch of a share of a cut.
    fn parts<'s>(&self, cut: Cut, scratch: &'s mut [u32]) -> Result<Parts<'s, L>, KernelError> {
        let Work { frame, method, columns, .. } = self.work;
        let needed = self.work.words::<L>(Cut { shares: 1, ..cut }).ok_or(KernelError::TooLarge)?;
        let too_short = KernelError::ScratchTooShort { needed, given: scratch.len() };
        let band = frame.band::<L>(cut.step).ok_or(KernelError::TooLarge)?;
        let parts = scratch.split_at_mut_checked(frame.place_words());
        let (places, rest) = parts.ok_or(too_short.clone())?;
        let parts = rest.split_at_mut_checked(self.work.table_words::<L>(cut.kept));
        let (words, copy) = parts.ok_or(too_short.clone())?;
        let copy: &mut [L::Element] = bytemuck::cast_slice_mut(copy);
        let copy = copy.get_mut(..band.len).ok_or(too_short)?;
        table::places(&band, frame.geometry.input.channels, columns, places);
        let decoder = Decoder { lanes: self.lanes, method, columns, places };
        Ok(Parts { band, decoder, words, copy })
    }

    /// Decodes all rows first, and then convolves some rows of the output: those that `maps` begins with.
    fn keep(
        &self,
        parts: Parts<'_, L>,
        step: usize,
        rows: impl RowSource,
        input: &[i8],
        outputs: Range<usize>,
        maps: &mut impl Maps,
    ) {
        let (lanes, geometry, finishes) = (self.lanes, self.work.frame.geometry, self.finishes);
        let Parts { ref band, decoder, words, copy } = parts;
        let (starts, words) = words.split_at_mut(self.work.groups() + 1);
        lanes.enter(Decode { decoder, finishes, rows, starts: &mut *starts, words: &mut *words });
        for first in outputs.clone().step_by(step) {
            lanes.enter(Pack { lanes, band, geometry, first, input, copy: &mut *copy });
            let height = step.min(outputs.end - first);
            let sweep = band.sweep(lanes, geometry, height, copy, finishes.common());
            let before = (first - outputs.start) * geometry.output.width;
            let pixels = before..before + height * geometry.output.width;
            lanes.enter(Kept { sweep, decoder, starts, words, maps: &mut *maps, pixels });
        }
    }
}

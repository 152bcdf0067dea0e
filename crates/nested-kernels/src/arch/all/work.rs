//! The tasks that a convolution consists of, each run inside a backend's instructions.
use super::{
    Band,
    finishes::Finishes,
    lanes::{Lanes, Task},
    sweep::Sweep,
    table::{Decoder, Method},
};
use crate::{
    Geometry,
    rows::{DenseRows, RowSource},
};
use core::ops::Range;

/// Packs the band whose first output row is `first`.
pub(super) struct Pack<'a, L: Lanes> {
    pub(super) lanes: L,
    pub(super) band: &'a Band,
    pub(super) geometry: &'a Geometry,
    pub(super) first: usize,
    pub(super) input: &'a [i8],
    pub(super) copy: &'a mut [L::Element],
}

impl<L: Lanes> Task for Pack<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.band.fill(self.lanes, self.geometry, self.first, self.input, self.copy);
    }
}

/// Decodes all rows; `starts[g]..starts[g + 1]` are then the words of group `g`.
pub(super) struct Decode<'a, L, R> {
    pub(super) decoder: Decoder<'a, L>,
    pub(super) finishes: Finishes<'a>,
    pub(super) rows: R,
    pub(super) starts: &'a mut [u32],
    pub(super) words: &'a mut [u32],
}

impl<L: Lanes, R: RowSource> Task for Decode<'_, L, R> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (mut end, mut first) = (0, 0);
        for start in self.starts {
            *start = end as u32;
            let Some(words) = self.words.get_mut(end..) else { return };
            end += self.decoder.group(&mut self.rows, self.finishes, first, words, true).unwrap_or(0);
            first += self.decoder.method.rows();
        }
    }
}

/// Sweeps a group of rows over a stretch of a band; `maps` gives the output maps of its rows.
#[inline(always)]
fn sweep_group<'o, L: Lanes>(
    sweep: &Sweep<'_, L>,
    decoder: &Decoder<'_, L>,
    words: &[u32],
    maps: &mut impl Iterator<Item = &'o mut [i8]>,
) -> Option<()> {
    match decoder.method {
        Method::Alone => sweep.alone(words, maps.next()?),
        Method::Together => {
            let mut next = || maps.next().unwrap_or_default();
            let outputs = [next(), next(), next(), next()];
            sweep.together(decoder.places, words, outputs)
        }
    }
}

/// Output maps, or a part of each.
pub(super) trait Maps {
    /// These pixels of each of them, in order.
    fn each(&mut self, pixels: Range<usize>) -> impl Iterator<Item = &mut [i8]>;
}

/// Maps one behind the other.
pub(super) struct Whole<'a> {
    output: &'a mut [i8],
    /// Pixels of a map.
    map: usize,
}

impl<'a> Whole<'a> {
    pub(super) fn new(geometry: &Geometry, output: &'a mut [i8]) -> Self {
        Whole { output, map: (geometry.output.height * geometry.output.width).max(1) }
    }
}

impl Maps for Whole<'_> {
    #[inline(always)]
    fn each(&mut self, pixels: Range<usize>) -> impl Iterator<Item = &mut [i8]> {
        self.output.chunks_exact_mut(self.map).filter_map(move |map| map.get_mut(pixels.clone()))
    }
}

/// All groups over one band, whose tables are kept: over a stretch of it after the other.
pub(super) struct Kept<'a, L: Lanes, M> {
    pub(super) sweep: Sweep<'a, L>,
    pub(super) decoder: Decoder<'a, L>,
    pub(super) starts: &'a [u32],
    pub(super) words: &'a [u32],
    pub(super) maps: &'a mut M,
    /// Of the maps, those of the band.
    pub(super) pixels: Range<usize>,
}

impl<L: Lanes, M: Maps> Task for Kept<'_, L, M> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for sweep in self.sweep.stretches() {
            let mut maps = self.maps.each(self.pixels.clone());
            for pair in self.starts.windows(2) {
                let [start, end] = pair else { return };
                let words = self.words.get(*start as usize..*end as usize).unwrap_or(&[]);
                sweep_group(&sweep, &self.decoder, words, &mut maps);
            }
        }
    }
}

/// All groups over one band, each decoded just before it is swept.
pub(super) struct Streamed<'a, L: Lanes, R, M> {
    pub(super) sweep: Sweep<'a, L>,
    pub(super) decoder: Decoder<'a, L>,
    pub(super) finishes: Finishes<'a>,
    pub(super) rows: R,
    /// Room for one group.
    pub(super) words: &'a mut [u32],
    pub(super) maps: &'a mut M,
    /// Of the maps, those of the band.
    pub(super) pixels: Range<usize>,
}

impl<L: Lanes, R: RowSource, M: Maps> Task for Streamed<'_, L, R, M> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let (mut first, mut maps) = (0, self.maps.each(self.pixels));
        while let Some(used) = self.decoder.group(&mut self.rows, self.finishes, first, self.words, false) {
            sweep_group(&self.sweep, &self.decoder, self.words.get(..used).unwrap_or(&[]), &mut maps);
            first += self.decoder.method.rows();
        }
    }
}

/// A depthwise layer: each channel is a layer of one row.
pub(super) struct Channels<'a, L: Lanes> {
    pub(super) lanes: L,
    /// Of one channel.
    pub(super) geometry: &'a Geometry,
    pub(super) decoder: Decoder<'a, L>,
    pub(super) finishes: Finishes<'a>,
    pub(super) band: &'a Band,
    /// Output rows of a band.
    pub(super) step: usize,
    pub(super) weights: &'a [i8],
    pub(super) input: &'a [i8],
    /// Room for one row's table.
    pub(super) words: &'a mut [u32],
    /// Room for one band of one channel.
    pub(super) copy: &'a mut [L::Element],
    pub(super) output: &'a mut [i8],
}

impl<L: Lanes> Task for Channels<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let geometry = self.geometry;
        let mut rows = DenseRows::new(self.weights, self.decoder.columns);
        let channels = self.input.chunks_exact(geometry.input.len().max(1));
        let outputs = self.output.chunks_exact_mut(geometry.output.len().max(1));
        for (channel, (input, output)) in channels.zip(outputs).enumerate() {
            let Some(used) = self.decoder.group(&mut rows, self.finishes, channel, self.words, false) else {
                return;
            };
            let words = self.words.get(..used).unwrap_or(&[]);
            let bands = output.chunks_mut((self.step * geometry.output.width).max(1));
            for (band, output) in bands.enumerate() {
                self.band.fill(self.lanes, geometry, band * self.step, input, self.copy);
                let rows = output.len() / geometry.output.width.max(1);
                self.band.sweep(self.lanes, geometry, rows, self.copy, self.finishes.common()).alone(words, output);
            }
        }
    }
}

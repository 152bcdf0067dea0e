//! 1×1 kernels without stride or padding, on more than one pixel: rows are streamed past small tiles of the input, so that
//! an index is decoded as the activations that it names are read, and needs no table.
//!
//! A tile holds 8 pixels (or 4, of a smaller map) of all columns, a column's words together: a gap between two columns is
//! a constant step. Pixels are in pairs, as [`super::pack::Pairing::Pixels`] has them.
use super::{
    Bounds, clamp,
    pack::{self, Lane, Pairing},
};
use crate::{Geometry, KernelError, Scratch};
use nested_csr::{Block, ByteRing, Level, MAX_LEVELS, NodeParameters, Requantization, Weights};
use walk::Walk;

#[cfg(nested_kernels_backend = "dsp")]
#[path = "pointwise/assembly.rs"]
mod walk;
#[cfg(not(nested_kernels_backend = "dsp"))]
#[path = "pointwise/portable.rs"]
mod walk;

/// A row takes as many turns over the tiles as a table would make dearer.
const MOST_TILES: usize = 10;

/// How a map is cut into tiles.
#[derive(Clone, Copy, Debug)]
struct Tiles {
    columns: usize,
    /// Weights that share a gap: 1 or 2; 0 for weights of all columns.
    block: usize,
    /// Words of a column in a tile: 4 or 2.
    words: usize,
    /// Words of the whole map.
    extent: usize,
    /// From the first lane's pixels to the second's.
    shift: usize,
}

impl Tiles {
    fn new(geometry: &Geometry, block: usize) -> Tiles {
        let pixels = geometry.input.height * geometry.input.width;
        let extent = pixels.div_ceil(2);
        let words = if extent > 2 { 4 } else { 2 };
        Tiles { columns: geometry.input.channels, block, words, extent, shift: pixels - extent }
    }

    /// Words of a tile.
    fn len(&self) -> usize {
        self.columns * self.words
    }

    /// Tiles of the map.
    fn count(&self) -> usize {
        self.extent.div_ceil(self.words.max(1))
    }

    /// The first word of a tile; the last tile overlaps the one before it rather than being smaller.
    fn start(&self, tile: usize) -> usize {
        (tile * self.words).min(self.extent.saturating_sub(self.words))
    }

    /// Blocks of a whole row.
    #[cfg(nested_kernels_backend = "dsp")]
    fn blocks(&self) -> usize {
        self.columns / self.block.max(1)
    }

    /// Whether the map is smaller than a tile: outputs are then copied from a strip.
    fn narrow(&self) -> bool {
        self.extent < self.words
    }
}

/// Where rows come from.
#[derive(Clone, Debug)]
enum Rows<'a> {
    /// Weights of all columns.
    All(&'a [i8]),
    /// A byte a gap, in each of the rings up to the level.
    Rings([Option<ByteRing<'a>>; MAX_LEVELS], Block),
}

/// A layer for which rows are streamed.
#[derive(Clone, Debug)]
pub(super) struct Pointwise<'a> {
    rows: Rows<'a>,
    tiles: Tiles,
}

impl<'a> Pointwise<'a> {
    /// `None` when this is no such layer, or when its weights are not stored so that they can be streamed.
    pub(super) fn new(weights: &Weights<'a>, level: Level, geometry: &Geometry) -> Option<Self> {
        let window = geometry.window;
        let flat = window.kernel == [1, 1] && window.stride == 1 && window.padding == Default::default();
        if !flat || geometry.output.height * geometry.output.width == 1 {
            return None;
        }
        let rows = rows(weights, level, geometry)?;
        let block = match &rows {
            Rows::All(_) => 0,
            Rows::Rings(_, block) => block.width(),
        };
        let tiles = Tiles::new(geometry, block);
        (tiles.count() <= MOST_TILES).then_some(Pointwise { rows, tiles })
    }

    /// Words for one tile, and for all.
    pub(super) fn scratch(&self) -> Scratch {
        let words = self.tiles.len();
        Scratch { minimum: words, preferred: words * self.tiles.count() }
    }

    /// Every output.
    pub(super) fn convolve(
        &self,
        parameters: &NodeParameters<'_>,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        let Tiles { columns, .. } = self.tiles;
        let bounds = Bounds::new(parameters);
        let pixels = input.len() / columns.max(1);
        let most = scratch.len() / self.tiles.len().max(1);
        if most == 0 {
            return Err(KernelError::ScratchTooShort { needed: self.tiles.len(), given: scratch.len() });
        }
        let count = self.tiles.count();
        let mut walk = Walk::new(self.tiles, bounds.zero_point);
        let mut first = 0;
        while first < count {
            let band = first..count.min(first + most);
            self.pack(band.clone(), pixels, input, scratch);
            self.walk_rows(band, pixels, parameters, &mut walk, scratch, output);
            first += most;
        }
        clamp::clamp(output, bounds);
        Ok(())
    }

    /// Packs some tiles.
    fn pack(&self, band: core::ops::Range<usize>, pixels: usize, input: &[i8], scratch: &mut [u32]) {
        let Tiles { columns, words, .. } = self.tiles;
        for (tile, packed) in band.zip(scratch.chunks_exact_mut(self.tiles.len().max(1))) {
            let start = self.tiles.start(tile);
            let lanes = [start, start + self.tiles.shift].map(|at| input.get(at..).unwrap_or_default());
            if words == 4 && !self.tiles.narrow() {
                let lanes = lanes.map(|pixels_of| Lane { pixels: pixels_of, step: pixels });
                pack::columns_of_four(lanes, columns, packed);
                continue;
            }
            let real = self.tiles.extent.min(words);
            for (column, cells) in packed.chunks_exact_mut(words.max(1)).enumerate() {
                let [low, high] = lanes.map(|lane| lane.get(column * pixels..).unwrap_or_default());
                for (cell, (a, b)) in cells.iter_mut().zip(low.iter().zip(high)).take(real) {
                    *cell = Pairing::Pixels.word(*a, *b);
                }
            }
        }
    }

    /// Every row's outputs in some tiles.
    fn walk_rows(
        &self,
        band: core::ops::Range<usize>,
        pixels: usize,
        parameters: &NodeParameters<'_>,
        walk: &mut Walk<'a>,
        packed: &[u32],
        output: &mut [i8],
    ) {
        let mut planes = output.chunks_exact_mut(pixels.max(1));
        let narrow = parameters.narrow;
        match &self.rows {
            Rows::All(weights) => {
                let mut rows = weights.chunks_exact(self.tiles.columns.max(1));
                parameters.rows.each(|row| {
                    if let (Some(weights), Some(plane)) = (rows.next(), planes.next()) {
                        walk.begin();
                        walk.push(&[], bytemuck::cast_slice(weights));
                        self.walk_row(&band, row, narrow, walk, packed, plane);
                    }
                });
            }
            Rows::Rings(rings, block) => {
                let mut rings = *rings;
                let width = block.width();
                parameters.rows.each(|row| {
                    if let Some(plane) = planes.next() {
                        walk.begin();
                        for ring in rings.iter_mut().map_while(|ring| ring.as_mut()) {
                            let count = ring.next_count();
                            let Some((gaps, gaps_left)) = ring.gaps.split_at_checked(count) else { return };
                            let Some((weights, left)) = ring.weights.split_at_checked(count * width) else { return };
                            (ring.gaps, ring.weights) = (gaps_left, left);
                            walk.push(gaps, weights);
                        }
                        self.walk_row(&band, row, narrow, walk, packed, plane);
                    }
                });
            }
        }
    }

    /// One row's outputs in some tiles.
    #[inline(never)]
    fn walk_row(
        &self,
        band: &core::ops::Range<usize>,
        row: Requantization,
        narrow: bool,
        walk: &mut Walk<'a>,
        packed: &[u32],
        plane: &mut [i8],
    ) {
        let Tiles { extent, words, shift, .. } = self.tiles;
        // The multiplier of lane 0, which comes in the upper 24 bits of a word, is taken without its lowest byte.
        let wide = !narrow || row.multiplier.m() & 0xff != 0;
        if self.tiles.narrow() {
            let mut strip = [0; 8];
            walk.row(packed, 1, row, wide, [0, 4], &mut strip);
            for (lane, from) in [(&strip[..4], 0), (&strip[4..], shift)] {
                let cells = plane.iter_mut().skip(from).zip(lane).take(extent);
                cells.for_each(|(cell, value)| *cell = *value);
            }
            return;
        }
        // The last tile may overlap the one before it: outputs computed twice are the same.
        let whole = (extent / words.max(1)).min(band.end).saturating_sub(band.start);
        if whole > 0 {
            let start = band.start * words;
            walk.row(packed, whole, row, wide, [start, start + shift], plane);
        }
        if whole < band.len() {
            let start = self.tiles.start(band.end - 1);
            let packed = packed.get(whole * self.tiles.len()..).unwrap_or_default();
            walk.row(packed, 1, row, wide, [start, start + shift], plane);
        }
    }
}

/// The rows of a layer, when they can be streamed.
fn rows<'a>(weights: &Weights<'a>, level: Level, geometry: &Geometry) -> Option<Rows<'a>> {
    let matrix = match weights {
        Weights::Dense(weights) => return Some(Rows::All(weights)),
        Weights::Sparse(matrix) => matrix,
    };
    let columns = geometry.input.channels;
    let width = matrix.block().width();
    let mut rings = [None; MAX_LEVELS];
    for (slot, level) in rings.iter_mut().zip(level.up_to()) {
        let ring = matrix.byte_ring(level).ok()??;
        if level == Level::FIRST && ring.weights.len() == geometry.output.channels * columns {
            // All weights are in the first ring.
            return Some(Rows::All(bytemuck::cast_slice(ring.weights)));
        }
        // As many gaps as blocks: no gap has two bytes, and no block is alone.
        if !columns.is_multiple_of(width) || ring.gaps.len() * width != ring.weights.len() {
            return None;
        }
        *slot = Some(ring);
    }
    Some(Rows::Rings(rings, matrix.block()))
}

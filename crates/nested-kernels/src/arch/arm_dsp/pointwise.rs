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
use core::ops::Range;
use nested_csr::{ByteRing, Level, MAX_LEVELS, NodeParameters, Shape, Weights};

#[cfg(nested_kernels_backend = "dsp")]
#[path = "pointwise/assembly.rs"]
mod walk;
#[cfg(not(nested_kernels_backend = "dsp"))]
#[path = "pointwise/portable.rs"]
mod walk;

/// A row takes as many turns over the tiles as a table would make dearer.
const MOST_TILES: usize = 4;

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

    /// Whether the map is shorter than a tile: outputs are then copied from a strip.
    fn is_short(&self) -> bool {
        self.extent < self.words
    }
}

/// Where rows come from.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "without an allocator there is nothing to put the rings in")]
enum Rows<'a> {
    /// Weights of all columns.
    All(&'a [i8]),
    /// A byte a gap, in each of the rings up to the level.
    Rings([Option<ByteRing<'a>>; MAX_LEVELS]),
}

/// Where the outputs of some tiles go.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// Tiles that do not overlap; at least 1.
    whole: usize,
    /// Outputs that one more tile has in common with the last of them; 0 when there is none.
    overlap: usize,
    /// Each lane's first output in a row's plane.
    outputs: [usize; 2],
    /// Outputs of a row.
    plane: usize,
}

#[cfg(nested_kernels_backend = "dsp")]
impl Target {
    /// Copies the outputs of a map smaller than a tile, a lane in each half of the strip.
    fn copy(&self, strip: &[i8; 8], tiles: &Tiles, plane: &mut [i8]) {
        for (lane, from) in strip.as_chunks::<4>().0.iter().zip(self.outputs) {
            let cells = plane.iter_mut().skip(from).zip(lane).take(tiles.extent);
            cells.for_each(|(cell, value)| *cell = *value);
        }
    }
}

/// A layer for which rows are streamed.
#[derive(Clone, Debug)]
pub(super) struct Pointwise<'a> {
    rows: Rows<'a>,
    /// Rows.
    #[cfg(nested_kernels_backend = "dsp")]
    count: usize,
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
        let (rows, block) = rows(weights, level, geometry)?;
        let tiles = Tiles::new(geometry, block);
        (tiles.count() <= MOST_TILES).then_some(Pointwise {
            rows,
            #[cfg(nested_kernels_backend = "dsp")]
            count: geometry.output.channels,
            tiles,
        })
    }

    /// Whether the weights are of all columns.
    pub(super) fn is_dense(&self) -> bool {
        matches!(self.rows, Rows::All(_))
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
        let tiles = &self.tiles;
        let plane = input.len() / tiles.columns.max(1);
        let most = scratch.len() / tiles.len().max(1);
        if most == 0 {
            return Err(KernelError::ScratchTooShort { needed: tiles.len(), given: scratch.len() });
        }
        let count = tiles.count();
        let mut first = 0;
        while first < count {
            let band = first..count.min(first + most);
            self.pack(band.clone(), plane, input, scratch);
            if !walk::walk(self, &self.target(band, plane), parameters, scratch, output) {
                return Err(KernelError::WeightsChanged);
            }
            first += most;
        }
        clamp::clamp(output, Bounds::new(parameters));
        Ok(())
    }

    /// Where the outputs of a band go.
    fn target(&self, band: Range<usize>, plane: usize) -> Target {
        let Tiles { extent, words, shift, .. } = self.tiles;
        // A last tile that overlaps the one before it: outputs computed twice are the same.
        let overlapping = band.len() > 1 && band.end * words > extent;
        let start = self.tiles.start(band.start);
        Target {
            whole: band.len() - usize::from(overlapping),
            overlap: if overlapping { band.end * words - extent } else { 0 },
            outputs: [start, start + shift],
            plane,
        }
    }

    /// Packs some tiles.
    fn pack(&self, band: Range<usize>, pixels: usize, input: &[i8], scratch: &mut [u32]) {
        let Tiles { columns, words, .. } = self.tiles;
        if (words, pixels) == (2, 4) {
            // The whole map is one tile.
            let columns = scratch.as_chunks_mut::<2>().0.iter_mut().zip(input.as_chunks::<4>().0);
            columns.for_each(|(cells, [a, b, c, d])| {
                *cells = [Pairing::Pixels.word(*a, *c), Pairing::Pixels.word(*b, *d)];
            });
            return;
        }
        for (tile, packed) in band.zip(scratch.chunks_exact_mut(self.tiles.len().max(1))) {
            let start = self.tiles.start(tile);
            let lanes = [start, start + self.tiles.shift].map(|at| input.get(at..).unwrap_or_default());
            if words == 4 && !self.tiles.is_short() {
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
}

/// The rows of a layer, when they can be streamed, and the weights that share a gap.
fn rows<'a>(weights: &Weights<'a>, level: Level, geometry: &Geometry) -> Option<(Rows<'a>, usize)> {
    let matrix = match weights {
        Weights::Dense(weights) => return Some((Rows::All(weights), 0)),
        Weights::Sparse(matrix) => matrix,
        _ => return None,
    };
    let columns = geometry.input.channels;
    if matrix.shape() != (Shape { rows: geometry.output.channels, columns }) {
        return None;
    }
    let width = matrix.block().width();
    let mut rings = [None; MAX_LEVELS];
    for (slot, level) in rings.iter_mut().zip(level.up_to()) {
        let ring = matrix.byte_ring(level).ok()??;
        if level == Level::FIRST && ring.weights.len() == geometry.output.channels * columns {
            // All weights are in the first ring.
            return Some((Rows::All(bytemuck::cast_slice(ring.weights)), 0));
        }
        // As many gaps as blocks: no gap has two bytes, and no block is alone.
        let counts = usize::from(ring.count_width) * matrix.shape().rows;
        let counted = ring.count_width <= 2 && ring.counts.len() >= counts;
        if !counted || !columns.is_multiple_of(width) || ring.gaps.len() * width != ring.weights.len() {
            return None;
        }
        *slot = Some(ring);
    }
    Some((Rows::Rings(rings), width))
}

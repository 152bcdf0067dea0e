//! What the assembly does, in Rust.
use super::{Pointwise, Rows, Target};
use nested_csr::{MAX_LEVELS, NodeParameters, Requantization};

/// Gaps (none for all columns) and weights of a row in one ring.
type Run<'a> = (&'a [u8], &'a [u8]);

/// Every row's outputs in some tiles. False when some run leads out of its ring.
#[must_use]
pub(super) fn walk(
    layer: &Pointwise<'_>,
    target: &Target,
    parameters: &NodeParameters<'_>,
    packed: &[u32],
    output: &mut [i8],
) -> bool {
    let mut whole = true;
    let mut planes = output.chunks_exact_mut(target.plane.max(1));
    let zero_point = parameters.zero_point.into();
    let row = |runs: &[Run<'_>], row, plane: Option<&mut [i8]>| {
        if let Some(plane) = plane {
            Row { runs, row, zero_point, block: layer.tiles.block }.walk(layer, target, packed, plane);
        }
    };
    match &layer.rows {
        Rows::All(weights) => {
            let mut rows = weights.chunks_exact(layer.tiles.columns.max(1));
            parameters.rows.each(|requantization| {
                let weights = bytemuck::cast_slice(rows.next().unwrap_or_default());
                row(&[(&[], weights)], requantization, planes.next());
            });
        }
        Rows::Rings(rings) => {
            let mut rings = *rings;
            parameters.rows.each(|requantization| {
                let mut runs: [Run<'_>; MAX_LEVELS] = [(&[], &[]); MAX_LEVELS];
                for (run, ring) in runs.iter_mut().zip(rings.iter_mut().flatten()) {
                    let count = ring.next_count();
                    let gaps = ring.gaps.split_at_checked(count);
                    let weights = ring.weights.split_at_checked(count * layer.tiles.block);
                    if let Some(((gaps, gaps_left), (weights, weights_left))) = gaps.zip(weights) {
                        (ring.gaps, ring.weights) = (gaps_left, weights_left);
                        *run = (gaps, weights);
                    } else {
                        whole = false;
                    }
                }
                row(&runs, requantization, planes.next());
            });
        }
    }
    whole
}

/// One row.
struct Row<'a> {
    runs: &'a [Run<'a>],
    row: Requantization,
    zero_point: i32,
    block: usize,
}

impl Row<'_> {
    fn walk(&self, layer: &Pointwise<'_>, target: &Target, packed: &[u32], plane: &mut [i8]) {
        let tiles = &layer.tiles;
        let count = target.whole + usize::from(target.overlap > 0);
        for (index, tile) in packed.chunks_exact(tiles.len().max(1)).take(count).enumerate() {
            let back = if index == target.whole { target.overlap } else { 0 };
            let at = target.outputs.map(|output| output + index * tiles.words - back);
            match tiles.words {
                4 => self.tile::<4>(tile.as_chunks().0, tiles.extent, at, plane),
                _ => self.tile::<2>(tile.as_chunks().0, tiles.extent, at, plane),
            }
        }
    }

    fn tile<const WORDS: usize>(&self, tile: &[[u32; WORDS]], extent: usize, at: [usize; 2], plane: &mut [i8]) {
        let mut sums = Sums { lanes: [[self.row.bias; 2]; WORDS], words: [LANES; WORDS] };
        for (gaps, weights) in self.runs {
            match self.block {
                0 => sums.all(tile, weights),
                1 => sums.some::<1>(tile, gaps, weights.as_chunks().0),
                _ => sums.some::<2>(tile, gaps, weights.as_chunks().0),
            }
        }
        let lanes: [fn([i32; 2]) -> i32; 2] = [|[low, _]| low, |[_, high]| high];
        for (lane, at) in lanes.into_iter().zip(at) {
            let finish = |sum| self.row.multiplier.apply(sum).wrapping_add(self.zero_point).clamp(-128, 127) as i8;
            let outputs = sums.lanes.map(|sums| finish(lane(sums)));
            let cells = plane.get_mut(at..).unwrap_or_default();
            match cells.first_chunk_mut() {
                Some(cells) if WORDS <= extent => *cells = outputs,
                _ => cells.iter_mut().zip(outputs).take(extent).for_each(|(cell, output)| *cell = output),
            }
        }
    }
}

/// What both lanes of a word begin with: lane 0 never borrows from lane 1.
const LANES: i64 = 1 << 23;
/// Weights for which lane 0 needs no more than its 24 bits.
const CHUNK: usize = 256;

/// A tile's sums, and its words' sums since the last chunk.
struct Sums<const WORDS: usize> {
    lanes: [[i32; 2]; WORDS],
    words: [i64; WORDS],
}

impl<const WORDS: usize> Sums<WORDS> {
    fn all(&mut self, tile: &[[u32; WORDS]], weights: &[u8]) {
        for (tile, weights) in tile.chunks(CHUNK).zip(weights.chunks(CHUNK)) {
            // Apart from the products: a 32-bit core has registers for the sums of four words and for little else.
            products(&mut self.words, tile, weights);
            self.spill(sum_of(weights));
        }
    }

    fn some<const BLOCK: usize>(&mut self, tile: &[[u32; WORDS]], gaps: &[u8], weights: &[[u8; BLOCK]]) {
        let mut place = 0;
        for (gaps, weights) in gaps.chunks(CHUNK / BLOCK).zip(weights.chunks(CHUNK / BLOCK)) {
            let mut sum = 0;
            for (gap, weights) in gaps.iter().zip(weights) {
                place += usize::from(*gap) * BLOCK;
                for weight in weights {
                    let weight = weight.cast_signed();
                    if let Some(words) = tile.get(place) {
                        self.add(words, weight);
                    }
                    sum += i32::from(weight);
                    place += 1;
                }
            }
            self.spill(sum);
        }
    }

    #[inline(always)]
    fn add(&mut self, words: &[u32; WORDS], weight: i8) {
        for (sum, word) in self.words.iter_mut().zip(words) {
            *sum = sum.wrapping_add(i64::from(weight) * i64::from(word.cast_signed()));
        }
    }

    /// Adds both lanes of a chunk, whose weights add up to `sum`, and begins anew.
    fn spill(&mut self, sum: i32) {
        for (words, [low, high]) in self.words.iter_mut().zip(&mut self.lanes) {
            // The activations of lane 0 have a bias of 128.
            *low = low.wrapping_add((*words as i32 & 0xff_ffff) - LANES as i32 - 128 * sum);
            *high = high.wrapping_add((*words >> 24) as i32);
            *words = LANES;
        }
    }
}

/// Adds the products of weights with the words of as many columns.
#[inline(never)]
fn products<const WORDS: usize>(sums: &mut [i64; WORDS], tile: &[[u32; WORDS]], weights: &[u8]) {
    let Some(tile) = tile.get(..weights.len()) else { return };
    let (mut all, mut words) = (*sums, tile.as_ptr());
    for weight in weights {
        // SAFETY: there are as many words as weights.
        for (sum, word) in all.iter_mut().zip(unsafe { *words }) {
            *sum = sum.wrapping_add(i64::from(weight.cast_signed()) * i64::from(word.cast_signed()));
        }
        words = words.wrapping_add(1);
    }
    *sums = all;
}

/// The sum of at most [`CHUNK`] weights: two 16-bit sums at a time, of weights from 0 on.
#[inline(never)]
fn sum_of(weights: &[u8]) -> i32 {
    let (words, rest) = weights.as_chunks::<4>();
    let halves = words.iter().fold(0, |halves, word| {
        let word = u32::from_le_bytes(*word) ^ 0x8080_8080;
        halves + (word & 0x00ff_00ff) + (word >> 8 & 0x00ff_00ff)
    });
    let rest: i32 = rest.iter().map(|weight| i32::from(weight.cast_signed())).sum();
    ((halves & 0xffff) + (halves >> 16)) as i32 - 128 * 4 * words.len() as i32 + rest
}

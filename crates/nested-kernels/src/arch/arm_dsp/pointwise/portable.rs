//! What the assembly does, in Rust.
use super::Tiles;
use nested_csr::{MAX_LEVELS, Requantization};

/// Walks rows, one after another, over the same tiles.
pub(super) struct Walk<'a> {
    tiles: Tiles,
    zero_point: i32,
    /// Gaps and weights.
    runs: [(&'a [u8], &'a [u8]); MAX_LEVELS],
    count: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(tiles: Tiles, zero_point: i8) -> Self {
        Walk { tiles, zero_point: zero_point.into(), runs: [(&[], &[]); MAX_LEVELS], count: 0 }
    }

    /// Begins a row that has no weights yet.
    pub(super) fn begin(&mut self) {
        self.count = 0;
    }

    /// Adds a run; `gaps` is empty for a run of all columns.
    pub(super) fn push(&mut self, gaps: &'a [u8], weights: &'a [u8]) {
        if let Some(run) = self.runs.get_mut(self.count) {
            *run = (gaps, weights);
            self.count += 1;
        }
    }

    /// Writes the outputs of `count` tiles from the start of `packed`, at `outputs` for each lane.
    pub(super) fn row(
        &mut self,
        packed: &[u32],
        count: usize,
        row: Requantization,
        _wide: bool,
        outputs: [usize; 2],
        plane: &mut [i8],
    ) {
        let tiles = packed.chunks_exact(self.tiles.len().max(1)).take(count).enumerate();
        for (index, tile) in tiles {
            let at = outputs.map(|output| output + index * self.tiles.words);
            match self.tiles.words {
                4 => self.tile::<4>(tile.as_chunks().0, row, at, plane),
                _ => self.tile::<2>(tile.as_chunks().0, row, at, plane),
            }
        }
    }

    fn tile<const WORDS: usize>(&self, tile: &[[u32; WORDS]], row: Requantization, at: [usize; 2], plane: &mut [i8]) {
        let mut sums = [[row.bias; 2]; WORDS];
        let (mut lanes, mut held) = ([1i64 << 23; WORDS], 0);
        for (gaps, weights) in self.runs.iter().take(self.count) {
            let mut place = 0;
            for (index, weights) in weights.chunks(self.tiles.block.max(1)).enumerate() {
                if self.tiles.block > 0 {
                    place += gaps.get(index).map_or(0, |gap| usize::from(*gap)) * self.tiles.block;
                }
                for weight in weights {
                    let weight = i64::from(weight.cast_signed());
                    let words = tile.get(place).unwrap_or(&[0; WORDS]);
                    for (lanes, word) in lanes.iter_mut().zip(words) {
                        *lanes = lanes.wrapping_add(weight * i64::from(word.cast_signed()));
                    }
                    sums.iter_mut().for_each(|[low, _]| *low = low.wrapping_sub(128 * weight as i32));
                    place += 1;
                    held += 1;
                    if held == 256 {
                        spill(&mut lanes, &mut sums);
                        held = 0;
                    }
                }
            }
        }
        spill(&mut lanes, &mut sums);
        for (lane, at) in at.into_iter().enumerate() {
            for (cell, sum) in plane.iter_mut().skip(at).zip(&sums) {
                let scaled = row.multiplier.apply(sum[lane]).wrapping_add(self.zero_point);
                *cell = scaled.clamp(-128, 127) as i8;
            }
        }
    }
}

/// Adds both lanes to their sums and begins anew.
fn spill<const WORDS: usize>(lanes: &mut [i64; WORDS], sums: &mut [[i32; 2]; WORDS]) {
    for (lanes, [low, high]) in lanes.iter_mut().zip(sums) {
        *low = low.wrapping_add((*lanes as i32 & 0xff_ffff) - (1 << 23));
        *high = high.wrapping_add((*lanes >> 24) as i32);
        *lanes = 1 << 23;
    }
}

//! What the assembly does, in Rust.
use super::{Pointwise, Rows, Target};
use nested_csr::{MAX_LEVELS, NodeParameters, Requantization};

/// Gaps (none for all columns) and weights of a row in one ring.
type Run<'a> = (&'a [u8], &'a [u8]);

/// Every row's outputs in some tiles.
pub(super) fn walk(
    layer: &Pointwise<'_>,
    target: &Target,
    parameters: &NodeParameters<'_>,
    packed: &[u32],
    output: &mut [i8],
) {
    let mut planes = output.chunks_exact_mut(target.plane.max(1));
    let zero_point = parameters.output.zero_point.into();
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
        Rows::Rings(rings, _) => {
            let mut rings = *rings;
            parameters.rows.each(|requantization| {
                let mut runs: [Run<'_>; MAX_LEVELS] = [(&[], &[]); MAX_LEVELS];
                for (run, ring) in runs.iter_mut().zip(rings.iter_mut().flatten()) {
                    let count = ring.next_count();
                    let Some((gaps, gaps_left)) = ring.gaps.split_at_checked(count) else { return };
                    let Some((weights, left)) = ring.weights.split_at_checked(count * layer.tiles.block) else {
                        return;
                    };
                    (ring.gaps, ring.weights) = (gaps_left, left);
                    *run = (gaps, weights);
                }
                row(&runs, requantization, planes.next());
            });
        }
    }
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
        let mut sums = [[self.row.bias; 2]; WORDS];
        let (mut lanes, mut held) = ([1i64 << 23; WORDS], 0);
        for (gaps, weights) in self.runs {
            let mut place = 0;
            for (index, weights) in weights.chunks(self.block.max(1)).enumerate() {
                place += gaps.get(index).map_or(0, |gap| usize::from(*gap)) * self.block;
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
            for (cell, sum) in plane.iter_mut().skip(at).zip(&sums).take(extent) {
                let scaled = self.row.multiplier.apply(sum[lane]).wrapping_add(self.zero_point);
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

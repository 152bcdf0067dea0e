//! One weight row over all pixels of a band.
use super::{
    Band, Taps,
    lanes::{Lanes, WIDEST},
};
use crate::{Geometry, requant::Finish, rows::RowSource};

/// What the sweep of a row needs.
pub(super) struct Sweep<'a, L> {
    pub(super) lanes: L,
    pub(super) band: &'a Band,
    pub(super) geometry: &'a Geometry,
    /// The band's first output row.
    pub(super) first: usize,
    pub(super) copy: &'a [i16],
    /// Room for one row: `offset · 2⁸ + weight`.
    pub(super) table: &'a mut [u32],
}

impl<L: Lanes> Sweep<'_, L> {
    /// Decodes the next row and writes its pixels of this band into the channel's output map. `None` after the last row.
    #[inline(always)]
    pub(super) fn row(&mut self, rows: &mut impl RowSource, finish: Finish, output: &mut [i8]) -> Option<()> {
        let filled = self.decode(rows)?;
        let table = self.table.get(..filled)?;
        let width = self.geometry.output.width;
        let pitch = self.band.pitch();
        let rest = output.get_mut(self.first * width..)?;
        let mut lines = Lines { line: &mut [], rest, width, pitch, x: pitch };
        let mut start = 0;
        while start < self.band.positions {
            let copy = self.copy.get(start..)?;
            let left = self.band.positions - start;
            // Small maps end in a short tile rather than in dropped pixels.
            start += match left.div_ceil(L::PIXELS) {
                0 | 1 => lines.sweep::<L, 1>(self.lanes, copy, table, &finish, left),
                2 => lines.sweep::<L, 2>(self.lanes, copy, table, &finish, left),
                _ => lines.sweep::<L, 4>(self.lanes, copy, table, &finish, left),
            };
        }
        Some(())
    }

    /// Fills the table from the next row; the number of its weights.
    fn decode(&mut self, rows: &mut impl RowSource) -> Option<usize> {
        let mut taps = Taps::new(self.geometry.input.channels);
        let (band, step) = (self.band, self.band.channel_step());
        let (mut tap, mut offset) = (usize::MAX, 0);
        let mut filled = 0;
        let table = &mut *self.table;
        rows.next_row_into(&mut |column: usize, weight: i8| {
            let (now, channel) = taps.split(column);
            if now != tap {
                tap = now;
                offset = band.tap(now);
            }
            if let Some(entry) = table.get_mut(filled) {
                *entry = ((offset + channel * step) as u32) << 8 | u32::from(weight as u8);
                filled += 1;
            }
        })?;
        Some(filled)
    }
}

/// The output rows of a band, written in the order of the flat sweep, which is `pitch` wide.
struct Lines<'a> {
    line: &'a mut [i8],
    rest: &'a mut [i8],
    width: usize,
    pitch: usize,
    /// Where the sweep is in the present line.
    x: usize,
}

impl Lines<'_> {
    /// Sweeps one tile of `R` registers, of which `left` pixels are in the band, and writes it. The number of its pixels.
    #[inline(always)]
    fn sweep<L: Lanes, const R: usize>(
        &mut self,
        lanes: L,
        copy: &[i16],
        table: &[u32],
        finish: &Finish,
        left: usize,
    ) -> usize {
        let mut sums = [0; WIDEST];
        for (sums, tile) in sums.chunks_exact_mut(L::PIXELS).zip(tile::<L, R>(lanes, copy, table, finish.bias)) {
            lanes.store(tile, sums);
        }
        let mut pixels = [0; WIDEST];
        for (pixel, sum) in pixels.iter_mut().zip(&sums).take(R * L::PIXELS) {
            *pixel = finish.apply(*sum);
        }
        self.write(pixels.get(..left.min(R * L::PIXELS)).unwrap_or(&pixels));
        R * L::PIXELS
    }

    /// Writes the next pixels of the sweep, without those beyond the width.
    fn write(&mut self, mut pixels: &[i8]) {
        while !pixels.is_empty() {
            if self.x == self.pitch {
                let rest = core::mem::take(&mut self.rest);
                let Some((line, rest)) = rest.split_at_mut_checked(self.width) else { return };
                (self.line, self.rest, self.x) = (line, rest, 0);
            }
            let (now, later) = pixels.split_at(pixels.len().min(self.pitch - self.x));
            let real = now.len().min(self.width.saturating_sub(self.x));
            if let (Some(to), Some(from)) = (self.line.get_mut(self.x..self.x + real), now.get(..real)) {
                to.copy_from_slice(from);
            }
            self.x += now.len();
            pixels = later;
        }
    }
}

/// The sums of the `R` registers of pixels from the start of `copy` on: two weights at a time.
#[inline(always)]
fn tile<L: Lanes, const R: usize>(lanes: L, copy: &[i16], table: &[u32], bias: i32) -> [L::Sums; R] {
    let mut sums = [lanes.splat(bias); R];
    let (pairs, last) = table.as_chunks::<2>();
    for [one, two] in pairs {
        sums = add(lanes, sums, copy, [*one, *two], *two as u8 as i8);
    }
    if let [one] = last {
        sums = add(lanes, sums, copy, [*one, *one], 0);
    }
    sums
}

/// Adds the products of two entries of the table; the second one's weight is given apart.
// A function that is always inlined, not a closure: only so do the instructions of a backend end up inside its own code.
#[inline(always)]
fn add<L: Lanes, const R: usize>(
    lanes: L,
    mut sums: [L::Sums; R],
    copy: &[i16],
    [one, two]: [u32; 2],
    second: i8,
) -> [L::Sums; R] {
    let (first, other) = ((one >> 8) as usize, (two >> 8) as usize);
    let len = R * L::PIXELS;
    let (Some(first), Some(other)) = (copy.get(first..first + len), copy.get(other..other + len)) else { return sums };
    let weights = lanes.weights(one as u8 as i8, second);
    let registers = first.chunks_exact(L::PIXELS).zip(other.chunks_exact(L::PIXELS));
    for (sums, (first, other)) in sums.iter_mut().zip(registers) {
        *sums = lanes.multiply_add(*sums, first, other, weights);
    }
    sums
}

//! One weight row over all pixels of a band.
use super::{Band, Taps};
use crate::{Geometry, requant::Finish, rows::RowSource};

/// Pixels whose accumulators stay in registers while a table is swept.
pub(super) const TILE: usize = 32;

/// What the sweep of a row needs.
pub(super) struct Sweep<'a> {
    pub(super) band: &'a Band,
    pub(super) geometry: &'a Geometry,
    /// The band's first output row.
    pub(super) first: usize,
    pub(super) copy: &'a [i16],
    /// Room for one row: `offset · 2⁸ + weight`.
    pub(super) table: &'a mut [u32],
}

impl Sweep<'_> {
    /// Decodes the next row and writes its pixels of this band into the channel's output map. `None` after the last row.
    pub(super) fn row(&mut self, rows: &mut impl RowSource, finish: Finish, output: &mut [i8]) -> Option<()> {
        let filled = self.decode(rows)?;
        let table = self.table.get(..filled)?;
        let width = self.geometry.output.width;
        let mut lines = Lines {
            line: &mut [],
            rest: output.get_mut(self.first * width..)?,
            width,
            pitch: self.band.pitch(),
            x: self.band.pitch(),
        };
        let mut start = 0;
        while start < self.band.positions {
            let copy = self.copy.get(start..)?;
            let left = self.band.positions - start;
            // Small maps end in a short tile rather than in dropped pixels.
            start += match left > TILE / 2 {
                true => lines.sweep::<TILE>(copy, table, &finish, left),
                false => lines.sweep::<{ TILE / 2 }>(copy, table, &finish, left),
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
        rows.next_row(|column, weight| {
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
    /// Sweeps one tile, of which `left` pixels are in the band, and writes it. The number of its pixels.
    #[inline(always)]
    fn sweep<const N: usize>(&mut self, copy: &[i16], table: &[u32], finish: &Finish, left: usize) -> usize {
        let pixels = tile::<N>(copy, table, finish.bias).map(|accumulator| finish.apply(accumulator));
        self.write(pixels.get(..left).unwrap_or(&pixels));
        N
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
            if let Some(line) = self.line.get_mut(self.x..) {
                line.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
            }
            self.x += now.len();
            pixels = later;
        }
    }
}

/// The accumulators of the `N` pixels from the start of `copy` on.
#[inline(always)]
fn tile<const N: usize>(copy: &[i16], table: &[u32], bias: i32) -> [i32; N] {
    let mut accumulators = [bias; N];
    for entry in table {
        let weight = i32::from(*entry as u8 as i8);
        if let Some(values) = copy.get((entry >> 8) as usize..).and_then(|values| values.first_chunk::<N>()) {
            for (accumulator, value) in accumulators.iter_mut().zip(values) {
                *accumulator = accumulator.wrapping_add(weight * i32::from(*value));
            }
        }
    }
    accumulators
}

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
        let pitch = self.band.pitch();
        let mut lines = output.chunks_exact_mut(width).skip(self.first).take(self.band.rows);
        let mut line = lines.next()?;
        let mut x = 0;
        for start in (0..self.band.positions).step_by(TILE) {
            let tile = tile(self.copy.get(start..)?, table, finish.bias).map(|acc| finish.apply(acc));
            let mut rest = tile.get(..(self.band.positions - start).min(TILE))?;
            while !rest.is_empty() {
                if x == pitch {
                    x = 0;
                    line = lines.next()?;
                }
                let (now, later) = rest.split_at(rest.len().min(pitch - x));
                if let Some(to) = line.get_mut(x..) {
                    to.iter_mut().zip(now).for_each(|(to, from)| *to = *from);
                }
                x += now.len();
                rest = later;
            }
        }
        Some(())
    }

    /// Fills the table from the next row; the number of its weights.
    fn decode(&mut self, rows: &mut impl RowSource) -> Option<usize> {
        let [_, kernel_width] = self.geometry.window.kernel.map(usize::from);
        let mut taps = Taps::new(self.geometry.input.channels);
        let (band, step) = (self.band, self.band.channel_step());
        let (mut tap, mut offset) = (usize::MAX, 0);
        let mut filled = 0;
        let table = &mut *self.table;
        rows.next_row(|column, weight| {
            let (now, channel) = taps.split(column);
            if now != tap {
                tap = now;
                offset = band.tap(now / kernel_width, now % kernel_width);
            }
            if let Some(entry) = table.get_mut(filled) {
                *entry = ((offset + channel * step) as u32) << 8 | u32::from(weight as u8);
                filled += 1;
            }
        })?;
        Some(filled)
    }
}

/// The accumulators of the TILE pixels from the start of `copy` on.
#[inline(always)]
fn tile(copy: &[i16], table: &[u32], bias: i32) -> [i32; TILE] {
    let mut accumulators = [bias; TILE];
    for entry in table {
        let weight = i32::from(*entry as u8 as i8);
        if let Some(values) = copy.get((entry >> 8) as usize..).and_then(|values| values.first_chunk::<TILE>()) {
            for (accumulator, value) in accumulators.iter_mut().zip(values) {
                *accumulator = accumulator.wrapping_add(weight * i32::from(*value));
            }
        }
    }
    accumulators
}

//! The table of a weight matrix: for each weight that counts, where its input lies.
use crate::nn::vector::Scalar;

/// Columns that a block of `height` rows visits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableBlock {
    /// First row.
    pub row: usize,
    /// Rows: [`TALL`] or 1.
    pub height: usize,
    /// Its entries.
    pub start: usize,
    /// Where they end.
    pub end: usize,
}

/// The place of a weight that a tall block visits though it does not count.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Rows of a tall block: their weights share each load of an input.
pub(crate) const TALL: usize = 4;

/// Offsets and weights of a weight matrix, for those of its weights that count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table<T> {
    /// Blocks of rows, in order.
    pub blocks: Vec<TableBlock>,
    /// One an entry: offset of the input from the pixel's base.
    pub offsets: Vec<u32>,
    /// `height` an entry.
    pub weights: Vec<T>,
    /// One a weight: where it stands in the weight matrix, or [`NOWHERE`] when it does not count.
    pub places: Vec<u32>,
}

impl<T: Scalar> Table<T> {
    /// Forgets all entries and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.offsets.clear();
        self.weights.clear();
        self.places.clear();
    }

    /// Adds blocks for `rows` rows of `columns` columns. `weight` gives a row's and column's place, value, and whether it
    /// counts; a tall block visits every column, with 0 for what does not count.
    pub(crate) fn fill(
        &mut self,
        rows: usize,
        columns: usize,
        tall: bool,
        offset: impl Fn(usize, usize) -> usize,
        weight: impl Fn(usize, usize) -> (usize, T, bool),
    ) {
        let mut row = 0;
        while row < rows {
            let height = if tall && row + TALL <= rows { TALL } else { 1 };
            let start = self.offsets.len();
            for column in 0..columns {
                if height == 1 && !weight(row, column).2 {
                    continue;
                }
                self.offsets.push(offset(row, column) as u32);
                for r in row..row + height {
                    let (place, value, counts) = weight(r, column);
                    self.places.push(if counts { place as u32 } else { NOWHERE });
                    self.weights.push(if counts { value } else { T::zero() });
                }
            }
            self.blocks.push(TableBlock { row, height, start, end: self.offsets.len() });
            row += height;
        }
    }
}

//! Bytes that other layouts need for the same nested weights, counted position by position, not by formula.
//!
//! All store one byte a weight. None counts requantisation, headers or alignment: the comparison leans their way.
use nested_csr::{Block, Shape};

/// The rings of a matrix: `rings[i]` is 1..=`levels` for weight `i` of a row-major matrix, 0 where it is pruned.
#[derive(Clone, Copy, Debug)]
pub struct Nested<'a> {
    /// Rows and columns.
    pub shape: Shape,
    /// The positions that share one index.
    pub block: Block,
    /// Levels of the ladder.
    pub levels: u8,
    /// One ring a weight.
    pub rings: &'a [u8],
}

impl Nested<'_> {
    /// For each row, the blocks whose ring lies in `from..=to`, ascending.
    fn rows(&self, from: u8, to: u8) -> impl Iterator<Item = Vec<usize>> {
        let width = self.block.width();
        self.rings.chunks_exact(self.shape.columns).map(move |row| {
            let ring = |block: &[u8]| block.iter().copied().filter(|&ring| ring > 0).min().unwrap_or(0);
            let blocks = row.chunks(width).enumerate();
            blocks.filter(|(_, block)| (from..=to).contains(&ring(block))).map(|(index, _)| index).collect()
        })
    }

    /// Weights in those blocks.
    fn values(&self, from: u8, to: u8) -> usize {
        let last = self.shape.columns / self.block.width();
        let alone = self.shape.columns % self.block.width();
        let in_row = |row: Vec<usize>| {
            row.iter().map(|&block| if block == last { alone } else { self.block.width() }).sum::<usize>()
        };
        self.rows(from, to).map(in_row).sum()
    }

    /// N stand-alone CSR matrices, one a level: a 16-bit column a block and a 16-bit count a row.
    pub fn copies_of_csr16(&self) -> usize {
        self.copies(|row| 2 + 2 * row.len())
    }

    /// N stand-alone matrices with 8-bit gaps (255 adds and goes on) and a 16-bit count a row.
    pub fn copies_of_csr8(&self) -> usize {
        self.copies(|row| 2 + gaps(row).map(|gap| 1 + gap / 255).sum::<usize>())
    }

    /// N stand-alone matrices with 4-bit gaps (15 adds and goes on) and a 16-bit count a row, after dCSR
    /// (arXiv 2111.12345); rows begin at whole bytes.
    pub fn copies_of_dcsr(&self) -> usize {
        self.copies(|row| 2 + gaps(row).map(|gap| 1 + gap / 15).sum::<usize>().div_ceil(2))
    }

    fn copies(&self, index: impl Fn(&[usize]) -> usize) -> usize {
        (1..=self.levels)
            .map(|level| self.values(1, level) + self.rows(1, level).map(|row| index(&row)).sum::<usize>())
            .sum()
    }

    /// One nested store with a bit for each block that the inner rings left free.
    pub fn ring_bitmap(&self) -> usize {
        let blocks = self.shape.rows * self.shape.columns.div_ceil(self.block.width());
        let mut free = blocks;
        let mut bytes = self.values(1, self.levels);
        for ring in 1..=self.levels {
            bytes += free.div_ceil(8);
            free -= self.rows(ring, ring).map(|row| row.len()).sum::<usize>();
        }
        bytes
    }

    /// The paper's layout as its published sizes suggest: one byte a block and six a row beside the weights.
    pub fn paper_layout(&self) -> usize {
        let blocks = self.rows(1, self.levels).map(|row| row.len()).sum::<usize>();
        self.values(1, self.levels) + blocks + 6 * self.shape.rows
    }

    /// Every weight, the pruned ones too.
    pub fn dense(&self) -> usize {
        self.rings.len()
    }
}

/// Distances between neighbours, less one; the first from the row's start.
fn gaps(row: &[usize]) -> impl Iterator<Item = usize> {
    let before = std::iter::once(None).chain(row.iter().copied().map(Some));
    row.iter().zip(before).map(|(&block, before)| before.map_or(block, |before| block - before - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of 40 columns: ring 1 at columns 0 and 39 of row 0, ring 2 at column 3 of row 1.
    fn example() -> Vec<u8> {
        let mut rings = vec![0; 80];
        (rings[0], rings[39], rings[43]) = (1, 1, 2);
        rings
    }

    #[test]
    fn bytes_of_a_small_matrix_are_those_counted_by_hand() {
        let rings = example();
        let shape = Shape { rows: 2, columns: 40 };
        let nested = Nested { shape, block: Block::OneByOne, levels: 2, rings: &rings };
        // Level 1: 2 values, 2 columns of 2 bytes, 2 counts of 2; level 2: 3, 3, 2.
        assert_eq!(nested.copies_of_csr16(), (2 + 4 + 4) + (3 + 6 + 4));
        assert_eq!(nested.copies_of_csr8(), (2 + 2 + 4) + (3 + 3 + 4));
        // Row 0: gaps 0 and 38 = 1 + 3 nibbles; row 1: gap 3 = 1 nibble.
        assert_eq!(nested.copies_of_dcsr(), (2 + 2 + 4) + (3 + 2 + 1 + 4));
        // 80 bits, then 78.
        assert_eq!(nested.ring_bitmap(), 3 + 10 + 10);
        assert_eq!(nested.paper_layout(), 3 + 3 + 12);
        assert_eq!(nested.dense(), 80);
    }

    #[test]
    fn a_block_of_two_has_one_index_and_two_values() {
        let mut rings = vec![0; 10];
        (rings[0], rings[1], rings[4], rings[8]) = (1, 1, 1, 1);
        let shape = Shape { rows: 2, columns: 5 };
        let nested = Nested { shape, block: Block::OneByTwo, levels: 1, rings: &rings };
        // Row 0: blocks 0 (two values) and 2 (the odd last column alone); row 1: block 1 (columns 2 and 3).
        assert_eq!(nested.values(1, 1), 2 + 1 + 2);
        assert_eq!(nested.paper_layout(), 5 + 3 + 12);
    }
}

//! A ring of [`IndexCode::Bytes`] as it is stored, for readers with loops of their own.
use crate::bytes::{range, u8_at, u16_at, u32_at};
use crate::ring::Ring;
use crate::{IndexCode, Shape};

/// What is left of a ring of [`IndexCode::Bytes`]: for each row a count of blocks, for each block a gap and its weights.
///
/// A gap is the number of blocks since the one before in the row; the byte 255 means 255 and what follows. A reader
/// takes a row's count and then advances `gaps` and `weights` by what it read.
///
/// ```
/// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 2, columns: 3 };
/// let (weights, rings) = ([4, 0, -9, 0, 5, 0], [1, 0, 1, 0, 1, 0]);
/// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &weights, &rings, Profile::Speed)?;
/// if let Some(mut ring) = matrix.view().byte_ring(Level::FIRST)? {
///     assert_eq!([ring.next_count(), ring.next_count()], [2, 1]);
///     assert_eq!((ring.gaps, ring.weights), (&[0, 1, 1][..], &[4, 247, 5][..]));
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByteRing<'a> {
    /// Each row's blocks, little-endian numbers of `count_width` bytes.
    pub counts: &'a [u8],
    /// 1, 2 or 4.
    pub count_width: u8,
    /// Each block's gap.
    pub gaps: &'a [u8],
    /// Each block's weights, two's complement; the last block of an odd row has only one.
    pub weights: &'a [u8],
}

impl<'a> ByteRing<'a> {
    pub(crate) fn new(ring: &Ring<'a>, shape: Shape) -> Option<ByteRing<'a>> {
        let IndexCode::Bytes { count_width } = ring.code else { return None };
        let counts = shape.rows.checked_mul(usize::from(count_width))?;
        Some(ByteRing {
            counts: range(ring.index, 0, counts),
            count_width,
            gaps: range(ring.index, counts, ring.index.len()),
            weights: ring.values,
        })
    }

    /// Takes the count of the next row's blocks; 0 past the last row.
    #[inline(always)]
    pub fn next_count(&mut self) -> usize {
        let count = match self.count_width {
            1 => u32::from(u8_at(self.counts, 0)),
            2 => u32::from(u16_at(self.counts, 0)),
            _ => u32_at(self.counts, 0),
        };
        self.counts = self.counts.get(usize::from(self.count_width)..).unwrap_or(&[]);
        count as usize
    }

    /// Takes a gap; the numbers of a byte of 255 and of what follows it are added up. 0 past the end.
    pub fn next_gap(&mut self) -> usize {
        let mut gap = 0usize;
        while let Some((byte, rest)) = self.gaps.split_first() {
            self.gaps = rest;
            gap = gap.saturating_add(usize::from(*byte));
            if *byte != u8::MAX {
                break;
            }
        }
        gap
    }
}

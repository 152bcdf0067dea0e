//! The shape of a weight matrix and of the blocks that share one index.
use crate::bytes::{u8_at, u32_at};
use crate::{FormatError, Part, Place};

/// The most columns that a matrix may have: sums of a row's weights then fit 32 bits.
pub const MAX_COLUMNS: usize = 1 << 24;

/// Bytes of a layer's record: rows, columns, block, three reserved.
pub(crate) const LAYER_LEN: usize = 12;

/// Rows (output channels) × columns (taps) of a weight matrix.
///
/// The column of a convolution's tap is `(kh · KW + kw) · Cin + cin`.
///
/// ```
/// // A 3×3 convolution from 16 to 32 channels.
/// let shape = nested_csr::Shape { rows: 32, columns: 3 * 3 * 16 };
/// assert_eq!(shape.len(), 4608);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Output channels.
    pub rows: usize,
    /// Taps of one output channel.
    pub columns: usize,
}

impl Shape {
    /// Positions, `rows · columns`; it saturates.
    pub const fn len(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    /// Whether there is no position.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Blocks in a row, the lone one of an odd row included.
    pub(crate) fn blocks(&self, block: Block) -> u32 {
        u32::try_from(self.columns.div_ceil(block.width())).unwrap_or(u32::MAX)
    }

    /// Whether the format can hold it: neither side empty, at most [`MAX_COLUMNS`] columns and `2³¹ − 1` positions.
    pub(crate) fn check(&self, matrix: Place) -> Result<(), FormatError> {
        let fits = self.rows.checked_mul(self.columns).is_some_and(|len| i32::try_from(len).is_ok());
        if self.is_empty() || !fits || self.columns > MAX_COLUMNS {
            return Err(FormatError::Shape { matrix, rows: self.rows, columns: self.columns });
        }
        Ok(())
    }
}

/// The positions that share one index.
///
/// ```
/// assert_eq!(nested_csr::Block::OneByTwo.width(), 2);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Block {
    /// Each weight has an index of its own.
    #[default]
    OneByOne,
    /// Columns `2i` and `2i + 1` of a row share one; an odd last column is a block alone.
    OneByTwo,
}

impl Block {
    /// Columns in a whole block: 1 or 2.
    pub const fn width(self) -> usize {
        match self {
            Block::OneByOne => 1,
            Block::OneByTwo => 2,
        }
    }
}

/// The record of a layer at `at` in the body, checked.
pub(crate) fn check_layer_record(body: &[u8], at: usize, layer: usize) -> Result<(), FormatError> {
    let (shape, _) = layer_record(body, at);
    shape.check(Place::Layer(layer))?;
    let code = u8_at(body, at.wrapping_add(8));
    if code > 1 {
        return Err(FormatError::UnknownBlock { layer, found: code });
    }
    for offset in (at..at.wrapping_add(LAYER_LEN)).skip(9) {
        if u8_at(body, offset) != 0 {
            return Err(FormatError::NotZero { part: Part::Body, offset });
        }
    }
    Ok(())
}

/// The record of a layer at `at` in a body that was checked.
pub(crate) fn layer_record(body: &[u8], at: usize) -> (Shape, Block) {
    let shape = Shape { rows: u32_at(body, at) as usize, columns: u32_at(body, at.wrapping_add(4)) as usize };
    let block = if u8_at(body, at.wrapping_add(8)) == 1 { Block::OneByTwo } else { Block::OneByOne };
    (shape, block)
}

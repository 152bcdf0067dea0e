//! The shape of a weight matrix and of the blocks that share one index.

/// Rows (output channels) × columns (taps) of a weight matrix.
///
/// The column of a convolution's tap is `(kh · KW + kw) · Cin + cin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Output channels.
    pub rows: usize,
    /// Taps of one output channel.
    pub columns: usize,
}

/// The positions that share one index.
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

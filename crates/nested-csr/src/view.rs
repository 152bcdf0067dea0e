//! Reading a nested matrix in place.
use crate::{Block, FormatError, Level, Shape};

/// A file that holds one nested sparse matrix, over any bytes: a `Vec`, a memory map or a `static`.
#[derive(Clone, Debug)]
pub struct NestedCsr<B> {
    bytes: B,
}

impl<B: AsRef<[u8]>> NestedCsr<B> {
    /// Checks all of `bytes` once, in O(n), without allocating; what it returns cannot fail.
    ///
    /// # Errors
    /// [`FormatError`], which says where and what.
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let _ = &bytes;
        todo!()
    }

    /// The matrix, borrowed.
    pub fn view(&self) -> MatrixView<'_> {
        todo!()
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The densest level that these bytes hold.
    pub fn levels(&self) -> Level {
        todo!()
    }

    /// Shape of the matrix.
    pub fn shape(&self) -> Shape {
        todo!()
    }

    /// See [`MatrixView::rows`].
    pub fn rows(&self, level: Level) -> Result<Rows<'_>, FormatError> {
        self.view().rows(level)
    }

    /// The bytes that serve levels `1..=level`: a valid file.
    pub fn prefix(&self, level: Level) -> Result<&[u8], FormatError> {
        let _ = level;
        todo!()
    }
}

/// One nested sparse matrix inside a checked file. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a> {
    bytes: &'a [u8],
}

impl<'a> MatrixView<'a> {
    /// Shape of the matrix.
    pub fn shape(&self) -> Shape {
        todo!()
    }
    /// Its block.
    pub fn block(&self) -> Block {
        todo!()
    }
    /// The densest level held.
    pub fn levels(&self) -> Level {
        todo!()
    }
    /// Stored weights (in whole blocks, zeros of a block included) at a level, over all rows. O(1).
    pub fn stored(&self, level: Level) -> Result<usize, FormatError> {
        let _ = level;
        todo!()
    }
    /// The rows of the matrix at `level`, in order.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn rows(&self, level: Level) -> Result<Rows<'a>, FormatError> {
        let _ = (self.bytes, level);
        todo!()
    }
}

/// Iterator over rows; a lending iterator, because a row's decoding advances the cursors of all its rings.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    bytes: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Decodes the next row whole, calling `f(column, weight)` for each stored weight: ring 1 ascending by column,
    /// then ring 2, … (both weights of a 1×2 block, even when one is 0). `None` after the last row. This is the fast way;
    /// the code's kind is matched once a ring.
    pub fn next_row(&mut self, f: impl FnMut(usize, i8)) -> Option<()> {
        let _ = f;
        todo!()
    }
}

/// One row as an external iterator of `(column, weight)`.
#[derive(Debug)]
pub struct Row<'r> {
    _rows: &'r [u8],
}

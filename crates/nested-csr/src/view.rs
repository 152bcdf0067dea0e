//! Reading a nested matrix in place.
use crate::check::check_layer;
use crate::header::Layout;
use crate::index::IndexCode;
use crate::ring::{Directory, RING_LEN, Ring};
use crate::shape::{LAYER_LEN, check_layer_record, layer_record};
use crate::{Block, ByteRing, FormatError, Kind, Level, MAX_LEVELS, Part, Rows, Shape};
#[cfg(feature = "alloc")]
use alloc::vec::Vec;
use core::fmt;

/// A file that holds one nested sparse matrix, over any bytes: a `Vec`, a memory map or a `static`.
///
/// ```
/// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 2, columns: 3 };
/// let weights = [5, 0, -1, 0, 9, 0];
/// let rings = [1, 0, 2, 0, 1, 0];
/// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &weights, &rings, Profile::Size)?;
///
/// let read = NestedCsr::parse(matrix.as_bytes())?;
/// assert_eq!((read.shape(), read.levels().number()), (shape, 2));
/// let small = NestedCsr::parse(read.prefix(Level::FIRST)?)?; // the smaller network is a file too
/// assert_eq!((small.levels(), small.levels_stated().number()), (Level::FIRST, 2));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct NestedCsr<B> {
    bytes: B,
    layout: Layout,
}

/// Where the parts lie, without the bytes.
impl<B> fmt::Debug for NestedCsr<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NestedCsr").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The body of a matrix is its layer's record.
const MATRIX: Directory = Directory { records: 0, data: RING_LEN };

impl<B: AsRef<[u8]>> NestedCsr<B> {
    /// Checks all of `bytes` once, in O(n), without allocating; what it returns cannot fail.
    ///
    /// # Errors
    /// [`FormatError`], which says where and what.
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let all = bytes.as_ref();
        let layout = Layout::parse(all, Kind::Matrix)?;
        let body = layout.body(all);
        if body.len() != LAYER_LEN {
            return Err(FormatError::Length { part: Part::Body, stated: body.len(), needed: LAYER_LEN });
        }
        check_layer_record(body, 0, 0)?;
        let (shape, block) = layer_record(body, 0);
        for level in layout.held.up_to() {
            let section = layout.section(all, level);
            check_directory(section, level, MATRIX.data)?;
            MATRIX.check(section, level.number(), 0, shape, block)?;
            check_padding(section, level, MATRIX.end(section, 0))?;
        }
        let matrix = NestedCsr { bytes, layout };
        matrix.view().check(|_, _| Ok(()))?;
        Ok(matrix)
    }

    /// The matrix, borrowed.
    pub fn view(&self) -> MatrixView<'_> {
        let (shape, block) = layer_record(self.layout.body(self.as_bytes()), 0);
        MatrixView { bytes: self.as_bytes(), layout: &self.layout, directory: MATRIX, layer: 0, shape, block }
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives the bytes back.
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// The densest level that these bytes hold.
    pub fn levels(&self) -> Level {
        self.layout.held
    }

    /// The densest level of the whole file, of which these bytes may be a prefix.
    pub fn levels_stated(&self) -> Level {
        self.layout.stated
    }

    /// Shape of the matrix.
    pub fn shape(&self) -> Shape {
        self.view().shape()
    }

    /// The rows of the matrix at `level`, in order.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`] for a level that is not held.
    ///
    /// ```
    /// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
    /// # fn main() -> Result<(), nested_csr::FormatError> {
    /// let shape = Shape { rows: 2, columns: 2 };
    /// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &[0, 3, 4, 0], &[0, 1, 1, 0], Profile::Size)?;
    /// let (mut rows, mut sum) = (matrix.rows(Level::FIRST)?, 0);
    /// while rows.next_row(|_, weight| sum += i32::from(weight)).is_some() {}
    /// assert_eq!(sum, 7);
    /// # Ok(()) }
    /// ```
    pub fn rows(&self, level: Level) -> Result<Rows<'_>, FormatError> {
        self.view().rows(level)
    }

    /// The matrix at `level`, row-major, zeros where nothing is stored. It allocates `rows · columns` bytes: the shape
    /// is the file's, so look at it first when the file is not yours.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`] for a level that is not held.
    ///
    /// ```
    /// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
    /// # fn main() -> Result<(), nested_csr::FormatError> {
    /// let shape = Shape { rows: 1, columns: 4 };
    /// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &[0, 7, -3, 0], &[0, 2, 1, 0], Profile::Size)?;
    /// assert_eq!(matrix.to_dense(Level::FIRST)?, [0, 0, -3, 0]);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "alloc")]
    pub fn to_dense(&self, level: Level) -> Result<Vec<i8>, FormatError> {
        self.view().to_dense(level)
    }

    /// The bytes that serve levels `1..=level`: a valid file.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn prefix(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.prefix(self.as_bytes(), level)
    }

    /// The bytes to append to `prefix(level)` to have this file again.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn sections_after(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.sections_after(self.as_bytes(), level)
    }
}

#[cfg(feature = "alloc")]
impl NestedCsr<Vec<u8>> {
    /// Appends later sections (from [`NestedCsr::sections_after`] of the whole file) and checks them.
    ///
    /// ```
    /// # use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
    /// # fn main() -> Result<(), nested_csr::FormatError> {
    /// # let shape = Shape { rows: 1, columns: 2 };
    /// # let whole = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &[3, 4], &[1, 2], Profile::Size)?;
    /// let mut device = NestedCsr::parse(whole.prefix(Level::FIRST)?.to_vec())?; // shipped first
    /// device.upgrade(whole.sections_after(Level::FIRST)?)?; // sent later
    /// assert_eq!(device.levels(), whole.levels());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Whatever is wrong with the longer file; this one is then as it was.
    pub fn upgrade(&mut self, sections: &[u8]) -> Result<(), FormatError> {
        append(&mut self.bytes, sections, |bytes| NestedCsr::parse(bytes).map(|longer| longer.layout))
            .map(|layout| self.layout = layout)
    }
}

/// Appends sections to a file's bytes when `check` accepts the longer file; else the bytes are as they were.
#[cfg(feature = "alloc")]
pub(crate) fn append(
    bytes: &mut Vec<u8>,
    sections: &[u8],
    check: impl FnOnce(&[u8]) -> Result<Layout, FormatError>,
) -> Result<Layout, FormatError> {
    let len = bytes.len();
    bytes.extend_from_slice(sections);
    let checked = check(bytes);
    if checked.is_err() {
        bytes.truncate(len);
    }
    checked
}

/// One nested sparse matrix inside a checked file. Cheap to copy.
///
/// ```
/// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let (weights, rings) = ([5, 0, -1, 0, 9, 0], [1, 0, 2, 0, 1, 0]);
/// let shape = Shape { rows: 2, columns: 3 };
/// let file = NestedCsr::compress(shape, Block::OneByOne, Level::new(2)?, &weights, &rings, Profile::Size)?;
///
/// let view = file.view(); // or `Layers::layer`, or from a node of a `Model`
/// assert_eq!((view.shape(), view.block()), (shape, Block::OneByOne));
/// for level in view.levels().up_to() {
///     println!("level {}: {} weights, its ring as {}", level.number(), view.stored(level)?, view.index_code(level)?);
/// }
/// assert_eq!(view.to_dense(Level::FIRST)?, [5, 0, 0, 0, 9, 0]);
/// assert_eq!(view.to_dense(Level::new(2)?)?, weights);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct MatrixView<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) layout: &'a Layout,
    pub(crate) directory: Directory,
    pub(crate) layer: usize,
    pub(crate) shape: Shape,
    pub(crate) block: Block,
}

/// What it is, without the bytes.
impl fmt::Debug for MatrixView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MatrixView");
        debug.field("shape", &self.shape).field("block", &self.block).field("levels", &self.levels());
        debug.finish_non_exhaustive()
    }
}

impl<'a> MatrixView<'a> {
    /// Shape of the matrix.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its block.
    pub fn block(&self) -> Block {
        self.block
    }

    /// The densest level held.
    pub fn levels(&self) -> Level {
        self.layout.held
    }

    /// Stored weights (in whole blocks, zeros of a block included) at a level, over all rows. O(1).
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn stored(&self, level: Level) -> Result<usize, FormatError> {
        self.layout.check_held(level)?;
        let of_ring = |level| self.directory.stored(self.layout.section(self.bytes, level), self.layer);
        Ok(level.up_to().map(of_ring).fold(0, usize::wrapping_add))
    }

    /// The index code of the ring that joins at `level`. O(1).
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn index_code(&self, level: Level) -> Result<IndexCode, FormatError> {
        self.layout.check_held(level)?;
        Ok(self.ring(level).code)
    }

    /// The rows of the matrix at `level`, in order. Its own time and memory are constant; decoding takes them row by row.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn rows(&self, level: Level) -> Result<Rows<'a>, FormatError> {
        self.layout.check_held(level)?;
        Ok(Rows::new(self, level))
    }

    /// The ring that joins at `level` as it is stored; `None` when its index code is not [`IndexCode::Bytes`]. O(1).
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn byte_ring(&self, level: Level) -> Result<Option<ByteRing<'a>>, FormatError> {
        self.layout.check_held(level)?;
        Ok(ByteRing::new(&self.ring(level), self.shape))
    }

    /// The matrix at `level`, row-major, zeros where nothing is stored. It allocates `rows · columns` bytes: the shape
    /// is the file's, so look at it first when the file is not yours.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    #[cfg(feature = "alloc")]
    pub fn to_dense(&self, level: Level) -> Result<Vec<i8>, FormatError> {
        let mut rows = self.rows(level)?;
        let mut dense = alloc::vec![0; self.shape.len()];
        for row in dense.chunks_exact_mut(self.shape.columns) {
            rows.next_row(|column, weight| {
                if let Some(slot) = row.get_mut(column) {
                    *slot = weight;
                }
            });
        }
        Ok(dense)
    }

    /// The ring of a level that is held.
    pub(crate) fn ring(&self, level: Level) -> Ring<'a> {
        self.directory.ring(self.layout.section(self.bytes, level), self.layer)
    }

    /// Walks all rings and checks them; their records were checked before.
    pub(crate) fn check(
        &self,
        on_rows: impl FnMut(core::ops::Range<usize>, &[crate::check::Sums; MAX_LEVELS]) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let mut rings = [self.ring(Level::FIRST); MAX_LEVELS];
        for (slot, level) in rings.iter_mut().zip(self.layout.held.up_to()) {
            *slot = self.ring(level);
        }
        let rings = rings.get(..self.layout.held.number()).unwrap_or(&[]);
        check_layer(self.layer, self.shape, self.block, rings, on_rows)
    }
}

/// Checks that a section is long enough for its records, which end at `data`.
pub(crate) fn check_directory(section: &[u8], level: Level, data: usize) -> Result<(), FormatError> {
    if section.len() < data {
        let part = Part::Section(level.number());
        return Err(FormatError::Length { part, stated: section.len(), needed: data });
    }
    Ok(())
}

/// Checks that a section ends with less than 4 bytes of zeros after `end`.
pub(crate) fn check_padding(section: &[u8], level: Level, end: usize) -> Result<(), FormatError> {
    let part = Part::Section(level.number());
    if section.len() != end.next_multiple_of(4) {
        return Err(FormatError::Length { part, stated: section.len(), needed: end.next_multiple_of(4) });
    }
    match section.iter().enumerate().skip(end).find(|(_, byte)| **byte != 0) {
        Some((offset, _)) => Err(FormatError::NotZero { part, offset }),
        None => Ok(()),
    }
}

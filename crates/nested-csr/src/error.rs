//! What can be wrong with bytes or with what is to be compressed.
use crate::Kind;
use core::fmt;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The fixed header and the table of sections.
    Header,
    /// The body: shapes, graph, names and dense tensors.
    Body,
    /// The section of a level, from 1.
    Section(usize),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Header => f.write_str("header"),
            Part::Body => f.write_str("body"),
            Part::Section(level) => write!(f, "section {level}"),
        }
    }
}

/// Whose a matrix is: nodes may have matrices that are not layers of the file, and get theirs before it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// A layer of the file, from 0; the only matrix of a file is its layer 0.
    Layer(usize),
    /// A node of a model, from 0.
    Node(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Layer(layer) => write!(f, "layer {layer}"),
            Place::Node(node) => write!(f, "node {node}"),
        }
    }
}

/// Where and what is wrong. Layers, rows, columns and nodes count from 0, levels from 1.
///
/// ```
/// use nested_csr::{Block, FormatError, Level, NestedCsr, Part, Profile, Shape};
///
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 1, columns: 2 };
/// let file = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &[3, 4], &[1, 1], Profile::Size)?;
/// let mut bytes = file.into_bytes();
/// bytes.pop(); // a transfer that broke off
/// let error = NestedCsr::parse(&bytes).map(|_| ());
/// assert!(matches!(error, Err(FormatError::Truncated { part: Part::Section(1), .. })));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // the fields are named by the messages
pub enum FormatError {
    /// A level that was asked for and is not there.
    #[error("no level {level}: levels 1..={levels} exist")]
    NoSuchLevel { level: usize, levels: usize },
    /// The file does not begin with the format's magic bytes.
    #[error("not an .ncsr file: it begins with {found:02x?}")]
    NotNestedCsr { found: [u8; 4] },
    /// A version that this reader does not know.
    #[error("version {found} of the format; this reader knows version {supported}")]
    UnsupportedVersion { found: u16, supported: u16 },
    /// A kind byte that this version does not define.
    #[error("kind byte {found} is not defined")]
    UnknownKind { found: u8 },
    /// A header that states no level, or more than a file may hold.
    #[error("header: it states {found} levels, a file has 1 to {}", crate::MAX_LEVELS)]
    Levels { found: u8 },
    /// A header that states a length which no part may have.
    #[error("header: the {part} has {found} bytes, and must have a multiple of 4 that is not 0")]
    PartLength { part: Part, found: usize },
    /// A file of another kind than the one asked for.
    #[error("the file holds a {found}, not a {expected}: read it with {}", found.reader())]
    WrongKind { found: Kind, expected: Kind },
    /// Content that differs from its checksum.
    #[error("the {part} is damaged: its checksum is {found:08x}, it should be {expected:08x}")]
    Checksum { part: Part, expected: u32, found: u32 },
    /// Fewer bytes than the part needs; `needed` and `have` count from the start of the file.
    #[error("truncated in the {part}: it ends at byte {needed}, the file has {have}")]
    Truncated { part: Part, needed: usize, have: usize },
    /// Bytes after the last section.
    #[error("{extra} bytes after the last section")]
    TrailingBytes { extra: usize },
    /// A length that contradicts what the part holds.
    #[error("{part}: length {stated}, its content needs {needed}")]
    Length { part: Part, stated: usize, needed: usize },
    /// Padding or a reserved field that is not zero; `offset` counts from the start of the part.
    #[error("{part}: byte {offset} is reserved or padding, and not zero")]
    NotZero { part: Part, offset: usize },
    /// An offset or length that leaves a hole, overlaps, or points outside its part.
    #[error("{part}: {what} {index} ends or starts at {found}, expected {expected}")]
    Offset { part: Part, what: &'static str, index: usize, found: usize, expected: usize },
    /// A matrix shape that the format cannot hold.
    #[error(
        "{matrix}: a matrix of {rows} rows and {columns} columns; possible are 1 to {} columns and fewer than 2³¹ weights",
        crate::MAX_COLUMNS
    )]
    Shape { matrix: Place, rows: usize, columns: usize },
    /// A block code that is not defined.
    #[error("layer {layer}: block code {found} is not defined")]
    UnknownBlock { layer: usize, found: u8 },
    /// An index code or parameter that is not defined, not allowed here, or not the smallest.
    #[error(
        "layer {layer}, level {level}: index code {code} with parameter {parameter} is undefined, not allowed here or has a smaller form"
    )]
    IndexCode { layer: usize, level: usize, code: u8, parameter: u16 },
    /// A number of blocks or weights that does not fit the matrix or its index; where the stated weights run out before the
    /// index does, `found` are those that were needed so far.
    #[error("layer {layer}, level {level}: {stated} {what} are stated, the index has {found}")]
    Count { layer: usize, level: usize, what: &'static str, stated: usize, found: usize },
    /// An index stream that ends early, late, or with stray bits; what is too much is met behind the last row.
    #[error("layer {layer}, level {level}, row {row}: the index stream does not end where it should")]
    IndexStream { layer: usize, level: usize, row: usize },
    /// A column past the end of its row.
    #[error("layer {layer}, level {level}, row {row}: a column past the end of the row")]
    ColumnOutOfRange { layer: usize, level: usize, row: usize },
    /// A column that an inner level already holds.
    #[error("layer {layer}, level {level}, row {row}: column {column} is in an inner level too")]
    DuplicateColumn { layer: usize, level: usize, row: usize, column: usize },
    /// A stored block whose weights are all 0.
    #[error("layer {layer}, level {level}, row {row}: a stored block of zeros")]
    ZeroBlock { layer: usize, level: usize, row: usize },
    /// A slice of another length than its shape asks for.
    #[error("{what}: {given} given, {needed} needed")]
    LengthMismatch { what: &'static str, needed: usize, given: usize },
    /// A ring number above the number of levels.
    #[error("{matrix}, row {row}, column {column}: ring {ring}, but there are {levels} levels")]
    RingAboveLevels { matrix: Place, row: usize, column: usize, ring: usize, levels: usize },
    /// A non-zero weight that is in no ring: what is pruned must be 0.
    #[error(
        "{matrix}, row {row}, column {column}: weight {weight} is in no ring: set it to 0, or give it the ring of a level"
    )]
    WeightOutsideLevels { matrix: Place, row: usize, column: usize, weight: i8 },
    /// The two weights of a 1×2 block in different rings.
    #[error(
        "{matrix}, row {row}, column {column}: the two weights of a 1×2 block are in different rings: give both the same"
    )]
    SplitBlock { matrix: Place, row: usize, column: usize },
    /// More than the format's fields can count.
    #[error("{what} is too large for the format")]
    TooLarge { what: &'static str },
    /// A name that is not UTF-8, or whose end is out of order.
    #[error("name {index} is not valid UTF-8 or out of order")]
    Name { index: usize },
    /// A model without nodes, or a set without layers.
    #[error("nothing in the file: it needs at least one layer or node")]
    Empty,
    /// A shape or a scale that no input of a model can have.
    #[error("the model's input: no tensor can have its {field}")]
    Input { field: &'static str },
    /// A layer of a model that no node uses.
    #[error("layer {layer}: no node uses it")]
    UnusedLayer { layer: usize },
    /// A tensor that no nested convolution makes.
    #[error("tensor {tensor} is not made by a nested convolution")]
    NotNested { tensor: usize },
    /// An operation code that is not defined.
    #[error("node {node}: operation {found} is not defined")]
    UnknownOperation { node: usize, found: u8 },
    /// A node's field that contradicts its operation, its inputs or its weights.
    #[error("node {node}: {field} does not fit its operation, inputs or weights")]
    Node { node: usize, field: &'static str },
    /// A node's field at one level that is out of range or not in its smallest form.
    #[error("node {node}, level {level}: {field} is out of range, unused or not in its smallest form")]
    Parameters { node: usize, level: usize, field: &'static str },
    /// A row whose `bias + extreme dot product` leaves 32 bits.
    #[error(
        "node {node}, level {level}, row {row}: the accumulator could leave 32 bits: the bias or the weights are too large"
    )]
    AccumulatorOverflow { node: usize, level: usize, row: usize },
}

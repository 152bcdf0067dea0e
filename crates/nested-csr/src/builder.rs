//! Writing: matrices, from int8 weights and the ring of each weight.
use crate::bytes::padded;
use crate::header::{ENTRY_LEN, FIXED_LEN, Kind, MAGIC, VERSION, header_len};
use crate::index::{IndexCode, Positions, encode_as, encode_best};
use crate::{Block, FormatError, Level, NestedCsr, Place, Shape};
use alloc::vec;
use alloc::vec::Vec;

/// What the encoder prefers when it chooses an index code. A model may ask for another one layer by layer
/// ([`crate::ModelBuilder::prefer`]): the fewer pixels share a row's decoding, the more its speed counts.
///
/// ```
/// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
///
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 8, columns: 128 };
/// let rings: Vec<u8> = (0..shape.len()).map(|i| u8::from(i % 10 == 0)).collect(); // one weight in ten
/// let weights: Vec<i8> = rings.iter().map(|ring| 9 * ring.cast_signed()).collect();
/// let len = |profile| {
///     NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &weights, &rings, profile).map(|file| file.as_bytes().len())
/// };
/// assert!(len(Profile::Size)? <= len(Profile::Balanced)?);
/// assert!(len(Profile::Balanced)? <= len(Profile::Speed)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// The fewest bytes.
    #[default]
    Size,
    /// A byte may cost 160 instructions of a Cortex-M7: within a few per cent of the fewest bytes, for half the decoding.
    Balanced,
    /// A byte may cost 8 instructions of a Cortex-M7: nearly the least decoding.
    Speed,
}

impl NestedCsr<Vec<u8>> {
    /// Compresses a row-major matrix. `rings[i]` is the ring of weight `i`: 1..=levels, or 0 when it is pruned.
    ///
    /// A 1×1 weight of value 0 is not stored; a 1×2 block is stored when either weight is not 0, at the ring of those of its
    /// weights that are in one; if both are, it must be the same.
    ///
    /// ```
    /// use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
    ///
    /// let shape = Shape { rows: 1, columns: 4 };
    /// let file = NestedCsr::compress(shape, Block::OneByTwo, Level::new(2)?, &[7, 0, -3, 5], &[2, 2, 1, 1], Profile::Size)?;
    /// assert_eq!(file.to_dense(Level::FIRST)?, [0, 0, -3, 5]);
    /// assert_eq!(file.to_dense(Level::new(2)?)?, [7, 0, -3, 5]);
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    ///
    /// # Errors
    /// Lengths that differ from the shape, a ring above `levels`, a non-zero weight outside every level, 1×2 blocks whose two
    /// weights are in different rings.
    pub fn compress(
        shape: Shape,
        block: Block,
        levels: Level,
        weights: &[i8],
        rings: &[u8],
        profile: Profile,
    ) -> Result<Self, FormatError> {
        let source = Source::new(Place::Layer(0), shape, block, weights, rings)?;
        Self::from_layer(EncodedLayer::new(&source, Choice::Best(levels, profile))?)
    }

    /// As [`NestedCsr::compress`], with the index code of each ring as asked for: as many levels as codes. The width of
    /// [`IndexCode::Bytes`] counts is worked out, whatever is given.
    ///
    /// ```
    /// use nested_csr::{Block, IndexCode, Level, NestedCsr, Shape};
    ///
    /// let codes = [IndexCode::Bytes { count_width: 1 }, IndexCode::FreeGaps { modulus: 3 }];
    /// let shape = Shape { rows: 1, columns: 4 };
    /// let file = NestedCsr::compress_as(shape, Block::OneByOne, &codes, &[7, 0, -3, 5], &[2, 0, 1, 1])?;
    /// assert_eq!(file.view().ring_stats(Level::new(2)?)?.code, codes[1]);
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    ///
    /// # Errors
    /// As [`NestedCsr::compress`]; no code or more than [`crate::MAX_LEVELS`]; a modulus of 0;
    /// [`IndexCode::FreeGaps`] for rows of more than 8192 blocks.
    pub fn compress_as(
        shape: Shape,
        block: Block,
        codes: &[IndexCode],
        weights: &[i8],
        rings: &[u8],
    ) -> Result<Self, FormatError> {
        let source = Source::new(Place::Layer(0), shape, block, weights, rings)?;
        Self::from_layer(EncodedLayer::new(&source, Choice::Codes(codes))?)
    }

    fn from_layer(layer: EncodedLayer) -> Result<Self, FormatError> {
        let mut body = Vec::new();
        layer.write_record(&mut body);
        let sections = (0..layer.rings.len())
            .map(|ring| write_section(&[], &[&layer], ring, &[], &[]))
            .collect::<Result<Vec<_>, _>>()?;
        NestedCsr::parse(write_file(Kind::Matrix, &body, &sections)?)
    }
}

/// How the rings' index codes are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'a> {
    /// The best for a profile.
    Best(Level, Profile),
    /// These, one a level.
    Codes(&'a [IndexCode]),
}

impl Choice<'_> {
    fn levels(&self) -> Result<Level, FormatError> {
        match self {
            Choice::Best(levels, _) => Ok(*levels),
            Choice::Codes(codes) => Level::new(codes.len()),
        }
    }
}

/// A matrix that is to be compressed, of a shape that the format holds and as many weights and rings as it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// For errors.
    matrix: Place,
    shape: Shape,
    block: Block,
    weights: &'a [i8],
    rings: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(
        matrix: Place,
        shape: Shape,
        block: Block,
        weights: &'a [i8],
        rings: &'a [u8],
    ) -> Result<Source<'a>, FormatError> {
        shape.check(matrix)?;
        check_len("weights", shape.len(), weights.len())?;
        check_len("rings", shape.len(), rings.len())?;
        Ok(Source { matrix, shape, block, weights, rings })
    }

    /// Calls `take(row, block, ring, weights)` with each block that is stored, row by row; all count from 0. What cannot be
    /// compressed in so many levels is an error.
    pub(crate) fn each_stored(
        &self,
        levels: Level,
        mut take: impl FnMut(usize, usize, usize, &[i8]),
    ) -> Result<(), FormatError> {
        let (columns, width) = (self.shape.columns, self.block.width());
        let rows = self.weights.chunks_exact(columns).zip(self.rings.chunks_exact(columns));
        for (row, (weights, rings)) in rows.enumerate() {
            for (block, (weights, rings)) in weights.chunks(width).zip(rings.chunks(width)).enumerate() {
                if let Some(ring) = self.ring_of_block(row, block * width, levels, weights, rings)? {
                    take(row, block, ring, weights);
                }
            }
        }
        Ok(())
    }

    /// The ring (from 0) that stores a block; `None` when it is not stored.
    fn ring_of_block(
        &self,
        row: usize,
        column: usize,
        levels: Level,
        weights: &[i8],
        rings: &[u8],
    ) -> Result<Option<usize>, FormatError> {
        let (matrix, levels) = (self.matrix, levels.number());
        let mut smallest: Option<u8> = None;
        for (offset, (&weight, &ring)) in weights.iter().zip(rings).enumerate() {
            let column = column + offset;
            if usize::from(ring) > levels {
                return Err(FormatError::RingAboveLevels { matrix, row, column, ring: ring.into(), levels });
            }
            if weight != 0 && ring == 0 {
                return Err(FormatError::WeightOutsideLevels { matrix, row, column, weight });
            }
            if ring != 0 {
                if smallest.is_some_and(|other| other != ring) {
                    return Err(FormatError::SplitBlock { matrix, row, column });
                }
                smallest = Some(ring);
            }
        }
        let stored = weights.iter().any(|&weight| weight != 0);
        Ok(smallest.filter(|_| stored).map(|ring| usize::from(ring) - 1))
    }
}

/// A layer whose rings are encoded.
#[derive(Clone, Debug)]
pub(crate) struct EncodedLayer {
    shape: Shape,
    block: Block,
    rings: Vec<EncodedRing>,
}

#[derive(Clone, Debug)]
struct EncodedRing {
    code: IndexCode,
    blocks: u32,
    index: Vec<u8>,
    values: Vec<u8>,
}

impl EncodedLayer {
    /// Encodes a matrix; see [`NestedCsr::compress`].
    pub(crate) fn new(source: &Source<'_>, choice: Choice<'_>) -> Result<Self, FormatError> {
        let Source { shape, block, .. } = *source;
        let sorted = sort(source, choice.levels()?)?;
        let width = shape.blocks(block);
        let encode = |(index, ring): (usize, SortedRing)| {
            let positions = ring.positions(width);
            let (code, index) = match choice {
                Choice::Best(_, profile) => encode_best(&positions, profile),
                Choice::Codes(codes) => {
                    let (code, parameter) = codes[index].stored();
                    // Codes are asked for only of files of one matrix.
                    let error = FormatError::IndexCode { layer: 0, level: index + 1, code, parameter };
                    encode_as(&positions, codes[index]).ok_or(error)?
                }
            };
            if index.len() > crate::ring::MAX_INDEX {
                return Err(FormatError::TooLarge { what: "an index stream" });
            }
            // `Shape::check` bounds the number of blocks.
            Ok(EncodedRing { code, blocks: ring.blocks.len() as u32, index, values: ring.values })
        };
        let rings = sorted.into_iter().enumerate().map(encode).collect::<Result<_, FormatError>>()?;
        Ok(EncodedLayer { shape, block, rings })
    }

    /// Bytes of a ring's index and weights.
    pub(crate) fn data_len(&self, ring: usize) -> usize {
        self.rings[ring].index.len() + self.rings[ring].values.len()
    }

    /// Appends the layer's record.
    pub(crate) fn write_record(&self, body: &mut Vec<u8>) {
        // `Shape::check` bounds both sides.
        body.extend((self.shape.rows as u32).to_le_bytes());
        body.extend((self.shape.columns as u32).to_le_bytes());
        body.extend([u8::from(self.block == Block::OneByTwo), 0, 0, 0]);
    }
}

pub(crate) fn check_len(what: &'static str, needed: usize, given: usize) -> Result<(), FormatError> {
    if needed != given {
        return Err(FormatError::LengthMismatch { what, needed, given });
    }
    Ok(())
}

/// The blocks of one ring, sorted by row and column.
#[derive(Clone, Debug)]
struct SortedRing {
    blocks: Vec<u32>,
    free: Vec<u32>,
    counts: Vec<u32>,
    rooms: Vec<u32>,
    values: Vec<u8>,
}

impl SortedRing {
    fn positions(&self, width: u32) -> Positions<'_> {
        Positions { blocks: &self.blocks, free: &self.free, counts: &self.counts, rooms: &self.rooms, width }
    }
}

/// Deals the blocks of a matrix out to their rings.
fn sort(source: &Source<'_>, levels: Level) -> Result<Vec<SortedRing>, FormatError> {
    let rows = source.shape.rows;
    let empty = SortedRing { blocks: vec![], free: vec![], counts: vec![0; rows], rooms: vec![], values: vec![] };
    let mut sorted = vec![empty; levels.number()];
    source.each_stored(levels, |row, block, ring, weights| {
        // A block's place among the free positions is its own place less the blocks that inner rings took before it.
        let inner: u32 = sorted[..ring].iter().map(|ring| ring.counts[row]).sum();
        let slot = &mut sorted[ring];
        slot.blocks.push(block as u32);
        slot.free.push(block as u32 - inner);
        slot.values.extend(weights.iter().map(|w| w.cast_unsigned()));
        slot.counts[row] += 1;
    })?;
    let mut rooms = vec![source.shape.blocks(source.block); rows];
    for ring in &mut sorted {
        ring.rooms.clone_from(&rooms);
        rooms.iter_mut().zip(&ring.counts).for_each(|(room, count)| *room -= count);
    }
    Ok(sorted)
}

/// A section: `head`, the ring records, `nodes` (records that follow the rings'), the rings' data, `tail`.
pub(crate) fn write_section(
    head: &[u8],
    layers: &[&EncodedLayer],
    ring: usize,
    nodes: &[u8],
    tail: &[u8],
) -> Result<Vec<u8>, FormatError> {
    let too_large = FormatError::TooLarge { what: "a section" };
    let mut records = head.to_vec();
    let mut data: Vec<u8> = Vec::new();
    let data_start = head.len() + layers.len() * crate::ring::RING_LEN + nodes.len();
    for layer in layers {
        let ring = &layer.rings[ring];
        data.extend(&ring.index);
        data.extend(&ring.values);
        let end = u32::try_from(data_start + data.len()).map_err(|_| too_large.clone())?;
        let (code, parameter) = ring.code.stored();
        records.extend(end.to_le_bytes());
        records.extend(ring.blocks.to_le_bytes());
        records.extend((ring.values.len() as u32).to_le_bytes());
        records.extend([code, 0]);
        records.extend(parameter.to_le_bytes());
    }
    records.extend(nodes);
    records.extend(data);
    records.extend(tail);
    pad(&mut records)?;
    Ok(records)
}

/// Fills up to a multiple of 4.
pub(crate) fn pad(bytes: &mut Vec<u8>) -> Result<(), FormatError> {
    let too_large = FormatError::TooLarge { what: "a part of the file" };
    let len = u32::try_from(bytes.len()).ok().and_then(padded).ok_or(too_large)?;
    bytes.resize(len as usize, 0);
    Ok(())
}

/// Puts a file together and seals it.
pub(crate) fn write_file(kind: Kind, body: &[u8], sections: &[Vec<u8>]) -> Result<Vec<u8>, FormatError> {
    let levels = sections.len();
    let mut file = vec![0; header_len(levels)];
    file[..4].copy_from_slice(&MAGIC);
    file[4..6].copy_from_slice(&VERSION.to_le_bytes());
    file[6] = kind.code();
    file[7] = levels as u8;
    let parts = core::iter::once(body).chain(sections.iter().map(Vec::as_slice));
    for (part, content) in parts.enumerate() {
        let len = u32::try_from(content.len()).map_err(|_| FormatError::TooLarge { what: "a section" })?;
        let at = entry(part);
        file[at..at + 4].copy_from_slice(&len.to_le_bytes());
        file.extend(content);
    }
    u32::try_from(file.len()).map_err(|_| FormatError::TooLarge { what: "the file" })?;
    seal(&mut file);
    Ok(file)
}

/// Offset of the length and checksum of the body (0) or a section (from 1).
fn entry(part: usize) -> usize {
    part.checked_sub(1).map_or(8, |section| FIXED_LEN + section * ENTRY_LEN)
}

/// Writes the checksums of all parts that `file` holds, then the header's.
pub(crate) fn seal(file: &mut [u8]) {
    let levels = usize::from(file[7]);
    let mut start = header_len(levels);
    for part in 0..=levels {
        let at = entry(part);
        let len = crate::bytes::u32_at(file, at) as usize;
        let Some(content) = file.get(start..start + len) else { break };
        let sum = crc32fast::hash(content);
        file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        start += len;
    }
    let sealed = header_len(levels) - 4;
    let sum = crc32fast::hash(&file[..sealed]);
    file[sealed..sealed + 4].copy_from_slice(&sum.to_le_bytes());
}

//! Index codes: how a ring says which blocks of the matrix it holds.
mod bits;
mod cursor;
mod gaps;
mod golomb;
mod map;

#[cfg(feature = "alloc")]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing)]
// writes: lengths are checked first
mod encode;

pub(crate) use cursor::{Cursor, Span, empty_rows};
#[cfg(feature = "alloc")]
pub(crate) use encode::{Positions, encode_as, encode_best};
pub(crate) use map::{MAP_BLOCKS, Map};

use core::fmt;

/// How the positions of one ring of one layer are written; the encoder chooses.
///
/// ```
/// use nested_csr::IndexCode;
///
/// assert_eq!(IndexCode::Gaps { modulus: 5 }.to_string(), "golomb 5");
/// assert_eq!(IndexCode::FreeGaps { modulus: 1 }.to_string(), "nested bitmap");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IndexCode {
    /// A count of blocks a row, then one byte a gap (a longer gap takes more): the cheapest to decode by far.
    Bytes {
        /// Bytes of each count: 1, 2 or 4.
        count_width: u8,
    },
    /// Gaps between blocks in steps of 4 bits, run on over the ends of rows: smaller than bytes, cheaper to decode than Golomb's
    /// codes.
    Nibbles,
    /// Golomb code of the gaps between blocks, run on over the ends of rows.
    Gaps {
        /// Golomb's modulus; a power of 2 makes it a Rice code, 1 a bitmap.
        modulus: u16,
    },
    /// Golomb code of the gaps counted over the positions that inner levels left free.
    FreeGaps {
        /// Golomb's modulus; a power of 2 makes it a Rice code, 1 a nested bitmap.
        modulus: u16,
    },
}

impl IndexCode {
    /// From the stored code and parameter; `None` when they are not defined.
    pub(crate) fn from_stored(code: u8, parameter: u16) -> Option<IndexCode> {
        match (code, parameter) {
            (0, 1 | 2 | 4) => Some(IndexCode::Bytes { count_width: u8::try_from(parameter).ok()? }),
            (1, 0) => Some(IndexCode::Nibbles),
            (2, 1..) => Some(IndexCode::Gaps { modulus: parameter }),
            (3, 1..) => Some(IndexCode::FreeGaps { modulus: parameter }),
            _ => None,
        }
    }

    /// The stored code and parameter.
    #[cfg(feature = "alloc")]
    pub(crate) fn stored(self) -> (u8, u16) {
        match self {
            IndexCode::Bytes { count_width } => (0, u16::from(count_width)),
            IndexCode::Nibbles => (1, 0),
            IndexCode::Gaps { modulus } => (2, modulus),
            IndexCode::FreeGaps { modulus } => (3, modulus),
        }
    }
}

impl fmt::Display for IndexCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IndexCode::Bytes { .. } => f.write_str("bytes"),
            IndexCode::Nibbles => f.write_str("nibbles"),
            IndexCode::Gaps { modulus: 1 } => f.write_str("bitmap"),
            IndexCode::FreeGaps { modulus: 1 } => f.write_str("nested bitmap"),
            IndexCode::Gaps { modulus } => write!(f, "golomb {modulus}"),
            IndexCode::FreeGaps { modulus } => write!(f, "nested golomb {modulus}"),
        }
    }
}

/// The bytes that a count of `most` takes: 1, 2 or 4.
pub(crate) fn count_bytes(most: u32) -> u8 {
    match most {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

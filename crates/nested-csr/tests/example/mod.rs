//! The worked example of the specification, whose bytes are known one by one.
use nested_csr::{Block, IndexCode, NestedCsr, Shape};

#[rustfmt::skip]
pub const WEIGHTS: [i8; 32] = [
    5, 0, -2, 0, 0,  7,  0,  0,
    0, 0,  0, 0, 1,  0,  0, -9,
    0, 0,  0, 0, 0,  0,  0,  0,
    3, 4,  0, 0, 0,  0, -1,  8,
];
#[rustfmt::skip]
pub const RINGS: [u8; 32] = [
    1, 0, 2, 0, 0, 3, 0, 0,
    0, 0, 0, 0, 2, 0, 0, 1,
    0, 0, 0, 0, 0, 0, 0, 0,
    3, 1, 0, 0, 0, 0, 2, 3,
];

/// What the encoder writes.
pub fn matrix() -> NestedCsr<Vec<u8>> {
    let shape = Shape { rows: 4, columns: 8 };
    let codes = [IndexCode::Nibbles, IndexCode::FreeGaps { modulus: 5 }, IndexCode::Bytes { count_width: 1 }];
    NestedCsr::compress_as(shape, Block::OneByOne, &codes, &WEIGHTS, &RINGS).unwrap()
}

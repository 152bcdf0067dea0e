//! What damaged files are refused for, error by error: bytes are changed, checksums made to fit. That both readers refuse the
//! same files is held elsewhere; here it is that ours says the right thing.
mod agree;
mod example;
mod naive;

use nested_csr::{
    Block, ConvolutionWeights, FormatError, IndexCode, Kind, Layers, LayersBuilder, Level, Model, ModelBuilder,
    Multiplier, NestedCsr, NodeLevel, Part, Place, Profile, Quantization, Requantization, Shape, TensorShape, Window,
};

/// The error for a file with bytes changed and checksums that fit; both readers refuse it.
fn refused(file: &[u8], edits: &[(usize, &[u8])]) -> FormatError {
    let mut changed = file.to_vec();
    for (at, bytes) in edits {
        changed[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    naive::reseal(&mut changed);
    error_of(&changed)
}

fn error_of(file: &[u8]) -> FormatError {
    assert!(!agree::readers(file));
    let parsed = match Kind::of(file) {
        Ok(Kind::Matrix) => NestedCsr::parse(file).map(drop),
        Ok(Kind::Layers) => Layers::parse(file).map(drop),
        Ok(_) => Model::parse(file).map(drop),
        Err(error) => Err(error),
    };
    parsed.expect_err("a file that is refused")
}

fn word(file: &[u8], at: usize) -> usize {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize
}

#[test]
fn damaged_headers() {
    let file = example::matrix().into_bytes();
    let found = *b"XCSR";
    assert_eq!(refused(&file, &[(0, b"X")]), FormatError::NotNestedCsr { found });
    assert_eq!(refused(&file, &[(4, &[2])]), FormatError::UnsupportedVersion { found: 2, supported: 1 });
    assert_eq!(refused(&file, &[(6, &[3])]), FormatError::UnknownKind { found: 3 });
    assert_eq!(refused(&file, &[(7, &[9])]), FormatError::Levels { found: 9 });
    assert_eq!(refused(&file, &[(7, &[0])]), FormatError::Levels { found: 0 });
    let length = |part, found| FormatError::PartLength { part, found };
    assert_eq!(refused(&file, &[(0x08, &[13])]), length(Part::Body, 13));
    assert_eq!(refused(&file, &[(0x18, &[0])]), length(Part::Section(2), 0));
    let wrong = FormatError::WrongKind { found: Kind::Matrix, expected: Kind::Model };
    assert_eq!(Model::parse(&file).err(), Some(wrong));
}

#[test]
fn cut_and_grown_files() {
    let file = example::matrix().into_bytes();
    let truncated = |part, needed, have| FormatError::Truncated { part, needed, have };
    assert_eq!(error_of(&[]), truncated(Part::Header, 16, 0));
    assert_eq!(error_of(&file[..10]), truncated(Part::Header, 16, 10));
    assert_eq!(error_of(&file[..0x20]), truncated(Part::Header, 0x2c, 0x20));
    assert_eq!(error_of(&file[..0x30]), truncated(Part::Body, 0x38, 0x30));
    assert_eq!(error_of(&file[..0x38]), truncated(Part::Section(1), 0x50, 0x38));
    assert_eq!(error_of(&file[..0x60]), truncated(Part::Section(2), 0x68, 0x60));
    assert_eq!(error_of(&[&file[..], &[0; 3]].concat()), FormatError::TrailingBytes { extra: 3 });
    // Short bytes that begin otherwise are no file that was cut.
    assert_eq!(error_of(b"hello"), FormatError::NotNestedCsr { found: *b"hell" });
    assert_eq!(error_of(b"no"), FormatError::NotNestedCsr { found: *b"no\0\0" });
}

#[test]
fn content_that_differs_from_its_checksum() {
    let file = example::matrix().into_bytes();
    let parts = [(0x10, Part::Header, 0..0x28, 0x28), (0x2c, Part::Body, 0x2c..0x38, 0x0c)];
    let sections = [(0x4a, Part::Section(1), 0x38..0x50, 0x14), (0x62, Part::Section(2), 0x50..0x68, 0x1c)];
    for (place, part, content, sum) in parts.into_iter().chain(sections) {
        let mut changed = file.clone();
        changed[place] ^= 4;
        let (expected, found) = (word(&file, sum) as u32, naive::crc32(&changed[content]));
        assert_eq!(error_of(&changed), FormatError::Checksum { part, expected, found });
    }
}

#[test]
fn damaged_matrices() {
    let file = example::matrix().into_bytes();
    let section = |level| Part::Section(level);
    let (layer, what) = (0, "weights");
    // The body: rows, columns, block, three reserved bytes.
    let shape = |rows, columns| FormatError::Shape { matrix: Place::Layer(0), rows, columns };
    assert_eq!(refused(&file, &[(0x2c, &[0])]), shape(0, 8));
    assert_eq!(refused(&file, &[(0x32, &[1]), (0x33, &[1])]), shape(4, 0x0101_0008));
    assert_eq!(refused(&file, &[(0x34, &[2])]), FormatError::UnknownBlock { layer, found: 2 });
    assert_eq!(refused(&file, &[(0x36, &[1])]), FormatError::NotZero { part: Part::Body, offset: 10 });
    // The record of ring 1: end, blocks, weights, code, a reserved byte, parameter.
    let error = FormatError::Offset { part: section(1), what: "ring", index: 0, found: 16, expected: 19 };
    assert_eq!(refused(&file, &[(0x38, &[16])]), error);
    let error = FormatError::Length { part: section(1), stated: 24, needed: 20 };
    assert_eq!(refused(&file, &[(0x38, &[20])]), error);
    assert_eq!(refused(&file, &[(0x3c, &[4])]), FormatError::Count { layer, level: 1, what, stated: 3, found: 4 });
    let code = |level, code, parameter| FormatError::IndexCode { layer, level, code, parameter };
    assert_eq!(refused(&file, &[(0x44, &[4])]), code(1, 4, 0));
    assert_eq!(refused(&file, &[(0x46, &[1])]), code(1, 1, 1));
    assert_eq!(refused(&file, &[(0x5e, &[0])]), code(2, 3, 0));
    assert_eq!(refused(&file, &[(0x76, &[3])]), code(3, 0, 3));
    assert_eq!(refused(&file, &[(0x45, &[1])]), FormatError::NotZero { part: section(1), offset: 13 });
    assert_eq!(refused(&file, &[(0x4e, &[1])]), FormatError::NotZero { part: section(1), offset: 22 });
    // Its gaps are the nibbles 0, 14, 9 and a spare 0.
    let stream = |level, row| FormatError::IndexStream { layer, level, row };
    assert_eq!(refused(&file, &[(0x49, &[0x19])]), stream(1, 3));
    assert_eq!(refused(&file, &[(0x3c, &[4]), (0x40, &[4])]), stream(1, 1));
    let error = FormatError::Count { layer, level: 1, what: "blocks", stated: 3, found: 2 };
    assert_eq!(refused(&file, &[(0x49, &[0x1f])]), error);
    assert_eq!(refused(&file, &[(0x4a, &[0])]), FormatError::ZeroBlock { layer, level: 1, row: 0 });
    assert_eq!(refused(&file, &[(0x4c, &[0])]), FormatError::ZeroBlock { layer, level: 1, row: 3 });
    // Ring 2's two bytes of bits are more than two blocks need.
    assert_eq!(refused(&file, &[(0x54, &[2]), (0x58, &[2])]), stream(2, 3));
    // Ring 3: counts 1, 0, 0, 2, gaps 5 and 0, 6.
    let duplicate = |row, column| FormatError::DuplicateColumn { layer, level: 3, row, column };
    assert_eq!(refused(&file, &[(0x7c, &[0])]), duplicate(0, 0));
    assert_eq!(refused(&file, &[(0x49, &[0x0f])]), duplicate(3, 7));
    assert_eq!(refused(&file, &[(0x7e, &[7])]), FormatError::ColumnOutOfRange { layer, level: 3, row: 3 });
    assert_eq!(refused(&file, &[(0x76, &[2])]), stream(3, 0));
    assert_eq!(refused(&file, &[(0x7b, &[3])]), stream(3, 3));
    // Two weights for three blocks: met when the last row has taken one too many.
    let error = FormatError::Count { layer, level: 3, what, stated: 2, found: 3 };
    assert_eq!(refused(&file, &[(0x6c, &[2]), (0x70, &[2])]), error);
}

/// Lone blocks make the weights fewer than two a block, and only the index says by how many.
#[test]
fn weights_that_an_odd_row_has_too_few_or_too_many_of() {
    let shape = Shape { rows: 2, columns: 3 };
    let matrix = |weights: [i8; 6]| {
        let rings = weights.map(|weight| u8::from(weight != 0));
        NestedCsr::compress_as(shape, Block::OneByTwo, &[IndexCode::Nibbles], &weights, &rings).unwrap().into_bytes()
    };
    let (blocks, weights, data) = (28 + 12 + 4, 28 + 12 + 8, 28 + 12 + 16);
    // Blocks 0 and 1 of row 0; the second is alone. A gap of 1 more moves it to row 1, where it is not.
    let file = matrix([1, 2, 3, 0, 0, 0]);
    assert_eq!((word(&file, blocks), word(&file, weights)), (2, 3));
    let count = |stated, found| FormatError::Count { layer: 0, level: 1, what: "weights", stated, found };
    assert_eq!(refused(&file, &[(data, &[0x10])]), count(3, 4));
    // The other way about: both weights of the second block are there, but it is alone.
    let file = matrix([1, 2, 0, 3, 3, 0]);
    assert_eq!((word(&file, weights), file[data]), (4, 0x10));
    assert_eq!(refused(&file, &[(data, &[0x00])]), count(4, 3));
}

#[test]
fn counts_wider_than_they_need_to_be() {
    let shape = Shape { rows: 1, columns: 1 };
    let codes = [IndexCode::Bytes { count_width: 1 }];
    let file = NestedCsr::compress_as(shape, Block::OneByOne, &codes, &[5], &[1]).unwrap().into_bytes();
    // A count of 1, a gap of 0, the weight, a byte of padding, which the wider count takes.
    let (section, end) = (28 + 12, file.len());
    assert_eq!(file[end - 4..], [1, 0, 5, 0]);
    let edits: [(usize, &[u8]); 3] = [(section, &[20]), (section + 14, &[2]), (end - 4, &[1, 0, 0, 5])];
    assert_eq!(refused(&file, &edits), FormatError::IndexCode { layer: 0, level: 1, code: 0, parameter: 2 });
}

/// Rows too wide for one map are checked window by window.
#[test]
fn a_column_of_two_rings_is_found_in_every_window_of_a_wide_row() {
    let shape = Shape { rows: 2, columns: 30_000 };
    let codes = [IndexCode::Bytes { count_width: 1 }, IndexCode::Nibbles, IndexCode::Gaps { modulus: 300 }];
    // The windows begin at the first block that is left: at 5, which reaches to 8196, then at 9000, then at 29,000.
    for (row, column) in [(0, 5), (0, 8196), (0, 9000), (0, 10_000), (1, 17_191), (1, 29_000)] {
        for inner in codes {
            let (mut weights, mut rings) = (vec![0; shape.len()], vec![0; shape.len()]);
            for held in [5, 8196, 9000, 10_000, 17_191, 29_000] {
                for row in 0..shape.rows {
                    (weights[row * shape.columns + held], rings[row * shape.columns + held]) = (1, 1);
                }
            }
            let beside = row * shape.columns + column + 1;
            (weights[beside], rings[beside]) = (2, 2);
            let write = |outer| {
                let file = NestedCsr::compress_as(shape, Block::OneByOne, &[inner, outer], &weights, &rings);
                file.unwrap().into_bytes()
            };
            // The only gap of ring 2, one less: its last byte of bytes, its last nibble of nibbles.
            for outer in &codes[..2] {
                let file = write(*outer);
                let last = file.len() - 1 - file.iter().rev().position(|byte| *byte == 2).unwrap() - 1;
                let less = match (outer, file[last]) {
                    (IndexCode::Nibbles, byte) if byte > 0x0f => byte - 0x10,
                    (_, byte) => byte - 1,
                };
                let error = FormatError::DuplicateColumn { layer: 0, level: 2, row, column };
                assert_eq!(refused(&file, &[(last, &[less])]), error, "{inner:?}, {outer:?}");
            }
        }
    }
}

#[test]
fn damaged_sets_of_layers() {
    let mut builder = LayersBuilder::new(Level::FIRST, Profile::Size);
    let shape = Shape { rows: 1, columns: 2 };
    for name in ["ab", "é"] {
        builder.push(name, shape, Block::OneByOne, &[3, 4], &[1, 1]).unwrap();
    }
    let file = builder.finish().unwrap().into_bytes();
    let body = 28;
    let names = body + 8 + 2 * 16;
    assert_eq!(file[names..names + 4], *"abé".as_bytes());
    let error = |stated, needed| FormatError::Length { part: Part::Body, stated, needed };
    assert_eq!(refused(&file, &[(body, &[3])]), error(44, 60));
    assert_eq!(refused(&file, &[(body, &[0]), (body + 4, &[36])]), FormatError::Empty);
    let shape = FormatError::Shape { matrix: Place::Layer(1), rows: 0, columns: 2 };
    assert_eq!(refused(&file, &[(body + 8 + 16, &[0])]), shape);
    // Names: their bytes, then the end of each.
    assert_eq!(refused(&file, &[(names + 1, &[0xff])]), FormatError::Name { index: 0 });
    assert_eq!(refused(&file, &[(body + 20, &[3])]), FormatError::Name { index: 0 });
    assert_eq!(refused(&file, &[(body + 36, &[5])]), FormatError::Name { index: 1 });
    let error = FormatError::Offset { part: Part::Body, what: "name", index: 1, found: 2, expected: 4 };
    assert_eq!(refused(&file, &[(body + 36, &[2])]), error);
}

const BODY: usize = 28;
const NODES: usize = BODY + 24 + 12;
const SECTION: usize = NODES + 2 * 28 + 8;
const PARAMETERS: usize = SECTION + 4 + 16;

/// A nested convolution of two channels, whose accumulator is wide, and a max pool; offsets above.
fn model() -> Vec<u8> {
    let quantization = Quantization { scale: 0.5, zero_point: -3 };
    let image = TensorShape { channels: 2, height: 2, width: 1 };
    let mut builder = ModelBuilder::new(Level::FIRST, image, quantization).unwrap();
    let rows = vec![Requantization { multiplier: Multiplier::from_code(0xf000), bias: 10_000_000 }];
    let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
    let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[5, -7], rings: &[1, 1] };
    let made = builder.convolution("conv", builder.input(), Window::square(1, 1, 0), 1, weights, &[level]).unwrap();
    builder.max_pool("pool", made, Window::square(1, 1, 0)).unwrap();
    builder.finish(Profile::Size).unwrap().into_bytes()
}

#[test]
fn damaged_graphs() {
    let file = model();
    assert_eq!(&file[SECTION - 8..SECTION], b"convpool");
    let node = |node, field| FormatError::Node { node, field };
    assert_eq!(refused(&file, &[(BODY + 12, &[0])]), FormatError::Input { field: "shape" });
    assert_eq!(refused(&file, &[(BODY + 23, &[0xff])]), FormatError::Input { field: "scale" });
    assert_eq!(refused(&file, &[(BODY + 19, &[1])]), FormatError::NotZero { part: Part::Body, offset: 19 });
    let length = |stated, needed| FormatError::Length { part: Part::Body, stated, needed };
    assert_eq!(refused(&file, &[(BODY + 2, &[3])]), length(100, 128));
    // A tensor of the future, and a second one where only one is read.
    assert_eq!(refused(&file, &[(NODES + 2, &[1])]), node(0, "the input"));
    assert_eq!(refused(&file, &[(NODES + 28 + 2, &[2])]), node(1, "the input"));
    assert_eq!(refused(&file, &[(NODES + 28 + 4, &[1])]), node(1, "the second input"));
    assert_eq!(refused(&file, &[(NODES + 6, &[3])]), node(0, "the window"));
    assert_eq!(refused(&file, &[(NODES + 14, &[2])]), node(0, "the layer's shape"));
    assert_eq!(refused(&file, &[(NODES + 28 + 14, &[2])]), node(1, "the output shape"));
    assert_eq!(refused(&file, &[(NODES + 1, &[0])]), node(0, "the weights"));
    assert_eq!(refused(&file, &[(NODES + 20, &[1])]), node(0, "the source of the weights"));
    assert_eq!(refused(&file, &[(NODES + 13, &[1])]), FormatError::NotZero { part: Part::Body, offset: 49 });
    // What a newer operation has in the other fields is its own.
    let newer: [(usize, &[u8]); 3] = [(NODES + 28, &[7]), (NODES + 28 + 4, &[1]), (NODES + 28 + 13, &[1])];
    assert_eq!(refused(&file, &newer), FormatError::UnknownOperation { node: 1, found: 7 });
    // Dense weights that the body does not have; all names, and the last one's end.
    assert_eq!(refused(&file, &[(NODES + 1, &[2])]), length(100, 102));
    assert_eq!(refused(&file, &[(SECTION - 7, &[0xff])]), FormatError::Name { index: 0 });
    let error = FormatError::Offset { part: Part::Body, what: "name", index: 1, found: 7, expected: 8 };
    assert_eq!(refused(&file, &[(NODES + 28 + 24, &[7])]), error);
    // A second layer, which no node uses.
    let mut longer = file[..NODES].to_vec();
    longer.extend(&file[NODES - 12..NODES]);
    longer.extend(&file[NODES..]);
    assert_eq!(refused(&longer, &[(8, &[112]), (BODY, &[2])]), FormatError::UnusedLayer { layer: 1 });
}

#[test]
fn dense_weights_that_are_more_than_the_nodes_have() {
    let quantization = Quantization { scale: 0.5, zero_point: -3 };
    let image = TensorShape { channels: 4, height: 1, width: 1 };
    let mut builder = ModelBuilder::new(Level::FIRST, image, quantization).unwrap();
    let rows = vec![Requantization { multiplier: Multiplier::from_code(0), bias: 0 }];
    let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
    let weights = ConvolutionWeights::Dense(&[1, 2, 3, 4]);
    builder.convolution("", builder.input(), Window::square(1, 1, 0), 1, weights, &[level]).unwrap();
    let file = builder.finish(Profile::Size).unwrap().into_bytes();
    let (body, end) = (28, 28 + 24 + 28 + 4);
    let longer = [&file[..end], &[0; 4], &file[end..]].concat();
    let error = FormatError::Length { part: Part::Body, stated: 60, needed: 56 };
    assert_eq!(refused(&longer, &[(8, &[60]), (body + 8, &[8])]), error);
}

#[test]
fn damaged_parameters() {
    let file = model();
    let rows = SECTION + word(&file, PARAMETERS + 12);
    assert_eq!((file[PARAMETERS + 7], word(&file, rows + 2)), (0x84, 10_000_000));
    let wrong = |node, field| FormatError::Parameters { node, level: 1, field };
    assert_eq!(refused(&file, &[(PARAMETERS + 3, &[0xff])]), wrong(0, "the scale"));
    assert_eq!(refused(&file, &[(PARAMETERS + 6, &[0x80]), (PARAMETERS + 5, &[0])]), wrong(0, "the clamp"));
    assert_eq!(refused(&file, &[(PARAMETERS + 8, &[1])]), wrong(0, "the input weights"));
    assert_eq!(refused(&file, &[(PARAMETERS + 16 + 6, &[126])]), wrong(1, "the clamp"));
    let kept = "a quantisation that is not its inputs'";
    assert_eq!(refused(&file, &[(PARAMETERS + 16 + 4, &[0])]), wrong(1, kept));
    let error = FormatError::Offset { part: Part::Section(1), what: "node", index: 0, found: 56, expected: 55 };
    assert_eq!(refused(&file, &[(PARAMETERS + 12, &[56])]), error);
    // A node that claims to be narrow and is not; a bias of four bytes that needs one; a width of five.
    assert_eq!(refused(&file, &[(PARAMETERS + 7, &[0x04])]), wrong(0, "the form byte"));
    assert_eq!(refused(&file, &[(rows + 2, &[1, 0, 0, 0])]), wrong(0, "the form byte"));
    assert_eq!(refused(&file, &[(PARAMETERS + 7, &[0x85])]), wrong(0, "the form byte"));
    // An accumulator that a bias takes past 32 bits, and just not.
    let error = FormatError::AccumulatorOverflow { node: 0, level: 1, row: 0 };
    let most = i32::MAX - (5 * 127 + 7 * 128);
    assert_eq!(refused(&file, &[(rows + 2, &(most + 1).to_le_bytes())]), error);
    let mut changed = file.clone();
    changed[rows + 2..rows + 6].copy_from_slice(&most.to_le_bytes());
    naive::reseal(&mut changed);
    assert!(agree::readers(&changed));
}

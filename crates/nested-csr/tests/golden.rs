//! Golden files of version 1, never written again: what they hold is written down here in words of the builder, and both
//! ways must agree to the byte.
mod agree;
mod naive;

use nested_csr::{
    Anchor, Block, ConvolutionWeights, FormatError, HeadAnchors, IndexCode, LayersBuilder, Level, ModelBuilder,
    Multiplier, NestedCsr, NodeLevel, Padding, Profile, Quantization, Requantization, Shape, TensorShape, Window,
};

/// Weights and rings of a fixed pattern: block `i` is stored when `i % every < levels`, in ring `i % every + 1`.
fn pattern(shape: Shape, block: Block, levels: usize, every: usize) -> (Vec<i8>, Vec<u8>) {
    let blocks = shape.columns.div_ceil(block.width());
    let cell = |i: usize| {
        let (row, column) = (i / shape.columns, i % shape.columns);
        let at = (row * blocks + column / block.width()) * 7 % 31;
        if at % every < levels { ((i % 120) as i8 - 60, (at % every + 1) as u8) } else { (0, 0) }
    };
    (0..shape.len()).map(cell).unzip()
}

fn codes() -> Vec<IndexCode> {
    let golomb = IndexCode::Gaps { modulus: 3 };
    vec![golomb, IndexCode::FreeGaps { modulus: 1 }, IndexCode::Bytes { count_width: 1 }, IndexCode::Nibbles]
}

fn matrix(shape: Shape, block: Block, codes: &[IndexCode], every: usize) -> Result<Vec<u8>, FormatError> {
    let (weights, rings) = pattern(shape, block, codes.len(), every);
    Ok(NestedCsr::compress_as(shape, block, codes, &weights, &rings)?.into_bytes())
}

/// Gaps on both sides of each code's escapes, and an empty row.
fn gaps() -> Result<Vec<u8>, FormatError> {
    let shape = Shape { rows: 3, columns: 700 };
    let (mut weights, mut rings) = (vec![0; shape.len()], vec![0; shape.len()]);
    for (ring, columns) in [(1, [0, 255, 511, 699, 1400]), (2, [254, 270, 285, 300, 2099])] {
        for column in columns {
            (weights[column], rings[column]) = (-128, ring);
        }
    }
    let codes = [codes()[2], codes()[3]];
    Ok(NestedCsr::compress_as(shape, Block::OneByOne, &codes, &weights, &rings)?.into_bytes())
}

fn layers() -> Result<Vec<u8>, FormatError> {
    let mut builder = LayersBuilder::new(Level::new(2)?, Profile::Size);
    for (name, block, columns) in [("stem", Block::OneByOne, 9), ("", Block::OneByTwo, 13), ("頭", Block::OneByTwo, 8)]
    {
        let shape = Shape { rows: 5, columns };
        let (weights, rings) = pattern(shape, block, 2, 6);
        builder.push(name, shape, block, &weights, &rings)?;
    }
    Ok(builder.finish()?.into_bytes())
}

fn node_levels(rows: usize, bias: i32, input_weights: [i16; 2]) -> Vec<NodeLevel> {
    let level = |level: i32| NodeLevel {
        output: Quantization { scale: 0.5 + level as f32, zero_point: -128 + level as i8 },
        low: -128,
        high: 100,
        input_weights,
        rows: (0..rows as u16)
            .map(|row| Requantization {
                multiplier: Multiplier::from_code(4000 + 5000 * row),
                bias: bias * (level + 1) - i32::from(row),
            })
            .collect(),
    };
    (0..3).map(level).collect()
}

fn model() -> Result<Vec<u8>, FormatError> {
    let image = TensorShape { channels: 2, height: 6, width: 5 };
    let mut builder = ModelBuilder::new(Level::new(3)?, image, Quantization { scale: 0.25, zero_point: 3 })?;
    let first: Vec<i8> = (0..3 * 18).map(|i| (i * 7 % 255 - 127) as i8).collect();
    let first = ConvolutionWeights::Dense(&first);
    let input = builder.input();
    let a = builder.convolution("first", input, Window::square(3, 1, 1), 3, first, &node_levels(3, 300, [0, 0]))?;
    let shape = Shape { rows: 3, columns: 27 };
    let (weights, rings) = pattern(shape, Block::OneByTwo, 3, 7);
    let sparse = ConvolutionWeights::Sparse { block: Block::OneByTwo, weights: &weights, rings: &rings };
    let b = builder.convolution("", a, Window::square(3, 1, 1), 3, sparse, &node_levels(3, -70_000, [0, 0]))?;
    let c = builder.add("sum", a, b, &node_levels(1, 5, [16_384, -3]))?;
    let d = builder.depthwise("深", c, Window::square(3, 2, 1), &[-3; 27], &node_levels(3, 9_000_000, [0, 0]))?;
    let uneven = Padding { top: 0, left: 1, bottom: 1, right: 0 };
    let e = builder.max_pool("max", d, Window { padding: uneven, ..Window::square(2, 1, 0) })?;
    let f = builder.average_pool("mean", e, Window::square(3, 1, 0), &node_levels(1, 0, [3640, 0]))?;
    let (weights, rings) = pattern(Shape { rows: 4, columns: 3 }, Block::OneByOne, 3, 4);
    let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
    builder.convolution("logits", f, Window::square(1, 1, 0), 4, sparse, &node_levels(4, 17, [0, 0]))?;
    builder.set_costs(&[1000, 0, 3000])?;
    Ok(builder.finish(Profile::Size)?.into_bytes())
}

/// Two head maps of one quantisation, behind one another, and how they are to be read.
fn detector() -> Result<Vec<u8>, FormatError> {
    let image = TensorShape { channels: 1, height: 4, width: 4 };
    let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.25, zero_point: 3 })?;
    let levels = |rows| node_levels(rows, 300, [0, 0]).into_iter().take(2).collect::<Vec<_>>();
    let a = builder.depthwise("a", builder.input(), Window::square(3, 2, 1), &[5; 9], &levels(1))?;
    let mut heads = Vec::new();
    for (name, input, rows) in [("large", a, 12), ("small", a, 6)] {
        let window = if rows == 6 { Window::square(2, 1, 0) } else { Window::square(1, 1, 0) };
        let shape = Shape { rows, columns: usize::from(window.kernel[0]).pow(2) };
        let (weights, rings) = pattern(shape, Block::OneByOne, 2, 3);
        let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
        heads.push(builder.convolution(name, input, window, rows, sparse, &levels(rows))?);
    }
    let joined = builder.concatenation("joined", heads[0], heads[1])?;
    let anchors = [Anchor { height: 1024, width: 2048 }, Anchor { height: 700, width: 701 }];
    let maps = [
        HeadAnchors { height: 2, width: 2, anchors: &anchors },
        HeadAnchors { height: 1, width: 1, anchors: &anchors[..1] },
    ];
    builder.detection("boxes", joined, 1, &maps)?;
    Ok(builder.finish(Profile::Size)?.into_bytes())
}

/// Each golden file's name and what the encoder writes today.
fn files() -> Result<Vec<(&'static str, Vec<u8>)>, FormatError> {
    let empty = Shape { rows: 2, columns: 3 };
    let nothing = NestedCsr::compress(empty, Block::OneByTwo, Level::new(8)?, &[0; 6], &[0; 6], Profile::Size)?;
    Ok(vec![
        ("matrix-1x1", matrix(Shape { rows: 4, columns: 30 }, Block::OneByOne, &codes(), 9)?),
        ("matrix-1x2", matrix(Shape { rows: 5, columns: 21 }, Block::OneByTwo, &codes(), 6)?),
        ("matrix-gaps", gaps()?),
        ("matrix-empty", nothing.into_bytes()),
        ("layers", layers()?),
        ("model", model()?),
        ("detector", detector()?),
    ])
}

fn path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.ncsr"))
}

#[test]
fn golden_files_are_what_the_encoder_writes_and_both_readers_read() {
    for (name, written) in files().unwrap() {
        let golden = std::fs::read(path(name)).unwrap();
        assert_eq!(written, golden, "{name}");
        assert!(agree::readers(&golden), "{name}");
    }
}

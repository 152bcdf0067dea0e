//! A model is read back as it was built, at each level and from each prefix.
use nested_csr::{
    Anchor, Block, ConvolutionWeights, FormatError, HeadAnchors, IndexCode, Level, Model, ModelBuilder, Multiplier,
    NodeLevel, Operation, Padding, Place, Profile, Quantization, Requantization, TensorId, TensorShape, Weights,
    Window,
};

mod naive;

const LEVELS: usize = 2;

fn node_levels(rows: usize, bias: i32, input_weights: [i16; 2]) -> Vec<NodeLevel> {
    (0..LEVELS)
        .map(|level| NodeLevel {
            output: Quantization { scale: 0.5 + level as f32, zero_point: -128 },
            low: -128,
            high: 100,
            input_weights,
            rows: (0..rows)
                .map(|row| Requantization {
                    multiplier: Multiplier::nearest(0.01 * (row % 40 + 1) as f64).unwrap(),
                    bias: bias * (level as i32 + 1) - row as i32,
                })
                .collect(),
        })
        .collect()
}

fn build() -> Result<Model<Vec<u8>>, FormatError> {
    let input = TensorShape { channels: 2, height: 5, width: 4 };
    let mut builder = ModelBuilder::new(Level::new(LEVELS)?, input, Quantization { scale: 0.25, zero_point: 3 })?;
    let image = builder.input();
    let first: Vec<i8> = (0..4 * 18).map(|i| (i * 7 % 255 - 127) as i8).collect();
    let a = builder.convolution(
        "first",
        image,
        Window::square(3, 1, 1),
        4,
        ConvolutionWeights::Dense(&first),
        &node_levels(4, 300, [0, 0]),
    )?;
    let rings: Vec<u8> = (0..16).map(|i| (i % 3) as u8).collect();
    let weights: Vec<i8> = rings.iter().map(|&ring| if ring == 0 { 0 } else { 9 - 5 * ring as i8 }).collect();
    let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
    let b = builder.convolution("", a, Window::square(1, 1, 0), 4, sparse, &node_levels(4, -70_000, [0, 0]))?;
    let c = builder.add("sum", a, b, &node_levels(1, 5, [16_384, -3]))?;
    let d =
        builder.depthwise("depthwise", c, Window::square(3, 2, 1), &[1; 36], &node_levels(4, 10_000_000, [0, 0]))?;
    let e = builder.max_pool("max", d, Window::square(2, 1, 0))?;
    builder.average_pool(
        "mean",
        e,
        Window { kernel: [2, 1], ..Window::square(1, 1, 0) },
        &node_levels(1, 0, [8192, 0]),
    )?;
    builder.set_costs(&[1000, 2000])?;
    builder.finish(Profile::Size)
}

#[test]
fn a_model_is_read_back_as_it_was_built() {
    let mut built = build().unwrap();
    built.set_costs(&[1500, 0]).unwrap();
    for level in built.levels().up_to() {
        let model = Model::parse(built.prefix(level).unwrap()).unwrap();
        assert_eq!(model.levels(), level);
        assert_eq!(model.cost(Level::FIRST), Some(1500));
        assert_eq!(model.node_count(), 6);
        assert_eq!(model.output_shape(), TensorShape { channels: 4, height: 1, width: 1 });
        let names: Vec<_> = (0..6).map(|index| model.name(index).unwrap()).collect();
        assert_eq!(names, ["first", "", "sum", "depthwise", "max", "mean"]);

        let Operation::Convolution { weights: Weights::Dense(first), .. } = model.node(0).unwrap().operation else {
            panic!()
        };
        assert_eq!((first.len(), first[0], first[71]), (72, -127, (71 * 7 % 255 - 127) as i8));
        let Operation::Convolution { weights: Weights::Sparse(view), .. } = model.node(1).unwrap().operation else {
            panic!()
        };
        assert_eq!(view.stored(level).unwrap(), [5, 10][level.number() - 1]);
        for (index, rows, bias, width) in
            [(0, 4, 300, 2), (1, 4, -70_000, 3), (2, 1, 5, 1), (3, 4, 10_000_000, 4), (5, 1, 0, 1)]
        {
            let parameters = model.parameters(level, index).unwrap();
            let expected = &node_levels(rows, bias, [0, 0])[level.number() - 1];
            assert_eq!(parameters.rows.iter().collect::<Vec<_>>(), expected.rows, "node {index}, width {width}");
            assert_eq!(parameters.output(), expected.output);
            assert_eq!(parameters.narrow, index != 3, "node {index}");
        }
        let pool = model.parameters(level, 4).unwrap();
        assert!(pool.rows.is_empty() && pool.output() == model.parameters(level, 3).unwrap().output());
    }
    assert_eq!(built.cost(Level::new(2).unwrap()), None);
}

#[test]
fn a_layer_may_have_a_profile_of_its_own() {
    let input = TensorShape { channels: 64, height: 1, width: 1 };
    let levels = Level::new(LEVELS).unwrap();
    let mut builder = ModelBuilder::new(levels, input, Quantization { scale: 1.0, zero_point: 0 }).unwrap();
    let rings: Vec<u8> = (0..64 * 64).map(|i| [1, 2].get(i * 7919 % 13).copied().unwrap_or(0)).collect();
    let weights: Vec<i8> = rings.iter().map(|&ring| ring as i8).collect();
    let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
    let mut tensor = builder.input();
    for _ in 0..2 {
        tensor =
            builder.convolution("", tensor, Window::square(1, 1, 0), 64, sparse, &node_levels(64, 1, [0, 0])).unwrap();
    }
    builder.prefer(tensor, Profile::Speed).unwrap();
    let error = |tensor| Err(FormatError::NotNested { tensor });
    assert_eq!(builder.prefer(builder.input(), Profile::Speed), error(0));
    assert_eq!(builder.prefer(TensorId(3), Profile::Speed), error(3));
    let model = builder.finish(Profile::Balanced).unwrap();
    let codes: Vec<_> = model.sparse_layers().map(|(_, layer)| layer.index_code(levels).unwrap()).collect();
    assert_eq!(codes, [IndexCode::Nibbles, IndexCode::Bytes { count_width: 1 }]);
}

#[test]
fn an_accumulator_that_leaves_32_bits_is_refused() {
    let input = TensorShape { channels: 1, height: 1, width: 1 };
    let mut builder = ModelBuilder::new(Level::FIRST, input, Quantization { scale: 1.0, zero_point: 0 }).unwrap();
    let mut levels = node_levels(1, 0, [0, 0]);
    levels.truncate(1);
    levels[0].rows[0].bias = i32::MAX - 126;
    let result =
        builder.convolution("", builder.input(), Window::square(1, 1, 0), 1, ConvolutionWeights::Dense(&[1]), &levels);
    assert_eq!(result, Err(FormatError::AccumulatorOverflow { node: 0, level: 1, row: 0 }));
    levels[0].rows[0].bias -= 1;
    let result =
        builder.convolution("", builder.input(), Window::square(1, 1, 0), 1, ConvolutionWeights::Dense(&[1]), &levels);
    assert!(result.is_ok() && builder.finish(Profile::Speed).is_ok());
}

/// What a file could not hold is refused when the node is added, and the error names it; the builder goes on as it was.
#[test]
fn what_a_convolution_cannot_have_is_refused_when_it_is_added() {
    let image = TensorShape { channels: 4, height: 1, width: 1 };
    let quantization = Quantization { scale: 1.0, zero_point: 0 };
    let mut builder = ModelBuilder::new(Level::new(LEVELS).unwrap(), image, quantization).unwrap();
    let pooled = builder.max_pool("", builder.input(), Window::square(1, 1, 0)).unwrap();
    let window = Window::square(1, 1, 0);
    let mut add = |weights: [i8; 4], rings: [u8; 4], block, change: &dyn Fn(&mut NodeLevel)| {
        let mut levels = node_levels(1, 0, [0, 0]);
        change(&mut levels[1]);
        let weights = ConvolutionWeights::Sparse { block, weights: &weights, rings: &rings };
        builder.convolution("", pooled, window, 1, weights, &levels).map(|made| made.0)
    };
    let (one, two, same) = (Block::OneByOne, Block::OneByTwo, &|_: &mut NodeLevel| ());
    let (matrix, row) = (Place::Node(1), 0);
    let error = FormatError::RingAboveLevels { matrix, row, column: 2, ring: 3, levels: LEVELS };
    assert_eq!(error.to_string(), "node 1, row 0, column 2: ring 3, but there are 2 levels");
    assert_eq!(add([1, 0, 3, 0], [1, 0, 3, 0], one, same), Err(error));
    let error = FormatError::WeightOutsideLevels { matrix, row, column: 1, weight: 9 };
    assert_eq!(add([0, 9, 0, 0], [0, 0, 0, 0], one, same), Err(error));
    let error = FormatError::SplitBlock { matrix, row, column: 3 };
    assert_eq!(add([0, 0, 1, 1], [0, 0, 1, 2], two, same), Err(error));
    let mut said = |change: &dyn Fn(&mut NodeLevel)| add([1, 0, 0, 2], [1, 0, 0, 2], one, change);
    let wrong = |field| Err(FormatError::Parameters { node: 1, level: 2, field });
    for scale in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        assert_eq!(said(&|level| level.output.scale = scale), wrong("the scale"));
    }
    assert_eq!(said(&|level| (level.low, level.high) = (1, 0)), wrong("the clamp"));
    assert_eq!(said(&|level| level.input_weights = [0, 1]), wrong("the input weights"));
    let rows = FormatError::LengthMismatch { what: "rows", needed: 1, given: 0 };
    assert_eq!(said(&|level| level.rows.clear()), Err(rows));
    assert_eq!(said(same), Ok(2));
    assert_eq!(builder.finish(Profile::Size).unwrap().node_count(), 2);
}

#[test]
fn shapes_that_no_matrix_or_input_has_are_refused_with_their_place() {
    let quantization = Quantization { scale: 1.0, zero_point: 0 };
    let new = |image, quantization| ModelBuilder::new(Level::FIRST, image, quantization).map(|_| ());
    let image = TensorShape { channels: 65_535, height: 17, width: 1 };
    assert_eq!(new(TensorShape { width: 0, ..image }, quantization), Err(FormatError::Input { field: "shape" }));
    let infinite = Quantization { scale: f32::INFINITY, ..quantization };
    assert_eq!(new(image, infinite), Err(FormatError::Input { field: "scale" }));
    // More columns than a matrix may have.
    let mut builder = ModelBuilder::new(Level::FIRST, image, quantization).unwrap();
    let pooled = builder.max_pool("", builder.input(), Window::square(1, 1, 0)).unwrap();
    let window = Window { kernel: [255, 2], stride: 1, padding: Padding { top: 119, left: 1, bottom: 119, right: 0 } };
    let error = FormatError::Shape { matrix: Place::Node(1), rows: 1, columns: 65_535 * 510 };
    let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[], rings: &[] };
    for weights in [ConvolutionWeights::Dense(&[]), sparse] {
        assert_eq!(builder.convolution("", pooled, window, 1, weights, &node_levels(1, 0, [0, 0])), Err(error.clone()));
    }
}

#[test]
fn an_operation_that_this_build_lacks_is_named_with_its_node() {
    const UNKNOWN: u8 = 200;
    let file = build().unwrap().into_bytes();
    let refused = |place: usize| {
        let mut changed = file.clone();
        changed[place] = UNKNOWN;
        naive::reseal(&mut changed);
        match Model::parse(changed) {
            Err(FormatError::UnknownOperation { node, found: UNKNOWN }) => Some(node),
            _ => None,
        }
    };
    let nodes: Vec<usize> = (0..file.len()).filter_map(refused).collect();
    // Whatever else a node has, its operation comes first.
    assert_eq!(nodes, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn tensors_of_other_quantisation_or_too_many_elements_are_not_joined() {
    let image = TensorShape { channels: 40_000, height: 1, width: 1 };
    let levels = Level::new(LEVELS).unwrap();
    let mut builder = ModelBuilder::new(levels, image, Quantization { scale: 0.5, zero_point: -128 }).unwrap();
    let input = builder.input();
    let error = FormatError::Node { node: 0, field: "the output shape" };
    assert_eq!(builder.concatenation("", input, input), Err(error));
    // The same at level 1, another at level 2.
    let weights = ConvolutionWeights::Dense(&[0; 40_000]);
    let other =
        builder.convolution("", input, Window::square(1, 1, 0), 1, weights, &node_levels(1, 0, [0, 0])).unwrap();
    let error = FormatError::Parameters { node: 1, level: 2, field: "a quantisation that is not its inputs'" };
    assert_eq!(builder.concatenation("", input, other), Err(error));
    assert_eq!(builder.concatenation("", other, other), Ok(TensorId(2)));
}

#[test]
fn a_detection_is_the_last_node_and_describes_its_input() {
    let image = TensorShape { channels: 7, height: 1, width: 2 };
    let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 1.0, zero_point: 0 }).unwrap();
    let input = builder.input();
    let anchors = [Anchor { height: 1, width: 2 }];
    let mut detection =
        |classes, width, anchors| builder.detection("", input, classes, &[HeadAnchors { height: 1, width, anchors }]);
    let error = |field| Err(FormatError::Node { node: 0, field });
    assert_eq!(detection(1, 2, &anchors), error("the values that the anchor table describes"));
    assert_eq!(detection(0, 2, &anchors), error("the anchor table"));
    assert_eq!(detection(2, 2, &[]), error("the anchor table"));
    assert_eq!(detection(2, 2, &[Anchor { height: 0, width: 1 }]), error("the anchor table"));
    assert_eq!(detection(2, 2, &anchors), Ok(TensorId(1)));
    assert_eq!(builder.concatenation("", input, input), error("a node behind a detection"));
    let model = builder.finish(Profile::Size).unwrap();
    let Operation::Detection { anchors: table, .. } = model.node(0).unwrap().operation else { panic!() };
    assert_eq!(table.maps().flat_map(|map| map.anchors()).collect::<Vec<_>>(), anchors);
    assert_eq!(model.output_shape(), image);
}

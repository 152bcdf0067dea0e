//! Strategies and laws for property tests of code that uses the format (feature `proptest`).
//!
//! ```
//! use nested_csr::testing::{Nested, laws, nested};
//! use nested_csr::{FormatError, Level, NestedCsr, Profile};
//! use proptest::prelude::*;
//!
//! /// The code under test: what a device would read.
//! fn first_level_of(file: &[u8]) -> Result<Vec<i8>, FormatError> {
//!     NestedCsr::parse(file)?.to_dense(Level::FIRST)
//! }
//!
//! proptest!(ProptestConfig::with_cases(16), |(matrix in nested())| {
//!     let file = matrix.compress(Profile::Size)?;
//!     laws::file_holds_matrix(&matrix, &file)?;
//!     prop_assert_eq!(first_level_of(file.as_bytes())?, matrix.at(Level::FIRST));
//! });
//! ```
use crate::{
    Anchor, Block, ConvolutionWeights, FormatError, HeadAnchors, IndexCode, Level, MAX_LEVELS, Model, ModelBuilder,
    Multiplier, NestedCsr, NodeLevel, Padding, Profile, Quantization, Requantization, Shape, TensorId, TensorShape,
    Window,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::vec::Vec;

pub mod laws;

/// A nested matrix as [`NestedCsr::compress`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Its shape.
    pub shape: Shape,
    /// Its block.
    pub block: Block,
    /// How many rings there are.
    pub levels: Level,
    /// Row-major weights.
    pub weights: Vec<i8>,
    /// The ring of each weight, 0 when it is pruned.
    pub rings: Vec<u8>,
}

impl Nested {
    /// See [`NestedCsr::compress`].
    ///
    /// # Errors
    /// None for what the strategies of this module make.
    pub fn compress(&self, profile: Profile) -> Result<NestedCsr<Vec<u8>>, FormatError> {
        NestedCsr::compress(self.shape, self.block, self.levels, &self.weights, &self.rings, profile)
    }

    /// See [`NestedCsr::compress_as`].
    ///
    /// # Errors
    /// As many codes as levels are needed; otherwise as [`Nested::compress`].
    pub fn compress_as(&self, codes: &[IndexCode]) -> Result<NestedCsr<Vec<u8>>, FormatError> {
        NestedCsr::compress_as(self.shape, self.block, codes, &self.weights, &self.rings)
    }

    /// The dense matrix at a level.
    pub fn at(&self, level: Level) -> Vec<i8> {
        let inside = |ring: usize| (1..=level.number()).contains(&ring);
        (0..self.weights.len()).map(|i| if inside(self.rings[i].into()) { self.weights[i] } else { 0 }).collect()
    }

    /// The weights of a row at a level, in the specified order.
    pub fn row(&self, row: usize, level: Level) -> Vec<(usize, i8)> {
        let start = row * self.shape.columns;
        let mut out = Vec::new();
        for ring in 1..=level.number() {
            for first in (0..self.shape.columns).step_by(self.block.width()) {
                let columns = first..(first + self.block.width()).min(self.shape.columns);
                let holds = columns.clone().any(|column| usize::from(self.rings[start + column]) == ring);
                if holds && columns.clone().any(|column| self.weights[start + column] != 0) {
                    out.extend(columns.map(|column| (column, self.weights[start + column])));
                }
            }
        }
        out
    }
}

/// 1×1 or 1×2.
pub fn block() -> impl Strategy<Value = Block> {
    prop_oneof![Just(Block::OneByOne), Just(Block::OneByTwo)]
}

/// Any level.
pub fn level() -> impl Strategy<Value = Level> {
    (1..=MAX_LEVELS).prop_filter_map("a level", |number| Level::new(number).ok())
}

/// Any profile.
pub fn profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::Size), Just(Profile::Balanced), Just(Profile::Speed)]
}

/// A ladder: 1 to 8 sparsities in (0, 1), strictly falling.
pub fn ladder() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::btree_set(1u16..1000, 1..=MAX_LEVELS)
        .prop_map(|steps| steps.into_iter().rev().map(|step| f64::from(step) / 1000.0).collect())
}

/// Any index code that rows of at most 8192 blocks may use.
pub fn index_code() -> impl Strategy<Value = IndexCode> {
    let modulus = || prop_oneof![4 => 1u16..20, 1 => 1u16..=u16::MAX];
    prop_oneof![
        Just(IndexCode::Bytes { count_width: 1 }),
        Just(IndexCode::Nibbles),
        modulus().prop_map(|modulus| IndexCode::Gaps { modulus }),
        modulus().prop_map(|modulus| IndexCode::FreeGaps { modulus }),
    ]
}

/// As many index codes as the matrix has levels.
///
/// ```
/// use nested_csr::testing::{index_codes, laws, nested};
/// use proptest::prelude::*;
///
/// let coded = nested().prop_flat_map(|matrix| (index_codes(matrix.levels), Just(matrix)));
/// proptest!(ProptestConfig::with_cases(16), |((codes, matrix) in coded)| {
///     laws::file_holds_matrix(&matrix, &matrix.compress_as(&codes)?)?;
/// });
/// ```
pub fn index_codes(levels: Level) -> impl Strategy<Value = Vec<IndexCode>> {
    prop::collection::vec(index_code(), levels.number())
}

/// A nested matrix of any block and number of levels: mostly small, sometimes wide enough for long gaps.
pub fn nested() -> impl Strategy<Value = Nested> {
    let shape = prop_oneof![
        6 => (1usize..6, 1usize..40),
        1 => (1usize..4, 200usize..700),
    ];
    let shape = shape.prop_map(|(rows, columns)| Shape { rows, columns });
    (shape, block(), level()).prop_flat_map(|(shape, block, levels)| nested_of(shape, block, levels))
}

/// A nested matrix of this shape, block and number of levels, of any density.
///
/// ```
/// use nested_csr::testing::nested_of;
/// use nested_csr::{Block, Level, Profile, Shape};
/// use proptest::prelude::*;
///
/// let (shape, levels) = (Shape { rows: 16, columns: 72 }, Level::new(3)?); // what the code under test takes
/// proptest!(ProptestConfig::with_cases(16), |(matrix in nested_of(shape, Block::OneByTwo, levels))| {
///     prop_assert_eq!(matrix.compress(Profile::Speed)?.shape(), shape);
/// });
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
pub fn nested_of(shape: Shape, block: Block, levels: Level) -> impl Strategy<Value = Nested> {
    let blocks = shape.rows * shape.columns.div_ceil(block.width());
    let density = prop_oneof![Just(1u8), 1u8..=100, Just(100u8)];
    let cells = prop::collection::vec((0u8..100, 1..=levels.number() as u8, any::<[i8; 2]>()), blocks);
    (density, cells).prop_map(move |(density, cells)| {
        let mut cells = cells.into_iter();
        let (mut weights, mut rings) = (Vec::new(), Vec::new());
        for _ in 0..shape.rows {
            for first in (0..shape.columns).step_by(block.width()) {
                let (chance, ring, pair) = cells.next().unwrap_or_default();
                let kept = chance < density;
                for (_, weight) in (first..shape.columns).zip(pair).take(block.width()) {
                    weights.push(if kept { weight } else { 0 });
                    rings.push(if kept { ring } else { 0 });
                }
            }
        }
        Nested { shape, block, levels, weights, rings }
    })
}

/// A whole model: a random graph of all operations on a small image, with random weights, rings and requantisation.
///
/// ```
/// use nested_csr::testing::{laws, model};
/// use proptest::prelude::*;
///
/// proptest!(ProptestConfig::with_cases(16), |(file in model())| {
///     laws::model_prefixes_are_files(&file)?; // or: what your code makes of the model
/// });
/// ```
pub fn model() -> impl Strategy<Value = Model<Vec<u8>>> {
    let image = (1usize..4, 1usize..7, 1usize..7);
    let image = image.prop_map(|(channels, height, width)| TensorShape { channels, height, width });
    (level(), image, profile(), prop::collection::vec(any::<[u8; 16]>(), 1..8)).prop_filter_map(
        "at least one node fits",
        |(levels, image, profile, seeds)| {
            let mut builder = ModelBuilder::new(levels, image, Quantization { scale: 0.05, zero_point: -3 }).ok()?;
            for (index, seed) in seeds.iter().enumerate() {
                let mut rng = TestRng::from_seed(RngAlgorithm::XorShift, seed);
                let input = TensorId((rng.random_range(0..=index) as u16).min(tensors(&builder)));
                // What does not fit the tensor it drew is left out.
                let _ = add_node(&mut builder, &mut rng, input, levels);
                if index + 1 == seeds.len() && rng.random() {
                    let _ = add_detection(&mut builder, &mut rng);
                }
            }
            let costs: Vec<u32> = levels.up_to().map(|level| level.number() as u32 % 3).collect();
            builder.set_costs(&costs).ok()?;
            builder.finish(profile).ok()
        },
    )
}

/// The last tensor that the builder made.
fn tensors(builder: &ModelBuilder) -> u16 {
    (0..u16::MAX).take_while(|tensor| builder.shape(TensorId(*tensor)).is_some()).last().unwrap_or(0)
}

fn add_node(
    builder: &mut ModelBuilder,
    rng: &mut TestRng,
    input: TensorId,
    levels: Level,
) -> Result<TensorId, FormatError> {
    let shape = builder.shape(input).unwrap_or(TensorShape { channels: 1, height: 1, width: 1 });
    let side = rng.random_range(1..=3);
    let pad = rng.random_range(0..side);
    let window = Window {
        padding: Padding { bottom: rng.random_range(0..=pad), ..Window::square(side, 1, pad).padding },
        ..Window::square(side, rng.random_range(1..=2), pad)
    };
    let names = ["", "conv", "naïve", "層"];
    let name = names[rng.random_range(0..names.len())];
    match rng.random_range(0..7) {
        0 | 1 => {
            let rows = rng.random_range(1..5);
            let columns = usize::from(side) * usize::from(side) * shape.channels;
            let weights: Vec<i8> = (0..rows * columns).map(|_| rng.random()).collect();
            if rng.random() {
                let levels = node_levels(rng, rows, levels, false);
                return builder.convolution(name, input, window, rows, ConvolutionWeights::Dense(&weights), &levels);
            }
            let block = if rng.random() { Block::OneByOne } else { Block::OneByTwo };
            let (weights, rings) = random_rings(rng, block, columns, levels, weights);
            let weights = ConvolutionWeights::Sparse { block, weights: &weights, rings: &rings };
            let levels = node_levels(rng, rows, levels, false);
            builder.convolution(name, input, window, rows, weights, &levels)
        }
        2 => {
            let weights: Vec<i8> =
                (0..shape.channels * usize::from(side) * usize::from(side)).map(|_| rng.random()).collect();
            let levels = node_levels(rng, shape.channels, levels, false);
            builder.depthwise(name, input, window, &weights, &levels)
        }
        3 => {
            // Itself among them.
            let alike = |other: &TensorId| builder.shape(*other) == Some(shape);
            let right: Vec<TensorId> = (0..=tensors(builder)).map(TensorId).filter(alike).collect();
            let right = right[rng.random_range(0..right.len())];
            builder.add(name, input, right, &node_levels(rng, 1, levels, true))
        }
        4 => {
            let mut levels = node_levels(rng, 1, levels, true);
            levels.iter_mut().for_each(|level| level.input_weights[1] = 0);
            builder.average_pool(name, input, Window::square(side, 1, 0), &levels)
        }
        5 => builder.max_pool(name, input, window),
        // Of one quantisation with its input: itself, or what a max pool made of it.
        _ => {
            let pooled = builder.max_pool("", input, window).unwrap_or(input);
            builder.concatenation(name, input, pooled)
        }
    }
}

/// A detection of the tensor made last, when that has as many values as some anchor table describes.
fn add_detection(builder: &mut ModelBuilder, rng: &mut TestRng) -> Result<TensorId, FormatError> {
    let last = TensorId(tensors(builder));
    let values = builder.shape(last).map_or(0, |shape| shape.len());
    let classes = rng.random_range(1..=3u16);
    let cells = (values / usize::from(5 + classes)) as u16;
    let anchor = |rng: &mut TestRng| Anchor { height: rng.random_range(1..=9000), width: rng.random_range(1..=9000) };
    let (first, second) = ([anchor(rng), anchor(rng)], [anchor(rng)]);
    // One map of one anchor, or two maps, the first of two anchors.
    let maps = [
        HeadAnchors { height: 1, width: cells / 3, anchors: &first },
        HeadAnchors { height: cells - cells / 3 * 2, width: 1, anchors: &second },
    ];
    let from = usize::from(cells < 3 || rng.random());
    let whole = [HeadAnchors { height: cells, width: 1, anchors: &second }];
    builder.detection("boxes", last, classes, if from == 0 { &maps } else { &whole })
}

/// Puts the blocks of dense weights into random rings, or prunes them.
fn random_rings(
    rng: &mut TestRng,
    block: Block,
    columns: usize,
    levels: Level,
    mut weights: Vec<i8>,
) -> (Vec<i8>, Vec<u8>) {
    let mut rings = std::vec![0; weights.len()];
    for (weights, rings) in weights.chunks_mut(columns).zip(rings.chunks_mut(columns)) {
        for (weights, rings) in weights.chunks_mut(block.width()).zip(rings.chunks_mut(block.width())) {
            let ring = rng.random_range(0..=levels.number() as u8);
            rings.fill(ring);
            if ring == 0 {
                weights.fill(0);
            }
        }
    }
    (weights, rings)
}

fn node_levels(rng: &mut TestRng, rows: usize, levels: Level, operands: bool) -> Vec<NodeLevel> {
    let reach = 1i32 << rng.random_range(3..30);
    let mut level = || NodeLevel {
        output: Quantization { scale: rng.random_range(0.001..2.0), zero_point: rng.random() },
        low: rng.random_range(-128..=0),
        high: rng.random_range(0..=127),
        input_weights: if operands { [rng.random(), rng.random()] } else { [0, 0] },
        rows: (0..rows)
            .map(|_| Requantization {
                multiplier: Multiplier::from_code(rng.random()),
                bias: rng.random_range(-reach..reach),
            })
            .collect(),
    };
    (0..levels.number()).map(|_| level()).collect()
}

//! Random layers: weights with rings, requantisations that spread the outputs, and the models that hold them.
use super::naive::Output;
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorShape, Window,
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::vec::Vec;

pub(crate) type Random = Xoshiro256PlusPlus;

pub(crate) fn seeded(seed: u64) -> Random {
    Random::seed_from_u64(seed)
}

/// Which values a tensor or a matrix takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Any,
    /// −128 and 127 only.
    Extremes,
    Least,
    Greatest,
}

impl Values {
    pub(crate) const ALL: [Values; 4] = [Values::Any, Values::Extremes, Values::Least, Values::Greatest];

    pub(crate) fn one(self, random: &mut Random) -> i8 {
        match self {
            Values::Any => random.random(),
            Values::Extremes if random.random() => i8::MIN,
            Values::Extremes | Values::Greatest => i8::MAX,
            Values::Least => i8::MIN,
        }
    }

    pub(crate) fn many(self, len: usize, random: &mut Random) -> Vec<i8> {
        (0..len).map(|_| self.one(random)).collect()
    }
}

/// Nested sparse weights.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    pub(crate) block: Block,
    pub(crate) weights: Vec<i8>,
    pub(crate) rings: Vec<u8>,
}

impl Nested {
    /// About a share of 1 / (levels + 1) of the blocks in each ring, and as many in none.
    pub(crate) fn new(rows: usize, columns: usize, levels: usize, values: Values, random: &mut Random) -> Nested {
        let block = if random.random() { Block::OneByOne } else { Block::OneByTwo };
        let mut rings = Vec::new();
        for _ in 0..rows {
            let blocks = (0..columns.div_ceil(block.width())).map(|_| random.random_range(0..=levels as u8));
            let row: Vec<u8> = blocks.flat_map(|ring| std::iter::repeat_n(ring, block.width())).take(columns).collect();
            rings.extend(row);
        }
        let weights = rings.iter().map(|ring| if *ring == 0 { 0 } else { values.one(random) }).collect();
        Nested { block, weights, rings }
    }

    /// The matrix of a level.
    pub(crate) fn at(&self, level: usize) -> Vec<i8> {
        let kept = |(weight, ring): (&i8, &u8)| if (1..=level).contains(&usize::from(*ring)) { *weight } else { 0 };
        self.weights.iter().zip(&self.rings).map(kept).collect()
    }

    pub(crate) fn to_builder(&self) -> ConvolutionWeights<'_> {
        ConvolutionWeights::Sparse { block: self.block, weights: &self.weights, rings: &self.rings }
    }
}

/// An output whose values spread over most of int8 when the accumulators have about this size.
pub(crate) fn output(rows: usize, size: f64, random: &mut Random) -> Output {
    let row = |random: &mut Random| Requantization {
        multiplier: Multiplier::nearest((random.random_range(20.0..160.0) / size).min(0.49)).unwrap(),
        bias: random.random_range(-size..size) as i32,
    };
    let rows = (0..rows).map(|_| row(random)).collect();
    let zero_point = random.random();
    let (low, high) = match random.random_range(0..3) {
        0 => (i8::MIN, i8::MAX),
        1 => (zero_point, i8::MAX),
        _ => (random.random_range(-128..0), random.random_range(0..=127)),
    };
    Output { rows, zero_point, low, high }
}

/// A node's parameters, as the builder takes them.
pub(crate) fn to_node_level(output: &Output, input_weights: [i16; 2]) -> NodeLevel {
    NodeLevel {
        output: Quantization { scale: 0.5, zero_point: output.zero_point },
        low: output.low,
        high: output.high,
        input_weights,
        rows: output.rows.clone(),
    }
}

pub(crate) fn quantization(zero_point: i8) -> Quantization {
    Quantization { scale: 0.25, zero_point }
}

pub(crate) fn level(number: usize) -> Level {
    Level::new(number).unwrap()
}

/// A model of one convolution.
pub(crate) fn one_convolution(
    input: TensorShape,
    window: Window,
    rows: usize,
    weights: ConvolutionWeights<'_>,
    outputs: &[Output],
) -> Model<Vec<u8>> {
    let levels: Vec<_> = outputs.iter().map(|output| to_node_level(output, [0; 2])).collect();
    let mut builder = ModelBuilder::new(level(levels.len()), input, quantization(0)).unwrap();
    let image = builder.input();
    builder.convolution("layer", image, window, rows, weights, &levels).unwrap();
    builder.finish(Profile::Size).unwrap()
}

/// A model of one depthwise convolution.
pub(crate) fn one_depthwise(input: TensorShape, window: Window, weights: &[i8], outputs: &[Output]) -> Model<Vec<u8>> {
    let levels: Vec<_> = outputs.iter().map(|output| to_node_level(output, [0; 2])).collect();
    let mut builder = ModelBuilder::new(level(levels.len()), input, quantization(0)).unwrap();
    let image = builder.input();
    builder.depthwise("layer", image, window, weights, &levels).unwrap();
    builder.finish(Profile::Size).unwrap()
}

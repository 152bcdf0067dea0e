//! Weights, supports and whole models from a seed: for figures that depend on shapes and sparsities, not on training.
use crate::error::Error;
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, Shape, TensorId, TensorShape, Window,
};
use nested_mask::{
    Ladder,
    nn::{Activation, Finish, Network, Operation},
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A nested matrix: int8 weights and the ring of each, row-major.
pub struct Matrix {
    pub shape: Shape,
    pub weights: Vec<i8>,
    pub rings: Vec<u8>,
}

/// A matrix whose rings are uniform random sets of blocks, as large as the ladder says; its supported weights are uniform
/// and not 0.
pub fn matrix(shape: Shape, block: Block, ladder: &Ladder, random: &mut Xoshiro256PlusPlus) -> Matrix {
    let width = block.width();
    let in_row = shape.columns.div_ceil(width);
    let mut blocks: Vec<usize> = (0..shape.rows * in_row).collect();
    blocks.shuffle(random);
    let mut matrix =
        Matrix { shape, weights: vec![0; shape.rows * shape.columns], rings: vec![0; shape.rows * shape.columns] };
    let mut start = 0;
    for (ring, sparsity) in (1..).zip(ladder.sparsities()) {
        let end = (blocks.len() as f64 * (1.0 - sparsity)).round() as usize;
        for &index in &blocks[start..end] {
            let (row, first) = (index / in_row, index % in_row * width);
            for column in first..(first + width).min(shape.columns) {
                let place = row * shape.columns + column;
                matrix.rings[place] = ring;
                matrix.weights[place] = weight(random);
            }
        }
        start = end;
    }
    matrix
}

/// −127..=127 without 0.
fn weight(random: &mut Xoshiro256PlusPlus) -> i8 {
    let magnitude: i8 = random.random_range(1..=127);
    if random.random() { magnitude } else { -magnitude }
}

/// A model of this network with random weights. Its activations are spread over int8 about as a trained network's are, so
/// that it can be run and not only weighed.
pub fn model(
    network: &Network,
    block: Block,
    ladder: &Ladder,
    profile: Profile,
    seed: u64,
) -> Result<Model<Vec<u8>>, Error> {
    let mut generator = Generator::new(network.input(), block, ladder, seed)?;
    for (index, node) in network.nodes().iter().enumerate() {
        generator.node(&node.name, node.operation, network.weights(index), node.output)?;
    }
    if let Some(anchors) = network.anchors() {
        anchors.detection(&mut generator.builder, TensorId(network.nodes().len() as u16))?;
    }
    Ok(generator.builder.finish(profile)?)
}

/// A model of one sparse convolution with random weights.
pub fn layer(
    input: TensorShape,
    window: Window,
    rows: usize,
    block: Block,
    ladder: &Ladder,
    profile: Profile,
    seed: u64,
) -> Result<Model<Vec<u8>>, Error> {
    let mut generator = Generator::new(input, block, ladder, seed)?;
    let [kernel_height, kernel_width] = window.kernel.map(usize::from);
    let weights = Shape { rows, columns: kernel_height * kernel_width * input.channels };
    let operation =
        Operation::Convolution { input: generator.builder.input(), window, rows, finish: Finish::NORM.sparse() };
    generator.node("layer", operation, Some(weights), input)?;
    Ok(generator.builder.finish(profile)?)
}

/// Grey is 0.
const INPUT: Quantization = Quantization { scale: 1.0 / 64.0, zero_point: 0 };

/// Of operations that are added later.
const NO_OTHER: &str = "an operation that the networks of `nested-mask` do not have";

struct Generator<'a> {
    random: Xoshiro256PlusPlus,
    builder: ModelBuilder,
    /// One a tensor, the same at each level.
    zero_points: Vec<i8>,
    block: Block,
    ladder: &'a Ladder,
}

impl<'a> Generator<'a> {
    fn new(input: TensorShape, block: Block, ladder: &'a Ladder, seed: u64) -> Result<Self, Error> {
        let builder = ModelBuilder::new(ladder.levels(), input, INPUT)?;
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        Ok(Generator { random, builder, zero_points: vec![INPUT.zero_point], block, ladder })
    }

    fn node(
        &mut self,
        name: &str,
        operation: Operation,
        weights: Option<Shape>,
        output: TensorShape,
    ) -> Result<(), Error> {
        let zero_point = match operation {
            Operation::Convolution { finish, .. } | Operation::Depthwise { finish, .. } => of(finish.activation),
            Operation::Add { activation, .. } => of(activation),
            Operation::AveragePool { input, .. } | Operation::MaxPool { input, .. } => {
                self.zero_points[usize::from(input.0)]
            }
            // Both tensors have the zero point of a tensor without activation.
            Operation::Concatenation { left, .. } => self.zero_points[usize::from(left.0)],
            _ => unreachable!("{NO_OTHER}: {operation:?}"),
        };
        match operation {
            Operation::Convolution { input, window, rows, finish } => {
                let shape = weights.unwrap_or(Shape { rows, columns: 0 });
                let dense = Ladder::dense();
                // A network at 0 % has dense weights: nothing is gained by an index of all places.
                let sparse = finish.sparse && *self.ladder != dense;
                let ladder = if sparse { self.ladder } else { &dense };
                let matrix = matrix(shape, self.block, ladder, &mut self.random);
                let levels = self.levels(&matrix, self.zero_points[usize::from(input.0)], zero_point);
                let weights = match sparse {
                    true => {
                        ConvolutionWeights::Sparse { block: self.block, weights: &matrix.weights, rings: &matrix.rings }
                    }
                    false => ConvolutionWeights::Dense(&matrix.weights),
                };
                self.builder.convolution(name, input, window, rows, weights, &levels)?;
            }
            Operation::Depthwise { input, window, .. } => {
                let shape = weights.unwrap_or(Shape { rows: output.channels, columns: 0 });
                let matrix = matrix(shape, Block::OneByOne, &Ladder::dense(), &mut self.random);
                let levels = self.levels(&matrix, self.zero_points[usize::from(input.0)], zero_point);
                self.builder.depthwise(name, input, window, &matrix.weights, &levels)?;
            }
            Operation::Add { left, right, .. } => {
                const WEIGHT: i16 = 1 << 13;
                let sum = [left, right].map(|tensor| i32::from(self.zero_points[usize::from(tensor.0)])).iter().sum();
                let level = uniform_level([WEIGHT, WEIGHT], sum, 0.7 / f64::from(WEIGHT), zero_point);
                self.builder.add(name, left, right, &vec![level; self.ladder.levels().number()])?;
            }
            Operation::AveragePool { input, window } => {
                const WEIGHT: i16 = 16;
                let pixels = pixels(window);
                let sum = pixels * i32::from(zero_point);
                let level = uniform_level([WEIGHT, 0], sum, 1.0 / f64::from(pixels * i32::from(WEIGHT)), zero_point);
                self.builder.average_pool(name, input, window, &vec![level; self.ladder.levels().number()])?;
            }
            Operation::MaxPool { input, window } => {
                self.builder.max_pool(name, input, window)?;
            }
            Operation::Concatenation { left, right } => {
                self.builder.concatenation(name, left, right)?;
            }
            _ => unreachable!("{NO_OTHER}: {operation:?}"),
        }
        self.zero_points.push(zero_point);
        Ok(())
    }

    /// Each level's requantisation of a convolution: it brings the sums to a standard deviation of some 40 counts.
    fn levels(&mut self, matrix: &Matrix, zero_point_in: i8, zero_point: i8) -> Vec<NodeLevel> {
        const SPREAD_OUT: f64 = 40.0;
        const SPREAD_IN: f64 = 40.0;
        let row_of = |level: Level, row: usize| {
            let row = row * matrix.shape.columns..(row + 1) * matrix.shape.columns;
            let joined = |&(ring, _): &(&u8, &i8)| (1..=level.number()).contains(&usize::from(*ring));
            let weights = matrix.rings[row.clone()].iter().zip(&matrix.weights[row]).filter(joined);
            weights.fold((0, 0.0), |(sum, squares), (_, &weight)| {
                (sum + i32::from(weight), squares + f64::from(weight) * f64::from(weight))
            })
        };
        let dense = matrix.rings.iter().all(|&ring| ring == 1);
        let ladder_levels = self.ladder.levels();
        ladder_levels
            .up_to()
            .map(|level| {
                // A dense tensor is one ring that all levels share.
                let level = if dense { Level::FIRST } else { level };
                let rows = (0..matrix.shape.rows).map(|row| {
                    let (sum, squares) = row_of(level, row);
                    let spread = SPREAD_IN * squares.sqrt().max(1.0);
                    let shift = self.random.random_range(-0.5..0.5) * spread;
                    requantization(SPREAD_OUT / spread, shift as i32 - i32::from(zero_point_in) * sum)
                });
                NodeLevel { rows: rows.collect(), ..bare_level([0, 0], zero_point) }
            })
            .collect()
    }
}

/// A ReLU's output begins at its zero point.
fn of(activation: Activation) -> i8 {
    if activation == Activation::Identity { 0 } else { i8::MIN }
}

fn pixels(window: Window) -> i32 {
    i32::from(window.kernel[0]) * i32::from(window.kernel[1])
}

/// The level of a node with one requantisation for all; `sum` is what its zero points add up to before weighting.
fn uniform_level(input_weights: [i16; 2], sum: i32, real: f64, zero_point: i8) -> NodeLevel {
    let rows = vec![requantization(real, -sum * i32::from(input_weights[0]))];
    NodeLevel { rows, ..bare_level(input_weights, zero_point) }
}

fn bare_level(input_weights: [i16; 2], zero_point: i8) -> NodeLevel {
    let output = Quantization { scale: 1.0 / 64.0, zero_point };
    NodeLevel { output, low: i8::MIN, high: i8::MAX, input_weights, rows: Vec::new() }
}

fn requantization(real: f64, bias: i32) -> Requantization {
    const GREATEST: u16 = u16::MAX;
    Requantization { multiplier: Multiplier::nearest(real).unwrap_or(Multiplier::from_code(GREATEST)), bias }
}

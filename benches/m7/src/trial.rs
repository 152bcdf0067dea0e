//! One layer at one sparsity: made from a fixed seed, run, checked and counted.
use crate::{
    counter::Counter,
    layers::Layer,
    reference::{self, Finish},
};
use alloc::{vec, vec::Vec};
use cortex_m_semihosting::hprintln;
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, NodeParameters, Operation, Profile,
    Quantization, Requantization,
};
use nested_kernels::{Geometry, Scratch};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

const ZERO_POINTS: [i8; 2] = [-11, 7];

/// What a layer computes with.
struct Data {
    input: Vec<i8>,
    weights: Vec<i8>,
    rings: Vec<u8>,
    rows: Vec<Requantization>,
}

impl Data {
    /// Random activations and weights; of the blocks, a random `100 − sparsity` per cent are kept.
    fn new(layer: &Layer, columns: usize, block: Block, sparsity: usize) -> Data {
        let mut random = Xoshiro128PlusPlus::seed_from_u64(0xd011 + sparsity as u64);
        let len = layer.rows * columns;
        let groups = len / block.width();
        let mut order: Vec<u32> = (0..groups as u32).collect();
        for last in (1..groups).rev() {
            order.swap(last, random.next_u32() as usize % (last + 1));
        }
        order.truncate((groups * (100 - sparsity) + 50) / 100);
        let (mut weights, mut rings) = (vec![0; len], vec![0; len]);
        for group in &order {
            let at = *group as usize * block.width();
            for (weight, ring) in weights[at..].iter_mut().zip(&mut rings[at..]).take(block.width()) {
                *weight = (random.next_u32() % 127 + 1) as i8 * if random.next_u32() & 1 == 0 { 1 } else { -1 };
                *ring = 1;
            }
        }
        let input = (0..layer.input.len()).map(|_| random.next_u32() as i8).collect();
        // Outputs of a standard deviation of about 40.
        let kept = order.len() * block.width() / layer.rows;
        let root = (1..).find(|root: &usize| root * root >= kept.max(1)).unwrap_or(1);
        let multiplier = Multiplier::nearest(40.0 / (73.0 * 74.0 * root as f64)).expect("below a half");
        let rows =
            (0..layer.rows).map(|_| Requantization { multiplier, bias: random.next_u32() as i32 >> 19 }).collect();
        Data { input, weights, rings, rows }
    }

    /// The reference's outputs.
    fn expected(&self, layer: &Layer, depthwise: bool) -> Vec<i8> {
        let (rows, finish) = ((&self.weights[..], &self.rows[..]), Finish::new(ZERO_POINTS[1]));
        reference::outputs(layer, depthwise, rows, ZERO_POINTS[0], finish, &self.input)
    }

    fn level(&self) -> NodeLevel {
        NodeLevel {
            output: Quantization { scale: 1.0, zero_point: ZERO_POINTS[1] },
            low: -128,
            high: 127,
            input_weights: [0; 2],
            rows: self.rows.clone(),
        }
    }
}

/// A sparse convolution.
pub fn sparse(counter: &Counter, layer: &Layer, block: Block, sparsity: usize) {
    let data = Data::new(layer, columns(layer), block, sparsity);
    let weights = ConvolutionWeights::Sparse { block, weights: &data.weights, rings: &data.rings };
    convolution(counter, layer, &data, weights, (block.width(), sparsity));
}

/// A dense convolution.
pub fn dense(counter: &Counter, layer: &Layer) {
    let data = Data::new(layer, columns(layer), Block::OneByOne, 0);
    convolution(counter, layer, &data, ConvolutionWeights::Dense(&data.weights), (0, 0));
}

fn columns(layer: &Layer) -> usize {
    let [height, width] = layer.window.kernel.map(usize::from);
    height * width * layer.input.channels
}

fn convolution(
    counter: &Counter,
    layer: &Layer,
    data: &Data,
    weights: ConvolutionWeights<'_>,
    (block, sparsity): (usize, usize),
) {
    let mut builder = builder(layer);
    builder
        .convolution(layer.name, builder.input(), layer.window, layer.rows, weights, &[data.level()])
        .expect("a reference layer is a model");
    let model = builder.finish(Profile::Speed).expect("a reference layer is a model");
    let (geometry, parameters) = geometry(layer, &model);
    let Operation::Convolution { weights, .. } = model.node(0).expect("one node").operation else { unreachable!() };
    let scratch = nested_kernels::convolution_scratch(&weights, Level::FIRST, &geometry).expect("it fits");
    let run = |output: &mut [i8], scratch: &mut [u32]| {
        let level = Level::FIRST;
        nested_kernels::convolution(&weights, level, &parameters, &geometry, &data.input, output, scratch)
            .expect("all lengths fit");
    };
    let expected = data.expected(layer, false);
    report(counter, layer, (block, sparsity), scratch, &expected, run);
}

/// A depthwise convolution.
pub fn depthwise(counter: &Counter, layer: &Layer) {
    let [height, width] = layer.window.kernel.map(usize::from);
    let data = Data::new(layer, height * width, Block::OneByOne, 0);
    let mut builder = builder(layer);
    builder
        .depthwise(layer.name, builder.input(), layer.window, &data.weights, &[data.level()])
        .expect("a reference layer is a model");
    let model = builder.finish(Profile::Speed).expect("a reference layer is a model");
    let (geometry, parameters) = geometry(layer, &model);
    let scratch = nested_kernels::depthwise_scratch(&geometry).expect("it fits");
    let run = |output: &mut [i8], scratch: &mut [u32]| {
        nested_kernels::depthwise(&data.weights, &parameters, &geometry, &data.input, output, scratch)
            .expect("all lengths fit");
    };
    let expected = data.expected(layer, true);
    report(counter, layer, (0, 0), scratch, &expected, run);
}

fn builder(layer: &Layer) -> ModelBuilder {
    let quantization = Quantization { scale: 1.0, zero_point: ZERO_POINTS[0] };
    ModelBuilder::new(Level::FIRST, layer.input, quantization).expect("a reference layer's input")
}

fn geometry<'m>(layer: &Layer, model: &'m Model<Vec<u8>>) -> (Geometry, NodeParameters<'m>) {
    let geometry = Geometry::new(layer.input, layer.window, layer.rows, ZERO_POINTS[0]).expect("it fits");
    (geometry, model.parameters(Level::FIRST, 0).expect("one node and level"))
}

/// Counts the run with the preferred scratch, checks it and one with the least scratch, and prints the result.
fn report(
    counter: &Counter,
    layer: &Layer,
    (block, sparsity): (usize, usize),
    scratch: Scratch,
    expected: &[i8],
    run: impl Fn(&mut [i8], &mut [u32]),
) {
    for words in [scratch.preferred, scratch.minimum] {
        let mut memory = vec![0x5555_5555; words];
        let mut output = vec![0x55; expected.len()];
        let instructions = counter.count(|| run(&mut output, &mut memory));
        let wrong = output.iter().zip(expected).filter(|(output, expected)| output != expected).count();
        hprintln!(
            "{{\"layer\":\"{}\",\"block\":{},\"sparsity\":{},\"instructions\":{},\"scratch_bytes\":{},\"wrong\":{}}}",
            layer.name,
            block,
            sparsity,
            instructions,
            4 * words,
            wrong
        );
    }
}

//! The parts of a layer, each by a layer that consists of little else: packing, decoding, requantisation; and layers of
//! other kinds: depthwise and fully connected.
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorShape, Window,
};
use nested_kernels::Network;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

/// What a layer's weights are.
#[derive(Clone, Copy)]
enum Kind {
    /// Per cent of the weights that are stored, besides the first of each row.
    Sparse(usize),
    Dense,
    Depthwise,
}

/// Name, shape of the image, output channels, kernel and stride, weights.
type Case = (&'static str, TensorShape, usize, (u8, u8), Kind);

const fn shape(channels: usize, size: usize) -> TensorShape {
    TensorShape { channels, height: size, width: size }
}

/// One row of few weights on a large map; and many rows of one weight on the map of one channel: packing is then little,
/// and requantisation is most of it. Decoding is most where a map has few pixels.
const CASES: [Case; 12] = [
    ("packing, 3x3 stride 1", shape(64, 56), 1, (3, 1), Kind::Sparse(1)),
    ("packing, 3x3 stride 2", shape(64, 56), 1, (3, 2), Kind::Sparse(1)),
    ("packing, 3x3 on a small map", shape(64, 8), 1, (3, 1), Kind::Sparse(1)),
    ("decoding, 90 % sparse", shape(64, 2), 256, (3, 1), Kind::Sparse(10)),
    ("decoding, 70 % sparse", shape(64, 2), 256, (3, 1), Kind::Sparse(30)),
    ("decoding, dense", shape(64, 2), 256, (3, 1), Kind::Dense),
    ("requantisation", shape(1, 56), 64, (1, 1), Kind::Sparse(1)),
    ("depthwise, 16x16", shape(64, 16), 64, (3, 1), Kind::Depthwise),
    ("depthwise, 4x4", shape(512, 4), 512, (3, 1), Kind::Depthwise),
    ("fully connected, 90 % sparse", shape(256, 1), 100, (1, 1), Kind::Sparse(10)),
    ("fully connected, 70 % sparse", shape(256, 1), 100, (1, 1), Kind::Sparse(30)),
    ("fully connected, dense", shape(256, 1), 100, (1, 1), Kind::Dense),
];

/// A model of one layer with random weights.
fn model((_, image, rows, (kernel, stride), kind): Case) -> Model<Vec<u8>> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let window = Window::square(kernel, stride, kernel / 2);
    let quantization = Quantization { scale: 1.0, zero_point: -5 };
    let requantization = Requantization { multiplier: Multiplier::from_code(0x1800), bias: 1000 };
    let rows_of = vec![requantization; rows];
    let parameters = [NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows: rows_of }];
    let columns = image.channels * usize::from(kernel) * usize::from(kernel);
    let mut builder = ModelBuilder::new(Level::FIRST, image, quantization).expect("an image");
    let input = builder.input();
    let weights: Vec<i8> = (0..columns * rows).map(|_| random.random_range(1..=127)).collect();
    match kind {
        Kind::Depthwise => builder.depthwise("", input, window, &weights[..columns], &parameters),
        Kind::Dense => builder.convolution("", input, window, rows, ConvolutionWeights::Dense(&weights), &parameters),
        Kind::Sparse(share) => {
            let of = |i: usize| i.is_multiple_of(columns) || random.random_range(0..100) < share;
            let rings: Vec<u8> = (0..weights.len()).map(of).map(u8::from).collect();
            let weights: Vec<i8> = weights.iter().zip(&rings).map(|(weight, ring)| weight * *ring as i8).collect();
            let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
            builder.convolution("", input, window, rows, weights, &parameters)
        }
    }
    .expect("a layer");
    builder.finish(Profile::Speed).expect("a model")
}

fn parts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parts");
    group.measurement_time(Duration::from_secs(2));
    for case in CASES {
        let network = Network::new(model(case)).expect("a layer that fits");
        let image = vec![3; network.model().input_shape().len()];
        let mut output = vec![0; network.model().output_shape().len()];
        let mut arena = vec![0; network.preferred_arena_len(Level::FIRST).expect("a level that it has")];
        group.throughput(Throughput::Elements(output.len() as u64));
        group.bench_function(case.0, |bencher| {
            bencher.iter(|| network.run(Level::FIRST, &image, &mut arena, &mut output).expect("what was checked"));
        });
    }
    group.finish();
}

criterion_group!(benches, parts);
criterion_main!(benches);

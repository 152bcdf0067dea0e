//! One layer at a time: the reference layers A–H and J, and L (3×3, 56×56×64 → 64), sparse at six levels and dense.
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, Operation, Profile, Quantization,
    Requantization, TensorShape, Window,
};
use nested_kernels::{Geometry, convolution, convolution_scratch};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Name, kernel, stride, size of the map, channels in and out.
const LAYERS: [(&str, u8, u8, usize, usize, usize); 10] = [
    ("A", 3, 1, 32, 16, 16),
    ("B", 3, 2, 32, 16, 32),
    ("C", 3, 1, 16, 32, 32),
    ("D", 3, 2, 16, 32, 64),
    ("E", 3, 1, 8, 64, 64),
    ("F", 1, 1, 8, 64, 64),
    ("G", 1, 1, 8, 128, 128),
    ("H", 1, 1, 4, 256, 256),
    ("J", 3, 1, 32, 3, 16),
    ("L", 3, 1, 56, 64, 64),
];

/// Sparsity of each level, in per cent.
const LADDER: [u32; 6] = [95, 90, 80, 70, 50, 0];

/// A layer with its random weights and image.
struct Layer {
    geometry: Geometry,
    weights: Vec<i8>,
    rings: Vec<u8>,
    image: Vec<i8>,
}

impl Layer {
    fn new((_, kernel, stride, size, inputs, outputs): (&str, u8, u8, usize, usize, usize)) -> Layer {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let shape = TensorShape { channels: inputs, height: size, width: size };
        let window = Window::square(kernel, stride, kernel / 2);
        let geometry = Geometry::new(shape, window, outputs, -5).expect("the layer's shapes fit");
        let columns = inputs * usize::from(kernel) * usize::from(kernel);
        // A weight's rank decides its ring: uniform random supports, nested by construction.
        let ring = |rank: u32| 1 + LADDER.iter().take_while(|sparsity| rank < **sparsity).count() as u8;
        let rings = (0..columns * outputs).map(|_| ring(random.random_range(0..100))).collect();
        let weights = (0..columns * outputs).map(|_| random.random_range(1..=127)).collect();
        let image = (0..shape.len()).map(|_| random.random()).collect();
        Layer { geometry, weights, rings, image }
    }

    fn model(&self, weights: ConvolutionWeights<'_>) -> Model<Vec<u8>> {
        let rows = self.geometry.output.channels;
        let quantization = Quantization { scale: 1.0, zero_point: -5 };
        let requantization = Requantization { multiplier: Multiplier::from_code(0x1800), bias: 1000 };
        let parameters = NodeLevel {
            output: quantization,
            low: -128,
            high: 127,
            input_weights: [0; 2],
            rows: vec![requantization; rows],
        };
        let levels = Level::new(LADDER.len()).expect("a level");
        let mut builder = ModelBuilder::new(levels, self.geometry.input, quantization).expect("an image");
        let image = builder.input();
        let parameters = vec![parameters; LADDER.len()];
        builder.convolution("", image, self.geometry.window, rows, weights, &parameters).expect("a layer");
        builder.finish(Profile::Speed).expect("a model")
    }

    /// Calls `f(level)` with a closure that convolves once.
    fn measure(&self, weights: ConvolutionWeights<'_>, levels: &[usize], mut f: impl FnMut(usize, &mut dyn FnMut())) {
        let model = self.model(weights);
        let Some(Operation::Convolution { weights, .. }) = model.node(0).map(|node| node.operation) else { return };
        let mut output = vec![0; self.geometry.output.len()];
        for number in levels {
            let level = Level::new(*number).expect("a level");
            let parameters = model.parameters(level, 0).expect("a level of the model");
            let need = convolution_scratch(&weights, level, &self.geometry).expect("a layer that fits");
            let mut scratch = vec![0; need.preferred];
            f(*number, &mut || {
                convolution(&weights, level, &parameters, &self.geometry, &self.image, &mut output, &mut scratch)
                    .expect("what was checked");
            });
        }
    }
}

fn layers(criterion: &mut Criterion) {
    for description in LAYERS {
        let layer = Layer::new(description);
        let mut group = criterion.benchmark_group(description.0);
        let macs = layer.weights.len() * layer.geometry.output.height * layer.geometry.output.width;
        group.throughput(Throughput::Elements(macs as u64));
        let sparse =
            ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &layer.weights, rings: &layer.rings };
        layer.measure(sparse, &[1, 2, 3, 4, 5, 6], |level, run| {
            group.bench_function(BenchmarkId::new("sparse", LADDER[level - 1]), |bencher| bencher.iter(&mut *run));
        });
        layer.measure(ConvolutionWeights::Dense(&layer.weights), &[1], |_, run| {
            group.bench_function("dense", |bencher| bencher.iter(&mut *run));
        });
        group.finish();
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);

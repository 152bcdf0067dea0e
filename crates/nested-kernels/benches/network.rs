//! Whole ResNet-8s with random weights: each level of a 90/80/70 % ladder, and the dense network.
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nested_csr::{
    Block, ConvolutionWeights, FormatError, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorId, TensorShape, Window,
};
use nested_kernels::Network;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Sparsity of each level, in per cent.
const LADDER: [u32; 3] = [90, 80, 70];

/// Adds the layers of a network whose six 3×3 convolutions after the first are sparse, or dense like the others.
struct Layers {
    builder: ModelBuilder,
    random: Xoshiro256PlusPlus,
    sparse: bool,
}

impl Layers {
    fn convolution(
        &mut self,
        input: TensorId,
        window: Window,
        rows: usize,
        sparse: bool,
    ) -> Result<TensorId, FormatError> {
        let channels = self.builder.shape(input).map_or(0, |shape| shape.channels);
        let columns = channels * window.kernel.map(usize::from).iter().product::<usize>();
        let random = &mut self.random;
        let weights: Vec<i8> = (0..rows * columns).map(|_| random.random_range(1..=127)).collect();
        let levels = level(rows, 1.0 / (60.0 * (columns as f64).sqrt()).max(3.0));
        if !(sparse && self.sparse) {
            return self.builder.convolution("", input, window, rows, ConvolutionWeights::Dense(&weights), &levels);
        }
        let ring = |rank: u32| (1 + LADDER.iter().take_while(|sparsity| rank < **sparsity).count() as u8) % 4;
        let rings: Vec<u8> = (0..rows * columns).map(|_| ring(random.random_range(0..100))).collect();
        let kept = |(weight, ring): (&i8, &u8)| if *ring == 0 { 0 } else { *weight };
        let weights: Vec<i8> = weights.iter().zip(&rings).map(kept).collect();
        let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
        self.builder.convolution("", input, window, rows, weights, &levels)
    }

    fn resnet8(mut self, width: usize) -> Result<Model<Vec<u8>>, FormatError> {
        let image = self.builder.input();
        let mut tensor = self.convolution(image, Window::square(3, 1, 1), width, false)?;
        for (stack, stride) in [1, 2, 2].into_iter().enumerate() {
            let rows = width << stack;
            let inner = self.convolution(tensor, Window::square(3, stride, 1), rows, true)?;
            let branch = self.convolution(inner, Window::square(3, 1, 1), rows, true)?;
            let shortcut = match stride {
                1 => tensor,
                _ => self.convolution(tensor, Window::square(1, stride, 0), rows, false)?,
            };
            let mut sum = level(1, 0.25);
            sum.iter_mut().for_each(|level| level.input_weights = [2, 2]);
            tensor = self.builder.add("", branch, shortcut, &sum)?;
        }
        let size = self.builder.shape(tensor).map_or(1, |shape| shape.height) as u8;
        let mut mean = level(1, 1.0 / f64::from(size).powi(2));
        mean.iter_mut().for_each(|level| level.input_weights = [1, 0]);
        let pooled = self.builder.average_pool("", tensor, Window::square(size, 1, 0), &mean)?;
        self.convolution(pooled, Window::square(1, 1, 0), 10, false)?;
        self.builder.finish(Profile::Speed)
    }
}

/// The same parameters at each level.
fn level(rows: usize, multiplier: f64) -> Vec<NodeLevel> {
    let multiplier = Multiplier::nearest(multiplier).expect("a multiplier below one half");
    let output = Quantization { scale: 0.1, zero_point: -128 };
    let rows = vec![Requantization { multiplier, bias: 100 }; rows];
    vec![NodeLevel { output, low: -128, high: 127, input_weights: [0; 2], rows }; LADDER.len()]
}

fn networks(criterion: &mut Criterion) {
    for (name, width, size, channels) in [("28x28x1 w=1/2", 8, 28, 1), ("32x32x3 w=1", 16, 32, 3)] {
        let mut group = criterion.benchmark_group(format!("ResNet-8 {name}"));
        let shape = TensorShape { channels, height: size, width: size };
        let mut bench = |label: &str, sparse: bool, sparsities: &[u32]| {
            let image = Quantization { scale: 1.0 / 255.0, zero_point: -128 };
            let builder =
                ModelBuilder::new(Level::new(LADDER.len()).expect("a level"), shape, image).expect("an image");
            let layers = Layers { builder, random: Xoshiro256PlusPlus::seed_from_u64(3), sparse };
            let network = Network::new(layers.resnet8(width).expect("a model")).expect("a network");
            let densest = network.model().levels();
            let [least, most] = [network.arena_len(densest), network.preferred_arena_len(densest)].map(Result::unwrap);
            println!("{label}: arena of {least} to {most} bytes");
            let image: Vec<i8> = (0..shape.len()).map(|i| (i * 37) as i8).collect();
            let (mut arena, mut output) = (vec![0; most], [0; 10]);
            for (number, sparsity) in (1..).zip(sparsities) {
                let level = Level::new(number).expect("a level");
                group.bench_function(BenchmarkId::new(label, sparsity), |bencher| {
                    bencher.iter(|| network.run(level, &image, &mut arena, &mut output).expect("what was checked"));
                });
            }
        };
        bench("sparse", true, &LADDER);
        bench("dense", false, &[0]);
        group.finish();
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);

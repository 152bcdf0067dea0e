//! Every backend's convolutions, layer by layer: all small shapes with extreme values, and random large ones.
use super::{
    THREADS, backends, naive,
    naive::Output,
    random::{Nested, Random, Values, level, one_convolution, one_depthwise, output, seeded},
};
use crate::{
    Geometry, Scratch,
    add::Sum,
    arch::{Buffers, Convolution, Depthwise},
    requant::Finish,
};
use nested_csr::{Block, ConvolutionWeights, Model, Operation, Padding, TensorShape, Weights, Window};
use proptest::prelude::*;
use rand::RngExt;
use std::{println, vec, vec::Vec};

/// A layer, its values, and the scratches that it must not depend on.
struct Case {
    input: TensorShape,
    window: Window,
    rows: usize,
    levels: usize,
    values: [Values; 2],
    zero_point: i8,
}

impl Case {
    fn geometry(&self) -> Option<Geometry> {
        Geometry::new(self.input, self.window, self.rows, self.zero_point).ok()
    }

    /// Outputs for each level, spread for sums of this many products.
    fn outputs(&self, rows: usize, products: usize, random: &mut Random) -> Vec<Output> {
        let size = (products as f64).sqrt() * 5000.0;
        (0..self.levels).map(|_| output(rows, size, random)).collect()
    }

    /// Sparse at each level, and dense.
    fn check_convolution(&self, random: &mut Random) -> usize {
        let Some(geometry) = self.geometry() else { return 0 };
        let columns = geometry.columns().unwrap();
        let [of_weights, of_inputs] = self.values;
        let nested = Nested::new(self.rows, columns, self.levels, of_weights, random);
        let outputs = self.outputs(self.rows, columns, random);
        let input = of_inputs.many(self.input.len(), random);
        let model = one_convolution(self.input, self.window, self.rows, nested.to_builder(), &outputs);
        let mut checked = 0;
        for number in 1..=self.levels {
            let expected = naive::convolution(&nested.at(number), &outputs[number - 1], &geometry, &input);
            checked += run_convolution(&model, number, &geometry, &input, &expected, random);
        }
        let dense = of_weights.many(columns * self.rows, random);
        let weights = ConvolutionWeights::Dense(&dense);
        let model = one_convolution(self.input, self.window, self.rows, weights, &outputs);
        let expected = naive::convolution(&dense, &outputs[0], &geometry, &input);
        checked + run_convolution(&model, 1, &geometry, &input, &expected, random)
    }

    fn check_depthwise(&self, random: &mut Random) -> usize {
        let channels = self.input.channels;
        let Ok(geometry) = Geometry::new(self.input, self.window, channels, self.zero_point) else { return 0 };
        let [of_weights, of_inputs] = self.values;
        let weights = of_weights.many(geometry.columns().unwrap(), random);
        let outputs = self.outputs(channels, geometry.taps(), random);
        let input = of_inputs.many(self.input.len(), random);
        let model = one_depthwise(self.input, self.window, &weights, &outputs);
        let mut checked = 0;
        for number in 1..=self.levels {
            let parameters = model.parameters(level(number), 0).unwrap();
            let expected = naive::depthwise(&weights, &outputs[number - 1], &geometry, &input);
            for backend in backends() {
                for mut scratch in scratches(backend.depthwise_scratch(&geometry).unwrap(), random) {
                    let mut output = vec![99; expected.len()];
                    let layer = Depthwise { weights: &weights, geometry: &geometry };
                    let buffers = Buffers { input: &input, output: &mut output, scratch: &mut scratch };
                    backend.depthwise(layer, &parameters, buffers).unwrap();
                    assert_eq!(output, expected, "{backend:?}: {geometry:?}");
                    checked += 1;
                }
            }
        }
        checked
    }
}

/// The least scratch, one between, the preferred one, and one for eight threads, all full of noise.
fn scratches(need: Scratch, random: &mut Random) -> impl Iterator<Item = Vec<u32>> {
    let between = random.random_range(need.minimum..=need.preferred);
    let noise = random.random();
    [need.minimum, between, need.preferred, 8 * need.preferred].into_iter().map(move |words| vec![noise; words])
}

fn weights_of(model: &Model<Vec<u8>>) -> Weights<'_> {
    match model.node(0).unwrap().operation {
        Operation::Convolution { weights, .. } => weights,
        _ => unreachable!("the model was built of one convolution"),
    }
}

/// Runs a level on every backend.
fn run_convolution(
    model: &Model<Vec<u8>>,
    number: usize,
    geometry: &Geometry,
    input: &[i8],
    expected: &[i8],
    random: &mut Random,
) -> usize {
    let parameters = model.parameters(level(number), 0).unwrap();
    let layer = Convolution { weights: &weights_of(model), level: level(number), geometry };
    let mut checked = 0;
    for backend in backends() {
        for mut scratch in scratches(backend.convolution_scratch(layer).unwrap(), random) {
            for threads in THREADS {
                let (mut output, words) = (vec![99; expected.len()], scratch.len());
                let buffers = Buffers { input, output: &mut output, scratch: &mut scratch };
                backend.convolution(layer, &parameters, buffers, *threads).unwrap();
                assert_eq!(output, expected, "{backend:?}, {threads:?}, {number}, {words} words: {geometry:?}");
                checked += 1;
            }
        }
    }
    checked
}

/// Kinds of weights and of activations, and an input's zero point: all extremes.
fn extremes() -> impl Iterator<Item = ([Values; 2], i8)> + Clone {
    let values = Values::ALL.into_iter().flat_map(|w| Values::ALL.map(|a| [w, a]));
    values.flat_map(|values| [-128, 127, 0, -1].map(|zp| (values, zp)))
}

/// All shapes up to 8×8×8, each with so many of the extremes, which cycle.
fn small_shapes(kernel: u8, extremes_each: usize) {
    let mut random = seeded(kernel.into());
    let mut extremes = extremes().cycle();
    let mut checked = 0;
    for shape in 0..512usize {
        let input = TensorShape { channels: shape % 8 + 1, height: shape / 8 % 8 + 1, width: shape / 64 + 1 };
        for stride in 1..=2 {
            for padding in 0..=1 {
                let window = Window::square(kernel, stride, padding);
                for (values, zero_point) in extremes.by_ref().take(extremes_each) {
                    let case = Case { input, window, rows: 1 + shape % 3, levels: 3, values, zero_point };
                    checked += case.check_convolution(&mut random) + case.check_depthwise(&mut random);
                }
            }
        }
    }
    assert!(checked > 10_000 * backends().len() * extremes_each, "only {checked} checked");
    println!("kernel {kernel}: {checked} outputs of layers equal the reference");
}

#[test]
fn all_small_shapes_equal_the_reference_kernel_1() {
    small_shapes(1, 1);
}

#[test]
fn all_small_shapes_equal_the_reference_kernel_3() {
    small_shapes(3, 1);
}

#[test]
fn all_small_shapes_equal_the_reference_kernel_5() {
    small_shapes(5, 1);
}

/// Each shape with each extreme: the whole product, of which the tests above are a sample.
#[test]
#[ignore = "a minute when compiled for release: cargo test --release -p nested-kernels --lib -- --ignored"]
fn all_small_shapes_with_all_extremes_equal_the_reference() {
    for kernel in [1, 3, 5] {
        small_shapes(kernel, extremes().count());
    }
}

/// Gaps of 254 blocks and of more, which are written otherwise, in rings that are swept in any way.
#[test]
fn rows_of_few_weights_far_apart_equal_the_reference() {
    let mut random = seeded(4);
    for (height, block) in [(1, Block::OneByOne), (2, Block::OneByTwo), (4, Block::OneByOne), (9, Block::OneByOne)] {
        let input = TensorShape { channels: 1400, height, width: height };
        let geometry = Geometry::new(input, Window::square(1, 1, 0), 4, 3).unwrap();
        let (mut weights, mut rings) = (vec![0; 4 * 1400], vec![0; 4 * 1400]);
        // Rows of 0 or more weights; the last ends with the last column.
        for (row, places) in
            [&[][..], &[254, 510, 767], &[0, 1, 255, 256, 800], &[700, 1398, 1399]].into_iter().enumerate()
        {
            for place in places.iter().map(|place| 1400 * row + place) {
                (weights[place], rings[place]) = (random.random_range(1..=127), 1 + (place % 2) as u8);
                if block == Block::OneByTwo {
                    let pair = place / 2 * 2;
                    rings[pair..pair + 2].fill(1);
                }
            }
        }
        let outputs: Vec<Output> = (0..2).map(|_| output(4, 10_000.0, &mut random)).collect();
        let image = Values::Any.many(input.len(), &mut random);
        let builder = ConvolutionWeights::Sparse { block, weights: &weights, rings: &rings };
        let model = one_convolution(input, geometry.window, 4, builder, &outputs);
        for number in 1..=2 {
            let of_level = |(weight, ring): (&i8, &u8)| if usize::from(*ring) <= number { *weight } else { 0 };
            let at: Vec<i8> = weights.iter().zip(&rings).map(of_level).collect();
            let expected = naive::convolution(&at, &outputs[number - 1], &geometry, &image);
            run_convolution(&model, number, &geometry, &image, &expected, &mut random);
        }
    }
}

/// Windows of any sort: not square, strides up to 4, padding that differs from side to side.
fn windows() -> impl Strategy<Value = Window> {
    let padding = (0..4u8, 0..4u8, 0..4u8, 0..4u8);
    ([1..=5u8, 1..=5u8], 1..=4u8, padding).prop_map(|(kernel, stride, (top, left, bottom, right))| Window {
        kernel,
        stride,
        padding: Padding { top, left, bottom, right },
    })
}

proptest! {
    #[test]
    fn random_layers_equal_the_reference(
        [channels, height, width] in [1..40usize, 1..40usize, 1..40usize],
        window in windows(),
        rows in 1..12usize,
        levels in 1..=8usize,
        values in [prop::sample::select(&Values::ALL[..]), prop::sample::select(&Values::ALL[..])],
        zero_point: i8,
        seed: u64,
    ) {
        let case = Case { input: TensorShape { channels, height, width }, window, rows, levels, values, zero_point };
        let mut random = seeded(seed);
        case.check_convolution(&mut random);
        case.check_depthwise(&mut random);
    }

    /// What backends have ways of their own for: few pixels and many columns, in 1×1 windows and windows of the whole map.
    #[test]
    fn random_layers_of_few_pixels_equal_the_reference(
        channels in 1..400usize,
        [height, width] in [1..8usize, 1..8usize],
        whole: bool,
        rows in 1..14usize,
        levels in 1..=8usize,
        values in [prop::sample::select(&Values::ALL[..]), prop::sample::select(&Values::ALL[..])],
        zero_point: i8,
        seed: u64,
    ) {
        let window = match whole {
            true => Window { kernel: [height as u8, width as u8], ..Window::square(1, 1, 0) },
            false => Window::square(1, 1, 0),
        };
        let channels = if whole { channels.div_ceil(height * width) } else { channels };
        let case = Case { input: TensorShape { channels, height, width }, window, rows, levels, values, zero_point };
        case.check_convolution(&mut seeded(seed));
    }

    /// Depthwise layers on maps of any size, of so many channels that the last register is not full.
    #[test]
    fn random_depthwise_layers_equal_the_reference(
        channels in 1..40usize,
        [height, width] in [1..20usize, 1..20usize],
        window in windows(),
        values in [prop::sample::select(&Values::ALL[..]), prop::sample::select(&Values::ALL[..])],
        zero_point: i8,
        seed: u64,
    ) {
        let input = TensorShape { channels, height, width };
        let case = Case { input, window, rows: channels, levels: 2, values, zero_point };
        case.check_depthwise(&mut seeded(seed));
    }
}

proptest! {
    #[test]
    fn every_backend_adds_element_by_element(
        maps in prop::collection::vec(any::<[i8; 2]>(), 0..150),
        weights: [i16; 2],
        seed: u64,
    ) {
        let Output { rows, zero_point, low, high } = output(1, 500_000.0, &mut seeded(seed));
        let finish = Finish::from_parts(rows[0], zero_point, low, high);
        let weights = weights.map(i32::from);
        let sum = Sum { weights, finish };
        let (left, right): (Vec<i8>, Vec<i8>) = maps.iter().map(|[left, right]| (*left, *right)).unzip();
        let exact = |[left, right]: &[i8; 2]| {
            finish.apply(finish.bias + weights[0] * i32::from(*left) + weights[1] * i32::from(*right))
        };
        let expected: Vec<i8> = maps.iter().map(exact).collect();
        for backend in backends() {
            let (mut output, mut in_place) = (vec![0x55; maps.len()], left.clone());
            backend.add(&sum, &left, &right, &mut output);
            backend.add_in_place(&sum, &mut in_place, &right);
            prop_assert_eq!((&output, &in_place), (&expected, &expected), "{}", backend.name());
        }
    }
}

/// Enough work for all backends to share it.
#[cfg(feature = "rayon")]
#[test]
fn any_number_of_threads_gives_what_one_gives() {
    let input = TensorShape { channels: 24, height: 61, width: 40 };
    let case = Case {
        input,
        window: Window::square(3, 1, 1),
        rows: 20,
        levels: 1,
        values: [Values::Any, Values::Any],
        zero_point: 3,
    };
    for threads in [1, 2, 3, 5, 9] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| case.check_convolution(&mut seeded(threads as u64))) > 0);
    }
}

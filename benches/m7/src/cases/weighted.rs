//! Convolutions, sparse, dense and depthwise.
use super::{Count, Random, changed};
use crate::{
    layers::Layer,
    reference::{self, Finish},
};
use alloc::{vec, vec::Vec};
use core::fmt;
use nested_csr::{
    Block, ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Operation, Padding, Profile, Quantization,
    Requantization, TensorShape, Window,
};
use nested_kernels::Geometry;
use rand_core::Rng;

const IMAGES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sparse(Block),
    Dense,
    Depthwise,
}

pub(super) struct Case {
    layer: Layer,
    kind: Kind,
    levels: Level,
    /// The input's zero point.
    zero_point: i8,
    finish: Finish,
    weights: Vec<i8>,
    rings: Vec<u8>,
    rows: Vec<Requantization>,
}

impl Case {
    pub(super) fn new(random: &mut Random) -> Case {
        let kind = random.one_of(&[
            Kind::Sparse(Block::OneByOne),
            Kind::Sparse(Block::OneByOne),
            Kind::Sparse(Block::OneByTwo),
            Kind::Dense,
            Kind::Depthwise,
        ]);
        let layer = layer(random, kind);
        let [height, width] = layer.window.kernel.map(usize::from);
        let depth = if kind == Kind::Depthwise { 1 } else { layer.input.channels };
        let columns = height * width * depth;
        let levels =
            Level::new(if matches!(kind, Kind::Sparse(_)) { random.below(4) + 1 } else { 1 }).expect("few levels");
        let (weights, rings) = weights(random, kind, levels, layer.rows, columns);
        let scale = 40.0 / (74.0 * 90.0 * columns as f64);
        let rows = (0..layer.rows)
            .map(|_| Requantization {
                multiplier: Multiplier::nearest(scale * random.one_of(&[1.0, 4.0, 30.0])).expect("below a half"),
                bias: random.0.next_u32() as i32 >> random.one_of(&[12, 19]),
            })
            .collect();
        Case { layer, kind, levels, zero_point: random.number(), finish: random.finish(), weights, rings, rows }
    }

    /// A row whose weights add up to more than 2²³, of 1×1 blocks that do not come in pairs.
    pub(super) fn heavy() -> Case {
        let input = TensorShape { channels: 2801, height: 6, width: 6 };
        let layer = Layer { name: "case", input, window: Window::square(5, 1, 0), rows: 1 };
        let rings: Vec<u8> = (0..25 * input.channels).map(|column| u8::from(column % 1000 != 0)).collect();
        let multiplier = Multiplier::nearest(40.0 / (74.0 * 127.0 * 265.0)).expect("below a half");
        Case {
            layer,
            kind: Kind::Sparse(Block::OneByOne),
            levels: Level::FIRST,
            zero_point: 1,
            finish: Finish::new(-3),
            weights: rings.iter().map(|ring| if *ring > 0 { 127 } else { 0 }).collect(),
            rings,
            rows: vec![Requantization { multiplier, bias: 0 }],
        }
    }

    /// Each level on a few images, from a file of either profile.
    pub(super) fn check(&self, random: &mut Random) -> Count {
        let profile = random.one_of(&[Profile::Size, Profile::Speed]);
        self.check_as(profile, random)
    }

    /// Each level on a few images.
    pub(super) fn check_as(&self, profile: Profile, random: &mut Random) -> Count {
        let Finish { zero_point, low, high } = self.finish;
        let output = Quantization { scale: 1.0, zero_point };
        let level = NodeLevel { output, low, high, input_weights: [0; 2], rows: self.rows.clone() };
        let quantization = Quantization { scale: 1.0, zero_point: self.zero_point };
        let mut builder = ModelBuilder::new(self.levels, self.layer.input, quantization).expect("an input");
        let per_level = vec![level; self.levels.number()];
        let Layer { name, window, rows, .. } = self.layer;
        let input = builder.input();
        match self.kind {
            Kind::Sparse(block) => {
                let weights = ConvolutionWeights::Sparse { block, weights: &self.weights, rings: &self.rings };
                builder.convolution(name, input, window, rows, weights, &per_level)
            }
            Kind::Dense => {
                let weights = ConvolutionWeights::Dense(&self.weights);
                builder.convolution(name, input, window, rows, weights, &per_level)
            }
            Kind::Depthwise => builder.depthwise(name, input, window, &self.weights, &per_level),
        }
        .expect("a layer");
        let model = builder.finish(profile).expect("a model");
        let geometry = Geometry::new(self.layer.input, window, rows, self.zero_point).expect("it fits");
        let mut all = Count::default();
        for level in self.levels.up_to() {
            let parameters = model.parameters(level, 0).expect("one node");
            let held = |(&weight, &ring): (&i8, &u8)| {
                if usize::from(ring.wrapping_sub(1)) < level.number() { weight } else { 0 }
            };
            let weights: Vec<i8> = self.weights.iter().zip(&self.rings).map(held).collect();
            for _ in 0..IMAGES {
                let image = random.numbers(self.layer.input.len());
                let depthwise = self.kind == Kind::Depthwise;
                let rows = (&weights[..], &self.rows[..]);
                let expected = reference::outputs(&self.layer, depthwise, rows, self.zero_point, self.finish, &image);
                let mut output = vec![0x55; expected.len()];
                match model.node(0).expect("one node").operation {
                    Operation::Convolution { weights, .. } => {
                        let scratch = nested_kernels::convolution_scratch(&weights, level, &geometry).expect("it fits");
                        let words = random.one_of(&[scratch.minimum, scratch.preferred]);
                        let mut memory = vec![0x5555_5555; words];
                        nested_kernels::convolution(
                            &weights,
                            level,
                            &parameters,
                            &geometry,
                            &image,
                            &mut output,
                            &mut memory,
                        )
                    }
                    Operation::Depthwise { weights, .. } => {
                        let scratch = nested_kernels::depthwise_scratch(&geometry).expect("it fits");
                        let words = random.one_of(&[scratch.minimum, scratch.preferred]);
                        let mut memory = vec![0x5555_5555; words];
                        nested_kernels::depthwise(weights, &parameters, &geometry, &image, &mut output, &mut memory)
                    }
                    _ => unreachable!("only layers with weights are built"),
                }
                .expect("all lengths fit");
                all.add(Count::one(&output, &expected));
            }
        }
        if matches!(self.kind, Kind::Sparse(_)) {
            all.add(changed::check(model.as_bytes(), &geometry));
        }
        all
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { layer, kind, levels, finish, .. } = self;
        write!(f, "{layer:?}, {kind:?}, {} levels, {finish:?}", levels.number())
    }
}

/// A layer whose window fits its input; now and then a fully connected one, whose window is its input, or one of few pixels
/// under many channels, whose sums leave the narrow form.
fn layer(random: &mut Random, kind: Kind) -> Layer {
    if kind != Kind::Depthwise && random.below(5) == 0 {
        let input = TensorShape {
            channels: random.one_of(&[1, 2, 7, 16, 64, 100, 301]),
            height: random.one_of(&[1, 1, 2]),
            width: random.one_of(&[1, 1, 3]),
        };
        let window = Window { kernel: [input.height as u8, input.width as u8], ..Window::square(1, 1, 0) };
        return Layer { name: "case", input, window, rows: random.below(40) + 1 };
    }
    if kind != Kind::Depthwise && random.below(16) == 0 {
        let (height, width) = (random.below(3) + 1, random.below(5) + 1);
        let input = TensorShape { channels: random.one_of(&[599, 600]), height, width };
        return Layer { name: "case", input, window: Window::square(1, 1, 0), rows: random.below(6) + 1 };
    }
    loop {
        let channels = random.one_of(&[1, 2, 3, 4, 5, 8, 16, 33]);
        let (height, width) = (random.below(9) + 1, random.below(9) + 1);
        let [top, left, bottom, right] = [(); 4].map(|()| random.below(2) as u8);
        let kernel = random.one_of(&[[1, 1], [3, 3], [5, 5], [3, 1], [1, 2]]);
        let stride = random.one_of(&[1, 1, 2]);
        let window = Window { kernel, stride, padding: Padding { top, left, bottom, right } };
        let rows = if kind == Kind::Depthwise { channels } else { random.below(9) + 1 };
        if window.output(height, width).is_some() {
            return Layer { name: "case", input: TensorShape { channels, height, width }, window, rows };
        }
    }
}

/// Weights and rings; of a sparse layer's blocks a random part is held at each level.
fn weights(random: &mut Random, kind: Kind, levels: Level, rows: usize, columns: usize) -> (Vec<i8>, Vec<u8>) {
    let len = rows * columns;
    let Kind::Sparse(block) = kind else {
        return ((0..len).map(|_| random.number()).collect(), vec![1; len]);
    };
    let (mut weights, mut rings) = (vec![0; len], vec![0; len]);
    let pruned = random.one_of(&[0, 1, 4, 10, 40]);
    for row in 0..rows {
        for first in (0..columns).step_by(block.width()) {
            let ring = random.below(levels.number() + pruned + 1);
            if ring == 0 || ring > levels.number() {
                continue;
            }
            for place in row * columns + first..row * columns + (first + block.width()).min(columns) {
                weights[place] = random.number();
                rings[place] = ring as u8;
            }
        }
    }
    (weights, rings)
}

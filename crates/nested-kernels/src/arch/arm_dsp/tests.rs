//! The algorithm in plain Rust against the naive reference.
use super::{Bounds, Dsp, band::Lines, convolve_rows, pack::Pairing, scratch_words};
use crate::{
    Geometry, KernelError, Scratch,
    add::Sum,
    arch::{Backend, Buffers, Convolution, Depthwise, Threads, portable::Plain},
    rows::RowSource,
    tests::naive,
};
use nested_csr::{
    Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, NodeParameters, Operation, Padding,
    Profile, Quantization, Requantization, Sink, TensorShape, Weights, Window,
};
use proptest::prelude::*;
use std::{cell::Cell, vec, vec::Vec};

impl Backend for Dsp {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn convolution(
        &self,
        layer: Convolution<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
        threads: Threads,
    ) -> Result<(), KernelError> {
        self.convolution(layer, parameters, buffers, threads)
    }

    fn convolution_scratch(&self, layer: Convolution<'_>) -> Result<Scratch, KernelError> {
        self.convolution_scratch(layer)
    }

    fn depthwise(
        &self,
        layer: Depthwise<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
    ) -> Result<(), KernelError> {
        self.depthwise(layer, parameters, buffers)
    }

    fn depthwise_scratch(&self, geometry: &Geometry) -> Result<Scratch, KernelError> {
        self.depthwise_scratch(geometry)
    }

    fn add(&self, sum: &Sum, left: &[i8], right: &[i8], output: &mut [i8]) {
        self.add(sum, left, right, output);
    }

    fn add_in_place(&self, sum: &Sum, left: &mut [i8], right: &[i8]) {
        self.add_in_place(sum, left, right);
    }
}

/// Non-zero weights in two rings: even columns, then odd ones; or all columns ascending.
struct RingRows<'a> {
    rows: std::slice::ChunksExact<'a, i8>,
    rings: usize,
}

impl RowSource for RingRows<'_> {
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        let row = self.rows.next()?;
        for ring in 0..self.rings {
            let kept = row.iter().enumerate().filter(|(column, weight)| **weight != 0 && column % self.rings == ring);
            kept.for_each(|(column, weight)| sink.weight(column, *weight));
        }
        Some(())
    }
}

proptest! {
    #[test]
    fn any_layer_is_the_naive_one(
        channels in 1..9usize,
        size in [1..24usize, 1..24usize],
        rows in 1..4usize,
        kernel in [1..6u8, 1..6u8],
        stride in 1..4u8,
        pad in [0..3u8, 0..3u8, 0..3u8, 0..3u8],
        pairs: bool,
        rings in 1..3usize,
        bounds in any::<[i8; 3]>(),
        bias in -9000..9000i32,
        far in prop::bool::weighted(0.1),
        code in 0x3000..0x7000u16,
        extra in 0..3000usize,
        data in prop::collection::vec(prop_oneof![any::<i8>(), Just(-128i8), Just(127i8)], 8 * 23 * 23),
        weights in prop::collection::vec(prop_oneof![Just(0i8), any::<i8>(), Just(-128i8), Just(127i8)], 3 * 25 * 8),
    ) {
        let [top, left, bottom, right] = pad;
        let window = Window { kernel, stride, padding: Padding { top, left, bottom, right } };
        let shape = TensorShape { channels, height: size[0], width: size[1] };
        let Ok(geometry) = Geometry::new(shape, window, rows, bounds[0]) else { return Ok(()) };
        let columns = geometry.columns().unwrap();
        let (input, weights) = (&data[..geometry.input.len()], &weights[..columns * rows]);
        let bias = if far { bias << 12 } else { bias };
        let requantization = Requantization { multiplier: Multiplier::from_code(code), bias };
        let [low, high] = [bounds[1].min(bounds[2]), bounds[1].max(bounds[2])];
        let (low, high) = if bounds[0] % 2 == 0 { (-128, 127) } else { (low, high) };
        let out = naive::Output { rows: std::vec![requantization; rows], zero_point: 5, low, high };
        let expected = naive::convolution(weights, &out, &geometry, input);
        let pairing = if pairs { Pairing::Channels } else { Pairing::Pixels };
        let lines = Lines::new(&geometry, pairing);
        let needed = scratch_words(lines, &geometry).unwrap();
        let mut scratch: Vec<u32> = std::vec![0x55aa_55aa; needed.minimum + extra.min(needed.preferred - needed.minimum)];
        let mut output = std::vec![0x55i8; geometry.output.len()];
        let source = || Ok::<_, KernelError>(RingRows { rows: weights.chunks_exact(columns), rings });
        let bounds = Bounds { zero_point: 5, low, high };
        convolve_rows(lines, source, |_| requantization, bounds, &geometry, input, &mut output, &mut scratch).unwrap();
        prop_assert_eq!(output, expected);
    }
}

/// A model of one node whose input's zero point is 3.
fn model(shape: TensorShape, rows: usize, add: impl FnOnce(&mut ModelBuilder, &[NodeLevel])) -> Model<Vec<u8>> {
    let quantization = Quantization { scale: 1.0, zero_point: 3 };
    let mut builder = ModelBuilder::new(Level::FIRST, shape, quantization).unwrap();
    let row = Requantization { multiplier: Multiplier::nearest(0.003).unwrap(), bias: -77 };
    let rows = (0..rows as i32).map(|i| Requantization { bias: row.bias * i, ..row }).collect();
    let level = NodeLevel { output: quantization, low: -100, high: 127, input_weights: [0; 2], rows };
    add(&mut builder, &[level]);
    builder.finish(Profile::Speed).unwrap()
}

proptest! {
    #[test]
    fn both_backends_agree_on_a_models_node(
        channels in 1..20usize,
        size in [1..12usize, 1..12usize],
        rows in 1..20usize,
        kind in 0..6usize,
        least: bool,
        data in prop::collection::vec(any::<i8>(), 19 * 11 * 11),
        weights in prop::collection::vec(prop_oneof![3 => Just(0i8), 1 => -127..=127i8], 19 * 19 * 11 * 11),
    ) {
        // A small window on one pixel reads padding.
        let size = if kind == 5 { [1, 1] } else { size };
        let shape = TensorShape { channels, height: size[0], width: size[1] };
        let whole = Window { kernel: [size[0] as u8, size[1] as u8], stride: 1, padding: Padding::default() };
        let (window, rows) = match kind {
            0 => (Window::square(3, 1, 1), channels),
            1 => (Window::square(1, 1, 0), rows),
            4 | 5 => (Window::square(3, 1, 1), rows),
            _ => (whole, rows),
        };
        let geometry = Geometry::new(shape, window, rows, 3).unwrap();
        let weights = &weights[..geometry.taps() * rows * if kind == 0 { 1 } else { channels }];
        let rings: Vec<u8> = weights.iter().map(|weight| u8::from(*weight != 0)).collect();
        let model = model(shape, rows, |builder, levels| {
            let input = builder.input();
            let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights, rings: &rings };
            let dense = ConvolutionWeights::Dense(weights);
            match kind {
                0 => builder.depthwise("", input, window, weights, levels),
                3 => builder.convolution("", input, window, rows, dense, levels),
                _ => builder.convolution("", input, window, rows, sparse, levels),
            }
            .unwrap();
        });
        let parameters = model.parameters(Level::FIRST, 0).unwrap();
        let input = &data[..shape.len()];
        let memory = |scratch: Scratch| std::vec![7u32; if least { scratch.minimum } else { scratch.preferred }];
        let [ours, theirs] = [&Dsp as &dyn Backend, &Plain].map(|backend| {
            let mut output = std::vec![0x55i8; geometry.output.len()];
            match model.node(0).unwrap().operation {
                Operation::Depthwise { weights, .. } => {
                    let mut scratch = memory(backend.depthwise_scratch(&geometry).unwrap());
                    let buffers = Buffers { input, output: &mut output, scratch: &mut scratch };
                    backend.depthwise(Depthwise { weights, geometry: &geometry }, &parameters, buffers).unwrap();
                }
                Operation::Convolution { weights, .. } => {
                    let layer = Convolution { weights: &weights, level: Level::FIRST, geometry: &geometry };
                    let mut scratch = memory(backend.convolution_scratch(layer).unwrap());
                    let buffers = Buffers { input, output: &mut output, scratch: &mut scratch };
                    backend.convolution(layer, &parameters, buffers, Threads::One).unwrap();
                }
                _ => unreachable!(),
            }
            output
        });
        prop_assert_eq!(ours, theirs);
    }
}

/// Bytes that become others.
struct Fickle {
    bytes: [Vec<u8>; 2],
    changed: Cell<bool>,
}

impl AsRef<[u8]> for Fickle {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[usize::from(self.changed.get())]
    }
}

#[test]
fn weights_that_lead_elsewhere_than_when_they_were_checked_are_an_error() {
    let (shape, window, rows) = (TensorShape { channels: 16, height: 2, width: 4 }, Window::square(1, 1, 0), 4);
    let weights: Vec<i8> = (0..64).map(|i| i8::from(i % 3 == 0)).collect();
    let rings: Vec<u8> = weights.iter().map(|weight| *weight as u8).collect();
    let bytes = model(shape, rows, |builder, levels| {
        let sparse = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &weights, rings: &rings };
        builder.convolution("", builder.input(), window, rows, sparse, levels).unwrap();
    })
    .into_bytes();
    let of = |node: nested_csr::Node<'_>| match node.operation {
        Operation::Convolution { weights: Weights::Sparse(matrix), .. } => {
            let counts = matrix.byte_ring(Level::FIRST).unwrap().unwrap().counts;
            (counts.as_ptr().addr(), counts.len())
        }
        _ => unreachable!(),
    };
    let (counts, len) = of(Model::parse(&bytes).unwrap().node(0).unwrap());
    let mut others = bytes.clone();
    others[counts - bytes.as_ptr().addr()..][..len].fill(u8::MAX);
    let fickle = Fickle { bytes: [bytes, others], changed: Cell::new(false) };
    let model = Model::parse(&fickle).unwrap();
    let geometry = Geometry::new(shape, window, rows, 3).unwrap();
    let run = || {
        let Operation::Convolution { weights, .. } = model.node(0).unwrap().operation else { unreachable!() };
        let parameters = model.parameters(Level::FIRST, 0).unwrap();
        let layer = Convolution { weights: &weights, level: Level::FIRST, geometry: &geometry };
        let buffers = Buffers { input: &[1; 128], output: &mut [0; 32], scratch: &mut [0; 1000] };
        Dsp.convolution(layer, &parameters, buffers, Threads::One)
    };
    assert_eq!(run(), Ok(()));
    fickle.changed.set(true);
    // Without streams, columns that are none count for nothing.
    assert_eq!(run(), if super::PLAIN { Ok(()) } else { Err(KernelError::WeightsChanged) });
}

/// Every column, and some of them again: what no file holds, but bytes that changed since they were checked may.
struct Repeating;

impl RowSource for Repeating {
    fn next_row_into(&mut self, sink: &mut impl Sink) -> Option<()> {
        (0..9).chain(3..6).for_each(|column| sink.weight(column, 1));
        Some(())
    }
}

#[test]
fn more_weights_than_columns_are_an_error() {
    let shape = TensorShape { channels: 1, height: 8, width: 8 };
    let geometry = Geometry::new(shape, Window::square(3, 1, 1), 1, 0).unwrap();
    for pairing in [Pairing::Pixels, Pairing::Channels] {
        let lines = Lines::new(&geometry, pairing);
        let mut scratch = vec![0; scratch_words(lines, &geometry).unwrap().preferred];
        let rows = || Ok::<_, KernelError>(Repeating);
        let row = |_| Requantization { multiplier: Multiplier::nearest(0.003).unwrap(), bias: 0 };
        let bounds = Bounds { zero_point: 0, low: -128, high: 127 };
        let done = convolve_rows(lines, rows, row, bounds, &geometry, &[1; 64], &mut [0; 64], &mut scratch);
        assert_eq!(done, Err(KernelError::WeightsChanged), "{pairing:?}");
    }
}

//! Bytes that become others after they were checked, as an erased page of flash does: the kernels still read and write only what
//! they were lent.
use super::Count;
use alloc::{vec, vec::Vec};
use core::cell::Cell;
use nested_csr::{
    Block, ByteRing, ConvolutionWeights, Level, MatrixView, Model, ModelBuilder, Multiplier, NodeLevel, NodeParameters,
    Operation, Profile, Quantization, Requantization, TensorShape, Weights, Window,
};
use nested_kernels::{Geometry, KernelError};

/// Words in front of a scratch and behind it, and bytes around an output.
const GUARD: usize = 16;

/// The contents of the words around a scratch, which must not matter. As a column's place, either would lie inside the packed copy.
const AROUND: [u32; 2] = [0, 8];

/// A file that becomes another one.
struct Fickle<'a> {
    files: [&'a [u8]; 2],
    changed: Cell<bool>,
}

impl AsRef<[u8]> for Fickle<'_> {
    fn as_ref(&self) -> &[u8] {
        self.files[usize::from(self.changed.get())]
    }
}

/// Layers whose rows have fours of gaps and nothing else, in two rings: the kernels take four gaps at once, and one alone is
/// checked before anything is done with the four.
pub(super) fn check_fours() -> Count {
    let (input, window, rows) = (TensorShape { channels: 4, height: 9, width: 9 }, Window::square(3, 1, 1), 3);
    let quantization = Quantization { scale: 1.0, zero_point: 3 };
    let mut all = Count::default();
    for block in [Block::OneByOne, Block::OneByTwo] {
        let rings: Vec<u8> = (0..rows * 36).map(|i| [1, 1, 2, 2, 1, 1, 0, 0, 0][i / block.width() % 18 / 2]).collect();
        let weights: Vec<i8> = rings.iter().map(|ring| 11 * (*ring > 0) as i8).collect();
        let row = Requantization { multiplier: Multiplier::nearest(0.003).expect("below a half"), bias: 100 };
        let level =
            NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows: vec![row; rows] };
        let levels = Level::new(2).expect("few levels");
        let mut builder = ModelBuilder::new(levels, input, quantization).expect("an input");
        let weights = ConvolutionWeights::Sparse { block, weights: &weights, rings: &rings };
        builder.convolution("fours", builder.input(), window, rows, weights, &vec![level; 2]).expect("a layer");
        let model = builder.finish(Profile::Speed).expect("a model");
        let geometry = Geometry::new(input, window, rows, quantization.zero_point).expect("it fits");
        all.add(check(model.as_bytes(), &geometry));
    }
    all
}

/// Runs a model of one sparse convolution whose counts, gaps or weights have all become 0x00 or 0xFF: at each level, with the least
/// scratch and the preferred one. Counted is what is wrong.
pub(super) fn check(bytes: &[u8], geometry: &Geometry) -> Count {
    let image: Vec<i8> = (0..geometry.input.len()).map(|pixel| (pixel * 37) as i8).collect();
    let parts: [fn(ByteRing<'_>) -> &[u8]; 3] = [|ring| ring.counts, |ring| ring.gaps, |ring| ring.weights];
    let mut wrong = 0;
    for (part, value) in parts.into_iter().flat_map(|part| [(part, 0x00), (part, 0xff)]) {
        let whole = Model::parse(bytes).expect("a model");
        let mut changed = bytes.to_vec();
        for level in whole.levels().up_to() {
            if let Some(ring) = matrix(&whole).byte_ring(level).expect("a level that is held") {
                let place = part(ring).as_ptr().addr() - bytes.as_ptr().addr();
                changed[place..place + part(ring).len()].fill(value);
            }
        }
        let fickle = Fickle { files: [bytes, &changed], changed: Cell::new(false) };
        let model = Model::parse(&fickle).expect("a model");
        fickle.changed.set(true);
        for level in model.levels().up_to() {
            let weights = Weights::Sparse(matrix(&model));
            let parameters = model.parameters(level, 0).expect("one node");
            let needed = nested_kernels::convolution_scratch(&weights, level, geometry).expect("it fits");
            for words in [needed.minimum, needed.preferred] {
                let [one, other] =
                    AROUND.map(|around| run(&weights, level, &parameters, geometry, &image, words, around));
                wrong += u32::from(one.is_none() || one != other);
            }
        }
    }
    Count { checked: 0, wrong }
}

fn matrix<B: AsRef<[u8]>>(model: &Model<B>) -> MatrixView<'_> {
    match model.node(0).expect("one node").operation {
        Operation::Convolution { weights: Weights::Sparse(matrix), .. } => matrix,
        _ => unreachable!("a sparse convolution"),
    }
}

/// The outputs, and what the run said; `None` when it wrote outside of what it was lent.
fn run(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    image: &[i8],
    words: usize,
    around: u32,
) -> Option<(Vec<i8>, Result<(), KernelError>)> {
    let mut memory = vec![around; words + 2 * GUARD];
    let mut output = vec![0x55; geometry.output.len() + 2 * GUARD];
    let (scratch, lent) = (&mut memory[GUARD..GUARD + words], GUARD..GUARD + geometry.output.len());
    scratch.fill(0x5555_5555);
    let done = nested_kernels::convolution(weights, level, parameters, geometry, image, &mut output[lent], scratch);
    let whole = memory[..GUARD].iter().chain(&memory[GUARD + words..]).all(|word| *word == around)
        && output[..GUARD].iter().chain(&output[output.len() - GUARD..]).all(|value| *value == 0x55);
    whole.then_some((output, done))
}

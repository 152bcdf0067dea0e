//! Quantisation to int8: from a trained network to a `nested_csr` model of all its levels.
//!
//! Weights have one scale a row, shared by all levels. Activations have one scale and zero point a tensor and level, chosen
//! on calibration images. Batch normalisation of a level is folded into that level's requantisation.
mod range;
mod rows;
mod ties;

use crate::{
    nn::{Activation, Network, Operation, Parameters, ParametersError, Passes, Statistics},
    train::{Images, Trained, load, on_a_worker},
};
use nested_csr::{
    ConvolutionWeights, FormatError, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization,
    Requantization, TensorId, Window,
};
use rows::QuantizedLayer;
use ties::{Ties, moved};

pub use rows::quantize_row;
pub(crate) use rows::round_weights;

/// What can go wrong in quantisation.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::nn::resnet8;
/// use nested_mask::quant::{QuantError, quantize};
/// use nested_mask::train::{Config, Dataset, Trainer};
///
/// let shape = TensorShape { channels: 1, height: 8, width: 8 };
/// let trainer = Trainer::new(resnet8(shape, 0.25, 2)?, Config::default())?;
/// let no_images = Dataset::new(shape, 2, Vec::new(), Vec::new())?;
/// assert_eq!(quantize(trainer.trained(), &no_images).map(|_| ()), Err(QuantError::NoImages));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantError {
    /// No image to measure activations with.
    #[error("no calibration image")]
    NoImages,
    /// Images that are not for this network.
    #[error("calibration images of {images:?} for a network of {network:?}")]
    OtherData {
        /// Shape of the images.
        images: nested_csr::TensorShape,
        /// Shape that the network reads.
        network: nested_csr::TensorShape,
    },
    /// Activations that are not finite.
    #[error("the output of `{node}` at level {level} is not finite")]
    NotFinite {
        /// The node.
        node: String,
        /// The level.
        level: usize,
    },
    /// A row whose normalisation turns the sign at some levels only, so that no shared integer weight fits.
    #[error("row {row} of `{node}`: its normalisation's scale has different signs at different levels")]
    Sign {
        /// The node.
        node: String,
        /// The row.
        row: usize,
    },
    /// Computed values that go with the images through concatenations and max pools alone, which keep the quantisation of the
    /// images; it is not made for them.
    #[error("`{node}` is put together with the images, and would have to share their range: put a convolution between")]
    TiedToImages {
        /// The node that computes.
        node: String,
    },
    /// Parameters that are not those of the network, or cannot be computed with.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// The format refused the model.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The most images that calibration looks at.
const CALIBRATION_IMAGES: usize = 512;

/// Images of a batch of the calibration.
const BATCH: usize = 64;

/// The int8 model of all levels; activation ranges come from the calibration images, or from 512 all over them. Index codes are
/// those of [`Profile::Balanced`]: small maps decode a row for few pixels, so decoding shows in their time.
///
/// # Errors
/// [`QuantError`].
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::nn::resnet8;
/// use nested_mask::quant::quantize;
/// use nested_mask::train::{Config, Dataset, Trainer};
/// use nested_mask::{Allocation, Block, Ladder, Level};
///
/// let shape = TensorShape { channels: 1, height: 8, width: 8 };
/// let images = Dataset::new(shape, 2, (0..4 * 64).map(|pixel| pixel as u8).collect(), vec![0, 1, 0, 1])?;
/// // A network that nobody has trained, pruned to two levels; usually it is `Trainer::trained` after the last epoch.
/// let dense = Trainer::new(resnet8(shape, 0.25, 2)?, Config { ladder: Ladder::dense(), ..Config::default() })?;
/// let ladder = Ladder::new([0.8, 0.5])?;
/// let mut network = dense.trained().pruned(Level::FIRST, &ladder, Allocation::Uniform, Block::OneByOne)?;
/// network.recalibrate(&images)?;
///
/// let model = quantize(&network, &images)?;
/// assert_eq!((model.levels(), model.input_shape(), model.output_shape().len()), (network.levels(), shape, 2));
/// assert!(model.prefix(Level::FIRST)?.len() < model.as_bytes().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn quantize(trained: &Trained, calibration: &impl Images) -> Result<Model<Vec<u8>>, QuantError> {
    quantize_as(trained, calibration, Profile::Balanced)
}

/// [`quantize`], with what the encoder prefers when it chooses index codes.
///
/// # Errors
/// [`QuantError`].
///
/// ```
/// # use nested_csr::TensorShape;
/// # use nested_mask::nn::resnet8;
/// # use nested_mask::train::{Config, Dataset, Trainer};
/// # use nested_mask::{Allocation, Block, Ladder, Level};
/// use nested_csr::Profile;
/// use nested_mask::quant::quantize_as;
///
/// # let shape = TensorShape { channels: 1, height: 8, width: 8 };
/// # let images = Dataset::new(shape, 2, (0..4 * 64).map(|pixel| pixel as u8).collect(), vec![0, 1, 0, 1])?;
/// # let dense = Trainer::new(resnet8(shape, 0.25, 2)?, Config { ladder: Ladder::dense(), ..Config::default() })?;
/// # let ladder = Ladder::new([0.8, 0.5])?;
/// # let network = dense.trained().pruned(Level::FIRST, &ladder, Allocation::Uniform, Block::OneByOne)?;
/// let small = quantize_as(&network, &images, Profile::Size)?; // for flash
/// let fast = quantize_as(&network, &images, Profile::Speed)?; // for small maps
/// assert!(small.as_bytes().len() < fast.as_bytes().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn quantize_as(
    trained: &Trained,
    calibration: &impl Images,
    profile: Profile,
) -> Result<Model<Vec<u8>>, QuantError> {
    let network = &trained.network;
    if calibration.shape() != network.input() {
        return Err(QuantError::OtherData { images: calibration.shape(), network: network.input() });
    }
    if calibration.count() == 0 {
        return Err(QuantError::NoImages);
    }
    trained.parameters.check(network, trained.levels())?;
    let ties = Ties::new(network)?;
    let layers = quantized_layers(trained)?;
    let outputs = calibrate(trained, &layers, &ties, calibration)?;
    let mut builder = ModelBuilder::new(trained.levels(), network.input(), input_quantization(trained))?;
    for (index, node) in network.nodes().iter().enumerate() {
        let levels = node_levels(trained, &layers, &outputs, index);
        let layer = layers[index].as_ref();
        match node.operation {
            Operation::Convolution { input, window, rows, .. } => {
                let (weights, rings) =
                    layer.map_or((&[][..], None), |layer| (&layer.weights[..], layer.rings.as_deref()));
                let weights = match rings {
                    Some(rings) => ConvolutionWeights::Sparse { block: trained.block, weights, rings },
                    None => ConvolutionWeights::Dense(weights),
                };
                builder.convolution(&node.name, input, window, rows, weights, &levels)?;
            }
            Operation::Depthwise { input, window, .. } => {
                let weights = layer.map_or(&[][..], |layer| &layer.weights);
                builder.depthwise(&node.name, input, window, weights, &levels)?;
            }
            Operation::Add { left, right, .. } => {
                builder.add(&node.name, left, right, &levels)?;
            }
            Operation::AveragePool { input, window } => {
                builder.average_pool(&node.name, input, window, &levels)?;
            }
            Operation::MaxPool { input, window } => {
                builder.max_pool(&node.name, input, window)?;
            }
            Operation::Concatenation { left, right } => {
                builder.concatenation(&node.name, left, right)?;
            }
        }
    }
    if let Some(anchors) = network.anchors() {
        anchors.detection(&mut builder, TensorId(network.nodes().len() as u16))?;
    }
    Ok(builder.finish(profile)?)
}

/// The input is `pixel − 128` exactly.
fn input_quantization(trained: &Trained) -> Quantization {
    let normalization = trained.normalization;
    Quantization { scale: 1.0 / normalization.deviation, zero_point: (i16::from(normalization.mean) - 128) as i8 }
}

fn quantized_layers(trained: &Trained) -> Result<Vec<Option<QuantizedLayer>>, QuantError> {
    let nodes = trained.network.nodes().iter().zip(&trained.parameters.layers);
    nodes.map(|(node, layer)| layer.as_ref().map(|layer| QuantizedLayer::new(&node.name, layer)).transpose()).collect()
}

/// Quantisation of each tensor at each level, `[level − 1][tensor]`: measured on the network with its quantised weights.
fn calibrate(
    trained: &Trained,
    layers: &[Option<QuantizedLayer>],
    ties: &Ties,
    images: &impl Images,
) -> Result<Vec<Vec<Quantization>>, QuantError> {
    let mut parameters = trained.parameters.clone();
    for (layer, quantized) in parameters.layers.iter_mut().zip(layers) {
        if let (Some(layer), Some(quantized)) = (layer, quantized) {
            quantized.dequantize(layer);
        }
    }
    let mut passes = Passes::new(&trained.network, BATCH);
    on_a_worker(|| {
        trained.levels().up_to().map(|level| measure(trained, &parameters, &mut passes, level, ties, images)).collect()
    })
}

fn measure(
    trained: &Trained,
    parameters: &Parameters<f32>,
    passes: &mut Passes<f32>,
    level: Level,
    ties: &Ties,
    images: &impl Images,
) -> Result<Vec<Quantization>, QuantError> {
    let network = &trained.network;
    // One a tensor; those of groups are at their first one.
    let mut ranges = vec![range::Range::default(); network.nodes().len() + 1];
    let mut finite = vec![true; network.nodes().len()];
    let computed: Vec<usize> =
        (0..network.nodes().len()).filter(|&node| moved(&network.nodes()[node].operation).is_empty()).collect();
    passes.prepare(parameters, level);
    // From all over the dataset, which may be sorted.
    let looked_at = images.count().min(CALIBRATION_IMAGES);
    let order: Vec<usize> = (0..looked_at).map(|index| index * images.count() / looked_at).collect();
    // Two looks: the first finds the extremes, the second counts between them.
    for look in [range::Look::Extremes, range::Look::Counts] {
        for batch in order.chunks(BATCH) {
            load(passes, trained.normalization, images, batch);
            passes.forward(parameters, Statistics::Running);
            for &node in &computed {
                let (range, finite) = (&mut ranges[ties.group(node + 1)], &mut finite[node]);
                passes.for_each_value(TensorId(node as u16 + 1), |value| {
                    *finite &= value.is_finite();
                    range.see(look, value);
                });
            }
        }
        if let Some(node) = finite.iter().position(|finite| !finite) {
            return Err(QuantError::NotFinite { node: network.nodes()[node].name.clone(), level: level.number() });
        }
    }
    let mut quantizations = vec![input_quantization(trained)];
    for tensor in 1..ranges.len() {
        let first = ties.group(tensor);
        quantizations.push(if first < tensor { quantizations[first] } else { ranges[tensor].quantization() });
    }
    Ok(quantizations)
}

/// What each level says of one node.
fn node_levels(
    trained: &Trained,
    layers: &[Option<QuantizedLayer>],
    outputs: &[Vec<Quantization>],
    index: usize,
) -> Vec<NodeLevel> {
    let network = &trained.network;
    let node = &network.nodes()[index];
    let one = |(level, tensors): (Level, &Vec<Quantization>)| {
        let output = tensors[index + 1];
        let of = |tensor: TensorId| tensors[usize::from(tensor.0)];
        let (low, high) = limits(output, activation(network, index));
        let (input_weights, rows) = match node.operation {
            Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => {
                let layers = (&layers[index], &trained.parameters.layers[index]);
                let rows = match layers {
                    (Some(quantized), Some(layer)) => {
                        quantized.requantizations(layer, level, trained.network.epsilon(), [of(input), output])
                    }
                    _ => Vec::new(),
                };
                ([0, 0], rows)
            }
            Operation::Add { left, right, .. } => sum(of(left), of(right), output),
            Operation::AveragePool { input, window } => mean(of(input), window, output),
            Operation::MaxPool { .. } | Operation::Concatenation { .. } => ([0, 0], Vec::new()),
        };
        NodeLevel { output, low, high, input_weights, rows }
    };
    trained.levels().up_to().zip(outputs).map(one).collect()
}

fn activation(network: &Network, node: usize) -> Activation {
    match network.nodes()[node].operation {
        Operation::Convolution { finish, .. } | Operation::Depthwise { finish, .. } => finish.activation,
        Operation::Add { activation, .. } => activation,
        Operation::AveragePool { .. } | Operation::MaxPool { .. } | Operation::Concatenation { .. } => {
            Activation::Identity
        }
    }
}

/// Least and greatest output value after an activation.
fn limits(output: Quantization, activation: Activation) -> (i8, i8) {
    let six = || (6.0 / output.scale).round() as i32 + i32::from(output.zero_point);
    match activation {
        Activation::Identity => (i8::MIN, i8::MAX),
        Activation::Relu => (output.zero_point, i8::MAX),
        Activation::Relu6 => (output.zero_point, six().clamp(-128, 127) as i8),
    }
}

/// The multiplier nearest to `real` that keeps a bias: the least one that is not 0 when `real` is too small, the greatest
/// when it is too great.
fn multiplier(real: f64) -> Multiplier {
    const GREATEST: Multiplier = Multiplier::from_code(0xffff);
    match Multiplier::nearest(real) {
        Some(multiplier) if multiplier.m() > 0 => multiplier,
        Some(_) => LEAST,
        None => GREATEST,
    }
}

/// The least multiplier that is not 0.
const LEAST: Multiplier = Multiplier::from_code(1);

/// Whether `real` lies between the least and the greatest multiplier that keep a bias.
fn in_range(real: f64) -> bool {
    real >= fraction(LEAST) && Multiplier::nearest(real).is_some()
}

/// The multiplier as a fraction.
fn fraction(multiplier: Multiplier) -> f64 {
    f64::from(multiplier.m()) / 4_294_967_296.0
}

/// Greatest integer weight of an operand: two operands of ±255 counts stay below 2²³.
const OPERAND: f64 = 16384.0;

/// Least multiplier that has all its digits.
const PRECISE: f64 = 1.0 / 65536.0;

/// Integer weights of the operands of a sum, and its requantisation.
fn sum(left: Quantization, right: Quantization, output: Quantization) -> ([i16; 2], Vec<Requantization>) {
    let ratios = [left, right].map(|operand| f64::from(operand.scale) / f64::from(output.scale));
    let greatest = ratios[0].max(ratios[1]);
    let multiplier = multiplier((greatest / OPERAND).max(PRECISE));
    let weights = ratios.map(|ratio| (ratio / fraction(multiplier)).round().min(OPERAND) as i16);
    let zero = i32::from(weights[0]) * i32::from(left.zero_point) + i32::from(weights[1]) * i32::from(right.zero_point);
    (weights, vec![Requantization { multiplier, bias: -zero }])
}

/// Integer weight of the sum of a window, and its requantisation.
fn mean(input: Quantization, window: Window, output: Quantization) -> ([i16; 2], Vec<Requantization>) {
    let pixels = i32::from(window.kernel[0]) * i32::from(window.kernel[1]);
    let ratio = f64::from(input.scale) / (f64::from(output.scale) * f64::from(pixels));
    let greatest = (f64::from((1 << 23) - 1) / (f64::from(pixels) * 255.0)).clamp(1.0, OPERAND).floor();
    let multiplier = multiplier((ratio / greatest).max(PRECISE));
    let weight = (ratio / fraction(multiplier)).round().clamp(1.0, greatest) as i16;
    let bias = -i32::from(weight) * pixels * i32::from(input.zero_point);
    ([weight, 0], vec![Requantization { multiplier, bias }])
}

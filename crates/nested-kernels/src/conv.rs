//! Convolution, sparse and dense; a fully connected layer is one whose kernel is the whole map.
use crate::{Geometry, KernelError, arch::*, geometry::check_length};
use nested_csr::{Level, NodeParameters, Shape, Weights};

/// Words of scratch that a kernel wants; [`convolution`]'s example lends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scratch {
    /// The least that it runs with: it then works in bands of a single output row.
    pub minimum: usize,
    /// What makes it fastest: more is of no use.
    pub preferred: usize,
}

/// Convolves one image: `output[r] = requantise(bias[r] + Σ w[r, column] · input[tap])` with the weights of `level`.
///
/// `input` and `output` are channel-major. The result does not depend on the length of `scratch` (in words, at least
/// [`convolution_scratch`]'s minimum) nor on what is in it. Dense weights ignore `level`.
///
/// Weights and `parameters` belong to one node of a model, and the parameters to `level`: they say whether the sums of these
/// weights fit 24 bits ([`NodeParameters::narrow`]), which parsing has checked and no kernel checks again. With another's, outputs may
/// be wrong, and differ from machine to machine.
///
/// # Errors
/// A length that does not fit the geometry, a level that the weights do not hold, a scratch that is too short.
///
/// ```
/// use nested_csr::{Block, ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Operation, Profile};
/// use nested_csr::{Quantization, Requantization, TensorShape, Window};
/// use nested_kernels::{Geometry, convolution, convolution_scratch};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
/// # let image = TensorShape { channels: 2, height: 1, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::new(2)?, image, quantization)?;
/// # let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[4, 8], rings: &[1, 2] };
/// # let input = builder.input();
/// # builder.convolution("", input, Window::square(1, 1, 0), 1, weights, &[level.clone(), level])?;
/// # let model = builder.finish(Profile::Size)?;
/// // A model of one layer: a 1×1 convolution of two channels into one. Its weights are 4 and, from level 2 on, 8; all times ¼.
/// let node = model.node(0).ok_or("no node")?;
/// let Operation::Convolution { window, weights, .. } = node.operation else { return Err("another operation".into()) };
/// let zero_point = model.input_quantization().zero_point;
/// let geometry = Geometry::new(model.input_shape(), window, node.output.channels, zero_point)?;
/// let mut output = [0; 2];
/// for (level, expected) in [(Level::FIRST, [10, 20]), (Level::new(2)?, [12, 24])] {
///     let mut scratch = vec![0; convolution_scratch(&weights, level, &geometry)?.preferred];
///     let parameters = model.parameters(level, 0).ok_or("no level")?;
///     convolution(&weights, level, &parameters, &geometry, &[10, 20, 1, 2], &mut output, &mut scratch)?;
///     assert_eq!(output, expected);
/// }
/// # Ok(()) }
/// ```
pub fn convolution(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let (layer, buffers) = (Convolution { weights, level, geometry }, Buffers { input, output, scratch });
    convolve(layer, parameters, buffers, Threads::One)
}

/// As [`convolution`], with bands of output rows shared among the threads of the rayon pool that the call is made in.
///
/// The result is [`convolution`]'s, whatever the number of threads. They share the work when there is enough of it and
/// `scratch` has the preferred length for each of them, up to eight; with less, fewer threads do. Small layers run on one thread.
/// A thread that has done its share waits up to 50 µs for the others without giving the processor away.
///
/// # Errors
/// [`convolution`]'s.
///
/// ```
/// use nested_csr::{Block, ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Operation, Profile};
/// use nested_csr::{Quantization, Requantization, TensorShape, Window};
/// use nested_kernels::{Geometry, convolution, convolution_parallel, convolution_scratch};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
/// # let image = TensorShape { channels: 2, height: 1, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::new(2)?, image, quantization)?;
/// # let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[4, 8], rings: &[1, 2] };
/// # let input = builder.input();
/// # builder.convolution("", input, Window::square(1, 1, 0), 1, weights, &[level.clone(), level])?;
/// # let model = builder.finish(Profile::Size)?;
/// # let node = model.node(0).ok_or("no node")?;
/// # let Operation::Convolution { window, weights, .. } = node.operation else { return Err("another operation".into()) };
/// # let geometry = Geometry::new(model.input_shape(), window, node.output.channels, 0)?;
/// # let (level, input) = (Level::new(2)?, [10, 20, 1, 2]);
/// # let parameters = model.parameters(level, 0).ok_or("no level")?;
/// let threads = 2; // of the pool
/// let mut scratch = vec![0; threads * convolution_scratch(&weights, level, &geometry)?.preferred];
/// let (mut one, mut many) = ([0; 2], [0; 2]);
/// convolution(&weights, level, &parameters, &geometry, &input, &mut one, &mut scratch)?;
/// convolution_parallel(&weights, level, &parameters, &geometry, &input, &mut many, &mut scratch)?;
/// assert_eq!(one, many);
/// # Ok(()) }
/// ```
#[cfg(feature = "rayon")]
pub fn convolution_parallel(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    let (layer, buffers) = (Convolution { weights, level, geometry }, Buffers { input, output, scratch });
    convolve(layer, parameters, buffers, Threads::Pool)
}

/// Checks all that a convolution was given, and runs it. Inlined, so that no struct lies between the caller's arguments and the
/// kernel's: see `arm_dsp::Dsp`.
#[inline(always)]
fn convolve(
    layer: Convolution<'_>,
    parameters: &NodeParameters<'_>,
    buffers: Buffers<'_>,
    threads: Threads,
) -> Result<(), KernelError> {
    let geometry = layer.geometry;
    geometry.check_lengths(buffers.input.len(), buffers.output.len())?;
    check_weights(layer.weights, geometry)?;
    check_length(geometry.output.channels, parameters.rows.len(), |needed, given| KernelError::Requantizations {
        needed,
        given,
    })?;
    let backend = backend();
    check_scratch(backend.convolution_scratch(layer)?, buffers.scratch)?;
    backend.convolution(layer, parameters, buffers, threads)
}

/// The words of scratch that [`convolution`] needs for these weights, at `level`, and this geometry.
///
/// A sparser level may need more than a denser one: each is run in the way that is fastest for its weights.
///
/// # Errors
/// [`KernelError::TooLarge`] when one band does not fit the kernel's offsets. A level that the weights do not hold may be
/// refused here or only by [`convolution`].
pub fn convolution_scratch(weights: &Weights<'_>, level: Level, geometry: &Geometry) -> Result<Scratch, KernelError> {
    geometry.check()?;
    backend().convolution_scratch(Convolution { weights, level, geometry })
}

/// The weight matrix has a row for each output channel and a column for each tap.
pub(crate) fn check_weights(weights: &Weights<'_>, geometry: &Geometry) -> Result<(), KernelError> {
    let needed = Shape { rows: geometry.output.channels, columns: geometry.columns().ok_or(KernelError::TooLarge)? };
    match weights {
        Weights::Dense(weights) => {
            check_length(needed.len(), weights.len(), |needed, given| KernelError::WeightsLength { needed, given })
        }
        Weights::Sparse(matrix) if matrix.shape() == needed => Ok(()),
        Weights::Sparse(matrix) => Err(KernelError::WeightsShape { needed, given: matrix.shape() }),
        _ => Err(KernelError::UnknownWeights),
    }
}

/// The scratch holds at least the minimum.
pub(crate) fn check_scratch(needed: Scratch, scratch: &[u32]) -> Result<(), KernelError> {
    if scratch.len() < needed.minimum {
        return Err(KernelError::ScratchTooShort { needed: needed.minimum, given: scratch.len() });
    }
    Ok(())
}

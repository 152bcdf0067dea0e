//! Depthwise convolution: one filter a channel.
use crate::{Geometry, KernelError, Scratch, arch::*, conv::check_scratch, geometry::check_length};
use nested_csr::NodeParameters;

/// Convolves each channel of one image with its own filter, `weights[(channel · KH + kh) · KW + kw]`.
///
/// `input` and `output` are channel-major, with as many channels. The result does not depend on the length of `scratch`
/// (in words, at least [`depthwise_scratch`]'s minimum) nor on what is in it.
///
/// Weights and `parameters` belong to one node of a model: they say whether the sums of these weights fit 24 bits
/// ([`NodeParameters::narrow`]), which parsing has checked and no kernel checks again. With another's, outputs may be wrong, and differ
/// from machine to machine.
///
/// # Errors
/// A length that does not fit the geometry, a scratch that is too short.
///
/// ```
/// use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Operation, Profile, Quantization, Requantization};
/// use nested_csr::{TensorShape, Window};
/// use nested_kernels::{Geometry, depthwise, depthwise_scratch};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// # let quarter = Multiplier::nearest(0.25).ok_or("a half or more")?;
/// # let rows = vec![Requantization { multiplier: quarter, bias: 0 }; 2];
/// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows };
/// # let image = TensorShape { channels: 2, height: 2, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
/// # let input = builder.input();
/// # builder.depthwise("", input, Window::square(2, 1, 0), &[1, 1, 1, 1, 0, 0, 0, 4], &[level])?;
/// # let model = builder.finish(Profile::Size)?;
/// // A model of one layer: 2×2 filters on two channels, of weights 1 1 1 1 and 0 0 0 4; all times ¼.
/// let node = model.node(0).ok_or("no node")?;
/// let Operation::Depthwise { window, weights, .. } = node.operation else { return Err("another operation".into()) };
/// let geometry = Geometry::new(model.input_shape(), window, 2, model.input_quantization().zero_point)?;
/// let parameters = model.parameters(Level::FIRST, 0).ok_or("no level")?;
/// let mut scratch = vec![0; depthwise_scratch(&geometry)?.preferred];
/// let mut output = [0; 2];
/// depthwise(weights, &parameters, &geometry, &[1, 2, 3, 4, 5, 6, 7, 8], &mut output, &mut scratch)?;
/// assert_eq!(output, [3, 8]); // the mean 2.5, rounded up, and the last
/// # Ok(()) }
/// ```
pub fn depthwise(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    geometry.check_lengths(input.len(), output.len())?;
    check_depthwise(weights.len(), geometry)?;
    check_length(geometry.output.channels, parameters.rows.len(), |needed, given| KernelError::Requantizations {
        needed,
        given,
    })?;
    let backend = backend();
    check_scratch(backend.depthwise_scratch(geometry)?, scratch)?;
    backend.depthwise(Depthwise { weights, geometry }, parameters, Buffers { input, output, scratch })
}

/// The words of scratch that [`depthwise`] needs for this geometry.
///
/// # Errors
/// [`KernelError::TooLarge`] when one band does not fit the kernel's offsets.
pub fn depthwise_scratch(geometry: &Geometry) -> Result<Scratch, KernelError> {
    geometry.check()?;
    backend().depthwise_scratch(geometry)
}

/// As many channels out as in, and a filter for each.
pub(crate) fn check_depthwise(weights: usize, geometry: &Geometry) -> Result<(), KernelError> {
    geometry.check_channels()?;
    let needed = geometry.columns().ok_or(KernelError::TooLarge)?;
    check_length(needed, weights, |needed, given| KernelError::WeightsLength { needed, given })
}

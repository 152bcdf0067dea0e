//! Depthwise convolution: one filter a channel.
use crate::{Geometry, KernelError, Scratch, arch::backend, conv::check_scratch, geometry::check_length};
use nested_csr::NodeParameters;

/// Convolves each channel of one image with its own filter, `weights[(channel · KH + kh) · KW + kw]`.
///
/// `input` and `output` are channel-major, with as many channels. The result does not depend on the length of `scratch`
/// (in words, at least [`depthwise_scratch`]'s minimum) nor on what is in it.
///
/// # Errors
/// A length that does not fit the geometry, a scratch that is too short.
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
    check_scratch(depthwise_scratch(geometry)?, scratch)?;
    backend::depthwise(weights, parameters, geometry, input, output, scratch)
}

/// The words of scratch that [`depthwise`] needs for this geometry.
///
/// # Errors
/// [`KernelError::TooLarge`] when one band does not fit the kernel's offsets.
pub fn depthwise_scratch(geometry: &Geometry) -> Result<Scratch, KernelError> {
    geometry.check()?;
    backend::depthwise_scratch(geometry)
}

/// As many channels out as in, and a filter for each.
pub(crate) fn check_depthwise(weights: usize, geometry: &Geometry) -> Result<(), KernelError> {
    if geometry.output.channels != geometry.input.channels {
        return Err(KernelError::Geometry);
    }
    let needed = geometry.columns().ok_or(KernelError::TooLarge)?;
    check_length(needed, weights, |needed, given| KernelError::WeightsLength { needed, given })
}

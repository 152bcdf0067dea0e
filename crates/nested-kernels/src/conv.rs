//! Convolution, sparse and dense; a fully connected layer is one whose kernel is the whole map.
use crate::{Geometry, KernelError, arch::backend, geometry::check_length};
use nested_csr::{Level, NodeParameters, Weights};

/// Words of scratch that a kernel wants.
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
/// # Errors
/// A length that does not fit the geometry, a level that the weights do not hold, a scratch that is too short.
pub fn convolution(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    check_convolution(weights, parameters, geometry, input, output, scratch)?;
    backend::convolution(weights, level, parameters, geometry, input, output, scratch)
}

/// As [`convolution`], with the output channels shared among the threads of the rayon pool that the call is made in.
///
/// The result is [`convolution`]'s, whatever the number of threads. They share the work when `scratch` is as long as
/// preferred; small layers are faster on one thread.
///
/// # Errors
/// [`convolution`]'s.
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
    check_convolution(weights, parameters, geometry, input, output, scratch)?;
    crate::arch::convolution_parallel(weights, level, parameters, geometry, input, output, scratch)
}

/// Checks all that a convolution was given.
fn check_convolution(
    weights: &Weights<'_>,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &[i8],
    scratch: &[u32],
) -> Result<(), KernelError> {
    geometry.check_lengths(input.len(), output.len())?;
    check_weights(weights, geometry)?;
    check_length(geometry.output.channels, parameters.rows.len(), |needed, given| KernelError::Requantizations {
        needed,
        given,
    })?;
    check_scratch(convolution_scratch(weights, geometry)?, scratch)
}

/// The words of scratch that [`convolution`] needs for these weights and this geometry, at any level.
///
/// # Errors
/// [`KernelError::TooLarge`] when one band does not fit the kernel's offsets.
pub fn convolution_scratch(weights: &Weights<'_>, geometry: &Geometry) -> Result<Scratch, KernelError> {
    geometry.check()?;
    backend::convolution_scratch(weights, geometry)
}

/// The weight matrix has a row for each output channel and a column for each tap.
pub(crate) fn check_weights(weights: &Weights<'_>, geometry: &Geometry) -> Result<(), KernelError> {
    let columns = geometry.columns().ok_or(KernelError::TooLarge)?;
    let needed = columns * geometry.output.channels;
    let given = match weights {
        Weights::Dense(weights) => weights.len(),
        Weights::Sparse(matrix) if matrix.shape().columns == columns => columns.saturating_mul(matrix.shape().rows),
        Weights::Sparse(matrix) => matrix.shape().columns.saturating_mul(matrix.shape().rows).saturating_add(1),
    };
    check_length(needed, given, |needed, given| KernelError::WeightsLength { needed, given })
}

/// The scratch holds at least the minimum.
pub(crate) fn check_scratch(needed: Scratch, scratch: &[u32]) -> Result<(), KernelError> {
    if scratch.len() < needed.minimum {
        return Err(KernelError::ScratchTooShort { needed: needed.minimum, given: scratch.len() });
    }
    Ok(())
}

//! The entry points of the backend: the fastest instructions that this processor has.
use super::*;

impl Instructions {
    /// The fastest that there are.
    fn detect() -> Self {
        #[cfg(feature = "std")]
        if let Some(lanes) = Avx512::detect() {
            return Instructions::Avx512(lanes);
        }
        #[cfg(feature = "std")]
        if let Some(lanes) = Avx2::detect() {
            return Instructions::Avx2(lanes);
        }
        Instructions::Sse2(Sse2)
    }
}

/// See [`crate::backend`].
pub(crate) fn name() -> &'static str {
    match Instructions::detect() {
        #[cfg(feature = "std")]
        Instructions::Avx512(_) => "AVX-512 VNNI",
        #[cfg(feature = "std")]
        Instructions::Avx2(_) => "AVX2",
        Instructions::Sse2(_) => "SSE2",
    }
}

/// Runs a task whose loops gain from wider vectors.
pub(crate) fn run<T: Task>(task: T) -> T::Output {
    Instructions::detect().run(task)
}

/// See [`crate::convolution`], which has checked all lengths.
pub(crate) fn convolution(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    Instructions::detect().convolution(Threads::One, weights, level, parameters, geometry, input, output, scratch)
}

/// See [`crate::convolution_parallel`], which has checked all lengths.
#[cfg(feature = "rayon")]
pub(crate) fn convolution_parallel(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    Instructions::detect().convolution(Threads::Pool, weights, level, parameters, geometry, input, output, scratch)
}

/// See [`crate::convolution_scratch`].
pub(crate) fn convolution_scratch(
    weights: &Weights<'_>,
    level: Level,
    geometry: &Geometry,
) -> Result<Scratch, KernelError> {
    Instructions::detect().convolution_scratch(weights, level, geometry)
}

/// See [`crate::depthwise`], which has checked all lengths.
pub(crate) fn depthwise(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    Instructions::detect().depthwise(weights, parameters, geometry, input, output, scratch)
}

/// See [`crate::depthwise_scratch`].
pub(crate) fn depthwise_scratch(geometry: &Geometry) -> Result<Scratch, KernelError> {
    Instructions::detect().depthwise_scratch(geometry)
}

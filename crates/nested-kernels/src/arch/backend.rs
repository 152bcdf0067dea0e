//! The seam between the public functions, which check all that they are given, and the kernels, which rely on it.
use crate::{Geometry, KernelError, Scratch, add::Sum};
use core::fmt::Debug;
use nested_csr::{Level, NodeParameters, Weights};

/// The kernels of one set of instructions; all lengths have been checked.
#[allow(dead_code, reason = "the DSP kernels have these methods without the trait")]
pub(crate) trait Backend: Debug {
    /// See [`crate::backend`].
    fn name(&self) -> &'static str;

    /// See [`crate::convolution`].
    fn convolution(
        &self,
        layer: Convolution<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
        threads: Threads,
    ) -> Result<(), KernelError>;

    /// See [`crate::convolution_scratch`].
    fn convolution_scratch(&self, layer: Convolution<'_>) -> Result<Scratch, KernelError>;

    /// See [`crate::depthwise`].
    fn depthwise(
        &self,
        layer: Depthwise<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
    ) -> Result<(), KernelError>;

    /// See [`crate::depthwise_scratch`].
    fn depthwise_scratch(&self, geometry: &Geometry) -> Result<Scratch, KernelError>;

    /// See [`crate::add`].
    fn add(&self, sum: &Sum, left: &[i8], right: &[i8], output: &mut [i8]);

    /// See [`crate::add_in_place`].
    fn add_in_place(&self, sum: &Sum, left: &mut [i8], right: &[i8]);
}

/// A convolution at one level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution<'a> {
    pub(crate) weights: &'a Weights<'a>,
    pub(crate) level: Level,
    pub(crate) geometry: &'a Geometry,
}

/// A depthwise convolution, which is the same at every level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depthwise<'a> {
    pub(crate) weights: &'a [i8],
    pub(crate) geometry: &'a Geometry,
}

/// The maps of a layer, and the memory that it may use.
#[derive(Debug)]
pub(crate) struct Buffers<'a> {
    pub(crate) input: &'a [i8],
    pub(crate) output: &'a mut [i8],
    pub(crate) scratch: &'a mut [u32],
}

/// Who does the work; the results do not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    /// The calling thread.
    One,
    /// The threads of the rayon pool that the call is made in.
    #[cfg(feature = "rayon")]
    Pool,
}

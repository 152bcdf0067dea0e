//! The fastest instructions that this processor has.
use super::Sse2;
#[cfg(feature = "std")]
use super::{Avx2, Avx512};
use crate::{
    Geometry, KernelError, Scratch,
    add::Sum,
    arch::{Backend, Buffers, Convolution, Depthwise, Threads},
};
use nested_csr::NodeParameters;

/// What a processor may have, the fastest first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instructions {
    #[cfg(feature = "std")]
    Avx512(Avx512),
    #[cfg(feature = "std")]
    Avx2(Avx2),
    Sse2(Sse2),
}

/// Calls a generic function with whatever instructions there are.
macro_rules! with {
    ($instructions:expr, $lanes:ident => $call:expr) => {
        match $instructions {
            #[cfg(feature = "std")]
            Instructions::Avx512($lanes) => $call,
            #[cfg(feature = "std")]
            Instructions::Avx2($lanes) => $call,
            Instructions::Sse2($lanes) => $call,
        }
    };
}

impl Instructions {
    /// The fastest that there are.
    pub(crate) fn detect() -> Self {
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

impl Backend for Instructions {
    fn name(&self) -> &'static str {
        with!(self, lanes => lanes.name())
    }

    fn convolution(
        &self,
        layer: Convolution<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
        threads: Threads,
    ) -> Result<(), KernelError> {
        with!(self, lanes => lanes.convolution(layer, parameters, buffers, threads))
    }

    fn convolution_scratch(&self, layer: Convolution<'_>) -> Result<Scratch, KernelError> {
        with!(self, lanes => lanes.convolution_scratch(layer))
    }

    fn depthwise(
        &self,
        layer: Depthwise<'_>,
        parameters: &NodeParameters<'_>,
        buffers: Buffers<'_>,
    ) -> Result<(), KernelError> {
        with!(self, lanes => lanes.depthwise(layer, parameters, buffers))
    }

    fn depthwise_scratch(&self, geometry: &Geometry) -> Result<Scratch, KernelError> {
        with!(self, lanes => lanes.depthwise_scratch(geometry))
    }

    fn add(&self, sum: &Sum, left: &[i8], right: &[i8], output: &mut [i8]) {
        with!(self, lanes => lanes.add(sum, left, right, output));
    }

    fn add_in_place(&self, sum: &Sum, left: &mut [i8], right: &[i8]) {
        with!(self, lanes => lanes.add_in_place(sum, left, right));
    }
}

//! Vector instructions of x86-64: SSE2, which every target with this backend has, and AVX2 and AVX-512 with VNNI where the
//! processor says so at run time (feature `std`). The algorithm is [`all`]'s; results are the same to the bit.
use super::all::{
    self, Threads,
    lanes::{Lanes, Task, Unfinished},
};
#[cfg(feature = "std")]
use super::all::{copy::CopyLines, lanes::store};
use crate::{Geometry, KernelError, Scratch, requant::Finish};
use core::arch::x86_64::*;
use nested_csr::{Level, NodeParameters, Weights};

#[cfg(feature = "std")]
mod avx2;
#[cfg(feature = "std")]
mod avx512;
#[cfg(nested_kernels_backend = "x86_64")]
mod detect;
mod sse2;

#[cfg(feature = "std")]
pub(crate) use avx2::Avx2;
#[cfg(feature = "std")]
pub(crate) use avx512::Avx512;
#[cfg(all(feature = "rayon", nested_kernels_backend = "x86_64"))]
pub(crate) use detect::convolution_parallel;
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use detect::{convolution, convolution_scratch, depthwise, depthwise_scratch, name, run};
pub(crate) use sse2::Sse2;

/// What this processor can run, the fastest first.
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
    /// Runs a task whose loops gain from wider vectors.
    #[cfg(nested_kernels_backend = "x86_64")]
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        with!(self, lanes => lanes.enter(task))
    }

    /// See [`crate::convolution`], which has checked all lengths.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn convolution(
        self,
        threads: Threads,
        weights: &Weights<'_>,
        level: Level,
        parameters: &NodeParameters<'_>,
        geometry: &Geometry,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        with!(self, lanes => all::convolution_with(
            lanes, threads, weights, level, parameters, geometry, input, output, scratch
        ))
    }

    /// See [`crate::convolution_scratch`].
    pub(crate) fn convolution_scratch(
        self,
        weights: &Weights<'_>,
        level: Level,
        geometry: &Geometry,
    ) -> Result<Scratch, KernelError> {
        with!(self, lanes => all::convolution_scratch_with(lanes, weights, level, geometry))
    }

    /// See [`crate::depthwise`], which has checked all lengths.
    pub(crate) fn depthwise(
        self,
        weights: &[i8],
        parameters: &NodeParameters<'_>,
        geometry: &Geometry,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        with!(self, lanes => all::depthwise_with(lanes, weights, parameters, geometry, input, output, scratch))
    }

    /// See [`crate::depthwise_scratch`].
    pub(crate) fn depthwise_scratch(self, geometry: &Geometry) -> Result<Scratch, KernelError> {
        with!(self, lanes => all::depthwise_scratch_with(lanes, geometry))
    }
}

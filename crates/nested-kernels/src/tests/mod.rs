//! One runner for every backend that this machine can run, against one naive reference.
mod errors;
mod layers;
pub(crate) mod naive;
mod networks;
mod random;

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
use crate::arch::aarch64;
use crate::{
    Geometry, KernelError, Scratch,
    arch::{arm_dsp, portable},
};
use nested_csr::{Level, NodeParameters, Weights};
use std::{vec, vec::Vec};

/// The entry points that backends have in common.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) convolution: Convolution,
    pub(crate) convolution_scratch: fn(&Weights<'_>, Level, &Geometry) -> Result<Scratch, KernelError>,
    pub(crate) depthwise: Depthwise,
    pub(crate) depthwise_scratch: fn(&Geometry) -> Result<Scratch, KernelError>,
}

type Convolution =
    fn(&Weights<'_>, Level, &NodeParameters<'_>, &Geometry, &[i8], &mut [i8], &mut [u32]) -> Result<(), KernelError>;

type Depthwise = fn(&[i8], &NodeParameters<'_>, &Geometry, &[i8], &mut [i8], &mut [u32]) -> Result<(), KernelError>;

/// Every backend that this machine can run; one that it cannot is left out, not faked.
pub(crate) fn backends() -> Vec<Backend> {
    let mut backends = vec![
        Backend {
            name: "portable",
            convolution: portable::convolution,
            convolution_scratch: portable::convolution_scratch,
            depthwise: portable::depthwise,
            depthwise_scratch: portable::depthwise_scratch,
        },
        // Its algorithm, with plain Rust for its instructions; QEMU runs the instructions.
        Backend {
            name: "arm_dsp",
            convolution: arm_dsp::convolution,
            convolution_scratch: arm_dsp::convolution_scratch,
            depthwise: arm_dsp::depthwise,
            depthwise_scratch: arm_dsp::depthwise_scratch,
        },
    ];
    #[cfg(feature = "rayon")]
    backends.push(Backend {
        name: "portable, threads",
        convolution: portable::convolution_parallel,
        convolution_scratch: portable::convolution_scratch,
        depthwise: portable::depthwise,
        depthwise_scratch: portable::depthwise_scratch,
    });
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    backends.push(Backend {
        name: "Neon",
        convolution: aarch64::convolution,
        convolution_scratch: aarch64::convolution_scratch,
        depthwise: aarch64::depthwise,
        depthwise_scratch: aarch64::depthwise_scratch,
    });
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    backends.extend(vectors::backends());
    backends
}

/// The instruction sets of x86-64.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod vectors {
    use super::Backend;
    use crate::arch::{
        all::Threads,
        x86_64::{Avx2, Avx512, Instructions, Sse2},
    };
    use std::vec::Vec;

    /// The entry points of one instruction set, given as an expression that makes it.
    macro_rules! backend {
        ($name:literal, $threads:expr, $instructions:expr) => {
            Backend {
                name: $name,
                convolution: |weights, level, parameters, geometry, input, output, scratch| {
                    $instructions.convolution($threads, weights, level, parameters, geometry, input, output, scratch)
                },
                convolution_scratch: |weights, level, geometry| {
                    $instructions.convolution_scratch(weights, level, geometry)
                },
                depthwise: |weights, parameters, geometry, input, output, scratch| {
                    $instructions.depthwise(weights, parameters, geometry, input, output, scratch)
                },
                depthwise_scratch: |geometry| $instructions.depthwise_scratch(geometry),
            }
        };
    }

    pub(super) fn backends() -> Vec<Backend> {
        let mut backends = std::vec![backend!("SSE2", Threads::One, Instructions::Sse2(Sse2))];
        #[cfg(feature = "rayon")]
        backends.push(backend!("SSE2, threads", Threads::Pool, Instructions::Sse2(Sse2)));
        if Avx2::detect().is_some() {
            backends.push(backend!("AVX2", Threads::One, Instructions::Avx2(Avx2::detect().unwrap())));
        }
        if Avx512::detect().is_some() {
            backends.push(backend!("AVX-512", Threads::One, Instructions::Avx512(Avx512::detect().unwrap())));
            #[cfg(feature = "rayon")]
            backends.push(backend!("AVX-512, threads", Threads::Pool, Instructions::Avx512(Avx512::detect().unwrap())));
        }
        backends
    }
}

//! One runner for every backend that this machine can run, against one naive reference.
mod errors;
mod layers;
pub(crate) mod naive;
mod networks;
mod random;

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
    pub(crate) convolution_scratch: fn(&Weights<'_>, &Geometry) -> Result<Scratch, KernelError>,
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
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    backends.extend(vectors::backends());
    backends
}

/// The instruction sets of x86-64.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod vectors {
    use super::Backend;
    use crate::arch::x86_64::{self, Avx2, Avx512, Instructions, Sse2};
    use std::vec::Vec;

    /// The entry points of one instruction set, given as an expression that makes it.
    macro_rules! backend {
        ($name:literal, $instructions:expr) => {
            Backend {
                name: $name,
                convolution: |weights, level, parameters, geometry, input, output, scratch| {
                    $instructions.convolution(weights, level, parameters, geometry, input, output, scratch)
                },
                convolution_scratch: x86_64::convolution_scratch,
                depthwise: |weights, parameters, geometry, input, output, scratch| {
                    $instructions.depthwise(weights, parameters, geometry, input, output, scratch)
                },
                depthwise_scratch: x86_64::depthwise_scratch,
            }
        };
    }

    pub(super) fn backends() -> Vec<Backend> {
        let sse2 = Some(backend!("SSE2", Instructions::Sse2(Sse2)));
        let avx2 = Avx2::detect().map(|_| backend!("AVX2", Instructions::Avx2(Avx2::detect().unwrap())));
        let avx512 = Avx512::detect().map(|_| backend!("AVX-512", Instructions::Avx512(Avx512::detect().unwrap())));
        [sse2, avx2, avx512].into_iter().flatten().collect()
    }
}

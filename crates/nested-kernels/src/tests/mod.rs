//! One runner for every backend that this machine can run, against one naive reference.
mod errors;
mod layers;
pub(crate) mod naive;
mod networks;
mod random;

use crate::arch::{Backend, Threads, arm_dsp::Dsp, portable::Plain};
use std::{boxed::Box, vec, vec::Vec};

/// Every backend that this machine can run; one that it cannot is left out, not faked.
pub(crate) fn backends() -> Vec<Box<dyn Backend>> {
    // The DSP algorithm with plain Rust for its instructions; QEMU runs the instructions.
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(Plain), Box::new(Dsp)];
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    backends.push(Box::new(crate::arch::aarch64::Neon));
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    backends.push(Box::new(crate::arch::x86_64::Sse2));
    #[cfg(all(feature = "std", target_arch = "x86_64", target_feature = "sse2"))]
    {
        use crate::arch::x86_64::{Avx2, Avx512};
        backends.extend(Avx2::detect().map(|lanes| Box::new(lanes) as Box<dyn Backend>));
        backends.extend(Avx512::detect().map(|lanes| Box::new(lanes) as Box<dyn Backend>));
    }
    backends
}

/// Each way of sharing a convolution's work.
pub(crate) const THREADS: &[Threads] = &[
    Threads::One,
    #[cfg(feature = "rayon")]
    Threads::Pool,
];

//! The backends, and the one place that chooses between them, [`backend`]: `build.rs` sets `nested_kernels_backend` from the target and
//! from what the user says with `--cfg`. Tests compile every backend that the machine can run.
//!
//! On 32-bit Arm the portable path is the DSP path's algorithm with plain Rust for its instructions: pixels in pairs pay
//! there, wide rows of lanes do not.
#[cfg(any(test, nested_kernels_backend = "dsp", all(nested_kernels_backend = "portable", target_arch = "arm")))]
#[allow(unsafe_code)]
pub(crate) mod arm_dsp;

#[cfg(any(
    test,
    nested_kernels_backend = "x86_64",
    nested_kernels_backend = "aarch64",
    all(nested_kernels_backend = "portable", not(target_arch = "arm"))
))]
pub(crate) mod all;
#[cfg(any(test, all(nested_kernels_backend = "portable", not(target_arch = "arm"))))]
pub(crate) mod portable;

#[cfg(any(nested_kernels_backend = "x86_64", all(test, target_arch = "x86_64", target_feature = "sse2")))]
#[allow(unsafe_code)]
pub(crate) mod x86_64;

#[cfg(any(nested_kernels_backend = "aarch64", all(test, target_arch = "aarch64", target_feature = "neon")))]
#[allow(unsafe_code)]
pub(crate) mod aarch64;

mod backend;

pub(crate) use backend::*;

/// The chosen backend: a [`Backend`], or what has its methods.
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) fn backend() -> x86_64::Instructions {
    x86_64::Instructions::detect()
}
#[cfg(nested_kernels_backend = "aarch64")]
pub(crate) fn backend() -> aarch64::Neon {
    aarch64::Neon
}
#[cfg(any(nested_kernels_backend = "dsp", all(nested_kernels_backend = "portable", target_arch = "arm")))]
pub(crate) fn backend() -> arm_dsp::Dsp {
    arm_dsp::Dsp
}
#[cfg(all(nested_kernels_backend = "portable", not(target_arch = "arm")))]
pub(crate) fn backend() -> portable::Plain {
    portable::Plain
}

/// See [`crate::backend`].
pub(crate) fn name() -> &'static str {
    backend().name()
}

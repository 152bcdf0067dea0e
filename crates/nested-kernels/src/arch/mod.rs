//! The backends, and the one place that chooses between them: `build.rs` sets `nested_kernels_backend` from the target and
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

#[cfg(nested_kernels_backend = "aarch64")]
pub(crate) use aarch64 as backend;
#[cfg(any(nested_kernels_backend = "dsp", all(nested_kernels_backend = "portable", target_arch = "arm")))]
pub(crate) use arm_dsp as backend;
#[cfg(all(nested_kernels_backend = "portable", not(target_arch = "arm")))]
pub(crate) use portable as backend;
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use x86_64 as backend;

/// The backends of small Arm cores have no threads to share the work.
#[cfg(all(
    feature = "rayon",
    any(nested_kernels_backend = "dsp", all(nested_kernels_backend = "portable", target_arch = "arm"))
))]
pub(crate) use backend::convolution as convolution_parallel;
#[cfg(all(
    feature = "rayon",
    not(any(nested_kernels_backend = "dsp", all(nested_kernels_backend = "portable", target_arch = "arm")))
))]
pub(crate) use backend::convolution_parallel;

/// See [`crate::backend`].
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use backend::name;

/// See [`crate::backend`].
#[cfg(not(nested_kernels_backend = "x86_64"))]
pub(crate) fn name() -> &'static str {
    if cfg!(nested_kernels_backend = "dsp") {
        "Arm DSP"
    } else if cfg!(nested_kernels_backend = "aarch64") {
        "Neon"
    } else {
        "portable"
    }
}

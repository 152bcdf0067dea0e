//! The backends, and the one place that chooses between them: `build.rs` sets `nested_kernels_backend` from the target and
//! from what the user says with `--cfg`. Tests compile every backend that the machine can run.
pub(crate) mod all;

#[cfg(any(test, nested_kernels_backend = "portable", nested_kernels_backend = "dsp"))]
pub(crate) mod portable;
#[cfg(any(nested_kernels_backend = "x86_64", all(test, target_arch = "x86_64", target_feature = "sse2")))]
#[allow(unsafe_code)]
pub(crate) mod x86_64;

#[cfg(any(nested_kernels_backend = "portable", nested_kernels_backend = "dsp"))]
pub(crate) use portable as backend;
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use x86_64 as backend;

//! The backends, and the one place that chooses between them.
//!
//! `nested_kernels_dsp` is set by `build.rs` for cores with the DSP extension; `nested_kernels_force_portable` wins over it.
pub(crate) mod all;

#[cfg(any(all(nested_kernels_dsp, not(nested_kernels_force_portable)), test))]
#[allow(unsafe_code)]
pub(crate) mod arm_dsp;

#[cfg(not(all(nested_kernels_dsp, not(nested_kernels_force_portable))))]
pub(crate) use all as backend;
#[cfg(all(nested_kernels_dsp, not(nested_kernels_force_portable)))]
pub(crate) use arm_dsp as backend;

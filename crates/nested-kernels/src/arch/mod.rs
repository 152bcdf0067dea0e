//! The backends, and the one place that chooses between them.
//!
//! `nested_kernels_dsp` is set by `build.rs` for cores with the DSP extension; `nested_kernels_force_portable` wins over it.
pub(crate) mod all;

pub(crate) use all as backend;

//! Integer kernels.
#![no_std]

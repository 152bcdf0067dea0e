//! Vector instructions of x86-64: SSE2, which every target with this backend has, and AVX2 and AVX-512 with VNNI where the
//! processor says so at run time (feature `std`). The algorithm is [`super::all`]'s; results are the same to the bit.
use super::all::lanes::{Lanes, Unfinished};
#[cfg(feature = "std")]
use super::all::{
    copy::CopyLines,
    lanes::{Task, store},
};
use crate::requant::Finish;
use core::arch::x86_64::*;

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
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use detect::Instructions;
pub(crate) use sse2::Sse2;

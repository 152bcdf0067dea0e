//! Vector instructions of x86-64: SSE2, which every target with this backend has, and AVX2 and AVX-512 with VNNI where the
//! processor says so at run time (feature `std`). The algorithm is [`all`]'s; results are the same to the bit.
use super::all::{self, lanes::Lanes};
use crate::{Geometry, KernelError};
use core::arch::x86_64::*;
use nested_csr::{Level, NodeParameters, Weights};

/// Makes the entry points of an instruction set: the algorithm, compiled once more with its instructions.
macro_rules! backend {
    ($module:ident, $lanes:ident, $features:literal) => {
        pub(crate) mod $module {
            use super::*;

            /// See [`crate::convolution`], which has checked all lengths.
            #[target_feature(enable = $features)]
            #[allow(clippy::too_many_arguments)]
            pub(super) fn convolution(
                lanes: $lanes,
                weights: &Weights<'_>,
                level: Level,
                parameters: &NodeParameters<'_>,
                geometry: &Geometry,
                input: &[i8],
                output: &mut [i8],
                scratch: &mut [u32],
            ) -> Result<(), KernelError> {
                all::convolution_with(lanes, weights, level, parameters, geometry, input, output, scratch)
            }

            /// See [`crate::depthwise`], which has checked all lengths.
            #[target_feature(enable = $features)]
            pub(super) fn depthwise(
                lanes: $lanes,
                weights: &[i8],
                parameters: &NodeParameters<'_>,
                geometry: &Geometry,
                input: &[i8],
                output: &mut [i8],
                scratch: &mut [u32],
            ) -> Result<(), KernelError> {
                all::depthwise_with(lanes, weights, parameters, geometry, input, output, scratch)
            }
        }
    };
}

backend!(sse2, Sse2, "sse2");
#[cfg(feature = "std")]
backend!(avx2, Avx2, "avx2");
#[cfg(feature = "std")]
backend!(avx512, Avx512, "avx512f,avx512bw,avx512vl,avx512vnni");

/// What this processor can run, the fastest first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instructions {
    #[cfg(feature = "std")]
    Avx512(Avx512),
    #[cfg(feature = "std")]
    Avx2(Avx2),
    Sse2(Sse2),
}

impl Instructions {
    /// See [`crate::convolution`], which has checked all lengths.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn convolution(
        self,
        weights: &Weights<'_>,
        level: Level,
        parameters: &NodeParameters<'_>,
        geometry: &Geometry,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        match self {
            // SAFETY: an `Avx512` is only made by `Avx512::detect`, after the processor said that it has the features.
            #[cfg(feature = "std")]
            Instructions::Avx512(lanes) => unsafe {
                avx512::convolution(lanes, weights, level, parameters, geometry, input, output, scratch)
            },
            // SAFETY: an `Avx2` is only made by `Avx2::detect`, after the processor said that it has the feature.
            #[cfg(feature = "std")]
            Instructions::Avx2(lanes) => unsafe {
                avx2::convolution(lanes, weights, level, parameters, geometry, input, output, scratch)
            },
            // SAFETY: this module is only compiled for targets with SSE2.
            Instructions::Sse2(lanes) => unsafe {
                sse2::convolution(lanes, weights, level, parameters, geometry, input, output, scratch)
            },
        }
    }

    /// See [`crate::depthwise`], which has checked all lengths.
    pub(crate) fn depthwise(
        self,
        weights: &[i8],
        parameters: &NodeParameters<'_>,
        geometry: &Geometry,
        input: &[i8],
        output: &mut [i8],
        scratch: &mut [u32],
    ) -> Result<(), KernelError> {
        match self {
            // SAFETY: an `Avx512` is only made by `Avx512::detect`, after the processor said that it has the features.
            #[cfg(feature = "std")]
            Instructions::Avx512(lanes) => unsafe {
                avx512::depthwise(lanes, weights, parameters, geometry, input, output, scratch)
            },
            // SAFETY: an `Avx2` is only made by `Avx2::detect`, after the processor said that it has the feature.
            #[cfg(feature = "std")]
            Instructions::Avx2(lanes) => unsafe {
                avx2::depthwise(lanes, weights, parameters, geometry, input, output, scratch)
            },
            // SAFETY: this module is only compiled for targets with SSE2.
            Instructions::Sse2(lanes) => unsafe {
                sse2::depthwise(lanes, weights, parameters, geometry, input, output, scratch)
            },
        }
    }
}

#[cfg(nested_kernels_backend = "x86_64")]
mod detect;

pub(crate) use all::{convolution_scratch, depthwise_scratch};
#[cfg(nested_kernels_backend = "x86_64")]
pub(crate) use detect::{convolution, depthwise};

/// Two weights as the halves of an int32.
#[inline(always)]
fn pair(one: i8, two: i8) -> i32 {
    i32::from(one) & 0xffff | i32::from(two) << 16
}

/// 8 pixels a register. The two registers of sums hold pixels 0–3 and 4–7.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sse2;

impl Lanes for Sse2 {
    const PIXELS: usize = 8;
    type Weights = __m128i;
    type Sums = [__m128i; 2];

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: this module is only compiled for targets with SSE2.
        [unsafe { _mm_set1_epi32(sum) }; 2]
    }

    #[inline(always)]
    fn weights(self, one: i8, two: i8) -> Self::Weights {
        // SAFETY: this module is only compiled for targets with SSE2.
        unsafe { _mm_set1_epi32(pair(one, two)) }
    }

    #[inline(always)]
    fn multiply_add(self, [low, high]: Self::Sums, one: &[i16], two: &[i16], weights: Self::Weights) -> Self::Sums {
        let (Some(one), Some(two)) = (one.first_chunk::<8>(), two.first_chunk::<8>()) else { return [low, high] };
        let (one, two) = (bytemuck::cast(*one), bytemuck::cast(*two));
        // SAFETY: this module is only compiled for targets with SSE2.
        unsafe {
            [
                _mm_add_epi32(low, _mm_madd_epi16(_mm_unpacklo_epi16(one, two), weights)),
                _mm_add_epi32(high, _mm_madd_epi16(_mm_unpackhi_epi16(one, two), weights)),
            ]
        }
    }

    #[inline(always)]
    fn store(self, sums: Self::Sums, to: &mut [i32]) {
        let sums: [i32; 8] = bytemuck::cast(sums);
        to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    }
}

/// 16 pixels a register. The two registers of sums hold pixels 0–3 and 8–11, and 4–7 and 12–15.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

#[cfg(feature = "std")]
impl Avx2 {
    /// The instructions, when the processor has them.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }
}

#[cfg(feature = "std")]
impl Lanes for Avx2 {
    const PIXELS: usize = 16;
    type Weights = __m256i;
    type Sums = [__m256i; 2];

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX2.
        [unsafe { _mm256_set1_epi32(sum) }; 2]
    }

    #[inline(always)]
    fn weights(self, one: i8, two: i8) -> Self::Weights {
        // SAFETY: that `self` exists proves AVX2.
        unsafe { _mm256_set1_epi32(pair(one, two)) }
    }

    #[inline(always)]
    fn multiply_add(self, [low, high]: Self::Sums, one: &[i16], two: &[i16], weights: Self::Weights) -> Self::Sums {
        let (Some(one), Some(two)) = (one.first_chunk::<16>(), two.first_chunk::<16>()) else { return [low, high] };
        let (one, two) = (bytemuck::cast(*one), bytemuck::cast(*two));
        // SAFETY: that `self` exists proves AVX2.
        unsafe {
            [
                _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(one, two), weights)),
                _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(one, two), weights)),
            ]
        }
    }

    #[inline(always)]
    fn store(self, [low, high]: Self::Sums, to: &mut [i32]) {
        // SAFETY: that `self` exists proves AVX2.
        let sums =
            unsafe { [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)] };
        let sums: [i32; 16] = bytemuck::cast(sums);
        to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    }
}

/// 32 pixels a register. The two registers of sums hold, of each 8 pixels, the first 4 and the last 4.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

#[cfg(feature = "std")]
impl Avx512 {
    /// The instructions, when the processor has them.
    pub(crate) fn detect() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        (has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni")).then_some(Avx512(()))
    }
}

#[cfg(feature = "std")]
impl Lanes for Avx512 {
    const PIXELS: usize = 32;
    type Weights = __m512i;
    type Sums = [__m512i; 2];

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX-512F.
        [unsafe { _mm512_set1_epi32(sum) }; 2]
    }

    #[inline(always)]
    fn weights(self, one: i8, two: i8) -> Self::Weights {
        // SAFETY: that `self` exists proves AVX-512F.
        unsafe { _mm512_set1_epi32(pair(one, two)) }
    }

    #[inline(always)]
    fn multiply_add(self, [low, high]: Self::Sums, one: &[i16], two: &[i16], weights: Self::Weights) -> Self::Sums {
        let (Some(one), Some(two)) = (one.first_chunk::<32>(), two.first_chunk::<32>()) else { return [low, high] };
        // SAFETY: that `self` exists proves AVX-512F, BW and VNNI; each chunk is the 64 bytes that a load reads, at any
        // alignment.
        unsafe {
            let one = _mm512_loadu_si512(one.as_ptr().cast());
            let two = _mm512_loadu_si512(two.as_ptr().cast());
            [
                _mm512_dpwssd_epi32(low, _mm512_unpacklo_epi16(one, two), weights),
                _mm512_dpwssd_epi32(high, _mm512_unpackhi_epi16(one, two), weights),
            ]
        }
    }

    #[inline(always)]
    fn store(self, [low, high]: Self::Sums, to: &mut [i32]) {
        let (quarters, _) = to.as_chunks_mut::<4>();
        // SAFETY: that `self` exists proves AVX-512F, and VL for the 128-bit parts of `low` and `high`.
        let parts = unsafe {
            [
                _mm512_extracti32x4_epi32::<0>(low),
                _mm512_extracti32x4_epi32::<0>(high),
                _mm512_extracti32x4_epi32::<1>(low),
                _mm512_extracti32x4_epi32::<1>(high),
                _mm512_extracti32x4_epi32::<2>(low),
                _mm512_extracti32x4_epi32::<2>(high),
                _mm512_extracti32x4_epi32::<3>(low),
                _mm512_extracti32x4_epi32::<3>(high),
            ]
        };
        quarters.iter_mut().zip(parts).for_each(|(to, part)| *to = bytemuck::cast(part));
    }
}

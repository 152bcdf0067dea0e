//! Neon, which every AArch64 target with this backend has: 8 pixels a block, each multiplied and added with a weight in a
//! lane. The algorithm is [`super::all`]'s; results are the same to the bit.
use super::all::lanes::{Lanes, store};
use crate::requant::Finish;
use core::arch::aarch64::*;

/// The two registers of sums hold pixels 0–3 and 4–7.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon;

impl Lanes for Neon {
    const NAME: &'static str = "Neon";
    const PIXELS: usize = 8;
    // Nothing is interleaved, but loads are shared.
    const TOGETHER: u64 = 60;
    type Element = i16;
    type Weight = i16;
    type Register = int16x8_t;
    type Group = [int16x8_t; 4];
    type Weights = int16x4_t;
    type Sums = [int32x4_t; 2];
    type Pixels = [i8; 8];
    type Narrow = Neon;

    #[inline(always)]
    fn weights(self, weights: [i16; 4]) -> int16x4_t {
        // SAFETY: this module is only compiled for targets with Neon; the array is the 8 bytes that the load reads.
        unsafe { vld1_s16(weights.as_ptr()) }
    }

    #[inline(always)]
    fn load(self, from: &[i16]) -> Option<int16x8_t> {
        let from = from.first_chunk::<8>()?;
        // SAFETY: this module is only compiled for targets with Neon; the chunk is the 16 bytes that the load reads.
        Some(unsafe { vld1q_s16(from.as_ptr()) })
    }

    #[inline(always)]
    fn group(self, taps: [int16x8_t; 4]) -> Self::Group {
        taps
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: this module is only compiled for targets with Neon.
        [unsafe { vdupq_n_s32(sum) }; 2]
    }

    #[inline(always)]
    fn multiply_add(self, [low, high]: Self::Sums, [a, b, c, d]: Self::Group, weights: int16x4_t) -> Self::Sums {
        // SAFETY: this module is only compiled for targets with Neon.
        unsafe {
            let low = vmlal_lane_s16::<0>(low, vget_low_s16(a), weights);
            let high = vmlal_high_lane_s16::<0>(high, a, weights);
            let low = vmlal_lane_s16::<1>(low, vget_low_s16(b), weights);
            let high = vmlal_high_lane_s16::<1>(high, b, weights);
            let low = vmlal_lane_s16::<2>(low, vget_low_s16(c), weights);
            let high = vmlal_high_lane_s16::<2>(high, c, weights);
            [vmlal_lane_s16::<3>(low, vget_low_s16(d), weights), vmlal_high_lane_s16::<3>(high, d, weights)]
        }
    }

    #[inline(always)]
    fn finish(self, [low, high]: Self::Sums, finish: &Finish) -> Self::Pixels {
        let mut pixels = [0; 8];
        // SAFETY: this module is only compiled for targets with Neon; the array is the 8 bytes that the store writes.
        unsafe {
            // Saturating changes nothing: the bounds lie within int8.
            let sums = vcombine_s16(vqmovn_s32(scaled(low, finish)), vqmovn_s32(scaled(high, finish)));
            let sums = vqaddq_s16(sums, vdupq_n_s16(finish.zero_point as i16));
            let sums = vmaxq_s16(sums, vdupq_n_s16(finish.low as i16));
            let sums = vminq_s16(sums, vdupq_n_s16(finish.high as i16));
            vst1_s8(pixels.as_mut_ptr(), vqmovn_s16(sums));
        }
        pixels
    }

    #[inline(always)]
    fn store(self, pixels: Self::Pixels, from: usize, to: &mut [i8]) {
        store(pixels, from, to);
    }
}

/// `(sum · m + 2³¹) >> 32`: the product in 64 bits, narrowed with rounding.
#[inline(always)]
fn scaled(sums: int32x4_t, finish: &Finish) -> int32x4_t {
    let m = finish.multiplier as i32;
    // SAFETY: this module is only compiled for targets with Neon.
    unsafe {
        let low = vmull_n_s32(vget_low_s32(sums), m);
        let high = vmull_n_s32(vget_high_s32(sums), m);
        vcombine_s32(vrshrn_n_s64::<32>(low), vrshrn_n_s64::<32>(high))
    }
}

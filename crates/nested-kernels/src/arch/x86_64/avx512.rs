//! AVX-512 with VNNI: 64 pixels a block; fours of bytes, `vpdpbusd`.
use super::*;

/// Activations are biased by 128 to be unsigned, as `vpdpbusd` wants them. Of each 16 pixels, the four registers of sums
/// hold 0–3, 4–7, 8–11 and 12–15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The instructions, when the processor has them.
    pub(crate) fn detect() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        (has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni")).then_some(Avx512(()))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn entered<T: Task>(task: T) -> T::Output {
    task.run()
}

impl Lanes for Avx512 {
    const PIXELS: usize = 64;
    const TOGETHER: u64 = 40;
    type Element = u8;
    type Register = __m512i;
    type Group = [__m512i; 4];
    type Weights = __m512i;
    type Sums = [__m512i; 4];

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        // SAFETY: that `self` exists proves the features.
        unsafe { entered(task) }
    }

    #[inline(always)]
    fn element(activation: i8) -> u8 {
        activation as u8 ^ 0x80
    }

    #[inline(always)]
    fn origin(bias: i32, weights: i32) -> i32 {
        bias.wrapping_sub(weights.wrapping_mul(128))
    }

    #[inline(always)]
    fn encode(weights: [i8; 4]) -> [u32; 2] {
        [u32::from_le_bytes(weights.map(|weight| weight as u8)), 0]
    }

    #[inline(always)]
    fn weights(self, [encoded, _]: [u32; 2]) -> __m512i {
        // SAFETY: that `self` exists proves AVX-512F.
        unsafe { _mm512_set1_epi32(encoded as i32) }
    }

    #[inline(always)]
    fn load(self, from: &[u8]) -> Option<__m512i> {
        let from = from.first_chunk::<64>()?;
        // SAFETY: that `self` exists proves AVX-512F; the chunk is the 64 bytes that a load reads, at any alignment.
        Some(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    fn group(self, [a, b, c, d]: [__m512i; 4]) -> Self::Group {
        // SAFETY: that `self` exists proves AVX-512BW.
        unsafe {
            let (ab_low, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (cd_low, cd_high) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            [
                _mm512_unpacklo_epi16(ab_low, cd_low),
                _mm512_unpackhi_epi16(ab_low, cd_low),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ]
        }
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX-512F.
        [unsafe { _mm512_set1_epi32(sum) }; 4]
    }

    #[inline(always)]
    fn multiply_add(self, [a, b, c, d]: Self::Sums, group: Self::Group, weights: __m512i) -> Self::Sums {
        // SAFETY: that `self` exists proves VNNI.
        unsafe {
            [
                _mm512_dpbusd_epi32(a, group[0], weights),
                _mm512_dpbusd_epi32(b, group[1], weights),
                _mm512_dpbusd_epi32(c, group[2], weights),
                _mm512_dpbusd_epi32(d, group[3], weights),
            ]
        }
    }

    #[inline(always)]
    fn finish(self, [a, b, c, d]: Self::Sums, finish: &Finish, to: &mut [i8]) {
        let Some(to) = to.first_chunk_mut::<64>() else { return };
        let m = finish.multiplier;
        // SAFETY: that `self` exists proves AVX-512F and BW; the chunk is the 64 bytes that the store writes.
        unsafe {
            // Saturating changes nothing: the bounds lie within int8. It also puts the pixels in order.
            let low = clamped(_mm512_packs_epi32(scaled(a, m), scaled(b, m)), finish);
            let high = clamped(_mm512_packs_epi32(scaled(c, m), scaled(d, m)), finish);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_packs_epi16(low, high));
        }
    }
}

/// `(sum · m + 2³¹) >> 32`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn scaled(sums: __m512i, multiplier: u32) -> __m512i {
    let (m, half) = (_mm512_set1_epi32(multiplier as i32), _mm512_set1_epi64(1 << 31));
    let even = _mm512_add_epi64(_mm512_mul_epi32(sums, m), half);
    let odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), m), half);
    _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64::<32>(even), odd)
}

/// The zero point, then the bounds, on int16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn clamped(sums: __m512i, finish: &Finish) -> __m512i {
    let sums = _mm512_adds_epi16(sums, _mm512_set1_epi16(finish.zero_point as i16));
    let sums = _mm512_max_epi16(sums, _mm512_set1_epi16(finish.low as i16));
    _mm512_min_epi16(sums, _mm512_set1_epi16(finish.high as i16))
}

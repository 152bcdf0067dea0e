//! The same on registers of half the width: for what is left of a map.
use super::*;

/// 32 pixels a block. Of each 16 pixels, the four registers of sums hold 0–3, 4–7, 8–11 and 12–15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow(Avx512);

impl From<Avx512> for Narrow {
    #[inline(always)]
    fn from(lanes: Avx512) -> Narrow {
        Narrow(lanes)
    }
}

impl Lanes for Narrow {
    const NAME: &'static str = Avx512::NAME;
    const PIXELS: usize = 32;
    const TOGETHER: u64 = Avx512::TOGETHER;
    type Element = u8;
    type Weight = i8;
    type Register = __m256i;
    type Group = [__m256i; 4];
    type Weights = __m256i;
    type Sums = [__m256i; 4];
    type Pixels = __m256i;
    type Narrow = Narrow;

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        self.0.enter(task)
    }

    #[inline(always)]
    fn weights(self, weights: [i8; 4]) -> __m256i {
        // SAFETY: that `self` exists proves AVX2.
        unsafe { _mm256_set1_epi32(bytemuck::cast(weights)) }
    }

    #[inline(always)]
    fn load(self, from: &[u8]) -> Option<__m256i> {
        Some(bytemuck::cast(*from.first_chunk::<32>()?))
    }

    #[inline(always)]
    fn group(self, [a, b, c, d]: [__m256i; 4]) -> Self::Group {
        // SAFETY: that `self` exists proves AVX2.
        unsafe {
            let (ab_low, ab_high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
            [
                _mm256_unpacklo_epi16(ab_low, cd_low),
                _mm256_unpackhi_epi16(ab_low, cd_low),
                _mm256_unpacklo_epi16(ab_high, cd_high),
                _mm256_unpackhi_epi16(ab_high, cd_high),
            ]
        }
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX2.
        [unsafe { _mm256_set1_epi32(sum) }; 4]
    }

    #[inline(always)]
    fn multiply_add(self, [a, b, c, d]: Self::Sums, group: Self::Group, weights: __m256i) -> Self::Sums {
        // SAFETY: that `self` exists proves VNNI and VL.
        unsafe {
            [
                _mm256_dpbusd_epi32(a, group[0], weights),
                _mm256_dpbusd_epi32(b, group[1], weights),
                _mm256_dpbusd_epi32(c, group[2], weights),
                _mm256_dpbusd_epi32(d, group[3], weights),
            ]
        }
    }

    #[inline(always)]
    fn finish(self, [a, b, c, d]: Self::Sums, finish: &Finish) -> __m256i {
        // SAFETY: that `self` exists proves AVX2 and VL.
        unsafe {
            // Saturating changes nothing: the bounds lie within int8. It also puts the pixels in order.
            let low = _mm256_packs_epi32(scaled(a, finish), scaled(b, finish));
            let high = _mm256_packs_epi32(scaled(c, finish), scaled(d, finish));
            let pixels = _mm256_max_epi8(_mm256_packs_epi16(low, high), _mm256_set1_epi8(finish.low as i8));
            _mm256_min_epi8(pixels, _mm256_set1_epi8(finish.high as i8))
        }
    }

    #[inline(always)]
    fn store(self, pixels: __m256i, from: usize, to: &mut [i8]) {
        let len = to.len().min(32 - from.min(32));
        if len > 0 {
            let some = u32::MAX >> (32 - len) << from;
            // SAFETY: that `self` exists proves AVX-512BW and VL. Byte i of the register goes to `to[i - from]`; the mask has
            // the `len` bytes from `from` on, which the slice holds, and no other is touched.
            unsafe { _mm256_mask_storeu_epi8(to.as_mut_ptr().wrapping_sub(from), some, pixels) };
        }
    }
}

/// `zero point + ((sum · m + 2³¹) >> 32)`, as on the wide registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn scaled(sums: __m256i, finish: &Finish) -> __m256i {
    let m = _mm256_set1_epi32(finish.multiplier as i32);
    let added = _mm256_set1_epi64x(i64::from(finish.zero_point) << 32 | 1 << 31);
    let even = _mm256_add_epi64(_mm256_mul_epi32(sums, m), added);
    let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), m), added);
    _mm256_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x55, even)
}

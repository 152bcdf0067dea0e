//! AVX2: 16 pixels a block; pairs of int16.
use super::*;

/// The two registers of sums hold pixels 0–3 and 8–11, and 4–7 and 12–15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The instructions, when the processor has them.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Avx2(()))
    }
}

#[target_feature(enable = "avx2")]
fn entered<T: Task>(task: T) -> T::Output {
    task.run()
}

impl Lanes for Avx2 {
    const NAME: &'static str = "AVX2";
    const PIXELS: usize = 16;
    const TOGETHER: u64 = 60;
    type Element = i16;
    type Weight = i16;
    type Register = __m256i;
    type Group = [[__m256i; 2]; 2];
    type Weights = [__m256i; 2];
    type Sums = [__m256i; 2];
    type Pixels = [i8; 16];
    type Narrow = Avx2;

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        // SAFETY: that `self` exists proves AVX2.
        unsafe { entered(task) }
    }

    #[inline(always)]
    fn weights(self, weights: [i16; 4]) -> Self::Weights {
        let [first, second]: [i32; 2] = bytemuck::cast(weights);
        // SAFETY: that `self` exists proves AVX2.
        unsafe { [_mm256_set1_epi32(first), _mm256_set1_epi32(second)] }
    }

    #[inline(always)]
    fn load(self, from: &[i16]) -> Option<__m256i> {
        Some(bytemuck::cast(*from.first_chunk::<16>()?))
    }

    #[inline(always)]
    fn group(self, [a, b, c, d]: [__m256i; 4]) -> Self::Group {
        // SAFETY: that `self` exists proves AVX2.
        unsafe {
            let ab = [_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)];
            [ab, [_mm256_unpacklo_epi16(c, d), _mm256_unpackhi_epi16(c, d)]]
        }
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX2.
        [unsafe { _mm256_set1_epi32(sum) }; 2]
    }

    #[inline(always)]
    fn multiply_add(
        self,
        [low, high]: Self::Sums,
        [ab, cd]: Self::Group,
        [first, second]: Self::Weights,
    ) -> Self::Sums {
        // SAFETY: that `self` exists proves AVX2.
        unsafe {
            let low = _mm256_add_epi32(low, _mm256_madd_epi16(ab[0], first));
            let high = _mm256_add_epi32(high, _mm256_madd_epi16(ab[1], first));
            [
                _mm256_add_epi32(low, _mm256_madd_epi16(cd[0], second)),
                _mm256_add_epi32(high, _mm256_madd_epi16(cd[1], second)),
            ]
        }
    }

    #[inline(always)]
    fn finish(self, [low, high]: Self::Sums, finish: &Finish) -> Self::Pixels {
        // SAFETY: that `self` exists proves AVX2.
        let pixels = unsafe {
            let (low, high) = (scaled(low, finish.multiplier), scaled(high, finish.multiplier));
            // Saturating changes nothing: the bounds lie within int8. It also puts the pixels in order.
            let sums = _mm256_adds_epi16(_mm256_packs_epi32(low, high), _mm256_set1_epi16(finish.zero_point as i16));
            let sums = _mm256_max_epi16(sums, _mm256_set1_epi16(finish.low as i16));
            let sums = _mm256_min_epi16(sums, _mm256_set1_epi16(finish.high as i16));
            _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b10_00>(_mm256_packs_epi16(sums, sums)))
        };
        bytemuck::cast(pixels)
    }

    #[inline(always)]
    fn store(self, pixels: Self::Pixels, from: usize, to: &mut [i8]) {
        store(pixels, from, to);
    }
}

/// `(sum · m + 2³¹) >> 32`.
#[target_feature(enable = "avx2")]
#[inline]
fn scaled(sums: __m256i, multiplier: u32) -> __m256i {
    let (m, half) = (_mm256_set1_epi32(multiplier as i32), _mm256_set1_epi64x(1 << 31));
    let even = _mm256_add_epi64(_mm256_mul_epi32(sums, m), half);
    let odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64::<32>(sums), m), half);
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<32>(even), odd)
}

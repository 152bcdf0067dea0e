//! SSE2: 8 pixels a block; pairs of int16.
use super::*;

/// The two registers of sums hold pixels 0–3 and 4–7.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sse2;

impl Lanes for Sse2 {
    const NAME: &'static str = "SSE2";
    const PIXELS: usize = 8;
    const TOGETHER: u64 = 60;
    type Element = i16;
    type Weight = i16;
    type Register = __m128i;
    type Group = [[__m128i; 2]; 2];
    type Weights = [__m128i; 2];
    type Sums = [__m128i; 2];
    type Pixels = Unfinished<8>;
    type Narrow = Sse2;

    #[inline(always)]
    fn weights(self, weights: [i16; 4]) -> Self::Weights {
        let [first, second]: [i32; 2] = bytemuck::cast(weights);
        // SAFETY: this module is only compiled for targets with SSE2.
        unsafe { [_mm_set1_epi32(first), _mm_set1_epi32(second)] }
    }

    #[inline(always)]
    fn load(self, from: &[i16]) -> Option<__m128i> {
        Some(bytemuck::cast(*from.first_chunk::<8>()?))
    }

    #[inline(always)]
    fn group(self, [a, b, c, d]: [__m128i; 4]) -> Self::Group {
        // SAFETY: this module is only compiled for targets with SSE2.
        unsafe {
            let ab = [_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b)];
            [ab, [_mm_unpacklo_epi16(c, d), _mm_unpackhi_epi16(c, d)]]
        }
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        // SAFETY: this module is only compiled for targets with SSE2.
        [unsafe { _mm_set1_epi32(sum) }; 2]
    }

    #[inline(always)]
    fn multiply_add(
        self,
        [low, high]: Self::Sums,
        [ab, cd]: Self::Group,
        [first, second]: Self::Weights,
    ) -> Self::Sums {
        // SAFETY: this module is only compiled for targets with SSE2.
        unsafe {
            let sum =
                |sum, ab, cd| _mm_add_epi32(sum, _mm_add_epi32(_mm_madd_epi16(ab, first), _mm_madd_epi16(cd, second)));
            [sum(low, ab[0], cd[0]), sum(high, ab[1], cd[1])]
        }
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums, finish: &Finish) -> Self::Pixels {
        Unfinished { sums: bytemuck::cast(sums), finish: *finish }
    }

    #[inline(always)]
    fn store(self, pixels: Self::Pixels, from: usize, to: &mut [i8]) {
        pixels.store(from, to);
    }
}

//! AVX-512 with VNNI: 64 pixels a block; fours of bytes, `vpdpbusd`.
use super::*;
use crate::{
    Geometry,
    arch::{
        Buffers, Depthwise,
        all::{finishes::Finishes, lanes::Element},
    },
    rows::RowSource,
};
use depthwise::Permutations;
use narrow::Narrow;
use nested_csr::Window;

mod depthwise;
mod gather;
mod narrow;
mod points;

/// Of each 16 pixels, the four registers of sums hold 0–3, 4–7, 8–11 and 12–15.
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
    const NAME: &'static str = "AVX-512 VNNI";
    const PIXELS: usize = 64;
    const TOGETHER: u64 = 40;
    type Element = u8;
    type Weight = i8;
    type Register = __m512i;
    type Group = [__m512i; 4];
    type Weights = __m512i;
    type Sums = [__m512i; 4];
    type Pixels = __m512i;
    type Narrow = Narrow;

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        // SAFETY: that `self` exists proves the features.
        unsafe { entered(task) }
    }

    #[inline(always)]
    fn table(weights: &[i8], table: &mut [i8]) {
        if let Some(table) = table.get_mut(..weights.len()) {
            table.copy_from_slice(weights);
        }
    }

    #[inline(always)]
    fn total(self, weights: &[i8]) -> i32 {
        let (blocks, rest) = weights.as_chunks::<64>();
        let some = u64::MAX.checked_shr(64 - rest.len() as u32).unwrap_or(0);
        // SAFETY: that `self` exists proves AVX-512F, BW and VNNI; loaded are the 64 bytes of a block, and as many as the
        // rest has.
        unsafe {
            let ones = _mm512_set1_epi8(1);
            let mut sums =
                _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, _mm512_maskz_loadu_epi8(some, rest.as_ptr()));
            for block in blocks {
                sums = _mm512_dpbusd_epi32(sums, ones, _mm512_loadu_si512(block.as_ptr().cast()));
            }
            _mm512_reduce_add_epi32(sums)
        }
    }

    #[inline(always)]
    fn copy(self, from: &[i8], to: &mut [u8]) {
        let (blocks, rest) = from.as_chunks::<64>();
        let Some((targets, to)) = to.split_at_mut_checked(64 * blocks.len()) else { return };
        for (from, to) in blocks.iter().zip(targets.as_chunks_mut::<64>().0) {
            // SAFETY: that `self` exists proves AVX-512F; both chunks are the 64 bytes that are loaded and stored.
            unsafe {
                let pixels = _mm512_loadu_si512(from.as_ptr().cast());
                let elements = _mm512_xor_si512(pixels, _mm512_set1_epi8(i8::MIN));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), elements);
            }
        }
        let len = rest.len().min(to.len());
        if len > 0 {
            let some = u64::MAX >> (64 - len);
            // SAFETY: that `self` exists proves AVX-512F and BW; loaded and stored are as many bytes as both slices have.
            unsafe {
                let pixels = _mm512_maskz_loadu_epi8(some, rest.as_ptr());
                let elements = _mm512_xor_si512(pixels, _mm512_set1_epi8(i8::MIN));
                _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), some, elements);
            }
        }
    }

    /// A line that fits a register is one load and one store.
    #[inline(always)]
    fn lines(self, lines: CopyLines<'_>, padding: u8, to: &mut [u8]) {
        let CopyLines { from, stride, step, before, real, pitch } = lines;
        let count = to.len() / pitch.max(1);
        // Activations that a line reads, up to its last, and those that all read.
        let line = real.saturating_mul(stride).saturating_sub(stride.saturating_sub(1));
        // What saturates is longer than any slice.
        let all = count.saturating_sub(1).saturating_mul(step).saturating_add(line);
        let widest = if stride == 1 { 64 } else { 32 };
        let fits = (1..=widest).contains(&pitch) && before.saturating_add(real) <= pitch;
        if !(1..=2).contains(&stride) || !fits || line == 0 || all > from.len() {
            return lines.copy(self, padding, to);
        }
        let (some, stored) = (u64::MAX >> (64 - real) << before, u64::MAX >> (64 - pitch));
        let loaded = u64::MAX >> (64 - line) << (stride * before);
        let source = from.as_ptr().wrapping_sub(stride * before);
        let target = to.as_mut_ptr();
        for index in 0..count {
            // SAFETY: that `self` exists proves AVX-512F and BW. The conditions above hold without having overflowed, so that
            // `stride · (before + real)` is at most 64 and both shifts are below 64. Byte i of the register is `from[index · step
            // + i - stride · before]`: the mask has the `line` bytes from there on, the last line's end at `all`, which `from`
            // has, and no other is touched. Stored are the `pitch` elements of line `index` of the `count` that `to` holds, the
            // quotient of its length by `pitch`.
            unsafe {
                let pixels = _mm512_maskz_loadu_epi8(loaded, source.wrapping_add(index * step));
                let pixels = match stride {
                    1 => pixels,
                    _ => _mm512_castsi256_si512(_mm512_cvtepi16_epi8(pixels)),
                };
                let elements = _mm512_xor_si512(pixels, _mm512_set1_epi8(i8::MIN));
                let elements = _mm512_mask_blend_epi8(some, _mm512_set1_epi8(padding as i8), elements);
                _mm512_mask_storeu_epi8(target.add(index * pitch).cast(), stored, elements);
            }
        }
    }

    #[inline(always)]
    fn filters(self, layer: Depthwise<'_>, finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
        Permutations::detect(self).is_some_and(|permutations| permutations.filters(layer, finishes, buffers))
    }

    #[inline(always)]
    fn gathered_words(self, geometry: &Geometry) -> Option<usize> {
        Permutations::detect(self).and_then(|_| gather::Plan::new(geometry)).map(gather::Plan::words)
    }

    #[inline(always)]
    fn gathered(self, geometry: &Geometry, rows: impl RowSource, finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
        Permutations::detect(self)
            .zip(gather::Plan::new(geometry))
            .is_some_and(|(permutations, plan)| permutations.gathered(plan, rows, finishes, buffers))
    }

    #[inline(always)]
    fn points_words(self, geometry: &Geometry) -> Option<usize> {
        points::Plan::new(geometry).map(points::Plan::words)
    }

    #[inline(always)]
    fn points(self, geometry: &Geometry, weights: &[i8], finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
        // SAFETY: that `self` exists proves the features.
        points::Plan::new(geometry).is_some_and(|plan| unsafe { points::points(plan, weights, finishes, buffers) })
    }

    #[inline(always)]
    fn weights(self, weights: [i8; 4]) -> __m512i {
        // SAFETY: that `self` exists proves AVX-512F.
        unsafe { _mm512_set1_epi32(bytemuck::cast(weights)) }
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
    fn finish(self, [a, b, c, d]: Self::Sums, finish: &Finish) -> __m512i {
        // SAFETY: that `self` exists proves AVX-512F and BW.
        unsafe {
            // Saturating changes nothing: the bounds lie within int8. It also puts the pixels in order.
            let low = _mm512_packs_epi32(scaled(a, finish), scaled(b, finish));
            let high = _mm512_packs_epi32(scaled(c, finish), scaled(d, finish));
            let pixels = _mm512_max_epi8(_mm512_packs_epi16(low, high), _mm512_set1_epi8(finish.low as i8));
            _mm512_min_epi8(pixels, _mm512_set1_epi8(finish.high as i8))
        }
    }

    #[inline(always)]
    fn store(self, pixels: __m512i, from: usize, to: &mut [i8]) {
        let len = to.len().min(64 - from.min(64));
        if len > 0 {
            let some = u64::MAX >> (64 - len) << from;
            // SAFETY: that `self` exists proves AVX-512BW. Byte i of the register goes to `to[i - from]`; the mask has the
            // `len` bytes from `from` on, which the slice holds, and no other is touched.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().wrapping_sub(from), some, pixels) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn scaled(sums: __m512i, finish: &Finish) -> __m512i {
    scaled_by(sums, _mm512_set1_epi32(finish.multiplier as i32), finish)
}

/// `zero point + ((sum · m + 2³¹) >> 32)`: the zero point joins the half that rounds.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn scaled_by(sums: __m512i, m: __m512i, finish: &Finish) -> __m512i {
    let added = _mm512_set1_epi64(i64::from(finish.zero_point) << 32 | 1 << 31);
    let even = _mm512_add_epi64(_mm512_mul_epi32(sums, m), added);
    let odd = _mm512_mul_epi32(_mm512_srli_epi64::<32>(sums), _mm512_srli_epi64::<32>(m));
    let odd = _mm512_add_epi64(odd, added);
    // The upper halves of both.
    _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even)
}

/// Values within the bounds.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn clamped(values: __m512i, finish: &Finish) -> __m128i {
    // Saturating changes nothing: the bounds lie within int8.
    let pixels = _mm_max_epi8(_mm512_cvtsepi32_epi8(values), _mm_set1_epi8(finish.low as i8));
    _mm_min_epi8(pixels, _mm_set1_epi8(finish.high as i8))
}

/// Words of a line of the cache.
const LINE: usize = 16;

/// What of a scratch begins with a line of the cache; loads across lines take twice as long.
fn aligned(scratch: &mut [u32]) -> &mut [u32] {
    let start = scratch.as_ptr().align_offset(4 * LINE);
    scratch.get_mut(start..).unwrap_or_default()
}

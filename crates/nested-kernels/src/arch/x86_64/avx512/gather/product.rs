//! The product of a row with what it meets: a register holds what four weights meet at sixteen pixels, or eight at eight, and
//! so on; a permutation of its bytes brings each pixel's four together.
use super::*;

/// Bytes of a register.
const REGISTER: usize = 64;

/// The sum of the first `len` products for each pixel, in the first lanes; weights of 0 follow the last.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
pub(super) fn product<const P: usize>(met: &[[u8; P]], weights: &[i8], len: usize) -> __m512i {
    let (each, places) = (REGISTER / P, places::<P>());
    let pairs = met.as_flattened().as_chunks::<{ 2 * REGISTER }>().0.iter().zip(weights.chunks_exact(2 * each));
    let (mut sums, mut others) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for (met, weights) in pairs.take(len.div_ceil(2 * each)) {
        let [one, two, ..] = met.as_chunks().0 else { break };
        let Some((some, rest)) = weights.split_at_checked(each) else { break };
        sums = _mm512_dpbusd_epi32(sums, _mm512_permutexvar_epi8(places, load(one)), fours::<P>(some));
        others = _mm512_dpbusd_epi32(others, _mm512_permutexvar_epi8(places, load(two)), fours::<P>(rest));
    }
    let mut sums = _mm512_add_epi32(sums, others);
    if P <= 8 {
        sums = _mm512_add_epi32(sums, _mm512_shuffle_i32x4::<0b01_00_11_10>(sums, sums));
    }
    if P <= 4 {
        sums = _mm512_add_epi32(sums, _mm512_shuffle_i32x4::<0b10_11_00_01>(sums, sums));
    }
    if P <= 2 {
        sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b01_00_11_10>(sums));
    }
    if P == 1 {
        sums = _mm512_add_epi32(sums, _mm512_shuffle_epi32::<0b10_11_00_01>(sums));
    }
    sums
}

/// Which byte goes where: lane `P · g + p` has pixel `p` of weights `4 · g` to `4 · g + 3`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn places<const P: usize>() -> __m512i {
    let places: [u8; REGISTER] = core::array::from_fn(|to| ((4 * (to / 4 / P) + to % 4) * P + to / 4 % P) as u8);
    load(&places)
}

/// The weights of a register of values: four for each lane, the same for all pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn fours<const P: usize>(weights: &[i8]) -> __m512i {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let groups = _mm512_srlv_epi32(lanes, _mm512_set1_epi32(P.trailing_zeros() as i32));
    if let Some(weights) = weights.first_chunk() {
        return load::<i8>(weights);
    }
    if let Some(weights) = weights.first_chunk::<32>() {
        // SAFETY: the chunk is the 32 bytes that are loaded.
        let weights = unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) };
        return _mm512_permutexvar_epi32(groups, _mm512_castsi256_si512(weights));
    }
    if let Some(weights) = weights.first_chunk::<16>() {
        // SAFETY: the chunk is the 16 bytes that are loaded.
        let weights = unsafe { _mm_loadu_si128(weights.as_ptr().cast()) };
        return _mm512_permutexvar_epi32(groups, _mm512_castsi128_si512(weights));
    }
    if let Some(weights) = weights.first_chunk::<8>() {
        let weights = _mm_cvtsi64_si128(bytemuck::cast(*weights));
        return _mm512_permutexvar_epi32(groups, _mm512_castsi128_si512(weights));
    }
    _mm512_set1_epi32(weights.first_chunk::<4>().map_or(0, |weights| bytemuck::cast(*weights)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load<T: bytemuck::Pod>(from: &[T; REGISTER]) -> __m512i {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: the array is the 64 bytes that are loaded.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

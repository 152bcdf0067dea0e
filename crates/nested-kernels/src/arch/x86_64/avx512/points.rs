//! Dense layers of 1×1 windows on small maps. The lanes are columns, not pixels, of which there are too few: a product of a
//! row with a pixel runs along both, weights straight from the file, and what the lanes hold is added up at its end. Four rows
//! by four pixels share their loads.
use super::*;

/// Rows, and pixels, of a block.
const BLOCK: usize = 4;

/// Bytes of a register.
const REGISTER: usize = 64;

/// What this way is for, and how its scratch is laid out.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pixels: usize,
    columns: usize,
    /// Columns of a pixel as it is copied: whole registers.
    pitch: usize,
}

impl Plan {
    /// `None` where sweeping over pixels is cheaper, by their counts of instructions for four rows: here 16 products for four
    /// pixels and 64 columns, and some 64 more for the sums of four pixels; there 30 for 64 pixels and four columns.
    #[inline(always)]
    pub(super) fn new(geometry: &Geometry) -> Option<Plan> {
        let (pixels, columns) = (geometry.output.height * geometry.output.width, geometry.input.channels);
        let here = pixels.div_ceil(BLOCK) * (columns + 256);
        let there = pixels.div_ceil(REGISTER) * 30 * columns;
        let single = geometry.window == Window::square(1, 1, 0) && pixels > 1;
        (single && here < there).then_some(Plan { pixels, columns, pitch: columns.next_multiple_of(REGISTER) })
    }

    /// Words of scratch.
    pub(super) fn words(self) -> usize {
        let pixels = self.pixels.next_multiple_of(BLOCK);
        pixels + pixels * self.pitch / 4 + LINE
    }
}

/// Runs a layer; whether there was the scratch for it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn points(plan: Plan, weights: &[i8], finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
    let (Plan { pixels, columns, pitch }, Buffers { input, output, scratch }) = (plan, buffers);
    let Some((sums, copy)) = scratch.split_at_mut_checked(pixels.next_multiple_of(BLOCK)) else { return false };
    let Some(copy) = aligned(copy).get_mut(..pixels.next_multiple_of(BLOCK) * pitch / 4) else { return false };
    transpose(plan, input, bytemuck::cast_slice_mut(copy));
    let copy: &[[u8; REGISTER]] = bytemuck::cast_slice(copy);
    for (sum, pixel) in sums.iter_mut().zip(copy.chunks_exact(pitch / REGISTER)) {
        let mut total = _mm512_setzero_si512();
        for some in pixel {
            total = _mm512_dpbusd_epi32(total, _mm512_set1_epi8(1), load(some));
        }
        *sum = _mm512_reduce_add_epi32(total) as u32;
    }
    let common = finishes.common();
    let rows = weights.chunks(BLOCK * columns).zip(output.chunks_mut(BLOCK * pixels));
    for (group, (weights, output)) in rows.enumerate() {
        let (mut bias, mut multiplier) = ([_mm_setzero_si128(); BLOCK], [_mm_setzero_si128(); BLOCK]);
        let mut rows: [&[i8]; BLOCK] = [weights.get(..columns).unwrap_or(&[]); BLOCK];
        // Of rows that are missing, the first stands in.
        let slots = rows.iter_mut().zip(bias.iter_mut().zip(&mut multiplier));
        for ((index, row), (slot, (bias, multiplier))) in weights.chunks_exact(columns).enumerate().zip(slots) {
            let finish = finishes.of(BLOCK * group + index);
            *slot = row;
            *bias = _mm_set1_epi32(finish.bias);
            *multiplier = _mm_set1_epi32(finish.multiplier as i32);
        }
        let (bias, multiplier) = (joined(bias), joined(multiplier));
        let blocks = copy.chunks_exact(BLOCK * pitch / REGISTER).zip(sums.as_chunks::<BLOCK>().0);
        for (block, (copy, sums)) in blocks.enumerate() {
            // Weights are biased by 128, to be unsigned.
            let biased = _mm512_broadcast_i32x4(load_sums(sums));
            let origin = _mm512_sub_epi32(bias, _mm512_slli_epi32::<7>(biased));
            let products = products(&rows, copy, pitch / REGISTER);
            let outputs = scaled_by(_mm512_add_epi32(products, origin), multiplier, &common);
            let outputs = clamped(outputs, &common);
            let mut places = output.chunks_exact_mut(pixels).filter_map(|map| {
                let end = map.len().min(BLOCK * (block + 1));
                map.get_mut(BLOCK * block..end)
            });
            let fours: [i32; BLOCK] = [
                _mm_extract_epi32::<0>(outputs),
                _mm_extract_epi32::<1>(outputs),
                _mm_extract_epi32::<2>(outputs),
                _mm_extract_epi32::<3>(outputs),
            ];
            for four in fours {
                let four: [i8; BLOCK] = bytemuck::cast(four);
                if let Some(place) = places.next() {
                    match place.first_chunk_mut() {
                        Some(place) => *place = four,
                        None => place.iter_mut().zip(four).for_each(|(place, value)| *place = value),
                    }
                }
            }
        }
    }
    true
}

/// Four products each of four rows; the lanes of row `i` and pixel `j` are `4 · i + j`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn products(rows: &[&[i8]; BLOCK], copy: &[[u8; REGISTER]], pitch: usize) -> __m512i {
    let mut sums = [[_mm512_setzero_si512(); BLOCK]; BLOCK];
    let [a, b, c, d] = rows.map(|row| row.as_chunks::<REGISTER>());
    let whole = a.0.len();
    let (p, rest) = copy.split_at(pitch.min(copy.len()));
    let (q, rest) = rest.split_at(pitch.min(rest.len()));
    let (r, s) = rest.split_at(pitch.min(rest.len()));
    let weights = a.0.iter().zip(b.0).zip(c.0.iter().zip(d.0));
    let pixels = p.iter().zip(q).zip(r.iter().zip(s));
    for (((a, b), (c, d)), ((p, q), (r, s))) in weights.zip(pixels) {
        let weights = [load_weights(a), load_weights(b), load_weights(c), load_weights(d)];
        add_products(&mut sums, weights, [load(p), load(q), load(r), load(s)]);
    }
    if let (Some(p), Some(q), Some(r), Some(s)) = (p.get(whole), q.get(whole), r.get(whole), s.get(whole)) {
        let weights = [load_some(a.1), load_some(b.1), load_some(c.1), load_some(d.1)];
        add_products(&mut sums, weights, [load(p), load(q), load(r), load(s)]);
    }
    let [one, two, three, four] = sums.map(|sums| in_lanes(sums));
    let halves = [across(one, two), across(three, four)];
    across(halves[0], halves[1])
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_products(sums: &mut [[__m512i; BLOCK]; BLOCK], weights: [__m512i; BLOCK], pixels: [__m512i; BLOCK]) {
    for (sums, weights) in sums.iter_mut().zip(weights) {
        for (sum, pixel) in sums.iter_mut().zip(pixels) {
            *sum = _mm512_dpbusd_epi32(*sum, weights, pixel);
        }
    }
}

/// Sums of the four values of each 128-bit lane: those of register `i` in element `i`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn in_lanes([a, b, c, d]: [__m512i; 4]) -> __m512i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// The sums of pairs of 128-bit lanes: those of `a`, then those of `b`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn across(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b))
}

/// Four registers as one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn joined([a, b, c, d]: [__m128i; 4]) -> __m512i {
    let ab = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b);
    let cd = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(c), d);
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(ab), cd)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load_sums(sums: &[u32; 4]) -> __m128i {
    // SAFETY: the array is the 16 bytes that are loaded.
    unsafe { _mm_loadu_si128(sums.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load(from: &[u8; REGISTER]) -> __m512i {
    // SAFETY: the array is the 64 bytes that are loaded.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

/// Weights, biased by 128.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load_weights(from: &[i8; REGISTER]) -> __m512i {
    // SAFETY: the array is the 64 bytes that are loaded.
    let weights = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
    _mm512_xor_si512(weights, _mm512_set1_epi8(i8::MIN))
}

/// The last weights of a row: at most a register.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load_some(from: &[i8]) -> __m512i {
    let some = u64::MAX.checked_shr(64 - from.len().min(REGISTER) as u32).unwrap_or(0);
    // SAFETY: loaded are as many bytes as the slice has, and no more than a register.
    let weights = unsafe { _mm512_maskz_loadu_epi8(some, from.as_ptr()) };
    _mm512_xor_si512(weights, _mm512_set1_epi8(i8::MIN))
}

/// Copies a map so that the columns of a pixel follow one another, with zeros to the end of the last register and of the last
/// block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn transpose(plan: Plan, input: &[i8], copy: &mut [i8]) {
    let Plan { pixels, columns, pitch } = plan;
    let (real, beyond) = copy.split_at_mut((pixels * pitch).min(copy.len()));
    beyond.fill(0);
    for (pixel, copy) in real.chunks_exact_mut(pitch).enumerate() {
        let (copy, beyond) = copy.split_at_mut(columns.min(pitch));
        beyond.fill(0);
        let values = input.get(pixel..).unwrap_or(&[]).iter().step_by(pixels.max(1));
        copy.iter_mut().zip(values).for_each(|(to, value)| *to = *value);
    }
}

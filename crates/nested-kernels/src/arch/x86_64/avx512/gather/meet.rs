//! Following gaps: what the blocks of a row meet, copied one behind the other.
use super::*;

/// Blocks that are copied without a look at how many there are.
const STEP: usize = 8;

impl Permutations {
    /// Copies what blocks of `WIDTH` columns meet, from block 0 on, each a gap behind the one before, up to a gap of 255; none
    /// where there is too little room. How many there were, and the number of the block behind the last.
    #[inline(always)]
    pub(super) fn meet<const P: usize, const WIDTH: usize>(
        self,
        gaps: &[u8],
        values: &[[u8; P]],
        met: &mut [[u8; P]],
    ) -> (usize, usize) {
        // SAFETY: that `self` exists proves the features.
        unsafe { meet::<P, WIDTH>(gaps, values, met) }
    }
}

/// See [`Permutations::meet`]. All gaps are added up first, so that one comparison serves them all.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn meet<const P: usize, const WIDTH: usize>(gaps: &[u8], values: &[[u8; P]], met: &mut [[u8; P]]) -> (usize, usize) {
    let (gaps, sum) = short(gaps);
    let blocks = gaps.len().next_multiple_of(STEP);
    if blocks * WIDTH > met.len() || (sum + blocks) * WIDTH > values.len() {
        return (0, 0);
    }
    let (mut from, mut to) = (values.as_ptr(), met.as_mut_ptr());
    let (eights, rest) = gaps.as_chunks::<STEP>();
    for eight in eights {
        // SAFETY: all gaps and all blocks, rounded up to eights, are within `values`, and so are those so far, which `from`
        // has advanced by, and these eight. `met` has room for all blocks, rounded up.
        unsafe { (from, to) = copy_eight::<P, WIDTH>(eight, from, to) };
    }
    if !rest.is_empty() {
        let mut last = [0; STEP];
        if let Some(end) = gaps.last_chunk::<STEP>() {
            last = (u64::from_le_bytes(*end) >> (8 * (STEP - rest.len()))).to_le_bytes();
        } else {
            last.iter_mut().zip(rest).for_each(|(last, gap)| *last = *gap);
        }
        // SAFETY: as above; these are the last of the blocks, rounded up.
        unsafe { copy_eight::<P, WIDTH>(&last, from, to) };
    }
    (gaps.len(), sum + gaps.len())
}

/// Copies eight blocks, each a gap behind the one before; where the next would be, and where it would go.
///
/// # Safety
/// All eight lie within what `from` points into, and `to` has room for eight.
#[inline(always)]
unsafe fn copy_eight<const P: usize, const WIDTH: usize>(
    gaps: &[u8; STEP],
    mut from: *const [u8; P],
    to: *mut [u8; P],
) -> (*const [u8; P], *mut [u8; P]) {
    for (index, gap) in gaps.iter().enumerate() {
        // SAFETY: the caller's; arrays of bytes have no alignment.
        unsafe {
            from = from.add(usize::from(*gap) * WIDTH);
            let block = from.add(index * WIDTH).cast::<[[u8; P]; WIDTH]>().read();
            to.add(index * WIDTH).cast::<[[u8; P]; WIDTH]>().write(block);
        }
    }
    // SAFETY: the caller's; just behind the eight.
    unsafe { (from.add(STEP * WIDTH), to.add(STEP * WIDTH)) }
}

/// The gaps before the first of 255, and their sum.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn short(gaps: &[u8]) -> (&[u8], usize) {
    let (mut sums, mut long) = (_mm512_setzero_si512(), 0);
    let mut add = |gaps: __m512i| {
        long |= _mm512_cmpeq_epi8_mask(gaps, _mm512_set1_epi8(-1));
        sums = _mm512_add_epi64(sums, _mm512_sad_epu8(gaps, _mm512_setzero_si512()));
    };
    let (blocks, rest) = gaps.as_chunks::<64>();
    for block in blocks {
        // SAFETY: the block is the 64 bytes that are loaded.
        add(unsafe { _mm512_loadu_si512(block.as_ptr().cast()) });
    }
    let some = u64::MAX.checked_shr(64 - rest.len() as u32).unwrap_or(0);
    // SAFETY: loaded are as many bytes as the rest has.
    add(unsafe { _mm512_maskz_loadu_epi8(some, rest.as_ptr().cast()) });
    if long == 0 {
        return (gaps, _mm512_reduce_add_epi64(sums) as usize);
    }
    let gaps = gaps.split(|gap| *gap == u8::MAX).next().unwrap_or(&[]);
    (gaps, gaps.iter().map(|gap| usize::from(*gap)).sum())
}

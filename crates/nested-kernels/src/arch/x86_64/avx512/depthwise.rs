//! Depthwise layers, sixteen outputs at once: where one register or two hold the pixels that they meet, a permutation of its bytes
//! brings four taps of each output together, padding included. Small maps share a register: sixteen outputs may be those of
//! several channels.
use super::*;

/// Outputs of a register of sums.
const OUTPUTS: usize = 16;
/// The most vectors of outputs of a map, and the most taps.
const VECTORS: usize = 16;
const TAPS: usize = 28;

/// For each byte of a register, the place of the one to take, in words of four taps; and which are taken. Aligned, because
/// loads across lines of the cache take twice as long.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Choice {
    places: [u32; OUTPUTS],
    taken: u64,
}

impl Choice {
    const NOTHING: Choice = Choice { places: [0; OUTPUTS], taken: 0 };

    /// Of up to four taps, each with the place of every output's byte, or [`OUTSIDE`].
    #[inline(always)]
    fn new(taps: &[[u32; OUTPUTS]], start: u32) -> Choice {
        let mut choice = Choice::NOTHING;
        let mut taken = [0u32; OUTPUTS];
        for (tap, places) in (0..4).zip(taps) {
            for ((to, taken), place) in choice.places.iter_mut().zip(&mut taken).zip(places) {
                let inside = *place != OUTSIDE;
                *to |= (u32::from(inside) * (place.wrapping_sub(start) & 0xff)) << (8 * tap);
                *taken |= u32::from(inside) << tap;
            }
        }
        for (lane, taken) in taken.iter().enumerate() {
            choice.taken |= u64::from(*taken) << (4 * lane);
        }
        choice
    }
}

/// How a map is read: the same for all groups of channels.
struct Plan<const FOURS: usize> {
    /// Channels of a group.
    channels: usize,
    /// Where the pixels start that each vector of outputs meets, which lie within one register, or within two.
    starts: [usize; VECTORS],
    wide: bool,
    pixels: [[Choice; FOURS]; VECTORS],
    weights: [Choice; FOURS],
}

impl<const FOURS: usize> Plan<FOURS> {
    /// `None` for a layer that has too many taps, or a map that is too large.
    #[inline(always)]
    fn new(geometry: &Geometry) -> Option<Self> {
        let (input, output) =
            (geometry.input.height * geometry.input.width, (geometry.output.height * geometry.output.width).max(1));
        let taps = geometry.taps();
        let shared = if OUTPUTS.is_multiple_of(output) { OUTPUTS / output } else { 1 };
        let channels = if shared * input <= 128 && shared * taps <= 64 { shared } else { 1 };
        let vectors = (channels * output).div_ceil(OUTPUTS);
        if taps > 4 * FOURS || vectors > VECTORS {
            return None;
        }
        let mut plan = Plan {
            channels,
            starts: [0; VECTORS],
            wide: false,
            pixels: [[Choice::NOTHING; FOURS]; VECTORS],
            weights: [Choice::NOTHING; FOURS],
        };
        for (vector, (start, choices)) in plan.starts.iter_mut().zip(&mut plan.pixels).enumerate().take(vectors) {
            let places = places(geometry, vector * OUTPUTS, channels * output);
            let places = places.get(..taps)?;
            let real = places.as_flattened();
            let first = real.iter().fold(OUTSIDE, |first, place| first.min(*place));
            let last = real.iter().fold(0, |last, place| if *place == OUTSIDE { last } else { last.max(*place) });
            let reach = last.saturating_sub(first);
            if reach >= 128 {
                return None;
            }
            plan.wide |= reach >= 64;
            *start = if first == OUTSIDE { 0 } else { first as usize };
            for (choice, taps) in choices.iter_mut().zip(places.chunks(4)) {
                *choice = Choice::new(taps, first);
            }
        }
        for (four, choice) in plan.weights.iter_mut().enumerate() {
            let place = |tap: usize, lane: usize| {
                let tap = 4 * four + tap;
                if tap < taps { (lane / output % channels * taps + tap) as u32 } else { OUTSIDE }
            };
            let taps: [[u32; OUTPUTS]; 4] = core::array::from_fn(|tap| core::array::from_fn(|lane| place(tap, lane)));
            *choice = Choice::new(&taps, 0);
        }
        Some(plan)
    }
}

/// The place of a tap in the padding.
const OUTSIDE: u32 = u32::MAX;

/// Where in a group's input each tap of the outputs from `first` on lies, of `all` that the group has.
#[inline(always)]
fn places(geometry: &Geometry, first: usize, all: usize) -> [[u32; OUTPUTS]; TAPS] {
    let (input, window) = (geometry.input, geometry.window);
    let (height, width) = (input.height as u32, input.width as u32);
    let (mut top, mut left, mut channel) = ([0; OUTPUTS], [0; OUTPUTS], [0; OUTPUTS]);
    let (map, columns) = (geometry.output.height * geometry.output.width, geometry.output.width as u32);
    let lanes = top.iter_mut().zip(&mut left).zip(&mut channel);
    for (((top, left), channel), output) in lanes.zip(first..all) {
        let pixel = (output % map.max(1)) as u32;
        let stride = u32::from(window.stride);
        // Before the map, both wrap around, and are beyond it.
        *top = (pixel / columns.max(1) * stride).wrapping_sub(window.padding.top.into());
        *left = (pixel % columns.max(1) * stride).wrapping_sub(window.padding.left.into());
        *channel = (output / map.max(1)) as u32 * height * width;
    }
    let used = all.saturating_sub(first);
    let mut places = [[OUTSIDE; OUTPUTS]; TAPS];
    let kernel_width = u32::from(window.kernel[1]).max(1);
    for (tap, places) in (0..geometry.taps() as u32).zip(&mut places) {
        let (down, along) = (tap / kernel_width, tap % kernel_width);
        let lanes = top.iter().zip(&left).zip(&channel);
        for (lane, (place, ((top, left), channel))) in places.iter_mut().zip(lanes).enumerate() {
            let (y, x) = (top.wrapping_add(down), left.wrapping_add(along));
            let inside = (y < height) & (x < width) & (lane < used);
            *place = if inside { channel.wrapping_add(y.wrapping_mul(width)).wrapping_add(x) } else { OUTSIDE };
        }
    }
    places
}

/// The instructions of [`Avx512`], and permutations of bytes.
#[derive(Clone, Copy)]
pub(super) struct Permutations(pub(super) ());

impl Permutations {
    pub(super) fn detect(_: Avx512) -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx512vbmi").then_some(Permutations(()))
    }

    /// See [`Lanes::filters`].
    #[inline(always)]
    pub(super) fn filters(self, layer: Depthwise<'_>, finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
        // SAFETY: that `self` exists proves AVX-512VBMI, and that there was an `Avx512` the other features.
        unsafe { filters(layer, finishes, buffers) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn filters(layer: Depthwise<'_>, finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
    match layer.geometry.taps() {
        ..=12 => planned::<3>(layer, finishes, buffers),
        _ => planned::<7>(layer, finishes, buffers),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn planned<const FOURS: usize>(layer: Depthwise<'_>, finishes: Finishes<'_>, buffers: Buffers<'_>) -> bool {
    match Plan::<FOURS>::new(layer.geometry) {
        Some(plan) if plan.wide => sweep::<FOURS, true>(&plan, layer, finishes, buffers),
        Some(plan) => sweep::<FOURS, false>(&plan, layer, finishes, buffers),
        None => return false,
    }
    true
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn sweep<const FOURS: usize, const WIDE: bool>(
    plan: &Plan<FOURS>,
    layer: Depthwise<'_>,
    finishes: Finishes<'_>,
    buffers: Buffers<'_>,
) {
    let (Depthwise { weights, geometry }, Buffers { input, output, .. }) = (layer, buffers);
    let (pixels, outputs) =
        (geometry.input.height * geometry.input.width, geometry.output.height * geometry.output.width);
    let common = finishes.common();
    let padding = _mm512_set1_epi8(u8::of(geometry.zero_point) as i8);
    let groups = output.chunks_mut((plan.channels * outputs).max(1));
    for (group, output) in groups.enumerate() {
        let first = group * plan.channels;
        let filters = load(weights, first * geometry.taps());
        let mut taps = [_mm512_setzero_si512(); FOURS];
        let mut total = _mm512_setzero_si512();
        for (taps, choice) in taps.iter_mut().zip(&plan.weights) {
            *taps = _mm512_maskz_permutexvar_epi8(choice.taken, load(&choice.places, 0), filters);
            total = _mm512_dpbusd_epi32(total, _mm512_set1_epi8(1), *taps);
        }
        let (bias, multiplier) = if plan.channels == 1 {
            let finish = finishes.of(first);
            (_mm512_set1_epi32(finish.bias), _mm512_set1_epi32(finish.multiplier as i32))
        } else {
            let (mut bias, mut multiplier) = ([0; OUTPUTS], [0; OUTPUTS]);
            let channels = bias.chunks_mut(outputs).zip(multiplier.chunks_mut(outputs)).take(output.len() / outputs);
            for (channel, (bias, multiplier)) in (first..).zip(channels) {
                let finish = finishes.of(channel);
                bias.fill(finish.bias);
                multiplier.fill(finish.multiplier as i32);
            }
            (lanes(&bias), lanes(&multiplier))
        };
        // Activations are biased by 128.
        let origin = _mm512_sub_epi32(bias, _mm512_slli_epi32::<7>(total));
        let vectors = plan.starts.iter().zip(&plan.pixels).zip(output.chunks_mut(OUTPUTS));
        for ((start, choices), output) in vectors {
            let map = biased(load(input, first * pixels + start));
            let rest = if WIDE { biased(load(input, first * pixels + start + 64)) } else { map };
            let mut sums = origin;
            for (choice, taps) in choices.iter().zip(&taps) {
                let places = load(&choice.places, 0);
                let met = match WIDE {
                    true => _mm512_mask_blend_epi8(choice.taken, padding, _mm512_permutex2var_epi8(map, places, rest)),
                    false => _mm512_mask_permutexvar_epi8(padding, choice.taken, places, map),
                };
                sums = _mm512_dpbusd_epi32(sums, met, *taps);
            }
            store(scaled_by(sums, multiplier, &common), &common, output);
        }
    }
}

/// Activations, biased by 128 to be unsigned.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn biased(activations: __m512i) -> __m512i {
    _mm512_xor_si512(activations, _mm512_set1_epi8(i8::MIN))
}

/// The 64 bytes from `at` on; 0 beyond the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn load<T: bytemuck::Pod>(from: &[T], at: usize) -> __m512i {
    let from: &[u8] = bytemuck::cast_slice(from);
    let from = from.get(at..).unwrap_or(&[]);
    let some = u64::MAX.checked_shr(64 - from.len().min(64) as u32).unwrap_or(0);
    // SAFETY: loaded are as many bytes as the slice has, and no more than a register.
    unsafe { _mm512_maskz_loadu_epi8(some, from.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn lanes(values: &[i32; OUTPUTS]) -> __m512i {
    // SAFETY: the array is the 64 bytes that are loaded.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Clamps values and writes as many as `to` holds.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn store(values: __m512i, finish: &Finish, to: &mut [i8]) {
    let pixels = clamped(values, finish);
    if let Some(to) = to.first_chunk_mut::<OUTPUTS>() {
        // SAFETY: the chunk is the 16 bytes that are stored.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), pixels) };
        return;
    }
    let some = u16::MAX.checked_shr(16 - to.len().min(OUTPUTS) as u32).unwrap_or(0);
    // SAFETY: stored are as many bytes as the slice holds, and no more than a register has.
    unsafe { _mm_mask_storeu_epi8(to.as_mut_ptr(), some, pixels) };
}

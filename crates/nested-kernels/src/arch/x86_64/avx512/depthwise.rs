//! Depthwise layers, sixteen outputs at once: where a register holds the pixels that they meet, one permutation of its bytes
//! brings four taps of each output together, padding included. Small maps share a register: sixteen outputs may be those of
//! several channels.
use super::*;
use crate::arch::all::lanes::Filters;

/// Outputs of a register of sums.
const OUTPUTS: usize = 16;
/// The most vectors of outputs of a map, and the most taps.
const VECTORS: usize = 16;
const TAPS: usize = 28;

/// Bytes to take from a register: the place of each, and which are taken.
#[derive(Clone, Copy)]
struct Choice {
    places: [u8; 64],
    taken: u64,
}

impl Choice {
    const NOTHING: Choice = Choice { places: [0; 64], taken: 0 };

    /// Has byte `to` taken from `from`.
    fn take(&mut self, to: usize, from: usize) {
        if let Some(place) = self.places.get_mut(to) {
            *place = from as u8;
            self.taken |= 1 << to;
        }
    }
}

/// How a map is read: the same for all groups of channels.
struct Plan<const FOURS: usize> {
    /// Channels of a group.
    channels: usize,
    /// Vectors of outputs of a group, of which each has taps that lie within 64 pixels from `starts` on.
    starts: [usize; VECTORS],
    pixels: [[Choice; FOURS]; VECTORS],
    weights: [Choice; FOURS],
}

impl<const FOURS: usize> Plan<FOURS> {
    /// `None` for a layer that has too many taps, or a map that is too large.
    #[inline(always)]
    fn new(geometry: &Geometry) -> Option<Self> {
        let (input, output) =
            (geometry.input.height * geometry.input.width, geometry.output.height * geometry.output.width);
        let taps = geometry.taps();
        let shared = if OUTPUTS.is_multiple_of(output.max(1)) { OUTPUTS / output.max(1) } else { 1 };
        let channels = if shared * input <= 64 && shared * taps <= 64 { shared } else { 1 };
        let vectors = (channels * output).div_ceil(OUTPUTS);
        if taps > 4 * FOURS || vectors > VECTORS {
            return None;
        }
        let mut plan = Plan {
            channels,
            starts: [0; VECTORS],
            pixels: [[Choice::NOTHING; FOURS]; VECTORS],
            weights: [Choice::NOTHING; FOURS],
        };
        for (vector, (start, choices)) in plan.starts.iter_mut().zip(&mut plan.pixels).enumerate().take(vectors) {
            let places = places(geometry, vector * OUTPUTS, channels * output);
            let real = places.iter().take(taps).flatten().copied();
            *start = real.clone().min().unwrap_or(0).min(u32::MAX - 1) as usize;
            for (tap, places) in places.iter().enumerate().take(taps) {
                for (lane, place) in places.iter().enumerate().filter(|(_, place)| **place != OUTSIDE) {
                    let from = (*place as usize).checked_sub(*start).filter(|from| *from < 64)?;
                    choices.get_mut(tap / 4)?.take(4 * lane + tap % 4, from);
                }
            }
        }
        for tap in 0..taps {
            for lane in 0..OUTPUTS {
                let from = lane / output.max(1) % channels * taps + tap;
                plan.weights.get_mut(tap / 4)?.take(4 * lane + tap % 4, from);
            }
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
    let (mut top, mut left, mut channel) = ([OUTSIDE; OUTPUTS], [OUTSIDE; OUTPUTS], [0; OUTPUTS]);
    let map = (geometry.output.height * geometry.output.width).max(1);
    for (lane, output) in (first..all).take(OUTPUTS).enumerate() {
        let (pixel, columns) = (output % map, geometry.output.width.max(1));
        let stride = usize::from(window.stride);
        // Before the map, both wrap around, and are beyond it.
        top[lane] = ((pixel / columns * stride) as u32).wrapping_sub(window.padding.top.into());
        left[lane] = ((pixel % columns * stride) as u32).wrapping_sub(window.padding.left.into());
        channel[lane] = (output / map) as u32 * height * width;
    }
    let unused = all.saturating_sub(first);
    let mut places = [[OUTSIDE; OUTPUTS]; TAPS];
    let kernel_width = u32::from(window.kernel[1]).max(1);
    for (tap, places) in (0..geometry.taps() as u32).zip(&mut places) {
        let (down, along) = (tap / kernel_width, tap % kernel_width);
        for (lane, place) in places.iter_mut().enumerate() {
            let (y, x) = (top[lane].wrapping_add(down), left[lane].wrapping_add(along));
            let inside = y < height && x < width && lane < unused;
            *place = if inside { channel[lane] + y * width + x } else { OUTSIDE };
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

    /// See [`Lanes::depthwise`].
    #[inline(always)]
    pub(super) fn depthwise(self, layer: Filters<'_>) -> bool {
        // SAFETY: that `self` exists proves AVX-512VBMI, and that there was an `Avx512` the other features.
        unsafe { depthwise(layer) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn depthwise(layer: Filters<'_>) -> bool {
    if layer.geometry.taps() <= 12 {
        Plan::<3>::new(layer.geometry).map(|plan| sweep(&plan, layer)).is_some()
    } else {
        Plan::<7>::new(layer.geometry).map(|plan| sweep(&plan, layer)).is_some()
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn sweep<const FOURS: usize>(plan: &Plan<FOURS>, layer: Filters<'_>) {
    let Filters { geometry, weights, finishes, input, output } = layer;
    let (pixels, outputs) =
        (geometry.input.height * geometry.input.width, geometry.output.height * geometry.output.width);
    let common = finishes.common();
    let padding = _mm512_set1_epi8(Avx512::element(geometry.zero_point) as i8);
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
            let map = _mm512_xor_si512(load(input, first * pixels + start), _mm512_set1_epi8(i8::MIN));
            let mut sums = origin;
            for (choice, taps) in choices.iter().zip(&taps) {
                let met = _mm512_mask_permutexvar_epi8(padding, choice.taken, load(&choice.places, 0), map);
                sums = _mm512_dpbusd_epi32(sums, met, *taps);
            }
            store(scaled_by(sums, multiplier, &common), &common, output);
        }
    }
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

//! Sparse layers that have few output pixels. What a row's weights meet is brought together in the order of the weights, as
//! they are decoded; a product of both then needs no offsets.
use super::{depthwise::Permutations, *};
use nested_csr::{Padding, Sink};

mod meet;
mod product;

/// Values and weights that may be read behind the last ones, and written behind a row's.
const ROOM: usize = 128;

/// A layer whose pixels follow one another in each column.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Output pixels.
    pixels: usize,
    columns: usize,
    /// Pixels of the input that are columns of their own: the kernel's, when it is the whole map.
    taps: usize,
}

impl Plan {
    /// `None` for other layers.
    pub(super) fn new(geometry: &Geometry) -> Option<Plan> {
        const MOST: usize = 16;
        let (map, channels) = (geometry.input.height * geometry.input.width, geometry.input.channels);
        let (pixels, taps) = match geometry.window {
            window if window == Window::square(1, 1, 0) => (map, 1),
            Window { kernel, padding, .. } => {
                let whole = kernel.map(usize::from) == [geometry.input.height, geometry.input.width];
                (if whole && padding == Padding::default() { 1 } else { usize::MAX }, map)
            }
        };
        (pixels <= MOST).then_some(Plan { pixels, columns: channels * taps, taps })
    }

    /// Columns that there is room for, the same in all parts of the scratch; whole lines of the cache.
    fn held(self) -> usize {
        (self.columns + ROOM).next_multiple_of(64)
    }

    /// Words of scratch.
    pub(super) fn words(self) -> usize {
        self.held() * (3 * self.pixels.next_power_of_two() + 2) / 4 + LINE
    }

    /// Shares the scratch out: the values of all columns, and two rows.
    fn parts<const P: usize>(self, scratch: &mut [u32]) -> Option<(&mut [[u8; P]], [Row<'_, P>; 2])> {
        let held = self.held();
        let scratch: &mut [u8] = bytemuck::cast_slice_mut(aligned(scratch));
        let (values, scratch) = scratch.split_at_mut_checked(held * P)?;
        let (one, scratch) = scratch.split_at_mut_checked(held * P)?;
        let (other, scratch) = scratch.split_at_mut_checked(held * P)?;
        let (weights, others) = bytemuck::cast_slice_mut(scratch).split_at_mut_checked(held)?;
        let others = others.get_mut(..held)?;
        let [one, other] =
            [(one, weights), (other, others)].map(|(met, weights)| Row { met: met.as_chunks_mut().0, weights, len: 0 });
        Some((values.as_chunks_mut().0, [one, other]))
    }

    /// Copies the input as the columns have it: each column's pixels one behind the other.
    #[inline(always)]
    fn fill<const P: usize>(self, input: &[i8], values: &mut [[u8; P]]) {
        let fill = |to: &mut [u8], from: &[i8]| to.iter_mut().zip(from).for_each(|(to, from)| *to = u8::of(*from));
        if self.taps == 1 && self.pixels == P {
            fill(values.as_flattened_mut(), input);
        } else if self.taps == 1 {
            let columns = input.chunks_exact(self.pixels.max(1));
            values.iter_mut().zip(columns).for_each(|(to, column)| fill(to, column));
        } else {
            let channels = self.columns / self.taps.max(1);
            for (tap, values) in values.chunks_mut(channels.max(1)).enumerate().take(self.taps) {
                let pixels = input.get(tap..).unwrap_or(&[]).iter().step_by(self.taps.max(1));
                values.iter_mut().zip(pixels).for_each(|(to, value)| *to = [u8::of(*value); P]);
            }
        }
    }
}

impl Permutations {
    /// See [`Lanes::gathered`].
    #[inline(always)]
    pub(super) fn gathered(
        self,
        plan: Plan,
        rows: impl RowSource,
        finishes: Finishes<'_>,
        buffers: Buffers<'_>,
    ) -> bool {
        // SAFETY: that `self` exists proves AVX-512VBMI, and that there was an `Avx512` the other features.
        let ran = unsafe {
            match plan.pixels.next_power_of_two() {
                1 => run::<1>(self, plan, rows, finishes, buffers),
                2 => run::<2>(self, plan, rows, finishes, buffers),
                4 => run::<4>(self, plan, rows, finishes, buffers),
                8 => run::<8>(self, plan, rows, finishes, buffers),
                _ => run::<16>(self, plan, rows, finishes, buffers),
            }
        };
        ran.is_some()
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
fn run<const P: usize>(
    permutations: Permutations,
    plan: Plan,
    mut rows: impl RowSource,
    finishes: Finishes<'_>,
    buffers: Buffers<'_>,
) -> Option<()> {
    let Buffers { input, output, scratch } = buffers;
    let (values, [mut row, mut before]) = plan.parts::<P>(scratch)?;
    plan.fill(input, values);
    let common = finishes.common();
    let mut outputs = output.chunks_exact_mut(plan.pixels.max(1)).enumerate();
    // A row is multiplied when the next has been decoded: what was written just now cannot be read as registers yet.
    row.decode(permutations, &mut rows, values)?;
    while let Some((index, output)) = outputs.next() {
        core::mem::swap(&mut row, &mut before);
        if outputs.len() > 0 {
            row.decode(permutations, &mut rows, values)?;
        }
        let finish = finishes.of(index);
        let origin = Avx512(()).origin(finish.bias, before.weights.get(..before.len)?);
        let sums =
            _mm512_add_epi32(product::product(before.met, before.weights, before.len), _mm512_set1_epi32(origin));
        let pixels = clamped(scaled_by(sums, _mm512_set1_epi32(finish.multiplier as i32), &common), &common);
        store::<P>(pixels, output);
    }
    Some(())
}

/// A row, as its product needs it.
struct Row<'a, const P: usize> {
    /// The weights, and the values of the pixels that each meets.
    met: &'a mut [[u8; P]],
    weights: &'a mut [i8],
    len: usize,
}

impl<const P: usize> Row<'_, P> {
    /// Decodes the next row; weights of 0 follow its last. `None` after the last row.
    #[inline(always)]
    fn decode(&mut self, permutations: Permutations, rows: &mut impl RowSource, values: &[[u8; P]]) -> Option<()> {
        let mut sink = Gather { permutations, values, met: &mut *self.met, weights: &mut *self.weights, len: 0 };
        rows.next_row_into(&mut sink)?;
        self.len = sink.len;
        *self.weights.get_mut(self.len..)?.first_chunk_mut::<ROOM>()? = [0; ROOM];
        Some(())
    }
}

/// A row as it is decoded.
struct Gather<'a, const P: usize> {
    permutations: Permutations,
    values: &'a [[u8; P]],
    met: &'a mut [[u8; P]],
    weights: &'a mut [i8],
    len: usize,
}

impl<const P: usize> Sink for Gather<'_, P> {
    #[inline(always)]
    fn weight(&mut self, column: usize, weight: i8) {
        if let Some(value) = self.values.get(column)
            && let Some(met) = self.met.get_mut(self.len)
            && let Some(slot) = self.weights.get_mut(self.len)
        {
            (*met, *slot) = (*value, weight);
            self.len += 1;
        }
    }

    #[inline(always)]
    fn blocks<const WIDTH: usize>(&mut self, gaps: &[u8], weights: &[[u8; WIDTH]]) -> (usize, u32) {
        let Some(met) = self.met.get_mut(self.len..) else { return (0, 0) };
        let (done, next) = self.permutations.meet::<P, WIDTH>(gaps, self.values, met);
        let weights: &[i8] = bytemuck::cast_slice(weights.get(..done).unwrap_or(&[]).as_flattened());
        if let Some(slots) = self.weights.get_mut(self.len..self.len + weights.len()) {
            slots.copy_from_slice(weights);
        }
        self.len += weights.len();
        (done, next as u32)
    }
}

/// Writes the first pixels: as many as `to` holds, at most `P`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn store<const P: usize>(pixels: __m128i, to: &mut [i8]) {
    let mut bytes = [0i8; 16];
    // SAFETY: the array is the 16 bytes that are stored.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), pixels) };
    match (to.first_chunk_mut::<P>(), bytes.first_chunk::<P>()) {
        (Some(to), Some(bytes)) => *to = *bytes,
        _ => to.iter_mut().zip(bytes).for_each(|(to, pixel)| *to = pixel),
    }
}

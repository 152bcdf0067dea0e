//! The packed copy of a band of the input: two activations a word.
use core::num::NonZero;

/// What a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// Two far pixels of one channel: `(a0 ⊕ 0x80) + (a1 << 24)`. A 64-bit product with a weight adds to both sums.
    Pixels,
    /// One pixel of two neighbouring channels, 16 bits each: a dual 16-bit product adds both to one sum.
    Channels,
}

impl Pairing {
    /// The word of one pair.
    pub(super) fn word(self, a: i8, b: i8) -> u32 {
        match self {
            Pairing::Pixels => u32::from(a as u8 ^ 0x80) | u32::from(b as u8) << 24,
            Pairing::Channels => u32::from(a as u16) | u32::from(b as u16) << 16,
        }
    }
}

/// One packed row: `columns` padded input columns, column `j` at word `start(j % stride) + j / stride`, so that the
/// columns that one tap meets are neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowLayout {
    stride: NonZero<usize>,
    columns: usize,
    left: usize,
}

/// A lane's pixels in one packed row of all channels: `step` pixels from a channel to the next, 0 when all are the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane<'i> {
    pub(super) pixels: &'i [i8],
    pub(super) step: usize,
}

impl<'i> Lane<'i> {
    /// Without the first pixels of each channel.
    fn from(self, pixels: usize) -> Lane<'i> {
        Lane { pixels: self.pixels.get(pixels..).unwrap_or_default(), ..self }
    }

    #[cfg(not(nested_kernels_backend = "dsp"))]
    fn channel(&self, channel: usize, width: usize) -> &'i [i8] {
        self.pixels.get(channel * self.step..).and_then(|rest| rest.get(..width)).unwrap_or_default()
    }
}

/// One packed row of `count` channels, `pitch` words from a channel to the next.
#[derive(Debug)]
pub(super) struct Channels<'p> {
    pub(super) words: &'p mut [u32],
    pub(super) pitch: usize,
    pub(super) count: usize,
}

impl RowLayout {
    pub(super) fn new(stride: usize, columns: usize, left: usize) -> Self {
        RowLayout { stride: NonZero::new(stride).unwrap_or(NonZero::<usize>::MIN), columns, left }
    }

    /// Words of a packed row.
    pub(super) fn words(&self) -> usize {
        self.columns
    }

    /// Where padded column `j` is.
    pub(super) fn position(&self, j: usize) -> usize {
        if self.stride.get() == 1 {
            return j;
        }
        let (plane, index) = (j % self.stride, j / self.stride);
        // Plane `p` has ⌈(columns − p) / stride⌉ columns.
        let (each, more) = (self.columns / self.stride, self.columns % self.stride);
        plane * each + plane.min(more) + index
    }

    /// Packs `width` pixels of each channel; what is padding stays as it is.
    #[inline(always)]
    pub(super) fn pack(&self, pairing: Pairing, width: usize, lanes: [Lane<'_>; 2], mut channels: Channels<'_>) {
        let kept = width.min(self.columns.saturating_sub(self.left));
        let whole = if self.stride.get() <= 2 { kept / 4 * 4 } else { 0 };
        if whole > 0 {
            let starts = [self.position(self.left), self.position(self.left + 1)];
            four::pack(pairing, self.stride.get(), whole / 4, starts, lanes, &mut channels);
            if whole < kept {
                // The last four, some of them once more.
                let from = kept - 4;
                let starts = [self.position(self.left + from), self.position(self.left + from + 1)];
                let lanes = lanes.map(|lane| lane.from(from));
                four::pack(pairing, self.stride.get(), 1, starts, lanes, &mut channels);
            }
        } else {
            self.pack_singly(pairing, kept, lanes, channels);
        }
    }

    /// Packs `width` pixels of each channel, a column at a time.
    #[inline(never)]
    fn pack_singly(&self, pairing: Pairing, width: usize, lanes: [Lane<'_>; 2], channels: Channels<'_>) {
        for x in 0..width {
            let words = channels.words.get_mut(self.position(x + self.left)..).unwrap_or_default();
            let [a, b] = lanes.map(|lane| lane.pixels.get(x..).unwrap_or_default());
            for channel in 0..channels.count {
                let pixel = |pixels: &[i8], step: usize| pixels.get(channel * step).copied();
                let pair = pixel(a, lanes[0].step).zip(pixel(b, lanes[1].step));
                if let (Some((a, b)), Some(word)) = (pair, words.get_mut(channel * channels.pitch)) {
                    *word = pairing.word(a, b);
                }
            }
        }
    }
}

/// Packs four pixels of each column for [`Pairing::Pixels`], a column's words together.
pub(super) fn columns_of_four(lanes: [Lane<'_>; 2], columns: usize, packed: &mut [u32]) {
    four::columns(lanes, columns, packed);
}

/// Four pixels of each lane at a time.
#[cfg(not(nested_kernels_backend = "dsp"))]
mod four {
    use super::{Channels, Lane, Pairing};

    /// Packs `chunks` times four pixels of each channel, even ones from word `starts[0]` on, odd ones from `starts[1]`.
    pub(super) fn pack(
        pairing: Pairing,
        stride: usize,
        chunks: usize,
        starts: [usize; 2],
        lanes: [Lane<'_>; 2],
        channels: &mut Channels<'_>,
    ) {
        for (channel, words) in channels.words.chunks_mut(channels.pitch).take(channels.count).enumerate() {
            let [a, b] = lanes.map(|lane| lane.channel(channel, 4 * chunks).as_chunks::<4>().0);
            let fours = a.iter().zip(b).map(|(a, b)| four(pairing, *a, *b));
            if stride == 1 {
                let words = words.get_mut(starts[0]..).unwrap_or_default().as_chunks_mut::<4>().0;
                fours.zip(words).for_each(|(four, words)| *words = four);
            } else {
                let Some((low, high)) = words.split_at_mut_checked(starts[0].max(starts[1])) else { return };
                let low = low.get_mut(starts[0].min(starts[1])..).unwrap_or_default();
                let [even, odd] = if starts[0] < starts[1] { [low, high] } else { [high, low] };
                let [even, odd] = [even, odd].map(|words| words.as_chunks_mut::<2>().0);
                for (four, (even, odd)) in fours.zip(even.iter_mut().zip(odd)) {
                    (*even, *odd) = ([four[0], four[2]], [four[1], four[3]]);
                }
            }
        }
    }

    /// The words of four pairs.
    #[inline(always)]
    fn four(pairing: Pairing, a: [i8; 4], b: [i8; 4]) -> [u32; 4] {
        if pairing == Pairing::Channels {
            let ([a, b, c, d], [e, f, g, h]) = (a, b);
            return [(a, e), (b, f), (c, g), (d, h)].map(|(a, b)| pairing.word(a, b));
        }
        let [a, b] = [a, b].map(|four| u32::from_le_bytes(four.map(i8::cast_unsigned)));
        let a = a ^ 0x8080_8080;
        let of = |a: u32, b: u32| a & 0xff | b & 0xff00_0000;
        core::array::from_fn(|i| of(a >> (8 * i), b << (24 - 8 * i)))
    }

    pub(super) fn columns(lanes: [Lane<'_>; 2], columns: usize, packed: &mut [u32]) {
        let (packed, _) = packed.as_chunks_mut::<4>();
        for (column, words) in packed.iter_mut().enumerate().take(columns) {
            let [a, b] = lanes.map(|lane| lane.channel(column, 4).first_chunk());
            if let (Some(a), Some(b)) = (a, b) {
                *words = four(Pairing::Pixels, *a, *b);
            }
        }
    }
}

#[cfg(nested_kernels_backend = "dsp")]
mod four;

//! The walk of a row's table over a packed band: the inner loops, with requantisation and output.
//!
//! A table is the accumulators' first values and then a pair of words for each weight; see [`super::table`]. The walk
//! goes along segments: `[length, (step, output step, length)…, 0]`, lengths in output bytes, steps in bytes.
//! Assembly on Arm (a compiler spills here); the same steps in Rust elsewhere.

/// All that a walk needs. Offsets are in bytes of `packed` and in elements of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk<'a> {
    pub(super) packed: &'a [u32],
    pub(super) table: &'a [u32],
    /// Pairs of words in the table after its head; at least 1.
    pub(super) entries: usize,
    pub(super) segments: &'a [i32],
    /// Where the walk stands before the first block.
    pub(super) start: i32,
    /// Where the table's first entry lies in a channel's part of the band, and the farthest place that an entry may have there.
    #[cfg(not(nested_kernels_backend = "dsp"))]
    pub(super) places: [i32; 2],
    pub(super) multiplier: i32,
    pub(super) zero_point: i32,
    /// Where the first output goes, and for pairs of pixels the first of the second lane.
    pub(super) outputs: [usize; 2],
}

/// Words in front of a table: the first values of the accumulators.
pub(super) const HEAD: usize = 8;
/// Set in the last offset of a table. With pairs of pixels that offset is the last entry's, and the walk takes the mark
/// off again; with pairs of channels it is in an entry behind the last.
pub(super) const LAST: i32 = 1;

impl Walk<'_> {
    /// Pairs of pixels: blocks of 4 words, 8 outputs.
    #[inline(always)]
    pub(super) fn pixels(&self, output: &mut [i8]) {
        #[cfg(nested_kernels_backend = "dsp")]
        assembly::pixels(self, output);
        #[cfg(not(nested_kernels_backend = "dsp"))]
        portable::pixels(self, output);
    }

    /// Pairs of pixels whose sums may need more than 24 bits, with their biases apart: lanes are taken out after at most
    /// 256 weights, for which lane 0 needs no more.
    #[inline(never)]
    pub(super) fn pixels_wide(&self, biases: [i32; 2], output: &mut [i8]) {
        #[cfg(nested_kernels_backend = "dsp")]
        assembly::pixels_wide(self, biases, output);
        #[cfg(not(nested_kernels_backend = "dsp"))]
        self.each_block(4, |walk, p, outputs| {
            let mut sums = [biases; 4];
            for [weight, step] in walk.entries() {
                if let Some(words) = walk.words::<4>(*p) {
                    for ([low, high], word) in sums.iter_mut().zip(words) {
                        *low = low.wrapping_add((weight >> 8).wrapping_mul((word & 0xff) as i32));
                        *high = high.wrapping_add((weight >> 8).wrapping_mul(*word as i32 >> 24));
                    }
                }
                *p += step;
            }
            *p -= LAST;
            let lanes: [fn(&[i32; 2]) -> i32; 2] = [|[low, _]| *low, |[_, high]| *high];
            for (lane, output_start) in lanes.into_iter().zip(outputs) {
                let cells = output.get_mut(output_start..).unwrap_or_default();
                for (cell, sum) in cells.iter_mut().zip(&sums) {
                    *cell = walk.requantise(lane(sum), walk.multiplier);
                }
            }
        });
    }

    /// Pairs of channels: blocks of 8 words, 8 outputs.
    #[inline(always)]
    pub(super) fn channels(&self, output: &mut [i8]) {
        #[cfg(nested_kernels_backend = "dsp")]
        assembly::channels(self, output);
        #[cfg(not(nested_kernels_backend = "dsp"))]
        self.each_block(8, |walk, p, outputs| {
            let mut sums: [u32; HEAD] = walk.table.first_chunk().copied().unwrap_or_default();
            for [weights, step] in walk.entries() {
                *p += step;
                if let Some(words) = walk.words::<8>(*p) {
                    for (sum, word) in sums.iter_mut().zip(words) {
                        let half = |w: i16, x: u32| (i32::from(w) * i32::from(x as i16)) as u32;
                        let products = [half(weights as i16, *word), half((weights >> 16) as i16, *word >> 16)];
                        *sum = sum.wrapping_add(products[0]).wrapping_add(products[1]);
                    }
                }
                *p += 24;
            }
            let cells = output.get_mut(outputs[0]..).unwrap_or_default();
            for (cell, sum) in cells.iter_mut().zip(sums) {
                *cell = walk.requantise(sum as i32, walk.multiplier);
            }
        });
    }

    /// The words of a block at a place, in bytes.
    #[cfg(not(nested_kernels_backend = "dsp"))]
    #[inline(always)]
    fn words<const N: usize>(&self, place: i32) -> Option<&[u32; N]> {
        self.packed.get(place as usize / 4..)?.first_chunk()
    }

    #[cfg(not(nested_kernels_backend = "dsp"))]
    fn requantise(&self, sum: i32, multiplier: i32) -> i8 {
        requantise(sum, multiplier, self.zero_point)
    }

    #[cfg(not(nested_kernels_backend = "dsp"))]
    fn entries(&self) -> impl Iterator<Item = [i32; 2]> {
        let pairs = self.table.get(HEAD..).unwrap_or_default().as_chunks::<2>().0;
        pairs.iter().take(self.entries).map(|pair| pair.map(|word| word as i32))
    }

    #[cfg(not(nested_kernels_backend = "dsp"))]
    /// Calls `block` for each block of `bytes` outputs, with where it reads and writes.
    fn each_block(&self, bytes: i32, mut block: impl FnMut(&Self, &mut i32, [usize; 2])) {
        let (mut p, mut outputs) = (self.start, self.outputs);
        let mut segments = self.segments.iter().copied();
        let mut left = segments.next().unwrap_or(0);
        while left > 0 {
            block(self, &mut p, outputs);
            outputs = outputs.map(|output| output + bytes as usize);
            left -= bytes;
            if left == 0 {
                let (step, output_step) = (segments.next().unwrap_or(0), segments.next().unwrap_or(0));
                p += step;
                outputs = outputs.map(|output| output.wrapping_add_signed(output_step as isize));
                left = segments.next().unwrap_or(0);
            }
        }
    }
}

/// `sum · multiplier / 2³²`, halves up, as an output.
#[cfg(not(nested_kernels_backend = "dsp"))]
#[inline(always)]
fn requantise(sum: i32, multiplier: i32, zero_point: i32) -> i8 {
    let scaled = (i64::from(sum) * i64::from(multiplier) + (1 << 31)) >> 32;
    (scaled as i32).wrapping_add(zero_point).clamp(-128, 127) as i8
}

#[cfg(nested_kernels_backend = "dsp")]
pub(super) mod assembly;
#[cfg(not(nested_kernels_backend = "dsp"))]
mod portable;

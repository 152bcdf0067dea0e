//! The rows of a group over all pixels of a band.
use super::{
    lanes::{Lanes, TILE},
    table::{Alone, Head, TOGETHER, Together},
};
use crate::requant::Finish;

/// Positions that all groups sweep before they go on to the next: the taps that these meet fit the first-level cache.
const STRETCH: usize = 192;

/// A stretch of a band's copy, to sweep over.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a, L: Lanes> {
    pub(super) lanes: L,
    pub(super) copy: &'a [L::Element],
    /// Columns of the output, and of the copy.
    pub(super) width: usize,
    pub(super) pitch: usize,
    /// The stretch, and what it begins with: the start of a line of the output, and the column in it.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: usize,
    pub(super) x: usize,
    /// The zero point and the bounds of all rows.
    pub(super) finish: Finish,
}

impl<L: Lanes> Sweep<'_, L> {
    /// Stretches up to the end of the band, from its start on.
    pub(super) fn stretches(self) -> impl Iterator<Item = Self> {
        (0..self.end).step_by(STRETCH).map(move |start| {
            let (y, x) = match self.pitch == self.width {
                true => (0, start),
                false => (start / self.pitch.max(1), start % self.pitch.max(1)),
            };
            Sweep { start, end: self.end.min(start + STRETCH), line: y * self.width, x, ..self }
        })
    }

    /// Sweeps a row alone over the stretch into its output map, which begins with the band.
    #[inline(always)]
    pub(super) fn alone(&self, words: &[u32], output: &mut [i8]) -> Option<()> {
        let row = Alone::<L>::new(words)?;
        let finish = &self.finish(row.head);
        let mut lines = self.lines(output);
        let mut start = self.start;
        while start < self.end {
            let left = self.end - start;
            let blocks = left.div_ceil(L::PIXELS).min(TILE);
            let copy = self.copy.get(start..)?;
            match blocks {
                1 if left <= <L::Narrow as Lanes>::PIXELS => {
                    tile::<L::Narrow, 1>(self.lanes.into(), copy, &row.narrow(), finish, &mut lines, left);
                }
                1 => tile::<L, 1>(self.lanes, copy, &row, finish, &mut lines, left),
                2 => tile::<L, 2>(self.lanes, copy, &row, finish, &mut lines, left),
                _ => tile::<L, TILE>(self.lanes, copy, &row, finish, &mut lines, left),
            }
            start += blocks * L::PIXELS;
        }
        Some(())
    }

    /// Sweeps rows that share `offsets` over the stretch, each into its output map; the first is there.
    #[inline(always)]
    pub(super) fn together(&self, offsets: &[u32], words: &[u32], outputs: [&mut [i8]; TOGETHER]) -> Option<()> {
        let rows = Together::<L>::new(words)?;
        let (offsets, _) = offsets.as_chunks::<4>();
        let origins = rows.heads.map(|head| head.origin);
        let mut lines = outputs.map(|output| self.lines(output));
        for start in (self.start..self.end).step_by(L::PIXELS) {
            let sums = block(self.lanes, self.copy.get(start..)?, offsets, &rows.weights, origins);
            let len = L::PIXELS.min(self.end - start);
            for ((sums, head), lines) in sums.into_iter().zip(rows.heads).zip(&mut lines) {
                lines.write(self.lanes, self.lanes.finish(sums, &self.finish(head)), len);
            }
        }
        Some(())
    }

    #[inline(always)]
    fn finish(&self, head: Head) -> Finish {
        Finish { bias: head.origin, multiplier: head.multiplier, ..self.finish }
    }

    #[inline(always)]
    fn lines<'o>(&self, output: &'o mut [i8]) -> Lines<'o> {
        let Sweep { width, pitch, line, x, .. } = *self;
        Lines { output, width, pitch, line, x, direct: pitch == width }
    }
}

/// An output map, written in the order of the flat sweep, which is `pitch` wide.
struct Lines<'a> {
    output: &'a mut [i8],
    width: usize,
    pitch: usize,
    /// The start of the present line, and the place in it.
    line: usize,
    x: usize,
    /// Whether lines have no pixels to drop: then they are one.
    direct: bool,
}

impl Lines<'_> {
    /// Writes the next `len` pixels of the sweep, without those beyond the width.
    #[inline(always)]
    fn write<L: Lanes>(&mut self, lanes: L, pixels: L::Pixels, len: usize) {
        if self.direct {
            if let Some(to) = self.output.get_mut(self.x..self.x + len) {
                lanes.store(pixels, 0, to);
            }
            self.x += len;
            return;
        }
        let mut from = 0;
        while from < len {
            let step = (len - from).min(self.pitch - self.x);
            let real = step.min(self.width.saturating_sub(self.x));
            let at = self.line + self.x;
            if let Some(to) = self.output.get_mut(at..at + real) {
                lanes.store(pixels, from, to);
            }
            from += step;
            self.x += step;
            if self.x == self.pitch {
                (self.line, self.x) = (self.line + self.width, 0);
            }
        }
    }
}

/// Sweeps a row over the `B` blocks of pixels at the start of `copy`, of which `len` pixels are real.
#[inline(always)]
fn tile<L: Lanes, const B: usize>(
    lanes: L,
    copy: &[L::Element],
    row: &Alone<'_, L>,
    finish: &Finish,
    lines: &mut Lines<'_>,
    len: usize,
) {
    let sums = blocks::<L, B>(lanes, copy, row);
    // Unrolled, so that the sums stay in registers.
    if let Some(sums) = sums.first() {
        lines.write(lanes, lanes.finish(*sums, finish), len.min(L::PIXELS));
    }
    if let Some(sums) = sums.get(1) {
        lines.write(lanes, lanes.finish(*sums, finish), len.saturating_sub(L::PIXELS).min(L::PIXELS));
    }
    if let Some(sums) = sums.get(2) {
        lines.write(lanes, lanes.finish(*sums, finish), len.saturating_sub(2 * L::PIXELS).min(L::PIXELS));
    }
}

#[inline(always)]
fn blocks<L: Lanes, const B: usize>(lanes: L, copy: &[L::Element], row: &Alone<'_, L>) -> [L::Sums; B] {
    let mut sums = [lanes.splat(row.head.origin); B];
    let len = B * L::PIXELS;
    for ([a, b, c, d], weights) in row.offsets.iter().zip(row.weights) {
        let (Some(a), Some(b), Some(c), Some(d)) =
            (span(copy, *a, len), span(copy, *b, len), span(copy, *c, len), span(copy, *d, len))
        else {
            return sums;
        };
        let weights = lanes.weights(*weights);
        let pairs = a.chunks_exact(L::PIXELS).zip(b.chunks_exact(L::PIXELS));
        let others = c.chunks_exact(L::PIXELS).zip(d.chunks_exact(L::PIXELS));
        for (sums, ((a, b), (c, d))) in sums.iter_mut().zip(pairs.zip(others)) {
            let (Some(a), Some(b), Some(c), Some(d)) = (lanes.load(a), lanes.load(b), lanes.load(c), lanes.load(d))
            else {
                return [*sums; B];
            };
            *sums = lanes.multiply_add(*sums, lanes.group([a, b, c, d]), weights);
        }
    }
    sums
}

/// One block of pixels for rows that share their taps.
#[inline(always)]
fn block<L: Lanes>(
    lanes: L,
    copy: &[L::Element],
    offsets: &[[u32; 4]],
    [first, second, third, fourth]: &[&[[L::Weight; 4]]; TOGETHER],
    [one, two, three, four]: [i32; TOGETHER],
) -> [L::Sums; TOGETHER] {
    let mut sums = [lanes.splat(one), lanes.splat(two), lanes.splat(three), lanes.splat(four)];
    let weights = first.iter().zip(*second).zip(third.iter().zip(*fourth));
    for ([a, b, c, d], ((first, second), (third, fourth))) in offsets.iter().zip(weights) {
        let (Some(a), Some(b), Some(c), Some(d)) = (
            span(copy, *a, L::PIXELS),
            span(copy, *b, L::PIXELS),
            span(copy, *c, L::PIXELS),
            span(copy, *d, L::PIXELS),
        ) else {
            return sums;
        };
        let (Some(a), Some(b), Some(c), Some(d)) = (lanes.load(a), lanes.load(b), lanes.load(c), lanes.load(d)) else {
            return sums;
        };
        let group = lanes.group([a, b, c, d]);
        let [one, two, three, four] = sums;
        sums = [
            lanes.multiply_add(one, group, lanes.weights(*first)),
            lanes.multiply_add(two, group, lanes.weights(*second)),
            lanes.multiply_add(three, group, lanes.weights(*third)),
            lanes.multiply_add(four, group, lanes.weights(*fourth)),
        ];
    }
    sums
}

#[inline(always)]
fn span<E>(copy: &[E], offset: u32, len: usize) -> Option<&[E]> {
    copy.get(offset as usize..offset as usize + len)
}

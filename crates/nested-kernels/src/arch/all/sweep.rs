//! The rows of a group over all pixels of a band.
use super::{
    Band,
    lanes::{Lanes, TILE},
    table::{QUAD, SHARED, TOGETHER},
};
use crate::{Geometry, requant::Finish};

/// The most pixels of a tile, and the room behind them that a copy of whole chunks reads.
const PIXELS: usize = 64 * TILE;
const ROOM: usize = PIXELS + CHUNK;

/// What is copied at once: as wide as the widest register.
pub(super) const CHUNK: usize = 64;

/// A band, and where its pixels go.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a, L: Lanes> {
    pub(super) lanes: L,
    pub(super) band: &'a Band,
    pub(super) geometry: &'a Geometry,
    /// The band's first output row.
    pub(super) first: usize,
    /// Output rows to sweep.
    pub(super) rows: usize,
    pub(super) copy: &'a [L::Element],
}

impl<L: Lanes> Sweep<'_, L> {
    /// Sweeps a row alone over the band into its output map.
    #[inline(always)]
    pub(super) fn alone(&self, words: &[u32], finish: &Finish, output: &mut [i8]) -> Option<()> {
        let (sum, quads) = words.split_first()?;
        let (quads, _) = quads.as_chunks::<QUAD>();
        let origin = L::origin(finish.bias, *sum as i32);
        let mut lines = self.lines(output);
        let positions = self.positions();
        let mut pixels = [0; ROOM];
        let mut start = 0;
        while start < positions {
            let copy = self.copy.get(start..)?;
            let left = positions - start;
            // Small maps end in a short tile rather than in dropped pixels.
            let blocks = match left.div_ceil(L::PIXELS) {
                0 | 1 => tile::<L, 1>(self.lanes, copy, quads, origin, finish, &mut pixels),
                2 => tile::<L, 2>(self.lanes, copy, quads, origin, finish, &mut pixels),
                _ => tile::<L, TILE>(self.lanes, copy, quads, origin, finish, &mut pixels),
            };
            lines.write(&pixels, left.min(blocks * L::PIXELS));
            start += blocks * L::PIXELS;
        }
        Some(())
    }

    /// Sweeps rows that share `offsets` over the band, each into its output map.
    #[inline(always)]
    pub(super) fn together(
        &self,
        offsets: &[u32],
        words: &[u32],
        finishes: &[Finish; TOGETHER],
        output: &mut [i8],
    ) -> Option<()> {
        let (sums, words) = words.split_first_chunk::<TOGETHER>()?;
        let (quads, _) = words.as_chunks::<SHARED>();
        let (offsets, _) = offsets.as_chunks::<4>();
        let mut origins = [0; TOGETHER];
        for (origin, (finish, sum)) in origins.iter_mut().zip(finishes.iter().zip(sums)) {
            *origin = L::origin(finish.bias, *sum as i32);
        }
        let plane = self.geometry.output.height * self.geometry.output.width;
        let positions = self.positions();
        let mut pixels = [0; ROOM];
        let mut start = 0;
        let mut at = Position { y: self.first, x: 0 };
        while start < positions {
            let sums = block(self.lanes, self.copy.get(start..)?, offsets, quads, origins);
            let real = L::PIXELS.min(positions - start);
            let mut next = at;
            for ((sums, finish), output) in sums.into_iter().zip(finishes).zip(output.chunks_exact_mut(plane.max(1))) {
                self.lanes.finish(sums, finish, &mut pixels);
                let mut lines = Lines { at, ..self.lines(output) };
                lines.write(&pixels, real);
                next = lines.at;
            }
            at = next;
            start += L::PIXELS;
        }
        Some(())
    }

    fn positions(&self) -> usize {
        self.band.positions(self.rows, self.geometry.output.width)
    }

    fn lines<'o>(&self, output: &'o mut [i8]) -> Lines<'o> {
        let at = Position { y: self.first, x: 0 };
        Lines { output, width: self.geometry.output.width, pitch: self.band.pitch(), at }
    }
}

/// Where a sweep is in its output map; `x` runs over the pitch.
#[derive(Clone, Copy)]
struct Position {
    y: usize,
    x: usize,
}

/// An output map, written in the order of the flat sweep, which is `pitch` wide.
struct Lines<'a> {
    output: &'a mut [i8],
    width: usize,
    pitch: usize,
    at: Position,
}

impl Lines<'_> {
    /// Writes the next `len` pixels of the sweep, without those beyond the width.
    ///
    /// Whole chunks where there is room: what they write too much lies behind, and is written later.
    #[inline(always)]
    fn write(&mut self, pixels: &[i8; ROOM], len: usize) {
        let mut from = 0;
        while from < len {
            let step = (len - from).min(self.pitch - self.at.x);
            let real = step.min(self.width.saturating_sub(self.at.x));
            if let Some(to) = self.output.get_mut(self.at.y * self.width + self.at.x..)
                && let Some(pixels) = pixels.get(from..)
                && real > 0
            {
                move_chunks(pixels, to, real);
            }
            from += step;
            self.at.x += step;
            if self.at.x == self.pitch {
                self.at = Position { y: self.at.y + 1, x: 0 };
            }
        }
    }
}

/// Copies `len` pixels, in whole chunks where both slices have room for them.
// Apart from `copy_chunks`, because loops over single pixels that need no conversion are not vectorised.
#[inline(always)]
fn move_chunks(from: &[i8], to: &mut [i8], len: usize) {
    let mut done = 0;
    while done < len {
        let source = from.get(done..).and_then(|from| from.first_chunk::<CHUNK>());
        let target = to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>());
        let (Some(source), Some(target)) = (source, target) else { break };
        *target = *source;
        done += CHUNK;
    }
    if let (Some(from), Some(to)) = (from.get(done..len), to.get_mut(done..len)) {
        to.copy_from_slice(from);
    }
}

/// Converts `len` activations, in whole chunks where both slices have room for them.
#[inline(always)]
pub(super) fn copy_chunks<T: Copy>(from: &[i8], to: &mut [T], len: usize, convert: impl Fn(i8) -> T) {
    let mut done = 0;
    while done < len {
        let source = from.get(done..).and_then(|from| from.first_chunk::<CHUNK>());
        let target = to.get_mut(done..).and_then(|to| to.first_chunk_mut::<CHUNK>());
        let (Some(source), Some(target)) = (source, target) else { break };
        target.iter_mut().zip(source).for_each(|(to, from)| *to = convert(*from));
        done += CHUNK;
    }
    if let (Some(from), Some(to)) = (from.get(done..len), to.get_mut(done..len)) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
    }
}

/// Sweeps the `B` blocks of pixels at the start of `copy`; the number of blocks.
#[inline(always)]
fn tile<L: Lanes, const B: usize>(
    lanes: L,
    copy: &[L::Element],
    quads: &[[u32; QUAD]],
    origin: i32,
    finish: &Finish,
    pixels: &mut [i8; ROOM],
) -> usize {
    let sums = blocks::<L, B>(lanes, copy, quads, origin);
    for (sums, pixels) in sums.into_iter().zip(pixels.chunks_exact_mut(L::PIXELS)) {
        lanes.finish(sums, finish, pixels);
    }
    B
}

#[inline(always)]
fn blocks<L: Lanes, const B: usize>(lanes: L, copy: &[L::Element], quads: &[[u32; QUAD]], origin: i32) -> [L::Sums; B] {
    let mut sums = [lanes.splat(origin); B];
    let len = B * L::PIXELS;
    for [a, b, c, d, first, second] in quads {
        let (Some(a), Some(b), Some(c), Some(d)) =
            (span(copy, *a, len), span(copy, *b, len), span(copy, *c, len), span(copy, *d, len))
        else {
            return sums;
        };
        let weights = lanes.weights([*first, *second]);
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
    quads: &[[u32; SHARED]],
    origins: [i32; TOGETHER],
) -> [L::Sums; TOGETHER] {
    let [one, two, three, four] = origins;
    let mut sums = [lanes.splat(one), lanes.splat(two), lanes.splat(three), lanes.splat(four)];
    for ([a, b, c, d], [w0, w1, w2, w3, w4, w5, w6, w7]) in offsets.iter().zip(quads) {
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
            lanes.multiply_add(one, group, lanes.weights([*w0, *w1])),
            lanes.multiply_add(two, group, lanes.weights([*w2, *w3])),
            lanes.multiply_add(three, group, lanes.weights([*w4, *w5])),
            lanes.multiply_add(four, group, lanes.weights([*w6, *w7])),
        ];
    }
    sums
}

#[inline(always)]
fn span<E>(copy: &[E], offset: u32, len: usize) -> Option<&[E]> {
    copy.get(offset as usize..offset as usize + len)
}

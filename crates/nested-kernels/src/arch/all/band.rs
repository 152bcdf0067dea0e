//! The padded copy of the input rows that a band of output rows reads.
//!
//! It holds `[channel][phase y][phase x][rows][columns]`: with stride s, pixels whose padded position is congruent
//! modulo s lie together, so that for every stride a tap is a constant offset and neighbouring outputs read neighbouring
//! elements, across the ends of rows too. Outputs beyond a row's width are computed and dropped.
use super::{
    lanes::{Lanes, TILE},
    sweep::{CHUNK, copy_chunks},
};
use crate::Geometry;
use core::num::NonZeroUsize;

/// What the offsets of all backends hold, so that a layer that runs here runs on a microcontroller.
const OFFSETS: usize = 1 << 24;

/// Padding that is written at once.
const PADDING: usize = 16;

/// The layout of a band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    stride: NonZeroUsize,
    kernel_width: NonZeroUsize,
    /// Phases of a tap that occur: less than the stride when the kernel is smaller.
    phases: [usize; 2],
    /// Rows and columns of one phase's plane.
    plane: [usize; 2],
    /// Elements of the copy.
    pub(super) len: usize,
}

impl Band {
    /// The band of `rows` output rows; `None` when it does not fit the offsets.
    pub(super) fn new<L: Lanes>(geometry: &Geometry, channels: usize, rows: usize) -> Option<Band> {
        let step = NonZeroUsize::new(geometry.window.stride.into())?;
        let [kernel_height, kernel_width] = geometry.window.kernel.map(usize::from);
        let stride = step.get();
        let width = geometry.output.width;
        let plane = [
            rows.checked_sub(1)?.checked_add(kernel_height.div_ceil(stride))?,
            width.checked_sub(1)?.checked_add(kernel_width.div_ceil(stride))?,
        ];
        let phases = [kernel_height.min(stride), kernel_width.min(stride)];
        let planes = channels.checked_mul(phases[0] * phases[1])?;
        // The last tile reads up to its length past the last position of the last tap. Whole words.
        let len = plane[0].checked_mul(plane[1])?.checked_mul(planes)?.checked_add(TILE * L::PIXELS)?;
        let len = len.checked_next_multiple_of(4)?;
        (len < OFFSETS).then_some(Band {
            stride: step,
            kernel_width: NonZeroUsize::new(kernel_width)?,
            phases,
            plane,
            len,
        })
    }

    /// Words of the copy.
    pub(super) fn words<L: Lanes>(&self) -> usize {
        self.len * size_of::<L::Element>() / 4
    }

    /// Positions of the flat sweep over `rows` output rows of this width.
    pub(super) fn positions(&self, rows: usize, width: usize) -> usize {
        rows.saturating_sub(1) * self.plane[1] + width
    }

    /// Elements of one row of a plane: the step of the flat sweep from one output row to the next.
    pub(super) fn pitch(&self) -> usize {
        self.plane[1]
    }

    /// Where tap `kh · KW + kw` of channel 0 starts.
    pub(super) fn tap(&self, tap: usize) -> usize {
        let (kh, kw) = (tap / self.kernel_width, tap % self.kernel_width);
        let s = self.stride;
        let plane = (kh % s) * self.phases[1] + kw % s;
        (plane * self.plane[0] + kh / s) * self.plane[1] + kw / s
    }

    /// Elements from one channel to the next.
    pub(super) fn channel_step(&self) -> usize {
        self.phases[0] * self.phases[1] * self.plane[0] * self.plane[1]
    }

    /// Copies what the output rows from `first` on read, padded.
    #[inline(always)]
    pub(super) fn fill<L: Lanes>(&self, geometry: &Geometry, first: usize, input: &[i8], copy: &mut [L::Element]) {
        let map = geometry.input.height * geometry.input.width;
        let plane = self.plane[0] * self.plane[1];
        let mut start = 0;
        for source in input.chunks_exact(map.max(1)) {
            for phase_y in 0..self.phases[0] {
                for phase_x in 0..self.phases[1] {
                    let Some(copy) = copy.get_mut(start..) else { return };
                    let y = first * self.stride.get() + phase_y;
                    self.fill_plane::<L>(geometry, y, source, self.span(geometry, phase_x), copy);
                    start += plane;
                }
            }
        }
    }

    /// Fills one phase of one channel, at the start of `copy`; its first row is row `y` of the padded image.
    ///
    /// Whole chunks: what they write too much lies behind, and is written later.
    #[inline(always)]
    fn fill_plane<L: Lanes>(
        &self,
        geometry: &Geometry,
        y: usize,
        source: &[i8],
        Span { before, source: column, real }: Span,
        copy: &mut [L::Element],
    ) {
        let padding = L::element(geometry.zero_point);
        let ([height, pitch], stride) = (self.plane, self.stride.get());
        // Lines above the image, and inside it.
        let top = usize::from(geometry.window.padding.top);
        let above = top.saturating_sub(y).div_ceil(stride).min(height);
        let first = (y + above * stride).saturating_sub(top);
        let inside = geometry.input.height.saturating_sub(first).div_ceil(stride).min(height - above);
        fill_chunks(copy, above * pitch + before, padding);
        let Some(lines) = copy.get_mut(above * pitch + before..) else { return };
        let from = source.get(first * geometry.input.width + column..).unwrap_or(&[]);
        if stride == 1 {
            copy_lines(from, geometry.input.width, lines, pitch, real, inside, padding, L::element);
        } else {
            for (index, line) in lines.chunks_mut(pitch).take(inside).enumerate() {
                let from = from.get(index * stride * geometry.input.width..).unwrap_or(&[]);
                let Some((to, rest)) = line.split_at_mut_checked(real) else { continue };
                copy_every(stride, from, to, L::element);
                rest.fill(padding);
            }
        }
        if let Some(below) = lines.get_mut(inside * pitch..) {
            // Not before the line that a next plane begins with: that is its own padding, or written over.
            fill_chunks(below, (height - above - inside) * pitch, padding);
        }
    }

    /// What the rows of a phase take from the rows of the image.
    fn span(&self, geometry: &Geometry, phase: usize) -> Span {
        let (stride, length) = (self.stride.get(), self.plane[1]);
        let left = usize::from(geometry.window.padding.left);
        let before = left.saturating_sub(phase).div_ceil(stride).min(length);
        let source = (before * stride + phase).saturating_sub(left).min(geometry.input.width);
        let real = (geometry.input.width - source).div_ceil(stride).min(length - before);
        Span { before, source, real }
    }
}

/// Elements of padding before the real ones, the column of the first real one, and how many there are.
#[derive(Clone, Copy)]
struct Span {
    before: usize,
    source: usize,
    real: usize,
}

/// Copies lines of `width` elements, each followed by padding up to the next; both slices begin with the first line.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn copy_lines<T: Copy>(
    from: &[i8],
    from_pitch: usize,
    to: &mut [T],
    to_pitch: usize,
    width: usize,
    lines: usize,
    padding: T,
    convert: impl Fn(i8) -> T,
) {
    let mut starts = (0, 0);
    for _ in 0..lines {
        let (Some(from), Some(to)) = (from.get(starts.0..), to.get_mut(starts.1..)) else { return };
        starts = (starts.0 + from_pitch, starts.1 + to_pitch);
        // Most lines are of one chunk, with little padding: no loops.
        if width <= CHUNK
            && to_pitch - width <= PADDING
            && let (Some(from), Some(to)) = (from.first_chunk::<CHUNK>(), to.first_chunk_mut::<{ CHUNK + PADDING }>())
        {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = convert(*from));
            if let Some(to) = to.get_mut(width..width + PADDING) {
                to.fill(padding);
            }
            continue;
        }
        copy_chunks(from, to, width, &convert);
        if let Some(to) = to.get_mut(width..) {
            fill_chunks(to, to_pitch - width, padding);
        }
    }
}

/// Fills `len` elements, in whole chunks where there is room.
#[inline(always)]
fn fill_chunks<T: Copy>(to: &mut [T], len: usize, element: T) {
    let mut done = 0;
    while done < len {
        let Some(chunk) = to.get_mut(done..).and_then(|to| to.first_chunk_mut::<PADDING>()) else { break };
        *chunk = [element; PADDING];
        done += PADDING;
    }
    to.iter_mut().take(len).skip(done).for_each(|to| *to = element);
}

/// Every `stride`-th element, from the first on. Stride 2 apart, so that it vectorises.
// Not inlined: the optimiser would sink the division that counts the elements into the loop over them.
#[inline(never)]
fn copy_every<T>(stride: usize, from: &[i8], to: &mut [T], convert: impl Fn(i8) -> T) {
    if stride == 2 {
        let (pairs, last) = from.as_chunks::<2>();
        to.iter_mut().zip(pairs).for_each(|(to, [from, _])| *to = convert(*from));
        if let (Some(to), [from]) = (to.get_mut(pairs.len()), last) {
            *to = convert(*from);
        }
        return;
    }
    to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = convert(*from));
}

//! The padded copy of the input rows that a band of output rows reads.
//!
//! It holds `[channel][phase y][plane x][rows][pitch]`: with stride s, rows whose padded position is congruent modulo s lie
//! together. So for every stride a tap is a constant offset, and neighbouring outputs read neighbouring elements, across the
//! ends of rows too. Along x there are two layouts:
//!
//! * *spread*, a plane for each column of the kernel, with the pixels that it meets, one for each output: the outputs of a
//!   band are one flat run;
//! * *dense*, a plane for each phase modulo s, of padded lines: a third of the memory when the kernel has three columns, but
//!   outputs beyond a row's width are computed and dropped.
use super::{
    copy::{CopyLines, fill},
    lanes::{Element, Lanes, TILE},
    sweep::Sweep,
};
use crate::{Geometry, requant::Finish};
use core::num::NonZeroUsize;

/// What the offsets of all backends hold, so that a layer that runs here runs on a microcontroller.
const OFFSETS: usize = 1 << 24;

/// The layout of a band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    stride: NonZeroUsize,
    kernel_width: NonZeroUsize,
    /// Phases of a tap's row that occur: less than the stride when the kernel is smaller.
    phases: usize,
    /// Rows of a plane.
    rows: usize,
    /// Planes along x of a phase, and the columns of one.
    planes: usize,
    pitch: usize,
    spread: bool,
    /// Elements of the copy.
    pub(super) len: usize,
}

impl Band {
    /// The band of `rows` output rows; `None` when it does not fit the offsets.
    pub(super) fn new<L: Lanes>(geometry: &Geometry, rows: usize, spread: bool) -> Option<Band> {
        let stride = NonZeroUsize::new(geometry.window.stride.into())?;
        let [kernel_height, kernel_width] = geometry.window.kernel.map(usize::from);
        let width = geometry.output.width;
        let rows = rows.checked_sub(1)?.checked_add(over(kernel_height, stride))?;
        let phases = kernel_height.min(stride.get());
        let (planes, pitch) = match spread {
            true => (kernel_width, width),
            false => (kernel_width.min(stride.get()), width.checked_sub(1)?.checked_add(over(kernel_width, stride))?),
        };
        let all = geometry.input.channels.checked_mul(phases * planes)?;
        // The last tile reads up to its length past the last position of the last tap. Whole words.
        let len = rows.checked_mul(pitch)?.checked_mul(all)?.checked_add(TILE * L::PIXELS)?;
        let len = len.checked_next_multiple_of(4)?;
        let kernel_width = NonZeroUsize::new(kernel_width)?;
        (len < OFFSETS).then_some(Band { stride, kernel_width, phases, rows, planes, pitch, spread, len })
    }

    /// Words of the copy.
    pub(super) fn words<L: Lanes>(&self) -> usize {
        self.len * size_of::<L::Element>() / 4
    }

    /// The sweep over the first `rows` output rows of a copy.
    #[inline(always)]
    pub(super) fn sweep<'a, L: Lanes>(
        &self,
        lanes: L,
        geometry: &Geometry,
        rows: usize,
        copy: &'a [L::Element],
        finish: Finish,
    ) -> Sweep<'a, L> {
        let (width, pitch) = (geometry.output.width, self.pitch);
        let end = rows.saturating_sub(1) * pitch + width;
        Sweep { lanes, copy, width, pitch, start: 0, end, line: 0, x: 0, finish }
    }

    fn plane(&self) -> usize {
        self.rows * self.pitch
    }

    /// Where tap `kh · KW + kw` of channel 0 starts.
    pub(super) fn tap(&self, tap: usize) -> usize {
        let (kh, kw) = (tap / self.kernel_width, tap % self.kernel_width);
        let (plane, x) = if self.spread { (kw, 0) } else { (kw % self.stride, kw / self.stride) };
        let plane = (kh % self.stride) * self.planes + plane;
        (plane * self.rows + kh / self.stride) * self.pitch + x
    }

    /// Elements from one channel to the next.
    pub(super) fn channel_step(&self) -> usize {
        self.phases * self.planes * self.plane()
    }

    /// Copies what the output rows from `first` on read, padded, of each channel that `input` begins with.
    #[inline(always)]
    pub(super) fn fill<L: Lanes>(
        &self,
        lanes: L,
        geometry: &Geometry,
        first: usize,
        input: &[i8],
        copy: &mut [L::Element],
    ) {
        let map = (geometry.input.height * geometry.input.width).max(1);
        let step = self.channel_step().max(1);
        let mut start = 0;
        for phase in 0..self.phases {
            let lines = self.lines(geometry, first * self.stride.get() + phase);
            for column in 0..self.planes {
                let span = self.span(geometry, column);
                let Some(copy) = copy.get_mut(start..) else { return };
                for (channel, copy) in copy.chunks_mut(step).take(input.len() / map).enumerate() {
                    let Some(copy) = copy.get_mut(..self.plane()) else { return };
                    let source = input.get(channel * map..).unwrap_or(&[]);
                    self.fill_plane(lanes, geometry, lines, span, source, copy);
                }
                start += self.plane();
            }
        }
    }

    /// Fills one plane from one channel, which `source` begins with.
    #[inline(always)]
    fn fill_plane<L: Lanes>(
        &self,
        lanes: L,
        geometry: &Geometry,
        lines: Span,
        columns: Span,
        source: &[i8],
        plane: &mut [L::Element],
    ) {
        let (padding, width) = (L::Element::of(geometry.zero_point), self.pitch);
        let Some((above, rest)) = plane.split_at_mut_checked(lines.before * width) else { return };
        let Some((inside, below)) = rest.split_at_mut_checked(lines.real * width) else { return };
        fill(above, padding);
        fill(below, padding);
        let source = source.get(lines.source * geometry.input.width + columns.source..).unwrap_or(&[]);
        let stride = self.stride.get();
        if stride == 1 && width == geometry.input.width {
            // One run; what lies where padding belongs is the ends of neighbouring lines.
            let len = inside.len().saturating_sub(columns.before + columns.source);
            if let (Some(to), Some(from)) = (inside.get_mut(columns.before..), source.get(..len)) {
                lanes.copy(from, to);
            }
            for column in (0..columns.before).chain(columns.before + columns.real..width) {
                inside.iter_mut().skip(column).step_by(width).for_each(|element| *element = padding);
            }
            return;
        }
        let Span { before, real, .. } = columns;
        // Where there is a second line, the map holds as much.
        let step = stride.saturating_mul(geometry.input.width);
        lanes.lines(CopyLines { from: source, stride, step, before, real, pitch: width }, padding, inside);
    }

    /// The rows of a plane whose first is row `y` of the padded image.
    fn lines(&self, geometry: &Geometry, y: usize) -> Span {
        Span::new(y, geometry.window.padding.top.into(), geometry.input.height, self.stride, self.rows)
    }

    /// The columns of the planes whose first is column `column` of the padded image.
    fn span(&self, geometry: &Geometry, column: usize) -> Span {
        Span::new(column, geometry.window.padding.left.into(), geometry.input.width, self.stride, self.pitch)
    }
}

/// What a line of a copy takes from a line of the image: elements of padding before the real ones, the place of the first
/// real one, and how many there are.
#[derive(Clone, Copy)]
struct Span {
    before: usize,
    source: usize,
    real: usize,
}

impl Span {
    /// Of a line of `len` elements from `start` of the padded image on, each `stride` behind the one before; the image is
    /// `size` long, with `padding` before it.
    fn new(start: usize, padding: usize, size: usize, stride: NonZeroUsize, len: usize) -> Span {
        let before = over(padding.saturating_sub(start), stride).min(len);
        let source = (start + before * stride.get()).saturating_sub(padding).min(size);
        let real = over(size - source, stride).min(len - before);
        Span { before, source, real }
    }
}

/// `⌈length / stride⌉`, without dividing for the usual strides.
fn over(length: usize, stride: NonZeroUsize) -> usize {
    match stride.get() {
        1 => length,
        2 => length.div_ceil(2),
        _ => length.div_ceil(stride.get()),
    }
}

//! The padded copy of the input rows that a band of output rows reads.
//!
//! It holds `[channel][phase y][phase x][rows][columns]`: with stride s, pixels whose padded position is congruent
//! modulo s lie together, so that for every stride a tap is a constant offset and neighbouring outputs read neighbouring
//! elements, across the ends of rows too. Outputs beyond a row's width are computed and dropped.
use super::lanes::WIDEST;
use crate::Geometry;
use core::num::NonZeroUsize;

/// Offsets share a word with a weight.
const OFFSETS: usize = 1 << 24;

/// The layout of a band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    stride: NonZeroUsize,
    kernel_width: NonZeroUsize,
    /// Phases of a tap that occur: less than the stride when the kernel is smaller.
    phases: [usize; 2],
    /// Rows and columns of one phase's plane.
    plane: [usize; 2],
    /// Positions of the flat sweep over the output rows.
    pub(super) positions: usize,
    len: usize,
}

impl Band {
    /// The band of `rows` output rows; `None` when it does not fit the offsets.
    pub(super) fn new(geometry: &Geometry, channels: usize, rows: usize) -> Option<Band> {
        let step = NonZeroUsize::new(geometry.window.stride.into())?;
        let [kernel_height, kernel_width] = geometry.window.kernel.map(usize::from);
        let stride = step.get();
        let width = geometry.output.width;
        let plane = [
            rows.checked_sub(1)?.checked_add(kernel_height.div_ceil(stride))?,
            width.checked_sub(1)?.checked_add(kernel_width.div_ceil(stride))?,
        ];
        let phases = [kernel_height.min(stride), kernel_width.min(stride)];
        let positions = (rows - 1).checked_mul(plane[1])?.checked_add(width)?;
        let planes = channels.checked_mul(phases[0] * phases[1])?;
        // The last tile reads up to WIDEST elements past the last position of the last tap.
        let len = plane[0].checked_mul(plane[1])?.checked_mul(planes)?.checked_add(WIDEST)?;
        (len < OFFSETS).then_some(Band {
            stride: step,
            kernel_width: NonZeroUsize::new(kernel_width)?,
            phases,
            plane,
            positions,
            len,
        })
    }

    /// The most output rows whose band fits `elements`; `None` when not even one does.
    pub(super) fn most_rows(geometry: &Geometry, channels: usize, elements: usize) -> Option<usize> {
        let fits = |rows| Band::new(geometry, channels, rows).is_some_and(|band| band.len <= elements);
        let (mut most, mut beyond) = (0, geometry.output.height + 1);
        while beyond - most > 1 {
            let middle = most.midpoint(beyond);
            if fits(middle) { most = middle } else { beyond = middle }
        }
        (most > 0).then_some(most)
    }

    /// Words of the copy.
    pub(super) fn words(&self) -> usize {
        self.len.div_ceil(2)
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
    pub(super) fn fill(&self, geometry: &Geometry, first: usize, input: &[i8], copy: &mut [i16]) {
        let map = geometry.input.height * geometry.input.width;
        let plane = self.plane[0] * self.plane[1];
        for phase_y in 0..self.phases[0] {
            for phase_x in 0..self.phases[1] {
                let span = self.span(geometry, phase_x);
                let start = (phase_y * self.phases[1] + phase_x) * plane;
                let channels = copy.chunks_exact_mut(self.channel_step().max(1));
                for (source, copy) in input.chunks_exact(map.max(1)).zip(channels) {
                    let Some(copy) = copy.get_mut(start..start + plane) else { return };
                    self.fill_plane(geometry, first * self.stride.get() + phase_y, source, span, copy);
                }
            }
        }
    }

    /// Fills one phase of one channel; its first row is row `y` of the padded image.
    fn fill_plane(&self, geometry: &Geometry, mut y: usize, source: &[i8], span: Span, copy: &mut [i16]) {
        let zero_point = i16::from(geometry.zero_point);
        let width = geometry.input.width;
        for line in copy.chunks_exact_mut(self.plane[1].max(1)) {
            let row = y
                .checked_sub(geometry.window.padding.top.into())
                .and_then(|y| source.get(y * width..(y + 1) * width)?.get(span.source..));
            y += self.stride.get();
            let real = row.and_then(|row| Some((row, line.get_mut(span.before..span.before + span.real)?)));
            let Some((row, real)) = real else {
                line.fill(zero_point);
                continue;
            };
            copy_every(self.stride.get(), row, real);
            line.iter_mut().take(span.before).for_each(|element| *element = zero_point);
            line.iter_mut().skip(span.before + span.real).for_each(|element| *element = zero_point);
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

/// Every `stride`-th element, from the first on. The common strides apart, so that they vectorise.
// Not inlined: the optimiser would sink the division that counts the elements into the loop over them.
#[inline(never)]
fn copy_every(stride: usize, from: &[i8], to: &mut [i16]) {
    match stride {
        1 => to.iter_mut().zip(from).for_each(|(to, from)| *to = i16::from(*from)),
        2 => {
            let (pairs, last) = from.as_chunks::<2>();
            to.iter_mut().zip(pairs).for_each(|(to, [from, _])| *to = i16::from(*from));
            if let (Some(to), [from]) = (to.get_mut(pairs.len()), last) {
                *to = i16::from(*from);
            }
        }
        _ => {
            let mut index = 0;
            for to in to {
                *to = from.get(index).map_or(0, |from| i16::from(*from));
                index += stride;
            }
        }
    }
}

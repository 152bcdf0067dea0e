//! The padded copy of the input rows that a band of output rows reads.
//!
//! It holds `[channel][phase y][phase x][rows][columns]`: with stride s, pixels whose padded position is congruent
//! modulo s lie together, so that for every stride a tap is a constant offset and neighbouring outputs read neighbouring
//! elements, across the ends of rows too. Outputs beyond a row's width are computed and dropped.
use super::sweep::TILE;
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
    /// Output rows, and positions of the flat sweep over them.
    pub(super) rows: usize,
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
        // The last tile reads up to TILE elements past the last position of the last tap.
        let len = plane[0].checked_mul(plane[1])?.checked_mul(planes)?.checked_add(TILE)?;
        (len < OFFSETS).then_some(Band {
            stride: step,
            kernel_width: NonZeroUsize::new(kernel_width)?,
            phases,
            plane,
            rows,
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
        let width = geometry.input.width;
        let zero_point = i16::from(geometry.zero_point);
        let map = width * geometry.input.height;
        let planes = self.channel_step();
        for (channel, copy) in input.chunks_exact(map.max(1)).zip(copy.chunks_exact_mut(planes.max(1))) {
            let lines = copy.chunks_exact_mut(self.plane[1].max(1));
            let rows = self.plane[0].max(1);
            for (line, copy) in lines.enumerate() {
                let (phase, row) = (line / rows, line % rows);
                let (phase_y, phase_x) = (phase / self.phases[1].max(1), phase % self.phases[1].max(1));
                let padded = (first + row) * self.stride.get() + phase_y;
                let source = padded
                    .checked_sub(geometry.window.padding.top.into())
                    .and_then(|y| channel.get(y * width..(y + 1) * width));
                match source {
                    Some(source) => self.fill_line(geometry, phase_x, source, copy),
                    None => copy.fill(zero_point),
                }
            }
        }
    }

    /// One row of a plane from one row of the image.
    fn fill_line(&self, geometry: &Geometry, phase: usize, source: &[i8], copy: &mut [i16]) {
        let zero_point = i16::from(geometry.zero_point);
        let left = usize::from(geometry.window.padding.left);
        // The first element that lies in the image, and its column there.
        let stride = self.stride.get();
        let before = left.saturating_sub(phase).div_ceil(stride).min(copy.len());
        let start = (before * stride + phase).saturating_sub(left);
        let (padding, copy) = copy.split_at_mut(before);
        padding.fill(zero_point);
        let source = source.get(start..).unwrap_or(&[]);
        let real = source.len().div_ceil(stride).min(copy.len());
        let (real, padding) = copy.split_at_mut(real);
        padding.fill(zero_point);
        if stride == 1 {
            for (to, from) in real.iter_mut().zip(source) {
                *to = i16::from(*from);
            }
        } else {
            for (to, from) in real.iter_mut().zip(source.iter().step_by(stride)) {
                *to = i16::from(*from);
            }
        }
    }
}

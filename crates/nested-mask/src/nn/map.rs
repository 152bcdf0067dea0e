//! Where elements stand: maps with a margin of zeros, so that padding is only addresses.
use super::kernels::Sweep;
use nested_csr::{TensorShape, Window};

/// Zeros around a map, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Margin {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

impl Margin {
    /// Enough for both.
    pub(crate) fn union(self, other: Margin) -> Margin {
        Margin {
            top: self.top.max(other.top),
            left: self.left.max(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.max(other.right),
        }
    }
}

/// The planes of one group of images: channel-major, each plane with its margin. Positions count vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub shape: TensorShape,
    pub margin: Margin,
}

impl Map {
    pub(crate) fn row(&self) -> usize {
        self.margin.left + self.shape.width + self.margin.right
    }

    pub(crate) fn plane(&self) -> usize {
        (self.margin.top + self.shape.height + self.margin.bottom) * self.row()
    }

    pub(crate) fn len(&self) -> usize {
        self.shape.channels * self.plane()
    }

    pub(crate) fn at(&self, channel: usize, y: usize, x: usize) -> usize {
        channel * self.plane() + (self.margin.top + y) * self.row() + self.margin.left + x
    }
}

/// Taps of one axis that reach the pixels `stride · j + phase` of the input: `(tap, shift)`, where the output pixel is
/// `j + shift`.
fn reach(kernel: u8, stride: u8, padding: u8, phase: usize) -> impl Iterator<Item = (usize, isize)> {
    let (stride, shifted) = (isize::from(stride), phase as isize + isize::from(padding));
    (0..usize::from(kernel)).filter_map(move |tap| {
        let distance = shifted - tap as isize;
        (distance.rem_euclid(stride) == 0).then_some((tap, distance.div_euclid(stride)))
    })
}

/// Pixels `stride · j + phase < size`.
fn pixels_of_phase(size: usize, stride: u8, phase: usize) -> usize {
    size.saturating_sub(phase).div_ceil(usize::from(stride))
}

/// Margin that a window's input needs: after the last output's last tap on one side, the padding on the other.
pub(crate) fn input_margin(window: Window, input: TensorShape, output: TensorShape) -> Margin {
    let stride = usize::from(window.stride);
    let after = |size: usize, outputs: usize, kernel: u8, before: u8| {
        ((outputs - 1) * stride + usize::from(kernel)).saturating_sub(size + usize::from(before))
    };
    let (top, left) = (window.padding.top, window.padding.left);
    Margin {
        top: top.into(),
        left: left.into(),
        bottom: after(input.height, output.height, window.kernel[0], top),
        right: after(input.width, output.width, window.kernel[1], left),
    }
}

/// Margin that the output's gradient needs, so that the input gradient may read it everywhere.
pub(crate) fn output_margin(window: Window, input: TensorShape, output: TensorShape) -> Margin {
    let axis = |size: usize, outputs: usize, kernel: u8, padding: u8| {
        let (mut before, mut after) = (0, 0);
        for phase in 0..usize::from(window.stride) {
            let count = pixels_of_phase(size, window.stride, phase) as isize;
            for (_, shift) in reach(kernel, window.stride, padding, phase).filter(|_| count > 0) {
                before = before.max(-shift);
                after = after.max(count - 1 + shift - (outputs as isize - 1));
            }
        }
        (before as usize, after as usize)
    };
    let (top, bottom) = axis(input.height, output.height, window.kernel[0], window.padding.top);
    let (left, right) = axis(input.width, output.width, window.kernel[1], window.padding.left);
    Margin { top, left, bottom, right }
}

/// The sweep of the forward pass: from the padded input to the inside of `output`.
pub(crate) fn forward_sweep(window: Window, input: &Map, output: &Map) -> Sweep {
    let stride = usize::from(window.stride);
    let (top, left) = (usize::from(window.padding.top), usize::from(window.padding.left));
    Sweep {
        height: output.shape.height,
        width: output.shape.width,
        source: (input.margin.top - top) * input.row() + input.margin.left - left,
        source_row: stride * input.row(),
        source_step: stride,
        target: output.at(0, 0, 0),
        target_row: output.row(),
        target_step: 1,
        target_plane: output.plane(),
        accumulate: false,
    }
}

/// One of the `stride²` sweeps of the input gradient: the input pixels of one phase, and the taps that reach them.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub sweep: Sweep,
    /// `(kh · KW + kw, offset in a plane of the output gradient)`.
    pub taps: Vec<(usize, usize)>,
}

/// The sweeps of the input gradient, from the output gradient (with its margin) to the input's (without one).
pub(crate) fn backward_phases(window: Window, input: TensorShape, output: &Map, accumulate: bool) -> Vec<Phase> {
    let stride = usize::from(window.stride);
    let mut phases = Vec::new();
    for (py, px) in (0..stride).flat_map(|py| (0..stride).map(move |px| (py, px))) {
        let height = pixels_of_phase(input.height, window.stride, py);
        let width = pixels_of_phase(input.width, window.stride, px);
        if height == 0 || width == 0 {
            continue;
        }
        let mut taps = Vec::new();
        for (kh, dy) in reach(window.kernel[0], window.stride, window.padding.top, py) {
            for (kw, dx) in reach(window.kernel[1], window.stride, window.padding.left, px) {
                let (y, x) = (output.margin.top as isize + dy, output.margin.left as isize + dx);
                let offset = y as usize * output.row() + x as usize;
                taps.push((kh * usize::from(window.kernel[1]) + kw, offset));
            }
        }
        if taps.is_empty() && accumulate {
            continue;
        }
        let sweep = Sweep {
            height,
            width,
            source: 0,
            source_row: output.row(),
            source_step: 1,
            target: py * input.width + px,
            target_row: stride * input.width,
            target_step: stride,
            target_plane: input.height * input.width,
            accumulate,
        };
        phases.push(Phase { sweep, taps });
    }
    phases
}

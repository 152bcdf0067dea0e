//! The naive reference: every output as the definition says, one multiplication at a time.
use crate::layers::Layer;
use alloc::vec::Vec;
use nested_csr::{Requantization, TensorShape, Window};

/// What becomes of a scaled sum.
#[derive(Clone, Copy, Debug)]
pub struct Finish {
    pub zero_point: i8,
    /// The least output.
    pub low: i8,
    /// The greatest.
    pub high: i8,
}

impl Finish {
    /// Without a clamp tighter than int8's own.
    pub const fn new(zero_point: i8) -> Finish {
        Finish { zero_point, low: i8::MIN, high: i8::MAX }
    }

    /// The output of a sum to which the row's bias is still to be added.
    fn output(&self, row: Requantization, sum: i64) -> i8 {
        let scaled = ((i64::from(row.bias) + sum) * i64::from(row.multiplier.m()) + (1 << 31)) >> 32;
        (scaled + i64::from(self.zero_point)).clamp(self.low.into(), self.high.into()) as i8
    }
}

/// The element under a tap of the window at output `(y, x)`; none in the padding.
fn under(
    shape: TensorShape,
    window: Window,
    input: &[i8],
    channel: usize,
    [y, x]: [usize; 2],
    [down, right]: [usize; 2],
) -> Option<i8> {
    let stride = usize::from(window.stride);
    let row = (y * stride + down).wrapping_sub(window.padding.top.into());
    let column = (x * stride + right).wrapping_sub(window.padding.left.into());
    let inside = row < shape.height && column < shape.width;
    inside.then(|| input[(channel * shape.height + row) * shape.width + column])
}

/// Every output of a window, in order: `f(channel, [y, x])`.
fn each(shape: TensorShape, window: Window, channels: usize, mut f: impl FnMut(usize, [usize; 2]) -> i8) -> Vec<i8> {
    let (height, width) = window.output(shape.height, shape.width).expect("a window that fits");
    let mut outputs = Vec::with_capacity(channels * height * width);
    for channel in 0..channels {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            outputs.push(f(channel, [y, x]));
        }
    }
    outputs
}

/// A layer's outputs, of its weights and requantisations. With `depthwise` a row reads its own input channel only.
pub fn outputs(
    layer: &Layer,
    depthwise: bool,
    (weights, rows): (&[i8], &[Requantization]),
    zero_point: i8,
    finish: Finish,
    input: &[i8],
) -> Vec<i8> {
    let Layer { input: shape, window, .. } = *layer;
    let [kernel_height, kernel_width] = window.kernel.map(usize::from);
    let depth = if depthwise { 1 } else { shape.channels };
    let columns = kernel_height * kernel_width * depth;
    each(shape, window, layer.rows, |row, at| {
        let weights = &weights[row * columns..(row + 1) * columns];
        let product = |(column, &weight): (usize, &i8)| {
            let (tap, c) = (column / depth, column % depth);
            let channel = if depthwise { row } else { c };
            let value = under(shape, window, input, channel, at, [tap / kernel_width, tap % kernel_width]);
            i64::from(weight) * i64::from(value.unwrap_or(zero_point))
        };
        finish.output(rows[row], weights.iter().enumerate().map(product).sum())
    })
}

/// A residual sum's outputs.
pub fn sums(weights: [i16; 2], row: Requantization, finish: Finish, left: &[i8], right: &[i8]) -> Vec<i8> {
    let weights = weights.map(i64::from);
    let sum = |(left, right): (&i8, &i8)| weights[0] * i64::from(*left) + weights[1] * i64::from(*right);
    left.iter().zip(right).map(|pair| finish.output(row, sum(pair))).collect()
}

/// The real elements under the window at an output.
fn elements(shape: TensorShape, window: Window, input: &[i8], channel: usize, at: [usize; 2]) -> Vec<i8> {
    let [height, width] = window.kernel.map(usize::from);
    let taps = (0..height).flat_map(|down| (0..width).map(move |right| [down, right]));
    taps.filter_map(|tap| under(shape, window, input, channel, at, tap)).collect()
}

/// An average pool's outputs.
pub fn average_pool(
    shape: TensorShape,
    window: Window,
    weight: i16,
    row: Requantization,
    finish: Finish,
    input: &[i8],
) -> Vec<i8> {
    each(shape, window, shape.channels, |channel, at| {
        let sum: i64 = elements(shape, window, input, channel, at).into_iter().map(i64::from).sum();
        finish.output(row, i64::from(weight) * sum)
    })
}

/// A max pool's outputs; of a window without a real element the least there is.
pub fn max_pool(shape: TensorShape, window: Window, input: &[i8]) -> Vec<i8> {
    let greatest = |channel, at| elements(shape, window, input, channel, at).into_iter().max().unwrap_or(i8::MIN);
    each(shape, window, shape.channels, greatest)
}

/// The elements of one map, then those of another.
pub fn concatenation(left: &[i8], right: &[i8]) -> Vec<i8> {
    [left, right].concat()
}

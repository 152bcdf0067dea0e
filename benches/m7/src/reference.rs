//! The naive reference: every output as the definition says, one multiplication at a time.
use crate::layers::Layer;
use alloc::vec::Vec;
use nested_csr::{Multiplier, NodeParameters, Requantization};

/// A layer's outputs. `depth` is the number of input channels that a row reads: all, or (depthwise) its own.
pub fn outputs(
    layer: &Layer,
    depthwise: bool,
    weights: &[i8],
    requantization: &[Requantization],
    [zero_point_in, zero_point_out]: [i8; 2],
    input: &[i8],
) -> Vec<i8> {
    let Layer { input: shape, window, rows, .. } = *layer;
    let (height, width) = window.output(shape.height, shape.width).expect("a reference layer's window fits");
    let [kernel_height, kernel_width] = window.kernel.map(usize::from);
    let depth = if depthwise { 1 } else { shape.channels };
    let columns = kernel_height * kernel_width * depth;
    let stride = usize::from(window.stride);
    let mut outputs = Vec::with_capacity(rows * height * width);
    for (row, weights) in weights.chunks_exact(columns).enumerate() {
        let Requantization { multiplier, bias } = requantization[row];
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = bias;
            for (column, &weight) in weights.iter().enumerate() {
                let (tap, c) = (column / depth, column % depth);
                let row_in = (y * stride + tap / kernel_width).wrapping_sub(window.padding.top.into());
                let column_in = (x * stride + tap % kernel_width).wrapping_sub(window.padding.left.into());
                let plane = if depthwise { row } else { c };
                let inside = row_in < shape.height && column_in < shape.width;
                let value = if inside {
                    input[(plane * shape.height + row_in) * shape.width + column_in]
                } else {
                    zero_point_in
                };
                sum += i32::from(weight) * i32::from(value);
            }
            let scaled = (i64::from(sum) * i64::from(multiplier.m()) + (1 << 31)) >> 32;
            outputs.push((scaled + i64::from(zero_point_out)).clamp(-128, 127) as i8);
        }
    }
    outputs
}

/// A residual sum's outputs.
pub fn sums(parameters: &NodeParameters<'_>, multiplier: Multiplier, bias: i32, left: &[i8], right: &[i8]) -> Vec<i8> {
    let weights = parameters.input_weights.map(i64::from);
    let one = |(left, right): (&i8, &i8)| {
        let sum = i64::from(bias) + weights[0] * i64::from(*left) + weights[1] * i64::from(*right);
        let scaled = (sum * i64::from(multiplier.m()) + (1 << 31)) >> 32;
        let output = scaled + i64::from(parameters.output.zero_point);
        output.clamp(parameters.low.into(), parameters.high.into()) as i8
    };
    left.iter().zip(right).map(one).collect()
}

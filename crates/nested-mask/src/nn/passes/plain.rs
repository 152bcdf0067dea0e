//! Nodes without weights, forward and backward: sums, concatenations and pools.
use super::plan::Plan;
use crate::nn::{
    Activation,
    map::Map,
    pointwise::{Add, AddGradient, give},
    pool::{Pool, PoolGradient},
    vector::Scalar,
};
use nested_csr::{TensorShape, Window};
use rayon::prelude::*;

pub(super) fn add<T: Scalar>(
    plan: &Plan,
    (left_map, left): (&Map, &[T]),
    (right_map, right): (&Map, &[T]),
    to: &Map,
    activation: Activation,
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(left.par_chunks(plan.group(left_map.len())));
    groups.zip(right.par_chunks(plan.group(right_map.len()))).for_each(|((target, left), right)| {
        Add { left: (left_map, left), right: (right_map, right), to, activation, target }.run(plan.arch);
    });
}

pub(super) fn add_gradient<T: Scalar>(plan: &Plan, to: &Map, values: &[T], activation: Activation, own: &mut [T]) {
    let groups = own.par_chunks_mut(plan.group(to.shape.len())).zip(values.par_chunks(plan.group(to.len())));
    groups.for_each(|(gradient, values)| AddGradient { output: to, values, activation, gradient }.run(plan.arch));
}

/// One tensor's elements after the other's.
pub(super) fn concatenate<T: Scalar>(plan: &Plan, left: (&Map, &[T]), right: (&Map, &[T]), to: &Map, target: &mut [T]) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(left.1.par_chunks(plan.group(left.0.len())));
    groups.zip(right.1.par_chunks(plan.group(right.0.len()))).for_each(|((target, of_left), of_right)| {
        let mut channel = 0;
        for (map, values) in [(left.0, of_left), (right.0, of_right)] {
            let TensorShape { channels, height, width } = map.shape;
            for row in 0..channels * height {
                let start = map.at(row / height, row % height, 0) * plan.lanes;
                for vector in values[start..start + width * plan.lanes].chunks_exact(plan.lanes) {
                    target[to.at(channel, 0, 0) * plan.lanes..][..plan.lanes].copy_from_slice(vector);
                    channel += 1;
                }
            }
        }
    });
}

/// Gives an operand of a concatenation its part of the gradient: `length` elements of `whole`, from `start` on.
pub(super) fn part_gradient<T: Scalar>(
    plan: &Plan,
    own: &[T],
    whole: usize,
    start: usize,
    (length, target): (usize, &mut [T]),
    accumulate: bool,
) {
    let groups = target.par_chunks_mut(plan.group(length)).zip(own.par_chunks(plan.group(whole)));
    groups.for_each(|(target, own)| give(&own[start * plan.lanes..][..length * plan.lanes], target, accumulate));
}

pub(super) fn pool<T: Scalar>(
    plan: &Plan,
    (from, source): (&Map, &[T]),
    to: &Map,
    window: Window,
    greatest: bool,
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(source.par_chunks(plan.group(from.len())));
    groups.for_each(|(target, source)| Pool { from, to, window, greatest, source, target }.run(plan.arch));
}

pub(super) fn pool_gradient<T: Scalar>(
    plan: &Plan,
    (from, source): (&Map, &[T]),
    to: &Map,
    window: Window,
    greatest: bool,
    own: &[T],
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(from.shape.len())).zip(own.par_chunks(plan.group(to.shape.len())));
    groups.zip(source.par_chunks(plan.group(from.len()))).for_each(|((input_gradient, gradient), source)| {
        PoolGradient { from, to, window, greatest, source, gradient, input_gradient, lanes: plan.lanes }.run();
    });
}

//! The backend for every target: the algorithm of [`all`] over plain Rust.
use super::all::{
    self, Threads,
    lanes::{Lanes, Task, Unfinished},
};
use crate::{Geometry, KernelError, Scratch, requant::Finish};
use nested_csr::{Level, NodeParameters, Weights};

/// See [`crate::convolution`], which has checked all lengths.
pub(crate) fn convolution(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    all::convolution_with(Plain, Threads::One, weights, level, parameters, geometry, input, output, scratch)
}

/// See [`crate::convolution_parallel`], which has checked all lengths.
#[cfg(feature = "rayon")]
pub(crate) fn convolution_parallel(
    weights: &Weights<'_>,
    level: Level,
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    all::convolution_with(Plain, Threads::Pool, weights, level, parameters, geometry, input, output, scratch)
}

/// See [`crate::convolution_scratch`].
pub(crate) fn convolution_scratch(
    weights: &Weights<'_>,
    level: Level,
    geometry: &Geometry,
) -> Result<Scratch, KernelError> {
    all::convolution_scratch_with(Plain, weights, level, geometry)
}

/// See [`crate::depthwise`], which has checked all lengths.
pub(crate) fn depthwise(
    weights: &[i8],
    parameters: &NodeParameters<'_>,
    geometry: &Geometry,
    input: &[i8],
    output: &mut [i8],
    scratch: &mut [u32],
) -> Result<(), KernelError> {
    all::depthwise_with(Plain, weights, parameters, geometry, input, output, scratch)
}

/// See [`crate::depthwise_scratch`].
pub(crate) fn depthwise_scratch(geometry: &Geometry) -> Result<Scratch, KernelError> {
    all::depthwise_scratch_with(Plain, geometry)
}

/// Plain Rust, which compilers turn into what vector instructions the target has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

/// Pixels of [`Plain`]'s block.
const PLAIN: usize = 8;

impl Lanes for Plain {
    const PIXELS: usize = PLAIN;
    const TILE: usize = 3;
    // Never: compilers make a mess of it.
    const TOGETHER: u64 = 1000;
    type Element = i16;
    type Weight = i16;
    type Register = [i16; PLAIN];
    type Group = [[i16; PLAIN]; 4];
    type Weights = [i16; 4];
    type Sums = [i32; PLAIN];
    type Pixels = Unfinished<PLAIN>;
    type Narrow = Plain;

    #[inline(always)]
    fn narrow(self) -> Plain {
        self
    }

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        task.run()
    }

    #[inline(always)]
    fn element(activation: i8) -> i16 {
        activation.into()
    }

    /// Sums begin with the bias alone.
    #[inline(always)]
    fn total(self, _: &[i16]) -> i32 {
        0
    }

    #[inline(always)]
    fn origin(bias: i32, _: i32) -> i32 {
        bias
    }

    #[inline(always)]
    fn weight(weight: i8) -> i16 {
        weight.into()
    }

    #[inline(always)]
    fn weights(self, weights: [i16; 4]) -> Self::Weights {
        weights
    }

    #[inline(always)]
    fn load(self, from: &[i16]) -> Option<Self::Register> {
        from.first_chunk().copied()
    }

    #[inline(always)]
    fn group(self, taps: [Self::Register; 4]) -> Self::Group {
        taps
    }

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        [sum; PLAIN]
    }

    #[inline(always)]
    fn multiply_add(self, mut sums: Self::Sums, [a, b, c, d]: Self::Group, weights: Self::Weights) -> Self::Sums {
        let [first, second, third, fourth] = weights;
        add_pair(&mut sums, &a, &b, [first, second]);
        add_pair(&mut sums, &c, &d, [third, fourth]);
        sums
    }

    #[inline(always)]
    fn finish(self, sums: Self::Sums, finish: &Finish) -> Self::Pixels {
        Unfinished { sums, finish: *finish }
    }

    #[inline(always)]
    fn store(self, pixels: Self::Pixels, from: usize, to: &mut [i8]) {
        pixels.store(from, to);
    }
}

/// Adds the products of two taps: what compilers know as one instruction.
#[inline(always)]
fn add_pair(sums: &mut [i32; PLAIN], one: &[i16; PLAIN], two: &[i16; PLAIN], [first, second]: [i16; 2]) {
    let (first, second) = (i32::from(first), i32::from(second));
    for (sum, (one, two)) in sums.iter_mut().zip(one.iter().zip(two)) {
        *sum = sum.wrapping_add(first * i32::from(*one)).wrapping_add(second * i32::from(*two));
    }
}

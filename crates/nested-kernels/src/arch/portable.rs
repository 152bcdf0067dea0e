//! The backend for every target: the algorithm of [`all`] over plain Rust.
use super::all::{self, lanes::Lanes};
use crate::{Geometry, KernelError};
use nested_csr::{Level, NodeParameters, Weights};

pub(crate) use all::{convolution_scratch, depthwise_scratch};

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
    all::convolution_with(Plain, weights, level, parameters, geometry, input, output, scratch)
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

/// Plain Rust, which compilers turn into what vector instructions the target has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

/// Pixels of [`Plain`]'s register.
const PLAIN: usize = 8;

impl Lanes for Plain {
    const PIXELS: usize = PLAIN;
    type Weights = [i32; 2];
    type Sums = [i32; PLAIN];

    #[inline(always)]
    fn splat(self, sum: i32) -> Self::Sums {
        [sum; PLAIN]
    }

    #[inline(always)]
    fn weights(self, one: i8, two: i8) -> Self::Weights {
        [one.into(), two.into()]
    }

    #[inline(always)]
    fn multiply_add(self, mut sums: Self::Sums, one: &[i16], two: &[i16], [w1, w2]: Self::Weights) -> Self::Sums {
        if let (Some(one), Some(two)) = (one.first_chunk::<PLAIN>(), two.first_chunk::<PLAIN>()) {
            for (sum, (one, two)) in sums.iter_mut().zip(one.iter().zip(two)) {
                *sum = sum.wrapping_add(w1 * i32::from(*one)).wrapping_add(w2 * i32::from(*two));
            }
        }
        sums
    }

    #[inline(always)]
    fn store(self, sums: Self::Sums, to: &mut [i32]) {
        to.iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
    }
}

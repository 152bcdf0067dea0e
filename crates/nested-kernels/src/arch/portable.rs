//! The backend for every target: the algorithm of [`super::all`] over plain Rust.
use super::all::lanes::{Lanes, Unfinished};
use crate::requant::Finish;

/// Plain Rust, which compilers turn into what vector instructions the target has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

/// Pixels of [`Plain`]'s block.
const PLAIN: usize = 8;

impl Lanes for Plain {
    const NAME: &'static str = "portable";
    const PIXELS: usize = PLAIN;
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

//! Residual addition, four elements at a time: a dual 16-bit product weighs both operands.
use super::{Bounds, clamp, ops};
use crate::requant::Finish;

/// What all elements share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fours {
    /// Both operands' weights.
    weights: u32,
    bias: u32,
    multiplier: u32,
    zero_point: u32,
    bounds: Bounds,
}

impl Fours {
    pub(super) fn new(weights: [i32; 2], finish: &Finish) -> Self {
        let (multiplier, zero_point, bounds) = finish.parts();
        let [low, high] = bounds;
        Fours {
            weights: ops::bottoms(weights[0] as u32, weights[1] as u32),
            bias: finish.bias as u32,
            multiplier,
            zero_point: zero_point as u32,
            bounds: Bounds { zero_point, low, high },
        }
    }

    /// The sums of four elements, not yet clamped.
    #[inline(always)]
    pub(super) fn of(&self, left: [i8; 4], right: [i8; 4]) -> [i8; 4] {
        let word = |four: [i8; 4]| u32::from_le_bytes(four.map(|value| value as u8));
        let (left, right) = (word(left), word(right));
        // Elements 0 and 2, then 1 and 3.
        let [even, odd] = [(left, right), (left >> 8, right >> 8)].map(|(l, r)| [ops::extended(l), ops::extended(r)]);
        let pairs = [
            ops::bottoms(even[0], even[1]),
            ops::bottoms(odd[0], odd[1]),
            ops::tops(even[1], even[0]),
            ops::tops(odd[1], odd[0]),
        ];
        pairs.map(|pair| {
            let sum = ops::smlad(pair, self.weights, self.bias);
            ops::saturated(ops::smmlar(sum, self.multiplier, self.zero_point)) as i8
        })
    }

    /// Clamps finished sums.
    pub(super) fn clamp(&self, output: &mut [i8]) {
        clamp::clamp(output, self.bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nested_csr::{Multiplier, Requantization};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn four_sums_are_the_exact_ones(
            left: [i8; 4],
            right: [i8; 4],
            weights: [i16; 2],
            bias in -(1i32 << 29)..1 << 29,
            code: u16,
            zero_point: i8,
            bounds: [i8; 2],
        ) {
            let row = Requantization { multiplier: Multiplier::from_code(code), bias };
            let finish = Finish::from_parts(row, zero_point, bounds[0].min(bounds[1]), bounds[0].max(bounds[1]));
            let weights = weights.map(i32::from);
            let exact = |i: usize| {
                finish.apply(bias + weights[0] * i32::from(left[i]) + weights[1] * i32::from(right[i]))
            };
            let fours = Fours::new(weights, &finish);
            let mut sums = fours.of(left, right);
            fours.clamp(&mut sums);
            prop_assert_eq!(sums, core::array::from_fn(exact));
        }
    }
}

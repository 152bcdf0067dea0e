//! From accumulators to int8 outputs: `q = clamp(zp + ((acc · m + 2³¹) >> 32), low, high)`.
use nested_csr::{NodeParameters, Requantization};

/// One row's whole way from accumulator to output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    /// Added to the dot product.
    pub(crate) bias: i32,
    pub(crate) multiplier: u32,
    pub(crate) zero_point: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
}

impl Finish {
    #[inline(always)]
    pub(crate) fn new(row: Requantization, parameters: &NodeParameters<'_>) -> Self {
        let NodeParameters { zero_point, low, high, .. } = parameters;
        Self::from_parts(row, *zero_point, *low, *high)
    }

    /// `low ≤ high` is not required: as `min` after `max`, nothing panics and `high` wins.
    #[inline(always)]
    pub(crate) fn from_parts(row: Requantization, zero_point: i8, low: i8, high: i8) -> Self {
        Finish {
            bias: row.bias,
            multiplier: row.multiplier.m() as u32,
            zero_point: zero_point.into(),
            low: low.into(),
            high: high.into(),
        }
    }

    /// Multiplier, zero point, and bounds.
    #[cfg(any(test, nested_kernels_backend = "dsp"))]
    pub(crate) fn parts(&self) -> (u32, i8, [i8; 2]) {
        (self.multiplier, self.zero_point as i8, [self.low, self.high].map(|bound| bound as i8))
    }

    /// Requantises an accumulator that already holds the bias.
    #[inline(always)]
    pub(crate) fn apply(&self, accumulator: i32) -> i8 {
        (self.zero_point.wrapping_add(self.scaled(accumulator))).max(self.low).min(self.high) as i8
    }

    /// `(acc · m + 2³¹) >> 32`.
    ///
    /// The product is taken unsigned, of `acc + 2³¹`, and `2³¹ · m` taken off again: the high word is the same to the
    /// bit, and vector units without a signed 32 × 32 → 64 multiplication (SSE2) can do it.
    #[inline(always)]
    pub(crate) fn scaled(&self, accumulator: i32) -> i32 {
        let m = u64::from(self.multiplier);
        let shifted = u64::from(accumulator as u32 ^ 1 << 31);
        let product = (shifted * m).wrapping_add((1u64 << 31).wrapping_sub(m << 31));
        (product >> 32) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nested_csr::Multiplier;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_unsigned_product_is_the_signed_one(acc: i32, code: u16, zp: i8, bounds: [i8; 2]) {
            let multiplier = Multiplier::from_code(code);
            let [low, high] = [bounds[0].min(bounds[1]), bounds[0].max(bounds[1])];
            let finish = Finish::from_parts(Requantization { multiplier, bias: 0 }, zp, low, high);
            for acc in [acc, acc >> 8, acc >> 16, i32::MIN, i32::MAX, 0, -1] {
                let exact = (i64::from(acc) * i64::from(multiplier.m()) + (1 << 31)) >> 32;
                let expected = (i64::from(zp) + exact).clamp(low.into(), high.into());
                prop_assert_eq!(i64::from(finish.apply(acc)), expected);
            }
        }
    }
}

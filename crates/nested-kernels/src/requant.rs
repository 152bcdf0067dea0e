//! From accumulators to int8 outputs: `q = clamp(zp + ((acc · m + 2³¹) >> 32), low, high)`.
#[cfg(any(
    test,
    nested_kernels_backend = "x86_64",
    nested_kernels_backend = "aarch64",
    all(nested_kernels_backend = "portable", not(target_arch = "arm"))
))]
use nested_csr::Multiplier;
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

/// How the rows of a node are finished, each with a requantisation of its own.
#[cfg(any(
    test,
    nested_kernels_backend = "x86_64",
    nested_kernels_backend = "aarch64",
    all(nested_kernels_backend = "portable", not(target_arch = "arm"))
))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finishes<'a> {
    parameters: &'a NodeParameters<'a>,
}

#[cfg(any(
    test,
    nested_kernels_backend = "x86_64",
    nested_kernels_backend = "aarch64",
    all(nested_kernels_backend = "portable", not(target_arch = "arm"))
))]
impl<'a> Finishes<'a> {
    pub(crate) fn new(parameters: &'a NodeParameters<'a>) -> Self {
        Finishes { parameters }
    }

    /// Row `row`'s, which the node has. Read at once, where [`Requantizations::get`] tells the widths of biases apart: a row of
    /// a small map takes hardly longer than that.
    ///
    /// [`Requantizations::get`]: nested_csr::Requantizations::get
    #[inline(always)]
    pub(crate) fn of(self, row: usize) -> Finish {
        let (bytes, width) = self.parameters.rows.stored();
        let stored = bytes.get(row * (2 + width)..).and_then(|bytes| bytes.first_chunk::<8>());
        let requantization = match stored {
            // A code of two bytes, and a bias of `width` bytes.
            Some(stored) if (1..=4).contains(&width) => {
                let stored = u64::from_le_bytes(*stored);
                let bits = 8 * width as u32;
                let bias = ((stored << (48 - bits)) as i64 >> (64 - bits)) as i32;
                Requantization { multiplier: Multiplier::from_code(stored as u16), bias }
            }
            _ => self.parameters.rows.get(row),
        };
        Finish::new(requantization, self.parameters)
    }

    /// The zero point and the bounds, which rows have in common.
    #[inline(always)]
    pub(crate) fn common(self) -> Finish {
        let nothing = Requantization { multiplier: Multiplier::from_code(0), bias: 0 };
        Finish::new(nothing, self.parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

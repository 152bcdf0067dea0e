//! Softmax in integers, for a classifier's logits.
use crate::{
    KernelError,
    fixed::{FRACTION, LOG2_E, negative_power, scaled},
    geometry::check_length,
};

/// Turns int8 logits into probabilities: int8 of scale 1/256 and zero point −128.
///
/// `p = round(256 · e_i / Σ e)` with `e_i = 2^(−step · (max − q_i))` in fixed point.
///
/// ```
/// use nested_kernels::Softmax;
///
/// let mut probabilities = [0; 3];
/// Softmax::new(0.1).apply(&[40, 40, -128], &mut probabilities)?;
/// assert_eq!(probabilities, [0, 0, -128]); // one half each, and nothing
/// # Ok::<(), nested_kernels::KernelError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    step: u32,
}

impl Softmax {
    /// For logits of this scale: positive and finite. A scale that is not counts as 0, which makes all classes equal.
    pub const fn new(scale: f32) -> Self {
        Softmax { step: scaled(scale.to_bits(), LOG2_E, FRACTION) }
    }

    /// The probabilities of one image's logits.
    ///
    /// # Errors
    /// Slices of different lengths.
    pub fn apply(&self, logits: &[i8], probabilities: &mut [i8]) -> Result<(), KernelError> {
        check_length(logits.len(), probabilities.len(), |needed, given| KernelError::OutputLength { needed, given })?;
        let greatest = logits.iter().max().copied().unwrap_or(0);
        let exponential = |logit: &i8| self.exponential(greatest.abs_diff(*logit));
        let sum = logits.iter().map(exponential).fold(0u64, |sum, e| sum + u64::from(e)).max(1);
        for (probability, logit) in probabilities.iter_mut().zip(logits) {
            let rounded = (u64::from(exponential(logit)) * 256 + sum / 2) / sum;
            *probability = (rounded.min(255) as i32 - 128) as i8;
        }
        Ok(())
    }

    /// `2³¹ · 2^(−step · below)`: at most 2³¹.
    fn exponential(&self, below: u8) -> u32 {
        negative_power(u64::from(self.step) * u64::from(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    proptest! {
        #[test]
        fn probabilities_are_within_one_count_of_the_real_ones(
            logits in prop::collection::vec(any::<i8>(), 1..200),
            scale in 0.001..2.0f32,
        ) {
            let mut probabilities = vec![0; logits.len()];
            Softmax::new(scale).apply(&logits, &mut probabilities).unwrap();
            let greatest = *logits.iter().max().unwrap();
            let real = |logit: &i8| (f64::from(scale) * (f64::from(*logit) - f64::from(greatest))).exp();
            let sum: f64 = logits.iter().map(real).sum();
            let expected: Vec<f64> = logits.iter().map(|logit| (256.0 * real(logit) / sum).min(255.0)).collect();
            for (probability, expected) in probabilities.iter().zip(expected) {
                prop_assert!((f64::from(*probability) + 128.0 - expected).abs() <= 1.0);
            }
        }

        #[test]
        fn adding_a_constant_to_all_logits_changes_nothing(
            logits in prop::collection::vec(-100..100i8, 1..20),
            constant in -28..=27i8,
            step in 0..1u32 << 20,
        ) {
            let softmax = Softmax { step };
            let moved: Vec<i8> = logits.iter().map(|logit| logit + constant).collect();
            let (mut one, mut other) = (vec![0; logits.len()], vec![0; logits.len()]);
            softmax.apply(&logits, &mut one).unwrap();
            softmax.apply(&moved, &mut other).unwrap();
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn extreme_scales_and_lengths_do_not_fail() {
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX] {
            let mut probabilities = [0; 2];
            Softmax::new(scale).apply(&[127, -128], &mut probabilities).unwrap();
            assert!(probabilities == [0, 0] || probabilities == [127, -128], "{scale}: {probabilities:?}");
        }
        Softmax::new(1.0).apply(&[], &mut []).unwrap();
        let error = KernelError::OutputLength { needed: 2, given: 1 };
        assert_eq!(Softmax::new(1.0).apply(&[1, 2], &mut [0]), Err(error));
    }
}

//! Schedules: what the learning rate and the sparsity are at a moment of the training.
use crate::Ladder;

/// The cosine learning rate with a linear warm-up: a factor in `[0, 1]` of the peak rate, 0 at the end and, when it warms up, at
/// the start. A warm-up that lasts the whole training ends at the peak.
///
/// `progress` and `warm_up` are shares of the whole training, in `[0, 1]`. Source: Loshchilov & Hutter, SGDR (2017), one
/// cycle without restarts.
///
/// ```
/// use nested_mask::schedule::cosine;
/// assert_eq!(cosine(0.05, 0.1), 0.5);
/// assert_eq!(cosine(0.1, 0.1), 1.0);
/// assert!(cosine(1.0, 0.1) < 1e-12);
/// assert_eq!(cosine(1.0, 1.0), 1.0);
/// ```
pub fn cosine(progress: f64, warm_up: f64) -> f64 {
    if progress < warm_up {
        return progress / warm_up;
    }
    let after = ((progress - warm_up) / (1.0 - warm_up).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    0.5 * (1.0 + (std::f64::consts::PI * after).cos())
}

/// When sparsity grows: masks are re-ranked between `start` and `end`, then frozen. Shares of the whole training, with
/// `0 ≤ start ≤ end ≤ 1`, which [`crate::train::Config::check`] sees to. Where they are equal, sparsity is there at once.
///
/// ```
/// use nested_mask::schedule::Ramp;
/// let ramp = Ramp { start: 0.25, end: 0.75 };
/// assert_eq!([0.1, 0.5, 0.75].map(|progress| ramp.factor(progress)), [0.0, 0.875, 1.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// Up to here the network is dense.
    pub start: f64,
    /// From here on the ladder's sparsities hold and the masks are frozen.
    pub end: f64,
}

impl Ramp {
    /// The factor in `[0, 1]` of the final sparsities: `1 − (1 − t)³`.
    ///
    /// Source: Zhu & Gupta, To prune, or not to prune (2017).
    pub fn factor(&self, progress: f64) -> f64 {
        if progress >= self.end {
            return 1.0;
        }
        let t = ((progress - self.start) / (self.end - self.start)).clamp(0.0, 1.0);
        1.0 - (1.0 - t).powi(3)
    }

    /// The sparsity of each level at this moment: the ladder's times [`Self::factor`]. At first they are all 0, so they are no
    /// ladder; [`crate::NestedMask::by_score_with`] takes them.
    ///
    /// ```
    /// use nested_mask::{Ladder, schedule::Ramp};
    /// let (ramp, ladder) = (Ramp { start: 0.0, end: 0.5 }, Ladder::new([0.75, 0.5])?);
    /// assert_eq!(ramp.sparsities(&ladder, 0.0), [0.0, 0.0]);
    /// assert_eq!(ramp.sparsities(&ladder, 0.5), ladder.sparsities());
    /// # Ok::<(), nested_mask::LadderError>(())
    /// ```
    pub fn sparsities(&self, ladder: &Ladder, progress: f64) -> Vec<f64> {
        let factor = self.factor(progress);
        ladder.sparsities().iter().map(|sparsity| sparsity * factor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sparsity_never_falls_and_ends_at_the_ladder(start in 0.0..0.5f64, length in 0.0..0.5f64, p in 0.0..1.0f64, q in 0.0..1.0f64) {
            let ramp = Ramp { start, end: start + length };
            prop_assert!(ramp.factor(p.min(q)) <= ramp.factor(p.max(q)));
            prop_assert_eq!(ramp.factor(start + length), 1.0);
            prop_assert!(length == 0.0 || ramp.factor(start) == 0.0);
        }

        #[test]
        fn the_rate_stays_between_0_and_1(progress in 0.0..=1.0f64, warm_up in 0.0..=1.0f64) {
            prop_assert!((0.0..=1.0).contains(&cosine(progress, warm_up)));
        }
    }
}

//! The ladder: the sparsity of each level, sparsest first.
use nested_csr::{Level, MAX_LEVELS};

/// The sparsities of levels `1..=N`: strictly falling fractions in `[0, 1)`.
///
/// ```
/// use nested_mask::Ladder;
/// let ladder = Ladder::new([0.9, 0.8, 0.7])?;
/// assert_eq!(ladder.levels().number(), 3);
/// assert_eq!(ladder.sparsity(ladder.levels()), Some(0.7));
/// assert_eq!(ladder.sparsities(), [0.9, 0.8, 0.7]);
/// assert!(!ladder.is_dense() && Ladder::dense().is_dense());
/// # Ok::<(), nested_mask::LadderError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    sparsities: Vec<f64>,
}

/// What can be wrong with a ladder.
///
/// ```
/// use nested_mask::{Ladder, LadderError};
/// let error = Ladder::new([0.7, 0.9]);
/// assert_eq!(error, Err(LadderError::NotFalling { level: 2, sparsity: 0.9, previous: 0.7 }));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LadderError {
    /// No level at all.
    #[error("a ladder needs at least one sparsity")]
    Empty,
    /// More levels than the format holds.
    #[error("a ladder of {levels} levels: at most {MAX_LEVELS} are possible")]
    TooLong {
        /// How many were given.
        levels: usize,
    },
    /// A sparsity that is no fraction, or prunes all.
    #[error("sparsity {sparsity} of level {level} is outside [0, 1): it is a fraction, 0.9 for 90 %")]
    Outside {
        /// The level, from 1.
        level: usize,
        /// What was given.
        sparsity: f64,
    },
    /// A level that is not denser than the one before it.
    #[error("sparsity {sparsity} of level {level} is not below {previous} of level {}: levels grow denser", level - 1)]
    NotFalling {
        /// The level, from 1.
        level: usize,
        /// What was given.
        sparsity: f64,
        /// The sparsity of the level before.
        previous: f64,
    },
}

impl Ladder {
    /// A ladder of these sparsities (fractions, not per cent), sparsest level first.
    ///
    /// # Errors
    /// [`LadderError`]: none or too many, outside `[0, 1)` or not a number, not strictly falling.
    pub fn new(sparsities: impl Into<Vec<f64>>) -> Result<Ladder, LadderError> {
        let sparsities = sparsities.into();
        if sparsities.is_empty() {
            return Err(LadderError::Empty);
        }
        if sparsities.len() > MAX_LEVELS {
            return Err(LadderError::TooLong { levels: sparsities.len() });
        }
        for (index, &sparsity) in sparsities.iter().enumerate() {
            let level = index + 1;
            if !(0.0..1.0).contains(&sparsity) {
                return Err(LadderError::Outside { level, sparsity });
            }
            if index > 0 && sparsity >= sparsities[index - 1] {
                return Err(LadderError::NotFalling { level, sparsity, previous: sparsities[index - 1] });
            }
        }
        Ok(Ladder { sparsities })
    }

    /// The ladder of a network without masks: one level at sparsity 0.
    pub fn dense() -> Ladder {
        Ladder { sparsities: vec![0.0] }
    }

    /// Whether no level prunes anything.
    pub fn is_dense(&self) -> bool {
        self.sparsities == [0.0]
    }

    /// The densest level, whose number is how many there are.
    pub fn levels(&self) -> Level {
        // `new` refuses no and too many sparsities, and nothing changes them afterwards.
        Level::new(self.sparsities.len()).expect("1 to MAX_LEVELS sparsities")
    }

    /// The sparsities, sparsest level first.
    pub fn sparsities(&self) -> &[f64] {
        &self.sparsities
    }

    /// The sparsity of a level; `None` beyond the ladder.
    pub fn sparsity(&self, level: Level) -> Option<f64> {
        self.sparsities.get(level.number() - 1).copied()
    }
}

/// What computed sparsities may be beside what they stand for.
const ROUNDING: f64 = 1e-9;

/// How many levels these sparsities have, and they themselves without rounding: in `[0, 1]`, and where they do not fall, equal.
pub(crate) fn not_rising(sparsities: &[f64]) -> Result<(Level, Vec<f64>), LadderError> {
    if sparsities.is_empty() {
        return Err(LadderError::Empty);
    }
    let levels = Level::new(sparsities.len()).map_err(|_| LadderError::TooLong { levels: sparsities.len() })?;
    let mut previous = f64::INFINITY;
    let mut one = |(index, &sparsity): (usize, &f64)| {
        let level = index + 1;
        if !(-ROUNDING..=1.0 + ROUNDING).contains(&sparsity) {
            return Err(LadderError::Outside { level, sparsity });
        }
        if sparsity > previous + ROUNDING {
            return Err(LadderError::NotFalling { level, sparsity, previous });
        }
        previous = sparsity.clamp(0.0, 1.0).min(previous);
        Ok(previous)
    };
    Ok((levels, sparsities.iter().enumerate().map(&mut one).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sparsities_and_rounding_are_no_rise() {
        let of = |sparsities: &[f64]| not_rising(sparsities).map(|(levels, sparsities)| (levels.number(), sparsities));
        assert_eq!(of(&[0.9, 0.9, 0.0, -1e-12, 1e-12]), Ok((5, vec![0.9, 0.9, 0.0, 0.0, 0.0])));
        assert_eq!(of(&[1.0 + 1e-12, 0.5, 0.5 + 1e-12]), Ok((3, vec![1.0, 0.5, 0.5])));
        assert_eq!(of(&[]), Err(LadderError::Empty));
        assert_eq!(of(&[0.5; 9]), Err(LadderError::TooLong { levels: 9 }));
        assert_eq!(of(&[0.5, 0.6]), Err(LadderError::NotFalling { level: 2, sparsity: 0.6, previous: 0.5 }));
        assert_eq!(of(&[0.5, -0.1]), Err(LadderError::Outside { level: 2, sparsity: -0.1 }));
        assert!(matches!(of(&[f64::NAN]), Err(LadderError::Outside { level: 1, .. })));
    }

    #[test]
    fn a_bad_ladder_is_refused_by_name() {
        assert_eq!(Ladder::new([]), Err(LadderError::Empty));
        assert_eq!(Ladder::new([0.9, 0.9]), Err(LadderError::NotFalling { level: 2, sparsity: 0.9, previous: 0.9 }));
        assert_eq!(Ladder::new([1.0]), Err(LadderError::Outside { level: 1, sparsity: 1.0 }));
        assert!(matches!(Ladder::new([f64::NAN]), Err(LadderError::Outside { level: 1, .. })));
        assert_eq!(Ladder::new(vec![0.5; 9]), Err(LadderError::TooLong { levels: 9 }));
    }
}

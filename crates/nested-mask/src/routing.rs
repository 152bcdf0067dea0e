//! Gradient masking: which level's loss teaches which ring.
//!
//! With `M_k` the mask of level k and `g_k` the gradient of level k's loss with respect to the weights that it used,
//! every variant is `Σ_k A[ring][k] · g_k` on the weights of a ring, with `A[ring][k] = 0` for `k < ring`. Layers without
//! masks count as ring 1: every level uses them.
mod descent;

use crate::{MaskError, NestedMask};
pub use descent::Descent;
use ndarray::{Array, ArrayView, Dimension, Zip};
use nested_csr::MAX_LEVELS;
use num_traits::Float;
use rand::{Rng, RngExt};

/// How the gradients of the levels are routed to the rings.
///
/// ```
/// use nested_mask::Routing;
/// use rand::SeedableRng;
/// use rand_xoshiro::Xoshiro256PlusPlus;
///
/// let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
/// let step = Routing::default().draw(3, 0.0, &mut random)?; // one of three levels
/// let passes: Vec<usize> = (1..=3).filter(|&level| step.uses(level)).collect();
/// assert_eq!(passes.len(), 1);
/// # Ok::<(), nested_mask::RoutingError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Routing {
    /// `Σ_k M_k ⊙ g_k`: each weight learns from every level that uses it.
    Joint,
    /// Joint, divided by the number of levels that share the weight.
    Normalised,
    /// `Σ_k (M_k \ M_{k−1}) ⊙ g_k`: each ring learns only from the smallest level that contains it. Layers without masks count
    /// as ring 1, so they learn from level 1 alone, and the denser levels use them as they are.
    Ring,
    /// Rings trained in turn, from ring 1, each for an equal share of the training, the rings inside it fixed. Supports must be
    /// final within the first turn. Layers without masks count as ring 1, so they stand still after the first turn.
    Frozen,
    /// As [`Routing::Frozen`] at first, then as [`Routing::Sampled`] with all levels alike.
    Staged {
        /// Share of the training after which levels are drawn, in `[0, 1]`; 0: from the start, so that no ring ever stands
        /// still.
        until: f64,
    },
    /// One random level a step, drawn with these weights, one a level, in any unit (none: all alike).
    Sampled {
        /// Relative frequency of each level.
        weights: Vec<f64>,
    },
    /// The mean of the densest level and of one random level, drawn like [`Routing::Sampled`]'s. Source: Peste et al., CrAM
    /// (2022), the variant that adds the dense gradient.
    Anchored {
        /// Relative frequency of each level.
        weights: Vec<f64>,
    },
    /// Any matrix: the coefficient of level k's gradient in ring r's.
    Weighted(RoutingMatrix),
}

impl Default for Routing {
    /// One random level a step, all alike.
    fn default() -> Self {
        Routing::Sampled { weights: Vec::new() }
    }
}

/// What can be wrong with a routing.
///
/// ```
/// use nested_mask::{Routing, RoutingError};
/// let error = Routing::Sampled { weights: vec![1.0, 2.0] }.check(3);
/// assert_eq!(error, Err(RoutingError::Count { what: "sampling weights", given: 2, levels: 3 }));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// A number of gradients, weights or coefficients that is not that of the levels.
    #[error("{given} {what} for {levels} levels")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// The levels.
        levels: usize,
    },
    /// A weight or coefficient that is negative (a weight), infinite or not a number.
    #[error("{what} {value} at {index} is not usable")]
    Value {
        /// What it is.
        what: &'static str,
        /// Where.
        index: usize,
        /// What was given.
        value: f64,
    },
    /// Sampling weights that are all 0, or whose sum is infinite, so that each divided by it would be 0.
    #[error("the sum of the sampling weights is {sum}: it must be above 0 and finite")]
    Sum {
        /// Their sum.
        sum: f64,
    },
    /// A share of the training outside `[0, 1]`.
    #[error("stages until a share of {until} of the training: it must be from 0 to 1")]
    Until {
        /// What was given.
        until: f64,
    },
    /// A number of levels that no ladder has.
    #[error("{levels} levels: 1 to {MAX_LEVELS} are possible")]
    Levels {
        /// How many were given.
        levels: usize,
    },
    /// A matrix by which nothing learns.
    #[error("no ring learns: the routing matrix has no coefficient but 0 on its diagonal and to the right of it")]
    Idle,
    /// A gradient of another shape than the mask.
    #[error("level {level}: {error}")]
    Gradient {
        /// Whose gradient it is.
        level: usize,
        /// Both shapes.
        error: MaskError,
    },
    /// Weights, velocities or a routed gradient of another shape than the mask.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

/// The coefficient of each level's gradient in each ring's: what one step does.
///
/// ```
/// use nested_mask::{Block, Level, NestedMask, RoutingMatrix};
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mask = NestedMask::from_rings(array![[1, 2, 0]], Level::new(2)?, Block::OneByOne)?;
/// // Ring 1 learns from both levels alike, ring 2 from level 2.
/// let matrix = RoutingMatrix::new(2, vec![0.5, 0.5, 0.0, 1.0])?;
/// assert!(matrix.coefficient(1, 2) == 0.5 && matrix.uses(1) && matrix.trains(2));
/// let (g1, g2) = (array![[2.0, 2.0, 2.0]], array![[4.0, 4.0, 4.0]]);
/// assert_eq!(matrix.route(&[g1.view(), g2.view()], &mask)?, array![[3.0, 4.0, 0.0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RoutingMatrix {
    levels: usize,
    /// Ring-major: `[(ring − 1) · levels + (level − 1)]`.
    coefficients: Vec<f64>,
}

impl RoutingMatrix {
    /// A matrix of `levels × levels` coefficients, one row a ring, one column a level, both from 1. A level below the ring
    /// does not use its weights, so coefficients there have no effect.
    ///
    /// # Errors
    /// [`RoutingError::Levels`], [`RoutingError::Count`], [`RoutingError::Value`].
    pub fn new(levels: usize, coefficients: Vec<f64>) -> Result<RoutingMatrix, RoutingError> {
        check_levels(levels)?;
        if coefficients.len() != levels * levels {
            return Err(RoutingError::Count { what: "coefficients", given: coefficients.len(), levels });
        }
        if let Some(index) = coefficients.iter().position(|c| !c.is_finite()) {
            return Err(RoutingError::Value { what: "coefficient", index, value: coefficients[index] });
        }
        Ok(RoutingMatrix { levels, coefficients })
    }

    fn from_fn(levels: usize, coefficient: impl Fn(usize, usize) -> f64) -> RoutingMatrix {
        let pairs = (1..=levels).flat_map(|ring| (1..=levels).map(move |level| (ring, level)));
        let coefficients =
            pairs.map(|(ring, level)| if level < ring { 0.0 } else { coefficient(ring, level) }).collect();
        RoutingMatrix { levels, coefficients }
    }

    /// The coefficient of a level's gradient in a ring's; 0 for ring 0 and beyond the levels.
    pub fn coefficient(&self, ring: usize, level: usize) -> f64 {
        if ring == 0 || level < ring || level > self.levels {
            return 0.0;
        }
        self.coefficients[(ring - 1) * self.levels + level - 1]
    }

    /// Whether a level's gradient is used at all, so whether its pass is needed.
    pub fn uses(&self, level: usize) -> bool {
        (1..=level).any(|ring| self.coefficient(ring, level) != 0.0)
    }

    /// Whether a ring learns at all; ring 0 does not.
    pub fn trains(&self, ring: usize) -> bool {
        (ring..=self.levels).any(|level| self.coefficient(ring, level) != 0.0)
    }

    /// The weights' gradient: `Σ_k A[ring][k] · g_k`, 0 outside the densest level. Gradients come in the order of the levels.
    ///
    /// # Errors
    /// [`RoutingError::Count`], also for a mask of another number of levels; [`RoutingError::Gradient`].
    pub fn route<T: Float, D: Dimension>(
        &self,
        gradients: &[ArrayView<T, D>],
        mask: &NestedMask<D>,
    ) -> Result<Array<T, D>, RoutingError> {
        let levels = mask.levels().number();
        self.is_for(levels)?;
        if gradients.len() != levels {
            return Err(RoutingError::Count { what: "gradients", given: gradients.len(), levels });
        }
        let mut sum = Array::zeros(mask.rings().raw_dim());
        for (index, gradient) in gradients.iter().enumerate() {
            let of_level = |error| RoutingError::Gradient { level: index + 1, error };
            mask.check_shape("the gradient", gradient.shape()).map_err(of_level)?;
            let of_ring: Vec<T> = (0..=levels).map(|ring| cast(self.coefficient(ring, index + 1))).collect();
            Zip::from(&mut sum).and(gradient).and(mask.rings()).for_each(|sum, &g, &ring| {
                // A coefficient of 0 keeps out what the level does not use, infinities included.
                let coefficient = of_ring[usize::from(ring)];
                if coefficient != T::zero() {
                    *sum = *sum + coefficient * g;
                }
            });
        }
        Ok(sum)
    }

    /// Whether it is for this number of levels.
    fn is_for(&self, levels: usize) -> Result<(), RoutingError> {
        if self.levels == levels {
            return Ok(());
        }
        Err(RoutingError::Count { what: "rings in the routing matrix", given: self.levels, levels })
    }
}

fn cast<T: Float>(value: f64) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

impl Routing {
    /// Whether the parameters fit this number of levels, and something learns.
    ///
    /// # Errors
    /// [`RoutingError::Levels`], [`RoutingError::Count`], [`RoutingError::Value`], [`RoutingError::Sum`], [`RoutingError::Until`],
    /// [`RoutingError::Idle`].
    ///
    /// ```
    /// use nested_mask::{Routing, RoutingError, RoutingMatrix};
    /// let routing = Routing::Sampled { weights: vec![2.0, 1.0, 1.0] }; // level 1 twice as often
    /// assert_eq!(routing.check(3), Ok(()));
    /// assert!(routing.check(2).is_err());
    /// // A level below the ring does not use its weights.
    /// let idle = Routing::Weighted(RoutingMatrix::new(2, vec![0.0, 0.0, 1.0, 0.0])?);
    /// assert_eq!(idle.check(2), Err(RoutingError::Idle));
    /// # Ok::<(), RoutingError>(())
    /// ```
    pub fn check(&self, levels: usize) -> Result<(), RoutingError> {
        check_levels(levels)?;
        match self {
            Routing::Sampled { weights } | Routing::Anchored { weights } if !weights.is_empty() => {
                if weights.len() != levels {
                    return Err(RoutingError::Count { what: "sampling weights", given: weights.len(), levels });
                }
                let bad = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0));
                let sum: f64 = weights.iter().sum();
                match bad {
                    Some(index) => Err(RoutingError::Value { what: "sampling weight", index, value: weights[index] }),
                    None if sum == 0.0 || sum.is_infinite() => Err(RoutingError::Sum { sum }),
                    None => Ok(()),
                }
            }
            Routing::Staged { until } if !(0.0..=1.0).contains(until) => Err(RoutingError::Until { until: *until }),
            Routing::Weighted(matrix) => {
                matrix.is_for(levels)?;
                if (1..=levels).any(|ring| matrix.trains(ring)) { Ok(()) } else { Err(RoutingError::Idle) }
            }
            _ => Ok(()),
        }
    }

    /// The matrix of the whole training: what a step does on average (Sampled, Anchored, Staged), or does in each ring's turn
    /// (Frozen), and exactly what each step does for all others.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    ///
    /// ```
    /// use nested_mask::Routing;
    /// let matrix = Routing::Normalised.matrix(2)?;
    /// // Ring 1 is in both levels, ring 2 in level 2 alone.
    /// assert_eq!([(1, 1), (1, 2), (2, 2)].map(|(ring, level)| matrix.coefficient(ring, level)), [0.5, 0.5, 1.0]);
    /// # Ok::<(), nested_mask::RoutingError>(())
    /// ```
    pub fn matrix(&self, levels: usize) -> Result<RoutingMatrix, RoutingError> {
        self.check(levels)?;
        Ok(match self {
            Routing::Joint => RoutingMatrix::from_fn(levels, |_, _| 1.0),
            Routing::Normalised => RoutingMatrix::from_fn(levels, |ring, _| 1.0 / (levels - ring + 1) as f64),
            Routing::Ring | Routing::Frozen => RoutingMatrix::from_fn(levels, |ring, level| f64::from(ring == level)),
            Routing::Staged { until } => RoutingMatrix::from_fn(levels, |ring, level| {
                (until * f64::from(ring == level) + (1.0 - until)) / levels as f64
            }),
            Routing::Sampled { weights } => RoutingMatrix::from_fn(levels, |_, k| probability(weights, levels, k)),
            Routing::Anchored { weights } => {
                RoutingMatrix::from_fn(levels, |_, k| anchored(levels, k, probability(weights, levels, k)))
            }
            Routing::Weighted(matrix) => matrix.clone(),
        })
    }

    /// What one step does: `progress` is the share of the training that is done, in `[0, 1)` (for Frozen and Staged), `random`
    /// draws the level (for Sampled, Anchored and the later part of Staged; no other variant draws).
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn draw(&self, levels: usize, progress: f64, random: &mut impl Rng) -> Result<RoutingMatrix, RoutingError> {
        let average = self.matrix(levels)?;
        Ok(match self {
            Routing::Frozen => one_ring(levels, progress),
            Routing::Staged { until } if progress < *until => one_ring(levels, progress / until),
            Routing::Staged { .. } => one_level(levels, draw_level(&[], levels, random)),
            Routing::Sampled { weights } => one_level(levels, draw_level(weights, levels, random)),
            Routing::Anchored { weights } => {
                let drawn = draw_level(weights, levels, random);
                RoutingMatrix::from_fn(levels, |_, level| anchored(levels, level, f64::from(level == drawn)))
            }
            _ => average,
        })
    }

    /// The share of the training after which the first ring stands still, where rings do: of one level none does. Masks that
    /// are still ranked then would move its weights to other rings.
    ///
    /// ```
    /// use nested_mask::Routing;
    /// assert_eq!(Routing::Frozen.first_turn(4), Some(0.25));
    /// assert_eq!(Routing::Staged { until: 0.5 }.first_turn(4), Some(0.125)); // afterwards levels are drawn
    /// assert_eq!(Routing::default().first_turn(4), None);
    /// ```
    pub fn first_turn(&self, levels: usize) -> Option<f64> {
        match self {
            _ if levels < 2 => None,
            Routing::Frozen => Some(1.0 / levels as f64),
            Routing::Staged { until } if *until > 0.0 => Some(until / levels as f64),
            _ => None,
        }
    }

    /// Whether a step at this moment comes after the first ring's turn, by what [`Self::draw`] does.
    pub(crate) fn is_after_first_turn(&self, levels: usize, progress: f64) -> bool {
        match self {
            _ if levels < 2 => false,
            Routing::Frozen => turn(levels, progress) > 1,
            Routing::Staged { until } if *until > 0.0 => progress >= *until || turn(levels, progress / until) > 1,
            _ => false,
        }
    }

    /// [`RoutingMatrix::route`] with [`Self::matrix`].
    ///
    /// # Errors
    /// [`RoutingError`].
    ///
    /// ```
    /// use nested_mask::{Block, Level, NestedMask, Routing};
    /// use ndarray::array;
    /// let mask = NestedMask::from_rings(array![1, 2, 0].insert_axis(ndarray::Axis(0)), Level::new(2)?, Block::OneByOne)?;
    /// let (g1, g2) = (array![[1.0_f32, 1.0, 1.0]], array![[5.0_f32, 5.0, 5.0]]);
    /// assert_eq!(Routing::Normalised.route(&[g1.view(), g2.view()], &mask)?, array![[3.0, 5.0, 0.0]]);
    /// assert_eq!(Routing::Ring.route(&[g1.view(), g2.view()], &mask)?, array![[1.0, 5.0, 0.0]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn route<T: Float, D: Dimension>(
        &self,
        gradients: &[ArrayView<T, D>],
        mask: &NestedMask<D>,
    ) -> Result<Array<T, D>, RoutingError> {
        self.matrix(mask.levels().number())?.route(gradients, mask)
    }
}

/// Refuses numbers of levels that no ladder has.
fn check_levels(levels: usize) -> Result<(), RoutingError> {
    if (1..=MAX_LEVELS).contains(&levels) { Ok(()) } else { Err(RoutingError::Levels { levels }) }
}

/// The ring whose turn it is.
fn turn(levels: usize, progress: f64) -> usize {
    ((progress * levels as f64) as usize + 1).min(levels)
}

/// The ring whose turn it is learns from its own level.
fn one_ring(levels: usize, progress: f64) -> RoutingMatrix {
    let turn = turn(levels, progress);
    RoutingMatrix::from_fn(levels, |ring, level| f64::from(ring == turn && level == turn))
}

/// All rings of a level learn from it.
fn one_level(levels: usize, drawn: usize) -> RoutingMatrix {
    RoutingMatrix::from_fn(levels, |_, level| f64::from(level == drawn))
}

/// Probability that a level is drawn.
fn probability(weights: &[f64], levels: usize, level: usize) -> f64 {
    let sum: f64 = weights.iter().sum();
    weights.get(level - 1).map_or(1.0 / levels as f64, |weight| weight / sum)
}

fn draw_level(weights: &[f64], levels: usize, random: &mut impl Rng) -> usize {
    let mut left: f64 = random.random();
    let drawn = (1..=levels).find(|&level| {
        left -= probability(weights, levels, level);
        left < 0.0
    });
    // Rounding may leave a crumb after the last level.
    drawn.or((1..=levels).rev().find(|&level| probability(weights, levels, level) > 0.0)).unwrap_or(levels)
}

/// Half of a level's share, and half for the densest.
fn anchored(levels: usize, level: usize, share: f64) -> f64 {
    0.5 * share + 0.5 * f64::from(level == levels)
}

#[cfg(test)]
mod tests;

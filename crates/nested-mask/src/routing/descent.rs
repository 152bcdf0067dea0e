//! Gradient descent on nested weights, for training loops of one's own.
use super::{RoutingError, RoutingMatrix};
use crate::NestedMask;
use ndarray::{ArrayView, ArrayViewMut, Dimension, Zip};
use num_traits::Float;

/// Gradient descent with masked momentum: a ring that a step does not train keeps its value and its velocity, and does not
/// decay. With velocities that went on, what a step is not to train would drift; pruned weights would too.
///
/// An optimiser of another kind does the same by leaving weights and state as they are where
/// [`RoutingMatrix::trains`] is false of the weight's ring (it is for ring 0).
///
/// ```
/// use nested_mask::{Block, Descent, Level, NestedMask, RoutingMatrix};
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mask = NestedMask::from_rings(array![[1, 2, 0]], Level::new(2)?, Block::OneByOne)?;
/// let step = RoutingMatrix::new(2, vec![0.0, 0.0, 0.0, 1.0])?; // ring 2 learns from level 2, ring 1 stands still
/// let (g1, g2) = (array![[9.0, 9.0, 9.0]], array![[2.0, 2.0, 2.0]]);
/// let gradient = step.route(&[g1.view(), g2.view()], &mask)?;
///
/// let descent = Descent { learning_rate: 0.5, momentum: 0.5, weight_decay: 0.0 };
/// let (mut weights, mut velocity) = (array![[1.0, 1.0, 1.0]], array![[4.0, 4.0, 4.0]]);
/// descent.step(weights.view_mut(), velocity.view_mut(), gradient.view(), &mask, &step)?;
/// assert_eq!(velocity, array![[4.0, 4.0, 4.0]]); // of ring 2: 0.5 · 4 + 2
/// assert_eq!(weights, array![[1.0, -1.0, 1.0]]);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent<T> {
    /// What a velocity moves its weight by.
    pub learning_rate: T,
    /// Share of a velocity that a step keeps.
    pub momentum: T,
    /// Share of a weight that a step adds to its gradient.
    pub weight_decay: T,
}

impl<T: Float> Descent<T> {
    /// One step of the weights of the rings that `routing` trains, each by
    /// `velocity ← momentum · velocity + gradient + weight_decay · weight`, `weight ← weight − learning_rate · velocity`. The
    /// gradient is that of [`RoutingMatrix::route`] with the same routing.
    ///
    /// # Errors
    /// [`RoutingError::Mask`] for shapes that differ, [`RoutingError::Count`] for a mask of another number of levels than the
    /// routing's; then nothing has moved.
    pub fn step<D: Dimension>(
        &self,
        mut weights: ArrayViewMut<T, D>,
        mut velocity: ArrayViewMut<T, D>,
        gradient: ArrayView<T, D>,
        mask: &NestedMask<D>,
        routing: &RoutingMatrix,
    ) -> Result<(), RoutingError> {
        let levels = mask.levels().number();
        routing.is_for(levels)?;
        mask.check_shape("the weights", weights.shape())?;
        mask.check_shape("the velocities", velocity.shape())?;
        mask.check_shape("the gradient", gradient.shape())?;
        let trains: Vec<bool> = (0..=levels).map(|ring| routing.trains(ring)).collect();
        let all = Zip::from(&mut weights).and(&mut velocity).and(&gradient).and(mask.rings());
        all.for_each(|weight, velocity, &gradient, &ring| {
            if trains[usize::from(ring)] {
                self.move_one(weight, velocity, gradient);
            }
        });
        Ok(())
    }

    /// One step of one weight.
    #[inline]
    pub(crate) fn move_one(&self, weight: &mut T, velocity: &mut T, gradient: T) {
        *velocity = self.momentum * *velocity + gradient + self.weight_decay * *weight;
        *weight = *weight - self.learning_rate * *velocity;
    }
}

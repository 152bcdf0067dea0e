//! Saliency: what a weight is worth, so which weights the levels keep.
use crate::{MaskError, NestedMask, mask::check_shape};
use ndarray::{Array, ArrayView, Dimension, Zip};
use num_traits::Float;
use std::collections::HashSet;

/// What a weight is worth.
///
/// ```
/// use nested_mask::{Saliency, train::Config};
/// let config = Config { saliency: Saliency::FirstOrder, ..Config::default() };
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Saliency {
    /// `w²`.
    #[default]
    Magnitude,
    /// The moving mean of `(w · g)²` over the steps that used the weight, each of which counts 0.95 of the next: how much the
    /// loss changes, to first order, when the weight becomes 0.
    /// Source: Molchanov et al., Importance Estimation for Neural Network Pruning (2019), equation 8.
    FirstOrder,
}

/// `(w · g)²` of one step; its mean over steps is [`Saliency::FirstOrder`].
///
/// # Errors
/// [`MaskError::Shape`] for a gradient of another shape than the weights'.
///
/// ```
/// use ndarray::array;
/// let scores = nested_mask::saliency::first_order(array![[2.0, 1.0]].view(), array![[0.5, -3.0]].view())?;
/// assert_eq!(scores, array![[1.0, 9.0]]);
/// # Ok::<(), nested_mask::MaskError>(())
/// ```
pub fn first_order<T: Float, D: Dimension>(
    weights: ArrayView<T, D>,
    gradient: ArrayView<T, D>,
) -> Result<Array<T, D>, MaskError> {
    check_shape("the gradient", gradient.shape(), weights.shape())?;
    Ok(Zip::from(&weights).and(&gradient).map_collect(|&w, &g| w * g * (w * g)))
}

impl<D: Dimension> NestedMask<D> {
    /// Exchanges this share of the densest support, in `[0, 1]` (what is beyond counts as the nearest of the two): its blocks of
    /// the least sum of squares leave it, and of those outside it the blocks of the greatest sum of squares of the gradient come
    /// in, outermost. Each level keeps its number of blocks; the survivors are ranked
    /// anew by magnitude. What comes in should begin at 0. Source, for one level: Evci et al., Rigging the Lottery (2020).
    ///
    /// `gradient` is that of all weights, also of those outside the support.
    ///
    /// # Errors
    /// [`MaskError::Shape`], [`MaskError::NotANumber`].
    ///
    /// ```
    /// use nested_mask::{Block, Level, NestedMask};
    /// use ndarray::array;
    /// let mask = NestedMask::from_rings(array![[1, 2, 0, 0]], Level::new(2)?, Block::OneByOne)?;
    /// let (weights, gradient) = (array![[0.1, 2.0, 9.0, 9.0]], array![[0.0, 0.0, 1.0, -5.0]]);
    /// let exchanged = mask.regrow(weights.view(), gradient.view(), 0.5)?;
    /// assert_eq!(exchanged.rings(), &array![[0, 1, 0, 2]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn regrow<T: Float>(
        &self,
        weights: ArrayView<T, D>,
        gradient: ArrayView<T, D>,
        share: f64,
    ) -> Result<NestedMask<D>, MaskError> {
        self.check_shape("the weights", weights.shape())?;
        self.check_shape("the gradient", gradient.shape())?;
        let mut magnitudes = self.blocks_of(weights.view())?;
        let mut gradients = self.blocks_of(gradient.view())?;
        let rings = self.flat();
        magnitudes.retain(|&(_, start)| rings[start] != 0);
        let leaving = ((share.clamp(0.0, 1.0) * magnitudes.len() as f64).round() as usize).min(magnitudes.len());
        crate::mask::sort(&mut magnitudes);
        // A level has as many blocks as before: survivors fill the inner ones, newcomers the outer.
        let mut of_level: Vec<u8> = magnitudes.iter().map(|&(_, start)| rings[start]).collect();
        of_level.sort_unstable();
        magnitudes.truncate(of_level.len() - leaving);
        let survivors: HashSet<usize> = magnitudes.iter().map(|&(_, start)| start).collect();
        gradients.retain(|(_, start)| !survivors.contains(start));
        crate::mask::sort(&mut gradients);
        let order = magnitudes.iter().chain(&gradients).map(|&(_, start)| start);
        let mut exchanged = vec![0; rings.len()];
        for (start, ring) in order.zip(of_level) {
            exchanged[self.block_at(start)].fill(ring);
        }
        // `exchanged` was made with one for each weight.
        let exchanged = Array::from_shape_vec(self.rings().raw_dim(), exchanged).expect("one ring a weight");
        NestedMask::from_rings(exchanged, self.levels(), self.block())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, Ladder};
    use ndarray::Array2;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_exchange_keeps_the_number_of_blocks_of_each_level(
            seed in prop::collection::vec((-9i8..=9, -9i8..=9), 48),
            share in 0.0..=1.0f64,
            two in prop::bool::ANY,
        ) {
            let block = if two { Block::OneByTwo } else { Block::OneByOne };
            let of = |pick: fn(&(i8, i8)) -> i8| {
                Array2::from_shape_vec((4, 12), seed.iter().map(|pair| f64::from(pick(pair))).collect()).unwrap()
            };
            let (weights, gradient) = (of(|pair| pair.0), of(|pair| pair.1));
            let ladder = Ladder::new([0.8, 0.5]).unwrap();
            let mask = NestedMask::by_magnitude(weights.view(), &ladder, block).unwrap();
            let new = mask.regrow(weights.view(), gradient.view(), share).unwrap();
            for level in ladder.levels().up_to() {
                prop_assert_eq!(new.count(level), mask.count(level));
            }
            let stayed = mask.support(ladder.levels()).iter().zip(&new.support(ladder.levels()))
                .filter(|(old, new)| **old && **new).count();
            let least = ((1.0 - share) * mask.count(ladder.levels()) as f64).floor() as usize;
            prop_assert!(stayed + 2 * block.width() > least);
            // Nothing is exchanged when nothing is asked for.
            prop_assert_eq!(mask.regrow(weights.view(), gradient.view(), 0.0), Ok(mask.clone()));
        }
    }

    #[test]
    fn shapes_that_differ_and_gradients_that_are_no_numbers_are_refused() {
        let mask =
            NestedMask::by_magnitude(Array2::<f32>::ones((2, 2)).view(), &Ladder::dense(), Block::OneByOne).unwrap();
        let (good, wide) = (Array2::<f32>::ones((2, 2)), Array2::<f32>::ones((2, 3)));
        assert!(matches!(mask.regrow(good.view(), wide.view(), 0.5), Err(MaskError::Shape { .. })));
        assert!(matches!(first_order(good.view(), wide.view()), Err(MaskError::Shape { .. })));
        let nan = Array2::from_elem((2, 2), f32::NAN);
        assert_eq!(mask.regrow(good.view(), nan.view(), 0.5), Err(MaskError::NotANumber { index: 0 }));
    }
}

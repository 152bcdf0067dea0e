//! Which level to run: the densest whose cost fits the time that is left.
use nested_csr::{Level, MAX_LEVELS, Model};

/// Chooses a level for a budget, from the cost of each level.
///
/// Costs and budgets have whatever unit the costs were measured in: instructions, cycles or nanoseconds.
///
/// ```
/// use nested_kernels::Governor;
///
/// let governor = Governor::new(&[120_000, 200_000, 310_000]);
/// assert_eq!(governor.densest_within(250_000).map(|level| level.number()), Some(2));
/// assert_eq!(governor.densest_within(100_000), None);
///
/// // Level 3 is never chosen, as if the device had no flash for it.
/// let fewer = Governor::from_levels(|level| governor.cost(level).filter(|_| level.number() < 3));
/// assert_eq!(fewer.densest_within(1_000_000).map(|level| level.number()), Some(2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Governor {
    costs: [Option<u64>; MAX_LEVELS],
}

impl Governor {
    /// From measured costs, level 1 first; those past [`MAX_LEVELS`] are ignored.
    pub fn new(costs: &[u64]) -> Self {
        Self::from_levels(|level| costs.get(level.number() - 1).copied())
    }

    /// From the costs that the model's file states, in instructions.
    ///
    /// ```
    /// use nested_csr::{Level, Model};
    /// use nested_kernels::Governor;
    /// # use nested_csr::{ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 1, height: 2, width: 2 };
    /// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # builder.max_pool("", builder.input(), Window::square(2, 1, 0))?;
    /// # builder.set_costs(&[310_000, 480_000])?;
    /// # let bytes = builder.finish(Profile::Size)?.into_bytes();
    /// let model = Model::parse(bytes)?; // whose file states 310,000 and 480,000
    /// assert_eq!(Governor::of(&model).densest_within(400_000), Some(Level::FIRST));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn of<B: AsRef<[u8]>>(model: &Model<B>) -> Self {
        Self::from_levels(|level| model.cost(level).map(u64::from))
    }

    /// From a function; levels for which it gives `None` are never chosen.
    pub fn from_levels(cost: impl Fn(Level) -> Option<u64>) -> Self {
        let mut governor = Governor::default();
        for (number, slot) in (1..).zip(&mut governor.costs) {
            *slot = Level::new(number).ok().and_then(&cost);
        }
        governor
    }

    /// What a level costs, when it is known.
    pub fn cost(&self, level: Level) -> Option<u64> {
        self.costs.get(level.number() - 1).copied().flatten()
    }

    /// The densest level that costs at most `budget`; `None` when none does.
    pub fn densest_within(&self, budget: u64) -> Option<Level> {
        let fits = |(number, cost): (usize, &Option<u64>)| {
            Level::new(number).ok().filter(|_| cost.is_some_and(|cost| cost <= budget))
        };
        (1..).zip(&self.costs).filter_map(fits).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_choice_fits_and_no_denser_level_does(costs in prop::collection::vec(0..100u64, 0..=MAX_LEVELS), budget in 0..110u64) {
            let governor = Governor::new(&costs);
            let chosen = governor.densest_within(budget).map_or(0, Level::number);
            prop_assert!(chosen == 0 || costs[chosen - 1] <= budget);
            prop_assert!(costs[chosen..].iter().all(|cost| *cost > budget));
        }
    }
}

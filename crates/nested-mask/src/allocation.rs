//! Allocation: the sparsity of each layer, given that of all together.
use nested_csr::Shape;

/// How the ladder's sparsities are spread over the sparse layers. [`Allocation::sparsities`] has an example.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Allocation {
    /// Each layer has the ladder's sparsities.
    #[default]
    Uniform,
    /// Erdős–Rényi kernel: a layer's density is proportional to `(rows + inputs + KH + KW) / (rows · inputs · KH · KW)`, so
    /// that small layers stay denser. Source: Evci et al., Rigging the Lottery (2020), section 3.
    ErdosRenyiKernel,
    /// All layers' weights are ranked together; see [`crate::NestedMask::by_score_across`].
    Global,
    /// All layers' weights are ranked together, by score for each instruction that they cost; a level takes the instructions
    /// that [`Allocation::Uniform`] would take at the ladder's sparsity. Scores must compare between layers, as those of
    /// [`crate::Saliency::FirstOrder`] do: all are changes of one loss. It measured no better than [`Allocation::AUTOMATIC`], which
    /// needs no gradients.
    GlobalPerInstruction,
    /// Chosen by what a non-zero costs: a level takes the instructions that [`Allocation::Uniform`] would take at the ladder's
    /// sparsity, and spends more of them on layers of small maps. Overall sparsity then differs from the ladder's.
    ///
    /// With `n` weights of cost `c` in a layer whose Erdős–Rényi share is `u = rows + inputs + KH + KW`, its density is
    /// proportional to `(u / (n · c)) ^ exponent`, at most 1. At exponent 1 that maximises `Σ u · ln density` for the
    /// instructions (for costs that are all alike it is [`Allocation::ErdosRenyiKernel`]); at 0 it is uniform; between them
    /// the worth of a weight falls faster as its layer thins.
    PerInstruction {
        /// In `[0, 1]`; [`Allocation::sparsities`] takes what is beyond as the nearest of the two, a training refuses it.
        exponent: f64,
    },
}

/// Instructions of a non-zero that do not depend on the pixels: decoding it. The difference between 80 and 90 % of layers A
/// (1,024 pixels) and E (64) in the Cortex-M7 tables is that of about `pixels + 10` instructions a non-zero (13 more and 9).
const DECODING: f64 = 10.0;

/// The shape of a sparse layer, as an allocation sees it.
///
/// ```
/// use nested_mask::allocation::LayerShape;
/// // A 3×3 convolution from 16 to 32 channels that makes an 8×8 map.
/// let matrix = nested_csr::Shape { rows: 32, columns: 3 * 3 * 16 };
/// let layer = LayerShape { matrix, kernel: [3, 3], pixels: 64 };
/// assert!(layer.instructions() > 64.0); // one a pixel, and its decoding
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Its weight matrix.
    pub matrix: Shape,
    /// Height and width of its kernel.
    pub kernel: [usize; 2],
    /// Output pixels: how often each weight is used.
    pub pixels: usize,
}

impl LayerShape {
    fn weights(&self) -> f64 {
        self.matrix.len() as f64
    }

    /// Instructions on a Cortex-M7 that a non-zero costs, about.
    pub fn instructions(&self) -> f64 {
        self.pixels as f64 + DECODING
    }

    /// `rows + inputs + KH + KW`.
    fn share(&self) -> f64 {
        let [height, width] = self.kernel.map(|side| side.max(1) as f64);
        let inputs = self.matrix.columns as f64 / (height * width);
        self.matrix.rows as f64 + inputs + height + width
    }
}

impl Allocation {
    /// [`Allocation::PerInstruction`] half way between uniform and the greatest weight on cheap layers. At equal instructions it
    /// is more accurate than Erdős–Rényi densities and no less so than uniform ones, beyond noise, in the repository's
    /// comparison (ResNet-8): what to take when layers differ more than there.
    pub const AUTOMATIC: Allocation = Allocation::PerInstruction { exponent: 0.5 };

    /// The sparsity of each layer, such that all together have `sparsity` (of weights, or for
    /// [`Allocation::PerInstruction`] of instructions). Where `sparsity` falls, none of them rises, so levels nest. A layer
    /// without weights has no part in it, and the sparsity asked for.
    ///
    /// `None` for [`Allocation::Global`] and [`Allocation::GlobalPerInstruction`], which depend on the weights, and for a sparsity
    /// outside `[0, 1]` or that is no number.
    ///
    /// ```
    /// use nested_csr::Shape;
    /// use nested_mask::allocation::{Allocation, LayerShape};
    /// let layer = |rows, columns| LayerShape { matrix: Shape { rows, columns }, kernel: [3, 3], pixels: 64 };
    /// let layers = [layer(8, 72), layer(32, 288)];
    /// let sparsities = Allocation::ErdosRenyiKernel.sparsities(&layers, 0.9).ok_or("it depends on the weights")?;
    /// assert!(sparsities[0] < 0.9 && sparsities[1] > 0.9);
    /// let pruned = sparsities[0] * 576.0 + sparsities[1] * 9216.0;
    /// assert!((pruned / (576.0 + 9216.0) - 0.9).abs() < 1e-9);
    /// # Ok::<(), &str>(())
    /// ```
    pub fn sparsities(self, layers: &[LayerShape], sparsity: f64) -> Option<Vec<f64>> {
        if !(0.0..=1.0).contains(&sparsity) {
            return None;
        }
        let spread = |cost: &dyn Fn(&LayerShape) -> f64, density: &dyn Fn(&LayerShape) -> f64| {
            let weighing = layers.iter().filter(|layer| !layer.matrix.is_empty());
            let fillings = weighing.map(|layer| (cost(layer) * layer.weights(), density(layer)));
            let mut filled = fill(&fillings.collect::<Vec<_>>(), sparsity).into_iter();
            let of_layer = |layer: &LayerShape| if layer.matrix.is_empty() { None } else { filled.next() };
            layers.iter().map(of_layer).map(|of_layer| of_layer.unwrap_or(sparsity)).collect()
        };
        match self {
            Allocation::Uniform => Some(vec![sparsity; layers.len()]),
            Allocation::ErdosRenyiKernel => Some(spread(&|_| 1.0, &|layer| layer.share() / layer.weights())),
            Allocation::PerInstruction { exponent } => {
                let exponent = if exponent >= 0.0 { exponent.min(1.0) } else { 0.0 };
                let worth = |layer: &LayerShape| layer.share() / (layer.weights() * layer.instructions());
                Some(spread(&LayerShape::instructions, &|layer| worth(layer).powf(exponent)))
            }
            Allocation::Global | Allocation::GlobalPerInstruction => None,
        }
    }
}

/// The sparsities that spend `1 − sparsity` of the whole cost on densities of these proportions; one `(cost when dense,
/// proportion)` a layer. Layers that would be more than dense are dense, and the others share what is left.
fn fill(layers: &[(f64, f64)], sparsity: f64) -> Vec<f64> {
    let kept = (1.0 - sparsity) * layers.iter().map(|layer| layer.0).sum::<f64>();
    let mut dense = vec![false; layers.len()];
    loop {
        let of = |is_dense: bool| layers.iter().zip(&dense).filter(move |(_, dense)| **dense == is_dense);
        let left = kept - of(true).map(|((cost, _), _)| cost).sum::<f64>();
        let share: f64 = of(false).map(|((cost, density), _)| cost * density).sum();
        let factor = if share > 0.0 { left / share } else { 0.0 };
        let over: Vec<bool> =
            layers.iter().zip(&dense).map(|((_, density), dense)| *dense || factor * density >= 1.0).collect();
        if over == dense {
            let density = |((_, density), dense): (&(f64, f64), &bool)| if *dense { 1.0 } else { factor * density };
            return layers.iter().zip(&dense).map(density).map(|density| 1.0 - density).collect();
        }
        dense = over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPREAD: [Allocation; 4] = [
        Allocation::Uniform,
        Allocation::ErdosRenyiKernel,
        Allocation::PerInstruction { exponent: 0.5 },
        Allocation::PerInstruction { exponent: 1.0 },
    ];

    fn layers() -> impl Strategy<Value = Vec<LayerShape>> {
        let layer = (1usize..64, 1usize..64, 1usize..4, 1usize..1000).prop_map(|(rows, inputs, side, pixels)| {
            LayerShape { matrix: Shape { rows, columns: inputs * side * side }, kernel: [side, side], pixels }
        });
        prop::collection::vec(layer, 1..8)
    }

    proptest! {
        #[test]
        fn the_whole_has_the_sparsity_asked_for(layers in layers(), sparsity in 0.0..0.99f64) {
            for allocation in SPREAD {
                let sparsities = allocation.sparsities(&layers, sparsity).unwrap();
                prop_assert!(sparsities.iter().all(|s| (-1e-12..1.0).contains(s)));
                let cost = |layer: &LayerShape| match allocation {
                    Allocation::PerInstruction { .. } => layer.weights() * layer.instructions(),
                    _ => layer.weights(),
                };
                let all: f64 = layers.iter().map(cost).sum();
                let pruned: f64 = layers.iter().zip(&sparsities).map(|(layer, s)| s * cost(layer)).sum();
                prop_assert!((pruned / all - sparsity).abs() < 1e-9);
            }
        }

        #[test]
        fn no_layer_is_sparser_where_the_whole_is_denser(layers in layers(), a in 0.0..0.99f64, b in 0.0..0.99f64) {
            for allocation in SPREAD {
                let sparse = allocation.sparsities(&layers, a.max(b)).unwrap();
                let dense = allocation.sparsities(&layers, a.min(b)).unwrap();
                prop_assert!(dense.iter().zip(&sparse).all(|(d, s)| *d <= s + 1e-12));
            }
        }

        #[test]
        fn what_costs_more_is_kept_less(rows in 1usize..64, columns in 1usize..64, pixels in 1usize..500) {
            let layer = |pixels| LayerShape { matrix: Shape { rows, columns }, kernel: [1, 1], pixels };
            let layers = [layer(pixels), layer(2 * pixels)];
            let sparsities = Allocation::PerInstruction { exponent: 0.7 }.sparsities(&layers, 0.8).unwrap();
            prop_assert!(sparsities[0] < sparsities[1]);
            prop_assert_eq!(Allocation::Global.sparsities(&layers, 0.8), None);
        }

        #[test]
        fn with_costs_alike_it_is_erdos_renyi_and_with_exponent_0_uniform(mut layers in layers(), sparsity in 0.0..0.99f64) {
            let close = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9);
            let of = |allocation: Allocation, layers: &[LayerShape]| allocation.sparsities(layers, sparsity).unwrap();
            let uniform = of(Allocation::Uniform, &layers);
            let per_instruction = |exponent| Allocation::PerInstruction { exponent };
            let flat = of(per_instruction(0.0), &layers);
            prop_assert!(close(flat, uniform));
            layers.iter_mut().for_each(|layer| layer.pixels = 7);
            let erk = of(Allocation::ErdosRenyiKernel, &layers);
            let steep = of(per_instruction(1.0), &layers);
            prop_assert!(close(steep, erk));
        }
    }

    #[test]
    fn a_layer_without_weights_has_no_part() {
        let layer = |rows| LayerShape { matrix: Shape { rows, columns: 72 }, kernel: [3, 3], pixels: 64 };
        for allocation in SPREAD {
            let without = allocation.sparsities(&[layer(8), layer(32)], 0.9).unwrap();
            let with = allocation.sparsities(&[layer(8), layer(0), layer(32)], 0.9).unwrap();
            assert_eq!(with, [without[0], 0.9, without[1]], "{allocation:?}");
            assert_eq!(allocation.sparsities(&[layer(0)], 0.9), Some(vec![0.9]));
        }
    }

    #[test]
    fn sparsities_that_are_none_are_refused() {
        let layers = [LayerShape { matrix: Shape { rows: 8, columns: 72 }, kernel: [3, 3], pixels: 64 }];
        for allocation in SPREAD {
            for sparsity in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
                assert_eq!(allocation.sparsities(&layers, sparsity), None, "{allocation:?} {sparsity}");
            }
            for sparsity in [0.0, 1.0] {
                let found = allocation.sparsities(&layers, sparsity).unwrap();
                assert!((found[0] - sparsity).abs() < 1e-12, "{allocation:?}: {found:?}");
            }
        }
    }
}

//! Allocation: the sparsity of each layer, given that of all together.
use nested_csr::Shape;

/// How the ladder's sparsities are spread over the sparse layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// Each layer has the ladder's sparsities.
    #[default]
    Uniform,
    /// Erdős–Rényi kernel: a layer's density is proportional to `(rows + inputs + KH + KW) / (rows · inputs · KH · KW)`, so
    /// that small layers stay denser. Source: Evci et al., Rigging the Lottery (2020), section 3.
    ErdosRenyiKernel,
}

/// The shape of a sparse layer, as an allocation sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// Its weight matrix.
    pub matrix: Shape,
    /// Height and width of its kernel.
    pub kernel: [usize; 2],
}

impl LayerShape {
    fn weights(&self) -> f64 {
        (self.matrix.rows * self.matrix.columns) as f64
    }

    /// Density up to a factor that all layers share.
    fn raw_density(&self) -> f64 {
        let [height, width] = self.kernel.map(|side| side.max(1) as f64);
        let inputs = self.matrix.columns as f64 / (height * width);
        (self.matrix.rows as f64 + inputs + height + width) / self.weights()
    }
}

impl Allocation {
    /// The sparsity of each layer, such that all together have `sparsity`. Where `sparsity` falls, none of them rises, so
    /// levels nest.
    ///
    /// ```
    /// use nested_csr::Shape;
    /// use nested_mask::allocation::{Allocation, LayerShape};
    /// let layer = |rows, columns| LayerShape { matrix: Shape { rows, columns }, kernel: [3, 3] };
    /// let sparsities = Allocation::ErdosRenyiKernel.sparsities(&[layer(8, 72), layer(32, 288)], 0.9);
    /// assert!(sparsities[0] < 0.9 && sparsities[1] > 0.9);
    /// let pruned = sparsities[0] * 576.0 + sparsities[1] * 9216.0;
    /// assert!((pruned / (576.0 + 9216.0) - 0.9).abs() < 1e-9);
    /// ```
    pub fn sparsities(self, layers: &[LayerShape], sparsity: f64) -> Vec<f64> {
        match self {
            Allocation::Uniform => vec![sparsity; layers.len()],
            Allocation::ErdosRenyiKernel => erdos_renyi(layers, sparsity),
        }
    }
}

/// Layers that would be more than dense are dense, and the others share what is left.
fn erdos_renyi(layers: &[LayerShape], sparsity: f64) -> Vec<f64> {
    let kept = (1.0 - sparsity) * layers.iter().map(LayerShape::weights).sum::<f64>();
    let mut dense = vec![false; layers.len()];
    loop {
        let of = |is_dense: bool| layers.iter().zip(&dense).filter(move |(_, dense)| **dense == is_dense);
        let left = kept - of(true).map(|(layer, _)| layer.weights()).sum::<f64>();
        let share: f64 = of(false).map(|(layer, _)| layer.raw_density() * layer.weights()).sum();
        let factor = if share > 0.0 { left / share } else { 0.0 };
        let over: Vec<bool> =
            layers.iter().zip(&dense).map(|(layer, dense)| *dense || factor * layer.raw_density() >= 1.0).collect();
        if over == dense {
            let density =
                |(layer, dense): (&LayerShape, &bool)| if *dense { 1.0 } else { factor * layer.raw_density() };
            return layers.iter().zip(&dense).map(density).map(|density| 1.0 - density).collect();
        }
        dense = over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layers() -> impl Strategy<Value = Vec<LayerShape>> {
        let layer = (1usize..64, 1usize..64, 1usize..4).prop_map(|(rows, inputs, side)| LayerShape {
            matrix: Shape { rows, columns: inputs * side * side },
            kernel: [side, side],
        });
        prop::collection::vec(layer, 1..8)
    }

    proptest! {
        #[test]
        fn the_whole_has_the_sparsity_asked_for(layers in layers(), sparsity in 0.0..0.99f64) {
            for allocation in [Allocation::Uniform, Allocation::ErdosRenyiKernel] {
                let sparsities = allocation.sparsities(&layers, sparsity);
                prop_assert!(sparsities.iter().all(|s| (-1e-12..1.0).contains(s)));
                let all: f64 = layers.iter().map(LayerShape::weights).sum();
                let pruned: f64 = layers.iter().zip(&sparsities).map(|(layer, s)| s * layer.weights()).sum();
                prop_assert!((pruned / all - sparsity).abs() < 1e-9);
            }
        }

        #[test]
        fn no_layer_is_sparser_where_the_whole_is_denser(layers in layers(), a in 0.0..0.99f64, b in 0.0..0.99f64) {
            let sparse = Allocation::ErdosRenyiKernel.sparsities(&layers, a.max(b));
            let dense = Allocation::ErdosRenyiKernel.sparsities(&layers, a.min(b));
            prop_assert!(dense.iter().zip(&sparse).all(|(d, s)| *d <= s + 1e-12));
        }
    }
}

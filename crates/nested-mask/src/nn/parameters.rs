//! What a network learns.
use super::{Affine, Network, ParametersError, Scalar};
use crate::{NestedMask, mask::is_in};
use ndarray::{Array2, Ix2};
use nested_csr::{Level, Shape};
use rand::SeedableRng;
use rand_distr::{Distribution, Normal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Added to a variance before its root is taken, unless [`super::NetworkBuilder::with_epsilon`] says otherwise.
pub const EPSILON: f64 = 1e-5;

/// Batch normalisation of one layer at one level: `scale · (x − mean) / √(variance + ε) + shift`, one of each a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm<T> {
    /// γ.
    pub scale: Vec<T>,
    /// β.
    pub shift: Vec<T>,
    /// Running mean.
    pub mean: Vec<T>,
    /// Running variance.
    pub variance: Vec<T>,
}

impl<T: Scalar> Norm<T> {
    fn identity(rows: usize) -> Norm<T> {
        let (zero, one) = (vec![T::zero(); rows], vec![T::one(); rows]);
        Norm { scale: one.clone(), shift: zero.clone(), mean: zero, variance: one }
    }

    /// The normalisation as one product and one sum a row: `x · a + b`, with the network's ε ([`Network::epsilon`]). It has as
    /// many rows as the shortest of its vectors.
    ///
    /// ```
    /// use nested_mask::nn::{EPSILON, Norm};
    /// let norm = Norm { scale: vec![2.0], shift: vec![1.0], mean: vec![3.0], variance: vec![4.0 - EPSILON] };
    /// let (a, b) = norm.affine(EPSILON);
    /// assert!((a[0] - 1.0_f64).abs() < 1e-12 && (b[0] + 2.0).abs() < 1e-12);
    /// ```
    pub fn affine(&self, epsilon: f64) -> (Vec<T>, Vec<T>) {
        let epsilon = T::from_f64(epsilon);
        let rows = self.scale.iter().zip(&self.variance).zip(self.shift.iter().zip(&self.mean));
        let one = |((&scale, &variance), (&shift, &mean)): ((&T, &T), (&T, &T))| {
            let a = scale / (variance + epsilon).sqrt();
            (a, shift - mean * a)
        };
        rows.map(one).unzip()
    }

    fn vectors(&self) -> [&Vec<T>; 4] {
        [&self.scale, &self.shift, &self.mean, &self.variance]
    }
}

/// The parameters of one convolution or depthwise node; [`Parameters::random`] has an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer<T> {
    /// Row-major; columns are `(kh · KW + kw) · Cin + cin` (depthwise: `kh · KW + kw`). All levels share them.
    pub weights: Array2<T>,
    /// The ring of each weight, when the weights are nested.
    pub mask: Option<NestedMask<Ix2>>,
    /// One a row; empty when the layer is normalised.
    pub bias: Vec<T>,
    /// One a level; empty when the layer has a bias.
    pub norms: Vec<Norm<T>>,
}

impl<T> Layer<T> {
    /// Whether a weight is used at a level.
    pub(crate) fn counts(&self, level: Level) -> impl Fn(usize) -> bool {
        let rings = self.mask.as_ref().map(NestedMask::flat);
        move |place| rings.is_none_or(|rings| is_in(rings[place], level))
    }
}

impl<T: Scalar> Layer<T> {
    /// Whether all weights, biases and normalisations are finite numbers.
    pub(crate) fn is_finite(&self) -> bool {
        let of_norms = self.norms.iter().flat_map(Norm::vectors);
        self.weights.iter().chain(&self.bias).chain(of_norms.flatten()).all(|value| value.is_finite())
    }

    /// Whether all parts, however many levels there are, have the shape of the node.
    fn check_shape(&self, node: &str, shape: Shape, affine: Affine) -> Result<(), ParametersError> {
        let wrong = |what, found, expected| wrong(node, what, found, expected);
        wrong("rows of weights", self.weights.nrows(), shape.rows)?;
        wrong("columns of weights", self.weights.ncols(), shape.columns)?;
        wrong("biases", self.bias.len(), if affine == Affine::Norm { 0 } else { shape.rows })?;
        for values in self.norms.iter().flat_map(Norm::vectors) {
            wrong("values of a normalisation", values.len(), shape.rows)?;
        }
        let Some(mask) = &self.mask else { return Ok(()) };
        wrong("rows of the mask", mask.rings().nrows(), shape.rows)?;
        wrong("columns of the mask", mask.rings().ncols(), shape.columns)
    }

    /// Whether it has these levels.
    fn check_levels(&self, node: &str, affine: Affine, levels: Level) -> Result<(), ParametersError> {
        let normalisations = if affine == Affine::Norm { levels.number() } else { 0 };
        wrong(node, "normalisations of levels", self.norms.len(), normalisations)?;
        self.mask
            .as_ref()
            .map_or(Ok(()), |mask| wrong(node, "levels of the mask", mask.levels().number(), levels.number()))
    }

    /// Whether all can be computed with: what is not a number is none any more after an activation or a rounding.
    fn check_values(&self, node: &str) -> Result<(), ParametersError> {
        if !self.is_finite() {
            return Err(ParametersError::NotFinite { node: node.into() });
        }
        for (index, norm) in self.norms.iter().enumerate() {
            if let Some(row) = norm.variance.iter().position(|variance| *variance < T::zero()) {
                let (level, variance) = (index + 1, norm.variance[row].to_f64());
                return Err(ParametersError::Variance { node: node.into(), level, row, variance });
            }
        }
        Ok(())
    }
}

/// Refuses a number of parts that is not the expected one.
fn wrong(node: &str, what: &'static str, found: usize, expected: usize) -> Result<(), ParametersError> {
    if found == expected { Ok(()) } else { Err(ParametersError::Count { node: node.into(), what, found, expected }) }
}

impl Layer<f32> {
    /// Turns the sign of each row whose γ is negative, to the same output: `γ (w x − μ) / σ + β` is that of −γ, −w and −μ.
    /// Of a row whose γ is negative at one level and positive at another it yields the number.
    fn make_scales_positive(&mut self) -> Result<(), usize> {
        for (row, mut weights) in self.weights.rows_mut().into_iter().enumerate() {
            if !self.norms.iter().any(|norm| norm.scale[row] < 0.0) {
                continue;
            }
            if self.norms.iter().any(|norm| norm.scale[row] > 0.0) {
                return Err(row);
            }
            weights.mapv_inplace(|weight| -weight);
            for norm in &mut self.norms {
                (norm.scale[row], norm.mean[row]) = (-norm.scale[row], -norm.mean[row]);
            }
        }
        Ok(())
    }
}

/// The parameters of a network: one layer for each node with weights. [The module](super) has an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<T> {
    /// One a node; `None` for nodes without weights.
    pub layers: Vec<Option<Layer<T>>>,
}

impl<T: Scalar> Parameters<T> {
    /// Random weights (normal, variance 2 / taps; source: He et al. 2015), no masks, for `levels` levels.
    ///
    /// ```
    /// use nested_csr::{Level, TensorShape};
    /// use nested_mask::nn::{Parameters, resnet8};
    ///
    /// let network = resnet8(TensorShape { channels: 1, height: 28, width: 28 }, 0.5, 10)?;
    /// let parameters = Parameters::<f32>::random(&network, Level::new(3)?, 1);
    /// let with_weights: Vec<_> = parameters.layers.iter().flatten().collect();
    /// let (first, last) = (with_weights[0], with_weights[with_weights.len() - 1]);
    /// assert_eq!((first.weights.dim(), first.norms.len(), first.bias.len()), ((8, 9), 3, 0)); // a normalisation a level
    /// assert_eq!((last.weights.dim(), last.norms.len(), last.bias.len()), ((10, 32), 0, 10));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn random(network: &Network, levels: Level, seed: u64) -> Parameters<T> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let layers = (0..network.nodes().len()).map(|node| {
            let (shape, finish) = (network.weights(node)?, network.finish(node)?);
            let deviation = (2.0 / shape.columns as f64).sqrt();
            // No tensor of a checked network is empty, so that there is at least one column.
            let normal = Normal::new(0.0, deviation).expect("finite and positive");
            let draw = |_| T::from_f64(normal.sample(&mut random));
            let weights = Array2::from_shape_simple_fn((shape.rows, shape.columns), {
                let mut draw = draw;
                move || draw(())
            });
            let (bias, norms) = match finish.affine {
                Affine::Norm => (Vec::new(), vec![Norm::identity(shape.rows); levels.number()]),
                Affine::Bias => (vec![T::zero(); shape.rows], Vec::new()),
            };
            Some(Layer { weights, mask: None, bias, norms })
        });
        Parameters { layers: layers.collect() }
    }

    /// Whether these are the parameters of a network with this many levels: a layer a node with weights, each of the node's
    /// shape, and masks of its shape with these levels; all of them finite, and no variance negative. The memory order of the
    /// weights does not matter.
    ///
    /// # Errors
    /// [`ParametersError`] names the first node whose parameters are not its own.
    ///
    /// ```
    /// use nested_csr::{Level, TensorShape};
    /// use nested_mask::nn::{Parameters, ParametersError, resnet8};
    ///
    /// let network = resnet8(TensorShape { channels: 1, height: 28, width: 28 }, 0.5, 10)?;
    /// let mut parameters = Parameters::<f32>::random(&network, Level::FIRST, 1);
    /// parameters.check(&network, Level::FIRST)?;
    /// parameters.layers[0] = None;
    /// let error = parameters.check(&network, Level::FIRST).map_err(|error| error.to_string());
    /// assert_eq!(error, Err("node `conv1`: 0 layers, not 1".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, network: &Network, levels: Level) -> Result<(), ParametersError> {
        self.check_layers(network, |node, layer, affine| {
            layer.check_levels(node, affine, levels)?;
            layer.check_values(node)
        })
    }

    /// Whether passes of this level can be made with them, whatever the values are.
    pub(super) fn serves(&self, network: &Network, level: Level) -> Result<(), ParametersError> {
        self.check_layers(network, |node, layer, affine| {
            let missing = affine == Affine::Norm && layer.norms.len() < level.number();
            if missing { wrong(node, "normalisations of levels", layer.norms.len(), level.number()) } else { Ok(()) }
        })
    }

    /// Whether there is a layer of the right shape for each node with weights, and `check` finds nothing wrong with it.
    fn check_layers(
        &self,
        network: &Network,
        check: impl Fn(&str, &Layer<T>, Affine) -> Result<(), ParametersError>,
    ) -> Result<(), ParametersError> {
        if self.layers.len() != network.nodes().len() {
            return Err(ParametersError::Nodes { found: self.layers.len(), nodes: network.nodes().len() });
        }
        for (index, (node, layer)) in network.nodes().iter().zip(&self.layers).enumerate() {
            let of_node = network.weights(index).zip(network.finish(index));
            wrong(&node.name, "layers", usize::from(layer.is_some()), usize::from(of_node.is_some()))?;
            let (Some((shape, finish)), Some(layer)) = (of_node, layer) else { continue };
            layer.check_shape(&node.name, shape, finish.affine)?;
            check(&node.name, layer, finish.affine)?;
        }
        Ok(())
    }
}

impl Parameters<f32> {
    /// The same to start a training from: checked, row-major, one normalisation a level where there is one for all, no γ
    /// negative, and without masks; what they pruned is 0.
    pub(crate) fn into_start(mut self, network: &Network, levels: Level) -> Result<Parameters<f32>, ParametersError> {
        for layer in self.layers.iter_mut().flatten() {
            if let Some(mask) = &layer.mask
                && let Ok(used) = mask.apply(mask.levels(), layer.weights.view())
            {
                (layer.weights, layer.mask) = (used, None);
            }
            if let [one] = &layer.norms[..] {
                layer.norms = vec![one.clone(); levels.number()];
            }
            if !layer.weights.is_standard_layout() {
                layer.weights = layer.weights.as_standard_layout().into_owned();
            }
        }
        // A mask that is left is not of its weights' shape.
        self.check(network, levels)?;
        for (node, layer) in network.nodes().iter().zip(&mut self.layers) {
            let Some(layer) = layer else { continue };
            layer.make_scales_positive().map_err(|row| ParametersError::Signs { node: node.name.clone(), row })?;
        }
        Ok(self)
    }
}

/// The gradient of one layer's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerGradient<T> {
    /// Row-major, 0 where a weight does not count.
    pub weights: Vec<T>,
    /// Of the bias; empty when the layer is normalised.
    pub bias: Vec<T>,
    /// Of γ of the pass's level.
    pub scale: Vec<T>,
    /// Of β of the pass's level.
    pub shift: Vec<T>,
}

/// The gradient of one pass. [The module](super) has an example.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient<T> {
    /// One a node; `None` for nodes without weights.
    pub layers: Vec<Option<LayerGradient<T>>>,
}

impl<T: Scalar> Gradient<T> {
    /// Zeros for these parameters.
    pub fn zeros(parameters: &Parameters<T>) -> Gradient<T> {
        let zeros = |layer: &Layer<T>| LayerGradient {
            weights: vec![T::zero(); layer.weights.len()],
            bias: vec![T::zero(); layer.bias.len()],
            scale: vec![T::zero(); layer.norms.first().map_or(0, |norm| norm.scale.len())],
            shift: vec![T::zero(); layer.norms.first().map_or(0, |norm| norm.shift.len())],
        };
        Gradient { layers: parameters.layers.iter().map(|layer| layer.as_ref().map(zeros)).collect() }
    }

    /// Whether it is as long as these parameters, part for part.
    pub(super) fn is_of(&self, parameters: &Parameters<T>) -> bool {
        let layers = self.layers.iter().zip(&parameters.layers);
        self.layers.len() == parameters.layers.len()
            && layers.into_iter().all(|layers| match layers {
                (Some(gradient), Some(layer)) => {
                    let rows = layer.norms.first().map_or(0, |norm| norm.scale.len());
                    let found = [&gradient.weights, &gradient.bias, &gradient.scale, &gradient.shift].map(Vec::len);
                    found == [layer.weights.len(), layer.bias.len(), rows, rows]
                }
                (gradient, layer) => gradient.is_none() && layer.is_none(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::resnet8;
    use nested_csr::TensorShape;

    #[test]
    fn a_normalisation_of_unequal_vectors_has_the_rows_of_the_shortest() {
        let full = Norm { scale: vec![2.0; 3], shift: vec![1.0; 3], mean: vec![0.5; 3], variance: vec![3.0; 3] };
        type Part = fn(&mut Norm<f64>) -> &mut Vec<f64>;
        let cuts: [Part; 4] =
            [|norm| &mut norm.scale, |norm| &mut norm.shift, |norm| &mut norm.mean, |norm| &mut norm.variance];
        for cut in cuts {
            let mut short = full.clone();
            cut(&mut short).truncate(1);
            assert_eq!(short.affine(1.0), (vec![1.0], vec![0.5]));
        }
    }

    #[test]
    fn values_that_cannot_be_computed_with_are_named() {
        let network = resnet8(TensorShape { channels: 1, height: 8, width: 8 }, 0.25, 2).unwrap();
        let levels = Level::new(2).unwrap();
        let good = Parameters::<f32>::random(&network, levels, 1);
        let check = |change: &dyn Fn(&mut Layer<f32>)| {
            let mut parameters = good.clone();
            change(parameters.layers[0].as_mut().unwrap());
            parameters.check(&network, levels)
        };
        assert_eq!(check(&|layer| layer.norms[1].variance[3] = 0.0), Ok(()));
        let node = || "conv1".to_owned();
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let not_finite = Err(ParametersError::NotFinite { node: node() });
            assert_eq!(check(&|layer| layer.weights[(1, 2)] = value), not_finite);
            for part in 0..4 {
                let set = |layer: &mut Layer<f32>| {
                    let Norm { scale, shift, mean, variance } = &mut layer.norms[1];
                    [scale, shift, mean, variance][part][3] = value;
                };
                assert_eq!(check(&set), not_finite);
            }
        }
        let negative = ParametersError::Variance { node: node(), level: 2, row: 3, variance: -0.25 };
        assert_eq!(check(&|layer| layer.norms[1].variance[3] = -0.25), Err(negative));
    }
}

//! What a network learns.
use super::{Affine, Network, ParametersError, Scalar};
use crate::NestedMask;
use ndarray::{Array2, Ix2};
use nested_csr::Level;
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

    /// The normalisation as one product and one sum a row: `x · a + b`, with the network's ε ([`Network::epsilon`]).
    ///
    /// ```
    /// use nested_mask::nn::{EPSILON, Norm};
    /// let norm = Norm { scale: vec![2.0], shift: vec![1.0], mean: vec![3.0], variance: vec![4.0 - EPSILON] };
    /// let (a, b) = norm.affine(EPSILON);
    /// assert!((a[0] - 1.0_f64).abs() < 1e-12 && (b[0] + 2.0).abs() < 1e-12);
    /// ```
    pub fn affine(&self, epsilon: f64) -> (Vec<T>, Vec<T>) {
        let epsilon = T::from_f64(epsilon);
        let a: Vec<T> = self.scale.iter().zip(&self.variance).map(|(&s, &v)| s / (v + epsilon).sqrt()).collect();
        let b = (0..a.len()).map(|r| self.shift[r] - self.mean[r] * a[r]).collect();
        (a, b)
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
        let rings = self.mask.as_ref().and_then(|mask| mask.rings().as_slice());
        move |place| rings.is_none_or(|rings| rings[place] != 0 && usize::from(rings[place]) <= level.number())
    }
}

impl Layer<f32> {
    /// Whether all weights, biases and normalisations are finite numbers.
    pub(crate) fn is_finite(&self) -> bool {
        let of_norms = self.norms.iter().flat_map(|norm| [&norm.scale, &norm.shift, &norm.mean, &norm.variance]);
        self.weights.iter().chain(&self.bias).chain(of_norms.flatten()).all(|value| value.is_finite())
    }

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
    /// shape, and masks of its shape with these levels. The memory order of the weights does not matter.
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
        if self.layers.len() != network.nodes().len() {
            return Err(ParametersError::Nodes { found: self.layers.len(), nodes: network.nodes().len() });
        }
        for (index, (node, layer)) in network.nodes().iter().zip(&self.layers).enumerate() {
            let wrong = |what, found: usize, expected: usize| {
                let node = node.name.clone();
                if found == expected { Ok(()) } else { Err(ParametersError::Count { node, what, found, expected }) }
            };
            let Some((shape, finish)) = network.weights(index).zip(network.finish(index)) else {
                wrong("layers", usize::from(layer.is_some()), 0)?;
                continue;
            };
            wrong("layers", usize::from(layer.is_some()), 1)?;
            let Some(layer) = layer else { continue };
            let normalised = finish.affine == Affine::Norm;
            wrong("rows of weights", layer.weights.nrows(), shape.rows)?;
            wrong("columns of weights", layer.weights.ncols(), shape.columns)?;
            wrong("biases", layer.bias.len(), if normalised { 0 } else { shape.rows })?;
            wrong("normalisations of levels", layer.norms.len(), if normalised { levels.number() } else { 0 })?;
            for values in layer.norms.iter().flat_map(|norm| [&norm.scale, &norm.shift, &norm.mean, &norm.variance]) {
                wrong("values of a normalisation", values.len(), shape.rows)?;
            }
            if let Some(mask) = &layer.mask {
                wrong("rows of the mask", mask.rings().nrows(), shape.rows)?;
                wrong("columns of the mask", mask.rings().ncols(), shape.columns)?;
                wrong("levels of the mask", mask.levels().number(), levels.number())?;
            }
        }
        Ok(())
    }
}

impl Parameters<f32> {
    /// The same to start a training from: checked, finite, row-major, one normalisation a level where there is one for all, no γ
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
            if !layer.is_finite() {
                return Err(ParametersError::NotFinite { node: node.name.clone() });
            }
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
}

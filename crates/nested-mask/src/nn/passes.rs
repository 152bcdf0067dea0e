//! Passes through a network, forward and backward, over one batch of images.
//!
//! All memory is planned when the passes are made: forward and backward allocate nothing. A batch is cut into groups of images (one a
//! vector lane), groups into chunks; chunks run in parallel, and their sums are added in the order of the chunks, so that
//! results are the same to the bit for any number of threads.
mod loss;
mod plain;
mod plan;
mod weighted;

use super::{
    Affine, Network, Operation,
    map::Map,
    parameters::{Gradient, Parameters},
    pointwise::give,
    vector::{Buffer, Scalar, lanes},
};
pub use loss::Loss;
use nested_csr::{Level, TensorId, TensorShape};
use plain::{add, add_gradient, concatenate, part_gradient, pool, pool_gradient};
use plan::{Plan, later_readers, maps};
use pulp::Arch;
use rayon::prelude::*;
use weighted::Weighted;

/// Where normalisations take their statistics from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// From the batch, as in training.
    Batch,
    /// The running ones of the level, as in use.
    Running,
}

/// Which weights a backward pass gives a gradient; [`Passes::prepare_for`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Those that the level uses.
    Support,
    /// All: for a weight that the level does not use, what its gradient would be if it stood there with value 0.
    All,
}

/// The planned memory of passes over batches of up to a number of images. Parameters must be those of the network, or passes
/// panic: [`Parameters::check`] says whether they are.
///
/// ```
/// use ndarray::array;
/// use nested_csr::{Level, TensorShape};
/// use nested_mask::nn::{NetworkBuilder, Parameters, Passes, Statistics};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut builder = NetworkBuilder::new(TensorShape { channels: 2, height: 1, width: 1 });
/// builder.fully_connected("logits", builder.input(), 2)?;
/// let network = builder.finish()?;
/// let mut parameters = Parameters::<f64>::random(&network, Level::FIRST, 1);
/// for layer in parameters.layers.iter_mut().flatten() {
///     layer.weights = array![[1.0, 2.0], [3.0, 4.0]];
///     layer.bias = vec![0.5, 0.0];
/// }
/// let images = [[1.0, 1.0], [0.0, -1.0]];
/// let mut passes = Passes::new(&network, images.len());
/// passes.load(images.len(), |image, pixels| pixels.copy_from_slice(&images[image]));
/// passes.prepare(&parameters, Level::FIRST);
/// passes.forward(&parameters, Statistics::Running);
/// assert_eq!(passes.all_logits(), [3.5, 7.0, -1.5, -4.0]);
/// assert_eq!(passes.logits(1).collect::<Vec<_>>(), [-1.5, -4.0]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Passes<T> {
    network: Network,
    plan: Plan,
    maps: Vec<Map>,
    /// One a tensor, with margins.
    tensors: Vec<Buffer<T>>,
    /// For each operand of each node, whether a later node gives its tensor a gradient first.
    later: Vec<[bool; 2]>,
    /// One a tensor, without margins; empty for the images.
    gradients: Vec<Buffer<T>>,
    weighted: Vec<Option<Weighted<T>>>,
    /// One a lane of each group: 1, or 0 where there is no image.
    lanes: Buffer<T>,
    images: usize,
    /// The level that the tables are of.
    level: Level,
    /// Of the last forward pass.
    statistics: Statistics,
}

impl<T: Scalar> Passes<T> {
    /// Plans the memory for batches of up to `batch` images (at least 1).
    pub fn new(network: &Network, batch: usize) -> Passes<T> {
        let arch = Arch::new();
        let lanes = lanes::<T>(arch);
        let plan = Plan::new(arch, lanes, batch);
        let maps = maps(network);
        let zeros = |length: usize| Buffer::zeros(plan.groups * lanes * length);
        let tensors = maps.iter().map(|map| zeros(map.len())).collect();
        let gradients =
            maps.iter().enumerate().map(|(t, map)| zeros(if t == 0 { 0 } else { map.shape.len() })).collect();
        let later = later_readers(network);
        let weighted =
            (0..network.nodes().len()).map(|node| Weighted::new(network, node, &maps, &plan, later[node][0])).collect();
        let lanes = zeros(1);
        let (network, level, statistics) = (network.clone(), Level::FIRST, Statistics::Batch);
        Passes { network, plan, maps, tensors, later, gradients, weighted, lanes, images: 0, level, statistics }
    }

    /// The most images of a batch.
    pub fn batch(&self) -> usize {
        self.plan.batch
    }

    /// Images of the last batch.
    pub(crate) fn images(&self) -> usize {
        self.images
    }

    /// Puts images into the input. `write(image, pixels)` fills the channel-major pixels of one image, from any thread.
    ///
    /// # Panics
    /// With more images than [`Self::batch`].
    pub fn load(&mut self, images: usize, write: impl Fn(usize, &mut [T]) + Sync) {
        let Plan { lanes, batch, .. } = self.plan;
        assert!(images <= batch, "{images} images for passes of up to {batch}");
        self.images = images;
        let (images, map) = (self.images, self.maps[0]);
        for (image, lane) in self.lanes.as_mut_slice().iter_mut().enumerate() {
            *lane = if image < images { T::one() } else { T::zero() };
        }
        let groups = self.tensors[0].as_mut_slice().par_chunks_mut(self.plan.group(map.len()));
        groups.enumerate().for_each_init(
            || vec![T::zero(); map.shape.len()],
            |pixels, (group, vectors)| {
                for lane in 0..lanes {
                    let image = group * lanes + lane;
                    if image < images {
                        write(image, pixels);
                    } else {
                        pixels.fill(T::zero());
                    }
                    scatter(&map, pixels, vectors, lane, lanes);
                }
            },
        );
    }

    /// Makes the tables of the weights that count at a level, which the passes to come are of; needed before the first, and
    /// after weights, masks or level changed.
    ///
    /// # Panics
    /// With parameters that are not of the network, or have no normalisations of the level.
    pub fn prepare(&mut self, parameters: &Parameters<T>, level: Level) {
        self.prepare_for(parameters, level, Learning::Support);
    }

    /// [`Self::prepare`], for a backward pass that gives these weights a gradient.
    ///
    /// # Panics
    /// As [`Self::prepare`].
    ///
    /// ```
    /// use ndarray::array;
    /// use nested_csr::{Block, Level, TensorShape, Window};
    /// use nested_mask::NestedMask;
    /// use nested_mask::nn::{Finish, Gradient, Learning, NetworkBuilder, Parameters, Passes, Statistics};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // One row of two weights, of which the level uses the first.
    /// let mut builder = NetworkBuilder::new(TensorShape { channels: 2, height: 1, width: 1 });
    /// builder.convolution("row", builder.input(), Window::square(1, 1, 0), 1, Finish::BIAS.sparse())?;
    /// let network = builder.finish()?;
    /// let mut parameters = Parameters::<f64>::random(&network, Level::FIRST, 1);
    /// for layer in parameters.layers.iter_mut().flatten() {
    ///     layer.mask = Some(NestedMask::from_rings(array![[1, 0]], Level::FIRST, Block::OneByOne)?);
    /// }
    /// let mut passes = Passes::new(&network, 1);
    /// passes.load(1, |_image, pixels| pixels.copy_from_slice(&[3.0, 5.0]));
    /// let mut gradient = Gradient::zeros(&parameters);
    /// for (learning, expected) in [(Learning::Support, [3.0, 0.0]), (Learning::All, [3.0, 5.0])] {
    ///     passes.prepare_for(&parameters, Level::FIRST, learning);
    ///     passes.forward(&parameters, Statistics::Batch);
    ///     passes.seed(|_image, values, gradient| {
    ///         gradient[0] = 1.0; // of a loss that is the output itself
    ///         values[0]
    ///     });
    ///     passes.backward(&parameters, &mut gradient);
    ///     assert_eq!(gradient.layers[0].as_ref().map(|layer| &layer.weights[..]), Some(&expected[..]));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn prepare_for(&mut self, parameters: &Parameters<T>, level: Level, learning: Learning) {
        self.level = level;
        self.assert_serve(parameters);
        let nodes = self.weighted.par_iter_mut().zip(&parameters.layers);
        nodes.for_each(|(node, layer)| {
            if let (Some(node), Some(layer)) = (node, layer) {
                node.prepare(layer, level, learning);
            }
        });
    }

    /// What passes of the level need of their parameters.
    fn assert_serve(&self, parameters: &Parameters<T>) {
        if let Err(error) = parameters.serves(&self.network, self.level) {
            panic!("passes of level {} with parameters that are not for it: {error}", self.level);
        }
    }

    /// The forward pass of the prepared level, with the parameters that it was prepared with.
    ///
    /// # Panics
    /// As [`Self::prepare`].
    pub fn forward(&mut self, parameters: &Parameters<T>, statistics: Statistics) {
        self.assert_serve(parameters);
        self.statistics = statistics;
        for (index, node) in self.network.nodes().iter().enumerate() {
            let (made, rest) = self.tensors.split_at_mut(index + 1);
            let target = &mut rest[0];
            let to = &self.maps[index + 1];
            let of = |tensor: TensorId| (&self.maps[usize::from(tensor.0)], made[usize::from(tensor.0)].as_slice());
            match node.operation {
                Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => {
                    if let (Some(weighted), Some(layer)) = (&mut self.weighted[index], &parameters.layers[index]) {
                        weighted.multiply(&self.plan, of(input), statistics);
                        weighted.normalise(&self.plan, layer, self.level, statistics, self.images);
                        weighted.finish(&self.plan, to, self.lanes.as_slice(), target.as_mut_slice());
                    }
                }
                Operation::Add { left, right, activation } => {
                    add(&self.plan, of(left), of(right), to, activation, target.as_mut_slice());
                }
                Operation::AveragePool { input, window } => {
                    pool(&self.plan, of(input), to, window, false, target.as_mut_slice());
                }
                Operation::MaxPool { input, window } => {
                    pool(&self.plan, of(input), to, window, true, target.as_mut_slice());
                }
                Operation::Concatenation { left, right } => {
                    concatenate(&self.plan, of(left), of(right), to, target.as_mut_slice());
                }
            }
        }
    }

    /// Calls `see` with each value of a tensor that the last forward pass made (0: the images), margins left out; with none for
    /// a tensor that there is not.
    pub fn for_each_value(&self, tensor: TensorId, mut see: impl FnMut(T)) {
        let (tensor, lanes) = (usize::from(tensor.0), self.plan.lanes);
        let (Some(map), Some(values)) = (self.maps.get(tensor), self.tensors.get(tensor)) else { return };
        let groups = values.as_slice().chunks(self.plan.group(map.len()));
        for (group, vectors) in groups.enumerate() {
            let used = self.images.saturating_sub(group * lanes).min(lanes);
            for row in 0..map.shape.channels * map.shape.height {
                let start = map.at(row / map.shape.height, row % map.shape.height, 0) * lanes;
                for vector in vectors[start..start + map.shape.width * lanes].chunks_exact(lanes) {
                    vector[..used].iter().for_each(|&value| see(value));
                }
            }
        }
    }

    /// The backward pass of the last forward pass, with its parameters: from the gradient of the logits to that of the
    /// parameters, which takes the place of what `gradient` held. Statistics of the batch depend on them, running ones are constants.
    ///
    /// # Panics
    /// As [`Self::prepare`], and with a gradient that is not of these parameters ([`Gradient::zeros`]).
    pub fn backward(&mut self, parameters: &Parameters<T>, gradient: &mut Gradient<T>) {
        self.assert_serve(parameters);
        assert!(gradient.is_of(parameters), "a gradient that is not of these parameters: `Gradient::zeros` makes one");
        let later = &self.later;
        for (index, node) in self.network.nodes().iter().enumerate().rev() {
            let (inputs, rest) = self.gradients.split_at_mut(index + 1);
            let own = rest[0].as_mut_slice();
            let values = self.tensors[index + 1].as_slice();
            let to = &self.maps[index + 1];
            match node.operation {
                Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => {
                    let layers = (&mut self.weighted[index], &parameters.layers[index], &mut gradient.layers[index]);
                    if let (Some(weighted), Some(layer), Some(gradient)) = layers {
                        let norm = layer.norms.get(self.level.number() - 1).map(|norm| &norm.scale[..]);
                        weighted.gate(&self.plan, to, values, own);
                        weighted.parameter_gradients(&self.plan, norm, self.statistics, self.images, gradient);
                        let source = usize::from(input.0);
                        let from = (&self.maps[source], self.tensors[source].as_slice());
                        weighted.back(&self.plan, self.lanes.as_slice(), own, from, inputs[source].as_mut_slice());
                        weighted.collect(self.plan.chunks(), &mut gradient.weights);
                    }
                }
                Operation::Add { left, right, activation } => {
                    add_gradient(&self.plan, to, values, activation, own);
                    for (operand, tensor) in [left, right].into_iter().enumerate().filter(|(_, t)| t.0 != 0) {
                        let target = inputs[usize::from(tensor.0)].as_mut_slice();
                        let length = self.plan.chunk(to.shape.len());
                        let chunks = target.par_chunks_mut(length).zip(own.par_chunks(length));
                        chunks.for_each(|(target, own)| give(own, target, later[index][operand]));
                    }
                }
                Operation::AveragePool { input, window } | Operation::MaxPool { input, window } if input.0 != 0 => {
                    let greatest = matches!(node.operation, Operation::MaxPool { .. });
                    let source = usize::from(input.0);
                    let target = inputs[source].as_mut_slice();
                    if !later[index][0] {
                        target.fill(T::zero());
                    }
                    let from = (&self.maps[source], self.tensors[source].as_slice());
                    pool_gradient(&self.plan, from, to, window, greatest, own, target);
                }
                Operation::AveragePool { .. } | Operation::MaxPool { .. } => {}
                Operation::Concatenation { left, right } => {
                    let mut start = 0;
                    for (operand, tensor) in [left, right].into_iter().enumerate() {
                        let length = self.maps[usize::from(tensor.0)].shape.len();
                        if tensor.0 != 0 {
                            let target = inputs[usize::from(tensor.0)].as_mut_slice();
                            part_gradient(
                                &self.plan,
                                own,
                                to.shape.len(),
                                start,
                                (length, target),
                                later[index][operand],
                            );
                        }
                        start += length;
                    }
                }
            }
        }
    }

    /// The first node at which the last forward pass met a value that is not finite: in its output or, where statistics came
    /// from the batch, in its sums, which its activation may hide.
    pub fn first_not_finite(&self) -> Option<usize> {
        let broken = |tensor: &Buffer<T>| tensor.as_slice().iter().any(|value| !value.is_finite());
        let mut nodes = self.weighted.iter().zip(&self.tensors[1..]);
        nodes.position(|(weighted, tensor)| !is_finite(weighted) || broken(tensor))
    }

    /// Whether all sums that the last forward pass measured, and all that it normalised with, are finite numbers: what
    /// [`Self::first_not_finite`] looks for, without a look at the outputs.
    pub(crate) fn sums_are_finite(&self) -> bool {
        self.weighted.iter().all(is_finite)
    }

    /// Mean and variance (biased) of each row that the last forward pass measured; `None` for nodes without normalisation.
    ///
    /// ```
    /// use ndarray::array;
    /// use nested_csr::{Level, TensorId, TensorShape, Window};
    /// use nested_mask::nn::{Finish, NetworkBuilder, Parameters, Passes, Statistics};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut builder = NetworkBuilder::new(TensorShape { channels: 1, height: 1, width: 1 });
    /// builder.convolution("twice", builder.input(), Window::square(1, 1, 0), 1, Finish::NORM)?;
    /// let network = builder.finish()?;
    /// let mut parameters = Parameters::<f64>::random(&network, Level::FIRST, 1);
    /// for layer in parameters.layers.iter_mut().flatten() {
    ///     layer.weights = array![[2.0]];
    /// }
    /// let mut passes = Passes::new(&network, 2);
    /// passes.load(2, |image, pixels| pixels[0] = [1.0, 3.0][image]);
    /// passes.prepare(&parameters, Level::FIRST);
    /// passes.forward(&parameters, Statistics::Batch);
    /// assert_eq!(passes.batch_statistics(0), Some((&[4.0][..], &[4.0][..]))); // of 2 and 6
    ///
    /// let mut normalised = Vec::new();
    /// passes.for_each_value(TensorId(1), |value| normalised.push(value.round()));
    /// assert_eq!(normalised, [-1.0, 1.0]);
    /// # Ok(()) }
    /// ```
    pub fn batch_statistics(&self, node: usize) -> Option<(&[T], &[T])> {
        let weighted = self.weighted.get(node)?.as_ref().filter(|weighted| weighted.affine == Affine::Norm)?;
        Some((&weighted.mean, &weighted.variance))
    }
}

fn is_finite<T>(node: &Option<Weighted<T>>) -> bool {
    node.as_ref().is_none_or(|weighted| weighted.finite)
}

/// Puts one image's pixels into its lane.
fn scatter<T: Scalar>(map: &Map, pixels: &[T], vectors: &mut [T], lane: usize, lanes: usize) {
    let TensorShape { height, width, .. } = map.shape;
    for (row, pixels) in pixels.chunks_exact(width).enumerate() {
        let start = map.at(row / height, row % height, 0);
        for (x, &pixel) in pixels.iter().enumerate() {
            vectors[(start + x) * lanes + lane] = pixel;
        }
    }
}

#[cfg(test)]
mod tests;

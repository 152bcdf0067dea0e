//! Passes through a network, forward and backward, over one batch of images.
//!
//! All memory is planned when the passes are made; a pass allocates nothing. A batch is cut into groups of images (one a
//! vector lane), groups into chunks; chunks run in parallel, and their sums are added in the order of the chunks, so that
//! results are the same to the bit for any number of threads.
use super::{
    Activation, Affine, Network, Operation,
    kernels::{NOWHERE, Sweep, Table, sweep, weight_gradient},
    map::{Map, Margin, Phase, backward_phases, forward_sweep, input_margin, output_margin},
    parameters::{EPSILON, Gradient, Layer, LayerGradient, Parameters},
    pointwise::{Add, AddGradient, Finish, Gate, Moments, Pool, PoolGradient, Unfinish, give},
    vector::{Buffer, Scalar, lanes},
};
use nested_csr::{Level, TensorId, TensorShape, Window};
use pulp::Arch;
use rayon::prelude::*;

/// Where normalisations take their statistics from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// From the batch, as in training.
    Batch,
    /// The running ones of the level, as in use.
    Running,
}

/// Which weights a backward pass gives a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Those that the level uses.
    Support,
    /// All: for a weight that the level does not use, what its gradient would be if it stood there with value 0.
    All,
}

/// The most chunks of a batch, so the most threads that one pass uses.
const CHUNKS: usize = 8;

/// From this share of weights on, a table visits them all, four rows at a time.
const TALL_FROM: f64 = 0.5;

/// The loss of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Mean cross-entropy.
    pub mean: f64,
    /// Images whose greatest value is at their label.
    pub right: usize,
}

/// The planned memory of passes over batches of up to a number of images.
#[derive(Debug)]
pub struct Passes<T> {
    network: Network,
    plan: Plan,
    maps: Vec<Map>,
    /// One a tensor, with margins.
    tensors: Vec<Buffer<T>>,
    /// One a tensor, without margins; empty for the images.
    gradients: Vec<Buffer<T>>,
    weighted: Vec<Option<Weighted<T>>>,
    /// One a lane of each group: 1, or 0 where there is no image.
    lanes: Buffer<T>,
    images: usize,
}

/// How a batch is cut.
#[derive(Clone, Copy, Debug)]
struct Plan {
    arch: Arch,
    lanes: usize,
    batch: usize,
    groups: usize,
    groups_a_chunk: usize,
}

impl Plan {
    fn chunks(&self) -> usize {
        self.groups.div_ceil(self.groups_a_chunk)
    }

    /// Elements of a chunk, for a group of `length` vectors.
    fn chunk(&self, length: usize) -> usize {
        self.groups_a_chunk * self.group(length)
    }

    /// Elements of a group of `length` vectors.
    fn group(&self, length: usize) -> usize {
        (length * self.lanes).max(1)
    }
}

/// The memory and tables of a node with weights.
#[derive(Debug)]
struct Weighted<T> {
    window: Window,
    depthwise: bool,
    affine: Affine,
    activation: Activation,
    /// The sums before normalisation; in the backward pass their gradient takes their place.
    pre: Buffer<T>,
    map: Map,
    from: Map,
    forward: Sweep,
    phases: Vec<Phase>,
    table: Table<T>,
    phase_tables: Vec<Table<T>>,
    /// All weights, when those that do not count are to have a gradient too.
    all: Option<Table<T>>,
    /// A chunk each: one value a weight that has a gradient.
    weight_sums: Vec<T>,
    /// A chunk each: two a row.
    row_sums: Vec<f64>,
    mean: Vec<T>,
    variance: Vec<T>,
    scale: Vec<T>,
    shift: Vec<T>,
    factors: Vec<[T; 3]>,
}

impl<T: Scalar> Passes<T> {
    /// Plans the memory for batches of up to `batch` images (at least 1).
    pub fn new(network: &Network, batch: usize) -> Passes<T> {
        let arch = Arch::new();
        let lanes = lanes::<T>(arch);
        let groups = batch.max(1).div_ceil(lanes);
        let plan = Plan { arch, lanes, batch: batch.max(1), groups, groups_a_chunk: groups.div_ceil(CHUNKS) };
        let maps = maps(network);
        let zeros = |length: usize| Buffer::zeros(groups * lanes * length);
        let tensors = maps.iter().map(|map| zeros(map.len())).collect();
        let gradients =
            maps.iter().enumerate().map(|(t, map)| zeros(if t == 0 { 0 } else { map.shape.len() })).collect();
        let later = later_readers(network);
        let weighted =
            (0..network.nodes().len()).map(|node| Weighted::new(network, node, &maps, &plan, later[node][0])).collect();
        Passes { network: network.clone(), plan, maps, tensors, gradients, weighted, lanes: zeros(1), images: 0 }
    }

    /// The most images of a batch.
    pub fn batch(&self) -> usize {
        self.plan.batch
    }

    /// Puts images into the input. `write(image, pixels)` fills the channel-major pixels of one image.
    pub fn load(&mut self, images: usize, write: impl Fn(usize, &mut [T]) + Sync) {
        let Plan { lanes, batch, .. } = self.plan;
        self.images = images.min(batch);
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

    /// Makes the tables of the weights that count at a level; needed after weights, masks or level changed.
    pub fn prepare(&mut self, parameters: &Parameters<T>, level: Level) {
        self.prepare_for(parameters, level, Learning::Support);
    }

    /// [`Self::prepare`], for a backward pass that gives these weights a gradient.
    pub fn prepare_for(&mut self, parameters: &Parameters<T>, level: Level, learning: Learning) {
        let nodes = self.weighted.par_iter_mut().zip(&parameters.layers);
        nodes.for_each(|(node, layer)| {
            if let (Some(node), Some(layer)) = (node, layer) {
                node.prepare(layer, level, learning);
            }
        });
    }

    /// The forward pass of a prepared level.
    pub fn forward(&mut self, parameters: &Parameters<T>, level: Level, statistics: Statistics) {
        for (index, node) in self.network.nodes().iter().enumerate() {
            let (made, rest) = self.tensors.split_at_mut(index + 1);
            let target = &mut rest[0];
            let to = &self.maps[index + 1];
            let of = |tensor: TensorId| (&self.maps[usize::from(tensor.0)], made[usize::from(tensor.0)].as_slice());
            match node.operation {
                Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => {
                    if let (Some(weighted), Some(layer)) = (&mut self.weighted[index], &parameters.layers[index]) {
                        weighted.multiply(&self.plan, of(input), statistics);
                        weighted.normalise(&self.plan, layer, level, statistics, self.images);
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

    /// What the last node made for one image.
    pub fn logits(&self, image: usize) -> impl Iterator<Item = T> + '_ {
        self.output().1.iter().skip(self.logit(image, 0)).step_by(self.plan.lanes).copied().take(self.network.outputs())
    }

    /// Calls `see` with each value of a tensor that the last forward pass made (0: the images), margins left out.
    pub fn for_each_value(&self, tensor: TensorId, mut see: impl FnMut(T)) {
        let (map, lanes) = (&self.maps[usize::from(tensor.0)], self.plan.lanes);
        let groups = self.tensors[usize::from(tensor.0)].as_slice().chunks(self.plan.group(map.len()));
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

    fn output(&self) -> (&Map, &[T]) {
        let last = self.maps.len() - 1;
        (&self.maps[last], self.tensors[last].as_slice())
    }

    /// Where a logit stands; the last map has no margin, because nothing reads it.
    fn logit(&self, image: usize, class: usize) -> usize {
        let lanes = self.plan.lanes;
        (image / lanes * self.network.outputs() + class) * lanes + image % lanes
    }

    /// Cross-entropy of the last forward pass, and its gradient with respect to the logits (kept for [`Self::backward`]).
    /// `targets(image, class)` is the probability that the loss asks for.
    pub fn cross_entropy(&mut self, labels: &[u8], targets: impl Fn(usize, usize) -> T) -> Loss {
        let classes = self.network.outputs();
        let last = self.maps.len() - 1;
        self.gradients[last].as_mut_slice().fill(T::zero());
        let (mut sum, mut right) = (0.0, 0);
        let each = T::one() / T::from_f64(self.images.max(1) as f64);
        for (image, &label) in labels.iter().enumerate().take(self.images) {
            let first = self.logit(image, 0);
            let values = self.tensors[last].as_slice()[first..].iter().step_by(self.plan.lanes).take(classes);
            let greatest = values.clone().copied().fold(T::neg_infinity(), T::max);
            let total = values.clone().fold(T::zero(), |sum, &value| sum + (value - greatest).exp()).ln();
            right += usize::from(values.clone().position(|&value| value == greatest) == Some(label.into()));
            let into = self.gradients[last].as_mut_slice()[first..].iter_mut().step_by(self.plan.lanes);
            for (class, (into, &value)) in into.zip(values).enumerate() {
                let (log, target) = (value - greatest - total, targets(image, class));
                sum -= (target * log).to_f64();
                *into = (log.exp() - target) * each;
            }
        }
        Loss { mean: sum / self.images.max(1) as f64, right }
    }

    /// A loss that is a sum over the images, and its gradient with respect to what the last node made (kept for
    /// [`Self::backward`]). `each(image, values, gradient)` yields the image's part and writes its gradient; images run in
    /// parallel. Returns the sum, in the order of the images.
    pub fn seed(&mut self, each: impl Fn(usize, &[T], &mut [T]) -> f64 + Sync) -> f64 {
        let (outputs, lanes, images) = (self.network.outputs(), self.plan.lanes, self.images);
        let last = self.maps.len() - 1;
        let length = self.plan.group(outputs);
        let groups = self.gradients[last].as_mut_slice().par_chunks_mut(length);
        let groups = groups.zip(self.tensors[last].as_slice().par_chunks(length)).enumerate();
        let losses: Vec<Vec<f64>> = groups
            .map(|(group, (gradients, tensors))| {
                let (mut values, mut gradient) = (vec![T::zero(); outputs], vec![T::zero(); outputs]);
                gradients.fill(T::zero());
                let one = |lane: usize| {
                    let lane_of = tensors.iter().skip(lane).step_by(lanes);
                    values.iter_mut().zip(lane_of).for_each(|(to, &from)| *to = from);
                    let loss = each(group * lanes + lane, &values, &mut gradient);
                    let into = gradients.iter_mut().skip(lane).step_by(lanes);
                    into.zip(&gradient).for_each(|(to, &from)| *to = from);
                    loss
                };
                (0..images.saturating_sub(group * lanes).min(lanes)).map(one).collect()
            })
            .collect();
        losses.iter().flatten().sum()
    }

    /// What the last node made for all images, image by image.
    pub fn all_logits(&self) -> Vec<T> {
        (0..self.images).flat_map(|image| self.logits(image)).collect()
    }

    /// After [`Self::cross_entropy`], blends a teacher into its loss and gradient: `(1 − mix) · loss + mix · T² · CE(softmax(
    /// teacher / T), softmax(logits / T))`. `teacher` holds the logits of the same images ([`Self::all_logits`]). Returns the
    /// blended mean loss.
    pub fn distil(&mut self, loss: Loss, teacher: &[T], mix: f64, temperature: f64) -> Loss {
        let classes = self.network.outputs();
        let last = self.maps.len() - 1;
        let (part, heat) = (T::from_f64(mix), T::from_f64(temperature));
        let each = part * heat / T::from_f64(self.images.max(1) as f64);
        let mut sum = 0.0;
        for (image, teacher) in teacher.chunks_exact(classes.max(1)).enumerate().take(self.images) {
            let first = self.logit(image, 0);
            let student: Vec<T> = self.logits(image).collect();
            let (wanted, found) = (log_softmax(teacher, heat), log_softmax(&student, heat));
            let into = self.gradients[last].as_mut_slice()[first..].iter_mut().step_by(self.plan.lanes);
            for ((into, wanted), found) in into.zip(wanted).zip(found) {
                sum -= (wanted.exp() * found).to_f64();
                *into = (T::one() - part) * *into + each * (found.exp() - wanted.exp());
            }
        }
        let distilled = temperature * temperature * sum / self.images.max(1) as f64;
        Loss { mean: (1.0 - mix) * loss.mean + mix * distilled, ..loss }
    }

    /// The backward pass of the last forward pass (which took its statistics from the batch): from the gradient of the
    /// logits to that of the parameters.
    pub fn backward(&mut self, parameters: &Parameters<T>, level: Level, gradient: &mut Gradient<T>) {
        let later = later_readers(&self.network);
        for (index, node) in self.network.nodes().iter().enumerate().rev() {
            let (inputs, rest) = self.gradients.split_at_mut(index + 1);
            let own = rest[0].as_mut_slice();
            let values = self.tensors[index + 1].as_slice();
            let to = &self.maps[index + 1];
            match node.operation {
                Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => {
                    let layers = (&mut self.weighted[index], &parameters.layers[index], &mut gradient.layers[index]);
                    if let (Some(weighted), Some(layer), Some(gradient)) = layers {
                        let norm = layer.norms.get(level.number() - 1).map(|norm| &norm.scale[..]);
                        weighted.gate(&self.plan, to, values, own);
                        weighted.parameter_gradients(&self.plan, norm, self.images, gradient);
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

    /// The first node whose output, in the last forward pass, holds a value that is not finite.
    pub fn first_not_finite(&self) -> Option<usize> {
        self.tensors[1..].iter().position(|tensor| tensor.as_slice().iter().any(|value| !value.is_finite()))
    }

    /// Mean and variance (biased) of each row that the last forward pass measured; `None` for nodes without normalisation.
    pub fn batch_statistics(&self, node: usize) -> Option<(&[T], &[T])> {
        let weighted = self.weighted.get(node)?.as_ref().filter(|weighted| weighted.affine == Affine::Norm)?;
        Some((&weighted.mean, &weighted.variance))
    }
}

/// Logarithms of the probabilities of these logits at a temperature.
fn log_softmax<T: Scalar>(logits: &[T], temperature: T) -> Vec<T> {
    let greatest = logits.iter().copied().fold(T::neg_infinity(), T::max);
    let scaled = logits.iter().map(|&logit| (logit - greatest) / temperature);
    let total = scaled.clone().fold(T::zero(), |sum, value| sum + value.exp()).ln();
    scaled.map(|value| value - total).collect()
}

/// Maps of all tensors, with the margins that their readers need.
fn maps(network: &Network) -> Vec<Map> {
    let shapes = std::iter::once(network.input()).chain(network.nodes().iter().map(|node| node.output));
    let mut maps: Vec<Map> = shapes.map(|shape| Map { shape, margin: Margin::default() }).collect();
    for node in network.nodes() {
        if let Operation::Convolution { input, window, .. } | Operation::Depthwise { input, window, .. } =
            node.operation
        {
            let map = &mut maps[usize::from(input.0)];
            map.margin = map.margin.union(input_margin(window, map.shape, node.output));
        }
    }
    maps
}

/// For each operand of each node, whether a later node gives its tensor a gradient first.
fn later_readers(network: &Network) -> Vec<[bool; 2]> {
    let mut given = vec![false; network.nodes().len() + 1];
    let mut later: Vec<[bool; 2]> = network
        .nodes()
        .iter()
        .rev()
        .map(|node| {
            let operands = match node.operation {
                Operation::Convolution { input, .. }
                | Operation::Depthwise { input, .. }
                | Operation::AveragePool { input, .. }
                | Operation::MaxPool { input, .. } => [Some(input), None],
                Operation::Add { left, right, .. } | Operation::Concatenation { left, right } => {
                    [Some(left), Some(right)]
                }
            };
            operands
                .map(|tensor| tensor.is_some_and(|tensor| std::mem::replace(&mut given[usize::from(tensor.0)], true)))
        })
        .collect();
    later.reverse();
    later
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

impl<T: Scalar> Weighted<T> {
    fn new(network: &Network, node: usize, maps: &[Map], plan: &Plan, accumulate: bool) -> Option<Weighted<T>> {
        let (input, window, depthwise) = match network.nodes()[node].operation {
            Operation::Convolution { input, window, .. } => (input, window, false),
            Operation::Depthwise { input, window, .. } => (input, window, true),
            _ => return None,
        };
        let (shape, finish) = (network.weights(node)?, network.finish(node)?);
        let from = &maps[usize::from(input.0)];
        let output = network.nodes()[node].output;
        let map = Map { shape: output, margin: output_margin(window, from.shape, output) };
        let phases = if input.0 == 0 { Vec::new() } else { backward_phases(window, from.shape, &map, accumulate) };
        let rows = vec![T::zero(); shape.rows];
        Some(Weighted {
            window,
            depthwise,
            affine: finish.affine,
            activation: finish.activation,
            pre: Buffer::zeros(plan.groups * plan.group(map.len())),
            map,
            from: *from,
            forward: forward_sweep(window, from, &map),
            phase_tables: phases.iter().map(|_| Table::default()).collect(),
            phases,
            table: Table::default(),
            all: None,
            weight_sums: vec![T::zero(); plan.chunks() * shape.rows * shape.columns],
            row_sums: vec![0.0; plan.chunks() * shape.rows * 2],
            mean: rows.clone(),
            variance: rows.clone(),
            scale: rows.clone(),
            shift: rows,
            factors: vec![[T::zero(); 3]; shape.rows],
        })
    }

    fn prepare(&mut self, layer: &Layer<T>, level: Level, learning: Learning) {
        let counts = layer.counts(level);
        let density = layer.mask.as_ref().map_or(1.0, |mask| 1.0 - mask.sparsity(level));
        let tall = !self.depthwise && density >= TALL_FROM;
        let (rows, columns) = layer.weights.dim();
        let weights = layer.weights.as_slice().unwrap_or(&[]);
        let at = |place: usize| (place, weights[place], counts(place));

        let mut table = std::mem::take(&mut self.table);
        self.fill_forward(&mut table, (rows, columns), tall, at);
        self.table = table;
        self.all = (learning == Learning::All && layer.mask.is_some()).then(|| {
            let mut all = self.all.take().unwrap_or_default();
            self.fill_forward(&mut all, (rows, columns), !self.depthwise, |place| (place, weights[place], true));
            all
        });

        let from = self.from;
        let plane = self.map.plane();
        for (phase, table) in self.phases.iter().zip(&mut self.phase_tables) {
            table.clear();
            let taps = &phase.taps;
            if self.depthwise {
                table.fill(
                    rows,
                    taps.len(),
                    false,
                    |row, t| row * plane + taps[t].1,
                    |row, t| at(row * columns + taps[t].0),
                );
            } else {
                let inputs = from.shape.channels;
                table.fill(
                    inputs,
                    taps.len() * rows,
                    tall,
                    |_, column| column / taps.len() * plane + taps[column % taps.len()].1,
                    |channel, column| {
                        let (row, tap) = (column / taps.len(), taps[column % taps.len()].0);
                        at(row * columns + tap * inputs + channel)
                    },
                );
            }
        }
    }

    /// The table of the forward pass and of the weights' gradient: offsets are those of the input.
    fn fill_forward(
        &self,
        table: &mut Table<T>,
        (rows, columns): (usize, usize),
        tall: bool,
        at: impl Fn(usize) -> (usize, T, bool),
    ) {
        let (from, kernel_width) = (self.from, usize::from(self.window.kernel[1]));
        table.clear();
        if self.depthwise {
            let offset = |row, tap| row * from.plane() + tap / kernel_width * from.row() + tap % kernel_width;
            table.fill(rows, columns, false, offset, |row, tap| at(row * columns + tap));
        } else {
            let inputs = from.shape.channels;
            let offset = |_, column: usize| {
                let (tap, channel) = (column / inputs, column % inputs);
                channel * from.plane() + tap / kernel_width * from.row() + tap % kernel_width
            };
            table.fill(rows, columns, tall, offset, |row, column| at(row * columns + column));
        }
    }

    /// The sums of all pixels and, for batch statistics, their moments.
    fn multiply(&mut self, plan: &Plan, (from, source): (&Map, &[T]), statistics: Statistics) {
        let rows = self.mean.len();
        let (forward, table, map) = (self.forward, &self.table, &self.map);
        let measure = statistics == Statistics::Batch && self.affine == Affine::Norm;
        let chunks = self.pre.as_mut_slice().par_chunks_mut(plan.chunk(map.len()));
        let chunks = chunks.zip(source.par_chunks(plan.chunk(from.len()))).zip(self.row_sums.par_chunks_mut(2 * rows));
        chunks.for_each(|((pre, source), sums)| {
            sums.fill(0.0);
            let groups = pre.chunks_mut(plan.group(map.len())).zip(source.chunks(plan.group(from.len())));
            for (pre, source) in groups {
                sweep(plan.arch, forward, table, source, pre);
                if measure {
                    Moments { map, source: pre, sums }.run(plan.arch);
                }
            }
        });
    }

    /// Scale and shift of each row; from the batch's moments when they were measured.
    fn normalise(&mut self, plan: &Plan, layer: &Layer<T>, level: Level, statistics: Statistics, images: usize) {
        let Some(norm) = layer.norms.get(level.number() - 1) else {
            self.scale.fill(T::one());
            self.shift.copy_from_slice(&layer.bias);
            self.mean.fill(T::zero());
            return;
        };
        let elements = (images * self.map.shape.height * self.map.shape.width) as f64;
        for row in 0..self.mean.len() {
            if statistics == Statistics::Batch {
                let [sum, squares] = self.row_total(plan, row);
                let mean = sum / elements;
                self.mean[row] = T::from_f64(mean);
                self.variance[row] = T::from_f64((squares / elements - mean * mean).max(0.0));
            } else {
                self.mean[row] = norm.mean[row];
                self.variance[row] = norm.variance[row];
            }
            self.scale[row] = norm.scale[row] / (self.variance[row] + T::from_f64(EPSILON)).sqrt();
            self.shift[row] = norm.shift[row] - self.mean[row] * self.scale[row];
        }
    }

    /// The two sums of a row over all chunks, in their order.
    fn row_total(&self, plan: &Plan, row: usize) -> [f64; 2] {
        let rows = self.mean.len();
        let chunks = self.row_sums.chunks_exact(2 * rows).take(plan.chunks());
        chunks.fold([0.0; 2], |[a, b], chunk| [a + chunk[2 * row], b + chunk[2 * row + 1]])
    }

    fn finish(&self, plan: &Plan, to: &Map, lanes: &[T], target: &mut [T]) {
        let groups = target.par_chunks_mut(plan.group(to.len()));
        let groups = groups.zip(self.pre.as_slice().par_chunks(plan.group(self.map.len())));
        groups.zip(lanes.par_chunks(plan.lanes)).for_each(|((target, source), lanes)| {
            let (scale, shift, activation) = (&self.scale, &self.shift, self.activation);
            Finish { from: &self.map, to, scale, shift, activation, lanes, source, target }.run(plan.arch);
        });
    }

    /// The gradient through the activation, and its two sums a row.
    fn gate(&mut self, plan: &Plan, to: &Map, values: &[T], own: &mut [T]) {
        let (rows, dense) = (self.mean.len(), to.shape.len());
        let (map, mean, activation) = (&self.map, &self.mean, self.activation);
        let chunks = own.par_chunks_mut(plan.chunk(dense)).zip(values.par_chunks(plan.chunk(to.len())));
        let chunks = chunks.zip(self.pre.as_slice().par_chunks(plan.chunk(map.len())));
        chunks.zip(self.row_sums.par_chunks_mut(2 * rows)).for_each(|(((own, values), pre), sums)| {
            sums.fill(0.0);
            let groups = own.chunks_mut(plan.group(dense)).zip(values.chunks(plan.group(to.len())));
            for ((gradient, values), inputs) in groups.zip(pre.chunks(plan.group(map.len()))) {
                Gate { output: to, values, pre: map, inputs, mean, activation, gradient, sums }.run(plan.arch);
            }
        });
    }

    /// Gradients of γ and β, or of the bias; and how the gradient goes on to the sums.
    ///
    /// Source: Ioffe & Szegedy, Batch Normalization (2015), section 3.
    fn parameter_gradients(
        &mut self,
        plan: &Plan,
        scale: Option<&[T]>,
        images: usize,
        gradient: &mut LayerGradient<T>,
    ) {
        let elements = (images * self.map.shape.height * self.map.shape.width) as f64;
        for row in 0..self.mean.len() {
            let [sum, product] = self.row_total(plan, row);
            let Some(scale) = scale else {
                gradient.bias[row] = T::from_f64(sum);
                self.factors[row] = [T::one(), T::zero(), T::zero()];
                continue;
            };
            let inverse = 1.0 / (self.variance[row].to_f64() + EPSILON).sqrt();
            gradient.shift[row] = T::from_f64(sum);
            gradient.scale[row] = T::from_f64(product * inverse);
            let a = scale[row].to_f64() * inverse;
            let b = -a * inverse * inverse * product / elements;
            let c = -a * sum / elements - b * self.mean[row].to_f64();
            self.factors[row] = [a, b, c].map(T::from_f64);
        }
    }

    /// The gradients of the sums (in place of them), of the weights (a chunk each) and of the input.
    fn back(&mut self, plan: &Plan, lanes: &[T], own: &[T], (from, source): (&Map, &[T]), input: &mut [T]) {
        let (map, table, forward) = (self.map, self.all.as_ref().unwrap_or(&self.table), self.forward);
        let (dense, shape) = (map.shape.len(), from.shape.len());
        let (factors, phases, tables) = (&self.factors, &self.phases, &self.phase_tables);
        let one_chunk = |pre: &mut [T], own: &[T], source: &[T], lanes: &[T], sums: &mut [T], input: &mut [T]| {
            sums.fill(T::zero());
            let mut inputs = input.chunks_mut(plan.group(shape));
            let groups = pre.chunks_mut(plan.group(map.len())).zip(own.chunks(plan.group(dense)));
            let groups = groups.zip(source.chunks(plan.group(from.len()))).zip(lanes.chunks(plan.lanes));
            for (((pre, gradient), source), lanes) in groups {
                Unfinish { pre: &map, factors, lanes, gradient, inputs: pre }.run(plan.arch);
                weight_gradient(plan.arch, forward, table, source, pre, sums);
                if let Some(input) = inputs.next() {
                    for (phase, table) in phases.iter().zip(tables) {
                        sweep(plan.arch, phase.sweep, table, pre, input);
                    }
                }
            }
        };
        let used = table.weights.len().max(1);
        let chunks = self.pre.as_mut_slice().par_chunks_mut(plan.chunk(map.len()));
        let chunks = chunks.zip(own.par_chunks(plan.chunk(dense))).zip(source.par_chunks(plan.chunk(from.len())));
        let chunks = chunks.zip(lanes.par_chunks(plan.chunk(1))).zip(self.weight_sums.par_chunks_mut(used));
        if input.is_empty() {
            chunks.for_each(|((((pre, own), source), lanes), sums)| one_chunk(pre, own, source, lanes, sums, &mut []));
        } else {
            let chunks = chunks.zip(input.par_chunks_mut(plan.chunk(shape)));
            chunks.for_each(|(((((pre, own), source), lanes), sums), input)| {
                one_chunk(pre, own, source, lanes, sums, input);
            });
        }
    }

    /// Adds the chunks' sums, in their order, and puts each where its weight stands.
    fn collect(&mut self, chunks: usize, gradient: &mut [T]) {
        gradient.fill(T::zero());
        let table = self.all.as_ref().unwrap_or(&self.table);
        let used = table.weights.len().max(1);
        for sums in self.weight_sums.chunks_exact(used).take(chunks) {
            for (&place, &sum) in table.places.iter().zip(sums).filter(|(place, _)| **place != NOWHERE) {
                gradient[place as usize] += sum;
            }
        }
    }
}

fn add<T: Scalar>(
    plan: &Plan,
    (left_map, left): (&Map, &[T]),
    (right_map, right): (&Map, &[T]),
    to: &Map,
    activation: Activation,
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(left.par_chunks(plan.group(left_map.len())));
    groups.zip(right.par_chunks(plan.group(right_map.len()))).for_each(|((target, left), right)| {
        Add { left: (left_map, left), right: (right_map, right), to, activation, target }.run(plan.arch);
    });
}

/// One tensor's elements after the other's.
fn concatenate<T: Scalar>(plan: &Plan, left: (&Map, &[T]), right: (&Map, &[T]), to: &Map, target: &mut [T]) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(left.1.par_chunks(plan.group(left.0.len())));
    groups.zip(right.1.par_chunks(plan.group(right.0.len()))).for_each(|((target, of_left), of_right)| {
        let mut channel = 0;
        for (map, values) in [(left.0, of_left), (right.0, of_right)] {
            let TensorShape { channels, height, width } = map.shape;
            for row in 0..channels * height {
                let start = map.at(row / height, row % height, 0) * plan.lanes;
                for vector in values[start..start + width * plan.lanes].chunks_exact(plan.lanes) {
                    target[to.at(channel, 0, 0) * plan.lanes..][..plan.lanes].copy_from_slice(vector);
                    channel += 1;
                }
            }
        }
    });
}

/// Gives an operand of a concatenation its part of the gradient: `length` elements of `whole`, from `start` on.
fn part_gradient<T: Scalar>(
    plan: &Plan,
    own: &[T],
    whole: usize,
    start: usize,
    (length, target): (usize, &mut [T]),
    accumulate: bool,
) {
    let groups = target.par_chunks_mut(plan.group(length)).zip(own.par_chunks(plan.group(whole)));
    groups.for_each(|(target, own)| give(&own[start * plan.lanes..][..length * plan.lanes], target, accumulate));
}

fn add_gradient<T: Scalar>(plan: &Plan, to: &Map, values: &[T], activation: Activation, own: &mut [T]) {
    let groups = own.par_chunks_mut(plan.group(to.shape.len())).zip(values.par_chunks(plan.group(to.len())));
    groups.for_each(|(gradient, values)| AddGradient { output: to, values, activation, gradient }.run(plan.arch));
}

fn pool<T: Scalar>(
    plan: &Plan,
    (from, source): (&Map, &[T]),
    to: &Map,
    window: Window,
    greatest: bool,
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(to.len())).zip(source.par_chunks(plan.group(from.len())));
    groups.for_each(|(target, source)| Pool { from, to, window, greatest, source, target }.run(plan.arch));
}

fn pool_gradient<T: Scalar>(
    plan: &Plan,
    (from, source): (&Map, &[T]),
    to: &Map,
    window: Window,
    greatest: bool,
    own: &[T],
    target: &mut [T],
) {
    let groups = target.par_chunks_mut(plan.group(from.shape.len())).zip(own.par_chunks(plan.group(to.shape.len())));
    groups.zip(source.par_chunks(plan.group(from.len()))).for_each(|((input_gradient, gradient), source)| {
        PoolGradient { from, to, window, greatest, source, gradient, input_gradient, lanes: plan.lanes }.run();
    });
}

#[cfg(test)]
mod tests;

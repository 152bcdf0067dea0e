//! Nodes with weights: convolutions and depthwise ones, their normalisation and activation, forward and backward.
use super::{Learning, Statistics, plan::Plan};
use crate::nn::{
    Activation, Affine, Network, Operation,
    kernels::{NOWHERE, Sweep, Table, sweep, weight_gradient},
    map::{Map, Phase, backward_phases, forward_sweep, output_margin},
    parameters::{Layer, LayerGradient, Norm},
    pointwise::{Finish, Gate, Moments, Unfinish},
    vector::{Buffer, Scalar},
};
use nested_csr::{Level, Window};
use rayon::prelude::*;

/// From this share of weights on, a table visits them all, four rows at a time.
const TALL_FROM: f64 = 0.5;

/// The memory and tables of a node with weights.
#[derive(Debug)]
pub(super) struct Weighted<T> {
    window: Window,
    depthwise: bool,
    pub affine: Affine,
    epsilon: f64,
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
    pub mean: Vec<T>,
    pub variance: Vec<T>,
    /// Whether all that the last forward pass normalised with, and the sums that it measured, are finite numbers.
    pub finite: bool,
    scale: Vec<T>,
    shift: Vec<T>,
    factors: Vec<[T; 3]>,
}

impl<T: Scalar> Weighted<T> {
    pub(super) fn new(
        network: &Network,
        node: usize,
        maps: &[Map],
        plan: &Plan,
        accumulate: bool,
    ) -> Option<Weighted<T>> {
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
            epsilon: network.epsilon(),
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
            finite: true,
            scale: rows.clone(),
            shift: rows,
            factors: vec![[T::zero(); 3]; shape.rows],
        })
    }

    pub(super) fn prepare(&mut self, layer: &Layer<T>, level: Level, learning: Learning) {
        let counts = layer.counts(level);
        let density = layer.mask.as_ref().map_or(1.0, |mask| 1.0 - mask.sparsity(level));
        let tall = !self.depthwise && density >= TALL_FROM;
        let (rows, columns) = layer.weights.dim();
        // Borrowed, unless another memory order was given.
        let weights = layer.weights.as_standard_layout();
        let weights = weights.as_slice().expect("standard layout is a slice");
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

    /// The sums of all pixels and, where statistics come from the batch, their moments.
    pub(super) fn multiply(&mut self, plan: &Plan, (from, source): (&Map, &[T]), statistics: Statistics) {
        let rows = self.mean.len();
        let (forward, table, map) = (self.forward, &self.table, &self.map);
        // Of a layer with a bias too, which does not need them: its activation may hide what is not a number.
        let measure = statistics == Statistics::Batch;
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

    /// Scale and shift of each row, from the batch's moments when they were measured; and whether all are finite, which is
    /// seen here or not at all: `max(NaN, 0)` is 0 on some machines, and of infinite moments the variance may come out as 0.
    pub(super) fn normalise(
        &mut self,
        plan: &Plan,
        layer: &Layer<T>,
        level: Level,
        statistics: Statistics,
        images: usize,
    ) {
        let measured = |row: usize| self.row_total(plan, row).iter().all(|sum| sum.is_finite());
        let moments = statistics == Statistics::Running || (0..self.mean.len()).all(measured);
        match layer.norms.get(level.number() - 1) {
            Some(norm) => self.normalise_by(plan, norm, statistics, images),
            None => {
                self.scale.fill(T::one());
                self.shift.copy_from_slice(&layer.bias);
                self.mean.fill(T::zero());
            }
        }
        self.finite = moments && self.scale.iter().chain(&self.shift).all(|value| value.is_finite());
    }

    fn normalise_by(&mut self, plan: &Plan, norm: &Norm<T>, statistics: Statistics, images: usize) {
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
            self.scale[row] = norm.scale[row] / (self.variance[row] + T::from_f64(self.epsilon)).sqrt();
            self.shift[row] = norm.shift[row] - self.mean[row] * self.scale[row];
        }
    }

    /// The two sums of a row over all chunks, in their order.
    fn row_total(&self, plan: &Plan, row: usize) -> [f64; 2] {
        let rows = self.mean.len();
        let chunks = self.row_sums.chunks_exact(2 * rows).take(plan.chunks());
        chunks.fold([0.0; 2], |[a, b], chunk| [a + chunk[2 * row], b + chunk[2 * row + 1]])
    }

    pub(super) fn finish(&self, plan: &Plan, to: &Map, lanes: &[T], target: &mut [T]) {
        let groups = target.par_chunks_mut(plan.group(to.len()));
        let groups = groups.zip(self.pre.as_slice().par_chunks(plan.group(self.map.len())));
        groups.zip(lanes.par_chunks(plan.lanes)).for_each(|((target, source), lanes)| {
            let (scale, shift, activation) = (&self.scale, &self.shift, self.activation);
            Finish { from: &self.map, to, scale, shift, activation, lanes, source, target }.run(plan.arch);
        });
    }

    /// The gradient through the activation, and its two sums a row.
    pub(super) fn gate(&mut self, plan: &Plan, to: &Map, values: &[T], own: &mut [T]) {
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
    pub(super) fn parameter_gradients(
        &mut self,
        plan: &Plan,
        scale: Option<&[T]>,
        statistics: Statistics,
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
            let inverse = 1.0 / (self.variance[row].to_f64() + self.epsilon).sqrt();
            gradient.shift[row] = T::from_f64(sum);
            gradient.scale[row] = T::from_f64(product * inverse);
            let a = scale[row].to_f64() * inverse;
            if statistics == Statistics::Running {
                self.factors[row] = [T::from_f64(a), T::zero(), T::zero()];
                continue;
            }
            let b = -a * inverse * inverse * product / elements;
            let c = -a * sum / elements - b * self.mean[row].to_f64();
            self.factors[row] = [a, b, c].map(T::from_f64);
        }
    }

    /// The gradients of the sums (in place of them), of the weights (a chunk each) and of the input.
    pub(super) fn back(&mut self, plan: &Plan, lanes: &[T], own: &[T], (from, source): (&Map, &[T]), input: &mut [T]) {
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
    pub(super) fn collect(&mut self, chunks: usize, gradient: &mut [T]) {
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

//! Which weights each level uses.
use super::{Config, Masking, TrainError, Trained, Trainer, config::compares, optimizer::Velocity};
use crate::{
    MaskError, NestedMask, Saliency,
    allocation::{Allocation, LayerShape},
    mask::sparsities_across,
    nn::{self, Layer, LayerGradient, Network, Operation},
    saliency::first_order,
    schedule::cosine,
};
use ndarray::{Array2, ArrayView2};
use nested_csr::Level;

/// Share of a first-order saliency that a step keeps.
const KEEP: f32 = 0.95;

impl Trainer {
    /// Masks before the first step.
    pub(super) fn begin_masks(&mut self) -> Result<(), TrainError> {
        if self.config.masking == Masking::Slimmable {
            let masks = nn::channel_masks(&self.trained.network, &self.trained.ladder);
            for (layer, mask) in self.trained.parameters.layers.iter_mut().zip(masks) {
                if let Some(layer) = layer {
                    layer.mask = mask;
                }
            }
            return levels_differ(&self.trained);
        }
        // The masks that the training ends with have these sizes.
        self.rank(1.0)?;
        levels_differ(&self.trained)?;
        self.rank(0.0)
    }

    /// Whether weights are ranked before step `done` (from 0) of `all`: now and then while sparsity grows, and a last time
    /// when it has its final value.
    pub(super) fn ranks_at(&self, done: usize, all: usize) -> bool {
        if self.config.masking == Masking::Slimmable {
            return false;
        }
        let end = self.config.ramp.end * all as f64;
        let grows = (done as f64) < end || self.config.masking == Masking::Dsnn;
        grows && done.is_multiple_of(self.config.rank_every) || !grows && (done == 0 || ((done - 1) as f64) < end)
    }

    /// Where step `done` of `all` is on the ramp: not before its end when masks are ranked a last time. `done / all` is
    /// rounded otherwise than `end · all`, and may come out below it.
    pub(super) fn ramp_share(&self, done: usize, all: usize) -> f64 {
        let (end, share) = (self.config.ramp.end, done as f64 / all as f64);
        if (done as f64) < end * all as f64 { share } else { share.max(end) }
    }

    /// Whether the last ranking leaves ring 1 a step of its turn, so that no weight is moved out of a ring that stands still.
    pub(super) fn ranks_within_first_turn(&self, all: usize) -> Result<(), TrainError> {
        let Config { routing, ramp, masking, .. } = &self.config;
        let last = (ramp.end * all as f64).ceil() / all as f64;
        let levels = self.config.ladder.levels().number();
        if *masking == Masking::Slimmable || !routing.is_after_first_turn(levels, last) {
            return Ok(());
        }
        let must = "a step before the end of the first ring's turn, after which its weights stand still";
        Err(TrainError::Config { what: "ramp.end", value: ramp.end, must })
    }

    /// Masks of the sparsities that hold at this moment.
    pub(super) fn rank(&mut self, share: f64) -> Result<(), TrainError> {
        let sparsities = self.config.ramp.sparsities(&self.trained.ladder, share);
        rank(&mut self.trained, self.config.allocation, &sparsities, &self.saliency)
    }

    /// Whether this moment's gradients are kept for rankings to come.
    pub(super) fn watches_saliency(&self, share: f64) -> bool {
        self.config.saliency == Saliency::FirstOrder
            && (share < self.config.ramp.end || self.config.masking == Masking::Dsnn)
    }

    /// Adds the last pass's gradient to the saliency of the weights that the level uses. Of others it says what a return of
    /// their value would change, in either direction: a weight that was pruned keeps the saliency that it had.
    pub(super) fn remember_saliency(&mut self, level: Level) {
        let layers = self.trained.parameters.layers.iter().zip(&self.gradient.layers);
        for ((layer, gradient), saliency) in layers.zip(&mut self.saliency) {
            let Some((scores, saliency)) = of_last_pass(layer, gradient).zip(saliency.as_mut()) else { continue };
            let counts = layer.as_ref().map(|layer| layer.counts(level));
            let means = saliency.iter_mut().zip(&scores).enumerate();
            for (_, (mean, score)) in means.filter(|(place, _)| counts.as_ref().is_some_and(|counts| counts(*place))) {
                // A mean begins with its first score: outer rings have fewer.
                *mean = if *mean == 0.0 { *score } else { KEEP * *mean + (1.0 - KEEP) * score };
            }
        }
    }

    /// Means of saliency before the first step: all alike, so that ties are broken by position until gradients are known.
    pub(super) fn no_saliency(trained: &Trained, saliency: Saliency) -> Vec<Option<Array2<f32>>> {
        let sparse: Vec<usize> = sparse_layers(&trained.network).map(|(node, _)| node).collect();
        let zeros = |(node, layer): (usize, &Option<Layer<f32>>)| {
            let weights = &layer.as_ref().filter(|_| sparse.contains(&node))?.weights;
            (saliency == Saliency::FirstOrder).then(|| Array2::zeros(weights.dim()))
        };
        trained.parameters.layers.iter().enumerate().map(zeros).collect()
    }

    /// The share of the supports that this step exchanges.
    pub(super) fn regrows(&self, done: usize, all: usize) -> Option<f64> {
        let regrowth = self.config.regrowth.filter(|_| self.config.masking == Masking::Nested)?;
        let (start, end) = (self.config.ramp.end * all as f64, regrowth.until * all as f64);
        let due = (start..end).contains(&(done as f64)) && done.is_multiple_of(self.config.rank_every);
        let passed = (done as f64 - start) / (end - start).max(f64::MIN_POSITIVE);
        due.then(|| regrowth.share * cosine(passed, 0.0))
    }

    /// Exchanges a share of each support, by the gradient of the last pass, the densest level's; what comes in begins at rest.
    pub(super) fn regrow(&mut self, share: f64) -> Result<(), TrainError> {
        let layers = self.trained.parameters.layers.iter_mut().zip(&self.gradient.layers);
        for (index, ((layer, gradient), velocity)) in layers.zip(&mut self.optimizer.layers).enumerate() {
            let (Some(layer), Some(gradient), Some(velocity)) = (layer, gradient, velocity) else { continue };
            regrow_layer(layer, gradient, velocity, share).map_err(|error| {
                let layer = self.trained.network.nodes()[index].name.clone();
                TrainError::Mask { layer, error }
            })?;
        }
        Ok(())
    }
}

/// `(w · g)²` of a layer's last pass.
fn of_last_pass(layer: &Option<Layer<f32>>, gradient: &Option<LayerGradient<f32>>) -> Option<Array2<f32>> {
    let weights = layer.as_ref()?.weights.view();
    let gradient = ArrayView2::from_shape(weights.dim(), &gradient.as_ref()?.weights).ok()?;
    first_order(weights, gradient).ok()
}

fn regrow_layer(
    layer: &mut Layer<f32>,
    gradient: &LayerGradient<f32>,
    velocity: &mut Velocity,
    share: f64,
) -> Result<(), MaskError> {
    let Some(mask) = &layer.mask else { return Ok(()) };
    let Ok(gradient) = ArrayView2::from_shape(layer.weights.dim(), &gradient.weights) else { return Ok(()) };
    let exchanged = mask.regrow(layer.weights.view(), gradient, share)?;
    let both = mask.rings().iter().zip(exchanged.rings());
    for ((weight, velocity), (&old, &new)) in layer.weights.iter_mut().zip(&mut velocity.weights).zip(both) {
        if old == 0 && new != 0 {
            (*weight, *velocity) = (0.0, 0.0);
        }
    }
    layer.mask = Some(exchanged);
    Ok(())
}

/// Masks of the greatest weights, at the ladder's sparsities.
pub(super) fn by_magnitude(trained: &mut Trained, allocation: Allocation) -> Result<(), TrainError> {
    let none = vec![None; trained.parameters.layers.len()];
    let sparsities = trained.ladder.sparsities().to_vec();
    if !trained.ladder.is_dense() {
        compares(allocation, Saliency::Magnitude)?;
    }
    rank(trained, allocation, &sparsities, &none)?;
    levels_differ(trained)
}

/// Refuses a ladder two of whose levels came out the same.
fn levels_differ(trained: &Trained) -> Result<(), TrainError> {
    let count = |level: Level| -> usize {
        trained.parameters.layers.iter().flatten().filter_map(|layer| layer.mask.as_ref()).map(|m| m.count(level)).sum()
    };
    let levels: Vec<Level> = trained.levels().up_to().collect();
    match levels.windows(2).find(|pair| count(pair[0]) == count(pair[1])) {
        Some(pair) => Err(TrainError::EqualLevels { level: pair[1].number() }),
        None => Ok(()),
    }
}

/// Masks of the weights of the greatest scores (of the greatest magnitude where none is given), at these
/// sparsities, one a level.
fn rank(
    trained: &mut Trained,
    allocation: Allocation,
    sparsities: &[f64],
    scores: &[Option<Array2<f32>>],
) -> Result<(), TrainError> {
    if trained.ladder.is_dense() {
        return Ok(());
    }
    let (nodes, shapes): (Vec<usize>, Vec<LayerShape>) = sparse_layers(&trained.network).unzip();
    if nodes.is_empty() {
        return Err(TrainError::NothingSparse);
    }
    let layers = &mut trained.parameters.layers;
    let score = |&node: &usize| match (&scores[node], &layers[node]) {
        (Some(scores), _) => scores.clone(),
        (None, Some(layer)) => layer.weights.mapv(|w| w * w),
        (None, None) => Array2::zeros((0, 0)),
    };
    let scores: Vec<Array2<f32>> = nodes.iter().map(score).collect();
    let names = trained.network.nodes();
    let named = |node: usize| move |error| TrainError::Mask { layer: names[node].name.clone(), error };
    let of_layers = match spread(allocation, &shapes, sparsities) {
        Some(of_layers) => of_layers,
        None => {
            let views: Vec<_> = scores.iter().map(|scores| scores.view()).collect();
            let cost = |shape: &LayerShape| if allocation == Allocation::Global { 1.0 } else { shape.instructions() };
            let costs: Vec<f64> = shapes.iter().map(cost).collect();
            sparsities_across(&views, &costs, sparsities, trained.block).map_err(|error| match error {
                MaskError::Layer { layer, error } => named(nodes[layer])(*error),
                error => named(nodes[0])(error),
            })?
        }
    };
    for ((&node, scores), sparsities) in nodes.iter().zip(&scores).zip(of_layers) {
        let Some(layer) = &mut layers[node] else { continue };
        let mask = NestedMask::by_score_at(scores.view(), &sparsities, trained.ladder.levels(), trained.block);
        layer.mask = Some(mask.map_err(named(node))?);
    }
    Ok(())
}

/// The sparsities of each layer, `[layer][level]`; `None` when they depend on the weights.
fn spread(allocation: Allocation, shapes: &[LayerShape], sparsities: &[f64]) -> Option<Vec<Vec<f64>>> {
    let of_levels: Option<Vec<Vec<f64>>> = sparsities.iter().map(|&s| allocation.sparsities(shapes, s)).collect();
    let of_levels = of_levels?;
    Some((0..shapes.len()).map(|layer| of_levels.iter().map(|of_layers| of_layers[layer]).collect()).collect())
}

/// The nodes with sparse weights, and their shapes.
fn sparse_layers(network: &Network) -> impl Iterator<Item = (usize, LayerShape)> + '_ {
    network.nodes().iter().enumerate().filter_map(|(index, node)| match node.operation {
        Operation::Convolution { window, finish, .. } if finish.sparse => Some((
            index,
            LayerShape {
                matrix: network.weights(index)?,
                kernel: window.kernel.map(usize::from),
                pixels: node.output.height * node.output.width,
            },
        )),
        _ => None,
    })
}

/// The place in the training of a weight that could not be ranked.
pub(super) fn at_step(error: TrainError, epoch: usize, step: usize) -> TrainError {
    match error {
        TrainError::Mask { layer, error: MaskError::NotANumber { index } } => {
            let what = format!("weight {index} is not a number");
            TrainError::NotFinite { what, layer, epoch: epoch + 1, step: step + 1 }
        }
        other => other,
    }
}

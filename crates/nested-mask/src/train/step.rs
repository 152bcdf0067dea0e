//! One training step: the passes of its levels, then the descent.
use super::{Distillation, TrainError, Trainer, examples::Objective, ranking};
use crate::{
    Descent, RoutingMatrix,
    mask::is_in,
    nn::{Learning, Loss, Parameters, Passes, Statistics},
    quant,
    schedule::cosine,
};
use nested_csr::Level;

/// Share of a running statistic that a step keeps.
const KEEP: f32 = 0.9;

/// Where a step is, and what it does besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The step of its epoch, from 0.
    pub(super) step: usize,
    /// Share of the training that is done.
    pub(super) share: f64,
    /// Share of the supports that it exchanges.
    pub(super) regrows: Option<f64>,
}

impl Trainer {
    /// The passes of the levels that the routing uses, then the descent. Returns the mean loss of the levels, the images that
    /// were right, over all of them, and how many levels that were.
    pub(super) fn step(
        &mut self,
        objective: &Objective,
        routing: &RoutingMatrix,
        moment: Moment,
    ) -> Result<(Loss, usize), TrainError> {
        let share = moment.share;
        let descent = self.descent(share);
        let rounded = (share >= self.config.int8_from).then(|| {
            let mut rounded = self.trained.parameters.clone();
            quant::round_weights(&mut rounded);
            rounded
        });
        let distillation = self.config.distillation.filter(|distillation| share >= distillation.start);
        let densest = self.config.ladder.levels();
        let mut levels: Vec<Level> = densest.up_to().filter(|level| routing.uses(level.number())).collect();
        let mut teacher = None;
        if distillation.is_some() {
            levels.reverse();
            if levels.first() != Some(&densest) {
                let parameters = rounded.as_ref().unwrap_or(&self.trained.parameters);
                self.passes.prepare(parameters, densest);
                self.passes.forward(parameters, Statistics::Batch);
                self.sums_are_finite(moment.step)?;
                teacher = Some(self.passes.all_logits());
            }
        }
        let mut sum = Loss { mean: 0.0, right: 0 };
        let learning = if self.config.masking.is_straight_through() { Learning::All } else { Learning::Support };
        self.optimizer.start();
        for &level in &levels {
            let distilled = distillation.zip(teacher.as_deref());
            let loss = self.pass(objective, (level, learning), rounded.as_ref(), distilled, moment)?;
            if distillation.is_some() && level == densest {
                teacher = Some(self.passes.all_logits());
            }
            remember_statistics(&self.passes, &mut self.trained.parameters, level);
            if self.watches_saliency(share) {
                self.remember_saliency(level);
            }
            self.optimizer.add(&mut self.trained.parameters, &self.gradient, routing, level, descent);
            sum = Loss { mean: sum.mean + loss.mean, right: sum.right + loss.right };
        }
        if moment.regrows.is_some() {
            // Newcomers join the densest support, so its gradient chooses them, whichever levels the step has used.
            self.pass(objective, (densest, Learning::All), rounded.as_ref(), None, moment)?;
        }
        self.optimizer.step(&mut self.trained.parameters, routing, descent);
        if let Some(exchanged) = moment.regrows {
            self.regrow(exchanged).map_err(|error| ranking::at_step(error, self.epoch, moment.step))?;
        }
        let used = levels.len().max(1);
        Ok((Loss { mean: sum.mean / used as f64, ..sum }, used))
    }

    pub(super) fn descent(&self, share: f64) -> Descent<f32> {
        let config = &self.config;
        Descent {
            learning_rate: (config.learning_rate * cosine(share, config.warm_up)) as f32,
            momentum: config.momentum as f32,
            weight_decay: config.weight_decay as f32,
        }
    }

    /// One level, forward and backward: its gradient, in these weights, is in `self.gradient`.
    fn pass(
        &mut self,
        objective: &Objective,
        (level, learning): (Level, Learning),
        rounded: Option<&Parameters<f32>>,
        teacher: Option<(Distillation, &[f32])>,
        moment: Moment,
    ) -> Result<Loss, TrainError> {
        let parameters = rounded.unwrap_or(&self.trained.parameters);
        self.passes.prepare_for(parameters, level, learning);
        self.passes.forward(parameters, Statistics::Batch);
        self.sums_are_finite(moment.step)?;
        let loss = objective(&mut self.passes, teacher);
        if !loss.mean.is_finite() {
            return Err(self.not_finite(format!("the loss is {}", loss.mean), moment.step));
        }
        self.passes.backward(parameters, &mut self.gradient);
        if learning == Learning::All {
            self.leave_constant_rows(level);
        }
        Ok(loss)
    }

    /// Takes from weights that the level does not use their gradient where their row hardly varies in the batch, as a row without
    /// a weight does. Its normalisation makes all that reaches it up to `1/√ε` times as large as it would be with them in use
    /// (316 times, by default), by which they would grow to be the greatest of their layer, or be the first to be regrown, whatever
    /// they are worth.
    fn leave_constant_rows(&mut self, level: Level) {
        let epsilon = self.trained.network.epsilon() as f32;
        let layers = self.trained.parameters.layers.iter().zip(&mut self.gradient.layers).enumerate();
        for (node, (layer, gradient)) in layers {
            let mask = layer.as_ref().and_then(|layer| layer.mask.as_ref());
            let (Some(mask), Some(gradient)) = (mask, gradient) else { continue };
            let Some((_, variances)) = self.passes.batch_statistics(node) else { continue };
            let rings = mask.rings();
            let rows = rings.rows().into_iter().zip(gradient.weights.chunks_mut(rings.ncols())).zip(variances);
            for ((rings, gradient), _) in rows.filter(|(_, variance)| **variance <= epsilon) {
                let weights = rings.iter().zip(gradient);
                let unused = weights.filter(|(ring, _)| !is_in(**ring, level));
                unused.for_each(|(_, gradient)| *gradient = 0.0);
            }
        }
    }

    /// Whether the last forward pass may be learned from: a loss that is finite does not tell, for activations hide what is
    /// not a number.
    fn sums_are_finite(&self, step: usize) -> Result<(), TrainError> {
        if self.passes.sums_are_finite() {
            return Ok(());
        }
        Err(self.not_finite("what a layer sums up or normalises with is not finite".to_owned(), step))
    }

    fn not_finite(&self, what: String, step: usize) -> TrainError {
        let nodes = self.trained.network.nodes();
        let node = self.passes.first_not_finite().map(|node| &nodes[node]).or(nodes.last());
        let layer = node.map_or(String::new(), |node| node.name.clone());
        TrainError::NotFinite { what, layer, epoch: self.epoch + 1, step: step + 1 }
    }
}

/// Moves the level's running statistics towards the batch's.
fn remember_statistics(passes: &Passes<f32>, parameters: &mut Parameters<f32>, level: Level) {
    for (node, layer) in parameters.layers.iter_mut().enumerate() {
        let norm = layer.as_mut().and_then(|layer| layer.norms.get_mut(level.number() - 1));
        if let (Some(norm), Some((mean, variance))) = (norm, passes.batch_statistics(node)) {
            let blend = |into: &mut [f32], from: &[f32]| {
                into.iter_mut().zip(from).for_each(|(into, from)| *into = KEEP * *into + (1.0 - KEEP) * from);
            };
            blend(&mut norm.mean, mean);
            blend(&mut norm.variance, variance);
        }
    }
}

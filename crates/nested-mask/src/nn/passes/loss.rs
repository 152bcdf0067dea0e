//! What a network's last node made, and losses of it with their gradients.
use super::Passes;
use crate::nn::{log_softmax_at, map::Map, vector::Scalar};
use rayon::prelude::*;

/// The loss of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loss {
    /// Mean cross-entropy.
    pub mean: f64,
    /// Images whose greatest value is at their label.
    pub right: usize,
}

impl<T: Scalar> Passes<T> {
    /// What the last node made for one image.
    pub fn logits(&self, image: usize) -> impl Iterator<Item = T> + Clone + '_ {
        self.output().1.iter().skip(self.logit(image, 0)).step_by(self.plan.lanes).copied().take(self.network.outputs())
    }

    /// What the last node made for all images, image by image.
    pub fn all_logits(&self) -> Vec<T> {
        (0..self.images).flat_map(|image| self.logits(image)).collect()
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
    ///
    /// # Panics
    /// With another number of labels than of images that were loaded.
    pub fn cross_entropy(&mut self, labels: &[u8], targets: impl Fn(usize, usize) -> T) -> Loss {
        assert_eq!(labels.len(), self.images, "labels of a batch");
        let classes = self.network.outputs();
        let last = self.maps.len() - 1;
        self.gradients[last].as_mut_slice().fill(T::zero());
        let (mut sum, mut right) = (0.0, 0);
        let each = T::one() / T::from_f64(self.images.max(1) as f64);
        for (image, &label) in labels.iter().enumerate() {
            let first = self.logit(image, 0);
            let values = self.tensors[last].as_slice()[first..].iter().step_by(self.plan.lanes).take(classes);
            let greatest = values.clone().copied().fold(T::neg_infinity(), T::max);
            right += usize::from(values.clone().position(|&value| value == greatest) == Some(label.into()));
            let log = log_probabilities(values.copied(), T::one());
            let into = self.gradients[last].as_mut_slice()[first..].iter_mut().step_by(self.plan.lanes);
            for (class, (into, log)) in into.zip(log).enumerate() {
                let target = targets(image, class);
                sum -= (target * log).to_f64();
                *into = (log.exp() - target) * each;
            }
        }
        Loss { mean: sum / self.images.max(1) as f64, right }
    }

    /// After [`Self::cross_entropy`], blends a teacher into its loss and gradient: `(1 − mix) · loss + mix · T² · CE(softmax(
    /// teacher / T), softmax(logits / T))`. `teacher` holds the logits of the same images ([`Self::all_logits`]). Returns the
    /// blended mean loss.
    ///
    /// # Panics
    /// With another number of logits than those of the images that were loaded.
    ///
    /// ```
    /// # use ndarray::array;
    /// # use nested_csr::{Level, TensorShape};
    /// # use nested_mask::nn::{NetworkBuilder, Parameters, Passes, Statistics};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut builder = NetworkBuilder::new(TensorShape { channels: 2, height: 1, width: 1 });
    /// # builder.fully_connected("logits", builder.input(), 2)?;
    /// # let network = builder.finish()?;
    /// # let mut parameters = Parameters::<f64>::random(&network, Level::FIRST, 1);
    /// # for layer in parameters.layers.iter_mut().flatten() {
    /// #     layer.weights = array![[1.0, 2.0], [3.0, 4.0]];
    /// #     layer.bias = vec![0.5, 0.0];
    /// # }
    /// # let mut passes = Passes::new(&network, 2);
    /// # passes.load(2, |image, pixels| pixels.copy_from_slice(&[[1.0, 1.0], [0.0, -1.0]][image]));
    /// # passes.prepare(&parameters, Level::FIRST);
    /// # passes.forward(&parameters, Statistics::Running);
    /// // After a forward pass that gave the logits 3.5 and 7 for an image of class 1, and −1.5 and −4 for one of class 0:
    /// let labels = [1, 0];
    /// let loss = passes.cross_entropy(&labels, |image, class| f64::from(u8::from(class == usize::from(labels[image]))));
    /// assert!((loss.mean - 0.05432).abs() < 1e-5 && loss.right == 2);
    /// let teacher = passes.all_logits(); // usually of the densest level; here of the level itself
    /// let blended = passes.distil(loss, &teacher, 0.5, 1.0);
    /// assert!((blended.mean - 0.12738).abs() < 1e-5);
    /// # Ok(()) }
    /// ```
    pub fn distil(&mut self, loss: Loss, teacher: &[T], mix: f64, temperature: f64) -> Loss {
        let classes = self.network.outputs();
        assert_eq!(teacher.len(), self.images * classes, "a teacher's logits of a batch");
        let last = self.maps.len() - 1;
        let (part, heat) = (T::from_f64(mix), T::from_f64(temperature));
        let each = part * heat / T::from_f64(self.images.max(1) as f64);
        let mut sum = 0.0;
        for (image, teacher) in teacher.chunks_exact(classes.max(1)).enumerate() {
            let first = self.logit(image, 0);
            let wanted = log_probabilities(teacher.iter().copied(), heat);
            let found = log_probabilities(self.logits(image), heat);
            let into = self.gradients[last].as_mut_slice()[first..].iter_mut().step_by(self.plan.lanes);
            for ((into, wanted), found) in into.zip(wanted).zip(found) {
                sum -= (wanted.exp() * found).to_f64();
                *into = (T::one() - part) * *into + each * (found.exp() - wanted.exp());
            }
        }
        let distilled = temperature * temperature * sum / self.images.max(1) as f64;
        Loss { mean: (1.0 - mix) * loss.mean + mix * distilled, ..loss }
    }

    /// A loss that is a sum over the images, and its gradient with respect to what the last node made (kept for
    /// [`Self::backward`]). `each(image, values, gradient)` yields the image's part and writes its gradient; images run in
    /// parallel. Returns the sum, in the order of the images. [`Self::prepare_for`] has an example.
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
}

/// Logarithms of the probabilities of these logits at a temperature.
fn log_probabilities<T: Scalar>(logits: impl Iterator<Item = T>, temperature: T) -> Vec<T> {
    let mut log: Vec<T> = logits.collect();
    log_softmax_at(&mut log, temperature);
    log
}

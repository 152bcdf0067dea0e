//! Measuring a trained network: accuracy, and the batch-norm statistics of each level.
use super::{Dataset, Examples, Images, Normalization, Scenes, TrainError, Trained, examples::Task, ranking};
use crate::{
    Allocation, Ladder,
    detect::{Detection, DetectionSettings, detections},
    nn::{Passes, Statistics},
};
use nested_csr::{Block, Level};
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

/// Images of a batch that is measured.
const BATCH: usize = 64;
/// The images of each batch of a recalibration are drawn by it, so that figures do not depend on chance.
const SEED: u64 = 64;

/// Mean and variance of each row.
type Moments = (Vec<f32>, Vec<f32>);

impl Trained {
    /// Share of the images that a level classifies rightly, in `[0, 1]`, with its running statistics.
    ///
    /// # Errors
    /// A dataset that does not fit, [`TrainError::TooFew`] for one of no images, a level beyond the ladder;
    /// [`TrainError::NotMeasurable`] where an output is not finite. As in all these methods, [`TrainError::Parameters`] and
    /// [`TrainError::Config`] for a network that cannot be computed with: its fields are public.
    pub fn evaluate(&self, level: Level, dataset: &Dataset) -> Result<f64, TrainError> {
        self.evaluate_with(&mut Passes::new(&self.network, BATCH), level, dataset)
    }

    pub(super) fn evaluate_with(
        &self,
        passes: &mut Passes<f32>,
        level: Level,
        dataset: &Dataset,
    ) -> Result<f64, TrainError> {
        dataset.fits(&self.network)?;
        self.has(level)?;
        has_images(dataset)?;
        on_a_worker(|| self.share_right(passes, level, dataset))
    }

    fn share_right(&self, passes: &mut Passes<f32>, level: Level, dataset: &Dataset) -> Result<f64, TrainError> {
        passes.prepare(&self.parameters, level);
        let order: Vec<usize> = (0..dataset.len()).collect();
        let mut right = 0;
        for images in order.chunks(passes.batch()) {
            load(passes, self.normalization, dataset, images);
            passes.forward(&self.parameters, Statistics::Running);
            self.is_measurable(passes, level)?;
            let best = |image| {
                let greatest = |best: (usize, f32), (class, value)| if value > best.1 { (class, value) } else { best };
                passes.logits(image).enumerate().fold((0, f32::NEG_INFINITY), greatest).0
            };
            let labels = images.iter().map(|&image| usize::from(dataset.labels[image]));
            right += labels.enumerate().filter(|&(image, label)| best(image) == label).count();
        }
        Ok(right as f64 / dataset.len() as f64)
    }

    /// The objects that a level of a detector finds in each image, with its running statistics; [`Scenes`] has an example.
    ///
    /// # Errors
    /// Images that do not fit, [`TrainError::OtherKind`] for a classifier, a level beyond the ladder;
    /// [`TrainError::NotMeasurable`] where an output is not finite.
    pub fn detect(
        &self,
        level: Level,
        images: &Scenes,
        settings: DetectionSettings,
    ) -> Result<Vec<Vec<Detection>>, TrainError> {
        images.fits(&self.network)?;
        self.has(level)?;
        let anchors = self.network.anchors().ok_or(TrainError::OtherKind)?;
        let mut passes = Passes::new(&self.network, BATCH);
        on_a_worker(|| {
            passes.prepare(&self.parameters, level);
            let order: Vec<usize> = (0..images.count()).collect();
            let mut found = Vec::with_capacity(order.len());
            for batch in order.chunks(BATCH) {
                load(&mut passes, self.normalization, images, batch);
                passes.forward(&self.parameters, Statistics::Running);
                self.is_measurable(&passes, level)?;
                let of_image = |image: usize| detections(anchors, &passes.logits(image).collect::<Vec<_>>(), settings);
                found.par_extend((0..batch.len()).into_par_iter().map(of_image));
            }
            Ok(found)
        })
    }

    /// Measures the batch-norm statistics of each level anew, with the weights as they are and images without changes: mean and
    /// variance over all images of what a layer sums up, where the layers before it normalise each batch's images by their own.
    /// A batch has up to 64 images, drawn from the whole dataset, which may be in any order.
    ///
    /// # Errors
    /// A dataset that does not fit, [`TrainError::TooFew`] for one of no images; [`TrainError::NotMeasurable`] where a statistic is
    /// not finite: then nothing has changed.
    pub fn recalibrate(&mut self, dataset: &impl Examples) -> Result<(), TrainError> {
        dataset.fits(&self.network)?;
        self.has(Level::FIRST)?;
        has_images(dataset)?;
        let of_levels = on_a_worker(|| self.measured_statistics(dataset))?;
        for (index, of_nodes) in of_levels.into_iter().enumerate() {
            for (layer, measured) in self.parameters.layers.iter_mut().zip(of_nodes) {
                let norm = layer.as_mut().and_then(|layer| layer.norms.get_mut(index));
                if let Some((norm, (mean, variance))) = norm.zip(measured) {
                    (norm.mean, norm.variance) = (mean, variance);
                }
            }
        }
        Ok(())
    }

    /// Mean and variance of each row, `[level][node]`; none for nodes without normalisation.
    fn measured_statistics(&self, dataset: &impl Images) -> Result<Vec<Vec<Option<Moments>>>, TrainError> {
        let mut passes = Passes::new(&self.network, BATCH);
        let mut order: Vec<usize> = (0..dataset.count()).collect();
        // Of images sorted by class a pass would have one class, and deeper layers would see its mean where they see 0 later.
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(SEED));
        // Passes of like numbers: a few images alone would be far from their mean.
        let (images, passes_made) = (order.len(), order.len().div_ceil(BATCH));
        let of_pass = |pass: usize| &order[pass * images / passes_made..(pass + 1) * images / passes_made];
        let mut of_level = |level: Level| {
            let mut sums: Vec<Vec<[f64; 2]>> = vec![Vec::new(); self.network.nodes().len()];
            passes.prepare(&self.parameters, level);
            for images in (0..passes_made).map(of_pass) {
                load(&mut passes, self.normalization, dataset, images);
                passes.forward(&self.parameters, Statistics::Batch);
                self.is_measurable(&passes, level)?;
                let share = images.len() as f64 / dataset.count() as f64;
                for (node, sums) in sums.iter_mut().enumerate() {
                    let Some((means, variances)) = passes.batch_statistics(node) else { continue };
                    sums.resize(means.len(), [0.0; 2]);
                    for ((sum, &mean), &variance) in sums.iter_mut().zip(means).zip(variances) {
                        let (mean, variance) = (f64::from(mean), f64::from(variance));
                        sum[0] += share * mean;
                        sum[1] += share * (variance + mean * mean);
                    }
                }
            }
            sums.iter().enumerate().map(|(node, sums)| self.moments(node, level, sums)).collect()
        };
        self.levels().up_to().map(&mut of_level).collect()
    }

    /// Mean and variance of each row, of its sums of means and of squares; none without sums.
    fn moments(&self, node: usize, level: Level, sums: &[[f64; 2]]) -> Result<Option<Moments>, TrainError> {
        let of_row = |&[mean, square]: &[f64; 2]| (mean as f32, (square - mean * mean).max(0.0) as f32);
        let (mean, variance): Moments = sums.iter().map(of_row).unzip();
        if !mean.iter().chain(&variance).all(|value| value.is_finite()) {
            return Err(self.not_measurable(Some(node), level));
        }
        Ok((!sums.is_empty()).then_some((mean, variance)))
    }

    /// Prunes further what a level uses, by magnitude and without training: a network of another ladder, each of whose
    /// levels starts with this level's normalisations. [`Self::recalibrate`] fits them to the weights that are left.
    ///
    /// # Errors
    /// [`TrainError::NoSuchLevel`]; [`TrainError::Combination`] for [`Allocation::GlobalPerInstruction`], for magnitudes of different
    /// layers do not compare; [`TrainError::NothingSparse`], [`TrainError::EqualLevels`].
    ///
    /// ```
    /// use nested_csr::TensorShape;
    /// use nested_mask::nn::resnet8;
    /// use nested_mask::train::{Config, Trainer};
    /// use nested_mask::{Allocation, Block, Ladder, Level};
    ///
    /// let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// let config = Config { ladder: Ladder::dense(), ..Config::default() };
    /// let dense = Trainer::new(resnet8(shape, 0.5, 2)?, config)?;
    /// let ladder = Ladder::new([0.9, 0.8])?;
    /// let pruned = dense.trained().pruned(Level::FIRST, &ladder, Allocation::Uniform, Block::OneByOne)?;
    /// assert!((pruned.sparsity(Level::FIRST) - 0.9).abs() < 0.005);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pruned(
        &self,
        level: Level,
        ladder: &Ladder,
        allocation: Allocation,
        block: Block,
    ) -> Result<Trained, TrainError> {
        self.has(level)?;
        let mut pruned = Trained { ladder: ladder.clone(), block, ..self.clone() };
        for layer in pruned.parameters.layers.iter_mut().flatten() {
            if let Some(mask) = layer.mask.take() {
                layer.weights.zip_mut_with(&mask.support(level), |weight, &kept| {
                    if !kept {
                        *weight = 0.0;
                    }
                });
            }
            if let Some(norm) = layer.norms.get(level.number() - 1).cloned() {
                layer.norms = vec![norm; ladder.levels().number()];
            }
        }
        ranking::by_magnitude(&mut pruned, allocation)?;
        Ok(pruned)
    }

    /// The ordinary network that a level of a slimmable one ([`super::Masking::Slimmable`]) is, with fewer channels and no
    /// masks: what a device would hold of it.
    ///
    /// # Errors
    /// [`TrainError::NoSuchLevel`]; [`TrainError::NotSlimmable`].
    ///
    /// ```
    /// use nested_csr::TensorShape;
    /// use nested_mask::nn::resnet8;
    /// use nested_mask::train::{Config, Masking, Trainer};
    /// use nested_mask::{Ladder, Level};
    ///
    /// let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// let config = Config { masking: Masking::Slimmable, ladder: Ladder::new([0.5, 0.0])?, ..Config::default() };
    /// let slimmable = Trainer::new(resnet8(shape, 0.5, 2)?, config)?;
    /// let narrow = slimmable.trained().narrowed(Level::FIRST)?;
    /// assert_eq!(narrow.network, resnet8(shape, 0.25, 2)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn narrowed(&self, level: Level) -> Result<Trained, TrainError> {
        self.has(level)?;
        let masks = crate::nn::channel_masks(&self.network, &self.ladder);
        let of_layers = self.parameters.layers.iter().map(|layer| layer.as_ref().and_then(|layer| layer.mask.clone()));
        if !of_layers.eq(masks) {
            return Err(TrainError::NotSlimmable);
        }
        let width = 1.0 - self.ladder.sparsities()[level.number() - 1];
        Ok(Trained {
            network: self.network.narrowed(width),
            parameters: self.parameters.narrowed(&self.network, width, level),
            ladder: Ladder::dense(),
            ..self.clone()
        })
    }

    /// Whether the last forward pass says anything: of outputs that are no numbers the first class would be chosen.
    fn is_measurable(&self, passes: &Passes<f32>, level: Level) -> Result<(), TrainError> {
        let mut logits = (0..passes.images()).flat_map(|image| passes.logits(image));
        if passes.sums_are_finite() && logits.all(f32::is_finite) {
            return Ok(());
        }
        Err(self.not_measurable(passes.first_not_finite(), level))
    }

    fn not_measurable(&self, node: Option<usize>, level: Level) -> TrainError {
        let layer = node.map_or(String::new(), |node| self.network.nodes()[node].name.clone());
        TrainError::NotMeasurable { layer, level: level.number() }
    }

    /// Whether it can be computed with, and there is this level.
    fn has(&self, level: Level) -> Result<(), TrainError> {
        self.check()?;
        let levels = self.levels().number();
        if level.number() > levels {
            return Err(TrainError::NoSuchLevel { level: level.number(), levels });
        }
        Ok(())
    }
}

/// Refuses to measure on nothing.
fn has_images(images: &impl Images) -> Result<(), TrainError> {
    if images.count() == 0 { Err(TrainError::TooFew { images: 0, batch: 1 }) } else { Ok(()) }
}

/// Runs work of many short parallel parts on a worker of the pool: from any other thread, each part would put that thread to
/// sleep and wake it again.
pub(crate) fn on_a_worker<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}

/// Images into the passes' input, as they are.
pub(crate) fn load(passes: &mut Passes<f32>, normalization: Normalization, dataset: &impl Images, images: &[usize]) {
    passes.load(images.len(), |position, pixels| dataset.normalized(images[position], normalization, pixels));
}

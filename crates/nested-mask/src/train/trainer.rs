//! The training loop.
use super::{
    Config, Dataset, Examples, Masking, Normalization, TrainError, Trained,
    augment::{Stream, stream},
    measure::on_a_worker,
    optimizer::{Optimizer, Velocity, share_affine},
    ranking,
    step::Moment,
};
use crate::{
    nn::{Gradient, Layer, Network, Parameters, Passes},
    quant,
};
use ndarray::Array2;
use nested_csr::Level;
use rand::seq::SliceRandom;

/// Where a running epoch is; [`Trainer::train_epoch`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Loss of the step just done, mean over its levels.
    pub loss: f64,
}

/// What an epoch gave; [`Trainer::train_epoch`] has an example.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its steps, in nats an image or, of a detector, a matched anchor.
    pub loss: f64,
    /// Share of the training images that were classified rightly on the way, in `[0, 1]`, over all levels that the steps used, with
    /// the changes of [`Config::augmentation`] and the batch's statistics; 0 of a detector.
    pub accuracy: f64,
    /// Passes done: one image, one level, forward and backward; regrowth's own too. A distilling teacher's that goes forward
    /// alone is not counted.
    pub passes: usize,
}

/// A network in training.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::nn::resnet8;
/// use nested_mask::train::{Config, Dataset, Trainer};
/// use nested_mask::{Ladder, Level};
///
/// let shape = TensorShape { channels: 1, height: 8, width: 8 };
/// // Class 0 is dark, class 1 bright.
/// let labels: Vec<u8> = (0..64).map(|image| image % 2).collect();
/// let pixels = labels.iter().flat_map(|&label| vec![60 + 120 * label; 64]).collect();
/// let dataset = Dataset::new(shape, 2, pixels, labels)?;
///
/// let config = Config { ladder: Ladder::new([0.8, 0.5])?, epochs: 5, batch: 16, ..Config::default() };
/// let mut trainer = Trainer::new(resnet8(shape, 0.25, 2)?, config)?;
/// while trainer.epoch() < trainer.config().epochs {
///     trainer.train_epoch(&dataset, &mut |_| {})?;
/// }
/// trainer.recalibrate(&dataset)?;
/// assert!((trainer.sparsity(Level::FIRST) - 0.8).abs() < 0.005);
/// assert!(trainer.evaluate(Level::FIRST, &dataset)? > 0.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    pub(super) config: Config,
    pub(super) trained: Trained,
    pub(super) optimizer: Optimizer,
    /// Means of the first-order saliency of the sparse layers, when that ranks.
    pub(super) saliency: Vec<Option<Array2<f32>>>,
    pub(super) epoch: usize,
    /// Whether an epoch has begun and not ended.
    pub(super) broken: bool,
    /// Whether pixels are normalised as the network came, not by the first epoch's images.
    pub(super) keeps_normalization: bool,
    pub(super) passes: Passes<f32>,
    pub(super) gradient: Gradient<f32>,
}

impl Trainer {
    /// A network with random weights, a function of the seed.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Combination`], [`TrainError::Routing`]; [`TrainError::NothingSparse`],
    /// [`TrainError::EqualLevels`].
    pub fn new(network: Network, config: Config) -> Result<Trainer, TrainError> {
        let seed = rand::Rng::next_u64(&mut stream(config.seed, 0, Stream::Weights));
        let parameters = Parameters::random(&network, config.ladder.levels(), seed);
        Trainer::from_parameters(network, parameters, config)
    }

    /// A network that goes on from these weights, with velocities of 0. Normalisations are one a level of the configuration's
    /// ladder, or one, with which every level starts. Given masks are not taken over, for the configuration says which there
    /// are: weights that they prune start at 0, and masks are made anew ([`Config::ramp`] says when they reach the ladder;
    /// `Ramp { start: 0.0, end: 0.0 }`: before the first step). Training keeps γ at 0.01 or more: a row whose γ is negative
    /// changes its sign with its weights and running means, and yields what it did. Levels that share γ and β start with the
    /// densest's.
    ///
    /// # Errors
    /// Those of [`Self::new`]; [`TrainError::Parameters`] for parameters of another network, that are not finite or have a negative
    /// variance, and for a row whose γ has not one sign at all levels; [`TrainError::Mask`].
    ///
    /// ```
    /// use nested_csr::{Level, TensorShape};
    /// use nested_mask::nn::{Parameters, resnet8};
    /// use nested_mask::train::{Config, TrainError, Trainer};
    ///
    /// let network = resnet8(TensorShape { channels: 1, height: 8, width: 8 }, 0.25, 2)?;
    /// let mut parameters = Parameters::random(&network, Level::FIRST, 1); // usually of a file
    /// let trainer = Trainer::from_parameters(network.clone(), parameters.clone(), Config::default())?;
    /// assert_eq!(trainer.trained().levels().number(), 3);
    ///
    /// parameters.layers.pop();
    /// let error = Trainer::from_parameters(network, parameters, Config::default()).map(|_| ());
    /// assert!(matches!(error, Err(TrainError::Parameters(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_parameters(
        network: Network,
        parameters: Parameters<f32>,
        config: Config,
    ) -> Result<Trainer, TrainError> {
        config.check()?;
        if network.anchors().is_some() && config.label_smoothing != 0.0 {
            let (what, value) = ("label_smoothing", config.label_smoothing);
            return Err(TrainError::Config { what, value, must: "0 for a detector" });
        }
        if network.anchors().is_none() && config.augmentation.zoom != 0 {
            let (what, value) = ("augmentation.zoom", config.augmentation.zoom.into());
            return Err(TrainError::Config { what, value, must: "0 for a classifier, whose images are not scaled" });
        }
        let mut parameters = parameters.into_start(&network, config.ladder.levels())?;
        if config.shares_affine() {
            parameters.layers.iter_mut().flatten().for_each(share_affine);
        }
        let trained = Trained {
            parameters,
            network,
            ladder: config.ladder.clone(),
            block: config.masking.block(config.block),
            normalization: Normalization { mean: 0, deviation: 1.0 },
        };
        let mut trainer = Trainer {
            saliency: Trainer::no_saliency(&trained, config.saliency),
            optimizer: Optimizer::new(&trained.parameters, &config),
            // Grows to the batch when there are as many images: a slip in `batch` is not to ask for memory.
            passes: Passes::new(&trained.network, 1),
            gradient: Gradient::zeros(&trained.parameters),
            trained,
            config,
            epoch: 0,
            broken: false,
            keeps_normalization: false,
        };
        trainer.begin_masks()?;
        Ok(trainer)
    }

    /// A trained network that goes on, under another ladder or on other images: [`Self::from_parameters`] with the way its
    /// pixels are normalised. Where the ladders have the same number of levels, each goes on with its normalisations; else all
    /// start with the densest's.
    ///
    /// # Errors
    /// Those of [`Self::from_parameters`]; [`TrainError::Config`] for a normalisation that divides by less than 1.
    ///
    /// ```
    /// # use nested_csr::TensorShape;
    /// # use nested_mask::nn::resnet8;
    /// # use nested_mask::train::{Config, Dataset, Trainer};
    /// use nested_mask::{Ladder, schedule::Ramp};
    /// # let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// # let images = Dataset::new(shape, 2, (0..64 * 64).map(|i| (i / 64 * 3) as u8).collect(), (0..64).map(|i| i / 32).collect())?;
    /// # let config = Config { epochs: 1, batch: 16, ..Config::default() };
    /// // A dense network first, then two levels of it: here sparse at once.
    /// let mut dense = Trainer::new(resnet8(shape, 0.25, 2)?, Config { ladder: Ladder::dense(), ..config.clone() })?;
    /// dense.train_epoch(&images, &mut |_progress| {})?;
    /// let (ladder, ramp) = (Ladder::new([0.8, 0.5])?, Ramp { start: 0.0, end: 0.0 });
    /// let mut nested = Trainer::from_trained(dense.trained().clone(), Config { ladder, ramp, learning_rate: 0.01, ..config })?;
    /// nested.train_epoch(&images, &mut |_progress| {})?;
    /// assert_eq!(nested.trained().normalization, dense.trained().normalization);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_trained(trained: Trained, config: Config) -> Result<Trainer, TrainError> {
        trained.check()?;
        let levels = trained.levels();
        let Trained { network, mut parameters, normalization, .. } = trained;
        if levels != config.ladder.levels() {
            for layer in parameters.layers.iter_mut().flatten() {
                layer.norms = layer.norms.pop().into_iter().collect();
            }
        }
        let mut trainer = Trainer::from_parameters(network, parameters, config)?;
        trainer.trained.normalization = normalization;
        trainer.keeps_normalization = true;
        Ok(trainer)
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Epochs done.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// The network as it is now.
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// The network, of a training that is over.
    pub fn into_trained(self) -> Trained {
        self.trained
    }

    /// See [`Trained::sparsity`].
    pub fn sparsity(&self, level: Level) -> f64 {
        self.trained.sparsity(level)
    }

    /// See [`Trained::nonzero_macs`].
    pub fn nonzero_macs(&self, level: Level) -> u64 {
        self.trained.nonzero_macs(level)
    }

    /// One pass over the images; call it until [`Self::epoch`] is the configuration's. `progress` is called after each step.
    /// The first epoch's dataset determines how pixels are normalised, unless the network came with it.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] names layer and step; after it, nothing can be trained or saved any more, so that the last
    /// good checkpoint stays ([`TrainError::Broken`]). [`TrainError::Finished`]; a dataset that does not fit;
    /// [`TrainError::Config`] for a ramp that ends less than a step before the first ring's turn does, and for more steps than
    /// can be counted.
    ///
    /// ```
    /// # use nested_csr::TensorShape;
    /// # use nested_mask::nn::resnet8;
    /// # use nested_mask::train::{Config, Dataset, Trainer};
    /// # let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// # let images = Dataset::new(shape, 2, (0..64 * 64).map(|i| (i / 64 * 3) as u8).collect(), (0..64).map(|i| i / 32).collect())?;
    /// let mut trainer = Trainer::new(resnet8(shape, 0.25, 2)?, Config { epochs: 2, batch: 16, ..Config::default() })?;
    /// let mut steps = Vec::new();
    /// let report = trainer.train_epoch(&images, &mut |progress| steps.push(progress.step))?; // 64 images
    /// assert_eq!((report.epoch, report.passes, trainer.epoch()), (1, 64, 1)); // by default, one random level a step
    /// assert_eq!(steps, [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn train_epoch(
        &mut self,
        dataset: &impl Examples,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<EpochReport, TrainError> {
        let steps = self.begin(dataset)?;
        self.broken = true;
        let (seed, batch) = (self.config.seed, self.config.batch);
        let mut order: Vec<usize> = (0..dataset.count()).collect();
        order.shuffle(&mut stream(seed, self.epoch, Stream::Order));
        let mut changes = stream(seed, self.epoch, Stream::Images);
        let mut draws = stream(seed, self.epoch, Stream::Levels);
        let levels = self.config.ladder.levels().number();
        let mut report = EpochReport { epoch: self.epoch + 1, loss: 0.0, accuracy: 0.0, passes: 0 };
        for (step, images) in order.chunks_exact(batch).enumerate() {
            let (done, all) = (self.epoch * steps + step, self.config.epochs * steps);
            let share = done as f64 / all as f64;
            if self.ranks_at(done, all) {
                self.rank(self.ramp_share(done, all)).map_err(|error| ranking::at_step(error, self.epoch, step))?;
            }
            let change = || dataset.draw(self.config.augmentation, &mut changes);
            let changes: Vec<_> = std::iter::repeat_with(change).take(batch).collect();
            let routing = self.config.routing.draw(levels, share, &mut draws)?;
            let objective = dataset.objective(&self.trained.network, &self.config, images, &changes);
            let regrows = self.regrows(done, all);
            let (loss, used) = on_a_worker(|| {
                let normalization = self.trained.normalization;
                self.passes.load(images.len(), |position, pixels| {
                    dataset.apply(images[position], &changes[position], normalization, pixels);
                });
                self.step(&objective, &routing, Moment { step, share, regrows })
            })?;
            report.loss += loss.mean / steps as f64;
            report.accuracy += loss.right as f64 / (used * batch * steps) as f64;
            report.passes += (used + usize::from(regrows.is_some())) * batch;
            let (epoch, epochs) = (self.epoch + 1, self.config.epochs);
            progress(Progress { epoch, epochs, step: step + 1, steps, loss: loss.mean });
        }
        self.ends_finite(steps)?;
        self.epoch += 1;
        if self.epoch == self.config.epochs {
            self.conclude(self.config.epochs * steps)?;
        }
        self.broken = false;
        Ok(report)
    }

    /// The first layer with a parameter or a velocity that is not a finite number.
    pub(super) fn broken_layer(&self) -> Option<&str> {
        let broken = |layer: &Option<Layer<f32>>| layer.as_ref().is_some_and(|layer| !layer.is_finite());
        // The bound on γ hides what an infinite velocity does to it.
        let runaway = |velocity: &Option<Velocity>| velocity.as_ref().is_some_and(|velocity| !velocity.is_finite());
        let mut layers = self.trained.parameters.layers.iter().zip(&self.optimizer.layers);
        let node = layers.position(|(layer, velocity)| broken(layer) || runaway(velocity))?;
        self.trained.network.nodes().get(node).map(|node| node.name.as_str())
    }

    /// Whether the epoch may be kept: no loss of it follows its last descent, which may have broken the weights.
    fn ends_finite(&self, steps: usize) -> Result<(), TrainError> {
        self.broken_layer().map_or(Ok(()), |layer| {
            let what = "a parameter or its velocity is not finite".to_owned();
            Err(TrainError::NotFinite { what, layer: layer.to_owned(), epoch: self.epoch + 1, step: steps })
        })
    }

    /// What follows the last step.
    fn conclude(&mut self, all: usize) -> Result<(), TrainError> {
        if self.ranks_at(all, all) || self.config.masking == Masking::Dsnn {
            self.rank(1.0)?;
        }
        if self.config.int8_from < 1.0 {
            quant::round_weights(&mut self.trained.parameters);
        }
        Ok(())
    }

    /// See [`Trained::recalibrate`].
    ///
    /// # Errors
    /// Those of [`Trained::recalibrate`].
    pub fn recalibrate(&mut self, dataset: &impl Examples) -> Result<(), TrainError> {
        self.trained.recalibrate(dataset)
    }

    /// See [`Trained::evaluate`].
    ///
    /// # Errors
    /// Those of [`Trained::evaluate`].
    pub fn evaluate(&mut self, level: Level, dataset: &Dataset) -> Result<f64, TrainError> {
        self.plan_passes(dataset.len().min(self.config.batch));
        self.trained.evaluate_with(&mut self.passes, level, dataset)
    }

    /// Makes sure that passes take so many images.
    fn plan_passes(&mut self, images: usize) {
        if self.passes.batch() < images {
            self.passes = Passes::new(&self.trained.network, images);
        }
    }

    /// Whether the dataset fits; the steps of an epoch.
    fn begin(&mut self, dataset: &impl Examples) -> Result<usize, TrainError> {
        dataset.fits(&self.trained.network)?;
        self.whole()?;
        if self.epoch >= self.config.epochs {
            return Err(TrainError::Finished { epochs: self.config.epochs });
        }
        if dataset.count() < self.config.batch {
            return Err(TrainError::TooFew { images: dataset.count(), batch: self.config.batch });
        }
        let steps = dataset.count() / self.config.batch;
        let Some(all) = self.config.epochs.checked_mul(steps) else {
            let value = self.config.epochs as f64;
            return Err(TrainError::Config { what: "epochs", value, must: "so few that their steps can be counted" });
        };
        self.ranks_within_first_turn(all)?;
        self.plan_passes(self.config.batch);
        if self.epoch == 0 && !self.keeps_normalization {
            self.trained.normalization = Normalization::of(dataset.pixels());
        }
        Ok(steps)
    }

    /// Whether the weights are those of a whole number of epochs.
    pub(super) fn whole(&self) -> Result<(), TrainError> {
        if self.broken { Err(TrainError::Broken { epoch: self.epoch + 1 }) } else { Ok(()) }
    }
}

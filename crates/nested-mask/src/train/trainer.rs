//! The training loop.
use super::{Config, Dataset, TrainError};
use crate::nn::Network;
use nested_csr::Level;
use std::path::Path;

/// Where a running epoch is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Loss of the step just done.
    pub loss: f64,
}

/// What an epoch gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its steps.
    pub loss: f64,
    /// Image passes done (one image, one level, forward and backward).
    pub passes: usize,
}

/// A network in training.
#[derive(Debug)]
pub struct Trainer {}

impl Trainer {
    /// A network with random weights.
    ///
    /// # Errors
    /// [`TrainError::Config`], [`TrainError::Routing`].
    pub fn new(network: Network, config: Config) -> Result<Trainer, TrainError> {
        let _ = (network, config);
        todo!()
    }
    /// Epochs done.
    pub fn epoch(&self) -> usize {
        todo!()
    }
    /// One pass over the images; call it until [`Self::epoch`] is the configuration's.
    ///
    /// # Errors
    /// A loss that is not finite names layer and step; a dataset of another shape.
    pub fn train_epoch(
        &mut self,
        dataset: &Dataset,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<EpochReport, TrainError> {
        let _ = (dataset, progress);
        todo!()
    }
    /// Measures the batch-norm statistics of each level anew, with the weights as they are.
    pub fn recalibrate(&mut self, dataset: &Dataset) -> Result<(), TrainError> {
        let _ = dataset;
        todo!()
    }
    /// Share of the images that a level classifies rightly, in `[0, 1]`.
    pub fn evaluate(&mut self, level: Level, dataset: &Dataset) -> Result<f64, TrainError> {
        let _ = (level, dataset);
        todo!()
    }
    /// `1 − support / weights` over the sparse layers, by the masks as they are.
    pub fn sparsity(&self, level: Level) -> f64 {
        let _ = level;
        todo!()
    }
    /// Multiplications with non-zero weights (sparse layers by mask, dense layers whole) for one image.
    pub fn nonzero_macs(&self, level: Level) -> u64 {
        let _ = level;
        todo!()
    }
    /// Writes a checkpoint (safetensors): under a temporary name, then renamed.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let _ = path;
        todo!()
    }
    /// Goes on where [`Self::save`] was called; the result is that of an uninterrupted run, to the bit.
    ///
    /// # Errors
    /// [`TrainError::OtherCheckpoint`] when it is of another network, configuration or seed.
    pub fn resume(path: &Path, network: Network, config: Config) -> Result<Trainer, TrainError> {
        let _ = (path, network, config);
        todo!()
    }
    /// The trained network as it is now.
    pub fn trained(&self) -> &super::Trained {
        todo!()
    }
}

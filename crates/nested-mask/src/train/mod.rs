//! Training: data, configuration, the loop, checkpoints.
mod config;
mod dataset;
mod trainer;

pub use config::{Augmentation, Config};
pub use dataset::{Dataset, DatasetError};
pub use trainer::{EpochReport, Progress, Trainer};

/// A network with its weights, masks and the normalisation of each level. (Contract stage.)
#[derive(Clone, Debug)]
pub struct Trained {}

/// What can go wrong in training.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration value that cannot be.
    #[error("{what} is {value}: {must}")]
    Config {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        must: &'static str,
    },
    /// A checkpoint that is not of this run.
    #[error("{path}: a checkpoint of another {what} ({found}, not {expected})")]
    OtherCheckpoint {
        /// The file.
        path: std::path::PathBuf,
        /// Network, configuration or seed.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What this run says.
        expected: String,
    },
}

//! Training: data, configuration, the loop, checkpoints.
mod augment;
mod checkpoint;
mod config;
mod dataset;
mod error;
mod measure;
mod optimizer;
mod ranking;
mod step;
mod trained;
mod trainer;
mod warning;

pub use config::{Augmentation, Config, Distillation, Masking, Regrowth};
pub use dataset::{Dataset, DatasetError};
pub use error::TrainError;
pub use trained::{Normalization, Trained};
pub use trainer::{EpochReport, Progress, Trainer};
pub use warning::Warning;

pub(crate) use measure::on_a_worker;

//! Training: data, configuration, the loop, checkpoints.
mod augment;
mod checkpoint;
mod config;
mod dataset;
mod error;
mod examples;
mod measure;
mod optimizer;
mod ranking;
mod scene_change;
mod scenes;
mod step;
mod trained;
mod trainer;
mod warning;

pub use config::{Augmentation, Config, Distillation, Masking, Regrowth};
pub use dataset::{Dataset, DatasetError};
pub use error::TrainError;
pub use examples::{Examples, Images};
pub use scenes::{Scenes, ScenesError};
pub use trained::{Normalization, Trained};
pub use trainer::{EpochReport, Progress, Trainer};
pub use warning::Warning;

pub(crate) use measure::{load, on_a_worker};

#[cfg(test)]
mod tests;

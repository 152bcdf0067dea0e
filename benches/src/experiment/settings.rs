//! What determines a run of an experiment, down to the last figure.
pub use super::training::{
    AllocationName, DistillationFrom, Growth, MaskingName, Measured, NetworkName, RegrowthUntil, RoutingName, Training,
    ladder,
};
use crate::{files, options::BlockOption};
use serde::{Deserialize, Serialize};

/// A row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    Nested,
    StandAlone,
    DynamicPruning,
    Dsnn,
    Slimmable,
    Dense,
}

impl Method {
    /// As tables and file names have it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Nested => "nested",
            Method::StandAlone => "stand-alone",
            Method::DynamicPruning => "dynamic-pruning",
            Method::Dsnn => "dsnn",
            Method::Slimmable => "slimmable",
            Method::Dense => "dense",
        }
    }
}

/// What a stand-alone network gets of the nested network's image passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Its share: all stand-alone networks together get as many.
    A,
    /// Each gets as many.
    B,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Choosing the learning rate.
    Tune,
    /// The comparison at the full budget.
    Full,
    /// The comparison at a small budget.
    Small,
    /// Other networks, nested and dense alone.
    Networks,
    /// One factor at a time, at the small budget, on validation images.
    Ablation,
}

/// One run: a training, and what it is compared as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub suite: Suite,
    pub method: Method,
    pub budget: Option<Budget>,
    /// What tables call it, beside the method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub training: Training,
    /// Whether batch-norm statistics are measured anew after the training.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub recalibrated: bool,
    /// What is done to the trained network before it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruning: Option<Pruning>,
    /// The sparsities that a slimmable network's levels stand against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<f64>,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// Pruning at run time, without training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pruning {
    /// Per cent, falling.
    pub ladder: Vec<f64>,
    /// Whether batch-norm statistics are measured anew on the training images.
    pub recalibrated: bool,
}

impl Settings {
    /// Levels that are measured.
    pub fn levels(&self) -> usize {
        self.pruning.as_ref().map_or(&self.training.ladder, |pruning| &pruning.ladder).len()
    }

    /// The sparsity that a level stands for, in per cent.
    pub fn sparsity(&self, level: usize) -> f64 {
        let ladder = match &self.pruning {
            Some(pruning) => &pruning.ladder,
            None if !self.matched.is_empty() => &self.matched,
            None => &self.training.ladder,
        };
        ladder.get(level - 1).copied().unwrap_or(0.0)
    }
}

/// A name for files: what `value` is called, and a checksum of all of it.
pub fn file_stem(name: &str, value: &impl Serialize) -> String {
    // Settings hold no maps with other keys than strings, so they always have a JSON form.
    let text = serde_json::to_vec(value).unwrap_or_default();
    format!("{name}-{}", files::crc32([&text[..]]))
}

impl Settings {
    /// Names the run in messages.
    pub fn name(&self) -> String {
        let training = &self.training;
        let levels: Vec<String> = training.ladder.iter().map(|level| level.to_string()).collect();
        let method = self.method.name();
        let variant = self.variant.as_ref().map_or(String::new(), |variant| format!(" ({variant})"));
        let block = if training.block == BlockOption::OneByOne { "" } else { " 1x2" };
        format!(
            "{} {method}{variant}{block} {} %, {} epochs of {}{}, rate {}, seed {}",
            training.network,
            levels.join("/"),
            training.epochs,
            training.images,
            training.steps(),
            training.learning_rate,
            training.seed
        )
    }
}

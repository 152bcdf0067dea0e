//! Options that the experiments share.
use super::{
    plan::Scale,
    settings::{AllocationName, Growth, NetworkName},
};
use crate::options::{self, DataOptions};
use clap::Args;
use std::path::PathBuf;

/// What is trained on what, and where things go.
#[derive(Args, Debug)]
pub struct ExperimentOptions {
    #[command(flatten)]
    pub data: DataOptions,
    /// The network
    #[arg(long, default_value = "resnet8")]
    network: NetworkName,
    /// Factor of its channels
    #[arg(long, default_value = "0.5", value_parser = options::width)]
    width: f64,
    /// Seeds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Folder of the checkpoints and models; runs of both experiments that train the same share the work
    #[arg(long, default_value = "out/experiments", value_name = "DIR")]
    pub out: PathBuf,
    /// Folder of the document and the figures
    #[arg(long, default_value = "docs", value_name = "DIR")]
    pub docs: PathBuf,
    /// Train nothing: write document and figures anew from the raw figures
    #[arg(long)]
    pub report: bool,
    /// Few epochs of few images with one seed, to see that all works; nothing is counted on the Cortex-M7
    #[arg(long)]
    pub quick: bool,
}

impl ExperimentOptions {
    /// The network that the experiment is about.
    pub fn network(&self) -> NetworkName {
        self.network
    }

    /// Factor of its channels.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// How large the experiment is.
    pub fn scale(&self) -> Scale {
        let quick = |whole: usize, quick: usize| if self.quick { quick } else { whole };
        let scale = Scale {
            network: self.network,
            width: self.width,
            ladder: vec![90.0, 80.0, 70.0],
            batch: quick(64, 32),
            epochs: quick(21, 3),
            small_epochs: quick(9, 3),
            small_images: quick(40_000, 200),
            seeds: if self.quick { 1 } else { self.seeds },
            rates: if self.quick { vec![0.2, 0.4] } else { vec![0.05, 0.1, 0.2, 0.4, 0.8, 1.6] },
            growth: Growth::default(),
            allocation: AllocationName::Uniform,
            others: Vec::new(),
        };
        let others = if self.quick || self.network != NetworkName::ResNet8 { Vec::new() } else { others(&scale) };
        Scale { others, ..scale }
    }
}

/// Networks that are deeper, so that lower rates suit them.
fn others(scale: &Scale) -> Vec<Scale> {
    vec![
        // Uniformly pruned, its narrow first layers have rows without a weight; those ERK leaves dense.
        Scale {
            network: NetworkName::MobileNetV1,
            width: 0.25,
            small_epochs: 3,
            rates: vec![0.1, 0.2, 0.4],
            growth: Growth { start: 0.0, end: 0.75 },
            allocation: AllocationName::Erk,
            ..scale.clone()
        },
        // Large, so that its rate is tuned in one short epoch.
        Scale {
            network: NetworkName::ResNet9,
            width: 0.25,
            epochs: 6,
            small_epochs: 1,
            small_images: scale.small_images / 2,
            rates: vec![0.05, 0.1, 0.2, 0.4],
            ..scale.clone()
        },
    ]
}

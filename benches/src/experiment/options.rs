//! Options that the experiments share.
use super::{plan::Scale, settings::NetworkName};
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
    /// How large the experiment is.
    pub fn scale(&self) -> Scale {
        let quick = |whole: usize, quick: usize| if self.quick { quick } else { whole };
        Scale {
            network: self.network,
            width: self.width,
            ladder: vec![90.0, 80.0, 70.0],
            batch: quick(64, 32),
            epochs: quick(21, 3),
            small_epochs: quick(9, 3),
            small_images: quick(40_000, 200),
            seeds: if self.quick { 1 } else { self.seeds },
            rates: if self.quick { vec![0.2, 0.4] } else { vec![0.2, 0.4, 0.8] },
            others: if self.quick || self.network != NetworkName::ResNet8 {
                Vec::new()
            } else {
                vec![(NetworkName::MobileNetV1, 0.25), (NetworkName::ResNet9, 0.25)]
            },
            other_epochs: 6,
            other_rates: vec![0.05, 0.1, 0.2],
        }
    }
}

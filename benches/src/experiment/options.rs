//! Options that the experiments share.
use super::{
    plan::Scale,
    settings::{AllocationName, Growth, NetworkName},
};
use crate::{
    error::Error,
    files,
    options::{self, DataOptions},
};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where quick runs leave what they make.
const QUICK: &str = "out/quick";

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
    /// Folder of the checkpoints and models; runs of both experiments that train the same share the work [default:
    /// out/experiments; with --quick: out/quick]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder of the document and the figures [default: docs; with --quick: out/quick/docs]
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// Train nothing: write document and figures anew from the raw figures
    #[arg(long)]
    pub report: bool,
    /// Few epochs of few images with one seed, to see that all works; nothing is counted on the Cortex-M7
    #[arg(long)]
    pub quick: bool,
}

impl ExperimentOptions {
    /// Folder of the checkpoints and models.
    pub fn out(&self) -> PathBuf {
        self.place(self.out.as_deref(), ["out/experiments", QUICK])
    }

    /// Folder of the document and the figures.
    pub fn docs(&self) -> PathBuf {
        self.place(self.docs.as_deref(), ["docs", "out/quick/docs"])
    }

    /// The file of the raw figures: the one asked for, or the one of this name.
    pub fn json(&self, asked: Option<&Path>, name: &str) -> PathBuf {
        asked.map_or_else(|| self.place(None, ["docs/results", QUICK]).join(name), Path::to_owned)
    }

    /// What was asked for, or one of these: the figures of a quick run may not take the place of a whole one's.
    fn place(&self, asked: Option<&Path>, [whole, quick]: [&str; 2]) -> PathBuf {
        asked.unwrap_or_else(|| Path::new(if self.quick { quick } else { whole })).to_owned()
    }

    /// Makes the folder of this file of raw figures if it is that of quick runs, which nobody else makes.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn prepare(&self, json: &Path) -> Result<(), Error> {
        if json.parent() == Some(Path::new(QUICK)) { files::prepare_folder(Path::new(QUICK)) } else { Ok(()) }
    }

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
            images: quick(usize::MAX, 1000),
            small_epochs: quick(9, 3),
            small_images: quick(40_000, 200),
            seeds: if self.quick { 1 } else { self.seeds },
            rates: if self.quick { vec![0.2, 0.4] } else { vec![0.05, 0.1, 0.2, 0.4, 0.8, 1.6] },
            growth: Growth { start: 0.0, end: 0.75 },
            allocation: AllocationName::Uniform,
            others: Vec::new(),
        };
        if self.quick {
            return scale;
        }
        let others = if self.network == NetworkName::ResNet8 { others(&scale) } else { Vec::new() };
        Scale { others, ..suited(scale) }
    }
}

/// With what suits the network: deeper ones want lower rates, large ones fewer epochs.
fn suited(scale: Scale) -> Scale {
    match scale.network {
        NetworkName::ResNet8 => scale,
        NetworkName::MobileNetV1 | NetworkName::DsCnn => Scale { rates: vec![0.1, 0.2, 0.4, 0.8], ..scale },
        NetworkName::ResNet9 => Scale { epochs: 6, small_epochs: 3, rates: vec![0.05, 0.1, 0.2, 0.4], ..scale },
    }
}

/// The networks that are trained nested and dense alone, so that no rival has another allocation; their rates are tuned in few epochs.
fn others(scale: &Scale) -> Vec<Scale> {
    let other = |network| suited(Scale { network, width: 0.25, ..scale.clone() });
    vec![
        // Uniformly pruned, its narrow first layers have rows without a weight; those ERK leaves dense.
        Scale { small_epochs: 3, allocation: AllocationName::Erk, ..other(NetworkName::MobileNetV1) },
        Scale { small_epochs: 1, small_images: scale.small_images / 2, ..other(NetworkName::ResNet9) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: ExperimentOptions,
    }

    #[test]
    fn a_network_has_the_same_rates_and_passes_whether_it_is_asked_for_or_one_of_the_others() {
        let scale = |arguments: &[&str]| Cli::parse_from(["compare"].iter().chain(arguments)).options.scale();
        let others = scale(&[]).others;
        assert_eq!(
            others.iter().map(|other| other.network).collect::<Vec<_>>(),
            [NetworkName::MobileNetV1, NetworkName::ResNet9]
        );
        for (other, name) in others.iter().zip(["mobilenetv1", "resnet9"]) {
            let asked = scale(&["--network", name, "--width", "0.25"]);
            let of = |scale: &Scale| {
                let Scale { network, width, epochs, images, rates, growth, .. } = scale.clone();
                (network, width, epochs, images, rates, growth)
            };
            assert_eq!(of(&asked), of(other));
            // Stand-alone networks are to have a third of it.
            assert!(asked.others.is_empty() && asked.small_epochs % asked.ladder.len() == 0);
            assert!(asked.small_epochs * asked.small_images < asked.epochs * 60_000);
        }
    }

    /// Ten minutes of toy networks would stand in `docs`.
    #[test]
    fn a_quick_run_writes_below_a_folder_of_its_own_unless_told_otherwise() {
        let places = |arguments: &[&str]| {
            let Cli { options } = Cli::parse_from(["compare"].iter().chain(arguments));
            [options.out(), options.docs(), options.json(None, "a.json")].map(|path| path.display().to_string())
        };
        assert_eq!(places(&[]), ["out/experiments", "docs", "docs/results/a.json"]);
        assert_eq!(places(&["--quick"]), ["out/quick", "out/quick/docs", "out/quick/a.json"]);
        assert_eq!(places(&["--quick", "--out", "o", "--docs", "d"]), ["o", "d", "out/quick/a.json"]);
    }
}

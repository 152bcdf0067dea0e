//! Options that several commands share, and the checks of their values.
use crate::{data::Source, training::Start};
use clap::{Args, ValueEnum};
use nested_csr::MAX_LEVELS;
use nested_mask::{Block, Ladder};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which images.
#[derive(Args, Clone, Debug)]
pub struct DataOptions {
    /// Folder with the four IDX files of an MNIST-like set, plain or .gz [default: the built-in images]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cifar10", "cifar100"])]
    data: Option<PathBuf>,
    /// Folder with the binary batches of CIFAR-10
    #[arg(long, value_name = "DIR", conflicts_with = "cifar100")]
    cifar10: Option<PathBuf>,
    /// Folder with the binary files of CIFAR-100
    #[arg(long, value_name = "DIR")]
    cifar100: Option<PathBuf>,
}

impl DataOptions {
    /// The source that the options name.
    pub fn source(&self) -> Source {
        match (&self.data, &self.cifar10, &self.cifar100) {
            (Some(folder), ..) => Source::Idx(folder.clone()),
            (None, Some(folder), _) => Source::Cifar10(folder.clone()),
            (None, None, Some(folder)) => Source::Cifar100(folder.clone()),
            (None, None, None) => Source::Builtin,
        }
    }
}

/// How the networks of one report are trained.
#[derive(Args, Debug)]
pub struct RunOptions {
    /// Sparsities of the levels in per cent, falling
    #[arg(long, default_value = "90,80,70", value_name = "PERCENTS")]
    pub ladder: LadderOption,
    /// Weights that share one index
    #[arg(long, default_value_t = BlockOption::OneByOne)]
    pub block: BlockOption,
    /// Times that each training image is seen
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Seed of all that is random in a training
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Go on from the checkpoints in the folder
    #[arg(long)]
    pub resume: bool,
    /// Measure on a part of the training data instead of the test data, to choose settings
    #[arg(long)]
    pub validation: bool,
    /// A short training, to see that all works
    #[arg(long)]
    pub quick: bool,
}

impl RunOptions {
    /// Where a training begins. With `--resume` the first must have begun before; others may not have, when the earlier run was
    /// interrupted.
    pub fn start(&self, is_first: bool) -> Start {
        match (self.resume, is_first) {
            (false, _) => Start::Anew,
            (true, true) => Start::Resume,
            (true, false) => Start::ResumeIfThere,
        }
    }

    /// The epochs asked for; otherwise those of a whole or of a quick run.
    pub fn epochs_or(&self, whole: u32, quick: u32) -> usize {
        self.epochs.unwrap_or(if self.quick { quick } else { whole }) as usize
    }
}

/// The positions that share one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
pub enum BlockOption {
    #[serde(rename = "1x1")]
    #[value(name = "1x1")]
    OneByOne,
    #[serde(rename = "1x2")]
    #[value(name = "1x2")]
    OneByTwo,
}

impl From<BlockOption> for Block {
    fn from(option: BlockOption) -> Block {
        match option {
            BlockOption::OneByOne => Block::OneByOne,
            BlockOption::OneByTwo => Block::OneByTwo,
        }
    }
}

impl From<Block> for BlockOption {
    fn from(block: Block) -> BlockOption {
        match block {
            Block::OneByOne => BlockOption::OneByOne,
            Block::OneByTwo => BlockOption::OneByTwo,
        }
    }
}

impl BlockOption {
    /// As options and tables have it.
    pub fn name(self) -> &'static str {
        match self {
            BlockOption::OneByOne => "1x1",
            BlockOption::OneByTwo => "1x2",
        }
    }
}

impl std::fmt::Display for BlockOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A ladder, written as per cents.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderOption(pub Ladder);

impl std::str::FromStr for LadderOption {
    type Err = String;

    fn from_str(text: &str) -> Result<LadderOption, String> {
        let number = |part: &str| match part.trim().parse::<f64>() {
            Ok(sparsity) if sparsity > 0.0 && sparsity < 100.0 => Ok(sparsity),
            Ok(sparsity) => Err(format!("sparsity {sparsity} is not between 0 and 100 per cent")),
            Err(_) => Err(format!("`{part}` is not a number")),
        };
        let sparsities = text.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
        if sparsities.len() > MAX_LEVELS {
            return Err(format!("{} levels, but at most {MAX_LEVELS} are possible", sparsities.len()));
        }
        match sparsities.windows(2).find(|pair| pair[0] <= pair[1]) {
            Some(pair) => Err(format!("{} does not come below {}: sparsities must fall", pair[1], pair[0])),
            None => {
                let fractions: Vec<f64> = sparsities.iter().map(|per_cent| per_cent / 100.0).collect();
                Ladder::new(fractions).map(LadderOption).map_err(|error| error.to_string())
            }
        }
    }
}

/// A network's width: a factor of its channels.
pub fn width(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(width) if (1.0 / 16.0..=8.0).contains(&width) => Ok(width),
        Ok(width) => Err(format!("{width} is not between 0.0625 and 8")),
        Err(_) => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ladder_falls_strictly_within_0_and_100() {
        assert_eq!("90,80,70".parse(), Ok(LadderOption(Ladder::new([0.9, 0.8, 0.7]).unwrap())));
        assert_eq!("99.5".parse(), Ok(LadderOption(Ladder::new([0.995]).unwrap())));
        for (text, expected) in [
            ("", "`` is not a number"),
            ("90,x", "`x` is not a number"),
            ("90,,70", "`` is not a number"),
            ("90,NaN", "sparsity NaN is not between 0 and 100 per cent"),
            ("100,90", "sparsity 100 is not between 0 and 100 per cent"),
            ("90,0", "sparsity 0 is not between 0 and 100 per cent"),
            ("90,-5", "sparsity -5 is not between 0 and 100 per cent"),
            ("70,80", "80 does not come below 70: sparsities must fall"),
            ("90,80,80", "80 does not come below 80: sparsities must fall"),
            ("9,8,7,6,5,4,3,2,1", "9 levels, but at most 8 are possible"),
        ] {
            assert_eq!(text.parse::<LadderOption>(), Err(expected.to_owned()), "{text}");
        }
    }
}

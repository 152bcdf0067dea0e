//! `pipeline`: images in, a compressed nested network and its figures out.
use crate::{
    error::Error,
    files,
    options::{self, BlockOption, DataOptions, LadderOption},
};
use clap::Args;
use std::path::PathBuf;

/// Train, compress, read back and run a nested network at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// Sparsities of the levels in per cent, falling
    #[arg(long, default_value = "90,80,70", value_name = "PERCENTS")]
    ladder: LadderOption,
    /// Weights that share one index
    #[arg(long, default_value_t = BlockOption::OneByOne)]
    block: BlockOption,
    /// Factor of the channels 16/32/64
    #[arg(long, default_value = "0.5", value_parser = options::width)]
    width: f64,
    /// Times that each training image is seen
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Images a training step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    batch: u32,
    /// Seed of all that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to write into
    #[arg(long, default_value = "out", value_name = "DIR")]
    out: PathBuf,
    /// Go on from the checkpoint in the folder
    #[arg(long)]
    resume: bool,
    /// A short training, to see that all works
    #[arg(long)]
    quick: bool,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    files::prepare_folder(&options.out)?;
    let _split = options.data.source().load()?;
    Ok(())
}

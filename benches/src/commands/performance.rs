//! `performance`: the page of measurements, from the files of all engines.
use crate::{
    error::Error,
    host::{HostFile, TrainFile, write_page},
};
use clap::Args;
use std::path::PathBuf;

/// Write docs/performance.md from the measurements of this and other engines
#[derive(Args, Debug)]
pub struct Options {
    /// Files of `host`, and of other engines; the fastest of equal rows counts
    #[arg(long, value_name = "FILE", required = true)]
    host: Vec<PathBuf>,
    /// Files of `train-speed`, and of other engines
    #[arg(long, value_name = "FILE", required = true)]
    train: Vec<PathBuf>,
    /// Folder of the page
    #[arg(long, value_name = "DIR", default_value = "docs")]
    out: PathBuf,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let (mut host, mut train) = (HostFile::default(), TrainFile::default());
    for path in &options.host {
        host.merge(path)?;
    }
    for path in &options.train {
        train.merge(path)?;
    }
    write_page(&options.out, &host, &train)
}

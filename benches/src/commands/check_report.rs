//! `check-report`: does a report of the pipeline hold together?
use crate::{error::Error, report::Report};
use clap::Args;
use std::path::PathBuf;

/// Check a report.json: levels in order, sparsity, MACs and bytes monotone, int8 within a point of float
#[derive(Args, Debug)]
pub struct Options {
    /// The report
    file: PathBuf,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let report = Report::read(&options.file)?;
    report.check().map_err(|problem| Error::Report { path: options.file.clone(), problem })?;
    println!("{}: {} levels hold together", options.file.display(), report.levels.len());
    Ok(())
}

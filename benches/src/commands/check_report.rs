//! `check-report`: does a report of the pipeline hold together?
use crate::{error::Error, files, report::Report};
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
    let wrong = |problem: String| Error::Report { path: options.file.clone(), problem };
    let bytes = files::read(&options.file)?;
    let report: Report = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    report.check().map_err(wrong)?;
    println!("{}: {} levels hold together", options.file.display(), report.levels.len());
    Ok(())
}

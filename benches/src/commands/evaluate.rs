//! `evaluate`: a model file on test images, at each of its levels.
use crate::{
    deployed::{self, Deployed},
    error::Error,
    options::DataOptions,
    table::{Table, grouped},
};
use clap::Args;
use std::path::PathBuf;

/// Run a .ncsr model on the test images at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    /// The model
    file: PathBuf,
    #[command(flatten)]
    data: DataOptions,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let model = Deployed::read(&options.file)?;
    let images = options.data.source().load()?.test;
    model.check_images(&images)?;
    let candidates: Vec<_> = model.levels().up_to().map(|level| (&model, level)).collect();
    let host_ms = deployed::milliseconds(&candidates, &images)?;
    let mut table = Table::new(["level", "stored %", "top-1 int8 %", "non-zero MACs", "file bytes", "host ms"]);
    for (level, ms) in model.levels().up_to().zip(host_ms) {
        table.row([
            level.number().to_string(),
            format!("{:.2}", model.stored(level)?),
            format!("{:.2}", model.top1(level, &images)?),
            grouped(model.nonzero_macs(level)?),
            grouped(model.file_bytes(level)? as u64),
            format!("{ms:.3}"),
        ]);
    }
    print!("{table}");
    Ok(())
}

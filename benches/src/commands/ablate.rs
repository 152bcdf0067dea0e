//! `ablate`: what each choice of the nested training gives.
use crate::{
    error::Error,
    experiment::{
        self, execute::Folder, images::Images, options::ExperimentOptions, plan, record::Store, settings::Suite,
    },
    interrupt, results,
};
use clap::Args;
use std::path::PathBuf;

/// Train the nested network with one factor changed at a time, on validation images; done runs are not repeated
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    common: ExperimentOptions,
    /// Raw figures of all runs; a run that is there is not repeated [default: docs/results/ablate.json; with --quick:
    /// out/quick/ablate.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let common = &options.common;
    let json = common.json(options.json.as_deref(), "ablate.json");
    if !common.report {
        let images = Images::new(common.data.source().load()?);
        common.prepare(&json)?;
        let mut store = Store::open(&json, images.data())?;
        store.is_of(Suite::Ablation, common.network(), common.width())?;
        let folder = Folder::prepare(&common.out(), &images.data())?;
        interrupt::end_with(format!("the same command goes on; the runs done are in {}", json.display()))?;
        experiment::run_all(&plan::ablate(&common.scale(), &images), &mut store, &images, &folder)?;
    }
    results::of_ablation(&common.docs(), &json)
}

//! `compare`: nested against separate, pruned, slimmed and dense networks.
use crate::{
    error::Error,
    experiment::{
        self,
        execute::Folder,
        images::Images,
        measure,
        plan::{self, Scale},
        record::{self, Record, Store},
        settings::NetworkName,
    },
    interrupt,
    options::{self, DataOptions},
    results,
};
use clap::Args;
use std::path::PathBuf;

/// Train nested, stand-alone and dense networks and compare them; done runs are not repeated
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    data: DataOptions,
    /// The network
    #[arg(long, default_value = "resnet8")]
    network: NetworkName,
    /// Factor of its channels
    #[arg(long, default_value = "0.5", value_parser = options::width)]
    width: f64,
    /// Seeds of the comparison
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Raw figures of all runs; a run that is there is not repeated
    #[arg(long, default_value = "docs/results/compare.json", value_name = "FILE")]
    json: PathBuf,
    /// Folder of the checkpoints and models
    #[arg(long, default_value = "out/compare", value_name = "DIR")]
    out: PathBuf,
    /// Folder of the document and the figures
    #[arg(long, default_value = "docs", value_name = "DIR")]
    docs: PathBuf,
    /// Train nothing: write document and figures anew from the raw figures
    #[arg(long)]
    report: bool,
    /// Count instructions and measure host times of all models anew
    #[arg(long)]
    recount: bool,
    /// One epoch of few images with one seed, to see that all works
    #[arg(long)]
    quick: bool,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    if options.report {
        return results::write(&options.docs, &Record::read(&options.json)?);
    }
    let images = Images::new(options.data.source().load()?);
    let mut store = Store::open(&options.json, images.data())?;
    let folder = Folder::prepare(&options.out)?;
    interrupt::end_with(format!("the same command goes on; the runs done are in {}", options.json.display()))?;
    let scale = options.scale();
    experiment::run_all(&plan::basis(&scale, &images), &mut store, &images, &folder)?;
    options.choose_widths(&scale, &images, &mut store, &folder)?;
    let plan = plan::compare(&scale, &images, &store.record.widths);
    experiment::run_all(&plan, &mut store, &images, &folder)?;
    let counted = measure::count(&mut store.record, &folder, options.recount)?;
    if counted || options.recount {
        measure::host_times(&mut store.record, &folder, images.test())?;
        store.write()?;
    }
    results::write(&options.docs, &store.record)
}

impl Options {
    /// Chooses the slimmable network's widths, once: they stay what they were when kernels change later.
    fn choose_widths(&self, scale: &Scale, images: &Images, store: &mut Store, folder: &Folder) -> Result<(), Error> {
        let Some(nested) = plan::matched(scale, images).filter(|_| store.record.widths.is_empty()) else {
            return Ok(());
        };
        let nested = nested.resolve(&store.record)?;
        let model = folder.model(&record::id(&nested));
        if !model.exists() {
            return Ok(());
        }
        let network = nested.training.network(images.test().shape, images.test().classes)?;
        if let Some(widths) = measure::widths(&model, &scale.ladder, &network)? {
            store.record.widths = widths;
            store.write()?;
        }
        Ok(())
    }

    fn scale(&self) -> Scale {
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
        }
    }
}

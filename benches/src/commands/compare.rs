//! `compare`: nested against stand-alone, pruned, DSNN, slimmable and dense networks.
use crate::{
    error::Error,
    experiment::{
        self,
        execute::Folder,
        images::Images,
        measure,
        options::ExperimentOptions,
        plan::{self, Scale},
        record::{self, Record, Store},
        settings::{AllocationName, Method, Settings, Suite},
    },
    interrupt, m7,
    options::BlockOption,
    results,
};
use clap::Args;
use std::{path::PathBuf, time::Instant};

/// Train nested, stand-alone, pruned, DSNN, slimmable and dense networks and compare them; done runs are not repeated
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    common: ExperimentOptions,
    /// Raw figures of all runs; a run that is there is not repeated [default: docs/results/compare.json; with --quick:
    /// out/quick/compare.json]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Train these only, of the network named, not at the small budget and without the nested network's other allocations and
    /// blocks; the nested one always is trained, for others are matched to it [default: all]
    #[arg(long, value_delimiter = ',', value_name = "METHODS")]
    methods: Vec<Method>,
    /// Count instructions and measure host times of all models anew; with --report, of those that are there already
    #[arg(long)]
    recount: bool,
}

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let common = &options.common;
    let json = common.json(options.json.as_deref(), "compare.json");
    if !common.report || options.recount {
        let images = Images::new(common.data.source().load()?);
        common.prepare(&json)?;
        let mut store = Store::open(&json, images.data())?;
        store.is_of(Suite::Full, common.network(), common.width())?;
        let folder = Folder::prepare(&common.out(), &images.data())?;
        interrupt::end_with(format!("the same command goes on; the runs done are in {}", json.display()))?;
        if !common.report {
            options.train(&images, &mut store, &folder)?;
        }
        options.count(&images, &mut store, &folder)?;
    }
    results::of_comparison(&common.docs(), &json)
}

impl Options {
    /// Does the runs that are not done yet.
    fn train(&self, images: &Images, store: &mut Store, folder: &Folder) -> Result<(), Error> {
        let scale = self.common.scale();
        experiment::run_all(&plan::basis(&scale, images), store, images, folder)?;
        self.choose_widths(&scale, images, store, folder)?;
        let plan = plan::wanted(plan::compare(&scale, images, &store.record.widths), |settings| self.wants(settings));
        experiment::run_all(&plan, store, images, folder)
    }

    /// Measures what is not measured yet of all models, or all of it anew.
    fn count(&self, images: &Images, store: &mut Store, folder: &Folder) -> Result<(), Error> {
        let start = Instant::now();
        let before = if self.recount { 0.0 } else { store.record.counting_seconds.unwrap_or(0.0) };
        let mut has_counted = false;
        if !self.common.quick {
            has_counted |= measure::count(store, folder, self.recount)?;
            if self.recount || store.record.training_ratio.is_none() {
                store.record.training_ratio = self.training_ratio(images, &store.record)?;
                has_counted = true;
            }
        }
        has_counted |= measure::host_times(&mut store.record, folder, images.test(), self.recount)?;
        if has_counted {
            store.record.counting_seconds = Some(before + start.elapsed().as_secs_f64());
            store.write()?;
        }
        Ok(())
    }

    fn wants(&self, settings: &Settings) -> bool {
        let training = &settings.training;
        let plain = training.allocation == AllocationName::Uniform && training.block == BlockOption::OneByOne;
        let full = settings.suite == Suite::Full;
        self.methods.is_empty() || (self.methods.contains(&settings.method) && plain && full)
    }

    /// Of the nested and the dense training with seed 1; `None` before both are done.
    fn training_ratio(&self, images: &Images, record: &Record) -> Result<Option<f64>, Error> {
        let first = |method| {
            let mut runs = record.runs.iter().map(|run| &run.settings);
            runs.find(|settings| settings.suite == Suite::Full && settings.method == method)
        };
        match (first(Method::Nested), first(Method::Dense)) {
            (Some(nested), Some(dense)) => {
                measure::training_ratio([&nested.training, &dense.training], images).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Chooses the slimmable network's widths, once: they stay what they were when kernels change later.
    fn choose_widths(&self, scale: &Scale, images: &Images, store: &mut Store, folder: &Folder) -> Result<(), Error> {
        let Some(nested) = plan::matched(scale, images).filter(|_| store.record.widths.is_empty()) else {
            return Ok(());
        };
        let nested = nested.resolve(&store.record)?;
        let model = folder.model(&record::id(&nested));
        if !model.exists() {
            let problem = "not there, though its run is done: slimmable networks are matched to it".to_owned();
            return Err(Error::Report { path: model, problem });
        }
        let network = images.network(&nested.training)?;
        let firmware = if self.common.quick { None } else { m7::firmware()? };
        store.record.widths = measure::widths(&model, &scale.ladder, &network, firmware.as_ref())?;
        store.write()
    }
}

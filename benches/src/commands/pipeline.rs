//! `pipeline`: images in, a compressed nested network and its figures out.
use crate::{
    data::Split,
    deployed,
    error::Error,
    files, interrupt,
    options::{self, DataOptions, RunOptions},
    plot,
    report::Report,
    subject::Subject,
    training::{Done, Run, Workspace},
};
use clap::Args;
use nested_csr::{Level, Profile};
use nested_mask::{
    Ladder, nn,
    train::{Config, Dataset},
};
use std::path::{Path, PathBuf};

/// Train, compress, read back and run a nested network at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    run: RunOptions,
    /// Folder to write into
    #[arg(long, default_value = "out", value_name = "DIR")]
    out: PathBuf,
    /// Factor of the channels 16/32/64
    #[arg(long, default_value = "0.5", value_parser = options::width)]
    width: f64,
    /// Images a training step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    batch: u32,
}

/// Files in the folder.
const CHECKPOINT: &str = "checkpoint.safetensors";
const DENSE_CHECKPOINT: &str = "checkpoint-dense.safetensors";
const MODEL: &str = "model.ncsr";
const DENSE_MODEL: &str = "dense.ncsr";
const PICTURE: &str = "accuracy_latency.png";
const REPORT: &str = "report.json";

/// What the nested network's training is called.
const NESTED: &str = "nested";

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut images = options.data.source().load()?;
    if options.run.validation {
        images = images.validation();
    }
    let (found, batch) = (images.train.len(), options.batch as usize);
    if found < batch {
        return Err(Error::TooFew { found, what: "images", batch });
    }
    let trainings = options.trainings(&images.train)?;
    let _workspace = options.begin(&images.train, &trainings)?;
    let [nested, dense] = &trainings;
    let going_on = format!("go on with --resume; the epochs done are in {}", nested.checkpoint.display());
    interrupt::end_with(going_on)?;
    let [nested, dense] = [nested.train(&images.train)?, dense.train(&images.train)?];
    publish(&options.measure(images, nested, dense)?, &options.out)
}

/// Prints the table and writes picture and report; the report comes last, so that one that is there is complete.
fn publish(report: &Report, folder: &Path) -> Result<(), Error> {
    plot::accuracy_latency(&folder.join(PICTURE), report)?;
    report.write(&folder.join(REPORT))?;
    print!("{}", report.table());
    Ok(())
}

impl Options {
    fn epochs(&self) -> usize {
        const EPOCHS: u32 = 100;
        const QUICK_EPOCHS: u32 = 3;
        self.run.epochs_or(EPOCHS, QUICK_EPOCHS)
    }

    /// How both networks are trained; what the options leave open was chosen with `--validation`.
    fn config(&self, ladder: Ladder) -> Config {
        Config {
            ladder,
            block: self.run.block.into(),
            epochs: self.epochs(),
            batch: self.batch as usize,
            seed: self.run.seed,
            ..Config::default()
        }
    }

    /// The nested network's training, and that of the dense one.
    fn trainings(&self, images: &Dataset) -> Result<[Run; 2], Error> {
        let run = |name: &str, ladder: Ladder, checkpoint: &str| -> Result<Run, Error> {
            Ok(Run {
                name: name.to_owned(),
                network: nn::resnet8(images.shape, self.width, images.classes)?,
                config: self.config(ladder),
                checkpoint: self.out.join(checkpoint),
                start: self.run.start(name == NESTED),
                recalibrated: true,
            })
        };
        Ok([run(NESTED, self.run.ladder.0.clone(), CHECKPOINT)?, run("dense", Ladder::dense(), DENSE_CHECKPOINT)?])
    }

    /// Takes the folder, and removes what an earlier run left there when both trainings can begin or go on.
    fn begin(&self, images: &Dataset, trainings: &[Run]) -> Result<Workspace, Error> {
        let crc32 = files::crc32([&images.pixels[..], &images.labels]);
        let workspace = Workspace::open(&self.out, format!("{} images, CRC-32 {crc32}", images.len()))?;
        trainings.iter().try_for_each(Run::check)?;
        let trained = [CHECKPOINT, DENSE_CHECKPOINT, MODEL, DENSE_MODEL, PICTURE].map(|name| workspace.join(name));
        workspace.begin(self.run.resume, &[workspace.join(REPORT)], &trained)?;
        Ok(workspace)
    }

    /// Makes the files of both networks, reads them back and measures them.
    fn measure(&self, images: Split, nested: Done, dense: Done) -> Result<Report, Error> {
        let deploy = |trained, name| Subject::deploy(trained, &images.train, Profile::Balanced, &self.out.join(name));
        let (train_seconds, nested) = (nested.seconds, deploy(nested.trained, MODEL)?);
        let dense = deploy(dense.trained, DENSE_MODEL)?;
        let levels = nested.file.levels();
        let candidates: Vec<_> =
            levels.up_to().map(|level| (&nested.file, level)).chain([(&dense.file, Level::FIRST)]).collect();
        let host_ms = deployed::milliseconds(&candidates, &images.test)?;
        let entry_of_level = |(level, &ms): (Level, &f64)| -> Result<_, Error> {
            Ok(nested.worth(level, &images.test)?.timed(Some(level.number()), ms))
        };
        Ok(Report {
            levels: levels.up_to().zip(&host_ms).map(entry_of_level).collect::<Result<_, _>>()?,
            dense: dense.worth(Level::FIRST, &images.test)?.timed(None, host_ms[levels.number()]),
            train_images: images.train.len(),
            test_images: images.test.len(),
            dataset: images.name,
            network: format!("resnet8, width {}", self.width),
            block: self.run.block.to_string(),
            seed: self.run.seed,
            epochs: self.epochs(),
            train_seconds,
        })
    }
}

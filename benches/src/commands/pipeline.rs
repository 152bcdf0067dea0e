//! `pipeline`: images in, a compressed nested network and its figures out.
use crate::{
    deployed,
    error::Error,
    files, interrupt,
    options::{self, DataOptions, RunOptions},
    plot,
    report::Report,
    subject::Subject,
    training::{self, History, Run},
};
use clap::Args;
use nested_csr::{Level, Profile};
use nested_mask::{
    Ladder, nn,
    train::{Config, Dataset, Trainer},
};
use std::path::Path;

/// Train, compress, read back and run a nested network at each of its levels
#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    data: DataOptions,
    #[command(flatten)]
    run: RunOptions,
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
/// Says which images the checkpoints were trained on.
const IMAGES: &str = "images.txt";

/// Runs the command.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut images = options.data.source().load()?;
    if options.run.validation {
        images = images.validation();
    }
    if images.train.len() < options.batch as usize {
        let (path, images) = (options.run.out.clone(), images.train.len());
        let problem = format!("{images} training images are fewer than a batch of {}", options.batch);
        return Err(Error::Report { path, problem });
    }
    files::prepare_folder(&options.run.out)?;
    let checkpoint = options.run.out.join(CHECKPOINT);
    options.same_images(&images.train)?;
    if !options.run.resume {
        for name in [CHECKPOINT, DENSE_CHECKPOINT, MODEL, DENSE_MODEL, PICTURE] {
            files::remove(&options.run.out.join(name))?;
        }
    }
    files::remove(&options.run.out.join(REPORT))?;
    interrupt::end_with(format!("go on with --resume; the epochs done are in {}", checkpoint.display()))?;

    let (nested, train_seconds) = options.train("nested", options.run.ladder.0.clone(), CHECKPOINT, &images.train)?;
    let (dense, _) = options.train("dense", Ladder::dense(), DENSE_CHECKPOINT, &images.train)?;
    let nested =
        Subject::deploy(nested.trained().clone(), &images.train, Profile::Balanced, &options.run.out.join(MODEL))?;
    let dense =
        Subject::deploy(dense.trained().clone(), &images.train, Profile::Balanced, &options.run.out.join(DENSE_MODEL))?;

    let levels = nested.file.levels();
    let candidates: Vec<_> =
        levels.up_to().map(|level| (&nested.file, level)).chain([(&dense.file, Level::FIRST)]).collect();
    let host_ms = deployed::milliseconds(&candidates, &images.test)?;
    let entry_of_level = |(level, &ms): (Level, &f64)| -> Result<_, Error> {
        Ok(nested.worth(level, &images.test)?.timed(Some(level.number()), ms))
    };
    let report = Report {
        levels: levels.up_to().zip(&host_ms).map(entry_of_level).collect::<Result<_, _>>()?,
        dense: dense.worth(Level::FIRST, &images.test)?.timed(None, host_ms[levels.number()]),
        train_images: images.train.len(),
        test_images: images.test.len(),
        dataset: images.name,
        network: format!("resnet8, width {}", options.width),
        block: options.run.block.to_string(),
        seed: options.run.seed,
        epochs: options.epochs(),
        train_seconds,
    };
    publish(&report, &options.run.out)
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

    /// Notes which images are trained on; when resuming, checks that they are those of the checkpoints.
    fn same_images(&self, images: &Dataset) -> Result<(), Error> {
        let path = self.run.out.join(IMAGES);
        let now = format!("{} images, CRC-32 {}\n", images.len(), files::crc32([&images.pixels[..], &images.labels]));
        // A checkpoint that is missing is an error of its own, which names it.
        if self.run.resume && !self.run.out.join(CHECKPOINT).exists() {
            return Ok(());
        }
        training::same_images(&path, &now, self.run.resume)
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

    /// Trains one network with these options; and the seconds that it took, over all calls.
    fn train(
        &self,
        name: &'static str,
        ladder: Ladder,
        checkpoint: &str,
        images: &Dataset,
    ) -> Result<(Trainer, Option<f64>), Error> {
        let checkpoint = self.run.out.join(checkpoint);
        let run = Run {
            name: name.to_owned(),
            network: nn::resnet8(images.shape, self.width, images.classes)?,
            config: self.config(ladder),
            checkpoint: checkpoint.clone(),
        };
        // The second of the two trainings may not have begun when the first was interrupted.
        let resume = self.run.resume && (name == "nested" || run.checkpoint.exists());
        let (mut trainer, _) = run.train(resume, images)?;
        trainer.recalibrate(images)?;
        Ok((trainer, History::of(&checkpoint).seconds()))
    }
}

//! Training a network to its end, with a checkpoint after each epoch.
use crate::{error::Error, files, progress::Progress};
use nested_mask::{
    nn::Network,
    train::{Config, Examples, Trainer},
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// One training run.
pub struct Run {
    /// What the progress calls it.
    pub name: String,
    pub network: Network,
    pub config: Config,
    /// Written after each epoch.
    pub checkpoint: PathBuf,
}

impl Run {
    /// Trains from the start, or on from the checkpoint, until all epochs are done. Says how long the epochs of this call
    /// took.
    pub fn train(self, resume: bool, images: &impl Examples) -> Result<(Trainer, Duration), Error> {
        let epochs = self.config.epochs;
        let mut trainer = if resume {
            Trainer::resume(&self.checkpoint, self.network, self.config)?
        } else {
            Trainer::new(self.network, self.config)?
        };
        let progress = Progress::new(&self.name, epochs, images.count(), trainer.epoch());
        let mut total = Duration::ZERO;
        while trainer.epoch() < epochs {
            let done = trainer.epoch();
            let start = Instant::now();
            let report = trainer.train_epoch(images, &mut |step| {
                progress.step(done, images.count() * step.step / step.steps.max(1), step.loss);
            })?;
            total += start.elapsed();
            progress.epoch(report.epoch, report.loss, start.elapsed());
            let _writing = files::hold_writes();
            trainer.save(&self.checkpoint)?;
        }
        progress.finish();
        if !total.is_zero() {
            trainer.trained().warnings().iter().for_each(|warning| eprintln!("  warning: {warning}"));
        }
        Ok((trainer, total))
    }
}

/// Notes at `path` which images are trained on; when resuming, checks that they are those of the checkpoints.
///
/// # Errors
/// Other images than before; a file that cannot be read or written.
pub fn same_images(path: &Path, now: &str, resume: bool) -> Result<(), Error> {
    if !resume {
        return files::write(path, now.as_bytes());
    }
    let then = String::from_utf8_lossy(&files::read(path)?).into_owned();
    if then == now {
        return Ok(());
    }
    let problem = format!("the checkpoint is of {}, not of {}", then.trim(), now.trim());
    Err(Error::Report { path: path.to_owned(), problem })
}

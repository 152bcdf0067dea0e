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
    /// Written after each epoch. Beside it the seconds of each epoch are noted, so that a call that goes on knows those of the
    /// calls before.
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
        // A note may lack epochs (those of a checkpoint older than notes are) or have one that was lost before its checkpoint.
        let note = note_of(&self.checkpoint);
        let mut seconds = noted(&note);
        if seconds.len() != trainer.epoch() {
            seconds.resize(trainer.epoch(), None);
            files::write_json(&note, &seconds)?;
        }
        while trainer.epoch() < epochs {
            let done = trainer.epoch();
            let start = Instant::now();
            let report = trainer.train_epoch(images, &mut |step| {
                progress.step(done, images.count() * step.step / step.steps.max(1), step.loss);
            });
            total += start.elapsed();
            seconds.push(Some(start.elapsed().as_secs_f64()));
            // Before the checkpoint, so that none is without its time, and of an epoch that failed too: it took as long.
            files::write_json(&note, &seconds)?;
            let report = report?;
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

/// Seconds of all epochs of the training with this checkpoint, over all calls; `None` when not all are known.
pub fn seconds(checkpoint: &Path) -> Option<f64> {
    let epochs = noted(&note_of(checkpoint));
    epochs.iter().copied().sum::<Option<f64>>().filter(|_| !epochs.is_empty())
}

/// Where the seconds of the epochs of a training are noted.
fn note_of(checkpoint: &Path) -> PathBuf {
    checkpoint.with_extension("seconds.json")
}

/// Seconds of each epoch, as they were noted; `None` of those that were not.
fn noted(note: &Path) -> Vec<Option<f64>> {
    // A note that cannot be read is like none: a training is worth more than its time.
    files::read(note).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use nested_csr::TensorShape;
    use nested_mask::{Ladder, nn, train::Dataset};

    #[test]
    fn a_training_that_goes_on_notes_the_seconds_of_all_its_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let shape = TensorShape { channels: 1, height: 8, width: 8 };
        let labels: Vec<u8> = (0..32).map(|image| image % 2).collect();
        let pixels = labels.iter().flat_map(|&label| [label * 200; 64]).collect();
        let images = Dataset::new(shape, 2, pixels, labels).unwrap();
        let network = || nn::resnet8(shape, 0.25, 2).unwrap();
        let config = Config { ladder: Ladder::dense(), epochs: 3, batch: 16, ..Config::default() };
        let checkpoint = folder.path().join("a.safetensors");
        let note = note_of(&checkpoint);
        let run = |resume| {
            let (name, checkpoint) = ("test".to_owned(), checkpoint.clone());
            let run = Run { name, network: network(), config: config.clone(), checkpoint };
            let (_, took) = run.train(resume, &images).unwrap();
            (took.as_secs_f64(), noted(&note))
        };
        let one_epoch = || {
            let mut trainer = Trainer::new(network(), config.clone()).unwrap();
            trainer.train_epoch(&images, &mut |_| {}).unwrap();
            trainer.save(&checkpoint).unwrap();
        };

        // Of an epoch whose checkpoint was not written any more, as it is after a loss of power.
        one_epoch();
        files::write_json(&note, &[1e3, 1e6]).unwrap();
        let (took, seconds) = run(true);
        assert_eq!((seconds.len(), seconds[0]), (3, Some(1e3)));
        let all = super::seconds(&checkpoint).unwrap();
        assert!(took > 0.0 && (all - 1e3 - took).abs() < 1e-3, "{all} of {took}");
        // Nothing is left to do; from the start; on from a checkpoint without a note.
        assert_eq!(run(true), (0.0, seconds));
        assert!(run(false).1.iter().all(|seconds| seconds.is_some_and(|seconds| seconds < 1e3)));
        one_epoch();
        files::remove(&note).unwrap();
        assert_eq!(run(true).1.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(super::seconds(&checkpoint), None);
        // A whole training without a note.
        files::remove(&note).unwrap();
        assert_eq!(
            (super::seconds(&checkpoint), run(true).1, super::seconds(&checkpoint)),
            (None, vec![None; 3], None)
        );
    }
}

//! Training a network to its end, with a checkpoint after each epoch.
use crate::{error::Error, files, origin, progress::Progress};
use nested_mask::{
    nn::Network,
    train::{Config, Examples, Trainer},
};
use serde::{Deserialize, Serialize};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// One training run.
pub struct Run {
    /// What the progress calls it.
    pub name: String,
    pub network: Network,
    pub config: Config,
    /// Written after each epoch. Beside it lies the training's [`History`].
    pub checkpoint: PathBuf,
}

/// One epoch that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Epoch {
    seconds: f64,
    /// Of the program.
    commit: String,
}

/// What the calls that trained a checkpoint noted of each of its epochs; `None` of an epoch that is older than notes are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Option<Epoch>>);

impl History {
    /// The history of a checkpoint; empty without one. A note that cannot be read is like none: a training is worth more than
    /// what is told of it.
    pub fn of(checkpoint: &Path) -> History {
        files::read_json(&History::path(checkpoint)).unwrap_or_default()
    }

    fn path(checkpoint: &Path) -> PathBuf {
        checkpoint.with_extension("epochs.json")
    }

    fn write(&self, checkpoint: &Path) -> Result<(), Error> {
        files::write_json(&History::path(checkpoint), self)
    }

    /// Epochs that were done.
    pub fn epochs(&self) -> usize {
        self.0.len()
    }

    /// Seconds of all epochs, over all calls; `None` when not all are known.
    pub fn seconds(&self) -> Option<f64> {
        let seconds = self.0.iter().map(|epoch| Some(epoch.as_ref()?.seconds));
        seconds.sum::<Option<f64>>().filter(|_| !self.0.is_empty())
    }

    /// The commits that trained it, in order; `unknown` for epochs without a note.
    pub fn commits(&self) -> Vec<String> {
        let mut commits: Vec<String> = Vec::new();
        for epoch in &self.0 {
            let commit = epoch.as_ref().map_or("unknown", |epoch| &epoch.commit);
            if commits.iter().all(|known| known != commit) {
                commits.push(commit.to_owned());
            }
        }
        commits
    }
}

impl Run {
    /// Trains from the start, or on from the checkpoint, until all epochs are done. Also gives how many epochs were left.
    pub fn train(self, resume: bool, images: &impl Examples) -> Result<(Trainer, usize), Error> {
        let epochs = self.config.epochs;
        let mut trainer = if resume {
            Trainer::resume(&self.checkpoint, self.network, self.config)?
        } else {
            Trainer::new(self.network, self.config)?
        };
        let progress = Progress::new(&self.name, epochs, images.count(), trainer.epoch());
        let left = epochs.saturating_sub(trainer.epoch());
        // A note may lack epochs (those of a checkpoint older than notes are) or have one that was lost before its checkpoint.
        let mut history = History::of(&self.checkpoint);
        if history.epochs() != trainer.epoch() {
            history.0.resize(trainer.epoch(), None);
            history.write(&self.checkpoint)?;
        }
        let commit = origin::commit();
        if left > 0 && history.commits().iter().any(|earlier| *earlier != commit) {
            let (name, earlier) = (&self.name, history.commits().join(", "));
            eprintln!(
                "  warning: {name} goes on with commit {commit} where {earlier} stopped; from the start it may differ"
            );
        }
        while trainer.epoch() < epochs {
            let done = trainer.epoch();
            let start = Instant::now();
            let report = trainer.train_epoch(images, &mut |step| {
                progress.step(done, images.count() * step.step / step.steps.max(1), step.loss);
            });
            history.0.push(Some(Epoch { seconds: start.elapsed().as_secs_f64(), commit: commit.clone() }));
            // Before the checkpoint, so that none is without its time, and of an epoch that failed too: it took as long.
            history.write(&self.checkpoint)?;
            let report = report?;
            progress.epoch(report.epoch, report.loss, start.elapsed());
            let _writing = files::hold_writes();
            trainer.save(&self.checkpoint)?;
        }
        progress.finish();
        if left > 0 {
            trainer.trained().warnings().iter().for_each(|warning| eprintln!("  warning: {warning}"));
        }
        Ok((trainer, left))
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

#[cfg(test)]
mod tests {
    use super::*;
    use nested_csr::TensorShape;
    use nested_mask::{Ladder, nn, train::Dataset};

    #[test]
    fn a_training_that_goes_on_notes_the_seconds_and_the_commits_of_all_its_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let shape = TensorShape { channels: 1, height: 8, width: 8 };
        let labels: Vec<u8> = (0..32).map(|image| image % 2).collect();
        let pixels = labels.iter().flat_map(|&label| [label * 200; 64]).collect();
        let images = Dataset::new(shape, 2, pixels, labels).unwrap();
        let network = || nn::resnet8(shape, 0.25, 2).unwrap();
        let config = Config { ladder: Ladder::dense(), epochs: 3, batch: 16, ..Config::default() };
        let checkpoint = folder.path().join("a.safetensors");
        let run = |resume| {
            let (name, checkpoint) = ("test".to_owned(), checkpoint.clone());
            let run = Run { name, network: network(), config: config.clone(), checkpoint: checkpoint.clone() };
            let (_, left) = run.train(resume, &images).unwrap();
            (left, History::of(&checkpoint))
        };
        let one_epoch = || {
            let mut trainer = Trainer::new(network(), config.clone()).unwrap();
            trainer.train_epoch(&images, &mut |_| {}).unwrap();
            trainer.save(&checkpoint).unwrap();
        };
        let epoch = |seconds| Some(Epoch { seconds, commit: "old".to_owned() });

        // Of an epoch whose checkpoint was not written any more, as it is after a loss of power.
        one_epoch();
        History(vec![epoch(1e3), epoch(1e6)]).write(&checkpoint).unwrap();
        let (left, history) = run(true);
        assert_eq!((left, history.epochs(), history.commits()), (2, 3, vec!["old".to_owned(), origin::commit()]));
        assert_eq!(history.0[0], epoch(1e3));
        assert!(history.seconds().is_some_and(|seconds| (1e3..1e4).contains(&seconds) && seconds > 1e3));
        // Nothing is left to do; from the start; on from a checkpoint without a note.
        assert_eq!(run(true), (0, history));
        let (left, history) = run(false);
        assert!(left == 3 && history.seconds().is_some_and(|seconds| seconds < 1e3), "{history:?}");
        assert_eq!(history.commits(), [origin::commit()]);
        one_epoch();
        files::remove(&History::path(&checkpoint)).unwrap();
        let (left, history) = run(true);
        assert_eq!((left, history.0.iter().map(Option::is_some).collect::<Vec<_>>()), (2, vec![false, true, true]));
        assert_eq!(history.seconds(), None);
        // A whole training without a note.
        files::remove(&History::path(&checkpoint)).unwrap();
        assert_eq!(History::of(&checkpoint).seconds(), None);
        assert_eq!(run(true), (0, History(vec![None; 3])));
        assert_eq!(History::of(&checkpoint).seconds(), None);
    }
}

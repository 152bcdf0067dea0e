//! Training a network to its end, with a checkpoint after each epoch, in a folder of this program alone.
use crate::{error::Error, files, origin, progress::Progress};
use nested_mask::{
    nn::Network,
    train::{Config, Examples, TrainError, Trained, Trainer},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

/// Says which images the checkpoints of a folder were trained on.
const IMAGES: &str = "images.txt";

/// A folder in which networks are trained on one set of images, of this program alone as long as it has it.
pub struct Workspace {
    path: PathBuf,
    /// What tells these images from others: a checkpoint does not.
    images: String,
    _lock: File,
}

impl Workspace {
    /// Makes the folder, and checks that files can be written there.
    ///
    /// # Errors
    /// A folder that cannot be written, or in which another program works.
    pub fn open(path: &Path, images: String) -> Result<Workspace, Error> {
        files::prepare_folder(path)?;
        Ok(Workspace { path: path.to_owned(), images, _lock: files::lock(path)? })
    }

    /// A place in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Whether a run has begun here.
    pub fn is_used(&self) -> bool {
        self.join(IMAGES).exists()
    }

    /// Removes the `figures` of an earlier run and, unless this one goes on, what it `trained`; call it when all is known to
    /// work.
    ///
    /// # Errors
    /// A run that goes on, where that was of other images; a file that cannot be read, removed or written.
    pub fn begin(&self, goes_on: bool, figures: &[PathBuf], trained: &[PathBuf]) -> Result<(), Error> {
        if goes_on {
            self.check_images()?;
        }
        figures.iter().try_for_each(|path| files::remove(path))?;
        if goes_on {
            return Ok(());
        }
        trained.iter().try_for_each(|path| files::remove(path))?;
        // Last, so that it never says of checkpoints what is not so.
        files::write(&self.join(IMAGES), format!("{}\n", self.images).as_bytes())
    }

    fn check_images(&self) -> Result<(), Error> {
        let note = self.join(IMAGES);
        let then = String::from_utf8_lossy(&files::read(&note)?).trim().to_owned();
        if then == self.images { Ok(()) } else { Err(Error::OtherImages { note, then, now: self.images.clone() }) }
    }
}

/// One training run.
pub struct Run {
    /// What the progress calls it.
    pub name: String,
    pub network: Network,
    pub config: Config,
    /// Written after each epoch. Beside it lies the training's [`History`].
    pub checkpoint: PathBuf,
    pub start: Start,
    /// Whether batch-norm statistics are measured anew after the training.
    pub recalibrated: bool,
}

/// Where a training begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With random weights.
    Anew,
    /// At the checkpoint, which must be there.
    Resume,
    /// At the checkpoint, if there is one.
    ResumeIfThere,
}

/// A training that is over.
pub struct Done {
    pub trained: Trained,
    /// Epochs that were left.
    pub epochs: usize,
    /// Of all epochs, over all calls; `None` when not all are known.
    pub seconds: Option<f64>,
    /// When the epochs were done. Statistics were measured after it.
    pub end: Instant,
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
    /// Whether it can begin, or go on; nothing is written.
    ///
    /// # Errors
    /// A configuration that is none, a checkpoint of another or that cannot be read.
    pub fn check(&self) -> Result<(), Error> {
        self.trainer()?;
        Ok(())
    }

    fn trainer(&self) -> Result<Trainer, TrainError> {
        let (network, config) = (self.network.clone(), self.config.clone());
        match self.start {
            Start::ResumeIfThere if !self.checkpoint.exists() => Trainer::new(network, config),
            Start::Anew => Trainer::new(network, config),
            Start::Resume | Start::ResumeIfThere => Trainer::resume(&self.checkpoint, network, config),
        }
    }

    /// Trains until all epochs are done.
    ///
    /// # Errors
    /// As [`Self::check`]; a loss that is not finite; a checkpoint that cannot be written.
    pub fn train(&self, images: &impl Examples) -> Result<Done, Error> {
        let mut trainer = self.trainer()?;
        let epochs = self.config.epochs;
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
        let end = Instant::now();
        if self.recalibrated {
            trainer.recalibrate(images)?;
        }
        Ok(Done { trained: trainer.into_trained(), epochs: left, seconds: history.seconds(), end })
    }
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
        let run = |start| {
            let (name, checkpoint, recalibrated) = ("test".to_owned(), checkpoint.clone(), false);
            let run = Run { name, network: network(), config: config.clone(), checkpoint, start, recalibrated };
            let done = run.train(&images).unwrap();
            let history = History::of(&run.checkpoint);
            assert_eq!(done.seconds, history.seconds());
            (done.epochs, history)
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
        let (left, history) = run(Start::Resume);
        assert_eq!((left, history.epochs(), history.commits()), (2, 3, vec!["old".to_owned(), origin::commit()]));
        assert_eq!(history.0[0], epoch(1e3));
        assert!(history.seconds().is_some_and(|seconds| (1e3..1e4).contains(&seconds) && seconds > 1e3));
        // Nothing is left to do; from the start; on from a checkpoint without a note.
        assert_eq!(run(Start::Resume), (0, history));
        let (left, history) = run(Start::Anew);
        assert!(left == 3 && history.seconds().is_some_and(|seconds| seconds < 1e3), "{history:?}");
        assert_eq!(history.commits(), [origin::commit()]);
        one_epoch();
        files::remove(&History::path(&checkpoint)).unwrap();
        let (left, history) = run(Start::Resume);
        assert_eq!((left, history.0.iter().map(Option::is_some).collect::<Vec<_>>()), (2, vec![false, true, true]));
        assert_eq!(history.seconds(), None);
        // A whole training without a note.
        files::remove(&History::path(&checkpoint)).unwrap();
        assert_eq!(History::of(&checkpoint).seconds(), None);
        assert_eq!(run(Start::Resume), (0, History(vec![None; 3])));
        assert_eq!(History::of(&checkpoint).seconds(), None);
    }

    #[test]
    fn what_an_earlier_run_left_goes_only_when_a_run_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let [figures, trained] = ["report.json", "checkpoint"].map(|name| path.join(name));
        let open = |images: &str| Workspace::open(&path, images.to_owned()).unwrap();
        let begin = |workspace: &Workspace, goes_on| {
            workspace.begin(goes_on, std::slice::from_ref(&figures), std::slice::from_ref(&trained))
        };
        let left = || [&figures, &trained].map(|path| path.exists());
        let write = || [&figures, &trained].map(|path| files::write(path, b"").unwrap());
        let first = open("two dots");
        assert!(!first.is_used());
        begin(&first, false).unwrap();
        assert!(first.is_used());
        assert!(matches!(Workspace::open(&path, String::new()), Err(Error::Busy(busy)) if busy == path));
        drop(first);
        write();
        let other = begin(&open("three dots"), true).unwrap_err().to_string();
        let note = path.join("images.txt");
        assert_eq!(other, format!("{}: the checkpoint is of two dots, not of three dots", note.display()));
        assert_eq!(left(), [true, true]);
        begin(&open("two dots"), true).unwrap();
        assert_eq!(left(), [false, true]);
        write();
        begin(&open("three dots"), false).unwrap();
        assert_eq!(left(), [false, false]);
        begin(&open("three dots"), true).unwrap();
    }
}

//! One run: train, deploy, measure.
use super::{
    images::Images,
    record::{self, Data, Finished, Record, Row},
    settings::{MaskingName, Method, Pruning, Settings, Training, file_stem, ladder},
};
use crate::{
    error::Error,
    files, origin,
    subject::{Subject, Worth},
    training::{Done, History, Run, Start, Workspace},
};
use nested_csr::{Block, Level, Profile};
use nested_mask::{
    quant::QuantError,
    train::{Dataset, TrainError, Trained},
};
use std::path::{Path, PathBuf};

/// How models are coded: they are compared at equal instructions, so for few of them rather than for few bytes.
const PROFILE: Profile = Profile::Speed;

/// Folders in the folder.
const CHECKPOINTS: &str = "checkpoints";
const MODELS: &str = "models";

/// Where the work of all runs lies, of this program alone as long as it has the folder.
pub struct Folder(Workspace);

impl Folder {
    /// Makes the folder, and checks that files can be written there. It serves one set of images: a checkpoint's name tells
    /// its settings, not what it was trained on.
    ///
    /// # Errors
    /// A folder that cannot be written, one of other images, or one in which another program works.
    pub fn prepare(path: &Path, data: &Data) -> Result<Folder, Error> {
        let images = format!("{} and {} images, CRC-32 {}", data.train_images, data.test_images, data.crc32);
        let workspace = Workspace::open(path, images)?;
        for name in [CHECKPOINTS, MODELS] {
            files::prepare_folder(&workspace.join(name))?;
        }
        workspace.begin(workspace.is_used(), &[], &[])?;
        Ok(Folder(workspace))
    }

    /// The checkpoint of a training: runs that share the training share it.
    pub fn checkpoint(&self, training: &Training) -> PathBuf {
        self.0.join(CHECKPOINTS).join(file_stem("training", training) + ".safetensors")
    }

    /// The model file of a run.
    pub fn model(&self, id: &str) -> PathBuf {
        self.0.join(MODELS).join(id.to_owned() + ".ncsr")
    }

    /// The model file of one level of a run that has one for each.
    fn level_model(&self, id: &str, level: usize) -> PathBuf {
        self.model(&format!("{id}-{level}"))
    }

    /// The file and the level in it that a row is of.
    pub fn file_of(&self, row: &Row) -> (PathBuf, usize) {
        match row.method {
            Method::Slimmable => (self.level_model(&row.run, row.level), 1),
            _ => (self.model(&row.run), row.level),
        }
    }
}

/// A run that was done: what stands in the record, and how many epochs were left to train.
pub struct Executed {
    pub run: Finished,
    pub rows: Vec<Row>,
    pub epochs: usize,
}

/// Does a run that the record does not have yet. A training whose loss is not finite is a result, and so is a network whose outputs
/// are not: the run fails and has no rows.
///
/// # Errors
/// All others.
pub fn execute(settings: &Settings, record: &Record, images: &Images, folder: &Folder) -> Result<Executed, Error> {
    let id = record::id(settings);
    let checkpoint = folder.checkpoint(&settings.training);
    let finished = |[train_seconds, other_seconds]: [Option<f64>; 2], failed| {
        let commit = origin::commit();
        let mut trained_by = History::of(&checkpoint).commits();
        if trained_by == [commit.as_str()] {
            trained_by.clear();
        }
        let (id, settings, machine) = (id.clone(), settings.clone(), origin::machine());
        Finished { id, settings, train_seconds, other_seconds, failed, commit, trained_by, machine }
    };
    let failed = |seconds, epochs, why| Ok(Executed { run: finished(seconds, Some(why)), rows: Vec::new(), epochs });
    // What fails once fails again.
    if let Some(why) = record.failure_of(&settings.training) {
        return failed([None, Some(0.0)], 0, why.to_owned());
    }
    let (train, test) = images.of(&settings.training)?;
    let run = Run {
        name: settings.name(),
        network: settings.training.network(train.shape, train.classes)?,
        config: settings.training.config()?,
        checkpoint: checkpoint.clone(),
        start: Start::ResumeIfThere,
        recalibrated: false,
    };
    let Done { trained, epochs, seconds, end } = match run.train(&train) {
        Err(Error::Training(error @ TrainError::NotFinite { .. })) => {
            return failed([History::of(&checkpoint).seconds(), Some(0.0)], 0, error.to_string());
        }
        other => other?,
    };
    // Whoever trained is who the time is counted for, once.
    let is_timed = epochs == 0 && record.has_time_of(&settings.training);
    let train_seconds = if is_timed { None } else { seconds };
    let outcome = Outcome { settings, id: &id, train: &train, test: &test, folder };
    let rows = outcome.rows(trained);
    let seconds = [train_seconds, Some(end.elapsed().as_secs_f64())];
    match rows {
        Ok(rows) => Ok(Executed { run: finished(seconds, None), rows, epochs }),
        Err(error) if is_out_of_range(&error) => failed(seconds, epochs, error.to_string()),
        Err(error) => Err(error),
    }
}

/// Whether a trained network computes what is not a number, infinite or beyond what the format holds, as after too great a rate.
fn is_out_of_range(error: &Error) -> bool {
    matches!(
        error,
        Error::Training(TrainError::NotFinite { .. } | TrainError::NotMeasurable { .. })
            | Error::Quantization(QuantError::NotFinite { .. } | QuantError::Format(_))
    )
}

/// A trained network about to be measured.
struct Outcome<'a> {
    settings: &'a Settings,
    id: &'a str,
    train: &'a Dataset,
    test: &'a Dataset,
    folder: &'a Folder,
}

impl Outcome<'_> {
    /// One a level, of the network as the settings want it measured.
    fn rows(&self, mut trained: Trained) -> Result<Vec<Row>, Error> {
        if self.settings.recalibrated {
            trained.recalibrate(self.train)?;
        }
        match (&self.settings.pruning, self.settings.training.masking) {
            (Some(pruning), _) => self.pruned(&trained, pruning),
            (None, MaskingName::Slimmable) => self.narrowed(&trained),
            (None, _) => self.levels(trained),
        }
    }

    /// One file with all levels.
    fn levels(&self, trained: Trained) -> Result<Vec<Row>, Error> {
        let subject = Subject::deploy(trained, self.train, PROFILE, &self.folder.model(self.id))?;
        let levels = subject.file.levels();
        let file_bytes = subject.file.file_bytes(levels)?;
        let row = |level: Level| Ok(self.row(level.number(), file_bytes, &subject.worth(level, self.test)?));
        levels.up_to().map(row).collect()
    }

    /// The densest level pruned further, its weights spread over the layers as those of the training are.
    fn pruned(&self, trained: &Trained, pruning: &Pruning) -> Result<Vec<Row>, Error> {
        let ladder = ladder(&pruning.ladder)?;
        let allocation = self.settings.training.allocation.into();
        let mut pruned = trained.pruned(trained.levels(), &ladder, allocation, Block::OneByOne)?;
        if pruning.recalibrated {
            pruned.recalibrate(self.train)?;
        }
        self.levels(pruned)
    }

    /// A file a width. What a device would hold of them is the widest one's weights, and each one's requantisation.
    fn narrowed(&self, trained: &Trained) -> Result<Vec<Row>, Error> {
        let mut subjects = Vec::new();
        for level in trained.levels().up_to() {
            let path = self.folder.level_model(self.id, level.number());
            subjects.push(Subject::deploy(trained.narrowed(level)?, self.train, PROFILE, &path)?);
        }
        let mut narrower = 0;
        let mut rows = Vec::new();
        for (index, subject) in subjects.iter().enumerate() {
            let mut worth = subject.worth(Level::FIRST, self.test)?;
            worth.file_bytes += narrower;
            narrower += subject.file.requantisation_bytes();
            rows.push(self.row(index + 1, 0, &worth));
        }
        let whole = rows.last().map_or(0, |row| row.prefix_bytes);
        rows.iter_mut().for_each(|row| row.file_bytes = whole);
        Ok(rows)
    }

    fn row(&self, level: usize, file_bytes: usize, worth: &Worth) -> Row {
        let (settings, training) = (self.settings, &self.settings.training);
        let has_masks = !matches!(settings.method, Method::Dense | Method::Slimmable);
        Row {
            run: self.id.to_owned(),
            suite: settings.suite,
            method: settings.method,
            budget: settings.budget,
            variant: settings.variant.clone(),
            network: training.network,
            width: training.width
                * if settings.matched.is_empty() { 1.0 } else { 1.0 - training.ladder[level - 1] / 100.0 },
            block: has_masks.then_some(training.block),
            allocation: has_masks.then_some(training.allocation),
            measured: training.measured,
            seed: training.seed,
            level,
            sparsity: settings.sparsity(level),
            stored: worth.stored,
            passes: training.passes(),
            learning_rate: training.learning_rate,
            top1_float: worth.top1_float,
            top1_int8: worth.top1_int8,
            file_bytes,
            prefix_bytes: worth.file_bytes,
            nonzero_macs: worth.nonzero_macs,
            m7_instructions: None,
            // Times of different hours do not compare: `measure::host_times` takes those of all models in turn.
            host_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Split, experiment::settings::Measured};
    use nested_csr::TensorShape;

    /// A rate of such a run would otherwise end all runs, at each start anew.
    #[test]
    fn a_network_that_cannot_be_measured_is_a_failed_run_and_says_nothing_of_others_of_its_training() {
        let shape = TensorShape { channels: 1, height: 8, width: 8 };
        let set = |count: usize| {
            let labels: Vec<u8> = (0..count).map(|image| (image % 2) as u8).collect();
            let pixels = labels.iter().flat_map(|&label| [label * 200; 64]).collect();
            Dataset::new(shape, 2, pixels, labels).unwrap()
        };
        let images = Images::new(Split { name: "squares".to_owned(), train: set(16), test: set(4) });
        // Two steps, the first of the rate 0: the second is great, and its loss was measured before it.
        let mut settings = Settings { recalibrated: true, ..Settings::example() };
        let great = Training {
            images: 16,
            batch: 8,
            epochs: 1,
            learning_rate: 1e30,
            measured: Measured::Test,
            ..settings.training
        };
        settings.training = great;
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::prepare(directory.path(), &images.data()).unwrap();
        let mut record = Record::default();
        let Executed { run, rows, epochs } = execute(&settings, &record, &images, &folder).unwrap();
        let why = run.failed.clone().unwrap();
        assert!(why.contains("not finite") && rows.is_empty() && epochs == 1, "{why}");
        assert!(run.train_seconds.is_some() && run.other_seconds.is_some_and(|seconds| seconds > 0.0));
        record.runs.push(run);
        assert_eq!(record.failure_of(&settings.training), None);

        // One whose training fails fails with all that are of it.
        settings.training.epochs = 2;
        let Executed { run, .. } = execute(&settings, &record, &images, &folder).unwrap();
        let why = run.failed.clone().unwrap();
        record.runs.push(run);
        let other = Settings { recalibrated: false, ..settings };
        assert_eq!(execute(&other, &record, &images, &folder).unwrap().run.failed, Some(why));
    }
}

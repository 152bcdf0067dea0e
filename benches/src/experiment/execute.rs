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
    Allocation,
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

/// Does a run that the record does not have yet. A training whose loss is not finite is a result: the run fails and has no
/// rows.
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
    let failed = |train_seconds, why| {
        Ok(Executed { run: finished([train_seconds, Some(0.0)], Some(why)), rows: Vec::new(), epochs: 0 })
    };
    // What fails once fails again.
    if let Some(why) = record.failure_of(&settings.training) {
        return failed(None, why.to_owned());
    }
    let (train, test) = images.of(&settings.training)?;
    let run = Run {
        name: settings.name(),
        network: settings.training.network(train.shape, train.classes)?,
        config: settings.training.config()?,
        checkpoint: checkpoint.clone(),
        start: Start::ResumeIfThere,
        recalibrated: settings.recalibrated,
    };
    let Done { trained, epochs, seconds, end } = match run.train(&train) {
        Err(Error::Training(error @ TrainError::NotFinite { .. })) => {
            return failed(History::of(&checkpoint).seconds(), error.to_string());
        }
        other => other?,
    };
    // Whoever trained is who the time is counted for, once.
    let is_timed = epochs == 0 && record.has_time_of(&settings.training);
    let train_seconds = if is_timed { None } else { seconds };
    let outcome = Outcome { settings, id: &id, train: &train, test: &test, folder };
    let rows = match (&settings.pruning, settings.training.masking) {
        (Some(pruning), _) => outcome.pruned(&trained, pruning)?,
        (None, MaskingName::Slimmable) => outcome.narrowed(&trained)?,
        (None, _) => outcome.levels(trained)?,
    };
    let other_seconds = Some(end.elapsed().as_secs_f64());
    Ok(Executed { run: finished([train_seconds, other_seconds], None), rows, epochs })
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
    /// One file with all levels.
    fn levels(&self, trained: Trained) -> Result<Vec<Row>, Error> {
        let subject = Subject::deploy(trained, self.train, PROFILE, &self.folder.model(self.id))?;
        let levels = subject.file.levels();
        let file_bytes = subject.file.file_bytes(levels)?;
        let row = |level: Level| Ok(self.row(level.number(), file_bytes, &subject.worth(level, self.test)?));
        levels.up_to().map(row).collect()
    }

    /// The densest level pruned further.
    fn pruned(&self, trained: &Trained, pruning: &Pruning) -> Result<Vec<Row>, Error> {
        let ladder = ladder(&pruning.ladder)?;
        let mut pruned = trained.pruned(trained.levels(), &ladder, Allocation::Uniform, Block::OneByOne)?;
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

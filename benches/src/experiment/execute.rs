//! One run: train, deploy, measure.
use super::{
    images::Images,
    record::{self, Finished, Row},
    settings::{Settings, file_stem},
};
use crate::{deployed, error::Error, report::Entry, subject::Subject, training};
use nested_mask::train::TrainError;
use std::path::{Path, PathBuf};

/// Where the work of all runs lies.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder, and checks that files can be written there.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn prepare(path: &Path) -> Result<Folder, Error> {
        for name in ["checkpoints", "models"] {
            crate::files::prepare_folder(&path.join(name))?;
        }
        Ok(Folder(path.to_owned()))
    }

    /// The checkpoint of a training: runs that share the training share it.
    pub fn checkpoint(&self, settings: &Settings) -> PathBuf {
        self.0.join("checkpoints").join(file_stem("training", &settings.training) + ".safetensors")
    }

    /// The model file of a run.
    pub fn model(&self, id: &str) -> PathBuf {
        self.0.join("models").join(id.to_owned() + ".ncsr")
    }
}

/// Does a run. A training whose loss is not finite is a result: the run fails and has no rows.
///
/// # Errors
/// All others.
pub fn execute(settings: &Settings, images: &Images, folder: &Folder) -> Result<(Finished, Vec<Row>), Error> {
    let id = record::id(settings);
    let finished = |train_seconds, failed| Finished {
        id: id.clone(),
        settings: settings.clone(),
        train_seconds,
        failed,
        commit: super::origin::commit(),
        machine: super::origin::machine(),
    };
    let (train, test) = images.of(&settings.training)?;
    let checkpoint = folder.checkpoint(settings);
    let resume = checkpoint.exists();
    let run = training::Run {
        name: settings.name(),
        network: settings.training.network(train.shape, train.classes)?,
        config: settings.training.config()?,
        checkpoint,
    };
    let (trainer, took) = match run.train(resume, &train) {
        Err(Error::Training(error @ TrainError::NotFinite { .. })) => {
            return Ok((finished(None, Some(error.to_string())), Vec::new()));
        }
        other => other?,
    };
    let mut subject = Subject::deploy(trainer, &train, &folder.model(&id))?;
    let levels = subject.file.levels();
    let candidates: Vec<_> = levels.up_to().map(|level| (&subject.file, level)).collect();
    let host_ms = deployed::milliseconds(&candidates, &test)?;
    let file_bytes = subject.file.file_bytes(levels)?;
    let mut rows = Vec::new();
    for (level, ms) in levels.up_to().zip(host_ms) {
        let entry = subject.entry(level, &test, ms)?;
        rows.push(row(settings, &id, level.number(), file_bytes, &entry));
    }
    Ok((finished((!resume).then_some(took.as_secs_f64()), None), rows))
}

fn row(settings: &Settings, id: &str, level: usize, file_bytes: usize, entry: &Entry) -> Row {
    let training = &settings.training;
    Row {
        run: id.to_owned(),
        suite: settings.suite,
        method: settings.method,
        budget: settings.budget,
        variant: settings.variant.clone(),
        network: training.network,
        width: training.width,
        block: training.block,
        allocation: training.allocation,
        measured: training.measured,
        seed: training.seed,
        level,
        sparsity: training.ladder.get(level - 1).copied().unwrap_or(0.0),
        stored: entry.stored,
        passes: training.passes(),
        learning_rate: training.learning_rate,
        top1_float: entry.top1_float,
        top1_int8: entry.top1_int8,
        file_bytes,
        prefix_bytes: entry.file_bytes,
        nonzero_macs: entry.nonzero_macs,
        m7_instructions: None,
        host_ms: Some(entry.host_ms),
    }
}

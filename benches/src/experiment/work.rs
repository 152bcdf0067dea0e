//! How much training is left, and how long it takes.
use super::{
    execute::Folder,
    images::Images,
    plan::Planned,
    record::Record,
    settings::{NetworkName, Settings, Training},
};
use crate::{error::Error, training::History};
use nested_csr::Level;
use nested_mask::{
    Ladder,
    train::{Config, Trainer},
};
use std::time::Duration;

/// What the trainings of a plan take: image passes times the multiplications of the dense network, whose time masks hardly
/// change.
pub struct Work<'a> {
    images: &'a Images,
    folder: &'a Folder,
    /// Multiplications for one image of the networks that were met.
    macs: Vec<(NetworkName, f64, u64)>,
    /// Done so far, in how long.
    done: f64,
    took: Duration,
}

impl<'a> Work<'a> {
    /// Nothing is done yet.
    pub fn new(images: &'a Images, folder: &'a Folder) -> Work<'a> {
        Work { images, folder, macs: Vec::new(), done: 0.0, took: Duration::ZERO }
    }

    /// What is left of one training.
    ///
    /// # Errors
    /// A network that cannot be made.
    pub fn left_of(&mut self, training: &Training) -> Result<f64, Error> {
        let done = History::of(&self.folder.checkpoint(training)).epochs().min(training.epochs);
        let left = (training.epochs - done) as f64 / training.epochs.max(1) as f64;
        Ok(left * training.passes() as f64 * self.macs(training)? as f64)
    }

    /// What is left of a plan. Runs share trainings.
    ///
    /// # Errors
    /// As [`Self::left_of`].
    pub fn left(&mut self, plan: &[Planned], record: &Record) -> Result<f64, Error> {
        let mut met: Vec<Training> = Vec::new();
        let mut left = 0.0;
        for planned in plan.iter().filter(|planned| !planned.is_done(record)) {
            // As it was tuned, where that is known.
            let Settings { training, .. } = planned.resolve(record).unwrap_or_else(|_| planned.settings.clone());
            if !met.contains(&training) {
                left += self.left_of(&training)?;
                met.push(training);
            }
        }
        Ok(left)
    }

    /// Takes note of work that was done.
    pub fn add(&mut self, done: f64, took: Duration) {
        self.done += done;
        self.took += took;
    }

    /// How long so much work takes at the pace so far; `None` before any was done.
    pub fn time(&self, work: f64) -> Option<Duration> {
        (self.done > 0.0).then(|| self.took.mul_f64(work / self.done))
    }

    fn macs(&mut self, training: &Training) -> Result<u64, Error> {
        let Training { network, width, .. } = *training;
        if let Some(&(.., macs)) = self.macs.iter().find(|known| (known.0, known.1) == (network, width)) {
            return Ok(macs);
        }
        let config = Config { ladder: Ladder::dense(), ..Config::default() };
        let macs = Trainer::new(self.images.network(training)?, config)?.nonzero_macs(Level::FIRST);
        self.macs.push((network, width, macs));
        Ok(macs)
    }
}

//! A trained network beside the file made of it.
use crate::{deployed::Deployed, error::Error, files, report::Entry};
use nested_csr::{Level, Profile};
use nested_mask::{
    quant,
    train::{Dataset, Trained},
};
use std::path::Path;

/// A trained network, and the file made of it as it was read back.
pub struct Subject {
    pub trained: Trained,
    pub file: Deployed,
}

impl Subject {
    /// Quantises, writes the file as the profile says and reads it back.
    pub fn deploy(trained: Trained, images: &Dataset, profile: Profile, path: &Path) -> Result<Subject, Error> {
        /// Training images from which the ranges of the activations are taken.
        const CALIBRATION: usize = 1_024;
        let calibration = images.subset(&(0..CALIBRATION).collect::<Vec<_>>());
        let model = quant::quantize_as(&trained, &calibration, profile)?;
        files::write(path, model.as_bytes())?;
        Ok(Subject { trained, file: Deployed::read(path)? })
    }

    /// What a level is worth.
    pub fn entry(&self, level: Level, test: &Dataset, host_ms: f64) -> Result<Entry, Error> {
        Ok(Entry {
            level: Some(level.number()),
            sparsity: 100.0 * self.trained.sparsity(level),
            stored: self.file.stored(level)?,
            top1_float: 100.0 * self.trained.evaluate(level, test)?,
            top1_int8: self.file.top1(level, test)?,
            nonzero_macs: self.file.nonzero_macs(level)?,
            file_bytes: self.file.file_bytes(level)?,
            host_ms,
        })
    }
}

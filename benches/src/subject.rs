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

/// What a level is worth, its time aside: not everybody takes it. Sparsities, accuracies and shares are in per cent.
pub struct Worth {
    pub sparsity: f64,
    pub stored: f64,
    pub top1_float: f64,
    pub top1_int8: f64,
    pub nonzero_macs: u64,
    pub file_bytes: usize,
}

impl Worth {
    /// Of a level, or of the dense network, with the milliseconds that an image takes.
    pub fn timed(self, level: Option<usize>, host_ms: f64) -> Entry {
        let Worth { sparsity, stored, top1_float, top1_int8, nonzero_macs, file_bytes } = self;
        Entry { level, sparsity, stored, top1_float, top1_int8, nonzero_macs, file_bytes, host_ms }
    }
}

impl Subject {
    /// Quantises, writes the file as the profile says and reads it back.
    pub fn deploy(trained: Trained, images: &Dataset, profile: Profile, path: &Path) -> Result<Subject, Error> {
        let model = quant::quantize_as(&trained, images, profile)?;
        files::write(path, model.as_bytes())?;
        Ok(Subject { trained, file: Deployed::read(path)? })
    }

    /// What a level is worth.
    pub fn worth(&self, level: Level, test: &Dataset) -> Result<Worth, Error> {
        Ok(Worth {
            sparsity: 100.0 * self.trained.sparsity(level),
            stored: self.file.stored(level)?,
            top1_float: 100.0 * self.trained.evaluate(level, test)?,
            top1_int8: self.file.top1(level, test)?,
            nonzero_macs: self.file.nonzero_macs(level)?,
            file_bytes: self.file.file_bytes(level)?,
        })
    }
}

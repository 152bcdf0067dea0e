//! How well a detector's file finds objects.
use super::{
    Gathered, Scenes,
    precision::{Precision, precision},
    report::DetectEntry,
};
use crate::{deployed::Deployed, error::Error, files, m7};
use nested_csr::{Level, Profile};
use nested_mask::{
    detect::{Detection, DetectionSettings},
    quant,
    train::Trained,
};
use std::path::Path;

/// What counts as found when precision is measured: nearly all, for precision looks at every score.
const SETTINGS: DetectionSettings = DetectionSettings { score: 0.02, iou: 0.45, most: 200 };

/// Scenes from which the ranges of the activations are taken.
const CALIBRATION: usize = 512;

/// A trained detector, and the file made of it as it was read back.
pub struct Candidate<'a> {
    trained: &'a Trained,
    file: Deployed,
}

/// What one level of a detector found.
pub struct Measured {
    pub entry: DetectEntry,
    pub precision: Precision,
    /// One list an image.
    pub found: Vec<Vec<Detection>>,
    /// One list a scene; images that are cut into tiles have several.
    pub in_scenes: Vec<Vec<Detection>>,
    /// What a Cortex-M7 takes for each layer; `None` where it cannot be emulated.
    pub board: Option<m7::Row>,
}

impl<'a> Candidate<'a> {
    /// Quantises, writes the file and reads it back.
    pub fn deploy(trained: &'a Trained, scenes: &Scenes, path: &Path) -> Result<Candidate<'a>, Error> {
        let count = scenes.len().min(CALIBRATION);
        let calibration = Scenes {
            pixels: scenes.pixels[..count * scenes.shape.len()].to_vec(),
            objects: scenes.objects[..count].to_vec(),
            ..*scenes
        };
        // Most maps are so small that decoding shows: at 70 % the tighter codes would cost more than the zeros save.
        let model = quant::quantize_as(trained, &calibration, Profile::Speed)?;
        files::write(path, model.as_bytes())?;
        Ok(Candidate { trained, file: Deployed::read(path)? })
    }

    /// Runs a level on the test images, as floats and with integers from the file.
    pub fn measure(
        &self,
        name: &str,
        level: Level,
        test: &Gathered,
        board: Option<m7::Row>,
    ) -> Result<Measured, Error> {
        let classes = test.scenes.classes;
        let float = test.merge(self.trained.detect(level, &test.scenes, SETTINGS)?);
        let in_scenes = self.file.detect(level, &test.scenes, SETTINGS)?;
        let found = test.merge(in_scenes.clone());
        let of_found = precision(classes, &test.truth, &found);
        let entry = DetectEntry {
            name: name.to_owned(),
            level: Some(level.number()),
            sparsity: 100.0 * self.trained.sparsity(level),
            stored: self.file.stored(level)?,
            map50_float: precision(classes, &test.truth, &float).map50,
            map50: of_found.map50,
            map5095: of_found.map5095,
            nonzero_macs: self.file.nonzero_macs(level)?,
            file_bytes: self.file.file_bytes(level)?,
            m7_instructions: board.as_ref().and_then(|row| row.instructions).map(u64::from),
            m7_goal: board.as_ref().map(m7::sum_of_goals),
            sram_bytes: board.as_ref().map(|row| row.sram_bytes + self.file.detection_bytes(SETTINGS.most)),
        };
        Ok(Measured { entry, precision: of_found, found, in_scenes, board })
    }
}

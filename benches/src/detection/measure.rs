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
        // Most maps are so small that decoding shows: at 70 % the tighter codes would cost more than the zeros save.
        let model = quant::quantize_as(trained, scenes, Profile::Speed)?;
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
            m7_goal: board.as_ref().filter(|row| row.instructions.is_some()).map(m7::sum_of_goals),
            sram_bytes: board.as_ref().map(|row| row.sram_bytes + self.file.detection_bytes(m7::ROOM)),
        };
        Ok(Measured { entry, precision: of_found, found, in_scenes, board })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::tiles::Gatherer;
    use image::{GrayImage, Luma};
    use nested_mask::{
        Ladder,
        detect::{Frame, Object},
        nn::ssd_mobilenet_v2,
        train::{Config, Trainer},
    };
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// One square a scene, bright (class 0) or dark (class 1), on noise.
    fn squares(count: usize, seed: u64) -> Gathered {
        const SIDE: u32 = 32;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut gatherer = Gatherer::new(SIDE as usize, None, 1, 2);
        for class in [0u8, 1].into_iter().cycle().take(count) {
            let side = random.random_range(9..14);
            let [top, left] = [0; 2].map(|_| random.random_range(0..=SIDE - side));
            let inside = |x, y| (left..left + side).contains(&x) && (top..top + side).contains(&y);
            let image = GrayImage::from_fn(SIDE, SIDE, |x, y| {
                Luma([if inside(x, y) { [220, 20][usize::from(class)] } else { 110 } + random.random_range(0..20u8)])
            });
            let [top, left, side] = [top, left, side].map(|pixels| pixels as f32 / SIDE as f32);
            let frame = Frame { top, left, bottom: top + side, right: left + side };
            gatherer.push(&image, vec![Object { class, frame, difficult: false }]);
        }
        gatherer.finish()
    }

    /// The same object, found by floats and by integers.
    fn agree(float: &Detection, integer: &Detection) -> bool {
        let near = (float.score - integer.score).abs() < 0.1;
        float.class == integer.class && near && float.frame.iou(&integer.frame) > 0.75
    }

    #[test]
    fn a_trained_detector_finds_the_same_with_floats_and_with_integers() {
        let (train, test) = (squares(256, 1), squares(100, 2));
        let ladder = Ladder::new([0.6, 0.3]).unwrap();
        let config = Config { ladder, epochs: 25, batch: 16, learning_rate: 0.1, rank_every: 4, ..Config::default() };
        let mut trainer = Trainer::new(ssd_mobilenet_v2(train.scenes.shape, 0.5, 2).unwrap(), config).unwrap();
        while trainer.epoch() < trainer.config().epochs {
            trainer.train_epoch(&train.scenes, &mut |_| {}).unwrap();
        }
        trainer.recalibrate(&train.scenes).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("squares.ncsr");
        let candidate = Candidate::deploy(trainer.trained(), &train.scenes, &path).unwrap();
        for level in trainer.trained().levels().up_to() {
            let integers = candidate.measure("squares", level, &test, None).unwrap();
            let (float, integer) = (integers.entry.map50_float, integers.entry.map50);
            assert!(float > 90.0 && (float - integer).abs() < 1.0, "mAP {float}, with integers {integer}");
            let floats = trainer.trained().detect(level, &test.scenes, SETTINGS).unwrap();
            let sure = || {
                floats.iter().zip(&integers.found).flat_map(|(all, found)| {
                    all.iter().filter(|one| one.score > 0.5).map(move |one| found.iter().any(|other| agree(one, other)))
                })
            };
            let (all, same) = (sure().count(), sure().filter(|same| *same).count());
            println!("level {}: mAP {float}, with integers {integer}; {same} of {all} alike", level.number());
            // Of boxes nearly alike, rounding may let the other one stay.
            assert!(all > 40 && same as f64 > 0.95 * all as f64, "{same} of {all}");
        }
    }
}

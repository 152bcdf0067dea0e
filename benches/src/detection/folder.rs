//! The folder that a run of `detect` writes into.
use super::Scenes;
use crate::{error::Error, files, training};
use std::path::{Path, PathBuf};

/// Says which scenes the checkpoints were trained on.
const IMAGES: &str = "images.txt";

/// Where things are in the folder of a run.
pub struct Folder<'a>(pub &'a Path);

/// A network's name as part of a file's.
fn file_name(name: &str) -> String {
    name.replace(' ', "-").replace(['(', ')'], "")
}

impl Folder<'_> {
    /// The checkpoint of a network's training.
    pub fn checkpoint(&self, name: &str) -> PathBuf {
        self.0.join(format!("checkpoint-{}.safetensors", file_name(name)))
    }

    /// The model file of a network.
    pub fn model(&self, name: &str) -> PathBuf {
        self.0.join(format!("{}.ncsr", file_name(name)))
    }

    /// Scenes with the boxes that were found in them.
    pub fn picture(&self) -> PathBuf {
        self.0.join("scenes.png")
    }

    /// The boxes that were found.
    pub fn boxes(&self) -> PathBuf {
        self.0.join("boxes.json")
    }

    /// The figures; the file that is written last.
    pub fn report(&self) -> PathBuf {
        self.0.join("report.json")
    }

    /// Removes what an earlier run left of these networks or, when it goes on, checks that it was of the same scenes.
    pub fn begin(&self, scenes: &Scenes, networks: &[String], resume: bool) -> Result<(), Error> {
        let objects: String = scenes.objects.iter().map(|objects| format!("{objects:?}")).collect();
        let crc32 = files::crc32([&scenes.pixels[..], objects.as_bytes()]);
        let now = format!("{} scenes, CRC-32 {crc32}\n", scenes.len());
        let goes_on = resume && networks.first().is_some_and(|first| self.checkpoint(first).exists());
        training::same_images(&self.0.join(IMAGES), &now, goes_on)?;
        if !resume {
            for name in networks {
                files::remove(&self.checkpoint(name))?;
                files::remove(&self.model(name))?;
            }
        }
        [self.picture(), self.boxes(), self.report()].iter().try_for_each(|path| files::remove(path))
    }
}

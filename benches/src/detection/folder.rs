//! The folder that a run of `detect` writes into.
use super::Scenes;
use crate::{error::Error, files, training::Workspace};
use std::path::{Path, PathBuf};

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

    /// Takes the folder for a run on these scenes.
    ///
    /// # Errors
    /// Those of [`Workspace::open`].
    pub fn open(&self, scenes: &Scenes) -> Result<Workspace, Error> {
        let objects: String = scenes.objects.iter().map(|objects| format!("{objects:?}")).collect();
        let crc32 = files::crc32([&scenes.pixels[..], objects.as_bytes()]);
        Workspace::open(self.0, format!("{} scenes, CRC-32 {crc32}", scenes.len()))
    }

    /// Removes the figures of an earlier run and, unless this one goes on, what it left of these networks.
    ///
    /// # Errors
    /// Those of [`Workspace::begin`].
    pub fn begin(&self, workspace: &Workspace, networks: &[String], goes_on: bool) -> Result<(), Error> {
        let of_network = |name: &String| [self.checkpoint(name), self.model(name)];
        let trained: Vec<PathBuf> = networks.iter().flat_map(of_network).collect();
        workspace.begin(goes_on, &[self.report(), self.picture(), self.boxes()], &trained)
    }
}

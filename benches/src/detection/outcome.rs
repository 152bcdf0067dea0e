//! What all networks of a run of `detect` found, as files to look at.
use super::{
    SceneSplit,
    boxes::Boxes,
    folder::Folder,
    measure::Measured,
    picture::{self, Row},
};
use crate::error::Error;

/// What was measured.
pub struct Outcome {
    /// The levels of the nested network, sparsest first.
    pub levels: Vec<Measured>,
    pub dense: Measured,
    /// Networks of their own for each level, trained together for as many epochs as the nested network.
    pub alone_a: Vec<Measured>,
    /// The same, each trained for as many.
    pub alone_b: Vec<Measured>,
    /// The levels of the network whose levels are widths.
    pub slimmable: Vec<Measured>,
}

impl Outcome {
    /// Writes the boxes of all networks, and a picture of those of the nested and the dense one.
    pub fn show(&self, scenes: &SceneSplit, folder: &Folder<'_>) -> Result<(), Error> {
        /// Scenes in the picture.
        const DRAWN: usize = 6;
        let nested_and_dense = || self.levels.iter().chain([&self.dense]);
        let mut boxes = Boxes::new(&scenes.classes, &scenes.test.truth);
        let rivals = self.alone_a.iter().chain(&self.alone_b).chain(&self.slimmable);
        for one in nested_and_dense().chain(rivals) {
            boxes.add(&one.entry.name, one.precision, &one.found);
        }
        boxes.write(&folder.boxes())?;
        let row = |one: &Measured| Row {
            name: one.entry.name.clone(),
            found: one.in_scenes.iter().take(DRAWN).cloned().collect(),
        };
        let rows: Vec<Row> = nested_and_dense().map(row).collect();
        picture::scenes(&folder.picture(), &scenes.test.scenes, &scenes.classes, &rows)
    }
}

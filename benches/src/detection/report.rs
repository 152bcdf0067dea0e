//! What `detect` found, as JSON for machines and as a table for people.
use crate::{
    error::Error,
    files,
    table::{Table, grouped},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `report.json`. Sparsities, precisions and shares are in per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectReport {
    /// The command line, without where it wrote to and whether it went on.
    #[serde(default)]
    pub command: String,
    pub dataset: String,
    pub classes: Vec<String>,
    /// Whether the images that were measured on are a part of the training data, to choose settings.
    pub validation: bool,
    /// Images as they come, and the scenes that they are made into: more than images when these are cut into tiles.
    pub train_images: usize,
    pub train_scenes: usize,
    pub test_images: usize,
    pub test_scenes: usize,
    pub network: String,
    pub block: String,
    pub seed: u64,
    pub epochs: usize,
    /// Seconds that the nested network's training took, over all calls of the command; `null` when a checkpoint does not tell.
    pub train_seconds: Option<f64>,
    /// Likewise, of all trainings.
    pub all_train_seconds: Option<f64>,
    /// Sparsest first.
    pub levels: Vec<DetectEntry>,
    /// The same network trained without masks for the same number of image passes.
    pub dense: DetectEntry,
    /// With `--compare`: a network of its own for each level, all of them together trained as long as the nested one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_alone_a: Vec<DetectEntry>,
    /// The same, each trained as long.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_alone_b: Vec<DetectEntry>,
    /// With `--compare`: the levels of a network whose levels are widths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slimmable: Vec<DetectEntry>,
}

/// One level of a network, or the dense network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectEntry {
    /// What the table calls it.
    pub name: String,
    /// The level's number; `null` for all but the nested network.
    pub level: Option<usize>,
    /// Share of the sparse layers' weights that the mask excludes.
    pub sparsity: f64,
    /// Share of the sparse layers' weights that the file stores.
    pub stored: f64,
    /// Mean average precision of the float network at an overlap of 0.5.
    pub map50_float: f64,
    /// The same of the file, run with integers: PASCAL VOC, all points.
    pub map50: f64,
    /// Mean over overlaps from 0.5 to 0.95, COCO's 101 points.
    pub map5095: f64,
    /// Multiplications with a stored weight, of all layers, for one image.
    pub nonzero_macs: u64,
    /// Length of the shortest prefix that serves the level.
    pub file_bytes: usize,
    /// Instructions of a Cortex-M7 for one image; `null` where it cannot be emulated.
    pub m7_instructions: Option<u64>,
    /// What the goals of single layers add up to for this network at this level, where a node without one counts as it is.
    #[serde(default)]
    pub m7_goal: Option<u64>,
    /// Bytes of working memory on a Cortex-M7: the arena, the image, the values of the heads, the list of boxes, and what reading
    /// boxes takes of the stack; `null` where it cannot be emulated.
    pub sram_bytes: Option<usize>,
}

impl DetectReport {
    /// Writes it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        files::write_json(path, self)
    }

    /// The nested levels, the dense network, then what they are compared with.
    pub fn entries(&self) -> impl Iterator<Item = &DetectEntry> {
        let rivals = self.stand_alone_a.iter().chain(&self.stand_alone_b).chain(&self.slimmable);
        self.levels.iter().chain([&self.dense]).chain(rivals)
    }

    /// One row an entry.
    pub fn table(&self) -> Table {
        let mut table = Table::new([
            "network",
            "sparsity %",
            "stored %",
            "mAP@.5 float",
            "mAP@.5",
            "mAP@[.5:.95]",
            "non-zero MACs",
            "file bytes",
            "M7 instructions",
            "SRAM bytes",
        ]);
        let measured = |value: Option<u64>| value.map_or("–".to_owned(), grouped);
        for entry in self.entries() {
            table.row([
                entry.name.clone(),
                format!("{:.2}", entry.sparsity),
                format!("{:.2}", entry.stored),
                format!("{:.2}", entry.map50_float),
                format!("{:.2}", entry.map50),
                format!("{:.2}", entry.map5095),
                grouped(entry.nonzero_macs),
                grouped(entry.file_bytes as u64),
                measured(entry.m7_instructions),
                measured(entry.sram_bytes.map(|bytes| bytes as u64)),
            ]);
        }
        table
    }
}

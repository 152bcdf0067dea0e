//! What the pipeline found, as JSON for machines and as a table for people.
use crate::{
    error::Error,
    files,
    table::{Table, grouped},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// `report.json`. Sparsities, accuracies and shares are in per cent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub dataset: String,
    pub train_images: usize,
    pub test_images: usize,
    pub network: String,
    pub block: String,
    pub seed: u64,
    pub epochs: usize,
    /// Seconds that the nested network's training took, over all calls of the command; the dense network's is not part of it.
    /// `null` when a checkpoint does not tell.
    pub train_seconds: Option<f64>,
    /// Sparsest first.
    pub levels: Vec<Entry>,
    /// The same network trained without masks for the same number of image passes.
    pub dense: Entry,
}

/// One level of the nested network, or the dense network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The level's number; `null` for the dense network.
    pub level: Option<usize>,
    /// Share of the sparse layers' weights that the mask excludes.
    pub sparsity: f64,
    /// Share of the sparse layers' weights that the file stores: what the mask keeps, less what int8 rounds to 0.
    pub stored: f64,
    /// Test images that the float network gets right.
    pub top1_float: f64,
    /// Test images that the file, run with integers, gets right.
    pub top1_int8: f64,
    /// Multiplications with a stored weight, of all layers, for one image.
    pub nonzero_macs: u64,
    /// Length of the shortest prefix that serves the level.
    pub file_bytes: usize,
    /// Milliseconds an image, one thread.
    pub host_ms: f64,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// A file that cannot be read, or is not a report.
    pub fn read(path: &Path) -> Result<Report, Error> {
        files::read_json(path)
    }

    /// Writes it.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        files::write_json(path, self)
    }

    /// Checks what must hold of every report.
    ///
    /// # Errors
    /// The first thing that does not hold, in one line.
    pub fn check(&self) -> Result<(), String> {
        /// Points that int8 may be away from float.
        const INT8_GAP: f64 = 1.0;
        if self.levels.is_empty() {
            return Err("there is no level".to_owned());
        }
        for (index, entry) in self.levels.iter().enumerate() {
            if entry.level != Some(index + 1) {
                return Err(format!("level {} is not where it belongs", index + 1));
            }
        }
        for entry in self.entries() {
            let gap = (entry.top1_int8 - entry.top1_float).abs();
            if gap.is_nan() || gap > INT8_GAP {
                let name = entry.name();
                return Err(format!("{name}: int8 is {gap:.2} points from float, more than {INT8_GAP}"));
            }
        }
        for pair in self.levels.windows(2) {
            let (inner, outer) = (&pair[0], &pair[1]);
            let name = outer.name();
            if outer.sparsity >= inner.sparsity {
                return Err(format!("{name}: sparsity {} is not below that of the level inside", outer.sparsity));
            }
            if outer.nonzero_macs <= inner.nonzero_macs {
                return Err(format!("{name}: {} MACs are not more than those of the level inside", outer.nonzero_macs));
            }
            if outer.file_bytes <= inner.file_bytes {
                return Err(format!("{name}: {} bytes are not more than those of the level inside", outer.file_bytes));
            }
        }
        Ok(())
    }

    /// The levels, then the dense network.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.levels.iter().chain([&self.dense])
    }

    /// One row a level, and one for the dense network.
    pub fn table(&self) -> Table {
        let mut table = Table::new([
            "level",
            "sparsity %",
            "stored %",
            "top-1 float %",
            "top-1 int8 %",
            "non-zero MACs",
            "file bytes",
            "host ms",
        ]);
        for entry in self.entries() {
            table.row([
                entry.level.map_or("dense".to_owned(), |level| level.to_string()),
                format!("{:.2}", entry.sparsity),
                format!("{:.2}", entry.stored),
                format!("{:.2}", entry.top1_float),
                format!("{:.2}", entry.top1_int8),
                grouped(entry.nonzero_macs),
                grouped(entry.file_bytes as u64),
                format!("{:.3}", entry.host_ms),
            ]);
        }
        table
    }
}

impl Entry {
    /// What messages call it.
    pub fn name(&self) -> String {
        self.level.map_or("dense".to_owned(), |level| format!("level {level}"))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report of three levels in which everything holds.
    pub fn sample() -> Report {
        let entry = |level: Option<usize>, sparsity: f64, top1: f64| Entry {
            level,
            sparsity,
            stored: 99.0 - sparsity,
            top1_float: top1,
            top1_int8: top1 - 0.2,
            nonzero_macs: 2_400_000 - (sparsity * 20_000.0) as u64,
            file_bytes: 30_000 - (sparsity * 200.0) as usize,
            host_ms: 1.3 - sparsity / 100.0,
        };
        Report {
            dataset: "sample".to_owned(),
            train_images: 8_000,
            test_images: 2_000,
            network: "resnet8".to_owned(),
            block: "1x1".to_owned(),
            seed: 1,
            epochs: 2,
            train_seconds: Some(9.5),
            levels: vec![entry(Some(1), 90.0, 86.1), entry(Some(2), 80.0, 87.4), entry(Some(3), 70.0, 87.9)],
            dense: entry(None, 0.0, 88.4),
        }
    }

    #[test]
    fn a_report_survives_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        sample().write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), sample());
    }

    #[test]
    fn what_does_not_hold_is_named() {
        assert_eq!(sample().check(), Ok(()));
        let broken = |change: fn(&mut Report)| {
            let mut report = sample();
            change(&mut report);
            report.check().expect_err("accepted")
        };
        assert_eq!(
            broken(|r| r.levels[1].nonzero_macs = 1),
            "level 2: 1 MACs are not more than those of the level inside"
        );
        assert_eq!(
            broken(|r| r.levels[2].file_bytes = 9),
            "level 3: 9 bytes are not more than those of the level inside"
        );
        assert_eq!(
            broken(|r| r.levels[1].sparsity = 91.0),
            "level 2: sparsity 91 is not below that of the level inside"
        );
        assert_eq!(broken(|r| r.levels[0].top1_int8 = 84.0), "level 1: int8 is 2.10 points from float, more than 1");
        assert_eq!(broken(|r| r.dense.top1_float = f64::NAN), "dense: int8 is NaN points from float, more than 1");
        assert_eq!(broken(|r| r.levels[0].level = None), "level 1 is not where it belongs");
        assert_eq!(broken(|r| r.levels.clear()), "there is no level");
    }
}

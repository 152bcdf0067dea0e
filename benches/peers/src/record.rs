//! The files that `nested-bench performance` reads.
use crate::Result;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

#[derive(Default, Serialize, Deserialize)]
pub struct File {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Row>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Speed>,
    pub machine: Machine,
}

/// Only the engines' versions: the rest is in our own file.
#[derive(Default, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub load: f64,
    pub rustc: String,
    pub commit: String,
    pub engines: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    pub layer: String,
    pub sparsity: usize,
    pub threads: usize,
    pub engine: String,
    pub backend: String,
    pub ms: f64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Speed {
    pub network: String,
    pub width: f64,
    pub batch: usize,
    pub threads: usize,
    pub engine: String,
    pub images_per_second: f64,
    pub gflops: f64,
}

impl File {
    /// Writes the file; rows that it holds already stay when they are faster.
    pub fn write(mut self, path: &Path) -> Result<()> {
        if path.exists() {
            let old: File = serde_json::from_slice(&fs::read(path)?)?;
            keep_faster(&mut self.layers, old.layers);
            keep_faster(&mut self.networks, old.networks);
            for old in old.rows {
                let same =
                    |row: &&mut Speed| (row.width, row.threads, &row.engine) == (old.width, old.threads, &old.engine);
                match self.rows.iter_mut().find(same) {
                    Some(row) if row.images_per_second < old.images_per_second => *row = old,
                    Some(_) => {}
                    None => self.rows.push(old),
                }
            }
        }
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, serde_json::to_string_pretty(&self)?)?;
        Ok(fs::rename(&temporary, path)?)
    }
}

fn keep_faster(rows: &mut Vec<Row>, old: Vec<Row>) {
    for old in old {
        let same = |row: &&mut Row| (&row.layer, row.threads, &row.engine) == (&old.layer, old.threads, &old.engine);
        match rows.iter_mut().find(same) {
            Some(row) if old.ms < row.ms => *row = old,
            Some(_) => {}
            None => rows.push(old),
        }
    }
}

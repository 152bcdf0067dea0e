//! Records beside CMSIS-NN's figures, as tables for people and JSON for machines.
use crate::{Error, Kernels, Record};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, path::Path};

/// `benches/anchors.toml`.
#[derive(Clone, Debug, Deserialize)]
pub struct Anchors {
    cmsis_nn: Cmsis,
}

#[derive(Clone, Debug, Deserialize)]
struct Cmsis {
    layers: Vec<Anchor>,
}

#[derive(Clone, Debug, Deserialize)]
struct Anchor {
    layer: String,
    shape: [usize; 4],
    window: [usize; 3],
    #[serde(default)]
    depthwise: bool,
    instructions: u32,
}

impl Anchors {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(path: &Path) -> Result<Anchors, Error> {
        let wrong = |error: &dyn fmt::Display| Error::File(path.to_path_buf(), error.to_string());
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        toml::from_str(&text).map_err(|error| wrong(&error))
    }
}

impl Anchor {
    /// Multiplications of the dense layer.
    fn macs(&self) -> usize {
        let ([height, width, channels, rows], [kernel, stride, padding]) = (self.shape, self.window);
        let out = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let depth = if self.depthwise { 1 } else { channels };
        out(height) * out(width) * rows * kernel * kernel * depth
    }
}

/// One layer as run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// The reference layer.
    pub layer: String,
    /// `dsp` or `portable`.
    pub path: &'static str,
    /// How the support was chosen.
    pub support: &'static str,
    /// Per cent.
    pub sparsity: usize,
    /// `1x1`, `1x2` or `dense`.
    pub block: &'static str,
    /// Counted.
    pub instructions: u32,
    /// A multiplication of the dense layer.
    pub per_dense_mac: f64,
    /// CMSIS-NN's dense kernel.
    pub cmsis_instructions: u32,
    /// CMSIS-NN's over ours.
    pub speedup: f64,
    /// Scratch that was lent.
    pub scratch_bytes: usize,
    /// Whether that was the least that the kernel runs with, not what it prefers.
    pub least_scratch: bool,
}

/// All layers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// One a layer, sparsity, block and scratch.
    pub layers: Vec<Layer>,
}

/// Joins records with the anchors.
pub fn report(anchors: &Anchors, kernels: Kernels, records: &[Record]) -> Report {
    let mut seen = HashSet::new();
    let layers = records.iter().filter_map(|record| {
        let anchor = anchors.cmsis_nn.layers.iter().find(|anchor| anchor.layer == record.layer)?;
        Some(Layer {
            layer: record.layer.clone(),
            path: kernels.name(),
            support: "random",
            sparsity: record.sparsity,
            block: ["dense", "1x1", "1x2"][record.block.min(2)],
            instructions: record.instructions,
            per_dense_mac: f64::from(record.instructions) / anchor.macs() as f64,
            cmsis_instructions: anchor.instructions,
            speedup: f64::from(anchor.instructions) / f64::from(record.instructions),
            scratch_bytes: record.scratch_bytes,
            // The firmware runs each with its preferred scratch first.
            least_scratch: !seen.insert((&record.layer, record.block, record.sparsity)),
        })
    });
    Report { layers: layers.collect() }
}

/// The goals: speed-up over CMSIS-NN, geometric mean over the layers, at each sparsity.
const GOALS: [(&str, &[&str], [f64; 6]); 2] = [
    ("3x3 (A-E)", &["A", "B", "C", "D", "E"], [1.8, 3.4, 5.3, 7.2, 12.3, 18.5]),
    ("1x1 (F-H)", &["F", "G", "H"], [1.4, 2.7, 4.1, 5.5, 8.4, 12.0]),
];
const SPARSITIES: [usize; 6] = [0, 50, 70, 80, 90, 95];

impl Report {
    fn speedup(&self, layer: &str, block: &str, sparsity: usize) -> Option<&Layer> {
        let fits =
            |row: &&Layer| row.layer == layer && row.block == block && row.sparsity == sparsity && !row.least_scratch;
        self.layers.iter().find(fits)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for block in ["1x1", "1x2"] {
            writeln!(f, "\n{block} blocks: instructions, speed-up over CMSIS-NN's dense kernel\nlayer")?;
            let mut names: Vec<&str> = self.layers.iter().map(|row| row.layer.as_str()).collect();
            names.dedup();
            let mut seen = HashSet::new();
            for name in names.into_iter().filter(|name| seen.insert(*name)) {
                let cells: Vec<_> = SPARSITIES.iter().filter_map(|s| self.speedup(name, block, *s)).collect();
                if cells.is_empty() {
                    continue;
                }
                write!(f, "{name:<10}")?;
                cells.iter().try_for_each(|row| write!(f, "{:>9} {:>6.2}", row.instructions, row.speedup))?;
                writeln!(f)?;
            }
            for (name, layers, goals) in GOALS {
                write!(f, "{name:<10}")?;
                for (sparsity, goal) in SPARSITIES.into_iter().zip(goals) {
                    let speedups = layers.iter().filter_map(|layer| self.speedup(layer, block, sparsity));
                    let product: f64 = speedups.map(|row| row.speedup).product();
                    write!(f, "{:>9.2}/{goal:>6.2}", product.powf(1.0 / layers.len() as f64))?;
                }
                writeln!(f)?;
            }
        }
        writeln!(f, "\ndense")?;
        for row in self.layers.iter().filter(|row| row.block == "dense" && !row.least_scratch) {
            writeln!(f, "{:<10}{:>9} {:>6.2}", row.layer, row.instructions, row.speedup)?;
        }
        Ok(())
    }
}

//! The reference layers beside CMSIS-NN's figures.
use super::{Firmware, M7Error, Program};
use crate::table::{Table, grouped};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, path::Path};

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
    /// [`M7Error::File`].
    pub fn read() -> Result<Anchors, M7Error> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("anchors.toml");
        let wrong = |problem: String| M7Error::File { path: path.clone(), problem };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        toml::from_str(&text).map_err(|error| wrong(error.to_string()))
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

/// What the firmware prints of one run of one layer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Record {
    layer: String,
    /// Width of a block: 1 or 2; 0 for dense weights.
    block: usize,
    /// Per cent.
    sparsity: usize,
    instructions: u32,
    scratch_bytes: usize,
    /// Outputs that differ from the reference.
    wrong: usize,
}

/// One layer as run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    pub layer: String,
    /// `dsp` or `portable`.
    pub path: &'static str,
    /// How the support was chosen.
    pub support: &'static str,
    /// Per cent.
    pub sparsity: usize,
    /// `1x1`, `1x2` or `dense`.
    pub block: &'static str,
    pub instructions: u32,
    /// A multiplication of the dense layer.
    pub per_dense_mac: f64,
    /// CMSIS-NN's dense kernel.
    pub cmsis_instructions: u32,
    /// CMSIS-NN's over ours.
    pub speedup: f64,
    pub scratch_bytes: usize,
    /// Whether that was the least that the kernel runs with, not what it prefers.
    pub least_scratch: bool,
}

/// Runs all reference layers.
///
/// # Errors
/// The firmware's, or an output that differs from the reference.
pub fn measure_layers(firmware: &Firmware, anchors: &Anchors) -> Result<Vec<Layer>, M7Error> {
    let records: Vec<Record> = firmware.run(Program::Layers, &[], true)?;
    if let Some(record) = records.iter().find(|record| record.wrong > 0) {
        return Err(M7Error::Firmware(format!("outputs differ from the reference: {record:?}")));
    }
    let mut seen = HashSet::new();
    let layers = records.iter().filter_map(|record| {
        let anchor = anchors.cmsis_nn.layers.iter().find(|anchor| anchor.layer == record.layer)?;
        Some(Layer {
            layer: record.layer.clone(),
            path: firmware.kernels.name(),
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
    Ok(layers.collect())
}

/// The goals: speed-up over CMSIS-NN, geometric mean over the layers, at each sparsity.
const GOALS: [(&str, &[&str], [f64; 6]); 2] = [
    ("3x3 (A-E)", &["A", "B", "C", "D", "E"], [1.8, 3.4, 5.3, 7.2, 12.3, 18.5]),
    ("1x1 (F-H)", &["F", "G", "H"], [1.4, 2.7, 4.1, 5.5, 8.4, 12.0]),
];
const SPARSITIES: [usize; 6] = [0, 50, 70, 80, 90, 95];

/// With the preferred scratch.
fn find<'a>(layers: &'a [Layer], layer: &str, block: &str, sparsity: usize) -> Option<&'a Layer> {
    layers.iter().find(|row| row.layer == layer && row.block == block && row.sparsity == sparsity && !row.least_scratch)
}

/// Prints each layer, and the geometric means against the goals. `layers` are of one path.
pub fn print_layers(layers: &[Layer]) {
    let headings = [
        "layer",
        "block",
        "sparsity %",
        "scratch",
        "instructions",
        "a dense MAC",
        "CMSIS-NN",
        "speed-up",
        "over our 0 %",
        "scratch B",
    ];
    let mut table = Table::new(headings);
    for row in layers {
        let ours = find(layers, &row.layer, row.block, 0).map_or(0.0, |dense| f64::from(dense.instructions));
        table.row([
            row.layer.clone(),
            row.block.to_owned(),
            row.sparsity.to_string(),
            if row.least_scratch { "least" } else { "preferred" }.to_owned(),
            grouped(row.instructions.into()),
            format!("{:.3}", row.per_dense_mac),
            grouped(row.cmsis_instructions.into()),
            format!("{:.2}", row.speedup),
            format!("{:.2}", ours / f64::from(row.instructions)),
            grouped(row.scratch_bytes as u64),
        ]);
    }
    println!("{table}");
    println!("Speed-up over CMSIS-NN, geometric mean (goal)\n");
    let mut table =
        Table::new(["layers", "block"].map(str::to_owned).into_iter().chain(SPARSITIES.map(|s| format!("{s} %"))));
    for block in ["1x1", "1x2"] {
        for (name, members, goals) in GOALS {
            let means = SPARSITIES.iter().zip(goals).map(|(&sparsity, goal)| {
                let speedups = members.iter().filter_map(|layer| find(layers, layer, block, sparsity));
                let product: f64 = speedups.map(|row| row.speedup).product();
                format!("{:.2} ({goal})", product.powf(1.0 / members.len() as f64))
            });
            table.row([name.to_owned(), block.to_owned()].into_iter().chain(means));
        }
    }
    println!("{table}");
}

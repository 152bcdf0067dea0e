//! The reference layers beside CMSIS-NN's figures.
use super::{Anchors, Firmware, M7Error, Program, anchors::Anchor, single};
use crate::{
    options::BlockOption,
    table::{Table, grouped},
};
use nested_csr::{Model, TensorShape};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

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
    /// How the support was chosen: `random` or `trained`.
    pub support: &'static str,
    /// Per cent.
    pub sparsity: f64,
    /// `1x1`, `1x2` or `dense`.
    pub block: &'static str,
    pub instructions: u32,
    /// A multiplication of the dense layer.
    pub per_dense_mac: f64,
    /// CMSIS-NN's dense kernel; `None` for a layer that is none of the reference layers.
    pub cmsis_instructions: Option<u32>,
    /// CMSIS-NN's over ours.
    pub speedup: Option<f64>,
    pub scratch_bytes: usize,
    /// Whether that was the least that the kernel runs with, not what it prefers.
    pub least_scratch: bool,
    /// Of a trained layer: the model and the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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
            sparsity: record.sparsity as f64,
            block: ["dense", "1x1", "1x2"][record.block.min(2)],
            instructions: record.instructions,
            per_dense_mac: f64::from(record.instructions) / anchor.macs() as f64,
            cmsis_instructions: Some(anchor.instructions),
            speedup: Some(f64::from(anchor.instructions) / f64::from(record.instructions)),
            scratch_bytes: record.scratch_bytes,
            // The firmware runs each with its preferred scratch first.
            least_scratch: !seen.insert((&record.layer, record.block, record.sparsity)),
            source: None,
        })
    });
    Ok(layers.collect())
}

/// Runs each sparse layer of a trained model alone, at each level: on the map of the reference layer that has such
/// weights, or, when there is none, on its own.
///
/// # Errors
/// The firmware's, or an output that differs from the host's.
pub fn measure_trained(
    firmware: &Firmware,
    anchors: &Anchors,
    name: &str,
    model: &Model<Vec<u8>>,
) -> Result<Vec<Layer>, crate::error::Error> {
    let mut layers = Vec::new();
    for layer in single::sparse_layers(model) {
        let shape = layer.matrix.shape();
        let anchor = anchors.of_weights(shape.rows, layer.input.channels, layer.window);
        let input = match anchor {
            Some(Anchor { shape: [height, width, channels, _], .. }) => {
                TensorShape { channels: *channels, height: *height, width: *width }
            }
            None => layer.input,
        };
        let (height, width) = layer.window.output(input.height, input.width).unwrap_or_default();
        let macs = height * width * shape.len();
        let of_level: Vec<usize> =
            model.levels().up_to().map(|level| layer.matrix.stored(level)).collect::<Result<_, _>>()?;
        for count in single::measure(firmware, single::alone(model, &layer, input)?)? {
            let cmsis = anchor.map(|anchor| anchor.instructions);
            let stored = of_level.get(count.level - 1).copied().unwrap_or(0);
            layers.push(Layer {
                layer: anchor.map_or(layer.name, |anchor| &anchor.layer).to_owned(),
                path: firmware.kernels.name(),
                support: "trained",
                sparsity: 100.0 * (1.0 - stored as f64 / shape.len() as f64),
                block: BlockOption::from(layer.matrix.block()).name(),
                instructions: count.instructions,
                per_dense_mac: f64::from(count.instructions) / macs as f64,
                cmsis_instructions: cmsis,
                speedup: cmsis.map(|cmsis| f64::from(cmsis) / f64::from(count.instructions)),
                scratch_bytes: count.scratch_bytes,
                least_scratch: count.least_scratch,
                source: Some(format!("{name} {} level {}", layer.name, count.level)),
            });
        }
    }
    Ok(layers)
}

/// Of the reference layers, per cent.
const SPARSITIES: [usize; 6] = [0, 50, 70, 80, 90, 95];

/// With the preferred scratch.
fn find<'a>(layers: &'a [Layer], layer: &str, block: &str, sparsity: usize) -> Option<&'a Layer> {
    let same = |row: &&Layer| row.layer == layer && row.block == block && row.sparsity == sparsity as f64;
    layers.iter().filter(same).find(|row| !row.least_scratch)
}

/// Prints each layer, and the geometric means against the goals. `layers` are of one path.
pub fn print_layers(anchors: &Anchors, layers: &[Layer]) {
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
            row.cmsis_instructions.map_or(String::new(), |count| grouped(count.into())),
            row.speedup.map_or(String::new(), |speedup| format!("{speedup:.2}")),
            format!("{:.2}", ours / f64::from(row.instructions)),
            grouped(row.scratch_bytes as u64),
        ]);
    }
    println!("{table}");
    print_means(anchors, layers);
}

/// Prints the geometric means of the speed-ups of groups of layers against their goals.
pub fn print_means(anchors: &Anchors, layers: &[Layer]) {
    println!("Speed-up over CMSIS-NN, geometric mean (goal)\n");
    let mut table =
        Table::new(["layers", "block"].map(str::to_owned).into_iter().chain(SPARSITIES.map(|s| format!("{s} %"))));
    let groups = || anchors.goals.speedups.iter().filter(|group| group.layers.len() > 1);
    for (block, group) in ["1x1", "1x2"].into_iter().flat_map(|block| groups().map(move |group| (block, group))) {
        let means = group.least.iter().map(|&(sparsity, goal)| {
            let mean = mean_speedup(layers, &group.layers, block, sparsity, false);
            format!("{:.2} ({goal})", mean.unwrap_or(0.0))
        });
        table.row([group.name.clone(), block.to_owned()].into_iter().chain(means));
    }
    println!("{table}");
}

/// The geometric mean of the DSP path's speed-ups of some layers; `None` unless all of them were run.
pub(super) fn mean_speedup(
    layers: &[Layer],
    members: &[String],
    block: &str,
    sparsity: usize,
    least_scratch: bool,
) -> Option<f64> {
    let speedup = |name: &String| {
        let same = |row: &&Layer| {
            (&row.layer, row.path, row.support) == (name, "dsp", "random")
                && (row.block, row.sparsity, row.least_scratch) == (block, sparsity as f64, least_scratch)
        };
        layers.iter().find(same)?.speedup
    };
    let product: f64 = members.iter().map(speedup).product::<Option<f64>>()?;
    Some(product.powf(1.0 / members.len() as f64))
}

/// Prints the layers of trained models, with the preferred scratch.
pub fn print_trained(layers: &[Layer]) {
    let headings =
        ["layer", "weights of", "block", "sparsity %", "instructions", "a dense MAC", "CMSIS-NN", "speed-up"];
    let mut table = Table::new(headings);
    for row in layers.iter().filter(|row| !row.least_scratch) {
        table.row([
            row.layer.clone(),
            row.source.clone().unwrap_or_default(),
            row.block.to_owned(),
            format!("{:.2}", row.sparsity),
            grouped(row.instructions.into()),
            format!("{:.3}", row.per_dense_mac),
            row.cmsis_instructions.map_or(String::new(), |count| grouped(count.into())),
            row.speedup.map_or(String::new(), |speedup| format!("{speedup:.2}")),
        ]);
    }
    println!("{table}");
}

/// Prints how many times the DSP path's instructions the portable path takes, with the preferred scratch.
pub fn print_portable(dsp: &[Layer], portable: &[Layer]) {
    let mut table = Table::new(
        ["layer", "block"].map(str::to_owned).into_iter().chain(SPARSITIES.map(|sparsity| format!("{sparsity} %"))),
    );
    let mut seen = HashSet::new();
    for row in portable.iter().filter(|row| seen.insert((&row.layer, row.block))) {
        let ratios = SPARSITIES.map(|sparsity| {
            let [dsp, portable] = [dsp, portable].map(|layers| find(layers, &row.layer, row.block, sparsity));
            dsp.zip(portable).map_or(String::new(), |(dsp, portable)| {
                format!("{:.2}", f64::from(portable.instructions) / f64::from(dsp.instructions))
            })
        });
        table.row([row.layer.clone(), row.block.to_owned()].into_iter().chain(ratios));
    }
    println!("{table}");
}

//! Whole networks: instructions, flash and SRAM of each level; logits equal to the host's.
use super::{Firmware, M7Error, Program, cycles::Blocks};
use crate::table::{Table, grouped};
use nested_csr::{Model, Operation, TensorId, Weights};
use nested_kernels::{Detection, Detector, Network, Thresholds};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::{fmt, fs, path::PathBuf};

/// The reference microcontroller.
const FLASH: usize = 2 << 20;
const SRAM: usize = 512 << 10;

/// What a network is called.
#[derive(Clone, Debug)]
pub struct Case {
    pub network: String,
    pub width: f64,
    pub block: &'static str,
    /// `random` or `trained`.
    pub weights: &'static str,
    /// Of the sparse layers, per cent, level 1 first.
    pub sparsities: Vec<f64>,
}

/// One level of one network in one arena.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub network: String,
    pub width: f64,
    pub weights: &'static str,
    pub block: &'static str,
    pub level: usize,
    /// Of the sparse layers, per cent.
    pub sparsity: f64,
    /// `None`: the model is too large for the board.
    pub instructions: Option<u32>,
    /// `None`: not modelled.
    pub modelled_cycles: Option<u64>,
    /// The model's; the code comes on top.
    pub flash_bytes: usize,
    /// The arena.
    pub sram_bytes: usize,
    /// The most activations in the arena that are needed at the same time.
    pub live_bytes: usize,
    /// Whether the arena is the least that the network runs in.
    pub least_arena: bool,
    /// Images whose logits equal the host's.
    pub images: usize,
    /// Whether 2 MiB of flash and 512 KiB of SRAM hold model, code and arena.
    pub fits: bool,
    /// Of a detector, instructions of reading boxes as for average precision ([`SEARCH`]) instead of as a device would
    /// ([`READING`]), which are among `instructions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_instructions: Option<u32>,
    pub nodes: Vec<NodeRow>,
}

/// One node of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeRow {
    pub node: String,
    pub kind: String,
    pub instructions: u32,
    /// What the goals of single layers come to; see [`super::add_goals`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<u32>,
}

/// The rows of one network, and the instructions of a switch.
pub struct Measured {
    pub rows: Vec<Row>,
    pub switch: Option<u32>,
}

/// What the firmware prints of one level in one arena: the longer arena first.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub(super) level: usize,
    pub(super) instructions: u32,
    pub(super) flash_bytes: usize,
    pub(super) sram_bytes: usize,
    images: usize,
    wrong: usize,
    /// Instructions of a [`SEARCH`].
    searched: u32,
    /// Instructions of each, in order.
    nodes: Vec<u32>,
    /// Not printed: see [`Cycles`].
    #[serde(skip)]
    modelled_cycles: Option<u64>,
}

/// The models of cycles that a firmware's runs share.
pub struct Cycles {
    blocks: Blocks,
    out: PathBuf,
}

impl Cycles {
    /// Builds what counts blocks.
    ///
    /// # Errors
    /// [`M7Error::Missing`], [`M7Error::Build`].
    pub fn new(firmware: &Firmware) -> Result<Cycles, M7Error> {
        let elf = firmware.elf(Program::Networks);
        let out = elf.with_extension(format!("{}.blocks", std::process::id()));
        Ok(Cycles { blocks: Blocks::new(elf)?, out })
    }

    /// Adds the cycles to the records of the run that has just ended.
    fn add_to(&mut self, records: &mut [Record]) -> Result<(), M7Error> {
        let cycles = self.blocks.cycles(&self.out)?;
        fs::remove_file(&self.out)
            .map_err(|error| M7Error::File { path: self.out.clone(), problem: error.to_string() })?;
        records.iter_mut().zip(cycles).for_each(|(record, cycles)| record.modelled_cycles = Some(cycles));
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Record(Record),
    Switch { switch: u32 },
}

/// Runs a model at each of its levels.
///
/// # Errors
/// The firmware's, or logits that differ from the host's.
///
/// `cycles`: model the cycles of each run, too.
pub fn measure_networks(
    firmware: &Firmware,
    cycles: Option<&mut Cycles>,
    case: &Case,
    model: Model<Vec<u8>>,
    images: &[Vec<i8>],
) -> Result<Measured, M7Error> {
    let network = Network::new(model)?;
    let code = firmware.code_len()?;
    let row = |level: usize, instructions, modelled_cycles, flash_bytes, sram_bytes, least_arena, nodes| Row {
        network: case.network.clone(),
        width: case.width,
        weights: case.weights,
        block: case.block,
        level,
        sparsity: case.sparsities.get(level - 1).copied().unwrap_or(0.0),
        instructions,
        modelled_cycles,
        flash_bytes,
        sram_bytes,
        live_bytes: live_len(network.model()),
        least_arena,
        images: images.len(),
        fits: flash_bytes + code <= FLASH && sram_bytes <= SRAM,
        search_instructions: None,
        nodes,
    };
    let Some((records, switch)) = run(firmware, cycles, &network, images)? else {
        let of_level = |level: nested_csr::Level| {
            Ok(row(level.number(), None, None, network.flash_len(level)?, network.arena_len(level)?, true, Vec::new()))
        };
        let rows = network.model().levels().up_to().map(of_level).collect::<Result<_, M7Error>>()?;
        return Ok(Measured { rows, switch: None });
    };
    let mut rows: Vec<Row> = Vec::new();
    let is_detector = Detector::new(network.model()).is_ok();
    for Record { level, instructions, modelled_cycles, flash_bytes, sram_bytes, nodes, searched, .. } in records {
        let least = rows.last().is_some_and(|last| last.level == level);
        let nodes = node_rows(network.model(), &nodes);
        let row = row(level, Some(instructions), modelled_cycles, flash_bytes, sram_bytes, least, nodes);
        rows.push(Row { search_instructions: is_detector.then_some(searched), ..row });
    }
    Ok(Measured { rows, switch: Some(switch) })
}

/// Runs a network at each level in the preferred arena and in the least; also returns the price of a switch. `None` when
/// the board does not hold it.
pub(super) fn run(
    firmware: &Firmware,
    cycles: Option<&mut Cycles>,
    network: &Network<Vec<u8>>,
    images: &[Vec<i8>],
) -> Result<Option<(Vec<Record>, u32)>, M7Error> {
    let job = job(network, images)?;
    if job.len() > firmware.job_capacity() {
        return Ok(None);
    }
    let (mut records, mut switch) = (Vec::new(), 0);
    let plugin = cycles.as_ref().map(|cycles| cycles.blocks.argument(&cycles.out));
    for line in firmware.run_with(Program::Networks, &job, true, plugin.as_deref())? {
        match line {
            Line::Switch { switch: price } => switch = price,
            Line::Record(record) if record.wrong > 0 => {
                let Record { level, wrong, images, .. } = record;
                let text = format!("level {level}: {wrong} of {images} images have other logits than on the host");
                return Err(M7Error::Firmware(text));
            }
            Line::Record(record) => records.push(record),
        }
    }
    if let Some(cycles) = cycles {
        cycles.add_to(&mut records)?;
    }
    Ok(Some((records, switch)))
}

/// How a detector's output is read: the most candidates, and what is taken for found.
#[derive(Clone, Copy)]
pub struct Reading {
    room: usize,
    thresholds: Thresholds,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let score = 100.0 * f64::from(self.thresholds.score) / 65_536.0;
        write!(f, "a score of {score:.0} % with room for {} candidates", self.room)
    }
}

/// Boxes that a row's instructions are counted with room for.
pub const ROOM: usize = 64;
/// As a device would: a fifth, so that random weights find something, too. Its instructions are among a row's.
pub const READING: Reading = Reading { room: ROOM, thresholds: Thresholds { score: 13_107, iou: 29_491 } };
/// As for average precision, which wants the unlikely ones, too: 2 %. Its instructions stand beside.
pub(super) const SEARCH: Reading = Reading { room: 200, thresholds: Thresholds { score: 1_311, iou: 29_491 } };

/// Images of uniform random values.
pub fn random_images(len: usize, count: usize) -> Vec<Vec<i8>> {
    const SEED: u64 = 3;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    (0..count).map(|_| (0..len).map(|_| random.random()).collect()).collect()
}

/// The model, the images, and the host's logits level by level, each with what a detector finds in them.
fn job(network: &Network<Vec<u8>>, images: &[Vec<i8>]) -> Result<Vec<u8>, M7Error> {
    let mut job = Vec::new();
    let model = network.model().as_bytes();
    append(&mut job, &(model.len() as u32).to_le_bytes());
    append(&mut job, &(images.len() as u32).to_le_bytes());
    let detector = Detector::new(network.model()).ok();
    for Reading { room, thresholds } in [READING, SEARCH] {
        append(&mut job, &(detector.as_ref().map_or(0, |_| room) as u32).to_le_bytes());
        append(&mut job, &[thresholds.score, thresholds.iou].map(u16::to_le_bytes).concat());
    }
    append(&mut job, model);
    images.iter().for_each(|image| append(&mut job, &bytes(image)));
    let mut arena = vec![0; network.preferred_arena_len(network.model().levels())?];
    let mut logits = vec![0; network.model().output_shape().len()];
    for level in network.model().levels().up_to() {
        for image in images {
            network.run(level, image, &mut arena, &mut logits)?;
            append(&mut job, &bytes(&logits));
            if let Some(detector) = &detector {
                let mut found = [Detection::default(); READING.room];
                let count = detector.detect(level, &logits, READING.thresholds, &mut found)?;
                append(&mut job, &(count as u32).to_le_bytes());
                found[..count].iter().for_each(|found| append(&mut job, &detection(found)));
            }
        }
    }
    Ok(job)
}

/// As a job holds one.
fn detection(found: &Detection) -> Vec<u8> {
    let Detection { class, score, top, left, bottom, right } = *found;
    [class, score, top, left, bottom, right].iter().flat_map(|field| field.to_le_bytes()).collect()
}

/// Adds bytes to a job, up to whole words.
pub(super) fn append(job: &mut Vec<u8>, bytes: &[u8]) {
    job.extend_from_slice(bytes);
    job.resize(job.len().next_multiple_of(4), 0);
}

/// As a job holds them.
pub(super) fn bytes(numbers: &[i8]) -> Vec<u8> {
    numbers.iter().map(|number| number.cast_unsigned()).collect()
}

/// The most bytes of activations that are needed at the same time, without the image and the logits, which are not in the
/// arena. A sum may take the place of an operand that is not needed any more.
fn live_len(model: &Model<Vec<u8>>) -> usize {
    let nodes: Vec<_> = model.nodes().collect();
    let reads = |operation: &Operation<'_>| match *operation {
        Operation::Add { left, right } | Operation::Concatenation { left, right } => [left, right],
        Operation::Convolution { input, .. }
        | Operation::Depthwise { input, .. }
        | Operation::AveragePool { input, .. }
        | Operation::MaxPool { input, .. }
        | Operation::Detection { input, .. } => [input, input],
        _ => unreachable!("a network is refused when it has such a node: {operation:?}"),
    };
    let last_use = |maker: usize| {
        let tensor = TensorId(maker as u16 + 1);
        nodes.iter().rposition(|node| reads(&node.operation).contains(&tensor)).unwrap_or(maker)
    };
    let at = |index: usize| {
        let kept = (0..index).filter(|&maker| last_use(maker) >= index);
        let before: usize = kept.map(|maker| nodes[maker].output.len()).sum();
        let is_sum = matches!(nodes[index].operation, Operation::Add { .. });
        let in_place = is_sum
            && reads(&nodes[index].operation).iter().any(|tensor| match tensor.0.checked_sub(1) {
                Some(maker) => last_use(maker.into()) == index,
                None => false,
            });
        let made = if in_place || index + 1 == nodes.len() { 0 } else { nodes[index].output.len() };
        before + made
    };
    (0..nodes.len()).map(at).max().unwrap_or(0)
}

fn node_rows(model: &Model<Vec<u8>>, counts: &[u32]) -> Vec<NodeRow> {
    let row = |(index, &instructions): (usize, &u32)| {
        let node = model.node(index)?;
        let name = model.name(index).unwrap_or_default().to_owned();
        Some(NodeRow { node: name, kind: kind(&node.operation), instructions, goal: None })
    };
    counts.iter().enumerate().filter_map(row).collect()
}

/// As tables call an operation.
fn kind(operation: &Operation<'_>) -> String {
    let of_window = |window: &nested_csr::Window| {
        let [height, width] = window.kernel;
        let stride = if window.stride > 1 { format!(" s{}", window.stride) } else { String::new() };
        format!("{height}x{width}{stride}")
    };
    match operation {
        Operation::Convolution { window, weights, .. } => {
            let weights = if matches!(weights, Weights::Sparse(_)) { "sparse" } else { "dense" };
            format!("{weights} {}", of_window(window))
        }
        Operation::Depthwise { window, .. } => format!("depthwise {}", of_window(window)),
        Operation::Add { .. } => "add".to_owned(),
        Operation::AveragePool { .. } => "average pool".to_owned(),
        Operation::MaxPool { .. } => "max pool".to_owned(),
        Operation::Concatenation { .. } => "concatenation".to_owned(),
        Operation::Detection { .. } => "detection".to_owned(),
        _ => "another operation".to_owned(),
    }
}

/// Prints one row a level and arena; `code`: bytes of the code, which the flash holds too.
pub fn print_networks(rows: &[Row], code: usize) {
    let headings = [
        "network",
        "width",
        "weights",
        "block",
        "level",
        "sparsity %",
        "instructions",
        "modelled cycles",
        "flash B",
        "arena B",
        "of live B",
        "images",
        "2 MiB + 512 KiB",
    ];
    let mut table = Table::new(headings);
    for row in rows {
        let over = |bytes: usize, most: usize, what: &str| match bytes.checked_sub(most) {
            Some(over) if over > 0 => format!("{what} {} B over ", grouped(over as u64)),
            _ => String::new(),
        };
        let fits = over(row.flash_bytes + code, FLASH, "flash") + &over(row.sram_bytes, SRAM, "SRAM");
        table.row([
            row.network.clone(),
            row.width.to_string(),
            row.weights.to_owned(),
            row.block.to_owned(),
            row.level.to_string(),
            format!("{:.0}", row.sparsity),
            row.instructions.map_or("larger than the board".to_owned(), |count| grouped(count.into())),
            row.modelled_cycles.map_or(String::new(), grouped),
            grouped(row.flash_bytes as u64),
            grouped(row.sram_bytes as u64),
            format!("{:.2} x", row.sram_bytes as f64 / row.live_bytes.max(1) as f64),
            row.images.to_string(),
            if fits.is_empty() { "fits".to_owned() } else { fits.trim_end().to_owned() },
        ]);
    }
    println!("{table}");
}

/// Prints where the instructions of some networks go, node by node, with the preferred arena.
pub fn print_nodes(rows: &[Row], shown: impl Fn(&Row) -> bool) {
    let mut rows: Vec<&Row> =
        rows.iter().filter(|row| !row.least_arena && !row.nodes.is_empty() && shown(row)).collect();
    while let Some(&first) = rows.first() {
        let same = |row: &&Row| {
            (&row.network, row.width, row.weights, row.block)
                == (&first.network, first.width, first.weights, first.block)
        };
        let levels: Vec<&Row> = rows.iter().copied().filter(same).collect();
        rows.retain(|row| !same(row));
        println!("\n{} of width {}, {} weights, {}\n", first.network, first.width, first.weights, first.block);
        let columns = levels.iter().flat_map(|row| [format!("{:.0} %", row.sparsity), "share %".to_owned()]);
        let mut table = Table::new(["node".to_owned(), "operation".to_owned()].into_iter().chain(columns));
        for (index, node) in first.nodes.iter().enumerate() {
            let cells = levels.iter().flat_map(|row| {
                let count = row.nodes.get(index).map_or(0, |node| node.instructions);
                let all = row.instructions.unwrap_or(0).max(1);
                [grouped(count.into()), format!("{:.1}", 100.0 * f64::from(count) / f64::from(all))]
            });
            table.row([node.node.clone(), node.kind.clone()].into_iter().chain(cells));
        }
        println!("{table}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use nested_csr::{Block, Profile, TensorShape};
    use nested_mask::{Ladder, nn};

    #[test]
    fn readings_are_told_in_per_cent() {
        let told = [READING, SEARCH].map(|reading| reading.to_string());
        assert_eq!(told[0], format!("a score of 20 % with room for {ROOM} candidates"));
        assert_eq!(told[1], "a score of 2 % with room for 200 candidates");
    }

    #[test]
    fn a_residual_block_keeps_three_maps_and_a_sum_none_more() {
        let shape = TensorShape { channels: 3, height: 32, width: 32 };
        let network = nn::resnet8(shape, 1.0, 10).unwrap();
        let model = random::model(&network, Block::OneByOne, &Ladder::dense(), Profile::Size, 1).unwrap();
        assert_eq!(live_len(&model), 3 * 16 * 32 * 32);
    }
}

//! Whole networks: instructions, flash and SRAM of each level; logits equal to the host's.
use super::{Firmware, M7Error, Program, firmware::JOB_CAPACITY};
use crate::table::{Table, grouped};
use nested_csr::Model;
use nested_kernels::Network;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// The reference microcontroller.
const FLASH: usize = 2 << 20;
const SRAM: usize = 512 << 10;

/// A model, and what to call it.
pub struct Case<'a> {
    pub network: &'a str,
    pub width: Option<f64>,
    pub block: &'static str,
    /// Of the sparse layers, per cent, level 1 first.
    pub sparsities: Vec<f64>,
}

/// One level of one network in one arena.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub network: String,
    pub width: Option<f64>,
    pub block: &'static str,
    pub level: usize,
    /// Of the sparse layers, per cent.
    pub sparsity: f64,
    /// `None`: the model is too large for the board.
    pub instructions: Option<u32>,
    pub modelled_cycles: Option<u64>,
    pub flash_bytes: usize,
    pub sram_bytes: usize,
    /// Whether the arena is the least that the network runs in.
    pub least_arena: bool,
    pub images: usize,
    /// Whether 2 MiB of flash and 512 KiB of SRAM hold it.
    pub fits: bool,
}

/// The rows of one network, and the instructions of a switch.
pub struct Measured {
    pub rows: Vec<Row>,
    pub switch: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Record {
    Level { level: usize, instructions: u32, flash_bytes: usize, sram_bytes: usize, images: usize, wrong: usize },
    Switch { switch: u32 },
}

/// Runs a model at each of its levels on random images.
///
/// # Errors
/// The firmware's, or logits that differ from the host's.
pub fn measure_networks(
    firmware: &Firmware,
    case: &Case<'_>,
    model: Model<Vec<u8>>,
    images: usize,
) -> Result<Measured, M7Error> {
    let network = Network::new(model)?;
    let job = job(&network, images)?;
    let row = |level: usize, instructions, flash_bytes, sram_bytes, least_arena| Row {
        network: case.network.to_owned(),
        width: case.width,
        block: case.block,
        level,
        sparsity: case.sparsities.get(level - 1).copied().unwrap_or(0.0),
        instructions,
        modelled_cycles: None,
        flash_bytes,
        sram_bytes,
        least_arena,
        images,
        fits: flash_bytes <= FLASH && sram_bytes <= SRAM,
    };
    let mut measured = Measured { rows: Vec::new(), switch: None };
    if job.len() > JOB_CAPACITY {
        for level in network.model().levels().up_to() {
            measured.rows.push(row(level.number(), None, network.flash_len(level)?, network.arena_len(), true));
        }
        return Ok(measured);
    }
    for record in firmware.run(Program::Networks, &job, true)? {
        match record {
            Record::Switch { switch } => measured.switch = Some(switch),
            Record::Level { level, wrong, images, .. } if wrong > 0 => {
                let name = case.network;
                let text = format!("{name}, level {level}: {wrong} of {images} images have other logits than here");
                return Err(M7Error::Firmware(text));
            }
            Record::Level { level, instructions, flash_bytes, sram_bytes, .. } => {
                // The firmware takes the long arena first.
                let least = measured.rows.last().is_some_and(|last: &Row| last.level == level);
                measured.rows.push(row(level, Some(instructions), flash_bytes, sram_bytes, least));
            }
        }
    }
    Ok(measured)
}

/// The model, the images, and the host's logits level by level.
fn job(network: &Network<Vec<u8>>, images: usize) -> Result<Vec<u8>, M7Error> {
    const SEED: u64 = 3;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let image_len = network.model().input_shape().len();
    let images: Vec<Vec<i8>> = (0..images).map(|_| (0..image_len).map(|_| random.random()).collect()).collect();
    let mut job = Vec::new();
    let mut append = |bytes: &[u8]| {
        job.extend_from_slice(bytes);
        job.resize(job.len().next_multiple_of(4), 0);
    };
    let model = network.model().as_bytes();
    append(&(model.len() as u32).to_le_bytes());
    append(&(images.len() as u32).to_le_bytes());
    append(model);
    images.iter().for_each(|image| append(&bytes(image)));
    let mut arena = vec![0; network.preferred_arena_len()];
    let mut logits = vec![0; network.model().output_shape().len()];
    for level in network.model().levels().up_to() {
        for image in &images {
            network.run(level, image, &mut arena, &mut logits)?;
            append(&bytes(&logits));
        }
    }
    Ok(job)
}

fn bytes(numbers: &[i8]) -> Vec<u8> {
    numbers.iter().map(|number| number.cast_unsigned()).collect()
}

/// Prints one row a level and arena.
pub fn print_networks(rows: &[Row]) {
    let headings =
        ["network", "width", "block", "level", "sparsity %", "instructions", "flash B", "arena B", "2 MiB + 512 KiB"];
    let mut table = Table::new(headings);
    for row in rows {
        let over = |bytes: usize, most: usize, what: &str| match bytes.checked_sub(most) {
            Some(over) if over > 0 => format!("{what} {} B over ", grouped(over as u64)),
            _ => String::new(),
        };
        let fits = over(row.flash_bytes, FLASH, "flash") + &over(row.sram_bytes, SRAM, "SRAM");
        table.row([
            row.network.clone(),
            row.width.map_or(String::new(), |width| width.to_string()),
            row.block.to_owned(),
            row.level.to_string(),
            format!("{:.0}", row.sparsity),
            row.instructions.map_or("larger than the board".to_owned(), |count| grouped(count.into())),
            grouped(row.flash_bytes as u64),
            grouped(row.sram_bytes as u64),
            if fits.is_empty() { "fits".to_owned() } else { fits.trim_end().to_owned() },
        ]);
    }
    println!("{table}");
}

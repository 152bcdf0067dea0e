//! Figures that need no training: instructions on a Cortex-M7, and host times of all models side by side.
use super::{execute::Folder, record::Record};
use crate::{
    deployed::{self, Deployed},
    error::Error,
    files,
    m7::{self, BOARDS, Case, Firmware, Kernels, M7Error},
};
use nested_csr::{Level, Model};
use nested_mask::train::Dataset;
use std::path::Path;

/// The firmware, or why there is none: counts are then left out.
pub fn firmware() -> Result<Option<Firmware>, Error> {
    match Firmware::build(BOARDS[0], Kernels::Dsp) {
        Ok(firmware) => Ok(Some(firmware)),
        Err(error @ (M7Error::NoTarget(_) | M7Error::Missing { .. })) => {
            eprintln!("no Cortex-M7 figures: {error}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Instructions of one image at each level, in the arena that the network prefers; `None` for a model that is larger than
/// the board.
pub fn instructions(firmware: &Firmware, model: Model<Vec<u8>>) -> Result<Vec<Option<u64>>, Error> {
    let case = Case { network: "", width: None, block: "", sparsities: Vec::new() };
    let measured = m7::measure_networks(firmware, &case, model, 1)?;
    let preferred = measured.rows.iter().filter(|row| !row.least_arena || row.instructions.is_none());
    Ok(preferred.map(|row| row.instructions.map(u64::from)).collect())
}

/// Reads a model file.
pub fn model(path: &Path) -> Result<Model<Vec<u8>>, Error> {
    Model::parse(files::read(path)?).map_err(|source| Error::Model { path: path.to_owned(), source })
}

/// Counts the instructions of the rows that have none, or of all, whose model files are in the folder; says whether there
/// was anything to count.
pub fn count(record: &mut Record, folder: &Folder, again: bool) -> Result<bool, Error> {
    let mut open: Vec<String> = Vec::new();
    for row in record.rows.iter().filter(|row| row.counts() && (again || row.m7_instructions.is_none())) {
        if !open.contains(&row.run) && folder.model(&row.run).exists() {
            open.push(row.run.clone());
        }
    }
    if open.is_empty() {
        return Ok(false);
    }
    let Some(firmware) = firmware()? else { return Ok(false) };
    for (index, run) in open.iter().enumerate() {
        eprintln!("counting instructions, {} of {}: {run}", index + 1, open.len());
        let counts = instructions(&firmware, model(&folder.model(run))?)?;
        for row in record.rows.iter_mut().filter(|row| row.run == *run) {
            row.m7_instructions = counts.get(row.level - 1).copied().flatten();
        }
    }
    record.compiler = Some(firmware.compiler);
    Ok(true)
}

/// Host times of all rows of the comparison whose models are in the folder, measured in turn in one process, so that what
/// else the machine does falls on all alike.
pub fn host_times(record: &mut Record, folder: &Folder, images: &Dataset) -> Result<(), Error> {
    let mut places = Vec::new();
    let mut models: Vec<(String, Deployed)> = Vec::new();
    for (place, row) in record.rows.iter().enumerate().filter(|(_, row)| row.counts()) {
        let path = folder.model(&row.run);
        if !path.exists() {
            continue;
        }
        if models.iter().all(|(run, _)| *run != row.run) {
            let deployed = Deployed::read(&path)?;
            if deployed.check_images(images).is_err() {
                continue;
            }
            models.push((row.run.clone(), deployed));
        }
        places.push(place);
    }
    let mut candidates = Vec::new();
    for &place in &places {
        let row = &record.rows[place];
        let deployed = models.iter().find(|(run, _)| *run == row.run).map(|(_, deployed)| deployed);
        candidates.extend(deployed.map(|deployed| (deployed, Level::new(row.level).unwrap_or(Level::FIRST))));
    }
    let times = deployed::milliseconds(&candidates, images)?;
    for (place, ms) in places.into_iter().zip(times) {
        record.rows[place].host_ms = Some(ms);
    }
    Ok(())
}

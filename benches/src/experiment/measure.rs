//! Figures that need no training: instructions on a Cortex-M7, and host times of all models side by side.
use super::{
    execute::Folder,
    images::Images,
    record::{Counter, Record, Store, Unit, Width},
    settings::{Training, ladder},
};
use crate::{
    deployed::{self, Deployed},
    error::Error,
    files,
    m7::{self, Firmware, Program},
    origin, random,
};
use nested_csr::{Block, Level, Model, Profile};
use nested_mask::{
    Ladder,
    nn::Network,
    train::{Dataset, Trainer},
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// For each level of a nested model the width, in steps of a thirty-second of the network's channels, at which the same
/// network without masks costs most nearly as much; each wider than the one before. Costs are instructions, or non-zero MACs
/// without a firmware and of a model that the board has no room for.
///
/// Fewer than levels, and a warning, when a level costs as much as the widest.
pub fn widths(
    nested: &Path,
    sparsities: &[f64],
    network: &Network,
    firmware: Option<&Firmware>,
) -> Result<Vec<Width>, Error> {
    const STEPS: u32 = 32;
    const SEED: u64 = 1;
    let macs = |model: Model<Vec<u8>>| -> Result<Vec<u64>, Error> {
        let deployed = Deployed::new(model, nested)?;
        deployed.levels().up_to().map(|level| deployed.nonzero_macs(level)).collect()
    };
    let counted = match firmware {
        Some(firmware) => m7::instructions(firmware, files::model(nested)?)?.into_iter().collect(),
        None => None,
    };
    let firmware = firmware.filter(|_| counted.is_some());
    let nested_costs: Vec<u64> = match counted {
        Some(counted) => counted,
        None => macs(files::model(nested)?)?,
    };
    let mut candidates = Vec::new();
    for step in 1..=STEPS {
        let left_out = 100.0 * f64::from(STEPS - step) / f64::from(STEPS);
        // The trainer computes a width from its ladder in the same way, so rounding to channels is the same.
        let width = 1.0 - ladder(&[left_out])?.sparsities()[0];
        let narrow = network.narrowed(width);
        let model = random::model(&narrow, Block::OneByOne, &Ladder::dense(), Profile::Balanced, SEED)?;
        let cost = match firmware {
            // A width that the board has no room for costs more than the nested levels, which it has.
            Some(firmware) => m7::instructions(firmware, model)?.first().copied().flatten(),
            None => macs(model)?.first().copied(),
        };
        candidates.extend(cost.map(|cost| (left_out, cost)));
    }
    let unit = if firmware.is_some() { Unit::M7Instructions } else { Unit::NonzeroMacs };
    let mut chosen: Vec<Width> = Vec::new();
    for (&sparsity, nested_cost) in sparsities.iter().zip(nested_costs) {
        let narrower = chosen.last().map_or(100.0, |width: &Width| width.left_out);
        let wider = candidates.iter().filter(|candidate| candidate.0 < narrower);
        let distance = |cost: u64| (cost as f64 / nested_cost.max(1) as f64).ln().abs();
        let nearest = wider.min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
        chosen.extend(nearest.map(|&(left_out, cost)| Width { sparsity, nested_cost, cost, unit, left_out }));
    }
    if chosen.len() < sparsities.len() {
        eprintln!("  warning: no width is left to stand against level {}, which costs too much", chosen.len() + 1);
    }
    Ok(chosen)
}

/// Model files in the folder of rows whose instructions are to be counted: of those that have none, or of all.
fn uncounted(record: &Record, folder: &Folder, all: bool) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = Vec::new();
    for row in record.rows.iter().filter(|row| row.counts() && (all || row.m7_instructions.is_none())) {
        let (path, _) = folder.file_of(row);
        if !open.contains(&path) && path.exists() {
            open.push(path);
        }
    }
    open
}

/// Counts the instructions of the rows that have none, or of all, whose model files are in the folder, and writes the file
/// after each model. Counts of another firmware do not compare: those that are there are counted anew, too, or nothing is when
/// the models of some are missing. `again` leaves these out. `false`: nothing was counted.
pub fn count(store: &mut Store, folder: &Folder, again: bool) -> Result<bool, Error> {
    if uncounted(&store.record, folder, again).is_empty() {
        return Ok(false);
    }
    let Some(firmware) = m7::firmware()? else { return Ok(false) };
    let crc32 = files::crc32([&files::read(&firmware.elf(Program::Networks))?[..]]);
    let counter = Counter { commit: origin::commit(), compiler: firmware.compiler.clone(), crc32 };
    let known = store.record.counter.as_ref().map(|counter| &counter.crc32);
    if again || known != Some(&counter.crc32) {
        let lost = store.record.rows.iter().filter(|row| row.m7_instructions.is_some());
        let lost = lost.filter(|row| !folder.file_of(row).0.exists()).count();
        if lost > 0 && !again {
            eprintln!(
                "no instructions are counted: {lost} that are there are of another firmware, and their models are missing"
            );
            return Ok(false);
        }
        store.record.rows.iter_mut().for_each(|row| row.m7_instructions = None);
        store.record.counter = Some(counter);
    }
    let open = uncounted(&store.record, folder, false);
    for (index, path) in open.iter().enumerate() {
        eprintln!("counting instructions, {} of {}: {}", index + 1, open.len(), path.display());
        let counts = m7::instructions(&firmware, files::model(path)?)?;
        for row in &mut store.record.rows {
            let (of_row, level) = folder.file_of(row);
            if of_row == *path {
                row.m7_instructions = counts.get(level - 1).copied().flatten();
            }
        }
        store.write()?;
    }
    Ok(true)
}

/// Host times of all rows of the comparison whose models are in the folder, measured in turn in one process, so that what
/// else the machine does falls on all alike: times of other kernels, or of another hour, do not compare. Taken `again`, others
/// have none then; otherwise nothing is timed when models of some that have a time are missing.
/// `false`: without a model, or when all have a time and it is not to be taken `again`.
pub fn host_times(record: &mut Record, folder: &Folder, images: &Dataset, again: bool) -> Result<bool, Error> {
    let mut models: Vec<(PathBuf, Deployed)> = Vec::new();
    for row in record.rows.iter().filter(|row| row.counts()) {
        let (path, _) = folder.file_of(row);
        if path.exists() && models.iter().all(|(known, _)| *known != path) {
            let deployed = Deployed::read(&path)?;
            models.push((path, deployed));
        }
    }
    models.retain(|(_, deployed)| deployed.check_images(images).is_ok());
    let mut places = Vec::new();
    let mut candidates = Vec::new();
    for (place, row) in record.rows.iter().enumerate().filter(|(_, row)| row.counts()) {
        let (path, level) = folder.file_of(row);
        if let Some((_, deployed)) = models.iter().find(|(known, _)| *known == path) {
            places.push(place);
            candidates.push((deployed, Level::new(level)?));
        }
    }
    let all_timed = places.iter().all(|&place| record.rows[place].host_ms.is_some());
    if places.is_empty() || (all_timed && !again) {
        return Ok(false);
    }
    let timed = record.rows.iter().enumerate().filter(|(_, row)| row.host_ms.is_some());
    let lost = timed.filter(|(place, _)| !places.contains(place)).count();
    if lost > 0 && !again {
        eprintln!("no times are taken: {lost} that are there are of another session, and their models are missing");
        return Ok(false);
    }
    let times = deployed::milliseconds(&candidates, images)?;
    record.rows.iter_mut().for_each(|row| row.host_ms = None);
    for (place, ms) in places.into_iter().zip(times) {
        record.rows[place].host_ms = Some(ms);
    }
    Ok(true)
}

/// Time of the first training over that of the second: each goes through its whole schedule in one epoch of a part of the
/// images, in turn, and the least times count.
pub fn training_ratio(trainings: [&Training; 2], images: &Images) -> Result<f64, Error> {
    const ROUNDS: usize = 5;
    const IMAGES: usize = 6_400;
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (training, least) in trainings.into_iter().zip(&mut least) {
            let training = Training { epochs: 1, images: training.images.min(IMAGES), ..training.clone() };
            let (train, _) = images.of(&training)?;
            let mut trainer = Trainer::new(training.network(train.shape, train.classes)?, training.config()?)?;
            let start = Instant::now();
            trainer.train_epoch(&train, &mut |_| {})?;
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    Ok(least[0] / least[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::Split,
        experiment::{
            record::{Finished, Row},
            settings::Settings,
        },
    };
    use nested_csr::TensorShape;

    #[test]
    fn without_models_to_measure_no_figure_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let shape = TensorShape { channels: 1, height: 1, width: 1 };
        let set = || Dataset::new(shape, 2, vec![0; 4], vec![0, 1, 0, 1]).unwrap();
        let images = Images::new(Split { name: "dots".to_owned(), train: set(), test: set() });
        let folder = Folder::prepare(&place.path().join("out"), &images.data()).unwrap();
        let mut store = Store::open(&place.path().join("record.json"), images.data()).unwrap();
        let (settings, run) = (Settings::example(), Finished::example(&Settings::example(), None));
        let row = |level| {
            let (m7_instructions, host_ms) = (Some(7), Some(0.5));
            Row { level, m7_instructions, host_ms, ..Row::example(&settings, &run.id) }
        };
        let rows = [1, 2, 3].map(row).to_vec();
        store.add(run, rows).unwrap();
        let before = store.record.clone();
        for again in [false, true] {
            assert!(!count(&mut store, &folder, again).unwrap());
            assert!(!host_times(&mut store.record, &folder, images.test(), again).unwrap());
            assert_eq!(store.record, before);
        }
    }
}

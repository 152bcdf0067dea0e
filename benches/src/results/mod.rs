//! `docs/results.md` and its figures, made of the records alone.
mod ablation;
mod figures;
mod goals;
mod look;
mod storage;
mod summary;
mod tables;

use crate::{
    error::Error,
    experiment::{
        record::Record,
        settings::{Settings, Suite},
    },
    files,
};
use std::path::Path;

/// The records in the folder of one of them that the document is made of.
const COMPARISON: &str = "compare.json";
const ABLATION: &str = "ablate.json";
const WIDE: &str = "wide.json";

/// Writes the document and the figures into a folder, from the comparison's record and, where they are, those beside it: the
/// ablation's and that of a comparison of a wider network.
///
/// # Errors
/// A record that is not there or not one, a file that cannot be written.
pub fn of_comparison(docs: &Path, comparison: &Path) -> Result<(), Error> {
    let wide = comparison.with_file_name(WIDE);
    let wide = if wide == comparison { Record::default() } else { beside(comparison, WIDE)? };
    write(docs, &Record::read(comparison)?, &beside(comparison, ABLATION)?, &wide)
}

/// The same from the ablation's record.
///
/// # Errors
/// As [`of_comparison`].
pub fn of_ablation(docs: &Path, ablation: &Path) -> Result<(), Error> {
    write(docs, &beside(ablation, COMPARISON)?, &Record::read(ablation)?, &beside(ablation, WIDE)?)
}

/// The record of this name in the folder of another; an empty one when it is not there.
fn beside(path: &Path, name: &str) -> Result<Record, Error> {
    let path = path.with_file_name(name);
    if path.exists() { Record::read(&path) } else { Ok(Record::default()) }
}

fn write(docs: &Path, comparison: &Record, ablation: &Record, wide: &Record) -> Result<(), Error> {
    let figures = docs.join("figures");
    files::prepare_folder(&figures)?;
    let full = summary::groups(comparison, Suite::Full);
    let of = subject(comparison);
    figures::accuracy_latency(&figures, &full, &of)?;
    figures::accuracy_storage(&figures, &full, &of)?;
    let text = tables::document(comparison, ablation, wide, &full, &storage::ratios()?);
    files::write(&docs.join("results.md"), text.as_bytes())
}

/// What the comparison trained on what.
fn subject(comparison: &Record) -> String {
    let data = comparison.data.as_ref().map_or("", |data| &data.name);
    let mut runs = comparison.runs.iter().map(|run| &run.settings);
    match runs.find(|settings| settings.suite == Suite::Full) {
        Some(Settings { training, .. }) => format!("{} at width {}, {data}", training.network, training.width),
        None => data.to_owned(),
    }
}

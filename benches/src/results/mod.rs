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
    experiment::{record::Record, settings::Suite},
    files,
};
use std::path::Path;

/// Writes the document and the figures into a folder, from those of the records that are there: the comparison's, the
/// ablation's, and that of a comparison of a wider network, `wide.json` beside the first.
///
/// # Errors
/// A record that is not one, a file that cannot be written.
pub fn write(docs: &Path, comparison: &Path, ablation: &Path) -> Result<(), Error> {
    let read = |path: &Path| if path.exists() { Record::read(path) } else { Ok(Record::default()) };
    let wide = comparison.with_file_name("wide.json");
    let wide = if wide == comparison { Record::default() } else { read(&wide)? };
    let (comparison, ablation) = (read(comparison)?, read(ablation)?);
    let figures = docs.join("figures");
    files::prepare_folder(&figures)?;
    let full = summary::groups(&comparison, Suite::Full);
    figures::accuracy_latency(&figures, &full)?;
    figures::accuracy_storage(&figures, &full)?;
    let text = tables::document(&comparison, &ablation, &wide, &full, &storage::ratios()?);
    files::write(&docs.join("results.md"), text.as_bytes())
}

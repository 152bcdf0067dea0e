//! `docs/results.md` and its figures, made of the records alone.
mod figures;
mod goals;
mod storage;
mod summary;
mod tables;

use crate::{
    error::Error,
    experiment::{record::Record, settings::Suite},
    files,
};
use std::path::Path;

/// Writes the document and the figures into a folder.
///
/// # Errors
/// A file that cannot be written.
pub fn write(docs: &Path, record: &Record) -> Result<(), Error> {
    let figures = docs.join("figures");
    files::prepare_folder(&figures)?;
    let (full, small) = (summary::groups(record, Suite::Full), summary::groups(record, Suite::Small));
    figures::accuracy_latency(&figures, &full)?;
    figures::accuracy_storage(&figures, &full)?;
    let storage = storage::ratios()?;
    let text = tables::document(record, &full, &small, &storage);
    files::write(&docs.join("results.md"), text.as_bytes())
}

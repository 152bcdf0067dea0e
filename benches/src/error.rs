//! All that can end a command.
use crate::data::DataError;
use std::{io, path::PathBuf};

/// Why a command failed; its message is one line that names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: cannot be drawn: {problem}", path.display())]
    Picture { path: PathBuf, problem: String },
    #[error("{}: {problem}", path.display())]
    Report { path: PathBuf, problem: String },
}

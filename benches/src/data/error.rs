//! What can be wrong with a data file.
use std::{io, path::PathBuf};

/// Which file is wrong, and at which byte.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// None of the names under which the file may be there.
    #[error("{}: no file {name}", folder.display())]
    Missing { folder: PathBuf, name: String },
    /// The file is there but cannot be opened.
    #[error("{file}: {source}")]
    Open { file: String, source: io::Error },
    /// The file was read up to `place`, where it is wrong.
    #[error("{file}: {place}: {problem}")]
    Content { file: String, place: Place, problem: Problem },
}

/// A byte of a file, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub byte: u64,
    /// Whether the count is of the bytes that a gzip file unpacks to.
    pub unpacked: bool,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "byte {}{}", self.byte, if self.unpacked { " of the unpacked data" } else { "" })
    }
}

/// What is wrong at that byte.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    #[error("magic number {found:#010x} where {expected:#010x} belongs")]
    Magic { expected: u32, found: u32 },
    #[error("the file ends here, {missing} bytes short of {what}")]
    Truncated { what: &'static str, missing: u64 },
    #[error("bytes after the end of the data")]
    Trailing,
    #[error("label {label}, but the classes are 0..={}", classes - 1)]
    Label { label: u8, classes: usize },
    #[error("{what} is {found}, but {other} says {expected}")]
    Mismatch { what: &'static str, found: u64, expected: u64, other: String },
    #[error("{what} is 0")]
    Zero { what: &'static str },
    #[error("{what} is too large for this machine")]
    TooLarge { what: &'static str },
    #[error("unreadable: {0}")]
    Io(io::Error),
}

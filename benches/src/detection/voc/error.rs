//! What can be wrong with a folder in PASCAL VOC's layout.
use std::{io, path::PathBuf};

/// Which file is wrong, and how.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocError {
    /// A folder or file that cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// No XML file where they belong.
    #[error("{}: no XML file", folder.display())]
    NoAnnotations { folder: PathBuf },
    /// A file that is not XML, or lacks what an annotation must have.
    #[error("{}: byte {position}: {problem}", path.display())]
    Xml { path: PathBuf, position: u64, problem: String },
    /// An annotation without its image.
    #[error("{}: no image {name} in {}", annotation.display(), folder.display())]
    MissingImage { annotation: PathBuf, folder: PathBuf, name: String },
    /// An image that cannot be decoded.
    #[error("{}: {source}", path.display())]
    Image { path: PathBuf, source: image::ImageError },
    /// A box that is empty or not within its image.
    #[error(
        "{}: the box of a {class}, from ({}, {}) to ({}, {}), is empty or outside the image of {width}×{height}",
        path.display(), sides[0], sides[1], sides[2], sides[3]
    )]
    Outside { path: PathBuf, class: String, sides: [f64; 4], width: u32, height: u32 },
    /// An image both to train on and to measure on.
    #[error("{}: ImageSets has the image {name} in both lists", folder.display())]
    Shared { folder: PathBuf, name: String },
    /// A list of images to train on or to measure on without any.
    #[error("{}: names no image", path.display())]
    EmptyList { path: PathBuf },
    /// A class that is asked for and in no annotation.
    #[error("no annotation has the class `{class}`; the classes are {known}")]
    UnknownClass { class: String, known: String },
    /// More classes than are possible.
    #[error("{classes} classes, but at most 255 are possible")]
    TooManyClasses { classes: usize },
}

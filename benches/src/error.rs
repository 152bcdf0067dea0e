//! All that can end a command.
use crate::{data::DataError, detection::voc::VocError};
use nested_csr::TensorShape;
use std::{io, path::PathBuf};

/// Why a command failed; its message is one line that names the thing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Voc(#[from] VocError),
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{}: another program works in this folder", .0.display())]
    Busy(PathBuf),
    #[error("{}: the checkpoint is of {then}, not of {now}", note.display())]
    OtherImages { note: PathBuf, then: String, now: String },
    #[error("{found} training {what} are fewer than a batch of {batch} (--batch)")]
    TooFew { found: usize, what: &'static str, batch: usize },
    #[error("{}: cannot be drawn: {problem}", path.display())]
    Picture { path: PathBuf, problem: String },
    #[error("{}: {source}", path.display())]
    Model { path: PathBuf, source: nested_csr::FormatError },
    #[error("{}: {source}", path.display())]
    Kernel { path: PathBuf, source: nested_kernels::KernelError },
    #[error("{}: reads images of {}, but these are {}", path.display(), size(.model), size(.images))]
    Images { path: PathBuf, model: TensorShape, images: TensorShape },
    #[error("{}: tells {model} classes apart, but the images have {images}", path.display())]
    Classes { path: PathBuf, model: usize, images: usize },
    #[error("{}: finds objects, but the images are to be classified", .0.display())]
    Detector(PathBuf),
    #[error("{name}: no image is left to compose scenes {part} of")]
    NothingToCompose { name: String, part: &'static str },
    #[error(transparent)]
    Format(#[from] nested_csr::FormatError),
    #[error(transparent)]
    Ladder(#[from] nested_mask::LadderError),
    #[error(transparent)]
    Network(#[from] nested_mask::nn::NetworkError),
    #[error(transparent)]
    Training(#[from] nested_mask::train::TrainError),
    #[error(transparent)]
    Quantization(#[from] nested_mask::quant::QuantError),
    #[error("no learning rate is known for {run}: of the grid's, some were not tried, or none works")]
    Untuned { run: String },
    #[error(transparent)]
    M7(#[from] crate::m7::M7Error),
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error(transparent)]
    Kernels(#[from] nested_kernels::KernelError),
    #[error("Ctrl-C cannot be handled: {0}")]
    Interrupt(#[from] ctrlc::Error),
    #[error("{}: {problem}", path.display())]
    Report { path: PathBuf, problem: String },
}

fn size(shape: &TensorShape) -> String {
    format!("{}×{}×{}", shape.height, shape.width, shape.channels)
}

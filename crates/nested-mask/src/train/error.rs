//! What can go wrong in training.
use super::{DatasetError, ScenesError};
use crate::{MaskError, RoutingError, nn::ParametersError};
use nested_csr::TensorShape;
use std::path::PathBuf;

/// What can go wrong in training.
///
/// ```
/// use nested_mask::train::{Config, TrainError, Trainer};
/// let network = nested_mask::nn::resnet8(nested_csr::TensorShape { channels: 1, height: 8, width: 8 }, 0.25, 2)?;
/// let error = Trainer::new(network, Config { learning_rate: 0.0, ..Config::default() }).map(|_| ());
/// assert_eq!(error, Err(TrainError::Config { what: "learning_rate", value: 0.0, must: "positive and finite" }));
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration value that cannot be.
    #[error("{what} is {value}: it must be {must}")]
    Config {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Settings of a configuration that take each other's effect or meaning.
    #[error("{what} with {with} {why}")]
    Combination {
        /// One.
        what: &'static str,
        /// The other.
        with: &'static str,
        /// What comes of it.
        why: &'static str,
    },
    /// Parameters that are not those of the network, or cannot be computed with.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
    /// A routing that does not fit the ladder.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// Weights that cannot be ranked.
    #[error("layer `{layer}`: {error}")]
    Mask {
        /// The layer.
        layer: String,
        /// Why.
        error: MaskError,
    },
    /// A ladder for a network none of whose layers is sparse.
    #[error("no layer of the network is sparse: make some so with `Finish::sparse`, or take `Ladder::dense`")]
    NothingSparse,
    /// A level that uses the same weights as the one below it, in every layer.
    #[error("level {level} has the weights of level {}: the layers are too small for sparsities so near: spread the ladder", level - 1)]
    EqualLevels {
        /// The level.
        level: usize,
    },
    /// A training whose last epoch ended with an error, so that its weights are those of no epoch.
    #[error("epoch {epoch} ended with an error: go on from a checkpoint")]
    Broken {
        /// The epoch, from 1.
        epoch: usize,
    },
    /// A dataset whose lengths or labels are wrong.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Scenes whose lengths, classes or boxes are wrong.
    #[error(transparent)]
    Scenes(#[from] ScenesError),
    /// Images to classify for a detector, or scenes with objects for a classifier.
    #[error("a classifier learns from labelled images, a detector from scenes with objects")]
    OtherKind,
    /// A dataset that is not for this network.
    #[error("images of {images:?} in {found} classes for a network of {network:?} in {classes} classes")]
    OtherData {
        /// Shape of the images.
        images: TensorShape,
        /// Their classes.
        found: usize,
        /// Shape that the network reads.
        network: TensorShape,
        /// Its classes.
        classes: usize,
    },
    /// Fewer images than a batch.
    #[error("{images} images are fewer than a batch of {batch}: take a smaller `Config::batch`")]
    TooFew {
        /// Images.
        images: usize,
        /// Batch.
        batch: usize,
    },
    /// The loss, a layer's sum over a batch, a weight that is to be ranked, or at an epoch's end a parameter or its velocity is
    /// not a number or infinite.
    #[error(
        "{what} in step {step} of epoch {epoch}; layer `{layer}` is the first that is not finite: try a smaller learning rate"
    )]
    NotFinite {
        /// What was found.
        what: String,
        /// The first layer with a value that is not finite; the network's last one when only the loss is.
        layer: String,
        /// From 1.
        epoch: usize,
        /// From 1.
        step: usize,
    },
    /// All epochs are done.
    #[error("all {epochs} epochs are done")]
    Finished {
        /// The epochs configured.
        epochs: usize,
    },
    /// A level beyond the ladder.
    #[error("no level {level}: the ladder has {levels}")]
    NoSuchLevel {
        /// The level.
        level: usize,
        /// The levels.
        levels: usize,
    },
    /// A layer that, with parameters that are finite, sums up, normalises with or yields what is not: a class or a statistic of it
    /// would mean nothing.
    #[error("what layer `{layer}` yields at level {level} is not finite")]
    NotMeasurable {
        /// The first layer with a value that is not finite.
        layer: String,
        /// The level.
        level: usize,
    },
    /// A network asked for a width whose levels are not widths.
    #[error("the levels of this network are not widths")]
    NotSlimmable,
    /// A file that cannot be read or written.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        what: String,
    },
    /// A file that is no checkpoint, or one with a part missing or of another shape.
    #[error("{}: not a checkpoint: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A checkpoint of another run.
    #[error(
        "{}: a checkpoint of another {what} (`{found}`, not `{expected}`); move it away to begin anew", path.display()
    )]
    OtherCheckpoint {
        /// The file.
        path: PathBuf,
        /// `network`, `configuration`, `seed` or `epoch`.
        what: &'static str,
        /// What the file says where it differs first.
        found: String,
        /// What this run says there.
        expected: String,
    },
}

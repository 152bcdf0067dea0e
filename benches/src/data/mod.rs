//! Labelled images: where they come from, and how they are split into training and test images.
mod builtin;
mod cifar;
mod error;
mod idx;
mod split;
mod stream;

pub use error::DataError;
pub use nested_mask::train::Dataset;
use std::path::PathBuf;

/// Where the images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The 10,000 Fashion-MNIST images that are part of this program, split 8,000/2,000.
    Builtin,
    /// A folder with the four standard IDX files of an MNIST-like set, which has its own split.
    Idx(PathBuf),
    /// A folder with the binary batches of CIFAR-10, which has its own split.
    Cifar10(PathBuf),
    /// A folder with the binary files of CIFAR-100, which has its own split.
    Cifar100(PathBuf),
}

/// Images to learn from and images to measure on.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What the images are called in reports.
    pub name: String,
    pub train: Dataset,
    pub test: Dataset,
}

impl Source {
    /// Reads and checks all images.
    ///
    /// # Errors
    /// [`DataError`], which says which file and which byte is wrong.
    pub fn load(&self) -> Result<Split, DataError> {
        match self {
            Source::Builtin => builtin::load(),
            Source::Idx(folder) => idx::load(folder),
            Source::Cifar10(folder) => cifar::load(folder, &cifar::CIFAR10),
            Source::Cifar100(folder) => cifar::load(folder, &cifar::CIFAR100),
        }
    }
}

impl Split {
    /// Measures on a fifth of the training images instead of the test images: the split on which to choose settings.
    pub fn validation(self) -> Split {
        let (train, test) = split::stratified(&self.train);
        Split { name: format!("{}, validation", self.name), train, test }
    }
}

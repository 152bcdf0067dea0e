//! The images that come with the program: the official test files of Fashion-MNIST.
use super::{Split, error::DataError, idx, split, stream::Stream};

const IMAGES: &[u8] = include_bytes!("../../data/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../../data/t10k-labels-idx1-ubyte.gz");

/// 8,000 images to train on and 2,000 to test on, 800 and 200 of each class. Not Fashion-MNIST's standard split, whose
/// 60,000 training images are not part of this program.
pub fn load() -> Result<Split, DataError> {
    let images = Stream::new("t10k-images-idx3-ubyte.gz".to_owned(), IMAGES)?;
    let labels = Stream::new("t10k-labels-idx1-ubyte.gz".to_owned(), LABELS)?;
    let (train, test) = split::stratified(&idx::dataset(images, labels, None)?);
    Ok(Split { name: "Fashion-MNIST test files, split 8,000/2,000".to_owned(), train, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use std::collections::HashSet;

    fn count(dataset: &Dataset, class: u8) -> usize {
        dataset.labels.iter().filter(|&&label| label == class).count()
    }

    fn images(dataset: &Dataset) -> HashSet<Vec<u8>> {
        dataset.pixels.chunks(dataset.shape.len()).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn the_split_is_stratified_and_shares_no_image() {
        let split = load().unwrap();
        for class in 0..10 {
            assert_eq!((count(&split.train, class), count(&split.test, class)), (800, 200));
        }
        assert!(images(&split.train).is_disjoint(&images(&split.test)));
    }

    /// Published figures are of these images: the split may not change with a library's version.
    #[test]
    fn the_split_never_changes() {
        let split = load().unwrap();
        assert_eq!(split.test.labels[..20], [1, 6, 5, 4, 5, 7, 3, 7, 1, 2, 4, 4, 8, 7, 1, 2, 3, 8, 5, 0]);
        let sum = split.test.pixels.iter().fold(0u64, |sum, &pixel| sum.wrapping_mul(31).wrapping_add(pixel.into()));
        assert_eq!(sum, 6_727_763_668_625_245_143);
    }

    #[test]
    fn validation_leaves_the_test_images_out() {
        let split = load().unwrap();
        let validation = split.clone().validation();
        assert_eq!((validation.train.labels.len(), validation.test.labels.len()), (6_400, 1_600));
        let [train, measured, test] = [&validation.train, &validation.test, &split.test].map(images);
        assert!(train.is_disjoint(&measured) && train.is_disjoint(&test) && measured.is_disjoint(&test));
        assert_eq!(&train | &measured, images(&split.train));
    }
}

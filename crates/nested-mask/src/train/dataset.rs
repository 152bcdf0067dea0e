//! Labelled images in memory.
use nested_csr::TensorShape;
use rand::{SeedableRng, seq::SliceRandom};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Labelled images of one shape.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::train::{Dataset, DatasetError};
///
/// // Five images of 1 × 2 pixels.
/// let shape = TensorShape { channels: 1, height: 1, width: 2 };
/// let images = Dataset::new(shape, 2, vec![0, 1, 10, 11, 20, 21, 30, 31, 40, 41], vec![0, 1, 0, 1, 0])?;
/// assert_eq!((images.len(), images.image(3)), (5, &[30, 31][..]));
/// assert_eq!(images.subset(&[4, 0]).pixels, [40, 41, 0, 1]);
/// let [train, validation] = images.split(1, [3, 2])?; // random, but the same for a seed
/// assert_eq!((train.len(), validation.len()), (3, 2));
/// let error = Dataset::new(shape, 2, vec![0, 1], vec![7]);
/// assert_eq!(error, Err(DatasetError::Label { image: 0, label: 7, classes: 2 }));
/// # Ok::<(), DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Shape of an image.
    pub shape: TensorShape,
    /// Labels are below this.
    pub classes: usize,
    /// `N · C · H · W` pixels, image by image, each channel-major.
    pub pixels: Vec<u8>,
    /// One an image.
    pub labels: Vec<u8>,
}

/// What can be wrong with a dataset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// Pixels and labels that do not belong together.
    #[error("{pixels} pixels for {labels} labels of {per_image} pixels each")]
    Lengths {
        /// Pixels given.
        pixels: usize,
        /// Labels given.
        labels: usize,
        /// Pixels of one image.
        per_image: usize,
    },
    /// A label beyond the classes.
    #[error("label {label} of image {image}: there are {classes} classes")]
    Label {
        /// Which image.
        image: usize,
        /// Its label.
        label: u8,
        /// The classes.
        classes: usize,
    },
    /// More images asked for than there are.
    #[error("{asked} images asked for, {images} present")]
    TooFew {
        /// Asked for.
        asked: usize,
        /// Present.
        images: usize,
    },
}

impl Dataset {
    /// A dataset whose lengths and labels are checked.
    ///
    /// # Errors
    /// [`DatasetError::Lengths`], [`DatasetError::Label`].
    pub fn new(shape: TensorShape, classes: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Result<Dataset, DatasetError> {
        let dataset = Dataset { shape, classes, pixels, labels };
        dataset.check()?;
        Ok(dataset)
    }

    /// Whether lengths and labels are right (the fields are public).
    ///
    /// # Errors
    /// [`DatasetError::Lengths`], [`DatasetError::Label`].
    pub fn check(&self) -> Result<(), DatasetError> {
        let per_image = self.shape.len();
        if self.labels.len().checked_mul(per_image) != Some(self.pixels.len()) {
            return Err(DatasetError::Lengths { pixels: self.pixels.len(), labels: self.labels.len(), per_image });
        }
        match self.labels.iter().position(|&label| usize::from(label) >= self.classes) {
            Some(image) => Err(DatasetError::Label { image, label: self.labels[image], classes: self.classes }),
            None => Ok(()),
        }
    }

    /// Images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, channel-major; empty beyond the last.
    pub fn image(&self, index: usize) -> &[u8] {
        let length = self.shape.len();
        let start = index.saturating_mul(length);
        self.pixels.get(start..start.saturating_add(length)).unwrap_or(&[])
    }

    /// These images, in this order; indices beyond the last are left out.
    pub fn subset(&self, indices: &[usize]) -> Dataset {
        let present = indices.iter().copied().filter(|&index| index < self.len());
        Dataset {
            shape: self.shape,
            classes: self.classes,
            pixels: present.clone().flat_map(|index| self.image(index).iter().copied()).collect(),
            labels: present.map(|index| self.labels[index]).collect(),
        }
    }

    /// Disjoint random parts of these sizes: a pure function of the dataset, the seed and the counts.
    ///
    /// # Errors
    /// [`DatasetError::TooFew`] when the counts add up to more than there is.
    pub fn split<const PARTS: usize>(
        &self,
        seed: u64,
        counts: [usize; PARTS],
    ) -> Result<[Dataset; PARTS], DatasetError> {
        let asked = counts.iter().fold(0usize, |sum, &count| sum.saturating_add(count));
        if asked > self.len() {
            return Err(DatasetError::TooFew { asked, images: self.len() });
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let mut rest = &order[..];
        Ok(counts.map(|count| {
            let (part, after) = rest.split_at(count);
            rest = after;
            self.subset(part)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Images, *};

    fn numbered(images: u8) -> Dataset {
        let shape = TensorShape { channels: 1, height: 1, width: 2 };
        let pixels = (0..images).flat_map(|image| [image, image]).collect();
        Dataset::new(shape, images.into(), pixels, (0..images).collect()).unwrap()
    }

    #[test]
    fn a_split_is_disjoint_keeps_pixels_with_labels_and_depends_on_the_seed() {
        let all = numbered(20);
        let [train, test] = all.split(7, [15, 5]).unwrap();
        let mut labels: Vec<u8> = train.labels.iter().chain(&test.labels).copied().collect();
        labels.sort_unstable();
        assert_eq!(labels, all.labels);
        for part in [&train, &test] {
            assert!((0..part.len()).all(|i| part.image(i) == [part.labels[i]; 2]));
        }
        assert_eq!(all.split(7, [15, 5]).unwrap(), [train.clone(), test]);
        assert_ne!(all.split(8, [15, 5]).unwrap()[0], train);
    }

    #[test]
    fn an_image_beyond_the_last_is_empty_however_far() {
        let all = numbered(3);
        for index in [3, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX - 1, usize::MAX] {
            assert_eq!((all.image(index), Images::image(&all, index)), (&[][..], &[][..]), "{index}");
        }
        assert_eq!(all.subset(&[usize::MAX, 1]).labels, [1]);
    }

    #[test]
    fn a_shape_larger_than_memory_does_not_fit_any_pixels() {
        let shape = TensorShape { channels: usize::MAX, height: 2, width: 1 };
        let error = DatasetError::Lengths { pixels: 4, labels: 2, per_image: usize::MAX };
        assert_eq!(Dataset::new(shape, 2, vec![0; 4], vec![0, 1]), Err(error));
    }

    #[test]
    fn bad_datasets_and_splits_are_refused() {
        let shape = TensorShape { channels: 1, height: 1, width: 2 };
        assert_eq!(
            Dataset::new(shape, 2, vec![0; 3], vec![0]),
            Err(DatasetError::Lengths { pixels: 3, labels: 1, per_image: 2 })
        );
        assert_eq!(
            Dataset::new(shape, 2, vec![0; 2], vec![2]),
            Err(DatasetError::Label { image: 0, label: 2, classes: 2 })
        );
        assert_eq!(numbered(3).split(0, [2, 2]), Err(DatasetError::TooFew { asked: 4, images: 3 }));
    }
}

//! The images of a run: a part of the data, measured on the test images or on a fifth of the training images.
use super::{
    record::Data,
    settings::{Measured, Training},
};
use crate::{data::Split, error::Error, files};
use nested_csr::TensorShape;
use nested_mask::{nn::Network, train::Dataset};
use std::path::Path;

/// All images.
pub struct Images {
    all: Split,
    validation: Split,
}

impl Images {
    /// Of a split into training and test images.
    pub fn new(all: Split) -> Images {
        Images { validation: all.clone().validation(), all }
    }

    /// Training images that are left beside the validation images.
    pub fn validated(&self) -> usize {
        self.validation.train.len()
    }

    /// Training images.
    pub fn train(&self) -> usize {
        self.all.train.len()
    }

    /// The test images.
    pub fn test(&self) -> &Dataset {
        &self.all.test
    }

    /// What identifies the data.
    pub fn data(&self) -> Data {
        let parts = [&self.all.train, &self.all.test];
        Data {
            name: self.name(),
            train_images: self.all.train.len(),
            test_images: self.all.test.len(),
            crc32: files::crc32(parts.iter().flat_map(|part| [&part.pixels[..], &part.labels])),
        }
    }

    /// Of a folder its last part: where it lies says nothing to others.
    fn name(&self) -> String {
        let path = Path::new(&self.all.name);
        let folder = path.file_name().filter(|_| path.is_dir());
        folder.map_or_else(|| self.all.name.clone(), |folder| folder.to_string_lossy().into_owned())
    }

    /// The network of a training on these images.
    ///
    /// # Errors
    /// A network that cannot be made, as of a strange width.
    pub fn network(&self, training: &Training) -> Result<Network, Error> {
        let images = self.test();
        Ok(training.network(padded(images.shape, training.network.side().unwrap_or(0)), images.classes)?)
    }

    /// Training images and the images to measure on.
    ///
    /// # Errors
    /// More training images asked for than there are.
    pub fn of(&self, training: &Training) -> Result<(Dataset, Dataset), Error> {
        /// Figures of different runs are of the same part.
        const SEED: u64 = 40;
        let split = match training.measured {
            Measured::Validation => &self.validation,
            Measured::Test => &self.all,
        };
        let train = if training.images == split.train.len() {
            split.train.clone()
        } else {
            let [part] = split.train.split(SEED, [training.images]).map_err(nested_mask::train::TrainError::from)?;
            part
        };
        Ok(match training.network.side() {
            Some(side) => (pad(&train, side), pad(&split.test, side)),
            None => (train, split.test.clone()),
        })
    }
}

/// The shape of images that are padded to `side` × `side`.
fn padded(TensorShape { channels, height, width }: TensorShape, side: usize) -> TensorShape {
    TensorShape { channels, height: height.max(side), width: width.max(side) }
}

/// Images in the middle of black ones of `side` × `side`; larger images stay as they are.
fn pad(images: &Dataset, side: usize) -> Dataset {
    let TensorShape { height, width, .. } = images.shape;
    let shape = padded(images.shape, side);
    if shape == images.shape {
        return images.clone();
    }
    let (top, left) = ((shape.height - height) / 2, (shape.width - width) / 2);
    let mut pixels = vec![0; images.len() * shape.len()];
    for (padded, image) in pixels.chunks_exact_mut(shape.len()).zip(images.pixels.chunks_exact(images.shape.len())) {
        for (row, from) in image.chunks_exact(width).enumerate() {
            let (channel, y) = (row / height, row % height);
            let start = (channel * shape.height + y + top) * shape.width + left;
            padded[start..start + width].copy_from_slice(from);
        }
    }
    Dataset { shape, classes: images.classes, pixels, labels: images.labels.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_puts_each_channel_in_the_middle() {
        let shape = TensorShape { channels: 2, height: 2, width: 1 };
        let images = Dataset::new(shape, 1, vec![1, 2, 3, 4], vec![0]).unwrap();
        let padded = pad(&images, 4);
        assert_eq!(padded.shape, TensorShape { channels: 2, height: 4, width: 4 });
        let place = |pixel: u8| padded.pixels.iter().position(|&p| p == pixel).unwrap();
        assert_eq!([1, 2, 3, 4].map(place), [5, 9, 21, 25]);
        assert_eq!(pad(&images, 1), images);
    }
}

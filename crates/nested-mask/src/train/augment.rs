//! Batches: pixels to network inputs, with the random changes of training.
use super::{Augmentation, Dataset, Normalization};
use nested_csr::TensorShape;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a random stream is for; streams do not depend on one another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Weights = 1,
    Order,
    Images,
    Levels,
}

/// The random numbers of one purpose in one epoch: a function of the seed alone, so that a resumed run draws the same.
pub(super) fn stream(seed: u64, epoch: usize, purpose: Stream) -> Xoshiro256PlusPlus {
    let mixed = [epoch as u64, purpose as u64]
        .into_iter()
        .fold(seed, |mixed, part| Xoshiro256PlusPlus::seed_from_u64(mixed).next_u64() ^ part);
    Xoshiro256PlusPlus::seed_from_u64(mixed)
}

/// One image's change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    down: isize,
    right: isize,
    flip: bool,
    erased: Rectangle,
}

/// Pixels of an image that are erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rectangle {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Rectangle {
    pub(super) const NONE: Rectangle = Rectangle { top: 0, left: 0, height: 0, width: 0 };

    /// A rectangle with sides of 1 to `most` pixels anywhere in the image, as far as they fit.
    pub(super) fn draw(most: usize, shape: TensorShape, random: &mut impl Rng) -> Rectangle {
        let mut side = |size: usize| {
            let length = random.random_range(1..=most.min(size));
            (random.random_range(0..=size - length), length)
        };
        let ((top, height), (left, width)) = (side(shape.height), side(shape.width));
        Rectangle { top, left, height, width }
    }

    /// Makes it the mean in one plane of a normalised image.
    pub(super) fn erase(self, plane: &mut [f32], width: usize) {
        for row in plane.chunks_exact_mut(width).skip(self.top).take(self.height) {
            row[self.left..self.left + self.width].fill(0.0);
        }
    }
}

impl Change {
    pub(super) fn draw(augmentation: Augmentation, shape: TensorShape, random: &mut impl Rng) -> Change {
        let reach = i16::from(augmentation.shift);
        let mut shift = || isize::from(random.random_range(-reach..=reach));
        let (down, right) = (shift(), shift());
        let flip = augmentation.flip && random.random();
        let erases = augmentation.erase > 0 && random.random();
        let erased = if erases { Rectangle::draw(augmentation.erase.into(), shape, random) } else { Rectangle::NONE };
        Change { down, right, flip, erased }
    }

    /// One image as the network reads it; pixels that move in are black, erased ones are the mean.
    pub(super) fn apply(self, dataset: &Dataset, image: usize, normalization: Normalization, into: &mut [f32]) {
        let (height, width) = (dataset.shape.height as isize, dataset.shape.width as isize);
        let pixels = dataset.image(image);
        for (row, into) in into.chunks_exact_mut(dataset.shape.width).enumerate() {
            let (channel, y) = (row as isize / height, row as isize % height - self.down);
            for (x, into) in into.iter_mut().enumerate() {
                let x = if self.flip { width - 1 - x as isize } else { x as isize } - self.right;
                let inside = (0..height).contains(&y) && (0..width).contains(&x);
                let pixel = if inside { pixels[((channel * height + y) * width + x) as usize] } else { 0 };
                *into = normalization.apply(pixel);
            }
        }
        for plane in into.chunks_exact_mut(dataset.shape.height * dataset.shape.width) {
            self.erased.erase(plane, dataset.shape.width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_moved_mirrored_and_erased_in_each_channel() {
        let shape = TensorShape { channels: 2, height: 2, width: 3 };
        let dataset = Dataset::new(shape, 1, (1..=12).collect(), vec![0]).unwrap();
        let plain = Normalization { mean: 0, deviation: 1.0 };
        let mut out = [0.0; 12];
        Change { down: 1, ..Change::default() }.apply(&dataset, 0, plain, &mut out);
        assert_eq!(out, [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 7.0, 8.0, 9.0]);
        Change { right: 1, ..Change::default() }.apply(&dataset, 0, plain, &mut out);
        assert_eq!(out, [0.0, 1.0, 2.0, 0.0, 4.0, 5.0, 0.0, 7.0, 8.0, 0.0, 10.0, 11.0]);
        Change { flip: true, ..Change::default() }.apply(&dataset, 0, plain, &mut out);
        assert_eq!(out, [3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 9.0, 8.0, 7.0, 12.0, 11.0, 10.0]);
        let erased = Rectangle { top: 1, left: 0, height: 1, width: 2 };
        Change { erased, ..Change::default() }.apply(&dataset, 0, plain, &mut out);
        assert_eq!(out, [1.0, 2.0, 3.0, 0.0, 0.0, 6.0, 7.0, 8.0, 9.0, 0.0, 0.0, 12.0]);
    }

    #[test]
    fn changes_stay_within_reach_and_streams_differ() {
        let mut random = stream(3, 1, Stream::Images);
        let augmentation = Augmentation { shift: 2, flip: true, erase: 4, zoom: 0 };
        let shape = TensorShape { channels: 1, height: 3, width: 9 };
        let changes: Vec<Change> = (0..500).map(|_| Change::draw(augmentation, shape, &mut random)).collect();
        assert!(changes.iter().all(|c| c.down.abs() <= 2 && c.right.abs() <= 2));
        assert!(changes.iter().any(|c| c.down == -2) && changes.iter().any(|c| c.right == 2 && c.flip));
        let erased: Vec<Rectangle> = changes.iter().map(|c| c.erased).filter(|e| e.height > 0).collect();
        assert!((200..300).contains(&erased.len()));
        assert!(erased.iter().all(|e| (1..=3).contains(&e.height) && (1..=4).contains(&e.width)));
        assert!(erased.iter().all(|e| e.top + e.height <= 3 && e.left + e.width <= 9));
        assert!(erased.iter().any(|e| e.left + e.width == 9) && erased.iter().any(|e| e.left == 0));
        let first = |seed, epoch, purpose| stream(seed, epoch, purpose).next_u64();
        let all = [
            first(3, 1, Stream::Images),
            first(3, 2, Stream::Images),
            first(4, 1, Stream::Images),
            first(3, 1, Stream::Order),
        ];
        assert!((0..4).all(|i| (0..i).all(|j| all[i] != all[j])));
    }
}

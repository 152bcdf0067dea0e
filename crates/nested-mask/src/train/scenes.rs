//! Images with objects to find, in memory.
use super::{
    Augmentation, Config, Distillation, Images, Normalization, TrainError,
    examples::{self, Objective, Task},
    scene_change::SceneChange,
};
use crate::{
    detect::{Anchors, Matching, Object, PlacedAnchor, Teacher, image_loss, matches},
    nn::{Loss, Network},
};
use nested_csr::TensorShape;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Images of one shape, and the objects in each.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::detect::{DetectionSettings, Frame, Object};
/// use nested_mask::nn::ssd_mobilenet_v2;
/// use nested_mask::train::{Config, Scenes, Trainer};
/// use nested_mask::{Ladder, Level};
///
/// // Grey images; in each, a bright square that takes up a quarter.
/// let shape = TensorShape { channels: 1, height: 32, width: 32 };
/// let bright = |pixel: usize| (8..24).contains(&(pixel / 32)) && (8..24).contains(&(pixel % 32));
/// let image = (0..shape.len()).map(|pixel| if bright(pixel) { 220 } else { 90 });
/// let square = Object { class: 0, frame: Frame { top: 0.25, left: 0.25, bottom: 0.75, right: 0.75 }, difficult: false };
/// let scenes = Scenes::new(shape, 1, image.collect::<Vec<u8>>().repeat(16), vec![vec![square]; 16])?;
///
/// let config = Config { ladder: Ladder::new([0.8, 0.5])?, epochs: 1, batch: 8, ..Config::default() };
/// let mut trainer = Trainer::new(ssd_mobilenet_v2(shape, 0.125, 1)?, config)?;
/// trainer.train_epoch(&scenes, &mut |_progress| {})?;
/// trainer.recalibrate(&scenes)?;
/// let settings = DetectionSettings { score: 0.5, iou: 0.45, most: 10 };
/// let found = trainer.trained().detect(Level::FIRST, &scenes, settings)?;
/// assert_eq!(found.len(), scenes.len()); // a list an image; one epoch does not find much
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scenes {
    /// Shape of an image.
    pub shape: TensorShape,
    /// Objects' classes are below this.
    pub classes: usize,
    /// `N · C · H · W` pixels, image by image, each channel-major.
    pub pixels: Vec<u8>,
    /// One list an image.
    pub objects: Vec<Vec<Object>>,
}

/// What can be wrong with scenes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenesError {
    /// Pixels and lists of objects that do not belong together.
    #[error("{pixels} pixels for {lists} lists of objects, of {per_image} pixels an image")]
    Lengths {
        /// Pixels given.
        pixels: usize,
        /// Lists given.
        lists: usize,
        /// Pixels of one image.
        per_image: usize,
    },
    /// An object beyond the classes.
    #[error("class {class} in image {image}: there are {classes} classes")]
    Class {
        /// Which image.
        image: usize,
        /// The object's class.
        class: u8,
        /// The classes.
        classes: usize,
    },
    /// A box that is empty, not finite, or not within the image.
    #[error("box {frame:?} in image {image} is empty or not within [0, 1]")]
    Frame {
        /// Which image.
        image: usize,
        /// The box.
        frame: crate::detect::Frame,
    },
}

impl Scenes {
    /// Scenes whose lengths, classes and boxes are checked.
    ///
    /// # Errors
    /// [`ScenesError`].
    pub fn new(
        shape: TensorShape,
        classes: usize,
        pixels: Vec<u8>,
        objects: Vec<Vec<Object>>,
    ) -> Result<Scenes, ScenesError> {
        let scenes = Scenes { shape, classes, pixels, objects };
        scenes.check()?;
        Ok(scenes)
    }

    /// Images.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether lengths, classes and boxes are right (the fields are public).
    ///
    /// # Errors
    /// [`ScenesError`].
    pub fn check(&self) -> Result<(), ScenesError> {
        let (per_image, lists) = (self.shape.len(), self.objects.len());
        if lists.checked_mul(per_image) != Some(self.pixels.len()) {
            return Err(ScenesError::Lengths { pixels: self.pixels.len(), lists, per_image });
        }
        for (image, object) in self.objects.iter().enumerate().flat_map(|(i, all)| all.iter().map(move |o| (i, o))) {
            let (class, frame) = (object.class, object.frame);
            if usize::from(class) >= self.classes {
                return Err(ScenesError::Class { image, class, classes: self.classes });
            }
            let inside =
                [frame.top, frame.left, frame.bottom, frame.right].iter().all(|side| (0.0..=1.0).contains(side));
            if !inside || frame.area() <= 0.0 {
                return Err(ScenesError::Frame { image, frame });
            }
        }
        Ok(())
    }
}

impl Images for Scenes {
    fn shape(&self) -> TensorShape {
        self.shape
    }
    fn pixels(&self) -> &[u8] {
        &self.pixels
    }
    fn check(&self) -> Result<(), TrainError> {
        Ok(Scenes::check(self)?)
    }
}

impl Task for Scenes {
    type Change = SceneChange;

    fn fits(&self, network: &Network) -> Result<(), TrainError> {
        examples::fits(self, self.classes, network.anchors().is_some(), network)
    }

    fn draw(&self, augmentation: Augmentation, random: &mut Xoshiro256PlusPlus) -> SceneChange {
        SceneChange::draw(augmentation, self.shape, random)
    }

    fn apply(&self, image: usize, change: &SceneChange, normalization: Normalization, into: &mut [f32]) {
        change.apply(self.image(image), self.shape, normalization, into);
    }

    fn objective(&self, network: &Network, _: &Config, images: &[usize], changes: &[SceneChange]) -> Objective {
        let anchors: Vec<PlacedAnchor> = network.anchors().into_iter().flat_map(Anchors::iter).collect();
        let of_image =
            |(&image, change): (&usize, &SceneChange)| matches(&anchors, &change.objects(&self.objects[image]));
        let found: Vec<Matching> = images.iter().zip(changes).map(of_image).collect();
        let total: usize = found.iter().map(|matching| matching.found.len()).sum();
        let (classes, each) = (network.classes(), 1.0 / total.max(1) as f32);
        let outputs = network.outputs();
        Box::new(move |passes, teacher| {
            let mean = passes.seed(|image, values, gradient| {
                let teacher = teacher.map(|(Distillation { mix, temperature, .. }, all)| Teacher {
                    values: &all[image * outputs..(image + 1) * outputs],
                    mix: mix as f32,
                    temperature: temperature as f32,
                });
                image_loss(&anchors, classes, &found[image], each, teacher.as_ref(), values, gradient)
            });
            Loss { mean, right: 0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Frame;

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let shape = TensorShape { channels: 1, height: 2, width: 2 };
        let frame = Frame { top: 0.0, left: 0.0, bottom: 1.0, right: 0.5 };
        let object = Object { class: 1, frame, difficult: false };
        let scenes = |pixels: usize, object| Scenes::new(shape, 2, vec![0; pixels], vec![vec![object]]);
        assert!(scenes(4, object).is_ok());
        assert_eq!(scenes(5, object), Err(ScenesError::Lengths { pixels: 5, lists: 1, per_image: 4 }));
        let other = Object { class: 2, ..object };
        assert_eq!(scenes(4, other), Err(ScenesError::Class { image: 0, class: 2, classes: 2 }));
        for frame in [Frame { right: 1.01, ..frame }, Frame { right: 0.0, ..frame }] {
            assert_eq!(scenes(4, Object { frame, ..object }), Err(ScenesError::Frame { image: 0, frame }));
        }
        assert!(scenes(4, Object { frame: Frame { top: f32::NAN, ..frame }, ..object }).is_err());
    }

    #[test]
    fn a_shape_larger_than_memory_does_not_fit_any_pixels() {
        let shape = TensorShape { channels: usize::MAX, height: 2, width: 1 };
        let error = ScenesError::Lengths { pixels: 4, lists: 2, per_image: usize::MAX };
        assert_eq!(Scenes::new(shape, 2, vec![0; 4], vec![Vec::new(); 2]), Err(error));
    }
}

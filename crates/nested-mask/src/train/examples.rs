//! What a network learns from: images, and what is to be found in them.
use super::{Augmentation, Config, Dataset, Distillation, Normalization, TrainError, augment::Change};
use crate::nn::{Loss, Network, Passes};
use nested_csr::TensorShape;
use rand_xoshiro::Xoshiro256PlusPlus;

/// Images of one shape, in memory.
///
/// [`Dataset`] and [`super::Scenes`] are such; others need no labels to calibrate [`crate::quant::quantize`]:
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::train::{Images, TrainError};
///
/// struct Frames(Vec<u8>); // of a camera
/// impl Images for Frames {
///     fn shape(&self) -> TensorShape {
///         TensorShape { channels: 1, height: 2, width: 2 }
///     }
///     fn pixels(&self) -> &[u8] {
///         &self.0
///     }
///     fn check(&self) -> Result<(), TrainError> {
///         Ok(())
///     }
/// }
/// let frames = Frames((0..12).collect());
/// assert_eq!((frames.count(), frames.image(1)), (3, &[4, 5, 6, 7][..]));
/// ```
pub trait Images: Sync {
    /// Shape of an image.
    fn shape(&self) -> TensorShape;
    /// `N · C · H · W` pixels, image by image, each channel-major.
    fn pixels(&self) -> &[u8];
    /// Whether lengths and labels are right.
    ///
    /// # Errors
    /// [`TrainError`] says what is not.
    fn check(&self) -> Result<(), TrainError>;

    /// Images.
    fn count(&self) -> usize {
        self.pixels().len().checked_div(self.shape().len()).unwrap_or(0)
    }

    /// The pixels of one image, channel-major; empty beyond the last.
    fn image(&self, index: usize) -> &[u8] {
        let length = self.shape().len();
        let start = index.saturating_mul(length);
        self.pixels().get(start..start.saturating_add(length)).unwrap_or(&[])
    }

    /// One image as the network reads it.
    fn normalized(&self, index: usize, normalization: Normalization, into: &mut [f32]) {
        into.iter_mut().zip(self.image(index)).for_each(|(to, &pixel)| *to = normalization.apply(pixel));
    }
}

/// Images with what is to be found in them: a [`Dataset`] to classify, [`super::Scenes`] to find objects in. Other crates
/// cannot add kinds.
pub trait Examples: Images + Task {}

impl<E: Images + Task> Examples for E {}

/// What the trainer asks of its examples.
pub trait Task {
    /// A random change of one image.
    type Change: Send + Sync;

    /// Whether they are for this network.
    fn fits(&self, network: &Network) -> Result<(), TrainError>;
    /// Draws a change.
    fn draw(&self, augmentation: Augmentation, random: &mut Xoshiro256PlusPlus) -> Self::Change;
    /// One changed image as the network reads it.
    fn apply(&self, image: usize, change: &Self::Change, normalization: Normalization, into: &mut [f32]);
    /// What these images, so changed, ask of the network's outputs.
    fn objective(&self, network: &Network, config: &Config, images: &[usize], changes: &[Self::Change]) -> Objective;
}

/// The loss of a forward pass: puts the gradient with respect to the outputs into the passes. With the outputs of a teacher
/// for the same images, it learns from them too.
pub type Objective = Box<dyn Fn(&mut Passes<f32>, Option<(Distillation, &[f32])>) -> Loss + Send + Sync>;

impl Images for Dataset {
    fn shape(&self) -> TensorShape {
        self.shape
    }
    fn pixels(&self) -> &[u8] {
        &self.pixels
    }
    fn check(&self) -> Result<(), TrainError> {
        Ok(Dataset::check(self)?)
    }
}

impl Task for Dataset {
    type Change = Change;

    fn fits(&self, network: &Network) -> Result<(), TrainError> {
        fits(self, self.classes, network.anchors().is_none(), network)
    }

    fn draw(&self, augmentation: Augmentation, random: &mut Xoshiro256PlusPlus) -> Change {
        Change::draw(augmentation, self.shape, random)
    }

    fn apply(&self, image: usize, change: &Change, normalization: Normalization, into: &mut [f32]) {
        change.apply(self, image, normalization, into);
    }

    fn objective(&self, network: &Network, config: &Config, images: &[usize], _: &[Change]) -> Objective {
        let labels: Vec<u8> = images.iter().map(|&image| self.labels[image]).collect();
        let spread = (config.label_smoothing / network.classes() as f64) as f32;
        let label = 1.0 - config.label_smoothing as f32 + spread;
        Box::new(move |passes, teacher| {
            let target = |image: usize, class| if usize::from(labels[image]) == class { label } else { spread };
            let loss = passes.cross_entropy(&labels, target);
            match teacher {
                Some((Distillation { mix, temperature, .. }, teacher)) => {
                    passes.distil(loss, teacher, mix, temperature)
                }
                None => loss,
            }
        })
    }
}

/// Whether images are of the network's shape, kind and classes.
pub(super) fn fits(images: &impl Images, found: usize, kind: bool, network: &Network) -> Result<(), TrainError> {
    images.check()?;
    let classes = network.classes();
    if images.shape() != network.input() || found > classes {
        return Err(TrainError::OtherData { images: images.shape(), found, network: network.input(), classes });
    }
    if kind { Ok(()) } else { Err(TrainError::OtherKind) }
}

//! A model as a device would have it: read from a file and run with integers.
use crate::{error::Error, files, storage};
use nested_csr::{FormatError, Level, Model, Operation, Profile, TensorShape, Weights};
use nested_kernels::{BOX_ONE, Detector, Network, Thresholds};
use nested_mask::{
    detect::{Detection, DetectionSettings, Frame},
    train::{Dataset, Images, Scenes},
};
use rayon::prelude::*;
use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

/// A model file, checked and ready to run.
pub struct Deployed {
    path: PathBuf,
    network: Network<Vec<u8>>,
}

/// Per cent of the sparse layers' weights that a model stores at a level; 100 when it has no sparse layer.
///
/// # Errors
/// A level that it does not have.
pub fn stored(model: &Model<Vec<u8>>, level: Level) -> Result<f64, FormatError> {
    let (mut stored, mut all) = (0, 0);
    for (_, layer) in model.sparse_layers() {
        stored += layer.stored(level)?;
        all += layer.shape().len();
    }
    Ok(if all == 0 { 100.0 } else { 100.0 * stored as f64 / all as f64 })
}

/// 8-bit pixels as models read them: black is −128.
pub fn integers(pixels: &[u8]) -> impl Iterator<Item = i8> {
    pixels.iter().map(|&pixel| pixel.wrapping_sub(128).cast_signed())
}

impl Deployed {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// A file that is not a model, or a model that this build cannot run.
    pub fn read(path: &Path) -> Result<Deployed, Error> {
        Deployed::new(files::model(path)?, path)
    }

    /// A model in memory; errors call it `path`.
    ///
    /// # Errors
    /// A model that this build cannot run.
    pub fn new(model: Model<Vec<u8>>, path: &Path) -> Result<Deployed, Error> {
        let network = Network::new(model).map_err(|source| Error::Kernel { path: path.to_owned(), source })?;
        Ok(Deployed { path: path.to_owned(), network })
    }

    /// The same model with the index codes that are decoded fastest.
    fn encoded_for_speed(&self) -> Result<Deployed, Error> {
        let model = storage::encode_again(self.network.model(), Profile::Speed)
            .map_err(|source| Error::Model { path: self.path.clone(), source })?;
        Deployed::new(model, &self.path)
    }

    /// Checks that the images have the size and the classes that the model has.
    ///
    /// # Errors
    /// Other images, a model that finds objects.
    pub fn check_images(&self, images: &Dataset) -> Result<(), Error> {
        self.check_shape(images.shape)?;
        let (path, model) = (self.path.clone(), self.network.model().output_shape().len());
        if Detector::new(self.network.model()).is_ok() {
            return Err(Error::Detector(path));
        }
        if model != images.classes {
            return Err(Error::Classes { path, model, images: images.classes });
        }
        Ok(())
    }

    fn check_shape(&self, images: TensorShape) -> Result<(), Error> {
        let model = self.network.model().input_shape();
        if model == images { Ok(()) } else { Err(Error::Images { path: self.path.clone(), model, images }) }
    }

    /// The densest level.
    pub fn levels(&self) -> Level {
        self.network.model().levels()
    }

    /// Per cent of the images whose greatest output is their label's (of equal ones the first counts).
    pub fn top1(&self, level: Level, images: &Dataset) -> Result<f64, Error> {
        let right = (0..images.len())
            .into_par_iter()
            .map_init(
                || self.session(),
                |session, index| {
                    let class = session.classify(level, images.image(index))?;
                    Ok(usize::from(class == usize::from(images.labels[index])))
                },
            )
            .sum::<Result<usize, Error>>()?;
        Ok(100.0 * right as f64 / images.len() as f64)
    }

    /// The objects that a detector finds in each scene, with integers from pixels to boxes.
    ///
    /// # Errors
    /// Scenes that the model does not read, a model that does not end in a detection.
    pub fn detect(
        &self,
        level: Level,
        scenes: &Scenes,
        settings: DetectionSettings,
    ) -> Result<Vec<Vec<Detection>>, Error> {
        self.check_shape(scenes.shape)?;
        let wrong = |source| Error::Kernel { path: self.path.clone(), source };
        let detector = Detector::new(self.network.model()).map_err(wrong)?;
        let share = |fraction: f32| (fraction * 65_536.0).round().clamp(0.0, 65_535.0) as u16;
        let thresholds = Thresholds { score: share(settings.score), iou: share(settings.iou) };
        let one = |session: &mut Session<'_>, index: usize| {
            session.run(level, scenes.image(index))?;
            let mut found = vec![nested_kernels::Detection::default(); settings.most];
            let count = detector.detect(level, &session.output, thresholds, &mut found).map_err(wrong)?;
            Ok(found[..count].iter().map(as_fractions).collect())
        };
        (0..scenes.len()).into_par_iter().map_init(|| self.session(), one).collect()
    }

    /// Bytes besides the arena that finding up to `most` boxes in one image takes: the image, the output, the list of boxes,
    /// and the detector's stack.
    pub fn detection_bytes(&self, most: usize) -> usize {
        /// See [`Detector::detect`].
        const STACK: usize = 1 << 10;
        let model = self.network.model();
        let list = most * size_of::<nested_kernels::Detection>();
        model.input_shape().len() + model.output_shape().len() + list + STACK
    }

    /// Multiplications with a stored weight for one image, over all layers; padding counts as pixels.
    pub fn nonzero_macs(&self, level: Level) -> Result<u64, Error> {
        self.sum_over_nodes(|operation, pixels| {
            Ok(match operation {
                Operation::Convolution { weights: Weights::Sparse(matrix), .. } => {
                    pixels * matrix.stored(level)? as u64
                }
                Operation::Convolution { weights: Weights::Dense(weights), .. } => pixels * weights.len() as u64,
                Operation::Depthwise { weights, .. } => pixels * weights.len() as u64,
                _ => 0,
            })
        })
    }

    /// See [`stored`].
    pub fn stored(&self, level: Level) -> Result<f64, Error> {
        stored(self.network.model(), level).map_err(|source| self.format_error(source))
    }

    /// Bytes of the shortest prefix that serves a level.
    pub fn file_bytes(&self, level: Level) -> Result<usize, Error> {
        self.network.model().prefix(level).map(<[u8]>::len).map_err(|source| self.format_error(source))
    }

    /// Bytes of the requantisation of all levels.
    pub fn requantisation_bytes(&self) -> usize {
        self.network.model().stats().requantization
    }

    /// Sums over the nodes, given each one's operation and the pixels of its output.
    fn sum_over_nodes(&self, of_node: impl Fn(Operation<'_>, u64) -> Result<u64, FormatError>) -> Result<u64, Error> {
        let model = self.network.model();
        (model.nodes())
            .map(|node| of_node(node.operation, (node.output.height * node.output.width) as u64))
            .sum::<Result<u64, _>>()
            .map_err(|source| self.format_error(source))
    }

    fn format_error(&self, source: FormatError) -> Error {
        Error::Model { path: self.path.clone(), source }
    }

    /// Memory to run in.
    fn session(&self) -> Session<'_> {
        let model = self.network.model();
        Session {
            deployed: self,
            input: vec![0; model.input_shape().len()],
            // Never an error of the model's own levels; a run would refuse an arena without a byte.
            arena: vec![0; self.network.preferred_arena_len(model.levels()).unwrap_or_default()],
            output: vec![0; model.output_shape().len()],
        }
    }
}

/// A model with the memory that one thread runs it in.
struct Session<'a> {
    deployed: &'a Deployed,
    input: Vec<i8>,
    arena: Vec<u8>,
    output: Vec<i8>,
}

impl Session<'_> {
    /// The class of an image of 8-bit pixels.
    fn classify(&mut self, level: Level, pixels: &[u8]) -> Result<usize, Error> {
        self.run(level, pixels)?;
        let first_greatest = (0..self.output.len()).rev().max_by_key(|&class| self.output[class]);
        Ok(first_greatest.unwrap_or(0))
    }

    /// Makes the output of an image of 8-bit pixels.
    fn run(&mut self, level: Level, pixels: &[u8]) -> Result<(), Error> {
        self.input.clear();
        self.input.extend(integers(pixels));
        let network = &self.deployed.network;
        network
            .run(level, &self.input, &mut self.arena, &mut self.output)
            .map_err(|source| Error::Kernel { path: self.deployed.path.clone(), source })
    }
}

/// A box of the kernels in fractions of the image's sides; each is exact.
fn as_fractions(found: &nested_kernels::Detection) -> Detection {
    let side = |edge: u16| f32::from(edge) / f32::from(BOX_ONE);
    Detection {
        class: u8::try_from(found.class).unwrap_or(u8::MAX),
        score: f32::from(found.score) / 65_536.0,
        frame: Frame {
            top: side(found.top),
            left: side(found.left),
            bottom: side(found.bottom),
            right: side(found.right),
        },
    }
}

/// Milliseconds an image on one thread, of each model at its level: the least of many rounds, in each of which all of
/// them run. What else the machine does only ever adds to a time, so the least is the nearest to the work itself.
///
/// A host has memory to spare, so that the index codes of the file are exchanged for those of [`Profile::Speed`] first, once.
pub fn milliseconds(candidates: &[(&Deployed, Level)], images: &Dataset) -> Result<Vec<f64>, Error> {
    const ROUNDS: usize = 31;
    const IMAGES_A_ROUND: usize = 32;
    let mut times = vec![Vec::with_capacity(ROUNDS); candidates.len()];
    let models: Vec<Deployed> =
        candidates.iter().map(|(deployed, _)| deployed.encoded_for_speed()).collect::<Result<_, Error>>()?;
    let mut sessions: Vec<_> = models.iter().map(Deployed::session).collect();
    // The first round warms the caches and is not counted.
    for round in 0..=ROUNDS {
        for (index, &(_, level)) in candidates.iter().enumerate() {
            let start = Instant::now();
            for image in 0..IMAGES_A_ROUND {
                black_box(sessions[index].classify(level, images.image(image % images.len()))?);
            }
            if round > 0 {
                times[index].push(start.elapsed().as_secs_f64() * 1e3 / IMAGES_A_ROUND as f64);
            }
        }
    }
    Ok(times.into_iter().map(least).collect())
}

fn least(values: Vec<f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use nested_csr::Block;
    use nested_mask::{
        Ladder,
        nn::{Network, resnet8, ssd_mobilenet_v2},
    };

    #[test]
    fn images_of_another_size_or_other_classes_are_refused_and_so_is_a_detector() {
        const SHAPE: TensorShape = TensorShape { channels: 1, height: 32, width: 32 };
        let path = Path::new("a.ncsr");
        let problem = |network: Network, side: usize, classes: usize| {
            let model = random::model(&network, Block::OneByOne, &Ladder::dense(), Profile::Size, 1).unwrap();
            let shape = TensorShape { height: side, ..SHAPE };
            let images = Dataset::new(shape, classes, vec![0; shape.len()], vec![0]).unwrap();
            Deployed::new(model, path).unwrap().check_images(&images).err().map(|error| error.to_string())
        };
        let classifier = || resnet8(SHAPE, 0.25, 10).unwrap();
        assert_eq!(problem(classifier(), 32, 10), None);
        assert_eq!(problem(classifier(), 16, 10).unwrap(), "a.ncsr: reads images of 32×32×1, but these are 16×32×1");
        assert_eq!(problem(classifier(), 32, 100).unwrap(), "a.ncsr: tells 10 classes apart, but the images have 100");
        let detector = ssd_mobilenet_v2(SHAPE, 0.25, 10).unwrap();
        assert_eq!(problem(detector, 32, 10).unwrap(), "a.ncsr: finds objects, but the images are to be classified");
    }
}

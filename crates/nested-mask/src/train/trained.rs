//! A trained network: what quantisation and inspection read.
use super::TrainError;
use crate::{
    Ladder,
    nn::{Network, Operation, Parameters},
};
use nested_csr::{Block, Level};

/// How pixels become the network's input: `(pixel − mean) / deviation`.
///
/// The mean is a whole number, so that an int8 input is `pixel − 128` exactly, with zero point `mean − 128` and scale
/// `1 / deviation`.
///
/// ```
/// use nested_mask::train::Normalization;
/// let normalization = Normalization::of(&[100, 140, 100, 140]);
/// assert_eq!(normalization, Normalization { mean: 120, deviation: 20.0 });
/// assert_eq!([100, 120, 150].map(|pixel| normalization.apply(pixel)), [-1.0, 0.0, 1.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Mean pixel, rounded.
    pub mean: u8,
    /// Standard deviation of the pixels; at least 1.
    pub deviation: f32,
}

impl Normalization {
    /// Mean and deviation of these pixels.
    pub fn of(pixels: &[u8]) -> Normalization {
        let count = pixels.len().max(1) as f64;
        let mean = pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / count;
        let variance = pixels.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / count;
        Normalization { mean: mean.round() as u8, deviation: variance.sqrt().max(1.0) as f32 }
    }

    /// One pixel.
    pub fn apply(&self, pixel: u8) -> f32 {
        self.apply_real(pixel.into())
    }

    /// One value between pixels.
    pub(super) fn apply_real(&self, pixel: f32) -> f32 {
        (pixel - f32::from(self.mean)) / self.deviation
    }
}

/// A network with its weights, masks and the normalisation of each level.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::nn::resnet8;
/// use nested_mask::train::{Config, Trainer};
/// use nested_mask::{Allocation, Block, Ladder, Level};
///
/// let shape = TensorShape { channels: 1, height: 8, width: 8 };
/// let trainer = Trainer::new(resnet8(shape, 0.5, 2)?, Config { ladder: Ladder::dense(), ..Config::default() })?;
/// let dense = trainer.trained();
/// assert_eq!((dense.sparsity(Level::FIRST), dense.nonzero_macs(Level::FIRST)), (0.0, 193_088));
/// let ladder = Ladder::new([0.9, 0.8])?;
/// let pruned = dense.pruned(Level::FIRST, &ladder, Allocation::Uniform, Block::OneByOne)?;
/// assert_eq!(pruned.levels().up_to().map(|level| pruned.nonzero_macs(level)).collect::<Vec<_>>(), [27_244, 45_604]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// What it computes.
    pub network: Network,
    /// Its weights, masks and normalisations.
    pub parameters: Parameters<f32>,
    /// The sparsities of its levels.
    pub ladder: Ladder,
    /// The block of its masks.
    pub block: Block,
    /// How pixels become its input.
    pub normalization: Normalization,
}

impl Trained {
    /// The densest level.
    pub fn levels(&self) -> Level {
        self.ladder.levels()
    }

    /// Whether it can be computed with (the fields are public).
    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.parameters.check(&self.network, self.levels())?;
        let (what, value) = ("normalization.deviation", f64::from(self.normalization.deviation));
        if !(1.0..f64::INFINITY).contains(&value) {
            return Err(TrainError::Config { what, value, must: "at least 1 and finite" });
        }
        Ok(())
    }

    /// `1 − support / weights` over the sparse layers, by the masks; 0 without masks.
    pub fn sparsity(&self, level: Level) -> f64 {
        let masks = self.parameters.layers.iter().flatten().filter_map(|layer| layer.mask.as_ref());
        let (kept, all) = masks.fold((0, 0), |(kept, all), mask| (kept + mask.count(level), all + mask.rings().len()));
        if all == 0 { 0.0 } else { 1.0 - kept as f64 / all as f64 }
    }

    /// Multiplications by weights of a level for one image: sparse layers by their masks, dense layers whole.
    pub fn nonzero_macs(&self, level: Level) -> u64 {
        let nodes = self.network.nodes().iter().zip(&self.parameters.layers);
        let macs = nodes.filter_map(|(node, layer)| {
            let layer = layer.as_ref()?;
            let pixels = node.output.height * node.output.width;
            let weights = layer.mask.as_ref().map_or(layer.weights.len(), |mask| mask.count(level));
            matches!(node.operation, Operation::Convolution { .. } | Operation::Depthwise { .. })
                .then_some((weights * pixels) as u64)
        });
        macs.sum()
    }
}

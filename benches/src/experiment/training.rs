//! What determines a trained network.
use crate::{error::Error, options::BlockOption};
use nested_csr::TensorShape;
use nested_mask::{
    Allocation, Ladder, LadderError, Routing, RoutingError, RoutingMatrix, Saliency,
    nn::{self, Network, NetworkError},
    schedule::Ramp,
    train::{Augmentation, Config, Distillation, Masking, Regrowth, TrainError},
};
use serde::{Deserialize, Serialize};

/// Which images are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measured {
    /// A fifth of the training images, which are then not trained on.
    Validation,
    /// The test images.
    Test,
}

/// A network that the experiments use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum NetworkName {
    #[value(name = "resnet8")]
    ResNet8,
    #[value(name = "resnet9")]
    ResNet9,
    #[value(name = "mobilenetv1")]
    MobileNetV1,
    #[value(name = "ds-cnn")]
    DsCnn,
}

impl NetworkName {
    /// Height and width of the images that the network is for, when that is not the data's own.
    pub fn side(self) -> Option<usize> {
        match self {
            NetworkName::ResNet8 | NetworkName::DsCnn => None,
            NetworkName::ResNet9 | NetworkName::MobileNetV1 => Some(32),
        }
    }
}

impl std::fmt::Display for NetworkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NetworkName::ResNet8 => "ResNet-8",
            NetworkName::ResNet9 => "ResNet-9",
            NetworkName::MobileNetV1 => "MobileNetV1",
            NetworkName::DsCnn => "DS-CNN",
        })
    }
}

/// How the ladder is spread over the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllocationName {
    Uniform,
    Erk,
    Global,
    /// [`Allocation::AUTOMATIC`].
    #[serde(alias = "per-root-instruction")]
    Automatic,
    /// [`Allocation::PerInstruction`] with exponent 1.
    PerInstruction,
    /// [`Allocation::GlobalPerInstruction`], by [`Saliency::FirstOrder`].
    GlobalPerInstruction,
}

impl From<AllocationName> for Allocation {
    fn from(name: AllocationName) -> Allocation {
        match name {
            AllocationName::Uniform => Allocation::Uniform,
            AllocationName::Erk => Allocation::ErdosRenyiKernel,
            AllocationName::Global => Allocation::Global,
            AllocationName::Automatic => Allocation::AUTOMATIC,
            AllocationName::PerInstruction => Allocation::PerInstruction { exponent: 1.0 },
            AllocationName::GlobalPerInstruction => Allocation::GlobalPerInstruction,
        }
    }
}

/// How the gradients of the levels reach the rings; see [`Routing`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoutingName {
    Joint,
    Normalised,
    Ring,
    Frozen,
    /// Frozen until a share of the training is over.
    Staged(f64),
    /// Relative frequency of each level; none: all alike.
    Sampled(Vec<f64>),
    /// The densest level, and a random one with these frequencies.
    Anchored(Vec<f64>),
    /// Ring-major coefficients.
    Weighted(Vec<f64>),
}

impl Default for RoutingName {
    fn default() -> RoutingName {
        RoutingName::Sampled(Vec::new())
    }
}

impl RoutingName {
    fn routing(&self, levels: usize) -> Result<Routing, RoutingError> {
        Ok(match self {
            RoutingName::Joint => Routing::Joint,
            RoutingName::Normalised => Routing::Normalised,
            RoutingName::Ring => Routing::Ring,
            RoutingName::Frozen => Routing::Frozen,
            RoutingName::Staged(until) => Routing::Staged { until: *until },
            RoutingName::Sampled(weights) => Routing::Sampled { weights: weights.clone() },
            RoutingName::Anchored(weights) => Routing::Anchored { weights: weights.clone() },
            RoutingName::Weighted(matrix) => Routing::Weighted(RoutingMatrix::new(levels, matrix.clone())?),
        })
    }

    /// Levels that a step passes through, of so many, on average.
    pub fn passes_a_step(&self, levels: usize) -> f64 {
        let levels = levels as f64;
        match self {
            RoutingName::Frozen | RoutingName::Staged(_) | RoutingName::Sampled(_) => 1.0,
            // With equal frequencies, the random level is now and then the densest itself.
            RoutingName::Anchored(_) => 2.0 - 1.0 / levels,
            RoutingName::Joint | RoutingName::Normalised | RoutingName::Ring | RoutingName::Weighted(_) => levels,
        }
    }

    fn is_default(&self) -> bool {
        *self == RoutingName::default()
    }
}

impl std::fmt::Display for RoutingName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RoutingName::Joint => "all levels a step",
            RoutingName::Normalised => "all levels a step, normalised",
            RoutingName::Ring => "each ring from its level",
            RoutingName::Frozen => "rings in turn",
            RoutingName::Staged(_) => "rings in turn, then one level a step",
            RoutingName::Sampled(_) => "one level a step",
            RoutingName::Anchored(_) => "the densest level and one more a step",
            RoutingName::Weighted(_) => "all levels a step, weighted",
        })
    }
}

/// What the levels are; see [`Masking`]. Of a slimmable network the ladder has the shares of the channels left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskingName {
    #[default]
    Nested,
    StraightThrough,
    Dsnn,
    Slimmable,
}

impl MaskingName {
    fn is_default(&self) -> bool {
        *self == MaskingName::default()
    }
}

impl From<MaskingName> for Masking {
    fn from(name: MaskingName) -> Masking {
        match name {
            MaskingName::Nested => Masking::Nested,
            MaskingName::StraightThrough => Masking::StraightThrough,
            MaskingName::Dsnn => Masking::Dsnn,
            MaskingName::Slimmable => Masking::Slimmable,
        }
    }
}

/// When sparsity grows, as shares of the training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    pub start: f64,
    pub end: f64,
}

impl Default for Growth {
    fn default() -> Growth {
        Growth { start: 0.0, end: 0.5 }
    }
}

impl Growth {
    fn is_default(&self) -> bool {
        *self == Growth::default()
    }
}

/// All that determines a trained network. What was added later is left out of files where it has its default, so that
/// older runs stay the same runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    pub network: NetworkName,
    pub width: f64,
    /// Sparsities in per cent, falling; 0 alone trains without masks.
    pub ladder: Vec<f64>,
    pub block: BlockOption,
    pub allocation: AllocationName,
    pub measured: Measured,
    /// Training images.
    pub images: usize,
    pub epochs: usize,
    pub batch: usize,
    pub learning_rate: f64,
    pub seed: u64,
    #[serde(default, skip_serializing_if = "RoutingName::is_default")]
    pub routing: RoutingName,
    #[serde(default, skip_serializing_if = "Growth::is_default")]
    pub growth: Growth,
    #[serde(default, skip_serializing_if = "MaskingName::is_default")]
    pub masking: MaskingName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<DistillationFrom>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Share of the training after which weights are rounded to int8; 1: never.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub int8_from: f64,
    #[serde(default, skip_serializing_if = "is_false")]
    pub flip: bool,
    /// Sides of erased rectangles, at most; 0: none.
    #[serde(default, skip_serializing_if = "is_zero_pixels")]
    pub erase: u8,
    /// Whether weights are ranked by weight times gradient instead of magnitude.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_gradient: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regrowth: Option<RegrowthUntil>,
    /// Whether levels share γ and β.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared_affine: bool,
}

/// Exchange of weights after the ramp; see [`Regrowth`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegrowthUntil {
    /// Share of the training after which supports are frozen.
    pub until: f64,
    /// The share of the weights exchanged at first.
    pub share: f64,
}

/// In-place distillation; see [`Distillation`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistillationFrom {
    /// Share of the training after which it begins.
    pub start: f64,
    pub mix: f64,
    pub temperature: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

fn is_zero_pixels(value: &u8) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl Training {
    /// The network, for images of this shape.
    pub fn network(&self, images: TensorShape, classes: usize) -> Result<Network, NetworkError> {
        match self.network {
            NetworkName::ResNet8 => nn::resnet8(images, self.width, classes),
            NetworkName::ResNet9 => nn::resnet9(images, self.width, classes),
            NetworkName::MobileNetV1 => nn::mobilenet_v1(images, self.width, classes),
            NetworkName::DsCnn => nn::ds_cnn(images, self.width, classes),
        }
    }

    /// What the trainer is told.
    ///
    /// # Errors
    /// A ladder or a routing that is not one; neither comes from a plan.
    pub fn config(&self) -> Result<Config, Error> {
        let defaults = Config::default();
        Ok(Config {
            ladder: ladder(&self.ladder)?,
            masking: self.masking.into(),
            block: self.block.into(),
            allocation: self.allocation.into(),
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            seed: self.seed,
            routing: self.routing.routing(self.ladder.len()).map_err(TrainError::from)?,
            ramp: Ramp { start: self.growth.start, end: self.growth.end },
            distillation: self.distillation.map(|from| Distillation {
                start: from.start,
                mix: from.mix,
                temperature: from.temperature,
            }),
            // Magnitudes of different layers do not compare.
            saliency: if self.by_gradient || self.allocation == AllocationName::GlobalPerInstruction {
                Saliency::FirstOrder
            } else {
                Saliency::Magnitude
            },
            regrowth: self.regrowth.map(|regrowth| Regrowth { until: regrowth.until, share: regrowth.share }),
            shared_affine: self.shared_affine,
            label_smoothing: self.label_smoothing,
            int8_from: self.int8_from,
            augmentation: Augmentation { flip: self.flip, erase: self.erase, ..defaults.augmentation },
            ..defaults
        })
    }

    /// The same training with another routing: where a step passes through several levels, there are fewer epochs, so that the
    /// image passes stay what they are as near as whole epochs allow. With `split`, batches are smaller instead of steps fewer.
    pub fn routed(&mut self, routing: RoutingName, split: bool) {
        let passes = routing.passes_a_step(self.ladder.len());
        self.epochs = (self.epochs as f64 / passes).round().max(1.0) as usize;
        if split {
            self.batch = (self.batch as f64 / passes).round().max(1.0) as usize;
        }
        self.routing = routing;
    }

    /// Names the routing where it is not the default, and the batch with it; begins with a comma.
    pub fn steps(&self) -> String {
        if self.routing.is_default() { String::new() } else { format!(", {}, batches of {}", self.routing, self.batch) }
    }

    /// Image passes, forward and backward, of the whole training.
    pub fn passes(&self) -> u64 {
        let steps = self.epochs * (self.images / self.batch);
        // Each exchange of weights takes the densest level's gradient.
        let exchanges = self.regrowth.map_or(0, |RegrowthUntil { until, .. }| {
            let every = Config::default().rank_every;
            let due = self.growth.end * steps as f64..until * steps as f64;
            (0..steps).step_by(every).filter(|&step| due.contains(&(step as f64))).count()
        });
        let used = (steps * self.batch) as f64 * self.routing.passes_a_step(self.ladder.len());
        used.round() as u64 + (exchanges * self.batch) as u64
    }
}

/// A ladder of per cents.
///
/// # Errors
/// Those of [`Ladder::new`].
pub fn ladder(per_cent: &[f64]) -> Result<Ladder, LadderError> {
    Ladder::new(per_cent.iter().map(|sparsity| sparsity / 100.0).collect::<Vec<_>>())
}

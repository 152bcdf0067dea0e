//! What determines a run of an experiment, down to the last figure.
use crate::options::BlockOption;
use nested_csr::TensorShape;
use nested_mask::{
    Allocation, Ladder, LadderError, Routing,
    nn::{self, Network, NetworkError},
    schedule::Ramp,
    train::Config,
};
use serde::{Deserialize, Serialize};

/// A row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    Nested,
    StandAlone,
    Dense,
}

/// What a stand-alone network gets of the nested network's image passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// Its share: all stand-alone networks together get as many.
    A,
    /// Each gets as many.
    B,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// Choosing the learning rate.
    Tune,
    /// The comparison at the full budget.
    Full,
    /// The comparison at a small budget.
    Small,
}

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
}

impl NetworkName {
    /// Height and width of the images that the network is for, when that is not the data's own.
    pub fn side(self) -> Option<usize> {
        match self {
            NetworkName::ResNet8 => None,
            NetworkName::ResNet9 | NetworkName::MobileNetV1 => Some(32),
        }
    }
}

/// How the ladder is spread over the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllocationName {
    Uniform,
    Erk,
}

/// All that determines a trained network.
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
}

impl Training {
    /// The network, for images of this shape.
    pub fn network(&self, images: TensorShape, classes: usize) -> Result<Network, NetworkError> {
        match self.network {
            NetworkName::ResNet8 => nn::resnet8(images, self.width, classes),
            NetworkName::ResNet9 => nn::resnet9(images, self.width, classes),
            NetworkName::MobileNetV1 => nn::mobilenet_v1(images, self.width, classes),
        }
    }

    /// What the trainer is told.
    pub fn config(&self) -> Result<Config, LadderError> {
        Ok(Config {
            ladder: if self.ladder == [0.0] {
                Ladder::dense()
            } else {
                Ladder::new(self.ladder.iter().map(|per_cent| per_cent / 100.0).collect::<Vec<_>>())?
            },
            block: self.block.into(),
            allocation: match self.allocation {
                AllocationName::Uniform => Allocation::Uniform,
                AllocationName::Erk => Allocation::ErdosRenyiKernel,
            },
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            seed: self.seed,
            routing: Routing::default(),
            ramp: Ramp { start: 0.0, end: 0.5 },
            ..Config::default()
        })
    }

    /// Image passes, forward and backward, of the whole training.
    pub fn passes(&self) -> u64 {
        (self.epochs * (self.images / self.batch) * self.batch) as u64
    }
}

/// One run: a training, and what it is compared as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub suite: Suite,
    pub method: Method,
    pub budget: Option<Budget>,
    pub training: Training,
}

/// A name for files: what `value` is called, and a checksum of all of it.
pub fn file_stem(name: &str, value: &impl Serialize) -> String {
    let mut digest = flate2::Crc::new();
    // Settings hold no maps with other keys than strings, so they always have a JSON form.
    digest.update(&serde_json::to_vec(value).unwrap_or_default());
    format!("{name}-{:08x}", digest.sum())
}

impl Settings {
    /// Names the run in messages.
    pub fn name(&self) -> String {
        let training = &self.training;
        let levels: Vec<String> = training.ladder.iter().map(|level| level.to_string()).collect();
        let method = match self.method {
            Method::Nested => "nested",
            Method::StandAlone => "stand-alone",
            Method::Dense => "dense",
        };
        let block = if training.block == BlockOption::OneByOne { "" } else { " 1x2" };
        format!(
            "{method}{block} {} %, {} epochs of {}, rate {}, seed {}",
            levels.join("/"),
            training.epochs,
            training.images,
            training.learning_rate,
            training.seed
        )
    }
}

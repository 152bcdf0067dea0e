//! The networks that are counted with random weights of the right sparsity, where no trained model is at hand.
use super::Case;
use crate::{error::Error, options::BlockOption, random};
use nested_csr::{Block, Model, Profile, TensorShape};
use nested_mask::{
    Ladder,
    nn::{self, Network},
};

/// The detector's name, as a trained model of it has it.
pub const DETECTOR: &str = "ssdmobilenetv2-96x96";

/// A network with the ladder and the blocks that its weights get.
pub struct Untrained {
    pub case: Case,
    network: Network,
    block: Block,
    ladder: Ladder,
}

impl Untrained {
    fn new(name: &str, width: f64, network: Network, block: Block, ladder: Ladder) -> Untrained {
        let case = Case {
            network: name.to_owned(),
            width,
            block: if ladder == Ladder::dense() { "dense" } else { BlockOption::from(block).name() },
            weights: "random",
            sparsities: ladder.sparsities().iter().map(|sparsity| 100.0 * sparsity).collect(),
        };
        Untrained { case, network, block, ladder }
    }

    /// Whether another case is the same network of the same width and blocks.
    pub fn is(&self, other: &Case) -> bool {
        let key = |case: &Case| (case.network.clone(), case.width.to_bits(), case.block);
        key(&self.case) == key(other)
    }

    /// With weights from a fixed seed.
    pub fn model(&self) -> Result<Model<Vec<u8>>, Error> {
        const SEED: u64 = 1;
        random::model(&self.network, self.block, &self.ladder, Profile::Speed, SEED)
    }
}

/// Every network dense, and at 90, 80 and 70 % in blocks of both kinds.
pub fn zoo() -> Result<Vec<Untrained>, Error> {
    let ladder = Ladder::new([0.9, 0.8, 0.7])?;
    let variants = [(Block::OneByOne, Ladder::dense()), (Block::OneByOne, ladder.clone()), (Block::OneByTwo, ladder)];
    let of_network = |(name, width, network): (&str, f64, Network)| {
        variants.clone().map(|(block, ladder)| Untrained::new(name, width, network.clone(), block, ladder))
    };
    Ok(networks()?.into_iter().flat_map(of_network).collect())
}

fn networks() -> Result<Vec<(&'static str, f64, Network)>, Error> {
    let colour = TensorShape { channels: 3, height: 32, width: 32 };
    let grey = TensorShape { channels: 1, height: 28, width: 28 };
    let scene = TensorShape { channels: 1, height: 96, width: 96 };
    let mut networks =
        vec![("resnet8", 1.0, nn::resnet8(colour, 1.0, 10)?), ("resnet8-28x28", 0.5, nn::resnet8(grey, 0.5, 10)?)];
    for width in [1.0, 0.75, 0.5, 0.25] {
        networks.push(("resnet9", width, nn::resnet9(colour, width, 10)?));
        networks.push(("mobilenetv1", width, nn::mobilenet_v1(colour, width, 10)?));
    }
    networks.push((DETECTOR, 1.0, nn::ssd_mobilenet_v2(scene, 1.0, 10)?));
    Ok(networks)
}

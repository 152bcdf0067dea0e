//! What is unusual in a network's levels, though no error.
use super::Trained;
use nested_csr::Level;

/// What is unusual in a network's levels, though no error; [`Trained::warnings`] has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A layer has a single block of several at a level: the floor below which no layer falls, however sparse the ladder is.
    Floor {
        /// The layer.
        layer: String,
        /// The level.
        level: Level,
    },
    /// A level adds nothing in a layer: the layer is too small for sparsities so near.
    EmptyRing {
        /// The layer.
        layer: String,
        /// The level.
        level: Level,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::Floor { layer, level } => {
                write!(f, "layer `{layer}` has only one block at level {level}, the least it may have")
            }
            Warning::EmptyRing { layer, level } => {
                write!(f, "layer `{layer}` has no more weights at level {level} than below it")
            }
        }
    }
}

impl Trained {
    /// What is unusual in the masks as they are now.
    ///
    /// ```
    /// use nested_csr::TensorShape;
    /// use nested_mask::nn::resnet8;
    /// use nested_mask::train::{Config, Trainer};
    /// use nested_mask::{Allocation, Block, Ladder, Level};
    ///
    /// let shape = TensorShape { channels: 1, height: 8, width: 8 };
    /// let dense = Trainer::new(resnet8(shape, 0.0625, 2)?, Config { ladder: Ladder::dense(), ..Config::default() })?;
    /// let pruned = dense.trained().pruned(Level::FIRST, &Ladder::new([0.99])?, Allocation::Uniform, Block::OneByOne)?;
    /// // One channel of nine weights cannot lose 99 % of them.
    /// let first = pruned.warnings()[0].to_string();
    /// assert_eq!(first, "layer `stack1.conv1` has only one block at level 1, the least it may have");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (node, layer) in self.network.nodes().iter().zip(&self.parameters.layers) {
            let Some(mask) = layer.as_ref().and_then(|layer| layer.mask.as_ref()) else { continue };
            let mut below = 0;
            for level in mask.levels().up_to() {
                let (layer, count) = (node.name.clone(), mask.count(level));
                if count == below {
                    warnings.push(Warning::EmptyRing { layer, level });
                } else if mask.blocks(level) == 1 && count < mask.rings().len() {
                    warnings.push(Warning::Floor { layer, level });
                }
                below = count;
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Block, Ladder, NestedMask,
        nn::{Finish, NetworkBuilder, Parameters},
        train::Normalization,
    };
    use ndarray::{Array2, array};
    use nested_csr::{TensorShape, Window};

    /// One sparse layer `it`, two rows of three columns, with these rings.
    fn warnings(rings: Array2<u8>, block: Block) -> Vec<Warning> {
        let mut b = NetworkBuilder::new(TensorShape { channels: 3, height: 1, width: 1 });
        b.convolution("it", b.input(), Window::square(1, 1, 0), 2, Finish::BIAS.sparse()).unwrap();
        let network = b.finish().unwrap();
        let ladder = Ladder::new([0.8, 0.5]).unwrap();
        let mut parameters = Parameters::random(&network, ladder.levels(), 1);
        let mask = NestedMask::from_rings(rings, ladder.levels(), block).unwrap();
        parameters.layers[0].as_mut().unwrap().mask = Some(mask);
        Trained { network, parameters, ladder, block, normalization: Normalization { mean: 0, deviation: 1.0 } }
            .warnings()
    }

    #[test]
    fn an_empty_ring_is_no_floor_and_a_floor_is_one_block() {
        let (first, second) = (Level::FIRST, Level::new(2).unwrap());
        let floor = |level| Warning::Floor { layer: "it".into(), level };
        let empty = |level| Warning::EmptyRing { layer: "it".into(), level };
        let one = Block::OneByOne;
        assert_eq!(warnings(array![[1, 1, 2], [0, 0, 0]], one), []);
        assert_eq!(warnings(array![[1, 1, 0], [0, 0, 0]], one), [empty(second)]);
        assert_eq!(warnings(array![[2, 2, 0], [0, 0, 0]], one), [empty(first)]);
        assert_eq!(warnings(array![[1, 0, 0], [0, 0, 0]], one), [floor(first), empty(second)]);
        let two = Block::OneByTwo;
        assert_eq!(warnings(array![[1, 1, 2], [0, 0, 0]], two), [floor(first)]);
        assert_eq!(warnings(array![[0, 0, 1], [0, 0, 2]], two), [floor(first)]);
        // An odd last column is a block alone: as many weights as one block has are two.
        assert_eq!(warnings(array![[0, 0, 1], [2, 2, 1]], two), []);
        let text = empty(second).to_string();
        assert_eq!(text, "layer `it` has no more weights at level 2 than below it");
    }
}

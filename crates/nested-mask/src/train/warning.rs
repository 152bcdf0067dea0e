//! What is unusual in a network's levels, though no error.
use super::Trained;
use nested_csr::Level;

/// What is unusual in a network's levels, though no error; [`Trained::warnings`] has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A layer has a single block at a level: the floor below which no layer falls, however sparse the ladder is.
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
                } else if count <= mask.block().width() && count < mask.rings().len() {
                    warnings.push(Warning::Floor { layer, level });
                }
                below = count;
            }
        }
        warnings
    }
}

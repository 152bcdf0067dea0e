//! Writing: matrices and models, from int8 weights and the ring of each weight.
use crate::{
    Block, FormatError, Level, Model, NestedCsr, Quantization, Requantization, Shape, TensorId, TensorShape, Window,
};
use alloc::vec::Vec;

/// What the encoder prefers when it chooses an index code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The fewest bytes.
    #[default]
    Size,
    /// Cheap decoding on a Cortex-M.
    Speed,
}

impl NestedCsr<Vec<u8>> {
    /// Compresses a row-major matrix. `rings[i]` is the ring of weight `i`: 1..=levels, or 0 when it is pruned.
    ///
    /// A 1×1 weight of value 0 is not stored; a 1×2 block is stored when either weight is not 0, at the smaller ring of those of its weights that are in a ring.
    ///
    /// # Errors
    /// Lengths that differ from the shape, a ring above `levels`, a non-zero weight outside every level, 1×2 blocks whose two weights are in different rings.
    pub fn compress(
        shape: Shape,
        block: Block,
        levels: Level,
        weights: &[i8],
        rings: &[u8],
        profile: Profile,
    ) -> Result<Self, FormatError> {
        let _ = (shape, block, levels, weights, rings, profile);
        todo!()
    }
}

/// The weights of a convolution that is added to a model.
#[derive(Clone, Copy, Debug)]
pub enum ConvolutionWeights<'a> {
    /// Nested sparse: row-major weights and the ring of each (see [`NestedCsr::compress`]).
    Sparse {
        /// The block.
        block: Block,
        /// Row-major, `rows · columns`.
        weights: &'a [i8],
        /// One a weight.
        rings: &'a [u8],
    },
    /// Dense: the same at each level.
    Dense(&'a [i8]),
}

/// What one level says of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeLevel {
    /// Quantisation of the node's output.
    pub output: Quantization,
    /// Least output value.
    pub low: i8,
    /// Greatest output value.
    pub high: i8,
    /// See [`crate::NodeParameters::input_weights`].
    pub input_weights: [i16; 2],
    /// See [`crate::NodeParameters::rows`].
    pub rows: Vec<Requantization>,
}

/// Puts a model together, node by node, then writes it as bytes.
#[derive(Clone, Debug)]
pub struct ModelBuilder {}

impl ModelBuilder {
    /// A model of `levels` levels that reads an image of this shape.
    pub fn new(levels: Level, input: TensorShape, quantization: Quantization) -> Result<Self, FormatError> {
        let _ = (levels, input, quantization);
        todo!()
    }
    /// The input's tensor.
    pub fn input(&self) -> TensorId {
        TensorId(0)
    }
    /// Shape of a tensor made so far.
    pub fn shape(&self, tensor: TensorId) -> Option<TensorShape> {
        let _ = tensor;
        todo!()
    }
    /// A convolution with `rows` output channels; `levels` holds one entry a level. `name` is for reports; it may be empty.
    pub fn convolution(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        rows: usize,
        weights: ConvolutionWeights<'_>,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let _ = (name, input, window, rows, weights, levels);
        todo!()
    }
    /// A depthwise convolution.
    pub fn depthwise(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        weights: &[i8],
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let _ = (name, input, window, weights, levels);
        todo!()
    }
    /// The sum of two tensors of one shape.
    pub fn add(
        &mut self,
        name: &str,
        left: TensorId,
        right: TensorId,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let _ = (name, left, right, levels);
        todo!()
    }
    /// An average pool.
    pub fn average_pool(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let _ = (name, input, window, levels);
        todo!()
    }
    /// A max pool.
    pub fn max_pool(&mut self, name: &str, input: TensorId, window: Window) -> Result<TensorId, FormatError> {
        let _ = (name, input, window);
        todo!()
    }
    /// Writes the file.
    ///
    /// # Errors
    /// A row whose `bias + extreme dot product` exceeds ±2³¹ at some level, an empty graph.
    pub fn finish(self, profile: Profile) -> Result<Model<Vec<u8>>, FormatError> {
        let _ = profile;
        todo!()
    }
}

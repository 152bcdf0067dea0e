//! The model container: a graph, dense tensors, nested layers and each level's requantisation.
use crate::{FormatError, Level, Multiplier, Node, Quantization, Requantization, TensorShape};

/// A checked model over any bytes.
#[derive(Clone, Debug)]
pub struct Model<B> {
    bytes: B,
}

impl<B: AsRef<[u8]>> Model<B> {
    /// Checks all of `bytes` once, without allocating.
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let _ = &bytes;
        todo!()
    }
    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }
    /// The densest level held.
    pub fn levels(&self) -> Level {
        todo!()
    }
    /// Shape of the input image.
    pub fn input_shape(&self) -> TensorShape {
        todo!()
    }
    /// Quantisation of the input: the same at each level.
    pub fn input_quantization(&self) -> Quantization {
        todo!()
    }
    /// Nodes in the graph; at least 1.
    pub fn node_count(&self) -> usize {
        todo!()
    }
    /// Node `index`, O(1). `None` past the end.
    pub fn node(&self, index: usize) -> Option<Node<'_>> {
        let _ = index;
        todo!()
    }
    /// Shape of the output (the last node's).
    pub fn output_shape(&self) -> TensorShape {
        todo!()
    }
    /// What node `index` needs at `level` to make its output, O(1).
    pub fn parameters(&self, level: Level, index: usize) -> Option<NodeParameters<'_>> {
        let _ = (level, index);
        todo!()
    }
    /// The bytes that serve levels `1..=level`: a valid file.
    pub fn prefix(&self, level: Level) -> Result<&[u8], FormatError> {
        let _ = level;
        todo!()
    }
}

/// A node's requantisation at one level.
#[derive(Clone, Copy, Debug)]
pub struct NodeParameters<'a> {
    /// Quantisation of the tensor that the node makes.
    pub output: Quantization,
    /// Least output value (ReLU: the zero point).
    pub low: i8,
    /// Greatest output value.
    pub high: i8,
    /// Integer weights of the operands of `Add` (left, right) or of the sum of `AveragePool` (first); 0 otherwise.
    pub input_weights: [i16; 2],
    /// One a row for convolution and depthwise; one in all for add and average pool; none for max pool.
    pub rows: Requantizations<'a>,
}

/// Each row's requantisation, in order.
#[derive(Clone, Copy, Debug)]
pub struct Requantizations<'a> {
    bytes: &'a [u8],
}

impl Requantizations<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Row `row`'s, O(1). Past the end: a requantisation that yields 0, never a panic.
    pub fn get(&self, row: usize) -> Requantization {
        let _ = row;
        Requantization { multiplier: Multiplier::from_code(0), bias: 0 }
    }
}

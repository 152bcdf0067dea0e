//! The description of a network: a graph whose operations are those of a `nested_csr` model, with what training adds to
//! them (normalisation, activation, whether the weights are nested).
use crate::detect::Anchors;
use nested_csr::{TensorId, TensorShape, Window};

/// What follows a node's sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// What is added to a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affine {
    /// Batch normalisation, with parameters and statistics of each level.
    Norm,
    /// One bias a row, shared by all levels.
    Bias,
}

/// How a convolution or depthwise node is finished, and whether its weights are nested.
///
/// ```
/// use nested_mask::nn::{Activation, Affine, Finish};
/// let finish = Finish::NORM.then(Activation::Relu).sparse();
/// assert_eq!(finish, Finish { affine: Affine::Norm, activation: Activation::Relu, sparse: true });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// Normalisation or bias.
    pub affine: Affine,
    /// The activation.
    pub activation: Activation,
    /// Whether the weights are nested sparse.
    pub sparse: bool,
}

impl Finish {
    /// Batch normalisation, dense weights, no activation.
    pub const NORM: Finish = Finish { affine: Affine::Norm, activation: Activation::Identity, sparse: false };
    /// Bias, dense weights, no activation.
    pub const BIAS: Finish = Finish { affine: Affine::Bias, activation: Activation::Identity, sparse: false };

    /// The same with this activation.
    pub const fn then(self, activation: Activation) -> Finish {
        Finish { activation, ..self }
    }

    /// The same with nested sparse weights.
    pub const fn sparse(self) -> Finish {
        Finish { sparse: true, ..self }
    }
}

/// What a node computes; see [`nested_csr::Operation`] for the exact sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// A convolution; fully connected when the kernel is the whole map.
    Convolution {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
        /// Output channels.
        rows: usize,
        /// What follows.
        finish: Finish,
    },
    /// One filter a channel.
    Depthwise {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
        /// What follows (never sparse).
        finish: Finish,
    },
    /// The sum of two tensors.
    Add {
        /// First operand.
        left: TensorId,
        /// Second operand.
        right: TensorId,
        /// What follows.
        activation: Activation,
    },
    /// The mean of a window.
    AveragePool {
        /// The tensor read.
        input: TensorId,
        /// Its geometry; no padding.
        window: Window,
    },
    /// The greatest of a window.
    MaxPool {
        /// The tensor read.
        input: TensorId,
        /// Its geometry; no padding.
        window: Window,
    },
    /// The elements of two tensors, one tensor's after the other's.
    Concatenation {
        /// The tensor whose elements come first.
        left: TensorId,
        /// The tensor whose elements come after.
        right: TensorId,
    },
}

/// A named operation; node `i` makes tensor `i + 1`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Unique in its network.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Shape of the tensor it makes.
    pub output: TensorShape,
}

/// A checked network: what it computes, without its weights.
///
/// ```
/// use nested_csr::{Shape, TensorId, TensorShape};
/// use nested_mask::nn::{Operation, resnet8};
///
/// let network = resnet8(TensorShape { channels: 1, height: 28, width: 28 }, 0.5, 10)?;
/// assert_eq!((network.classes(), network.outputs(), network.anchors()), (10, 10, None));
/// // Node 0 makes tensor 1; its weights are 8 rows of 3 · 3 · 1 columns.
/// let first = &network.nodes()[0];
/// assert_eq!((&first.name[..], network.shape(TensorId(1))), ("conv1", Some(first.output)));
/// assert!(matches!(first.operation, Operation::Convolution { input: TensorId(0), rows: 8, .. }));
/// assert_eq!(network.weights(0), Some(Shape { rows: 8, columns: 9 }));
/// let sparse = (0..network.nodes().len()).filter(|&node| network.finish(node).is_some_and(|finish| finish.sparse));
/// assert_eq!(sparse.count(), 6);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub(super) input: TensorShape,
    pub(super) nodes: Vec<Node>,
    pub(super) anchors: Option<Anchors>,
    pub(super) epsilon: f64,
}

impl Network {
    /// Shape of an image.
    pub fn input(&self) -> TensorShape {
        self.input
    }

    /// The nodes, in the order in which they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Values that the last node yields.
    pub fn outputs(&self) -> usize {
        self.nodes.last().map_or(0, |node| node.output.len())
    }

    /// Classes that it tells apart; of a detector without the background.
    pub fn classes(&self) -> usize {
        self.anchors.as_ref().map_or(self.outputs(), Anchors::classes)
    }

    /// What the values of a detector mean; `None` for a classifier.
    pub fn anchors(&self) -> Option<&Anchors> {
        self.anchors.as_ref()
    }

    /// ε of its batch normalisations, which is added to a variance before its root is taken.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Shape of a tensor; `None` when there is no such tensor.
    pub fn shape(&self, tensor: TensorId) -> Option<TensorShape> {
        shape(self.input, &self.nodes, tensor)
    }

    /// Rows and columns of a node's weights; `None` when it has none.
    pub fn weights(&self, node: usize) -> Option<nested_csr::Shape> {
        let (rows, columns) = match self.nodes.get(node)?.operation {
            Operation::Convolution { input, window, rows, .. } => (rows, taps(window) * self.shape(input)?.channels),
            Operation::Depthwise { input, window, .. } => (self.shape(input)?.channels, taps(window)),
            _ => return None,
        };
        Some(nested_csr::Shape { rows, columns })
    }

    /// How a node is finished; `None` when it has no weights.
    pub fn finish(&self, node: usize) -> Option<Finish> {
        match self.nodes.get(node)?.operation {
            Operation::Convolution { finish, .. } | Operation::Depthwise { finish, .. } => Some(finish),
            _ => None,
        }
    }
}

fn taps(window: Window) -> usize {
    usize::from(window.kernel[0]) * usize::from(window.kernel[1])
}

/// Shape of a tensor of the nodes so far.
pub(super) fn shape(input: TensorShape, nodes: &[Node], tensor: TensorId) -> Option<TensorShape> {
    match usize::from(tensor.0).checked_sub(1) {
        None => Some(input),
        Some(node) => nodes.get(node).map(|node| node.output),
    }
}

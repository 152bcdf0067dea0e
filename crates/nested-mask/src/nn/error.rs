//! What can be wrong with a network.
use crate::detect::AnchorsError;
use nested_csr::{TensorShape, Window};

/// What can be wrong with a network.
///
/// ```
/// use nested_csr::{TensorShape, Window};
/// use nested_mask::nn::{Finish, NetworkBuilder, NetworkError};
/// let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 2, width: 8 });
/// let window = Window::square(3, 1, 0);
/// let error = b.convolution("first", b.input(), window, 4, Finish::NORM);
/// assert_eq!(error, Err(NetworkError::Window { node: "first".into(), window, height: 2, width: 8 }));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A tensor that is not made yet.
    #[error("node `{node}` reads tensor {tensor}, which no earlier node makes")]
    NoSuchTensor {
        /// The node.
        node: String,
        /// The tensor.
        tensor: u16,
    },
    /// A window that does not fit its input, or a padding not below its kernel.
    #[error("node `{node}`: {window:?} does not fit an input of {height}×{width}")]
    Window {
        /// The node.
        node: String,
        /// Its window.
        window: Window,
        /// Height of the input.
        height: usize,
        /// Width of the input.
        width: usize,
    },
    /// Operands of a sum that differ in shape.
    #[error("node `{node}` adds {left:?} and {right:?}")]
    Shapes {
        /// The node.
        node: String,
        /// First operand.
        left: TensorShape,
        /// Second operand.
        right: TensorShape,
    },
    /// A name that is taken.
    #[error("two nodes are named `{node}`")]
    Name {
        /// The name.
        node: String,
    },
    /// No image or no node.
    #[error("{what} is empty")]
    Empty {
        /// What is.
        what: &'static str,
    },
    /// A node without channels or pixels: of a classifier's last one, there is no class.
    #[error("node `{node}` makes an empty tensor: {} × {} × {}", shape.channels, shape.height, shape.width)]
    EmptyTensor {
        /// The node.
        node: String,
        /// What it makes.
        shape: TensorShape,
    },
    /// A map that no window covers whole.
    #[error("node `{node}` takes a whole map of {height}×{width}: it may be at most 255×255")]
    WholeMap {
        /// The node.
        node: String,
        /// Height of the map.
        height: usize,
        /// Width of the map.
        width: usize,
    },
    /// A width that is not above 0, or that makes a layer of more channels than a model holds.
    #[error("width {width}: it must be above 0 and leave each layer at most 65535 channels")]
    Width {
        /// What was given.
        width: f64,
    },
    /// Anchors that do not fit the last node.
    #[error(transparent)]
    Anchors(#[from] AnchorsError),
    /// The last node does not yield one value a class.
    #[error("the last node yields {shape:?}; a classifier ends in classes × 1 × 1")]
    Output {
        /// Its shape.
        shape: TensorShape,
    },
    /// A pool with padding, or a sparse depthwise convolution.
    #[error("node `{node}`: {what} is not supported")]
    Unsupported {
        /// The node.
        node: String,
        /// What is not.
        what: &'static str,
    },
    /// More channels, rows or columns than a model's shapes can say, as of a long concatenation.
    #[error(
        "`{node}` has {values} channels, rows or columns; a model holds at most 65535: take fewer, a smaller image or fewer classes"
    )]
    TooManyValues {
        /// The node; `the image` when it is that.
        node: String,
        /// How many there are.
        values: usize,
    },
    /// An ε of batch normalisation that is not positive and finite.
    #[error("batch normalisation divides by √(variance + {epsilon}); ε must be positive and finite")]
    Epsilon {
        /// What it is.
        epsilon: f64,
    },
    /// More nodes than tensor numbers.
    #[error("more than 65535 nodes")]
    TooLong,
}

/// How parameters are not those of a network; [`super::Parameters::check`] has an example.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// A number of layers that is not that of the nodes (`None` for nodes without weights).
    #[error("parameters of {found} nodes for a network of {nodes}")]
    Nodes {
        /// How many there are.
        found: usize,
        /// The network's nodes.
        nodes: usize,
    },
    /// A part of a layer that is not as long as the node or the levels ask for.
    #[error("node `{node}`: {found} {what}, not {expected}")]
    Count {
        /// The node.
        node: String,
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it needs.
        expected: usize,
    },
    /// A weight, bias or normalisation that is not a finite number.
    #[error("node `{node}`: a parameter is not finite")]
    NotFinite {
        /// The node.
        node: String,
    },
    /// A running variance below 0.
    #[error("node `{node}`: the variance of row {row} at level {level} is {variance}: it must not be negative")]
    Variance {
        /// The node.
        node: String,
        /// The level.
        level: usize,
        /// The row.
        row: usize,
        /// The variance.
        variance: f64,
    },
    /// A row to start a training from whose γ is negative at one level and positive at another: levels share its weights, whose
    /// sign can make γ positive at all levels or at none.
    #[error("node `{node}`: γ of row {row} is negative at one level and positive at another, which share its weights")]
    Signs {
        /// The node.
        node: String,
        /// The row.
        row: usize,
    },
}

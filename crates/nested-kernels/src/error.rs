//! What can be wrong before a network or a kernel runs.
use nested_csr::{FormatError, Padding, Shape, TensorShape};

/// Why nothing was run. No kernel has touched its output when one of these is returned, but for
/// [`KernelError::WeightsChanged`].
///
/// ```
/// use nested_kernels::{KernelError, Softmax};
///
/// let error = Softmax::new(0.1).apply(&[1, 2, 3], &mut [0; 2]);
/// assert_eq!(error, Err(KernelError::OutputLength { needed: 3, given: 2 }));
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The model has more nodes than a memory plan holds.
    #[error("the model has {nodes} nodes, a network holds at most {most}")]
    TooManyNodes {
        /// Nodes of the model.
        nodes: usize,
        /// See [`crate::MAX_NODES`].
        most: usize,
    },
    /// The model does not hold this level.
    #[error("no level {level}: the model holds levels 1..={levels}")]
    NoSuchLevel {
        /// The level asked for.
        level: usize,
        /// The densest level held.
        levels: usize,
    },
    /// The arena is too short for this model.
    #[error("the arena is too short: {needed} bytes needed, {given} given")]
    ArenaTooShort {
        /// Bytes needed: see [`crate::Network::arena_len`].
        needed: usize,
        /// Bytes given.
        given: usize,
    },
    /// A kernel's scratch is too short.
    #[error("the scratch is too short: {needed} words needed, {given} given")]
    ScratchTooShort {
        /// Words needed.
        needed: usize,
        /// Words given.
        given: usize,
    },
    /// The input has the wrong length.
    #[error("the input has {given} elements, {needed} needed")]
    InputLength {
        /// Elements needed.
        needed: usize,
        /// Elements given.
        given: usize,
    },
    /// The output has the wrong length.
    #[error("the output has {given} elements, {needed} needed")]
    OutputLength {
        /// Elements needed.
        needed: usize,
        /// Elements given.
        given: usize,
    },
    /// The dense weights do not fit the geometry.
    #[error("weights of {given} elements, the geometry needs {needed}")]
    WeightsLength {
        /// Weights that the geometry needs.
        needed: usize,
        /// Weights given.
        given: usize,
    },
    /// Weights that are kept in a way that this version does not know.
    #[error("weights of a kind that this version does not know")]
    UnknownWeights,
    /// The sparse weights do not fit the geometry.
    #[error("weights of {} rows and {} columns, the geometry needs {} and {}", .given.rows, .given.columns, .needed.rows, .needed.columns)]
    WeightsShape {
        /// A row for each output channel, a column for each tap.
        needed: Shape,
        /// The matrix's.
        given: Shape,
    },
    /// Not one requantisation a row.
    #[error("{given} requantisations, {needed} needed")]
    Requantizations {
        /// Requantisations needed.
        needed: usize,
        /// Requantisations given.
        given: usize,
    },
    /// Input, window and output do not belong together.
    #[error("the output's shape is not what the window makes of the input's")]
    Geometry,
    /// An input or an output without elements.
    #[error(
        "a map without elements: {}×{}×{} in, {}×{}×{} out",
        .input.channels, .input.height, .input.width, .output.channels, .output.height, .output.width
    )]
    Empty {
        /// Shape of the input.
        input: TensorShape,
        /// Shape of the output.
        output: TensorShape,
    },
    /// A depthwise convolution or a pool keeps the channels.
    #[error("{given} channels out, where there must be as many as in: {needed}")]
    Channels {
        /// Channels of the input.
        needed: usize,
        /// Channels of the output.
        given: usize,
    },
    /// An average pool takes no padding.
    #[error("an average pool takes no padding, here {} + {} lines and {} + {} columns", .0.top, .0.bottom, .0.left, .0.right)]
    PaddedPool(Padding),
    /// The model's last node is not a detection.
    #[error("the model does not end in a detection")]
    NoDetection,
    /// The layer is larger than this build can address.
    #[error("the layer is too large for this build")]
    TooLarge,
    /// The weights say something else than when they were checked: the model's bytes changed while it was in use.
    #[error("the weights are not those that were checked: the model's bytes have changed")]
    WeightsChanged,
    /// A node of a model cannot run.
    #[error("node {node}: {fault}")]
    Node {
        /// The node's index.
        node: usize,
        /// What is wrong with it.
        fault: NodeFault,
    },
    /// The model's bytes say something impossible.
    #[error(transparent)]
    Format(FormatError),
}

impl From<FormatError> for KernelError {
    /// [`FormatError::NoSuchLevel`] becomes [`KernelError::NoSuchLevel`].
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::NoSuchLevel { level, levels } => KernelError::NoSuchLevel { level, levels },
            error => KernelError::Format(error),
        }
    }
}

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeFault {
    /// It is not in the model, or has no parameters at some level.
    #[error("missing from the model")]
    Missing,
    /// It reads a tensor that is not made before it.
    #[error("reads a tensor that is not made before it")]
    Order,
    /// Its shapes do not belong together.
    #[error("shapes that do not belong together")]
    Shape,
    /// Its weights do not fit its window.
    #[error("weights that do not fit its window")]
    Weights,
    /// Not the right number of requantisations.
    #[error("the wrong number of requantisations")]
    Requantizations,
    /// It is too large to be addressed.
    #[error("too large to be addressed")]
    TooLarge,
    /// It computes something, or has weights, that this version does not know.
    #[error("an operation or weights that this version does not know")]
    Unknown,
}

//! The description of a network: a graph whose operations are those of a `nested_csr` model, with what training adds to
//! them (normalisation, activation, whether the weights are nested).
use crate::detect::{Anchors, AnchorsError};
use nested_csr::{TensorId, TensorShape, Window};

/// What follows a node's sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
pub struct Node {
    /// Unique in its network.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Shape of the tensor it makes.
    pub output: TensorShape,
}

/// What can be wrong with a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// No channel, no pixel, no node or no class.
    #[error("{what} is empty")]
    Empty {
        /// What is.
        what: &'static str,
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
    /// A concatenation longer than a model's shapes can say.
    #[error("node `{node}` joins {values} values; a model holds at most 65535: take a smaller image or fewer classes")]
    TooManyValues {
        /// The node.
        node: String,
        /// Its elements.
        values: usize,
    },
    /// More nodes than tensor numbers.
    #[error("more than 65534 nodes")]
    TooLong,
}

/// A checked network: what it computes, without its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    input: TensorShape,
    pub(super) nodes: Vec<Node>,
    anchors: Option<Anchors>,
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

fn shape(input: TensorShape, nodes: &[Node], tensor: TensorId) -> Option<TensorShape> {
    match usize::from(tensor.0).checked_sub(1) {
        None => Some(input),
        Some(node) => nodes.get(node).map(|node| node.output),
    }
}

/// Puts a network together, node by node.
///
/// ```
/// use nested_csr::{TensorShape, Window};
/// use nested_mask::nn::{Activation, Finish, NetworkBuilder};
///
/// let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 8, width: 8 });
/// let input = b.input();
/// let x = b.convolution("first", input, Window::square(3, 1, 1), 4, Finish::NORM.then(Activation::Relu))?;
/// let x = b.convolution("second", x, Window::square(3, 1, 1), 4, Finish::NORM.then(Activation::Relu).sparse())?;
/// let x = b.global_average_pool("pool", x)?;
/// b.fully_connected("logits", x, 10)?;
/// assert_eq!(b.finish()?.classes(), 10);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NetworkBuilder {
    input: TensorShape,
    nodes: Vec<Node>,
}

impl NetworkBuilder {
    /// A network that reads images of this shape.
    pub fn new(input: TensorShape) -> NetworkBuilder {
        NetworkBuilder { input, nodes: Vec::new() }
    }

    /// The images' tensor.
    pub fn input(&self) -> TensorId {
        TensorId(0)
    }

    /// Shape of a tensor made so far; `None` when there is no such tensor.
    pub fn shape(&self, tensor: TensorId) -> Option<TensorShape> {
        shape(self.input, &self.nodes, tensor)
    }

    /// A convolution with `rows` output channels.
    ///
    /// # Errors
    /// [`NetworkError`], as in all these methods.
    pub fn convolution(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        rows: usize,
        finish: Finish,
    ) -> Result<TensorId, NetworkError> {
        let (height, width) = self.slide(name, input, window)?;
        let output = TensorShape { channels: rows, height, width };
        self.push(name, Operation::Convolution { input, window, rows, finish }, output)
    }

    /// A depthwise convolution: one filter a channel.
    ///
    /// # Errors
    /// [`NetworkError`]; a sparse finish is unsupported.
    pub fn depthwise(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        finish: Finish,
    ) -> Result<TensorId, NetworkError> {
        if finish.sparse {
            return Err(NetworkError::Unsupported { node: name.into(), what: "a sparse depthwise convolution" });
        }
        let (height, width) = self.slide(name, input, window)?;
        let output = TensorShape { height, width, ..self.read(name, input)? };
        self.push(name, Operation::Depthwise { input, window, finish }, output)
    }

    /// The sum of two tensors of one shape.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn add(
        &mut self,
        name: &str,
        left: TensorId,
        right: TensorId,
        activation: Activation,
    ) -> Result<TensorId, NetworkError> {
        let (a, b) = (self.read(name, left)?, self.read(name, right)?);
        if a != b {
            return Err(NetworkError::Shapes { node: name.into(), left: a, right: b });
        }
        self.push(name, Operation::Add { left, right, activation }, a)
    }

    /// The mean of each window, without padding.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn average_pool(&mut self, name: &str, input: TensorId, window: Window) -> Result<TensorId, NetworkError> {
        let output = self.pool(name, input, window)?;
        self.push(name, Operation::AveragePool { input, window }, output)
    }

    /// The mean of the whole map; maps of up to 255 × 255.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn global_average_pool(&mut self, name: &str, input: TensorId) -> Result<TensorId, NetworkError> {
        let window = self.whole_map(name, input)?;
        self.average_pool(name, input, window)
    }

    /// The greatest of each window, without padding.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn max_pool(&mut self, name: &str, input: TensorId, window: Window) -> Result<TensorId, NetworkError> {
        let output = self.pool(name, input, window)?;
        self.push(name, Operation::MaxPool { input, window }, output)
    }

    /// The elements of `left`, then those of `right`, channel-major, as channels of one pixel.
    ///
    /// # Errors
    /// [`NetworkError`]; a model holds at most 65,535 of them.
    pub fn concatenate(&mut self, name: &str, left: TensorId, right: TensorId) -> Result<TensorId, NetworkError> {
        let channels = self.read(name, left)?.len() + self.read(name, right)?.len();
        if channels > usize::from(u16::MAX) {
            return Err(NetworkError::TooManyValues { node: name.into(), values: channels });
        }
        let output = TensorShape { channels, height: 1, width: 1 };
        self.push(name, Operation::Concatenation { left, right }, output)
    }

    /// A dense fully connected layer with bias: a convolution whose kernel is the whole map.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn fully_connected(&mut self, name: &str, input: TensorId, rows: usize) -> Result<TensorId, NetworkError> {
        let window = self.whole_map(name, input)?;
        self.convolution(name, input, window, rows, Finish::BIAS)
    }

    /// The network.
    ///
    /// # Errors
    /// [`NetworkError::Empty`], [`NetworkError::Output`].
    pub fn finish(self) -> Result<Network, NetworkError> {
        let Some(last) = self.nodes.last() else {
            return Err(NetworkError::Empty { what: "the network" });
        };
        if last.output.height != 1 || last.output.width != 1 {
            return Err(NetworkError::Output { shape: last.output });
        }
        Ok(Network { input: self.input, nodes: self.nodes, anchors: None })
    }

    /// A detector: the last node yields the values of these anchors.
    ///
    /// # Errors
    /// [`NetworkError::Empty`], [`NetworkError::Anchors`].
    pub fn finish_detector(self, anchors: Anchors) -> Result<Network, NetworkError> {
        let found = self.nodes.last().ok_or(NetworkError::Empty { what: "the network" })?.output.len();
        let expected = anchors.outputs();
        if found != expected {
            return Err(AnchorsError::Values { expected, found }.into());
        }
        Ok(Network { input: self.input, nodes: self.nodes, anchors: Some(anchors) })
    }

    fn read(&self, name: &str, tensor: TensorId) -> Result<TensorShape, NetworkError> {
        shape(self.input, &self.nodes, tensor)
            .ok_or_else(|| NetworkError::NoSuchTensor { node: name.into(), tensor: tensor.0 })
    }

    fn slide(&self, name: &str, input: TensorId, window: Window) -> Result<(usize, usize), NetworkError> {
        let TensorShape { height, width, .. } = self.read(name, input)?;
        let bad = || NetworkError::Window { node: name.into(), window, height, width };
        let p = window.padding;
        let [kh, kw] = window.kernel;
        if p.top.max(p.bottom) >= kh || p.left.max(p.right) >= kw {
            return Err(bad());
        }
        window.output(height, width).ok_or_else(bad)
    }

    fn pool(&self, name: &str, input: TensorId, window: Window) -> Result<TensorShape, NetworkError> {
        if window.padding != nested_csr::Padding::default() {
            return Err(NetworkError::Unsupported { node: name.into(), what: "a pool with padding" });
        }
        let (height, width) = self.slide(name, input, window)?;
        Ok(TensorShape { height, width, ..self.read(name, input)? })
    }

    fn whole_map(&self, name: &str, input: TensorId) -> Result<Window, NetworkError> {
        let TensorShape { height, width, .. } = self.read(name, input)?;
        match (u8::try_from(height), u8::try_from(width)) {
            (Ok(h), Ok(w)) => Ok(Window { kernel: [h, w], ..Window::square(1, 1, 0) }),
            _ => Err(NetworkError::Window { node: name.into(), window: Window::square(0, 1, 0), height, width }),
        }
    }

    fn push(&mut self, name: &str, operation: Operation, output: TensorShape) -> Result<TensorId, NetworkError> {
        if output.is_empty() || self.input.is_empty() {
            return Err(NetworkError::Empty { what: "a tensor" });
        }
        if self.nodes.iter().any(|node| node.name == name) {
            return Err(NetworkError::Name { node: name.into() });
        }
        self.nodes.push(Node { name: name.into(), operation, output });
        u16::try_from(self.nodes.len()).map(TensorId).map_err(|_| NetworkError::TooLong)
    }
}

//! The operations of a model and the shapes of its tensors.

/// Shape of one image's activations, stored channel-major: index `(c · height + y) · width + x`.
///
/// ```
/// let image = nested_csr::TensorShape { channels: 3, height: 4, width: 5 };
/// let pixels: Vec<u8> = (0..60).collect();
/// let index = |c, y, x| (c * image.height + y) * image.width + x;
/// assert_eq!((image.len(), pixels[index(2, 0, 1)]), (60, 41));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorShape {
    /// Channels.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
}

impl TensorShape {
    /// Elements; it saturates.
    pub const fn len(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }
    /// Whether it has no element.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Tensor 0 is the model's input; node `i` makes tensor `i + 1`; the last tensor is the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u16);

/// Pixels of padding on each side; a padded element is the input's zero point (an average pool counts only real ones: it takes no padding).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Padding {
    pub top: u8,
    pub left: u8,
    pub bottom: u8,
    pub right: u8,
}

/// The geometry of a sliding window.
///
/// ```
/// use nested_csr::{Padding, Window};
/// // 3×3 at every second pixel, one pixel of padding around: a map of 32 × 32 becomes one of 16 × 16.
/// assert_eq!(Window::square(3, 2, 1).output(32, 32), Some((16, 16)));
/// // A kernel as large as the map, as a fully connected layer has it.
/// let whole = Window { kernel: [4, 8], stride: 1, padding: Padding::default() };
/// assert_eq!((whole.output(4, 8), whole.output(3, 8)), (Some((1, 1)), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width of the kernel, in taps.
    pub kernel: [u8; 2],
    /// Step in pixels, both ways.
    pub stride: u8,
    /// Padding of the input.
    pub padding: Padding,
}

impl Window {
    /// A square kernel with the same padding on all sides.
    pub const fn square(kernel: u8, stride: u8, padding: u8) -> Window {
        Window {
            kernel: [kernel, kernel],
            stride,
            padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
        }
    }

    /// Output height and width for an input of `height × width`: `⌊(height + top + bottom − KH) / stride⌋ + 1`.
    /// `None` when the kernel does not fit or a field is 0.
    pub fn output(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        let one = |size: usize, before: u8, after: u8, kernel: u8| {
            if kernel == 0 {
                return None;
            }
            let padded = size.checked_add(usize::from(before))?.checked_add(usize::from(after))?;
            let spare = padded.checked_sub(usize::from(kernel))?;
            spare.checked_div(usize::from(self.stride))?.checked_add(1)
        };
        Some((
            one(height, self.padding.top, self.padding.bottom, self.kernel[0])?,
            one(width, self.padding.left, self.padding.right, self.kernel[1])?,
        ))
    }
}

/// Where a convolution's weights are.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Weights<'a> {
    /// Nested sparse weights, spread over the sections.
    Sparse(crate::MatrixView<'a>),
    /// Dense int8 weights, row-major, the same at each level.
    Dense(&'a [i8]),
}

/// What a node computes; operations may be added, and whoever runs models refuses those that it does not know. In all, `acc` is exact in 32 bits (checked when the model is built and when it is parsed).
///
/// ```
/// use nested_csr::{Level, ModelBuilder, Operation, Profile, Quantization, TensorShape, Window};
/// # let image = TensorShape { channels: 2, height: 4, width: 4 };
/// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
/// # let pooled = builder.max_pool("pool", builder.input(), Window::square(2, 2, 0))?;
/// # builder.concatenation("join", pooled, pooled)?;
/// # let model = builder.finish(Profile::Size)?;
/// // A `model` that pools a map of 2 × 4 × 4 and puts the result behind itself, walked node by node:
/// let mut nodes = Vec::new();
/// for node in (0..model.node_count()).filter_map(|index| model.node(index)) {
///     match node.operation {
///         Operation::MaxPool { input, window } => nodes.push(format!("{:?} of {}", window.kernel, input.0)),
///         Operation::Concatenation { left, right } => nodes.push(format!("{} and {}", left.0, right.0)),
///         _ => (),
///     }
/// }
/// assert_eq!(nodes, ["[2, 2] of 0", "1 and 1"]);
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// `acc[r] = bias[r] + Σ_columns w[r, column] · a[tap]`, column `(kh · KW + kw) · Cin + cin`.
    /// A fully connected layer is a convolution whose kernel is the whole map.
    Convolution {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
        /// Its weights: one row an output channel.
        weights: Weights<'a>,
    },
    /// One filter a channel: `weights[channel · KH · KW + kh · KW + kw]`.
    Depthwise {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
        /// Its weights.
        weights: &'a [i8],
    },
    /// `acc = bias + input_weights[0] · left + input_weights[1] · right`, element by element; one requantisation for all.
    Add {
        /// First operand.
        left: TensorId,
        /// Second operand, of the same shape.
        right: TensorId,
    },
    /// `acc = bias + input_weights[0] · Σ_window a`, no padding; one requantisation for all.
    AveragePool {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
    },
    /// The elements of the first tensor, then those of the second, in the order in which they are stored: a flat tensor of
    /// `channels × 1 × 1`. Both have one quantisation, which is kept; no requantisation.
    Concatenation {
        /// The tensor whose elements come first.
        left: TensorId,
        /// The tensor whose elements come behind.
        right: TensorId,
    },
    /// The tensor as it is, and how to read boxes and scores from it. Always the last node; no requantisation.
    Detection {
        /// The tensor read: the values of the head maps.
        input: TensorId,
        /// What the values mean.
        anchors: crate::AnchorTable<'a>,
    },
    /// The greatest of the window's real elements (padding never wins); the input's quantisation is kept; no requantisation.
    MaxPool {
        /// The tensor read.
        input: TensorId,
        /// Its geometry.
        window: Window,
    },
}

/// A node of the graph. Its output is tensor `index + 1`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Node<'a> {
    /// Position in the graph, from 0; nodes run in this order.
    pub index: usize,
    /// What it computes.
    pub operation: Operation<'a>,
    /// Shape of the tensor it makes.
    pub output: TensorShape,
}

impl Node<'_> {
    /// The tensor it makes.
    pub fn tensor(&self) -> TensorId {
        // A model that was read has fewer nodes than a `TensorId` counts.
        TensorId(u16::try_from(self.index.saturating_add(1)).unwrap_or(u16::MAX))
    }
}

//! Puts networks together, and checks them as they grow.
use super::{Activation, EPSILON, Finish, Network, NetworkError, Node, Operation, network::shape};
use crate::detect::{Anchors, AnchorsError};
use nested_csr::{TensorId, TensorShape, Window};

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
    epsilon: f64,
}

impl NetworkBuilder {
    /// A network that reads images of this shape.
    pub fn new(input: TensorShape) -> NetworkBuilder {
        NetworkBuilder { input, nodes: Vec::new(), epsilon: EPSILON }
    }

    /// With another ε of its batch normalisations than [`EPSILON`]. A channel whose input hardly varies is scaled up by at
    /// most `1 / √ε`: thin networks that are pruned have such channels, and a larger ε keeps their noise small. Where ε
    /// exceeds the variance, the normalisation no longer takes out the scale of the weights.
    ///
    /// # Errors
    /// [`NetworkError::Epsilon`] for one that is not positive and finite, in single precision too.
    ///
    /// ```
    /// use nested_mask::nn::{EPSILON, NetworkBuilder, NetworkError};
    /// let builder = || NetworkBuilder::new(nested_csr::TensorShape { channels: 1, height: 8, width: 8 });
    /// let mut b = builder().with_epsilon(1e-3)?;
    /// b.fully_connected("logits", b.input(), 10)?;
    /// assert_eq!(b.finish()?.epsilon(), 1e-3);
    /// assert!(matches!(builder().with_epsilon(0.0), Err(NetworkError::Epsilon { .. })));
    /// # Ok::<(), NetworkError>(())
    /// ```
    pub fn with_epsilon(self, epsilon: f64) -> Result<NetworkBuilder, NetworkError> {
        if epsilon as f32 > 0.0 && (epsilon as f32).is_finite() {
            Ok(NetworkBuilder { epsilon, ..self })
        } else {
            Err(NetworkError::Epsilon { epsilon })
        }
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
    ///
    /// ```
    /// # use nested_csr::{TensorShape, Window};
    /// # use nested_mask::nn::{Activation, Finish, NetworkBuilder};
    /// # let mut b = NetworkBuilder::new(TensorShape { channels: 8, height: 16, width: 16 });
    /// # let x = b.input();
    /// // A depthwise-separable block on a tensor `x` of 8 × 16 × 16; most of its weights are in the 1×1.
    /// let finish = Finish::NORM.then(Activation::Relu6);
    /// let y = b.depthwise("depthwise", x, Window::square(3, 2, 1), finish)?;
    /// let y = b.convolution("pointwise", y, Window::square(1, 1, 0), 32, finish.sparse())?;
    /// assert_eq!(b.shape(y), Some(TensorShape { channels: 32, height: 8, width: 8 }));
    /// # Ok::<(), nested_mask::nn::NetworkError>(())
    /// ```
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
    ///
    /// ```
    /// # use nested_csr::{TensorShape, Window};
    /// # use nested_mask::nn::{Activation, Finish, NetworkBuilder};
    /// # let mut b = NetworkBuilder::new(TensorShape { channels: 8, height: 16, width: 16 });
    /// # let x = b.input();
    /// // A shortcut around a convolution of a tensor `x` of 8 channels:
    /// let y = b.convolution("conv", x, Window::square(3, 1, 1), 8, Finish::NORM.sparse())?;
    /// let sum = b.add("sum", x, y, Activation::Relu)?;
    /// assert_eq!(b.shape(sum), b.shape(x));
    /// # Ok::<(), nested_mask::nn::NetworkError>(())
    /// ```
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
    ///
    /// ```
    /// # use nested_csr::{TensorShape, Window};
    /// # use nested_mask::nn::NetworkBuilder;
    /// # let mut b = NetworkBuilder::new(TensorShape { channels: 8, height: 16, width: 16 });
    /// # let x = b.input();
    /// let mean = b.average_pool("mean", x, Window::square(2, 2, 0))?; // of a tensor of 8 × 16 × 16
    /// let greatest = b.max_pool("greatest", x, Window::square(2, 2, 0))?;
    /// assert_eq!(b.shape(mean), Some(TensorShape { channels: 8, height: 8, width: 8 }));
    /// assert_eq!(b.shape(mean), b.shape(greatest));
    /// # Ok::<(), nested_mask::nn::NetworkError>(())
    /// ```
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

    /// The greatest of each window, without padding; [`Self::average_pool`] has an example.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn max_pool(&mut self, name: &str, input: TensorId, window: Window) -> Result<TensorId, NetworkError> {
        let output = self.pool(name, input, window)?;
        self.push(name, Operation::MaxPool { input, window }, output)
    }

    /// The elements of `left`, then those of `right`, channel-major, as channels of one pixel;
    /// [`Self::finish_detector`] has an example.
    ///
    /// # Errors
    /// [`NetworkError`]; a model holds at most 65,535 of them.
    pub fn concatenation(&mut self, name: &str, left: TensorId, right: TensorId) -> Result<TensorId, NetworkError> {
        let channels = self.read(name, left)?.len().saturating_add(self.read(name, right)?.len());
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
        Ok(Network { input: self.input, nodes: self.nodes, anchors: None, epsilon: self.epsilon })
    }

    /// A detector: the last node yields the values of these anchors.
    ///
    /// # Errors
    /// [`NetworkError::Empty`], [`NetworkError::Anchors`].
    ///
    /// ```
    /// use nested_csr::{Anchor, TensorShape, Window};
    /// use nested_mask::detect::{AnchorMap, Anchors};
    /// use nested_mask::nn::{Finish, NetworkBuilder};
    ///
    /// // Two head maps, each cell with one anchor of half or all of the image's sides; 2 classes, so 5 + 2 values an anchor.
    /// let map = |cells, side| AnchorMap { height: cells, width: cells, sizes: vec![Anchor { height: side, width: side }] };
    /// let anchors = Anchors::new(2, vec![map(4, 2048), map(2, 4096)])?;
    ///
    /// let mut b = NetworkBuilder::new(TensorShape { channels: 1, height: 8, width: 8 });
    /// let window = Window::square(3, 2, 1); // halves the sides
    /// let fine = b.convolution("fine", b.input(), window, anchors.values(), Finish::BIAS)?;
    /// let coarse = b.convolution("coarse", fine, window, anchors.values(), Finish::BIAS)?;
    /// b.concatenation("heads", fine, coarse)?;
    /// let network = b.finish_detector(anchors)?;
    /// assert_eq!((network.classes(), network.outputs()), (2, 7 * (4 * 4 + 2 * 2)));
    /// # Ok::<(), nested_mask::nn::NetworkError>(())
    /// ```
    pub fn finish_detector(self, anchors: Anchors) -> Result<Network, NetworkError> {
        let found = self.nodes.last().ok_or(NetworkError::Empty { what: "the network" })?.output.len();
        let expected = anchors.outputs();
        if found != expected {
            return Err(AnchorsError::Values { expected, found }.into());
        }
        Ok(Network { input: self.input, nodes: self.nodes, anchors: Some(anchors), epsilon: self.epsilon })
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
            _ => Err(NetworkError::WholeMap { node: name.into(), height, width }),
        }
    }

    fn push(&mut self, name: &str, operation: Operation, output: TensorShape) -> Result<TensorId, NetworkError> {
        if self.input.is_empty() {
            return Err(NetworkError::Empty { what: "the image" });
        }
        for (node, TensorShape { channels, height, width }) in [("the image", self.input), (name, output)] {
            let values = channels.max(height).max(width);
            if values > usize::from(u16::MAX) {
                return Err(NetworkError::TooManyValues { node: node.into(), values });
            }
        }
        if output.is_empty() {
            return Err(NetworkError::EmptyTensor { node: name.into(), shape: output });
        }
        if self.nodes.iter().any(|node| node.name == name) {
            return Err(NetworkError::Name { node: name.into() });
        }
        // Tensor 0 is the image.
        let id = u16::try_from(self.nodes.len() + 1).map_err(|_| NetworkError::TooLong)?;
        self.nodes.push(Node { name: name.into(), operation, output });
        Ok(TensorId(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::resnet8;

    const SHAPE: TensorShape = TensorShape { channels: 1, height: 300, width: 8 };

    #[test]
    fn what_is_empty_is_named() {
        let no_class = NetworkError::EmptyTensor {
            node: "logits".into(),
            shape: TensorShape { channels: 0, height: 1, width: 1 },
        };
        assert_eq!(resnet8(TensorShape { height: 8, ..SHAPE }, 0.25, 0), Err(no_class));
        let mut b = NetworkBuilder::new(TensorShape { channels: 0, ..SHAPE });
        let first = b.convolution("first", b.input(), Window::square(3, 1, 1), 2, Finish::NORM);
        assert_eq!(first, Err(NetworkError::Empty { what: "the image" }));
    }

    /// Before memory is asked for.
    #[test]
    fn more_channels_or_pixels_than_a_model_holds_are_refused() {
        let window = Window::square(3, 1, 1);
        let too_many = |node: &str, values| Err(NetworkError::TooManyValues { node: node.into(), values });
        let mut b = NetworkBuilder::new(SHAPE);
        for rows in [usize::MAX, 65_536] {
            assert_eq!(b.convolution("first", b.input(), window, rows, Finish::NORM), too_many("first", rows));
        }
        assert!(b.convolution("first", b.input(), window, 65_535, Finish::NORM).is_ok());
        let mut b = NetworkBuilder::new(TensorShape { channels: usize::MAX, ..SHAPE });
        assert_eq!(b.convolution("first", b.input(), window, 1, Finish::NORM), too_many("the image", usize::MAX));
    }

    #[test]
    fn a_map_too_large_to_be_taken_whole_is_named_with_its_sides() {
        let mut b = NetworkBuilder::new(SHAPE);
        let error = |node: &str| Err(NetworkError::WholeMap { node: node.into(), height: 300, width: 8 });
        assert_eq!(b.global_average_pool("pool", b.input()), error("pool"));
        assert_eq!(b.fully_connected("logits", b.input(), 2), error("logits"));
    }

    #[test]
    fn a_concatenation_of_more_than_can_be_counted_is_refused() {
        let image = TensorShape { channels: 65_535, height: 65_535, width: 65_535 };
        let mut b = NetworkBuilder::new(image);
        let error = NetworkError::TooManyValues { node: "twice".into(), values: image.len().saturating_mul(2) };
        assert_eq!(b.concatenation("twice", b.input(), b.input()), Err(error));
    }

    #[test]
    fn as_many_nodes_as_there_are_tensor_numbers_fit() {
        let mut b = NetworkBuilder::new(SHAPE);
        let operation = Operation::Add { left: b.input(), right: b.input(), activation: Activation::Identity };
        b.nodes = (1..65_535).map(|number| Node { name: number.to_string(), operation, output: SHAPE }).collect();
        let mut add = |name| b.add(name, TensorId(0), TensorId(0), Activation::Identity);
        assert_eq!(add("last"), Ok(TensorId(65_535)));
        assert_eq!(add("one more"), Err(NetworkError::TooLong));
        assert_eq!(b.nodes.len(), 65_535);
    }
}

//! The body of a model: its graph, names and dense tensors, at fixed places.
use crate::anchors::AnchorTable;
use crate::bytes::{array_at, padded, range, u8_at, u16_at, u32_at};
use crate::shape::{LAYER_LEN, check_layer_record, layer_record};
use crate::{Block, FormatError, Padding, Part, Place, Quantization, Shape, TensorId, TensorShape, Window};

/// Bytes before the layers' records.
pub(crate) const MODEL_LEN: usize = 24;
/// Bytes of a node's record.
pub(crate) const NODE_LEN: usize = 28;

pub(crate) const CONVOLUTION: u8 = 0;
pub(crate) const DEPTHWISE: u8 = 1;
pub(crate) const ADD: u8 = 2;
pub(crate) const AVERAGE_POOL: u8 = 3;
pub(crate) const MAX_POOL: u8 = 4;
pub(crate) const CONCATENATION: u8 = 5;
pub(crate) const DETECTION: u8 = 6;

/// The `weights` byte of a node that has none, sparse ones, or dense ones.
pub(crate) const NO_WEIGHTS: u8 = 0;
pub(crate) const SPARSE: u8 = 1;
pub(crate) const DENSE: u8 = 2;

/// A model's body; accessors trust what [`Body::check`] checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<'a> {
    bytes: &'a [u8],
}

/// A node as its record states it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeRecord {
    pub operation: u8,
    pub weights: u8,
    pub input: TensorId,
    pub second: TensorId,
    pub window: Window,
    pub output: TensorShape,
    /// The layer's number, or the offset of the dense weights.
    pub source: usize,
    pub name_end: usize,
}

impl NodeRecord {
    /// Rows of requantisation that each level holds for the node.
    pub(crate) fn rows(&self) -> usize {
        match self.operation {
            CONVOLUTION | DEPTHWISE => self.output.channels,
            ADD | AVERAGE_POOL => 1,
            _ => 0,
        }
    }

    /// Whether it reads a second tensor.
    pub(crate) fn is_binary(&self) -> bool {
        matches!(self.operation, ADD | CONCATENATION)
    }

    /// Whether its output is made of values of its inputs, in their quantisation.
    pub(crate) fn keeps_values(&self) -> bool {
        matches!(self.operation, MAX_POOL | CONCATENATION | DETECTION)
    }

    /// Shape of the weight matrix, given the channels of the input.
    pub(crate) fn matrix(&self, input: TensorShape) -> Shape {
        let taps = usize::from(self.window.kernel[0]).wrapping_mul(usize::from(self.window.kernel[1]));
        let columns = match self.operation {
            CONVOLUTION => taps.saturating_mul(input.channels),
            _ => taps,
        };
        Shape { rows: self.output.channels, columns }
    }
}

impl<'a> Body<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Body<'a> {
        Body { bytes }
    }

    pub(crate) fn layers(&self) -> usize {
        usize::from(u16_at(self.bytes, 0))
    }

    pub(crate) fn nodes(&self) -> usize {
        usize::from(u16_at(self.bytes, 2))
    }

    pub(crate) fn names_len(&self) -> usize {
        u32_at(self.bytes, 4) as usize
    }

    fn dense_len(&self) -> usize {
        u32_at(self.bytes, 8) as usize
    }

    pub(crate) fn input_shape(&self) -> TensorShape {
        tensor_shape(self.bytes, 12)
    }

    pub(crate) fn input_quantization(&self) -> Quantization {
        Quantization { scale: f32::from_bits(u32_at(self.bytes, 20)), zero_point: u8_at(self.bytes, 18).cast_signed() }
    }

    pub(crate) fn layer(&self, layer: usize) -> (Shape, Block) {
        layer_record(self.bytes, MODEL_LEN.wrapping_add(layer.wrapping_mul(LAYER_LEN)))
    }

    fn nodes_start(&self) -> usize {
        MODEL_LEN.wrapping_add(self.layers().wrapping_mul(LAYER_LEN))
    }

    fn names_start(&self) -> usize {
        self.nodes_start().wrapping_add(self.nodes().wrapping_mul(NODE_LEN))
    }

    fn dense_start(&self) -> usize {
        let names = u32::try_from(self.names_len()).ok().and_then(padded).unwrap_or(u32::MAX);
        self.names_start().saturating_add(names as usize)
    }

    /// Bytes of the fixed part, the nodes and the names.
    pub(crate) fn graph_len(&self) -> usize {
        let nodes = self.nodes().saturating_mul(NODE_LEN);
        MODEL_LEN.saturating_add(nodes).saturating_add(self.names_len())
    }

    /// A node that exists.
    pub(crate) fn node(&self, index: usize) -> NodeRecord {
        let at = self.nodes_start().wrapping_add(index.wrapping_mul(NODE_LEN));
        let record: [u8; NODE_LEN] = array_at(self.bytes, at);
        let byte = |offset| u8_at(&record, offset);
        NodeRecord {
            operation: byte(0),
            weights: byte(1),
            input: TensorId(u16_at(&record, 2)),
            second: TensorId(u16_at(&record, 4)),
            window: Window {
                kernel: [byte(6), byte(7)],
                stride: byte(8),
                padding: Padding { top: byte(9), left: byte(10), bottom: byte(11), right: byte(12) },
            },
            output: tensor_shape(&record, 14),
            source: u32_at(&record, 20) as usize,
            name_end: u32_at(&record, 24) as usize,
        }
    }

    pub(crate) fn name(&self, index: usize) -> &'a str {
        let start = index.checked_sub(1).map_or(0, |before| self.node(before).name_end);
        let names = range(self.bytes, self.names_start(), self.dense_start());
        core::str::from_utf8(range(names, start, self.node(index).name_end)).unwrap_or("")
    }

    /// Shape of a tensor that exists.
    pub(crate) fn tensor(&self, tensor: TensorId) -> TensorShape {
        match usize::from(tensor.0).checked_sub(1) {
            None => self.input_shape(),
            Some(node) => self.node(node).output,
        }
    }

    /// The dense weights of a node that has some; of a detection its anchor table.
    pub(crate) fn dense(&self, node: &NodeRecord) -> &'a [u8] {
        let start = self.dense_start().saturating_add(node.source);
        if node.operation == DETECTION {
            return self.anchors(node).as_bytes();
        }
        let len = node.matrix(self.tensor(node.input)).len();
        range(self.bytes, start, start.saturating_add(len))
    }

    /// The anchor table of a detection.
    pub(crate) fn anchors(&self, node: &NodeRecord) -> AnchorTable<'a> {
        AnchorTable::new(self.dense_from(node))
    }

    /// From where a node's dense weights begin to the end of the body.
    fn dense_from(&self, node: &NodeRecord) -> &'a [u8] {
        range(self.bytes, self.dense_start().saturating_add(node.source), self.bytes.len())
    }

    /// Checks all of the body, in one pass.
    pub(crate) fn check(&self) -> Result<(), FormatError> {
        self.check_lengths()?;
        if self.nodes() == 0 {
            return Err(FormatError::Empty);
        }
        if !is_tensor(self.input_shape()) {
            return Err(FormatError::Input { field: "shape" });
        }
        if !is_scale(self.input_quantization().scale) {
            return Err(FormatError::Input { field: "scale" });
        }
        self.check_zero(19, 20)?;
        for layer in 0..self.layers() {
            check_layer_record(self.bytes, MODEL_LEN.wrapping_add(layer.wrapping_mul(LAYER_LEN)), layer)?;
        }
        let mut passed = Passed::default();
        for index in 0..self.nodes() {
            self.check_node(index, &mut passed)?;
        }
        if passed.layers != self.layers() {
            return Err(FormatError::UnusedLayer { layer: passed.layers });
        }
        self.check_end(&passed)
    }

    fn check_lengths(&self) -> Result<(), FormatError> {
        let stated = self.bytes.len();
        if stated < MODEL_LEN {
            return Err(FormatError::Length { part: Part::Body, stated, needed: MODEL_LEN });
        }
        let needed = self.dense_start().saturating_add(self.dense_len());
        if stated != needed || !self.dense_len().is_multiple_of(4) {
            return Err(FormatError::Length { part: Part::Body, stated, needed });
        }
        self.check_zero(self.names_start().saturating_add(self.names_len()), self.dense_start())
    }

    /// Checks that what nodes named is all there is.
    fn check_end(&self, passed: &Passed) -> Result<(), FormatError> {
        if passed.name_end != self.names_len() {
            let (index, found, expected) = (self.nodes().saturating_sub(1), passed.name_end, self.names_len());
            return Err(FormatError::Offset { part: Part::Body, what: "name", index, found, expected });
        }
        if passed.dense_end != self.dense_len() {
            let (stated, needed) = (self.bytes.len(), self.dense_start().saturating_add(passed.dense_end));
            return Err(FormatError::Length { part: Part::Body, stated, needed });
        }
        Ok(())
    }

    fn check_zero(&self, start: usize, end: usize) -> Result<(), FormatError> {
        for offset in start..end {
            if u8_at(self.bytes, offset) != 0 {
                return Err(FormatError::NotZero { part: Part::Body, offset });
            }
        }
        Ok(())
    }

    fn check_node(&self, index: usize, passed: &mut Passed) -> Result<(), FormatError> {
        let wrong = |field| FormatError::Node { node: index, field };
        let node = self.node(index);
        // First the operation: what a newer one has of inputs, windows and reserved bytes is not known here.
        if node.operation > DETECTION {
            return Err(FormatError::UnknownOperation { node: index, found: node.operation });
        }
        let at = self.nodes_start().wrapping_add(index.wrapping_mul(NODE_LEN));
        self.check_zero(at.wrapping_add(13), at.wrapping_add(14))?;
        if usize::from(node.input.0) > index {
            return Err(wrong("the input"));
        }
        if usize::from(node.second.0) > index || (!node.is_binary() && node.second.0 != 0) {
            return Err(wrong("the second input"));
        }
        let inputs = [node.input, node.second].map(|tensor| self.tensor(tensor));
        let expected = output_shape(&node, inputs).ok_or(wrong("the window"))?;
        if expected != node.output || !is_tensor(node.output) {
            return Err(wrong("the output shape"));
        }
        match node.operation {
            CONVOLUTION if node.weights != NO_WEIGHTS => {}
            DEPTHWISE if node.weights == DENSE => {}
            ADD if inputs[0] != inputs[1] => return Err(wrong("the second input's shape")),
            AVERAGE_POOL if node.window.padding != Padding::default() => return Err(wrong("the padding")),
            ADD | AVERAGE_POOL | MAX_POOL | CONCATENATION if node.weights == NO_WEIGHTS => {}
            DETECTION if index.wrapping_add(1) != self.nodes() => return Err(wrong("a node behind a detection")),
            DETECTION if node.weights == DENSE => {}
            _ => return Err(wrong("the weights")),
        }
        self.check_weights(index, &node, inputs[0], passed)?;
        self.check_name(index, &node, passed)
    }

    /// Weights are named in the order of the nodes, each once, without holes.
    fn check_weights(
        &self,
        index: usize,
        node: &NodeRecord,
        input: TensorShape,
        passed: &mut Passed,
    ) -> Result<(), FormatError> {
        let wrong = |field| FormatError::Node { node: index, field };
        let shape = node.matrix(input);
        match node.weights {
            NO_WEIGHTS if node.source == 0 => Ok(()),
            SPARSE if node.source == passed.layers && node.source < self.layers() => {
                passed.layers = passed.layers.wrapping_add(1);
                if self.layer(node.source).0 != shape {
                    return Err(wrong("the layer's shape"));
                }
                Ok(())
            }
            DENSE if node.source == passed.dense_end => {
                let len = if node.operation == DETECTION {
                    AnchorTable::check(self.dense_from(node), input.len()).map_err(wrong)?.as_bytes().len()
                } else {
                    shape.check(Place::Node(index))?;
                    shape.len()
                };
                let start = self.dense_start().saturating_add(node.source);
                let end = start.saturating_add(len);
                if end > self.bytes.len() {
                    return Err(FormatError::Length { part: Part::Body, stated: self.bytes.len(), needed: end });
                }
                let padded_end = end.next_multiple_of(4);
                self.check_zero(end, padded_end)?;
                passed.dense_end = padded_end.saturating_sub(self.dense_start());
                Ok(())
            }
            _ => Err(wrong("the source of the weights")),
        }
    }

    fn check_name(&self, index: usize, node: &NodeRecord, passed: &mut Passed) -> Result<(), FormatError> {
        let names = range(self.bytes, self.names_start(), self.names_start().saturating_add(self.names_len()));
        let name = names.get(passed.name_end..node.name_end);
        if name.and_then(|name| core::str::from_utf8(name).ok()).is_none() {
            return Err(FormatError::Name { index });
        }
        passed.name_end = node.name_end;
        Ok(())
    }
}

/// How far the nodes checked so far have used up layers, names and dense weights.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    layers: usize,
    dense_end: usize,
    name_end: usize,
}

fn tensor_shape(bytes: &[u8], at: usize) -> TensorShape {
    let side = |offset: usize| usize::from(u16_at(bytes, at.wrapping_add(offset)));
    TensorShape { channels: side(0), height: side(2), width: side(4) }
}

/// A tensor has 1 to 2³¹ − 1 elements.
pub(crate) fn is_tensor(shape: TensorShape) -> bool {
    !shape.is_empty() && i32::try_from(shape.len()).is_ok()
}

/// A scale is positive and finite: of such numbers, and of no others, the bits are above 0's and below infinity's.
pub(crate) fn is_scale(scale: f32) -> bool {
    (1..f32::INFINITY.to_bits()).contains(&scale.to_bits())
}

/// The window of operations that have none.
pub(crate) const NO_WINDOW: Window =
    Window { kernel: [0, 0], stride: 0, padding: Padding { top: 0, left: 0, bottom: 0, right: 0 } };

/// The output's shape that the operation implies; the channels of a convolution are the node's own.
pub(crate) fn output_shape(node: &NodeRecord, [input, second]: [TensorShape; 2]) -> Option<TensorShape> {
    let whole = match node.operation {
        ADD | DETECTION => Some(input),
        CONCATENATION => Some(TensorShape { channels: input.len().saturating_add(second.len()), height: 1, width: 1 }),
        _ => None,
    };
    if whole.is_some() {
        return whole.filter(|_| node.window == NO_WINDOW);
    }
    let (height, width) = node.window.output(input.height, input.width)?;
    let channels = if node.operation == CONVOLUTION { node.output.channels } else { input.channels };
    // Each window of a max pool must touch a real pixel, so its padding stays below the kernel.
    let Padding { top, left, bottom, right } = node.window.padding;
    let [kernel_height, kernel_width] = node.window.kernel;
    if node.operation == MAX_POOL && (top.max(bottom) >= kernel_height || left.max(right) >= kernel_width) {
        return None;
    }
    Some(TensorShape { channels, height, width })
}

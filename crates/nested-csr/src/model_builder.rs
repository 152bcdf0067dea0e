//! Writing models, node by node.
mod push;
mod write;

use crate::anchors;
use crate::body::{self, NodeRecord};
use crate::builder::{EncodedLayer, Source, check_len, pad, write_file};
use crate::{
    Block, FormatError, HeadAnchors, Kind, Level, Model, NodeParameters, Padding, Place, Profile, Quantization,
    Requantization, TensorId, TensorShape, Window,
};
use alloc::vec;
use alloc::vec::Vec;
use push::fits;

/// The weights of a convolution that is added to a model; [`ModelBuilder`] has an example.
#[derive(Clone, Copy, Debug)]
pub enum ConvolutionWeights<'a> {
    /// Nested sparse: row-major weights and the ring of each (see [`crate::NestedCsr::compress`]).
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

/// What one level says of one node; [`ModelBuilder`] has an example.
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

/// What a model that was read says, to build it anew.
impl From<NodeParameters<'_>> for NodeLevel {
    fn from(parameters: NodeParameters<'_>) -> NodeLevel {
        NodeLevel {
            output: parameters.output(),
            low: parameters.low,
            high: parameters.high,
            input_weights: parameters.input_weights,
            rows: parameters.rows.iter().collect(),
        }
    }
}

/// Puts a model together, node by node, then writes it as bytes.
///
/// ```
/// use nested_csr::{
///     Block, ConvolutionWeights, Level, Model, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization,
///     TensorShape, Window,
/// };
///
/// let quantization = Quantization { scale: 0.1, zero_point: 0 };
/// let image = TensorShape { channels: 2, height: 8, width: 8 };
/// let mut builder = ModelBuilder::new(Level::new(2)?, image, quantization)?;
///
/// // One 1×1 convolution with one output channel; its second weight joins at level 2.
/// let row = Requantization { multiplier: Multiplier::from_code(0xa000), bias: 0 };
/// let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows: vec![row] };
/// let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[5, -7], rings: &[1, 2] };
/// let input = builder.input();
/// builder.convolution("only", input, Window::square(1, 1, 0), 1, weights, &[level.clone(), level])?;
///
/// let bytes = builder.finish(Profile::Size)?.into_bytes();
/// let model = Model::parse(bytes)?; // as a reader does it
/// assert_eq!(model.output_shape(), TensorShape { channels: 1, height: 8, width: 8 });
/// assert_eq!(model.sparse_layers().count(), 1);
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelBuilder {
    levels: Level,
    input: TensorShape,
    quantization: Quantization,
    nodes: Vec<BuiltNode>,
    layers: Vec<SparseLayer>,
    names: Vec<u8>,
    dense: Vec<u8>,
    costs: Vec<u32>,
}

/// The second tensor of a node that reads one.
const NONE: TensorId = TensorId(0);

#[derive(Clone, Debug)]
struct BuiltNode {
    record: NodeRecord,
    /// One a level.
    levels: Vec<NodeLevel>,
    /// Whether some accumulator may leave ±2²³, one a level.
    wide: Vec<bool>,
}

#[derive(Clone, Debug)]
struct SparseLayer {
    block: Block,
    rows: usize,
    weights: Vec<i8>,
    rings: Vec<u8>,
    /// Of this layer alone; otherwise that of [`ModelBuilder::finish`].
    profile: Option<Profile>,
}

impl ModelBuilder {
    /// A model of `levels` levels that reads an image of this shape.
    ///
    /// # Errors
    /// [`FormatError::Input`]: an empty shape, a side above 65,535, a scale that is not positive and finite.
    pub fn new(levels: Level, input: TensorShape, quantization: Quantization) -> Result<Self, FormatError> {
        if !fits(input) {
            return Err(FormatError::Input { field: "shape" });
        }
        if !body::is_scale(quantization.scale) {
            return Err(FormatError::Input { field: "scale" });
        }
        Ok(ModelBuilder {
            levels,
            input,
            quantization,
            nodes: Vec::new(),
            layers: Vec::new(),
            names: Vec::new(),
            dense: Vec::new(),
            costs: vec![0; levels.number()],
        })
    }

    /// The input's tensor.
    pub fn input(&self) -> TensorId {
        TensorId(0)
    }

    /// Shape of a tensor made so far.
    pub fn shape(&self, tensor: TensorId) -> Option<TensorShape> {
        match usize::from(tensor.0).checked_sub(1) {
            None => Some(self.input),
            Some(node) => Some(self.nodes.get(node)?.record.output),
        }
    }

    /// A convolution with `rows` output channels; `levels` holds one entry a level. `name` is for reports; it may be empty.
    ///
    /// # Errors
    /// What [`crate::NestedCsr::compress`] refuses, a tensor that is not there, a window that does not fit, another number of
    /// levels or rows, a scale that is not positive and finite, `low` above `high`, input weights that are not 0, an
    /// accumulator that could leave 32 bits. Nothing is added then, and but for lengths the error names the node.
    pub fn convolution(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        rows: usize,
        weights: ConvolutionWeights<'_>,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let output = TensorShape { channels: rows, height: 0, width: 0 };
        let mut record = self.record(body::CONVOLUTION, [input, NONE], window, output)?;
        match weights {
            ConvolutionWeights::Sparse { block, weights, rings } => {
                let shape = record.matrix(self.tensor(input)?);
                let source = Source::new(Place::Node(self.nodes.len()), shape, block, weights, rings)?;
                record.weights = body::SPARSE;
                record.source = self.layers.len();
                let sums = self.ring_sums(rows, &source)?;
                let layer =
                    SparseLayer { block, rows, weights: weights.to_vec(), rings: rings.to_vec(), profile: None };
                let id = self.push(name, record, levels, &sums)?;
                self.layers.push(layer);
                Ok(id)
            }
            ConvolutionWeights::Dense(weights) => self.push_dense(name, record, weights, levels),
        }
    }

    /// A depthwise convolution: `weights[channel · KH · KW + kh · KW + kw]`.
    ///
    /// # Errors
    /// As [`ModelBuilder::convolution`].
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization, TensorShape, Window};
    /// # let output = Quantization { scale: 0.1, zero_point: 0 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, TensorShape { channels: 2, height: 8, width: 8 }, output)?;
    /// // On a map of two channels: 2×2 filters that take the mean and the last pixel.
    /// let quarter = Requantization { multiplier: Multiplier::from_code(0xf000), bias: 0 };
    /// let level = NodeLevel { output, low: -128, high: 127, input_weights: [0; 2], rows: vec![quarter; 2] };
    /// let weights = [1, 1, 1, 1, 0, 0, 0, 4];
    /// let made = builder.depthwise("mean and last", builder.input(), Window::square(2, 2, 0), &weights, &[level])?;
    /// assert_eq!(builder.shape(made), Some(TensorShape { channels: 2, height: 4, width: 4 }));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn depthwise(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        weights: &[i8],
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let record = self.record(body::DEPTHWISE, [input, NONE], window, self.tensor(input)?)?;
        self.push_dense(name, record, weights, levels)
    }

    /// The sum of two tensors of one shape.
    ///
    /// # Errors
    /// As [`ModelBuilder::convolution`], but both input weights are free; tensors of different shapes.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization, TensorShape, Window};
    /// # let output = Quantization { scale: 0.1, zero_point: 0 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, TensorShape { channels: 2, height: 8, width: 8 }, output)?;
    /// // `¼ · (4 · left + 2 · right)`: integer weights, then one requantisation for all elements.
    /// let quarter = Requantization { multiplier: Multiplier::from_code(0xf000), bias: 0 };
    /// let level = NodeLevel { output, low: -128, high: 127, input_weights: [4, 2], rows: vec![quarter] };
    /// let input = builder.input();
    /// let sum = builder.add("sum", input, input, &[level])?;
    /// assert_eq!(builder.shape(sum), builder.shape(input));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn add(
        &mut self,
        name: &str,
        left: TensorId,
        right: TensorId,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        let shape = self.tensor(left)?;
        if self.tensor(right)? != shape {
            return Err(FormatError::Node { node: self.nodes.len(), field: "the second input's shape" });
        }
        let record = self.record(body::ADD, [left, right], body::NO_WINDOW, shape)?;
        self.push_operands(name, record, 1, levels)
    }

    /// An average pool.
    ///
    /// # Errors
    /// As [`ModelBuilder::convolution`], where the first input weight is free; padding.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization, TensorShape, Window};
    /// # let output = Quantization { scale: 0.1, zero_point: 0 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, TensorShape { channels: 2, height: 8, width: 8 }, output)?;
    /// // The mean of 2×2 pixels is their sum, times 1 (the integer weight), times ¼.
    /// let quarter = Requantization { multiplier: Multiplier::from_code(0xf000), bias: 0 };
    /// let level = NodeLevel { output, low: -128, high: 127, input_weights: [1, 0], rows: vec![quarter] };
    /// let pooled = builder.average_pool("pool", builder.input(), Window::square(2, 2, 0), &[level])?;
    /// assert_eq!(builder.shape(pooled), Some(TensorShape { channels: 2, height: 4, width: 4 }));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn average_pool(
        &mut self,
        name: &str,
        input: TensorId,
        window: Window,
        levels: &[NodeLevel],
    ) -> Result<TensorId, FormatError> {
        if window.padding != Padding::default() {
            return Err(FormatError::Node { node: self.nodes.len(), field: "the padding" });
        }
        let record = self.record(body::AVERAGE_POOL, [input, NONE], window, self.tensor(input)?)?;
        let taps = i64::from(window.kernel[0]) * i64::from(window.kernel[1]);
        self.push_operands(name, record, taps, levels)
    }

    /// A max pool.
    ///
    /// # Errors
    /// A tensor that is not there, a window that does not fit, padding as large as the kernel.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 2, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// let pooled = builder.max_pool("pool", builder.input(), Window::square(2, 2, 0))?; // on 2 × 8 × 8
    /// assert_eq!(builder.shape(pooled), Some(TensorShape { channels: 2, height: 4, width: 4 }));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn max_pool(&mut self, name: &str, input: TensorId, window: Window) -> Result<TensorId, FormatError> {
        let record = self.record(body::MAX_POOL, [input, NONE], window, self.tensor(input)?)?;
        self.push_kept(name, record)
    }

    /// The elements of one tensor, then those of another: a flat tensor of `channels × 1 × 1`.
    ///
    /// # Errors
    /// A tensor that is not there, tensors that differ in quantisation at some level, more than 65,535 elements.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 2, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// let input = builder.input(); // 2 × 8 × 8
    /// let pooled = builder.max_pool("pool", input, Window::square(8, 1, 0))?; // 2 × 1 × 1
    /// let joined = builder.concatenation("heads", pooled, input)?;
    /// assert_eq!(builder.shape(joined), Some(TensorShape { channels: 2 + 128, height: 1, width: 1 }));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn concatenation(&mut self, name: &str, left: TensorId, right: TensorId) -> Result<TensorId, FormatError> {
        let shape = self.tensor(left)?;
        let record = self.record(body::CONCATENATION, [left, right], body::NO_WINDOW, shape)?;
        self.push_kept(name, record)
    }

    /// The last node of a detector: `input` is the output as it is, and `maps` say what its values mean (see
    /// [`crate::AnchorTable`]). `classes` does not count the background.
    ///
    /// ```
    /// use nested_csr::{Anchor, HeadAnchors, Level, ModelBuilder, Operation, Profile, Quantization, TensorShape};
    ///
    /// // A head map of 2 × 2 cells, one anchor of a quarter of the image's sides, 3 classes: 5 + 3 channels.
    /// let image = TensorShape { channels: 8, height: 2, width: 2 };
    /// let mut builder = ModelBuilder::new(Level::FIRST, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// let anchors = [Anchor { height: 1024, width: 1024 }];
    /// builder.detection("boxes", builder.input(), 3, &[HeadAnchors { height: 2, width: 2, anchors: &anchors }])?;
    ///
    /// let model = builder.finish(Profile::Size)?;
    /// let Some(Operation::Detection { anchors, .. }) = model.node(0).map(|node| node.operation) else { panic!() };
    /// assert_eq!((anchors.classes(), anchors.boxes()), (3, 4));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    ///
    /// # Errors
    /// A tensor that is not there, no class, no map, a map without cells or anchors, an anchor without height or width, maps
    /// that describe another number of values than `input` has.
    pub fn detection(
        &mut self,
        name: &str,
        input: TensorId,
        classes: u16,
        maps: &[HeadAnchors<'_>],
    ) -> Result<TensorId, FormatError> {
        let shape = self.tensor(input)?;
        let mut record = self.record(body::DETECTION, [input, NONE], body::NO_WINDOW, shape)?;
        let table = anchors::write(classes, maps).ok_or(FormatError::TooLarge { what: "the anchor table" })?;
        let wrong = |field| FormatError::Node { node: self.nodes.len(), field };
        anchors::AnchorTable::check(&table, shape.len()).map_err(wrong)?;
        record.weights = body::DENSE;
        record.source = self.dense.len();
        let id = self.push_kept(name, record)?;
        self.dense.extend(table);
        pad(&mut self.dense)?;
        Ok(id)
    }

    /// Chooses the profile of one nested convolution, the one that makes `tensor`: decoding is shared by all pixels of a
    /// map, so small maps may want [`Profile::Speed`] where large ones do not notice [`Profile::Size`].
    ///
    /// # Errors
    /// [`FormatError::NotNested`]: a tensor that no nested convolution makes.
    ///
    /// ```
    /// # use nested_csr::{Block, ConvolutionWeights, IndexCode, Level, ModelBuilder, Multiplier, NodeLevel, Profile};
    /// # use nested_csr::{Quantization, Requantization, TensorShape, Window};
    /// # let output = Quantization { scale: 0.1, zero_point: 0 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, TensorShape { channels: 4, height: 1, width: 1 }, output)?;
    /// # let row = Requantization { multiplier: Multiplier::from_code(0xa000), bias: 0 };
    /// # let level = NodeLevel { output, low: -128, high: 127, input_weights: [0; 2], rows: vec![row] };
    /// let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[5, 0, 0, -7], rings: &[1, 0, 0, 1] };
    /// let made = builder.convolution("logits", builder.input(), Window::square(1, 1, 0), 1, weights, &[level])?;
    /// builder.prefer(made, Profile::Speed)?; // its map is one pixel
    /// let model = builder.finish(Profile::Size)?; // the profile of all others
    ///
    /// let codes = model.sparse_layers().map(|(_, layer)| layer.index_code(Level::FIRST)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(codes, [IndexCode::Bytes { count_width: 1 }]);
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn prefer(&mut self, tensor: TensorId, profile: Profile) -> Result<(), FormatError> {
        let tensor = usize::from(tensor.0);
        let record = tensor.checked_sub(1).and_then(|node| self.nodes.get(node)).map(|node| node.record);
        let record = record.filter(|record| record.weights == body::SPARSE);
        let record = record.ok_or(FormatError::NotNested { tensor })?;
        self.layers[record.source].profile = Some(profile);
        Ok(())
    }

    /// What each level costs, in instructions; 0 means unknown, as it is when this is not called.
    ///
    /// # Errors
    /// Another number of costs than levels.
    ///
    /// ```
    /// # use nested_csr::{Level, ModelBuilder, Profile, Quantization, TensorShape, Window};
    /// # let image = TensorShape { channels: 2, height: 8, width: 8 };
    /// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.1, zero_point: 0 })?;
    /// # builder.max_pool("pool", builder.input(), Window::square(2, 2, 0))?;
    /// builder.set_costs(&[310_000, 0])?; // level 2 has not been measured
    /// let model = builder.finish(Profile::Size)?;
    /// assert_eq!((model.cost(Level::FIRST), model.cost(Level::new(2)?)), (Some(310_000), None));
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn set_costs(&mut self, costs: &[u32]) -> Result<(), FormatError> {
        check_len("costs", self.levels.number(), costs.len())?;
        self.costs = costs.to_vec();
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`FormatError::Empty`] without a node; [`FormatError::TooLarge`] for a layer's index stream of more than 2²⁸ bytes or a
    /// file of more than 4 GiB. All else was refused when its node was added.
    pub fn finish(self, profile: Profile) -> Result<Model<Vec<u8>>, FormatError> {
        if self.nodes.is_empty() {
            return Err(FormatError::Empty);
        }
        let encoded = self.encode(profile)?;
        let layers: Vec<&EncodedLayer> = encoded.iter().collect();
        let body = self.write_body(&layers)?;
        let section = |level| self.write_section(level, &layers);
        let sections = (0..self.levels.number()).map(section).collect::<Result<Vec<_>, _>>()?;
        Model::parse(write_file(Kind::Model, &body, &sections)?)
    }
}

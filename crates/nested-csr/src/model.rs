//! The model container: a graph, dense tensors, nested layers and each level's requantisation.
use crate::body::{self, Body, NodeRecord};
use crate::bytes::u32_at;
use crate::header::Layout;
use crate::parameters::{CODE_LEN, Fields, PARAMETERS_LEN, Range, check_rows};
use crate::ring::{Directory, RING_LEN};
use crate::view::{check_directory, check_padding};
use crate::{
    FormatError, Kind, Level, MatrixView, Node, NodeParameters, Operation, Quantization, TensorId, TensorShape, Weights,
};
use core::fmt;

/// Bytes of a section before the ring records: the level's cost.
pub(crate) const COST_LEN: usize = 4;

/// A checked model over any bytes: a `Vec`, a memory map or a `static`. [`crate::ModelBuilder`] makes one.
///
/// ```
/// use nested_csr::{Level, Model};
/// # use nested_csr::{ModelBuilder, Profile, Quantization, TensorShape, Window};
/// # let image = TensorShape { channels: 1, height: 2, width: 2 };
/// # let mut builder = ModelBuilder::new(Level::new(2)?, image, Quantization { scale: 0.5, zero_point: -3 })?;
/// # builder.max_pool("pool", builder.input(), Window::square(2, 1, 0))?;
/// # let file = builder.finish(Profile::Size)?.into_bytes();
/// let model = Model::parse(&file)?; // a `file` of two levels
/// assert_eq!((model.levels().number(), model.name(0), model.output_shape().len()), (2, Some("pool"), 1));
///
/// assert_eq!(model.nodes().map(|node| model.shape(node.tensor())).collect::<Vec<_>>(), [Some(model.output_shape())]);
///
/// // What a device gets first is a file of its own, which knows how much is to come.
/// let first = Model::parse(model.prefix(Level::FIRST)?)?;
/// assert_eq!((first.levels().number(), first.levels_stated().number()), (1, 2));
/// assert_eq!([first.as_bytes(), model.sections_after(Level::FIRST)?].concat(), file);
/// # Ok::<(), nested_csr::FormatError>(())
/// ```
#[derive(Clone)]
pub struct Model<B> {
    bytes: B,
    layout: Layout,
}

/// Where the parts lie, without the bytes.
impl<B> fmt::Debug for Model<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl<B: AsRef<[u8]>> Model<B> {
    /// Checks all of `bytes` once, in O(n), without allocating; what it returns cannot fail.
    ///
    /// # Errors
    /// [`FormatError`], which says where and what.
    pub fn parse(bytes: B) -> Result<Self, FormatError> {
        let layout = Layout::parse(bytes.as_ref(), Kind::Model)?;
        let model = Model { bytes, layout };
        model.body().check()?;
        for level in layout.held.up_to() {
            model.check_section(level)?;
        }
        for index in 0..model.node_count() {
            check_rows(&model, index)?;
        }
        Ok(model)
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Gives the bytes back.
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// The densest level held.
    pub fn levels(&self) -> Level {
        self.layout.held
    }

    /// The densest level of the whole file, of which these bytes may be a prefix.
    pub fn levels_stated(&self) -> Level {
        self.layout.stated
    }

    /// Shape of the input image.
    pub fn input_shape(&self) -> TensorShape {
        self.body().input_shape()
    }

    /// Quantisation of the input: the same at each level.
    pub fn input_quantization(&self) -> Quantization {
        self.body().input_quantization()
    }

    /// Nodes in the graph; at least 1.
    pub fn node_count(&self) -> usize {
        self.body().nodes()
    }

    /// Node `index`, O(1), but for a detection, whose anchor table is walked map by map. `None` past the end.
    pub fn node(&self, index: usize) -> Option<Node<'_>> {
        if index >= self.node_count() {
            return None;
        }
        let record = self.body().node(index);
        Some(Node { index, operation: self.operation(&record), output: record.output })
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.node_count()).filter_map(|index| self.node(index))
    }

    /// Shape of a tensor, O(1). `None` past the last one.
    pub fn shape(&self, tensor: TensorId) -> Option<TensorShape> {
        match usize::from(tensor.0).checked_sub(1) {
            None => Some(self.input_shape()),
            Some(maker) => (maker < self.node_count()).then(|| self.body().node(maker).output),
        }
    }

    /// The name of node `index`, O(1); empty when it has none. `None` past the end.
    pub fn name(&self, index: usize) -> Option<&str> {
        (index < self.node_count()).then(|| self.body().name(index))
    }

    /// Shape of the output (the last node's).
    pub fn output_shape(&self) -> TensorShape {
        self.body().node(self.node_count().saturating_sub(1)).output
    }

    /// What node `index` needs at `level` to make its output, O(1). `None` for a level that is not held or a node past the end.
    pub fn parameters(&self, level: Level, index: usize) -> Option<NodeParameters<'_>> {
        if index >= self.node_count() || level > self.levels() {
            return None;
        }
        let rows = self.body().node(index).rows();
        Some(self.fields(level, index).parameters(self.section(level), rows))
    }

    /// What a level costs, in instructions, as whoever built the file measured it; `None` when unknown or not held.
    pub fn cost(&self, level: Level) -> Option<u32> {
        if level > self.levels() {
            return None;
        }
        Some(u32_at(self.section(level), 0)).filter(|cost| *cost > 0)
    }

    /// The bytes that serve levels `1..=level`: a valid file.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn prefix(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.prefix(self.as_bytes(), level)
    }

    /// The bytes to append to `prefix(level)` to have this file again.
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn sections_after(&self, level: Level) -> Result<&[u8], FormatError> {
        self.layout.sections_after(self.as_bytes(), level)
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn body(&self) -> Body<'_> {
        Body::new(self.layout.body(self.as_bytes()))
    }

    pub(crate) fn section(&self, level: Level) -> &[u8] {
        self.layout.section(self.as_bytes(), level)
    }

    fn nodes_at(&self) -> usize {
        COST_LEN.wrapping_add(self.body().layers().wrapping_mul(RING_LEN))
    }

    pub(crate) fn directory(&self) -> Directory {
        let nodes = self.node_count().wrapping_mul(PARAMETERS_LEN);
        Directory { records: COST_LEN, data: self.nodes_at().wrapping_add(nodes) }
    }

    /// Bytes of the costs, the nodes' parameters and their rows, in all sections that are held.
    pub(crate) fn parameters_len(&self) -> usize {
        let rows = |level: Level, index| {
            let rows = self.body().node(index).rows();
            rows.saturating_mul(self.fields(level, index).width().saturating_add(CODE_LEN))
        };
        let fixed = self.node_count().saturating_mul(PARAMETERS_LEN).saturating_add(COST_LEN);
        let of_level =
            |level| (0..self.node_count()).map(|index| rows(level, index)).fold(fixed, usize::saturating_add);
        self.levels().up_to().map(of_level).fold(0, usize::saturating_add)
    }

    /// Where the padding of the section of a level that is held begins: behind the rows of the last node.
    pub(crate) fn section_end(&self, level: Level) -> usize {
        let last = self.node_count().saturating_sub(1);
        let (fields, rows) = (self.fields(level, last), self.body().node(last).rows());
        fields.rows.saturating_add(rows.saturating_mul(fields.width().saturating_add(CODE_LEN)))
    }

    /// The fields of a node that exists, at a level that is held.
    pub(crate) fn fields(&self, level: Level, index: usize) -> Fields {
        let at = self.nodes_at().wrapping_add(index.wrapping_mul(PARAMETERS_LEN));
        Fields::read(self.section(level), at)
    }

    pub(crate) fn layer(&self, layer: usize) -> MatrixView<'_> {
        let (shape, block) = self.body().layer(layer);
        MatrixView { bytes: self.as_bytes(), layout: &self.layout, directory: self.directory(), layer, shape, block }
    }

    fn operation(&self, record: &NodeRecord) -> Operation<'_> {
        let NodeRecord { input, window, .. } = *record;
        match record.operation {
            body::CONVOLUTION if record.weights == body::SPARSE => {
                Operation::Convolution { input, window, weights: Weights::Sparse(self.layer(record.source)) }
            }
            body::CONVOLUTION => {
                let weights = Weights::Dense(signed(self.body().dense(record)));
                Operation::Convolution { input, window, weights }
            }
            body::DEPTHWISE => Operation::Depthwise { input, window, weights: signed(self.body().dense(record)) },
            body::ADD => Operation::Add { left: input, right: record.second },
            body::AVERAGE_POOL => Operation::AveragePool { input, window },
            body::CONCATENATION => Operation::Concatenation { left: input, right: record.second },
            body::DETECTION => Operation::Detection { input, anchors: self.body().anchors(record) },
            _ => Operation::MaxPool { input, window },
        }
    }

    /// Checks a section's records, offsets and padding; not yet the rings' content.
    fn check_section(&self, level: Level) -> Result<(), FormatError> {
        let (section, directory, body) = (self.section(level), self.directory(), self.body());
        check_directory(section, level, directory.data)?;
        let mut end = directory.data;
        for layer in 0..body.layers() {
            let (shape, block) = body.layer(layer);
            directory.check(section, level.number(), layer, shape, block)?;
            end = directory.end(section, layer);
        }
        let mut range = Range { start: end, len: section.len() };
        for index in 0..self.node_count() {
            let node = body.node(index);
            let second = if node.is_binary() { node.second } else { node.input };
            let inputs = [node.input, second].map(|tensor| self.quantization(level, tensor));
            self.fields(level, index).check(index, level, &node, inputs, &mut range)?;
        }
        check_padding(section, level, range.start)
    }

    /// Quantisation of a tensor that exists.
    fn quantization(&self, level: Level, tensor: TensorId) -> Quantization {
        match usize::from(tensor.0).checked_sub(1) {
            None => self.input_quantization(),
            Some(node) => self.fields(level, node).output(),
        }
    }
}

#[cfg(feature = "alloc")]
impl Model<alloc::vec::Vec<u8>> {
    /// The bytes, for changes that the caller seals and that keep the file valid.
    pub(crate) fn bytes_mut(&mut self) -> &mut alloc::vec::Vec<u8> {
        &mut self.bytes
    }

    /// The layout of bytes that were changed and checked.
    pub(crate) fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }
}

/// Stored bytes as the int8 weights that they are.
fn signed(bytes: &[u8]) -> &[i8] {
    bytemuck::must_cast_slice(bytes)
}

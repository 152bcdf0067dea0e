//! Where a file's bytes go, and how few they could be.
use crate::index::IndexCode;
use crate::ring::RING_LEN;
use crate::{FormatError, Layers, Level, MatrixView, Model, NestedCsr, Weights};

/// The bytes of a file by part. They add up to the file's length.
///
/// ```
/// # use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// # let shape = Shape { rows: 1, columns: 2 };
/// let matrix = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &[3, 4], &[1, 1], Profile::Size)?;
/// let stats = matrix.stats();
/// assert_eq!(stats.values, 2);
/// assert_eq!(stats.total(), matrix.as_bytes().len());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Nested int8 weights.
    pub values: usize,
    /// Gaps between blocks.
    pub index: usize,
    /// Blocks of each row, where the index code stores them.
    pub counts: usize,
    /// Quantisation, clamps and operand weights of each node, multiplier and bias of each row, and costs.
    pub requantization: usize,
    /// Weights that are the same at each level.
    pub dense_tensors: usize,
    /// Nodes and names.
    pub graph: usize,
    /// Zeros that align parts.
    pub padding: usize,
    /// The file's header, the shapes of layers and the records of rings.
    pub header: usize,
}

impl Stats {
    /// All bytes.
    pub fn total(&self) -> usize {
        let parts = [
            self.values,
            self.index,
            self.counts,
            self.requantization,
            self.dense_tensors,
            self.graph,
            self.padding,
            self.header,
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Adds the rings of a layer.
    fn add_layer(&mut self, layer: &MatrixView<'_>) {
        for level in layer.levels().up_to() {
            let ring = layer.ring_stats_of(level);
            self.values = self.values.saturating_add(ring.values);
            self.index = self.index.saturating_add(ring.index);
            self.counts = self.counts.saturating_add(ring.counts);
            self.header = self.header.saturating_add(RING_LEN);
        }
    }

    /// Adds the zeros that fill up `len` bytes, of which so many are used.
    fn add_padding(&mut self, len: usize, used: usize) {
        self.padding = self.padding.saturating_add(len.saturating_sub(used));
    }

    /// Adds the zeros behind a file's last layer, in each section.
    fn add_padding_behind(&mut self, layer: &MatrixView<'_>) {
        for level in layer.levels().up_to() {
            let section = layer.layout.section(layer.bytes, level);
            self.add_padding(section.len(), layer.directory.end(section, layer.layer));
        }
    }
}

/// One ring of one layer.
///
/// ```
/// # use nested_csr::{Block, Level, NestedCsr, Profile, Shape};
/// # fn main() -> Result<(), nested_csr::FormatError> {
/// let shape = Shape { rows: 8, columns: 128 };
/// let rings: Vec<u8> = (0..shape.len()).map(|i| u8::from(i % 10 == 0)).collect(); // one weight in ten
/// let weights: Vec<i8> = rings.iter().map(|ring| 9 * ring.cast_signed()).collect();
/// let file = NestedCsr::compress(shape, Block::OneByOne, Level::FIRST, &weights, &rings, Profile::Size)?;
///
/// let ring = file.view().ring_stats(Level::FIRST)?;
/// assert_eq!((ring.blocks, ring.values, ring.free), (103, 103, 1024));
/// let bits = 8 * (ring.values + ring.index + ring.counts);
/// println!("{}: {bits} bits; random positions need {:.0}", ring.code, ring.bound_bits());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingStats {
    /// How its positions are written.
    pub code: IndexCode,
    /// Blocks that join at this level.
    pub blocks: usize,
    /// Positions that inner levels left free, in blocks.
    pub free: usize,
    /// Bytes of its weights.
    pub values: usize,
    /// Bytes of its gaps.
    pub index: usize,
    /// Bytes of its row counts.
    pub counts: usize,
}

impl RingStats {
    /// The information bound in bits: `log₂ C(free, blocks)` for the positions and 8 for each weight. No code of
    /// supports that are all equally likely takes fewer on average.
    #[cfg(feature = "std")]
    pub fn bound_bits(&self) -> f64 {
        log2_binomial(self.free as f64, self.blocks as f64) + 8.0 * self.values as f64
    }
}

/// `log₂ (n! / (k! (n − k)!))`.
#[cfg(feature = "std")]
fn log2_binomial(n: f64, k: f64) -> f64 {
    (ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)) / core::f64::consts::LN_2
}

/// Stirling's series for large `n`, within 10⁻⁹; a sum of logarithms for small.
#[cfg(feature = "std")]
fn ln_factorial(n: f64) -> f64 {
    if n < 32.0 {
        return (2..32u8).map(f64::from).take_while(|i| *i <= n).map(f64::ln).sum();
    }
    let tail = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    (n + 0.5) * n.ln() - n + 0.5 * (2.0 * core::f64::consts::PI).ln() + tail
}

impl MatrixView<'_> {
    /// Bytes and blocks of the ring that joins at `level`. O(levels).
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    pub fn ring_stats(&self, level: Level) -> Result<RingStats, FormatError> {
        self.layout.check_held(level)?;
        Ok(self.ring_stats_of(level))
    }

    /// The information bound of the rings up to `level`, in bits; see [`RingStats::bound_bits`].
    ///
    /// # Errors
    /// [`FormatError::NoSuchLevel`].
    #[cfg(feature = "std")]
    pub fn bound_bits(&self, level: Level) -> Result<f64, FormatError> {
        level.up_to().map(|level| Ok(self.ring_stats(level)?.bound_bits())).sum()
    }

    /// Of a level that is held.
    fn ring_stats_of(&self, level: Level) -> RingStats {
        let ring = self.ring(level);
        let inner = level.up_to().rev().skip(1).map(|level| self.ring(level).blocks as usize);
        let positions = self.shape.rows.saturating_mul(self.shape.blocks(self.block) as usize);
        let counts = match ring.code {
            IndexCode::Bytes { count_width } => self.shape.rows.saturating_mul(count_width.into()),
            _ => 0,
        };
        RingStats {
            code: ring.code,
            blocks: ring.blocks as usize,
            free: inner.fold(positions, usize::saturating_sub),
            values: ring.values.len(),
            index: ring.index.len().saturating_sub(counts),
            counts,
        }
    }
}

impl<B: AsRef<[u8]>> NestedCsr<B> {
    /// The bytes by part.
    pub fn stats(&self) -> Stats {
        let fixed = crate::header::header_len(self.levels_stated().number());
        let mut stats = Stats { header: fixed.saturating_add(crate::shape::LAYER_LEN), ..Stats::default() };
        stats.add_layer(&self.view());
        stats.add_padding_behind(&self.view());
        stats
    }
}

impl<B: AsRef<[u8]>> Layers<B> {
    /// The bytes by part; names count as graph.
    pub fn stats(&self) -> Stats {
        let (fixed, names) = self.body_lens();
        let mut stats = Stats { header: fixed, graph: names, ..Stats::default() };
        for index in 0..self.len() {
            stats.add_layer(&self.view(index));
        }
        stats.add_padding_behind(&self.view(self.len().saturating_sub(1)));
        stats.add_padding(names.next_multiple_of(4), names);
        stats
    }
}

impl<B: AsRef<[u8]>> Model<B> {
    /// The bytes by part.
    pub fn stats(&self) -> Stats {
        let body = self.body();
        let header = crate::header::header_len(self.levels_stated().number());
        let layers = body.layers().saturating_mul(crate::shape::LAYER_LEN);
        let mut stats = Stats {
            header: header.saturating_add(layers),
            graph: body.graph_len(),
            requantization: self.parameters_len(),
            ..Stats::default()
        };
        stats.add_padding(body.names_len().next_multiple_of(4), body.names_len());
        for index in 0..self.node_count() {
            let node = body.node(index);
            if node.weights == crate::body::DENSE {
                let len = body.dense(&node).len();
                stats.dense_tensors = stats.dense_tensors.saturating_add(len);
                stats.add_padding(len.next_multiple_of(4), len);
            }
        }
        self.sparse_layers().for_each(|(_, layer)| stats.add_layer(&layer));
        for level in self.levels().up_to() {
            stats.add_padding(self.section(level).len(), self.section_end(level));
        }
        stats
    }

    /// The nested layers, each with the index of its node.
    ///
    /// ```
    /// # use nested_csr::{
    /// #     Block, ConvolutionWeights, Level, ModelBuilder, Multiplier, NodeLevel, Profile, Quantization, Requantization,
    /// #     TensorShape, Window,
    /// # };
    /// # let quantization = Quantization { scale: 0.1, zero_point: 0 };
    /// # let row = Requantization { multiplier: Multiplier::from_code(0), bias: 0 };
    /// # let level = NodeLevel { output: quantization, low: -128, high: 127, input_weights: [0; 2], rows: vec![row] };
    /// # let image = TensorShape { channels: 4, height: 1, width: 1 };
    /// # let mut builder = ModelBuilder::new(Level::FIRST, image, quantization)?;
    /// # let weights = ConvolutionWeights::Sparse { block: Block::OneByOne, weights: &[4, 0, 0, 0], rings: &[1, 0, 0, 0] };
    /// # builder.convolution("pointwise", builder.input(), Window::square(1, 1, 0), 1, weights, &[level])?;
    /// # let model = builder.finish(Profile::Size)?;
    /// // A `model` of one sparse layer, with 4 weights of which 1 is kept:
    /// for (node, layer) in model.sparse_layers() {
    ///     let kept = layer.stored(model.levels())?;
    ///     assert_eq!((model.name(node), kept, layer.shape().len()), (Some("pointwise"), 1, 4));
    /// }
    /// # Ok::<(), nested_csr::FormatError>(())
    /// ```
    pub fn sparse_layers(&self) -> impl Iterator<Item = (usize, MatrixView<'_>)> {
        (0..self.node_count()).filter_map(|index| match self.node(index)?.operation {
            crate::Operation::Convolution { weights: Weights::Sparse(layer), .. } => Some((index, layer)),
            _ => None,
        })
    }
}

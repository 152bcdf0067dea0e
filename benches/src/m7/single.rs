//! Single layers as models of one node: shapes that the reference layers leave out, and the layers of trained models.
use super::{Firmware, M7Error, networks};
use crate::storage;
use nested_csr::{
    ConvolutionWeights, FormatError, MatrixView, Model, ModelBuilder, Operation, Profile, Quantization, TensorShape,
    Weights, Window,
};
use nested_kernels::Network;

/// A run of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Count {
    pub(super) level: usize,
    pub(super) instructions: u32,
    pub(super) scratch_bytes: usize,
    /// Whether that was the least that the kernel runs with, not what it prefers.
    pub(super) least_scratch: bool,
}

/// Runs a model of one node at each level with the preferred scratch and the least; its output is checked against the
/// host's.
pub(super) fn measure(firmware: &Firmware, model: Model<Vec<u8>>) -> Result<Vec<Count>, M7Error> {
    let images = networks::random_images(model.input_shape().len(), 1);
    let Some((records, _)) = networks::run(firmware, None, &Network::new(model)?, &images)? else {
        return Ok(Vec::new());
    };
    let mut before = 0;
    let count = |record: networks::Record| Count {
        level: record.level,
        instructions: record.instructions,
        // What the arena is longer than whole words is for its alignment.
        scratch_bytes: record.sram_bytes / 4 * 4,
        least_scratch: std::mem::replace(&mut before, record.level) == record.level,
    };
    Ok(records.into_iter().map(count).collect())
}

/// A sparse layer of a model, as a model of its own.
pub(super) struct Sparse<'m> {
    pub(super) node: usize,
    pub(super) name: &'m str,
    pub(super) input: TensorShape,
    pub(super) window: Window,
    pub(super) matrix: MatrixView<'m>,
}

/// The sparse layers of a model.
pub(super) fn sparse_layers(model: &Model<Vec<u8>>) -> Vec<Sparse<'_>> {
    let sparse = model.nodes().filter_map(|node| match node.operation {
        Operation::Convolution { input, window, weights: Weights::Sparse(matrix) } => {
            Some(Sparse { node: node.index, name: model.name(node.index)?, input: model.shape(input)?, window, matrix })
        }
        _ => None,
    });
    sparse.collect()
}

/// The layer alone, with its own weights, rings and requantisation, on a map of any size.
pub(super) fn alone(
    model: &Model<Vec<u8>>,
    layer: &Sparse<'_>,
    input: TensorShape,
) -> Result<Model<Vec<u8>>, FormatError> {
    let matrix = storage::unpack(&layer.matrix)?;
    let levels = storage::node_levels(model, layer.node);
    let mut builder = ModelBuilder::new(model.levels(), input, Quantization { scale: 1.0, zero_point: i8::MIN })?;
    let weights =
        ConvolutionWeights::Sparse { block: layer.matrix.block(), weights: &matrix.weights, rings: &matrix.rings };
    builder.convolution(layer.name, builder.input(), layer.window, matrix.shape.rows, weights, &levels)?;
    builder.finish(Profile::Speed)
}

//! Bytes of nested weights: ours, the information bound, and what other layouts need.
pub mod rivals;

use crate::random::Matrix;
use nested_csr::{
    Anchor, Block, ConvolutionWeights, FormatError, HeadAnchors, Level, MatrixView, Model, ModelBuilder, NestedCsr,
    NodeLevel, Operation, Profile, Stats, Weights,
};
use rivals::Nested;
use serde::Serialize;

/// One row of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    pub case: String,
    /// `size`, `speed`, or `file` for a file as it was found.
    pub profile: &'static str,
    /// `1x1` or `1x2`.
    pub block: String,
    /// Per cent.
    pub ladder: String,
    #[serde(flatten)]
    pub bits: Bits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Parts>,
}

/// Bits for each weight of the dense matrix, pruned ones included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bits {
    /// Values, index, counts, padding and header: all but requantisation.
    #[serde(rename = "ours_bits_per_weight")]
    pub ours: f64,
    #[serde(rename = "bound_bits_per_weight")]
    pub bound: f64,
    pub n_copies_csr16: f64,
    pub n_copies_csr8: f64,
    pub dcsr: f64,
    pub ring_bitmap: f64,
    pub paper_layout: f64,
    pub dense: f64,
}

/// Bytes of a file by part.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Parts {
    values: usize,
    index: usize,
    counts: usize,
    requantisation: usize,
    dense_tensors: usize,
    graph: usize,
    padding: usize,
    header: usize,
}

impl From<Stats> for Parts {
    fn from(stats: Stats) -> Parts {
        Parts {
            values: stats.values,
            index: stats.index,
            counts: stats.counts,
            requantisation: stats.requantization,
            dense_tensors: stats.dense_tensors,
            graph: stats.graph,
            padding: stats.padding,
            header: stats.header,
        }
    }
}

impl Parts {
    /// The parts in the order of the fields.
    pub fn in_order(&self) -> [usize; 8] {
        [
            self.values,
            self.index,
            self.counts,
            self.requantisation,
            self.dense_tensors,
            self.graph,
            self.padding,
            self.header,
        ]
    }
}

/// The matrix as a file of its own, beside its rivals.
pub fn of_matrix(matrix: &Matrix, block: Block, levels: Level, profile: Profile) -> Result<Bits, FormatError> {
    let file = NestedCsr::compress(matrix.shape, block, levels, &matrix.weights, &matrix.rings, profile)?;
    let bound = file.view().bound_bits(levels)?;
    let nested = Nested { shape: matrix.shape, block, levels: levels.number() as u8, rings: &matrix.rings };
    Ok(bits(file.as_bytes().len(), bound, &[nested]))
}

/// A model's sparse layers beside their rivals. Ours counts the whole file without requantisation, dense tensors and graph.
pub fn of_model(model: &Model<Vec<u8>>) -> Result<Bits, FormatError> {
    let levels = model.levels();
    let layers: Vec<(Matrix, Block)> =
        model.sparse_layers().map(|(_, layer)| Ok((unpack(&layer)?, layer.block()))).collect::<Result<_, _>>()?;
    let bound = model.sparse_layers().map(|(_, layer)| layer.bound_bits(levels)).sum::<Result<f64, _>>()?;
    let nested: Vec<Nested<'_>> = layers
        .iter()
        .map(|(matrix, block)| Nested {
            shape: matrix.shape,
            block: *block,
            levels: levels.number() as u8,
            rings: &matrix.rings,
        })
        .collect();
    let stats = model.stats();
    let ours = stats.values + stats.index + stats.counts + stats.padding + stats.header;
    Ok(bits(ours, bound, &nested))
}

fn bits(ours: usize, bound: f64, nested: &[Nested<'_>]) -> Bits {
    let of = |bytes: fn(&Nested<'_>) -> usize| nested.iter().map(bytes).sum::<usize>();
    let weights = of(|nested| nested.dense());
    let bits = |bytes: usize| 8.0 * bytes as f64 / weights as f64;
    Bits {
        ours: bits(ours),
        bound: bound / weights as f64,
        n_copies_csr16: bits(of(|nested| nested.copies_of_csr16())),
        n_copies_csr8: bits(of(|nested| nested.copies_of_csr8())),
        dcsr: bits(of(|nested| nested.copies_of_dcsr())),
        ring_bitmap: bits(of(|nested| nested.ring_bitmap())),
        paper_layout: bits(of(|nested| nested.paper_layout())),
        dense: bits(of(|nested| nested.dense())),
    }
}

/// The same model, its index codes chosen anew for a profile.
///
/// # Errors
/// None for a model of the operations of this version; the builder's are passed on.
pub fn encode_again(model: &Model<Vec<u8>>, profile: Profile) -> Result<Model<Vec<u8>>, FormatError> {
    let mut builder = ModelBuilder::new(model.levels(), model.input_shape(), model.input_quantization())?;
    for node in model.nodes() {
        let name = model.name(node.index).unwrap_or_default();
        let levels = node_levels(model, node.index);
        match node.operation {
            Operation::Convolution { input, window, weights: Weights::Dense(weights) } => {
                let weights = ConvolutionWeights::Dense(weights);
                builder.convolution(name, input, window, node.output.channels, weights, &levels)?
            }
            Operation::Convolution { input, window, weights: Weights::Sparse(layer) } => {
                let matrix = unpack(&layer)?;
                let weights =
                    ConvolutionWeights::Sparse { block: layer.block(), weights: &matrix.weights, rings: &matrix.rings };
                builder.convolution(name, input, window, node.output.channels, weights, &levels)?
            }
            Operation::Depthwise { input, window, weights } => {
                builder.depthwise(name, input, window, weights, &levels)?
            }
            Operation::Add { left, right } => builder.add(name, left, right, &levels)?,
            Operation::AveragePool { input, window } => builder.average_pool(name, input, window, &levels)?,
            Operation::MaxPool { input, window } => builder.max_pool(name, input, window)?,
            Operation::Concatenation { left, right } => builder.concatenation(name, left, right)?,
            Operation::Detection { input, anchors } => {
                let sizes: Vec<Vec<Anchor>> = anchors.maps().map(|map| map.anchors().collect()).collect();
                let side = |side: usize| side as u16; // as the file has it
                let maps: Vec<HeadAnchors<'_>> = (anchors.maps().zip(&sizes))
                    .map(|(map, anchors)| HeadAnchors { height: side(map.height), width: side(map.width), anchors })
                    .collect();
                builder.detection(name, input, anchors.classes() as u16, &maps)?
            }
            _ => return Err(FormatError::Node { node: node.index, field: "an operation of a later version" }),
        };
    }
    builder.finish(profile)
}

/// What a node has of its own at each level, as a builder takes it.
pub fn node_levels(model: &Model<Vec<u8>>, node: usize) -> Vec<NodeLevel> {
    model.levels().up_to().filter_map(|level| model.parameters(level, node)).map(NodeLevel::from).collect()
}

/// The weights of a layer and the ring of each.
pub fn unpack(layer: &MatrixView<'_>) -> Result<Matrix, FormatError> {
    let shape = layer.shape();
    let mut matrix =
        Matrix { shape, weights: vec![0; shape.rows * shape.columns], rings: vec![0; shape.rows * shape.columns] };
    for level in layer.levels().up_to() {
        let mut rows = layer.rows(level)?;
        for row in 0..shape.rows {
            let start = row * shape.columns;
            rows.next_row(|column, weight| {
                let place = start + column;
                if matrix.rings[place] == 0 {
                    matrix.rings[place] = level.number() as u8;
                    matrix.weights[place] = weight;
                }
            });
        }
    }
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use nested_csr::Shape;
    use nested_mask::Ladder;
    use rand::SeedableRng;

    #[test]
    fn a_model_encoded_again_for_its_own_profile_is_the_same_file() {
        let ladder = Ladder::new([0.9, 0.7]).unwrap();
        let shape = nested_csr::TensorShape { channels: 3, height: 16, width: 16 };
        for network in [nested_mask::nn::mobilenet_v1(shape, 0.25, 4), nested_mask::nn::resnet9(shape, 0.125, 4)] {
            let model = random::model(&network.unwrap(), Block::OneByTwo, &ladder, Profile::Size, 1).unwrap();
            assert_eq!(encode_again(&model, Profile::Size).unwrap().as_bytes(), model.as_bytes());
        }
    }

    #[test]
    fn unpacking_gives_back_what_was_compressed() {
        let ladder = Ladder::new([0.9, 0.8, 0.7]).unwrap();
        for block in [Block::OneByOne, Block::OneByTwo] {
            let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
            let matrix = random::matrix(Shape { rows: 13, columns: 45 }, block, &ladder, &mut random);
            let (levels, profile) = (ladder.levels(), Profile::Size);
            let file = NestedCsr::compress(matrix.shape, block, levels, &matrix.weights, &matrix.rings, profile);
            let back = unpack(&file.unwrap().view()).unwrap();
            assert_eq!((back.weights, back.rings), (matrix.weights, matrix.rings));
        }
    }
}

//! Which weights each level uses.
use super::{Masking, TrainError, Trained};
use crate::{
    MaskError, NestedMask,
    allocation::{Allocation, LayerShape},
    nn::{self, Network, Operation},
};

/// Masks of a network whose training begins.
pub(super) fn begin(
    trained: &mut Trained,
    masking: Masking,
    allocation: Allocation,
    factor: f64,
) -> Result<(), TrainError> {
    match masking {
        Masking::Nested | Masking::Dsnn => by_magnitude(trained, allocation, factor),
        Masking::Slimmable => {
            let masks = nn::channel_masks(&trained.network, &trained.ladder);
            for (layer, mask) in trained.parameters.layers.iter_mut().zip(masks) {
                if let Some(layer) = layer {
                    layer.mask = mask;
                }
            }
            Ok(())
        }
    }
}

/// Masks of the greatest weights, at `factor` times the ladder's sparsities.
pub(super) fn by_magnitude(trained: &mut Trained, allocation: Allocation, factor: f64) -> Result<(), TrainError> {
    if trained.ladder.is_dense() {
        return Ok(());
    }
    let (nodes, shapes): (Vec<usize>, Vec<LayerShape>) = sparse_layers(&trained.network).unzip();
    let of_levels: Vec<Vec<f64>> =
        trained.ladder.sparsities().iter().map(|s| allocation.sparsities(&shapes, s * factor)).collect();
    for (position, node) in nodes.into_iter().enumerate() {
        let Some(layer) = &mut trained.parameters.layers[node] else { continue };
        let sparsities: Vec<f64> = of_levels.iter().map(|of_layers| of_layers[position]).collect();
        let scores = layer.weights.mapv(|w| w * w);
        let mask = NestedMask::by_score_at(scores.view(), &sparsities, trained.ladder.levels(), trained.block);
        let name = || trained.network.nodes()[node].name.clone();
        layer.mask = Some(mask.map_err(|error| TrainError::Mask { layer: name(), error })?);
    }
    Ok(())
}

/// The nodes with sparse weights, and their shapes.
fn sparse_layers(network: &Network) -> impl Iterator<Item = (usize, LayerShape)> + '_ {
    network.nodes().iter().enumerate().filter_map(|(index, node)| match node.operation {
        Operation::Convolution { window, finish, .. } if finish.sparse => {
            Some((index, LayerShape { matrix: network.weights(index)?, kernel: window.kernel.map(usize::from) }))
        }
        _ => None,
    })
}

/// The place in the training of a weight that could not be ranked.
pub(super) fn at_step(error: TrainError, epoch: usize, step: usize) -> TrainError {
    match error {
        TrainError::Mask { layer, error: MaskError::NotANumber { index } } => {
            let what = format!("weight {index} is not a number");
            TrainError::NotFinite { what, layer, epoch: epoch + 1, step: step + 1 }
        }
        other => other,
    }
}

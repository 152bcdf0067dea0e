//! Slimmable networks: levels that are widths. A level uses the leading channels of every layer, which is a nested mask
//! whose supports are whole rows and whole input channels.
use super::{Layer, Network, Norm, Operation, Parameters, Scalar, zoo::rounded};
use crate::{Block, Ladder, NestedMask};
use ndarray::{Array2, Ix2};
use nested_csr::{Level, TensorId, TensorShape};

impl Network {
    /// The same network with the leading `width` of each layer's channels, rounded and at least one; the channels of the image,
    /// of the output and of what a concatenation puts together stay. A width of 1 or more is the whole network, one of 0, below
    /// or no number leaves one channel.
    ///
    /// ```
    /// use nested_csr::TensorShape;
    /// use nested_mask::nn::resnet8;
    /// let shape = TensorShape { channels: 1, height: 28, width: 28 };
    /// assert_eq!(resnet8(shape, 1.0, 10)?.narrowed(0.5), resnet8(shape, 0.5, 10)?);
    /// # Ok::<(), nested_mask::nn::NetworkError>(())
    /// ```
    pub fn narrowed(&self, width: f64) -> Network {
        let channels = self.channels(width);
        let mut narrow = self.clone();
        for (node, &channels) in narrow.nodes.iter_mut().zip(&channels[1..]) {
            node.output.channels = channels;
            if let Operation::Convolution { rows, .. } = &mut node.operation {
                *rows = channels;
            }
        }
        narrow
    }

    /// Channels of each tensor at a width.
    fn channels(&self, width: f64) -> Vec<usize> {
        let shapes = std::iter::once(self.input()).chain(self.nodes().iter().map(|node| node.output));
        let keep = |(shape, fixed): (TensorShape, bool)| match fixed {
            true => shape.channels,
            false => rounded(shape.channels, width).min(shape.channels),
        };
        shapes.zip(self.fixed()).map(keep).collect()
    }

    /// Tensors whose channels are those of the image, of the output or of a concatenation's operands.
    fn fixed(&self) -> Vec<bool> {
        // The leading elements of what is put together are not the leading ones of both operands.
        let joined = self.nodes().iter().map(|node| matches!(node.operation, Operation::Concatenation { .. }));
        let mut fixed: Vec<bool> = std::iter::once(true).chain(joined).collect();
        fixed[self.nodes().len()] = true;
        // A convolution cuts the tie between its tensors' channels; all other nodes keep it.
        loop {
            let before = fixed.clone();
            for (index, node) in self.nodes().iter().enumerate() {
                let tied: &[TensorId] = match &node.operation {
                    Operation::Convolution { .. } => continue,
                    Operation::Add { left, right, .. } | Operation::Concatenation { left, right } => &[*left, *right],
                    Operation::Depthwise { input, .. }
                    | Operation::AveragePool { input, .. }
                    | Operation::MaxPool { input, .. } => &[*input],
                };
                let any = fixed[index + 1] || tied.iter().any(|tensor| fixed[usize::from(tensor.0)]);
                fixed[index + 1] = any;
                tied.iter().for_each(|tensor| fixed[usize::from(tensor.0)] = any);
            }
            if fixed == before {
                return fixed;
            }
        }
    }

    /// The tensor that a node with weights reads.
    fn source(&self, node: usize) -> Option<usize> {
        match self.nodes().get(node)?.operation {
            Operation::Convolution { input, .. } | Operation::Depthwise { input, .. } => Some(usize::from(input.0)),
            _ => None,
        }
    }

    /// Input channels of a node's weight matrix at these channels of the tensors: a depthwise row has one.
    fn inputs(&self, node: usize, channels: &[usize]) -> Option<usize> {
        match self.nodes().get(node)?.operation {
            Operation::Depthwise { .. } => Some(1),
            _ => self.source(node).map(|tensor| channels[tensor]),
        }
    }
}

/// The masks of a slimmable network, one a node with weights: level k uses the leading `1 − sparsity` of the channels.
///
/// ```
/// use nested_csr::TensorShape;
/// use nested_mask::{Ladder, Level, nn::{channel_masks, resnet8}};
/// let network = resnet8(TensorShape { channels: 1, height: 28, width: 28 }, 1.0, 10)?;
/// let masks = channel_masks(&network, &Ladder::new([0.5, 0.0])?);
/// // The first layer reads the image's one channel: half its rows are half its weights.
/// assert_eq!(masks[0].as_ref().map(|mask| mask.sparsity(Level::FIRST)), Some(0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn channel_masks(network: &Network, ladder: &Ladder) -> Vec<Option<NestedMask<Ix2>>> {
    let widths: Vec<Vec<usize>> = ladder.sparsities().iter().map(|left_out| network.channels(1.0 - left_out)).collect();
    let full = network.channels(1.0);
    let mask = |node: usize| {
        let (shape, inputs) = (network.weights(node)?, network.inputs(node, &full)?);
        let ring = |(row, column): (usize, usize)| {
            let used = |channels: &Vec<usize>| {
                row < channels[node + 1] && network.inputs(node, channels).is_some_and(|n| column % inputs < n)
            };
            widths.iter().position(used).map_or(0, |index| index as u8 + 1)
        };
        NestedMask::from_rings(
            Array2::from_shape_fn((shape.rows, shape.columns), ring),
            ladder.levels(),
            Block::OneByOne,
        )
        .ok()
    };
    (0..network.nodes().len()).map(mask).collect()
}

impl<T: Scalar> Parameters<T> {
    /// The parameters of [`Network::narrowed`]: those that a level uses, without masks.
    pub(crate) fn narrowed(&self, network: &Network, width: f64, level: Level) -> Parameters<T> {
        let (full, channels) = (network.channels(1.0), network.channels(width));
        let narrow = |(node, layer): (usize, &Option<Layer<T>>)| {
            let (layer, rows) = (layer.as_ref()?, channels[node + 1]);
            let (all, kept) = (network.inputs(node, &full)?, network.inputs(node, &channels)?);
            let taps = layer.weights.ncols() / all;
            let weights = Array2::from_shape_fn((rows, taps * kept), |(row, column)| {
                layer.weights[(row, column / kept * all + column % kept)]
            });
            let norm = |norm: &Norm<T>| {
                let [scale, shift, mean, variance] =
                    [&norm.scale, &norm.shift, &norm.mean, &norm.variance].map(|values| values[..rows].to_vec());
                Norm { scale, shift, mean, variance }
            };
            let norms = layer.norms.get(level.number() - 1).map(norm).into_iter().collect();
            let bias = layer.bias.iter().take(rows).copied().collect();
            Some(Layer { weights, mask: None, bias, norms })
        };
        Parameters { layers: self.layers.iter().enumerate().map(narrow).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::resnet8;

    #[test]
    fn any_width_narrows_to_between_one_channel_and_all() {
        let network = resnet8(TensorShape { channels: 1, height: 8, width: 8 }, 0.5, 2).unwrap();
        for width in [1.0, 1.5, 1e300, f64::INFINITY] {
            assert_eq!(network.narrowed(width), network);
        }
        let thin = network.narrowed(1e-300);
        assert!(thin.nodes().iter().rev().skip(1).all(|node| node.output.channels == 1));
        for width in [0.0, -1.0, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(network.narrowed(width), thin);
        }
    }
}

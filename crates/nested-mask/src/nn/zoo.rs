//! The networks that the experiments use.
use super::{Activation, Activation::Relu, Activation::Relu6, Finish, Network, NetworkBuilder, NetworkError};
use nested_csr::{Padding, TensorId, TensorShape, Window};

/// The most channels that a model holds.
const MOST: f64 = 65_535.0;

/// Channels of a layer in a network scaled by `width`: at least 1.
///
/// # Errors
/// [`NetworkError::Width`] when it is not above 0, or they are more than a model holds.
pub(super) fn scaled(channels: usize, width: f64) -> Result<usize, NetworkError> {
    if width > 0.0 && channels as f64 * width <= MOST {
        Ok(rounded(channels, width))
    } else {
        Err(NetworkError::Width { width })
    }
}

/// The share `width` of so many channels: at least 1.
pub(super) fn rounded(channels: usize, width: f64) -> usize {
    ((channels as f64 * width).round() as usize).max(1)
}

/// ResNet-8 (MLPerf Tiny's): 3×3-16, three stacks of 16/32/64 channels scaled by `width`, average pool, fully connected.
/// The six 3×3 after the first are sparse. A width is above 0, in all these networks, and leaves each layer at least one
/// channel and at most 65,535.
///
/// # Errors
/// [`NetworkError`] when the image is too small, there is no class, or the width is out of range.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::resnet8(TensorShape { channels: 1, height: 28, width: 28 }, 0.5, 10)?;
/// assert_eq!(network.nodes().iter().filter(|n| n.name.contains("conv")).count(), 7);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn resnet8(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let first = scaled(16, width)?;
    let mut x = b.convolution("conv1", input, Window::square(3, 1, 1), first, Finish::NORM.then(Relu))?;
    let mut channels = first;
    for (stack, full) in [16, 32, 64].into_iter().enumerate() {
        let rows = scaled(full, width)?;
        let stride = if stack == 0 { 1 } else { 2 };
        x = residual(&mut b, &format!("stack{}", stack + 1), x, stride, rows, rows != channels || stride != 1)?;
        channels = rows;
    }
    let x = b.global_average_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

/// Two sparse 3×3 with a shortcut around them, which is a 1×1 convolution when the shape changes.
fn residual(
    b: &mut NetworkBuilder,
    name: &str,
    x: TensorId,
    stride: u8,
    rows: usize,
    changes: bool,
) -> Result<TensorId, NetworkError> {
    let shortcut = if changes {
        b.convolution(&format!("{name}.shortcut"), x, Window::square(1, stride, 0), rows, Finish::NORM)?
    } else {
        x
    };
    let finish = Finish::NORM.sparse();
    let y = b.convolution(&format!("{name}.conv1"), x, Window::square(3, stride, 1), rows, finish.then(Relu))?;
    let y = b.convolution(&format!("{name}.conv2"), y, Window::square(3, 1, 1), rows, finish)?;
    b.add(&format!("{name}.add"), y, shortcut, Relu)
}

/// A sparse 3×3 with normalisation and ReLU.
fn sparse3x3(b: &mut NetworkBuilder, name: &str, x: TensorId, rows: usize) -> Result<TensorId, NetworkError> {
    b.convolution(name, x, Window::square(3, 1, 1), rows, Finish::NORM.then(Relu).sparse())
}

/// ResNet-9: 3×3-64; 3×3-128 and a pool; a residual pair; 3×3-256 and a pool, twice; a residual pair; average pool; fully
/// connected. `width` scales the channels. All 3×3 but the first are sparse.
///
/// # Errors
/// [`NetworkError`] when the image is below 8×8, there is no class, or the width is out of range.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::resnet9(TensorShape { channels: 3, height: 32, width: 32 }, 1.0, 10)?;
/// let weights: usize = (0..network.nodes().len()).filter_map(|node| network.weights(node)).map(|shape| shape.len()).sum();
/// assert_eq!(weights, 2_437_312);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn resnet9(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    let (narrow, middle, wide) = (scaled(64, width)?, scaled(128, width)?, scaled(256, width)?);
    let halve = Window::square(2, 2, 0);
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let x = b.convolution("conv1", input, Window::square(3, 1, 1), narrow, Finish::NORM.then(Relu))?;
    let x = sparse3x3(&mut b, "conv2", x, middle)?;
    let x = b.max_pool("pool2", x, halve)?;
    let x = residual_pair(&mut b, "pair1", x, middle)?;
    let x = sparse3x3(&mut b, "conv3", x, wide)?;
    let x = b.max_pool("pool3", x, halve)?;
    let x = sparse3x3(&mut b, "conv4", x, wide)?;
    let x = b.max_pool("pool4", x, halve)?;
    let x = residual_pair(&mut b, "pair2", x, wide)?;
    let x = b.global_average_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

/// `x + conv(conv(x))`, each convolution with its ReLU.
fn residual_pair(b: &mut NetworkBuilder, name: &str, x: TensorId, rows: usize) -> Result<TensorId, NetworkError> {
    let y = sparse3x3(b, &format!("{name}.conv1"), x, rows)?;
    let y = sparse3x3(b, &format!("{name}.conv2"), y, rows)?;
    b.add(&format!("{name}.add"), x, y, Activation::Identity)
}

/// MobileNetV1 for small images: 3×3-32 with stride 1, then thirteen depthwise-separable blocks, average pool, fully
/// connected; ReLU6. `width` scales the channels. The pointwise convolutions are sparse. Its normalisations have ε = 0.001,
/// as in the authors' own code: at small widths the levels leave channels that hardly vary. Source: Howard et al. (2017).
///
/// # Errors
/// [`NetworkError`] when there is no class, or the width is out of range.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::mobilenet_v1(TensorShape { channels: 3, height: 32, width: 32 }, 1.0, 10)?;
/// let weights: usize = (0..network.nodes().len()).filter_map(|node| network.weights(node)).map(|shape| shape.len()).sum();
/// assert_eq!(weights, 3_195_328);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn mobilenet_v1(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    const BLOCKS: [(usize, u8); 13] = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (1024, 2),
        (1024, 1),
    ];
    let mut b = NetworkBuilder::new(shape).with_epsilon(1e-3)?;
    let input = b.input();
    let finish = Finish::NORM.then(Relu6);
    let mut x = b.convolution("conv1", input, Window::square(3, 1, 1), scaled(32, width)?, finish)?;
    for (index, (rows, stride)) in BLOCKS.into_iter().enumerate() {
        x = separable(&mut b, index + 1, x, stride, scaled(rows, width)?, finish)?;
    }
    let x = b.global_average_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

/// DS-CNN (MLPerf Tiny's keyword spotter): a 10×4 convolution of 64 channels and stride 2, four depthwise-separable blocks,
/// average pool, fully connected; ReLU. `width` scales the channels. The pointwise convolutions are sparse.
///
/// # Errors
/// [`NetworkError`] when the input is too small, there is no class, or the width is out of range.
///
/// ```
/// use nested_csr::TensorShape;
/// // 49 windows of 10 features of a second of speech, 12 words.
/// let network = nested_mask::nn::ds_cnn(TensorShape { channels: 1, height: 49, width: 10 }, 1.0, 12)?;
/// let weights: usize = (0..network.nodes().len()).filter_map(|node| network.weights(node)).map(|shape| shape.len()).sum();
/// assert_eq!(weights, 22_016);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn ds_cnn(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    let padding = Padding { top: 4, left: 1, bottom: 5, right: 1 };
    let first = Window { kernel: [10, 4], stride: 2, padding };
    let rows = scaled(64, width)?;
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let finish = Finish::NORM.then(Relu);
    let mut x = b.convolution("conv1", input, first, rows, finish)?;
    for index in 1..=4 {
        x = separable(&mut b, index, x, 1, rows, finish)?;
    }
    let x = b.global_average_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

/// A 3×3 depthwise convolution, then a sparse pointwise one.
fn separable(
    b: &mut NetworkBuilder,
    number: usize,
    x: TensorId,
    stride: u8,
    rows: usize,
    finish: Finish,
) -> Result<TensorId, NetworkError> {
    let x = b.depthwise(&format!("block{number}.depthwise"), x, Window::square(3, stride, 1), finish)?;
    b.convolution(&format!("block{number}.pointwise"), x, Window::square(1, 1, 0), rows, finish.sparse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::ssd_mobilenet_v2;

    /// Dense MACs and weights.
    fn size(network: &Network) -> (usize, usize) {
        let nodes = network.nodes().iter().enumerate();
        let sizes = nodes.filter_map(|(index, node)| {
            let weights = network.weights(index)?;
            let weights = weights.rows * weights.columns;
            Some((weights * node.output.height * node.output.width, weights))
        });
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    #[test]
    fn networks_have_the_sizes_they_are_known_for() {
        let cifar = TensorShape { channels: 3, height: 32, width: 32 };
        let fashion = TensorShape { channels: 1, height: 28, width: 28 };
        let speech = TensorShape { channels: 1, height: 49, width: 10 };
        let about = |found: (usize, usize), macs: f64, weights: f64| {
            assert!((found.0 as f64 / macs - 1.0).abs() < 0.01, "{found:?}");
            assert!((found.1 as f64 / weights - 1.0).abs() < 0.02, "{found:?}");
        };
        about(size(&resnet8(cifar, 1.0, 10).unwrap()), 12.5e6, 77.4e3);
        about(size(&resnet8(fashion, 0.5, 10).unwrap()), 2.36e6, 19.3e3);
        about(size(&mobilenet_v1(cifar, 1.0, 10).unwrap()), 46.4e6, 3.2e6);
        about(size(&resnet9(cifar, 1.0, 10).unwrap()), 285e6, 2.4e6);
        about(size(&ds_cnn(speech, 1.0, 12).unwrap()), 2.66e6, 22.0e3);
    }

    #[test]
    fn widths_that_make_no_layers_are_refused() {
        let image = TensorShape { channels: 1, height: 49, width: 33 };
        type Build = fn(TensorShape, f64, usize) -> Result<Network, NetworkError>;
        let networks: [Build; 5] = [resnet8, resnet9, mobilenet_v1, ds_cnn, ssd_mobilenet_v2];
        for network in networks {
            for width in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e5, 1e300] {
                match network(image, width, 2) {
                    Err(NetworkError::Width { width: given }) => assert_eq!(given.to_bits(), width.to_bits()),
                    other => panic!("{width}: {other:?}"),
                }
            }
            // One channel a layer.
            assert!(network(image, 1e-300, 2).is_ok());
        }
    }
}

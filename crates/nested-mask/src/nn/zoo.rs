//! The networks that the experiments use.
use super::{
    Activation::{self, Identity, Relu, Relu6},
    Finish, Network, NetworkBuilder, NetworkError,
};
use nested_csr::{Padding, TensorId, TensorShape, Window};

/// Channels of a layer in a network scaled by `width`: at least 1.
fn scaled(channels: usize, width: f64) -> usize {
    ((channels as f64 * width).round() as usize).max(1)
}

/// ResNet-8 (MLPerf Tiny's): 3×3-16, three stacks of 16/32/64 channels scaled by `width`, average pool, fully connected.
/// The six 3×3 after the first are sparse.
///
/// # Errors
/// [`NetworkError`] when the image is too small or there is no class.
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
    let first = scaled(16, width);
    let mut x = b.convolution("conv1", input, Window::square(3, 1, 1), first, Finish::NORM.then(Relu))?;
    let mut channels = first;
    for (stack, full) in [16, 32, 64].into_iter().enumerate() {
        let rows = scaled(full, width);
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

/// ResNet-9: 3×3-64; 3×3-128 + pool; residual pair 128; 3×3-256 + pool; 3×3-256 + pool; residual pair 256; pool; fully
/// connected. Channels are scaled by `width`. Every 3×3 but the first is sparse.
///
/// # Errors
/// [`NetworkError`] when the image is smaller than 16×16 or there is no class.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::resnet9(TensorShape { channels: 3, height: 32, width: 32 }, 0.25, 100)?;
/// assert_eq!(network.classes(), 100);
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn resnet9(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    const SAME: Window = Window::square(3, 1, 1);
    const HALVE: Window = Window::square(2, 2, 0);
    let (dense, sparse) = (Finish::NORM.then(Relu), Finish::NORM.then(Relu).sparse());
    let mut b = NetworkBuilder::new(shape);
    let pair = |b: &mut NetworkBuilder, name: &str, x: TensorId, rows: usize| {
        let y = b.convolution(&format!("{name}.conv1"), x, SAME, rows, sparse)?;
        let y = b.convolution(&format!("{name}.conv2"), y, SAME, rows, sparse)?;
        b.add(&format!("{name}.add"), y, x, Identity)
    };
    let [narrow, middle, wide] = [64, 128, 256].map(|channels| scaled(channels, width));
    let input = b.input();
    let x = b.convolution("conv1", input, SAME, narrow, dense)?;
    let x = b.convolution("conv2", x, SAME, middle, sparse)?;
    let x = b.max_pool("pool2", x, HALVE)?;
    let x = pair(&mut b, "pair1", x, middle)?;
    let x = b.convolution("conv3", x, SAME, wide, sparse)?;
    let x = b.max_pool("pool3", x, HALVE)?;
    let x = b.convolution("conv4", x, SAME, wide, sparse)?;
    let x = b.max_pool("pool4", x, HALVE)?;
    let x = pair(&mut b, "pair2", x, wide)?;
    let x = b.global_max_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

/// MobileNetV1 for small images: 3×3-32 of stride 1, thirteen depthwise-separable blocks, average pool, fully connected;
/// ReLU6. Channels are scaled by `width`. The pointwise convolutions are sparse.
///
/// Source: A. G. Howard et al., "MobileNets", arXiv 1704.04861, with the first stride 1 for 32×32 images.
///
/// # Errors
/// [`NetworkError`] when there is no class.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::mobilenet_v1(TensorShape { channels: 3, height: 32, width: 32 }, 1.0, 10)?;
/// assert_eq!(network.nodes().len(), 1 + 2 * 13 + 2);
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
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let x = b.convolution("conv1", input, Window::square(3, 1, 1), scaled(32, width), Finish::NORM.then(Relu6))?;
    separable(b, x, &BLOCKS, width, Relu6, classes)
}

/// DS-CNN (MLPerf Tiny's keyword spotting network): 10×4-64 of stride 2, four depthwise-separable blocks of 64 channels,
/// average pool, fully connected; ReLU. Channels are scaled by `width`. The pointwise convolutions are sparse.
///
/// Source: Y. Zhang et al., "Hello Edge", arXiv 1711.07128.
///
/// # Errors
/// [`NetworkError`] when the image is too small or there is no class.
///
/// ```
/// use nested_csr::TensorShape;
/// let network = nested_mask::nn::ds_cnn(TensorShape { channels: 1, height: 49, width: 10 }, 1.0, 12)?;
/// assert_eq!(network.nodes()[0].output, TensorShape { channels: 64, height: 25, width: 5 });
/// # Ok::<(), nested_mask::nn::NetworkError>(())
/// ```
pub fn ds_cnn(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let window = Window { kernel: [10, 4], stride: 2, padding: Padding { top: 4, left: 1, bottom: 5, right: 1 } };
    let x = b.convolution("conv1", input, window, scaled(64, width), Finish::NORM.then(Relu))?;
    separable(b, x, &[(64, 1); 4], width, Relu, classes)
}

/// Blocks of a 3×3 depthwise and a sparse pointwise convolution, given as (channels, stride); then the classifier.
fn separable(
    mut b: NetworkBuilder,
    mut x: TensorId,
    blocks: &[(usize, u8)],
    width: f64,
    activation: Activation,
    classes: usize,
) -> Result<Network, NetworkError> {
    let finish = Finish::NORM.then(activation);
    for (index, &(channels, stride)) in blocks.iter().enumerate() {
        let name = format!("block{}", index + 1);
        x = b.depthwise(&format!("{name}.depthwise"), x, Window::square(3, stride, 1), finish)?;
        let rows = scaled(channels, width);
        x = b.convolution(&format!("{name}.pointwise"), x, Window::square(1, 1, 0), rows, finish.sparse())?;
    }
    let x = b.global_average_pool("pool", x)?;
    b.fully_connected("logits", x, classes)?;
    b.finish()
}

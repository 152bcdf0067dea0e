//! The networks that the experiments use.
use super::{Activation::Relu, Finish, Network, NetworkBuilder, NetworkError};
use nested_csr::{TensorId, TensorShape, Window};

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

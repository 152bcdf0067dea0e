//! The detector of the experiments.
use super::{Activation, Activation::Relu6, Finish, Network, NetworkBuilder, NetworkError, zoo::scaled};
use crate::detect::{AnchorMap, Anchors, BESIDES, check_classes};
use nested_csr::{ANCHOR_ONE, Anchor, TensorId, TensorShape, Window};

/// Channels of the first convolution.
const FIRST: usize = 16;

/// What one inverted residual is: how many times its middle is wider than its input, its output channels, its stride.
struct Residual {
    expansion: usize,
    channels: usize,
    stride: u8,
    /// Whether boxes are found on its output.
    head: bool,
}

/// Few channels where maps are large, many where they are small: what a level leaves out is then most of the work, and the
/// depthwise layers, which are dense, are little of it.
const BODY: [Residual; 8] = [
    Residual { expansion: 1, channels: 32, stride: 2, head: false },
    Residual { expansion: 3, channels: 80, stride: 2, head: false },
    Residual { expansion: 3, channels: 80, stride: 1, head: true },
    Residual { expansion: 3, channels: 112, stride: 2, head: false },
    Residual { expansion: 3, channels: 112, stride: 1, head: false },
    Residual { expansion: 3, channels: 112, stride: 1, head: true },
    Residual { expansion: 3, channels: 160, stride: 2, head: false },
    Residual { expansion: 3, channels: 160, stride: 1, head: true },
];

/// Sides of the square anchors of each head map, in cells of the map; other shapes have the same area.
const SIDES: [f64; 2] = [1.5, 2.2];
/// Height over width of the anchors that are not square.
const SHAPES: [f64; 2] = [2.0, 0.5];

/// MobileNetV2 for small images with SSD-lite heads on its maps of 1/8, 1/16 and 1/32 of the image's sides: 3×3-16 with
/// stride 2, inverted residuals with ReLU6, and for each head a depthwise 3×3 and a 1×1 that yields the values of the
/// anchors. `width` scales the channels. Expansions, projections and heads are sparse.
///
/// Source: Sandler et al., MobileNetV2 (2018), sections 3 and 6.2; its channels were made for images of 224 × 224.
///
/// # Errors
/// [`NetworkError`] when the image is too small, there are no or more than 256 classes, or the width is out of range, which is
/// that of [`super::resnet8`].
///
/// ```
/// use nested_csr::TensorShape;
/// let image = TensorShape { channels: 1, height: 96, width: 96 };
/// let network = nested_mask::nn::ssd_mobilenet_v2(image, 1.0, 10)?;
/// let anchors = network.anchors().ok_or("a classifier")?;
/// let sizes: Vec<_> = anchors.maps().iter().map(|map| (map.height, map.width)).collect();
/// assert_eq!(sizes, [(12, 12), (6, 6), (3, 3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ssd_mobilenet_v2(shape: TensorShape, width: f64, classes: usize) -> Result<Network, NetworkError> {
    check_classes(classes)?;
    let mut b = NetworkBuilder::new(shape);
    let input = b.input();
    let first = scaled(FIRST, width)?;
    let mut x = b.convolution("conv1", input, Window::square(3, 2, 1), first, Finish::NORM.then(Relu6))?;
    let mut channels = first;
    let (mut heads, mut maps) = (Vec::new(), Vec::new());
    for (index, block) in BODY.iter().enumerate() {
        let rows = scaled(block.channels, width)?;
        x = inverted_residual(&mut b, &format!("block{}", index + 1), x, channels, rows, block)?;
        channels = rows;
        if block.head {
            let map = anchors(&b, x)?;
            heads.push(head(&mut b, &format!("head{}", heads.len() + 1), x, &map, classes)?);
            maps.push(map);
        }
    }
    let mut all = heads[0];
    for (index, &head) in heads.iter().enumerate().skip(1) {
        all = b.concatenation(&format!("heads1to{}", index + 1), all, head)?;
    }
    b.finish_detector(Anchors::new(classes, maps)?)
}

/// Expansion, depthwise convolution, projection without activation, and a shortcut around them where the shape stays.
fn inverted_residual(
    b: &mut NetworkBuilder,
    name: &str,
    x: TensorId,
    channels: usize,
    rows: usize,
    block: &Residual,
) -> Result<TensorId, NetworkError> {
    let finish = Finish::NORM.then(Relu6);
    let one = Window::square(1, 1, 0);
    let mut y = x;
    if block.expansion > 1 {
        y = b.convolution(&format!("{name}.expansion"), y, one, channels * block.expansion, finish.sparse())?;
    }
    y = b.depthwise(&format!("{name}.depthwise"), y, Window::square(3, block.stride, 1), finish)?;
    y = b.convolution(&format!("{name}.projection"), y, one, rows, Finish::NORM.sparse())?;
    if block.stride == 1 && channels == rows {
        y = b.add(&format!("{name}.add"), x, y, Activation::Identity)?;
    }
    Ok(y)
}

/// The anchors of a head on this tensor.
fn anchors(b: &NetworkBuilder, x: TensorId) -> Result<AnchorMap, NetworkError> {
    let shape = b.shape(x).ok_or(NetworkError::Empty { what: "a head's input" })?;
    let side = |cells: f64, size: usize| {
        let fraction = (cells / size as f64).min(1.0);
        ((fraction * f64::from(ANCHOR_ONE)).round() as u16).max(1)
    };
    let of_shape = |side_of_square: f64, ratio: f64| {
        let (height, width) = (side_of_square * ratio.sqrt(), side_of_square / ratio.sqrt());
        Anchor { height: side(height, shape.height), width: side(width, shape.width) }
    };
    let squares = SIDES.iter().map(|&side| of_shape(side, 1.0));
    let others = SHAPES.iter().map(|&ratio| of_shape(SIDES[0], ratio));
    Ok(AnchorMap { height: shape.height, width: shape.width, sizes: squares.chain(others).collect() })
}

/// A depthwise 3×3, then a 1×1 with one row a value of an anchor.
fn head(
    b: &mut NetworkBuilder,
    name: &str,
    x: TensorId,
    map: &AnchorMap,
    classes: usize,
) -> Result<TensorId, NetworkError> {
    let y = b.depthwise(&format!("{name}.depthwise"), x, Window::square(3, 1, 1), Finish::NORM.then(Relu6))?;
    let rows = map.sizes.len() * (BESIDES + classes);
    b.convolution(&format!("{name}.values"), y, Window::square(1, 1, 0), rows, Finish::BIAS.sparse())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::AnchorsError;

    #[test]
    fn a_detector_that_no_model_can_hold_is_refused_before_it_is_trained() {
        let build = |side, classes| {
            ssd_mobilenet_v2(TensorShape { channels: 3, height: side, width: side }, 0.25, classes).map(|_| ())
        };
        assert_eq!(build(224, 10), Ok(()));
        for (side, classes) in [(256, 10), (192, 40)] {
            let error = build(side, classes).expect_err("accepted");
            assert!(matches!(error, NetworkError::TooManyValues { values: 65_536.., .. }), "{error}");
        }
        for classes in [257, usize::MAX] {
            assert_eq!(build(32, classes), Err(AnchorsError::Classes { classes }.into()));
        }
    }
}

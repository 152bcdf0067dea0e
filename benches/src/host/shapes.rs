//! What is measured, for other engines to measure too.
use super::layers::{LAYERS, networks};
use crate::error::Error;
use nested_csr::Window;
use nested_mask::nn::{Activation, Network, Operation};
use serde::Serialize;

#[derive(Serialize)]
pub struct Shapes {
    layers: Vec<LayerShape>,
    networks: Vec<NetworkShape>,
}

#[derive(Serialize)]
struct LayerShape {
    layer: &'static str,
    /// Height, width, input channels, output channels.
    shape: [usize; 4],
    /// Kernel, stride, padding.
    window: [u8; 3],
    depthwise: bool,
}

#[derive(Serialize)]
struct NetworkShape {
    network: &'static str,
    /// Channels, height, width.
    input: [usize; 3],
    nodes: Vec<NodeShape>,
}

/// Inputs count tensors: 0 is the image, i the output of node i.
#[derive(Serialize)]
struct NodeShape {
    op: &'static str,
    inputs: Vec<u16>,
    kernel: [u8; 2],
    stride: u8,
    /// Top, left, bottom, right.
    padding: [u8; 4],
    /// Output channels, height, width.
    output: [usize; 3],
    relu: bool,
}

/// The reference layers and networks.
pub fn shapes() -> Result<Shapes, Error> {
    let layers = LAYERS.iter().map(|layer| LayerShape {
        layer: layer.name,
        shape: layer.shape,
        window: layer.window,
        depthwise: layer.depthwise,
    });
    let networks = networks()?;
    let networks = networks.iter().map(|(name, network)| NetworkShape {
        network: name,
        input: [network.input().channels, network.input().height, network.input().width],
        nodes: nodes(network),
    });
    Ok(Shapes { layers: layers.collect(), networks: networks.collect() })
}

fn nodes(network: &Network) -> Vec<NodeShape> {
    let point = Window::square(1, 1, 0);
    let describe = |operation| match operation {
        Operation::Convolution { input, window, finish, .. } => ("convolution", vec![input], window, finish.activation),
        Operation::Depthwise { input, window, finish } => ("depthwise", vec![input], window, finish.activation),
        Operation::Add { left, right, activation } => ("add", vec![left, right], point, activation),
        Operation::AveragePool { input, window } => ("average pool", vec![input], window, Activation::Identity),
        Operation::MaxPool { input, window } => ("max pool", vec![input], window, Activation::Identity),
        Operation::Concatenation { left, right } => ("concatenation", vec![left, right], point, Activation::Identity),
        _ => unreachable!("an operation that the crate's own networks do not have: {operation:?}"),
    };
    let node = |node: &nested_mask::nn::Node| {
        let (op, inputs, window, activation) = describe(node.operation);
        let padding = window.padding;
        NodeShape {
            op,
            inputs: inputs.into_iter().map(|tensor| tensor.0).collect(),
            kernel: window.kernel,
            stride: window.stride,
            padding: [padding.top, padding.left, padding.bottom, padding.right],
            output: [node.output.channels, node.output.height, node.output.width],
            relu: activation != Activation::Identity,
        }
    };
    network.nodes().iter().map(node).collect()
}

//! Networks: their description, their parameters, and the passes through them.
mod kernels;
mod map;
mod network;
mod parameters;
mod passes;
mod pointwise;
mod slim;
mod ssd;
mod vector;
mod zoo;

pub use network::{Activation, Affine, Finish, Network, NetworkBuilder, NetworkError, Node, Operation};
pub use parameters::{EPSILON, Gradient, Layer, LayerGradient, Norm, Parameters};
pub use passes::{Learning, Loss, Passes, Statistics};
pub use slim::channel_masks;
pub use ssd::ssd_mobilenet_v2;
pub use vector::Scalar;
pub use zoo::{ds_cnn, mobilenet_v1, resnet8, resnet9};

//! Networks: their description, their parameters, and the passes through them.
mod kernels;
mod map;
mod network;
mod parameters;
mod passes;
mod pointwise;
mod vector;
mod zoo;

pub use network::{Activation, Affine, Finish, Network, NetworkBuilder, NetworkError, Node, Operation};
pub use parameters::{EPSILON, Gradient, Layer, LayerGradient, Norm, Parameters};
pub use passes::{Loss, Passes, Statistics};
pub use vector::Scalar;
pub use zoo::{ds_cnn, mobilenet_v1, resnet8, resnet9};

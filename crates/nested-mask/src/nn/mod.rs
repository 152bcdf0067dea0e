//! Networks: their description and the passes through them.
mod network;
mod zoo;

pub use network::{Activation, Affine, Finish, Network, NetworkBuilder, NetworkError, Node, Operation};
pub use zoo::resnet8;

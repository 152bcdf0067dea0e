//! Networks: their description, their parameters, and the passes through them.
//!
//! ```
//! use nested_csr::{TensorShape, Window};
//! use nested_mask::nn::{Activation, Finish, Gradient, NetworkBuilder, Parameters, Passes, Statistics};
//! use nested_mask::{Block, Ladder, NestedMask};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = NetworkBuilder::new(TensorShape { channels: 1, height: 4, width: 4 });
//! let finish = Finish::NORM.then(Activation::Relu).sparse();
//! let x = builder.convolution("first", builder.input(), Window::square(3, 1, 1), 8, finish)?;
//! let x = builder.global_average_pool("pool", x)?;
//! builder.fully_connected("logits", x, 2)?;
//! let network = builder.finish()?;
//!
//! let ladder = Ladder::new([0.8, 0.5])?;
//! let mut parameters = Parameters::<f32>::random(&network, ladder.levels(), 1);
//! for layer in parameters.layers.iter_mut().take(1).flatten() {
//!     layer.mask = Some(NestedMask::by_magnitude(layer.weights.view(), &ladder, Block::OneByOne)?);
//! }
//!
//! // The loss of each level and its gradient, on 16 images whose brightness is their class.
//! let labels: Vec<u8> = (0..16).map(|image| image % 2).collect();
//! let mut passes = Passes::new(&network, labels.len());
//! passes.load(labels.len(), |image, pixels| pixels.fill(f32::from(labels[image])));
//! let mut gradient = Gradient::zeros(&parameters);
//! for level in ladder.levels().up_to() {
//!     passes.prepare(&parameters, level);
//!     passes.forward(&parameters, Statistics::Batch);
//!     let wanted = |image: usize, class: usize| f32::from(u8::from(class == usize::from(labels[image])));
//!     let loss = passes.cross_entropy(&labels, wanted);
//!     passes.backward(&parameters, &mut gradient); // in place of the last level's; `Routing` combines them
//!     assert!(loss.mean.is_finite() && passes.first_not_finite().is_none());
//! }
//! # Ok(()) }
//! ```
mod builder;
mod error;
mod kernels;
mod map;
mod network;
mod parameters;
mod passes;
mod pointwise;
mod pool;
mod slim;
mod softmax;
mod ssd;
mod vector;
mod zoo;

pub use builder::NetworkBuilder;
pub use error::{NetworkError, ParametersError};
pub use network::{Activation, Affine, Finish, Network, Node, Operation};
pub use parameters::{EPSILON, Gradient, Layer, LayerGradient, Norm, Parameters};
pub use passes::{Learning, Loss, Passes, Statistics};
pub use slim::channel_masks;
pub(crate) use softmax::{log_softmax, log_softmax_at};
pub use ssd::ssd_mobilenet_v2;
pub use vector::Scalar;
pub use zoo::{ds_cnn, mobilenet_v1, resnet8, resnet9};

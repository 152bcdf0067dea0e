#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

#[cfg(any(feature = "std", test))]
extern crate std;

mod add;
mod arch;
#[cfg(feature = "rayon")]
mod batch;
mod concatenation;
mod conv;
mod depthwise;
mod detect;
mod error;
mod fixed;
mod geometry;
mod governor;
mod network;
mod plan;
mod pool;
mod requant;
mod rows;
mod softmax;
#[cfg(test)]
mod tests;

pub use add::{add, add_in_place};
pub use concatenation::concatenation;
#[cfg(feature = "rayon")]
pub use conv::convolution_parallel;
pub use conv::{Scratch, convolution, convolution_scratch};
pub use depthwise::{depthwise, depthwise_scratch};
pub use detect::{BOX_ONE, Detection, Detector, Thresholds};
pub use error::{KernelError, NodeFault};
pub use geometry::Geometry;
pub use governor::Governor;
/// The format crate of the models that this crate runs: one dependency serves both.
pub use nested_csr;
pub use network::Network;
pub use plan::MAX_NODES;
pub use pool::{average_pool, max_pool};
pub use softmax::Softmax;

/// What the kernels run on: the instructions that were chosen, for people to read.
///
/// ```
/// println!("{}", nested_kernels::backend());
/// ```
pub fn backend() -> &'static str {
    arch::name()
}

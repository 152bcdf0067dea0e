//! A compressed byte format for nested sparse int8 weights, and for the models made of them.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod body;
#[cfg(feature = "alloc")]
mod builder;
mod bytes;
mod check;
mod error;
mod graph;
mod header;
mod index;
mod layers;
mod level;
mod model;
#[cfg(feature = "alloc")]
mod model_builder;
mod parameters;
mod requant;
mod ring;
mod rows;
mod shape;
mod stats;
#[cfg(feature = "proptest")]
pub mod testing;
mod view;

#[cfg(feature = "alloc")]
pub use builder::Profile;
pub use error::{FormatError, Part};
pub use graph::{Node, Operation, Padding, TensorId, TensorShape, Weights, Window};
pub use header::{Kind, MAGIC, VERSION};
pub use index::IndexCode;
pub use layers::Layers;
#[cfg(feature = "alloc")]
pub use layers::LayersBuilder;
pub use level::{Level, MAX_LEVELS};
pub use model::Model;
#[cfg(feature = "alloc")]
pub use model_builder::{ConvolutionWeights, ModelBuilder, NodeLevel};
pub use parameters::{NodeParameters, Requantizations};
pub use requant::{Multiplier, Quantization, Requantization};
pub use rows::{Row, Rows, Sink};
pub use shape::{Block, MAX_COLUMNS, Shape};
pub use stats::{RingStats, Stats};
pub use view::{MatrixView, NestedCsr};

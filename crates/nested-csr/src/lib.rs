//! A compressed byte format for nested sparse int8 weights, and for the models made of them.
//!
//! CONTRACT STAGE: signatures that the other crates are written against.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "alloc")]
mod builder;
mod error;
mod graph;
mod level;
mod model;
mod requant;
mod shape;
mod view;

#[cfg(feature = "alloc")]
pub use builder::{ConvolutionWeights, ModelBuilder, NodeLevel, Profile};
pub use error::FormatError;
pub use graph::{Node, Operation, Padding, TensorId, TensorShape, Weights, Window};
pub use level::{Level, MAX_LEVELS};
pub use model::{Model, NodeParameters, Requantizations};
pub use requant::{Multiplier, Quantization, Requantization};
pub use shape::{Block, Shape};
pub use view::{MatrixView, NestedCsr, Row, Rows};

#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// Wherever bytes are read, nothing may be indexed, added or narrowed unchecked. Modules that only write are exempt.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod anchors;
mod body;
#[cfg(feature = "alloc")]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing)]
// writes: lengths are checked first
mod builder;
mod byte_ring;
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
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing)]
// writes: lengths are checked first
mod model_builder;
#[cfg(feature = "alloc")]
mod owned;
mod parameters;
mod requant;
mod ring;
mod rows;
mod shape;
mod stats;
#[cfg(feature = "proptest")]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing)] // for tests
pub mod testing;
mod view;

pub use anchors::{ANCHOR_ONE, Anchor, AnchorTable, HeadAnchors, HeadMap};
#[cfg(feature = "alloc")]
pub use builder::Profile;
pub use byte_ring::ByteRing;
pub use error::{FormatError, Part, Place};
pub use graph::{Node, Operation, Padding, TensorId, TensorShape, Weights, Window};
pub use header::{Kind, MAGIC, VERSION, prefix_lens};
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

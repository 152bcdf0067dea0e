#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod allocation;
pub mod detect;
pub mod ladder;
pub mod mask;
pub mod nn;
pub mod quant;
pub mod routing;
pub mod saliency;
pub mod schedule;
pub mod train;

pub use allocation::Allocation;
pub use ladder::{Ladder, LadderError};
pub use mask::{MaskError, NestedMask};
/// The format crate of the models that [`quant`] makes: one dependency serves both.
pub use nested_csr;
pub use nested_csr::{Block, Level};
pub use routing::{Routing, RoutingError, RoutingMatrix};
pub use saliency::Saliency;

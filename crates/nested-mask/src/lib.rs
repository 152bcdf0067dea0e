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

#[doc(inline)]
pub use allocation::Allocation;
#[doc(inline)]
pub use ladder::{Ladder, LadderError};
#[doc(inline)]
pub use mask::{MaskError, NestedMask};
/// The format crate of the models that [`quant`] makes: one dependency serves both.
pub use nested_csr;
#[doc(inline)]
pub use nested_csr::{Block, Level};
#[doc(inline)]
pub use routing::{Descent, Routing, RoutingError, RoutingMatrix};
#[doc(inline)]
pub use saliency::Saliency;

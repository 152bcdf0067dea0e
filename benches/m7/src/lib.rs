//! What the measuring firmware shares: one JSON object a line by semihosting, every output checked to the bit.
#![no_std]

pub mod board;

#[cfg(feature = "measure")]
extern crate alloc;

#[cfg(feature = "measure")]
pub mod cases;
#[cfg(feature = "measure")]
pub mod counter;
#[cfg(feature = "measure")]
pub mod deadline;
#[cfg(feature = "measure")]
pub mod job;
#[cfg(feature = "measure")]
pub mod layers;
#[cfg(feature = "measure")]
pub mod networks;
#[cfg(feature = "measure")]
pub mod reference;
#[cfg(feature = "measure")]
mod start;
#[cfg(feature = "measure")]
pub mod trial;

#[cfg(feature = "measure")]
pub use start::run;

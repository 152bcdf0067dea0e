//! One runner for every backend that this machine can run, against one naive reference.
mod errors;
mod layers;
pub(crate) mod naive;
mod networks;
mod random;

use crate::{Geometry, KernelError, Scratch, arch::all};
use nested_csr::{Level, NodeParameters, Weights};

/// The entry points that backends have in common.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    pub(crate) convolution: Convolution,
    pub(crate) convolution_scratch: fn(&Weights<'_>, &Geometry) -> Result<Scratch, KernelError>,
    pub(crate) depthwise: Depthwise,
    pub(crate) depthwise_scratch: fn(&Geometry) -> Result<Scratch, KernelError>,
}

type Convolution =
    fn(&Weights<'_>, Level, &NodeParameters<'_>, &Geometry, &[i8], &mut [i8], &mut [u32]) -> Result<(), KernelError>;

type Depthwise = fn(&[i8], &NodeParameters<'_>, &Geometry, &[i8], &mut [i8], &mut [u32]) -> Result<(), KernelError>;

/// Every backend that this machine can run.
pub(crate) const BACKENDS: &[Backend] = &[Backend {
    name: "portable",
    convolution: all::convolution,
    convolution_scratch: all::convolution_scratch,
    depthwise: all::depthwise,
    depthwise_scratch: all::depthwise_scratch,
}];

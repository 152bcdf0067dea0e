//! Speed on a host: the reference layers and whole networks at each sparsity, training steps, and what other engines take
//! for the same shapes.
mod cases;
mod figures;
mod layers;
mod page;
mod record;
mod shapes;
mod train;

pub use cases::measure;
pub use page::write_page;
pub use record::{HostFile, Speed, TrainFile};
pub use shapes::shapes;
pub use train::{Threads, measure_training};

/// Sparsities measured, in per cent; [`LADDER`] holds them as levels.
pub const SPARSITIES: [usize; 6] = [0, 50, 70, 80, 90, 95];
/// The same as a ladder: level 1 is the sparsest.
const LADDER: [f64; 6] = [0.95, 0.9, 0.8, 0.7, 0.5, 0.0];
/// Both networks read CIFAR-10's images here.
const CLASSES: usize = 10;

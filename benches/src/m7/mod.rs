//! Instruction counts on Cortex-M: firmware built with what the machine has, run in QEMU, checked and compared.
mod anchors;
mod baseline;
mod cases;
mod cycles;
mod deadline;
mod firmware;
mod goals;
mod inspect;
mod layers;
mod levels;
mod networks;
mod reached;
mod shapes;
mod single;
mod zoo;

pub use anchors::Anchors;
pub use baseline::{Comparison, compare, counts, rebase};
pub use cases::check_cases;
pub use deadline::{Frame, check_deadline};
pub use firmware::{Firmware, Kernels, M4, M7, M33, Program};
pub use goals::{add_goals, layers_and_goals, print_goals, print_span, sum_of_goals};
pub use inspect::{dsp_instructions, no_float, no_panic};
pub use layers::{Layer, measure_layers, measure_trained, print_layers, print_means, print_portable, print_trained};
pub use levels::{firmware, instructions, level_rows, sparsities};
pub use networks::{
    Case, Cycles, Measured, READING, ROOM, Row, measure_networks, print_networks, print_nodes, random_images,
};
pub use reached::{Goal, Run, print_reached, reached};
pub use shapes::{ShapeRow, measure_shapes, print_shapes};
pub use zoo::{DETECTOR, Untrained, zoo};

use std::{io, path::PathBuf};

/// Why there are no figures, or wrong ones.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum M7Error {
    #[error("{program} does not start ({source}); install {remedy}")]
    Missing { program: &'static str, remedy: &'static str, source: io::Error },
    #[error(
        "no compiler for {0}: install the target with `rustup target add {0}`, or Debian's rustc-web, cargo-web, rust-web-src and binutils-arm-none-eabi"
    )]
    NoTarget(&'static str),
    #[error("the firmware does not compile:\n{0}")]
    Build(String),
    #[error("the firmware failed:\n{0}")]
    Firmware(String),
    #[error("{path}: {problem}", path = path.display())]
    File { path: PathBuf, problem: String },
    #[error("the firmware that only runs a network links {0}")]
    PanicLinked(String),
    #[error("the firmware does not contain the instruction {0}")]
    NoInstruction(&'static str),
    #[error("the firmware that only runs a network has a floating-point instruction: {instruction} in {function}")]
    Float { function: String, instruction: String },
    #[error("instruction counts rose by more than 1 %: {}", .0.join(", "))]
    Slower(Vec<String>),
    #[error("not in this run, but in the baseline: {0}")]
    Lost(String),
    #[error("a network cannot be run: {0}")]
    Kernel(#[from] nested_kernels::KernelError),
}

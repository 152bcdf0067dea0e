//! The reference layers of the comparison with CMSIS-NN.
use nested_csr::{TensorShape, Window};

/// One layer: a name, the shape that it reads, its window and its output channels.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub name: &'static str,
    pub input: TensorShape,
    pub window: Window,
    pub rows: usize,
}

const fn layer(name: &'static str, [height, width, channels]: [usize; 3], window: Window, rows: usize) -> Layer {
    Layer { name, input: TensorShape { channels, height, width }, window, rows }
}

/// 3×3 layers A–E and 1×1 layers F–H: sparse at the ladder's levels.
pub const SPARSE: [Layer; 8] = [
    layer("A", [32, 32, 16], Window::square(3, 1, 1), 16),
    layer("B", [32, 32, 16], Window::square(3, 2, 1), 32),
    layer("C", [16, 16, 32], Window::square(3, 1, 1), 32),
    layer("D", [16, 16, 32], Window::square(3, 2, 1), 64),
    layer("E", [8, 8, 64], Window::square(3, 1, 1), 64),
    layer("F", [8, 8, 64], Window::square(1, 1, 0), 64),
    layer("G", [8, 8, 128], Window::square(1, 1, 0), 128),
    layer("H", [4, 4, 256], Window::square(1, 1, 0), 256),
];

/// Fully connected layers: the kernel is the whole map.
pub const FULLY_CONNECTED: [Layer; 2] =
    [layer("K1", [1, 1, 64], Window::square(1, 1, 0), 10), layer("K2", [1, 1, 256], Window::square(1, 1, 0), 100)];

/// The first layer of a network: dense.
pub const FIRST: Layer = layer("J", [32, 32, 3], Window::square(3, 1, 1), 16);

/// Depthwise: dense.
pub const DEPTHWISE: Layer = layer("I", [16, 16, 64], Window::square(3, 1, 1), 64);

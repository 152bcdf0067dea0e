//! The instructions that a sweep is made of: the seam between the algorithm and the backends.
use crate::requant::Finish;

/// What a vector unit does with a block of pixels, four taps at a time: `sum += Σ wᵢ · pixelᵢ`, modulo 2³².
///
/// Vector units multiply neighbours (`a₀·b₀ + a₁·b₁` on pairs of int16, or four of int8), so the four taps' pixels are
/// interleaved first ([`Lanes::group`]); rows that share taps share that work.
pub(crate) trait Lanes: Copy + Send + Sync {
    /// Pixels of a block.
    const PIXELS: usize;
    /// The stored share of the weights, in per cent, from which sweeping rows together is cheaper than each alone: they
    /// multiply zeros too, but share loads and interleaving.
    const TOGETHER: u64;
    /// An activation as the padded copy holds it.
    type Element: bytemuck::Pod + Send + Sync;
    /// A block of one tap's pixels.
    type Register: Copy;
    /// The blocks of four taps, ready to multiply.
    type Group: Copy;
    /// Four weights, ready to multiply.
    type Weights: Copy;
    /// A sum for each pixel of a block.
    type Sums: Copy;

    /// Runs a task whose code may use the instructions.
    fn enter<T: Task>(self, task: T) -> T::Output;
    /// An activation's element.
    fn element(activation: i8) -> Self::Element;
    /// Where sums begin: the bias, less what [`Lanes::element`] added to each activation, times the sum of the weights.
    fn origin(bias: i32, weights: i32) -> i32;
    /// Four weights in memory.
    fn encode(weights: [i8; 4]) -> [u32; 2];
    /// Encoded weights in a register.
    fn weights(self, encoded: [u32; 2]) -> Self::Weights;
    /// The first block of a slice; `None` when it is shorter.
    fn load(self, from: &[Self::Element]) -> Option<Self::Register>;
    /// Interleaves the pixels of four taps.
    fn group(self, taps: [Self::Register; 4]) -> Self::Group;
    /// The same sum for all pixels.
    fn splat(self, sum: i32) -> Self::Sums;
    /// Adds the products of four taps.
    fn multiply_add(self, sums: Self::Sums, group: Self::Group, weights: Self::Weights) -> Self::Sums;
    /// Requantises the sums and writes them in the order of the pixels to the start of a slice.
    fn finish(self, sums: Self::Sums, finish: &Finish, to: &mut [i8]);
}

/// Code that is compiled once for each set of instructions.
pub(crate) trait Task {
    type Output;
    /// Always inlined, and without closures around instructions: only so do they end up inside [`Lanes::enter`]'s code.
    fn run(self) -> Self::Output;
}

/// Blocks of the widest tile.
pub(crate) const TILE: usize = 3;

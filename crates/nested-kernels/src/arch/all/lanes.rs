//! The instructions that a sweep is made of: the seam between the algorithm and the backends.

/// A register's worth of pixels, multiplied by two weights at a time: the instruction that every vector unit has is
/// `a₀·b₀ + a₁·b₁` on pairs of int16.
///
/// Slices that are shorter than [`Lanes::PIXELS`] leave the sums as they are; the sweep never passes one.
pub(crate) trait Lanes: Copy {
    /// Pixels that one register of int16 holds.
    const PIXELS: usize;
    /// Two weights, ready to multiply.
    type Weights: Copy;
    /// A sum for each of the pixels.
    type Sums: Copy;

    /// The same sum for all pixels.
    fn splat(self, sum: i32) -> Self::Sums;
    /// Two weights.
    fn weights(self, one: i8, two: i8) -> Self::Weights;
    /// Adds the products of the pixels at the start of two slices, modulo 2³².
    fn multiply_add(self, sums: Self::Sums, one: &[i16], two: &[i16], weights: Self::Weights) -> Self::Sums;
    /// Writes the sums in the order of the pixels.
    fn store(self, sums: Self::Sums, to: &mut [i32]);
}

/// The widest tile of any backend, in pixels: what the end of a padded copy leaves room for.
pub(crate) const WIDEST: usize = if cfg!(target_arch = "x86_64") { 128 } else { 32 };

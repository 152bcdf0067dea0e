//! The instructions that a sweep is made of: the seam between the algorithm and the backends.
use super::{
    copy::{CopyLines, copy},
    finishes::Finishes,
};
use crate::{
    Geometry,
    arch::{Buffers, Depthwise},
    requant::Finish,
    rows::RowSource,
};
use core::fmt::Debug;

/// What a vector unit does with a block of pixels, four taps at a time: `sum += Σ wᵢ · pixelᵢ`, modulo 2³².
///
/// Vector units multiply neighbours (`a₀·b₀ + a₁·b₁` on pairs of int16, or four of int8), so the four taps' pixels are
/// interleaved first ([`Lanes::group`]); rows that share taps share that work.
pub(crate) trait Lanes: Copy + Debug + Send + Sync {
    /// See [`crate::backend`].
    const NAME: &'static str;
    /// Pixels of a block.
    const PIXELS: usize;
    /// The stored share of the weights, in per cent, from which sweeping rows together is cheaper than each alone: they
    /// multiply zeros too, but share loads and interleaving.
    const TOGETHER: u64;
    /// An activation as the padded copy holds it.
    type Element: Element;
    /// A weight as tables hold it.
    type Weight: bytemuck::Pod + From<i8> + Into<i32>;
    /// A block of one tap's pixels.
    type Register: Copy;
    /// The blocks of four taps, ready to multiply.
    type Group: Copy;
    /// Four weights, ready to multiply.
    type Weights: Copy;
    /// A sum for each pixel of a block.
    type Sums: Copy;
    /// The outputs of a block, in their order.
    type Pixels: Copy;

    /// The same with fewer pixels a block, for what is left of a map; or the same.
    type Narrow: Lanes<Element = Self::Element, Weight = Self::Weight> + From<Self>;

    /// Runs a task whose code may use the instructions; as it is when all code may.
    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        task.run()
    }
    /// Converts activations into the start of `to`, which is at least as long.
    #[inline(always)]
    fn copy(self, from: &[i8], to: &mut [Self::Element]) {
        copy::<Self>(from, to);
    }
    /// Writes lines of a copy.
    #[inline(always)]
    fn lines(self, lines: CopyLines<'_>, padding: Self::Element, to: &mut [Self::Element]) {
        lines.copy(self, padding, to);
    }
    /// Runs a depthwise layer in a way of its own, when there is one for its shape; whether it did.
    #[inline(always)]
    fn filters(self, _layer: Depthwise<'_>, _finishes: Finishes<'_>, _buffers: Buffers<'_>) -> bool {
        false
    }
    /// The words of scratch of [`Lanes::points`], when there is that way for the layer.
    #[inline(always)]
    fn points_words(self, _geometry: &Geometry) -> Option<usize> {
        None
    }
    /// Runs a dense layer of 1×1 windows in a way of its own, when there is one and the scratch for it; whether it did.
    #[inline(always)]
    fn points(self, _geometry: &Geometry, _weights: &[i8], _finishes: Finishes<'_>, _buffers: Buffers<'_>) -> bool {
        false
    }
    /// The words of scratch of [`Lanes::gathered`], when there is that way for the layer.
    #[inline(always)]
    fn gathered_words(self, _geometry: &Geometry) -> Option<usize> {
        None
    }
    /// Runs a sparse layer of few pixels in a way of its own, when there is one and the scratch for it; whether it did.
    #[inline(always)]
    fn gathered(
        self,
        _geometry: &Geometry,
        _rows: impl RowSource,
        _finishes: Finishes<'_>,
        _buffers: Buffers<'_>,
    ) -> bool {
        false
    }
    /// Weights for a table, which begins with as many.
    #[inline(always)]
    fn table(weights: &[i8], table: &mut [Self::Weight]) {
        table.iter_mut().zip(weights).for_each(|(to, weight)| *to = (*weight).into());
    }
    /// The sum of weights.
    #[inline(always)]
    fn total(self, weights: &[Self::Weight]) -> i32 {
        weights.iter().fold(0, |sum: i32, weight| sum.wrapping_add((*weight).into()))
    }
    /// Where a row's sums begin: the bias, less what [`Element::ADDED`] adds to them.
    #[inline(always)]
    fn origin(self, bias: i32, weights: &[Self::Weight]) -> i32 {
        match Self::Element::ADDED {
            0 => bias,
            added => bias.wrapping_sub(self.total(weights).wrapping_mul(added)),
        }
    }
    /// Four weights in a register.
    fn weights(self, weights: [Self::Weight; 4]) -> Self::Weights;
    /// The first block of a slice; `None` when it is shorter.
    fn load(self, from: &[Self::Element]) -> Option<Self::Register>;
    /// Interleaves the pixels of four taps.
    fn group(self, taps: [Self::Register; 4]) -> Self::Group;
    /// The same sum for all pixels.
    fn splat(self, sum: i32) -> Self::Sums;
    /// Adds the products of four taps.
    fn multiply_add(self, sums: Self::Sums, group: Self::Group, weights: Self::Weights) -> Self::Sums;
    /// Requantises the sums.
    fn finish(self, sums: Self::Sums, finish: &Finish) -> Self::Pixels;
    /// Writes as many pixels as `to` holds, from pixel `from` on.
    fn store(self, pixels: Self::Pixels, from: usize, to: &mut [i8]);
}

/// An activation as a padded copy holds it.
pub(crate) trait Element: bytemuck::Pod + Send + Sync {
    /// By how much it is greater.
    const ADDED: i32;

    fn of(activation: i8) -> Self;
}

impl Element for i16 {
    const ADDED: i32 = 0;

    #[inline(always)]
    fn of(activation: i8) -> i16 {
        activation.into()
    }
}

/// Unsigned, as `vpdpbusd` wants them.
impl Element for u8 {
    const ADDED: i32 = 128;

    #[inline(always)]
    fn of(activation: i8) -> u8 {
        activation as u8 ^ 0x80
    }
}

/// Code that is compiled once for each set of instructions.
pub(crate) trait Task {
    type Output;
    /// Always inlined, and without closures around instructions: only so do they end up inside [`Lanes::enter`]'s code.
    fn run(self) -> Self::Output;
}

/// Blocks of the widest tile: every backend has registers for the sums of so many.
pub(crate) const TILE: usize = 3;

/// Writes as many of an array of pixels as `to` holds, from pixel `from` on: [`Lanes::store`] of some.
#[allow(dead_code, reason = "only some backends have their pixels in an array")]
#[inline(always)]
pub(crate) fn store<const N: usize>(pixels: [i8; N], from: usize, to: &mut [i8]) {
    if from == 0 && to.len() == N {
        to.copy_from_slice(&pixels);
    } else {
        to.iter_mut().zip(pixels.iter().skip(from)).for_each(|(to, pixel)| *to = *pixel);
    }
}

/// Sums and how they are requantised, which happens as they are written.
#[allow(dead_code, reason = "only some backends requantise as they write")]
#[derive(Clone, Copy)]
pub(crate) struct Unfinished<const N: usize> {
    pub(crate) sums: [i32; N],
    pub(crate) finish: Finish,
}

#[allow(dead_code, reason = "only some backends requantise as they write")]
impl<const N: usize> Unfinished<N> {
    /// See [`Lanes::store`].
    #[inline(always)]
    pub(crate) fn store(&self, from: usize, to: &mut [i8]) {
        if from == 0
            && let Some(to) = to.first_chunk_mut::<N>()
        {
            return finish_block(&self.sums, &self.finish, to);
        }
        let sums = self.sums.get(from..).unwrap_or(&[]);
        to.iter_mut().zip(sums).for_each(|(to, sum)| *to = self.finish.apply(*sum));
    }
}

/// Not inlined: compilers vectorise this loop from memory to memory, and take one over values at hand apart.
#[allow(dead_code, reason = "only some backends requantise as they write")]
#[inline(never)]
fn finish_block<const N: usize>(sums: &[i32; N], finish: &Finish, to: &mut [i8; N]) {
    // Apart from the products, and on int16, as which SSE2 clamps; saturating changes nothing, because the bounds lie within
    // int8.
    let mut scaled = [0i16; N];
    for (to, sum) in scaled.iter_mut().zip(sums) {
        *to = finish.scaled(*sum).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    }
    let [zero_point, low, high] = [finish.zero_point, finish.low, finish.high].map(|value| value as i16);
    to.iter_mut().zip(scaled).for_each(|(to, sum)| *to = sum.saturating_add(zero_point).max(low).min(high) as i8);
}

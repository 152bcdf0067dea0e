//! Copies in blocks as wide as registers; none writes beyond what it was given.
use super::lanes::{Element, Lanes};

/// See [`Lanes::copy`]: the last block overlaps the one before it, so that there is no loop over single elements.
#[inline(always)]
pub(super) fn copy<L: Lanes>(from: &[i8], to: &mut [L::Element]) {
    let Some(to) = to.get_mut(..from.len()) else { return };
    match from.len() {
        64.. => copy_blocks::<L, 64>(from, to),
        32.. => copy_blocks::<L, 32>(from, to),
        16.. => copy_blocks::<L, 16>(from, to),
        8.. => copy_blocks::<L, 8>(from, to),
        _ => to.iter_mut().zip(from).for_each(|(to, from)| *to = L::Element::of(*from)),
    }
}

/// As [`copy`], of at least one block.
#[inline(always)]
fn copy_blocks<L: Lanes, const N: usize>(from: &[i8], to: &mut [L::Element]) {
    let (sources, rest) = from.as_chunks::<N>();
    let (targets, _) = to.as_chunks_mut::<N>();
    sources.iter().zip(targets).for_each(|(from, to)| copy_block::<L, N>(from, to));
    if !rest.is_empty()
        && let (Some(from), Some(to)) = (from.last_chunk(), to.last_chunk_mut())
    {
        copy_block::<L, N>(from, to);
    }
}

/// Through a block of its own, so that compilers see that no element depends on another.
#[inline(always)]
fn copy_block<L: Lanes, const N: usize>(from: &[i8; N], to: &mut [L::Element; N]) {
    let mut block = [L::Element::of(0); N];
    block.iter_mut().zip(from).for_each(|(to, from)| *to = L::Element::of(*from));
    *to = block;
}

/// Lines of a copy, each `pitch` long: `before` elements of padding, `real` activations, and padding. The activations are
/// `stride` apart, and `step` from one line to the next.
#[derive(Clone, Copy)]
pub(crate) struct CopyLines<'a> {
    pub(crate) from: &'a [i8],
    pub(crate) stride: usize,
    pub(crate) step: usize,
    pub(crate) before: usize,
    pub(crate) real: usize,
    pub(crate) pitch: usize,
}

impl CopyLines<'_> {
    /// See [`Lanes::lines`].
    #[inline(always)]
    pub(crate) fn copy<L: Lanes>(self, lanes: L, padding: L::Element, to: &mut [L::Element]) {
        for (index, line) in to.chunks_exact_mut(self.pitch.max(1)).enumerate() {
            let Some(from) = self.from.get(index * self.step..) else { return };
            let Some((start, rest)) = line.split_at_mut_checked(self.before) else { return };
            let Some((line, end)) = rest.split_at_mut_checked(self.real) else { return };
            start.iter_mut().for_each(|element| *element = padding);
            end.iter_mut().for_each(|element| *element = padding);
            match self.stride {
                1 => lanes.copy(from.get(..self.real).unwrap_or(&[]), line),
                // Apart, so that it vectorises.
                2 => line.iter_mut().zip(from.iter().step_by(2)).for_each(|(to, from)| *to = L::Element::of(*from)),
                stride => {
                    line.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = L::Element::of(*from));
                }
            }
        }
    }
}

/// Fills a short slice; without a call, which costs more.
#[inline(always)]
pub(super) fn fill<T: Copy>(to: &mut [T], element: T) {
    const N: usize = 16;
    let (blocks, rest) = to.as_chunks_mut::<N>();
    blocks.iter_mut().for_each(|block| *block = [element; N]);
    match (blocks.is_empty(), rest.is_empty()) {
        (false, false) => to.last_chunk_mut::<N>().into_iter().for_each(|last| *last = [element; N]),
        _ => rest.iter_mut().for_each(|to| *to = element),
    }
}

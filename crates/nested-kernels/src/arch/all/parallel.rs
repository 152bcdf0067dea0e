//! The bands on the threads of a rayon pool. Who does what changes nothing of the result: each pixel is written by one task.
use super::{
    Band,
    cut::Cut,
    lanes::Lanes,
    table::Decoder,
    work::{Kept, Maps, Pack},
};
use crate::{Geometry, requant::Finish};
use rayon::prelude::*;
use std::vec::Vec;

/// A band's part of each map.
impl Maps for Vec<&mut [i8]> {
    #[inline(always)]
    fn each(&mut self) -> impl Iterator<Item = &mut [i8]> {
        self.iter_mut().map(|map| &mut **map)
    }
}

/// Packs and sweeps all bands, each by one task.
#[allow(clippy::too_many_arguments)]
pub(super) fn sweep<L: Lanes>(
    lanes: L,
    decoder: Decoder<'_, L>,
    finish: Finish,
    (band, geometry): (&Band, &Geometry),
    cut: Cut,
    starts: &[u32],
    words: &[u32],
    input: &[i8],
    copies: &mut [L::Element],
    output: &mut [i8],
) {
    let bands = geometry.output.height.div_ceil(cut.step);
    let mut outputs: Vec<Vec<&mut [i8]>> = (0..bands).map(|_| Vec::with_capacity(geometry.output.channels)).collect();
    for map in output.chunks_exact_mut((geometry.output.height * geometry.output.width).max(1)) {
        for (band, part) in outputs.iter_mut().zip(map.chunks_mut(cut.step * geometry.output.width)) {
            band.push(part);
        }
    }
    copies.par_chunks_mut(band.len.max(1)).zip(outputs).enumerate().for_each(|(index, (copy, maps))| {
        let first = index * cut.step;
        lanes.enter(Pack { lanes, band, geometry, first, input, copy: &mut *copy });
        let sweep = band.sweep(lanes, geometry, cut.step.min(geometry.output.height - first), copy, finish);
        lanes.enter(Kept { sweep, decoder, starts, words, maps });
    });
}

//! The tasks on the threads of a rayon pool. Who does what changes nothing of the result: bands, rows of weights and output
//! maps are each written by one task.
use super::{
    cut::Cut,
    lanes::{Lanes, Task},
    sweep::Sweep,
    work::{Groups, Kept, Pack},
};
use crate::requant::Finish;
use rayon::prelude::*;

/// Packs all bands, and decodes the weights at the same time.
pub(super) fn prepare<L: Lanes>(
    Sweep { lanes, band, geometry, .. }: Sweep<'_, L>,
    cut: Cut,
    input: &[i8],
    copies: &mut [L::Element],
    decode: impl Task<Output: Send> + Send,
) {
    let pack = |(index, copy)| lanes.enter(Pack::<L> { band, geometry, first: index * cut.step, input, copy });
    rayon::join(|| lanes.enter(decode), || copies.par_chunks_mut(band.len.max(1)).enumerate().for_each(pack));
}

/// Sweeps groups of rows over all bands, a few groups a task.
pub(super) fn sweep<L: Lanes, F: Fn(usize) -> Finish + Copy + Send + Sync>(
    groups: Groups<'_, L, F>,
    cut: Cut,
    starts: &[u32],
    words: &[u32],
    copies: &[L::Element],
    output: &mut [i8],
) {
    // Enough tasks for threads that begin late or run slowly.
    const TASKS: usize = 4;
    let count = starts.len().div_ceil(TASKS * rayon::current_num_threads()).max(1);
    let sweep = |(index, output)| {
        groups.sweep.lanes.enter(Kept { groups, first: index * count, starts, words, step: cut.step, copies, output });
    };
    output.par_chunks_mut((groups.len() * count).max(1)).enumerate().for_each(sweep);
}

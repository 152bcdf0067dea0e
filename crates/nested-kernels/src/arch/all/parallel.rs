//! The shares of a cut on the threads of a rayon pool. Who does what changes nothing of the result: each pixel is written by
//! one task.
//!
//! What a core writes lies in its own cache, and comes from there slowly, line by line, when another core wants it next. So
//! each thread decodes all rows for itself into memory of its own, and takes the share that it had in the call before, where it can.
use super::{
    Layer,
    cut::{Cut, SHARES},
    lanes::Lanes,
    work::Maps,
};
use crate::{KernelError, arch::Buffers, rows::RowSource};
use core::{
    array, hint,
    marker::PhantomData,
    ops::Range,
    slice,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use rayon::prelude::*;
use std::{sync::Mutex, time::Instant};

/// How long a thread waits awake, at most; a thread that was woken within it was not worth the sleep.
const AWAKE: Duration = Duration::from_micros(50);

/// Convolves with the rows that `rows` gives; the shares of a cut are tasks.
pub(super) fn convolve<L: Lanes, R: RowSource, E: Into<KernelError>>(
    layer: &Layer<'_, L>,
    cut: Cut,
    rows: impl Fn() -> Result<R, E> + Sync,
    Buffers { input, output, scratch }: Buffers<'_>,
) -> Result<(), KernelError> {
    let geometry = layer.work.frame.geometry;
    let (height, width) = (geometry.output.height, geometry.output.width);
    let share = cut.share(height);
    let outputs = (0..height).step_by(share.max(1)).map(|first| first..(first + share).min(height));
    let scratch = scratch.chunks_exact_mut((scratch.len() / cut.shares).max(1));
    let parts = Part::split(output, height * width, outputs.clone().map(|rows| rows.start * width..rows.end * width));
    let mut shares = outputs.zip(scratch).zip(parts);
    let shares: [_; SHARES] = array::from_fn(|_| Mutex::new(shares.next()));
    let shares = shares.get(..cut.shares).unwrap_or(&shares);
    let done = AtomicUsize::new(0);
    (0..shares.len()).into_par_iter().with_max_len(1).try_for_each(|_| {
        let mut worked = false;
        while let Some(((outputs, scratch), mut maps)) = take(shares) {
            let parts = layer.parts(cut, scratch)?;
            layer.keep(parts, cut.step, rows().map_err(Into::into)?, input, outputs, &mut maps);
            done.fetch_add(1, Ordering::Release);
            worked = true;
        }
        if worked {
            stay_awake(|| done.load(Ordering::Acquire) < shares.len());
        }
        Ok(())
    })
}

/// Waits for the other threads without sleeping, for a while: a thread that sleeps is late for the next layer, so that the
/// others sleep when they have done theirs, and so on.
fn stay_awake(wait: impl Fn() -> bool) {
    let begin = Instant::now();
    while wait() && begin.elapsed() < AWAKE {
        hint::spin_loop();
    }
}

/// The share of the calling thread's number or, when that is taken, the next one.
fn take<T>(shares: &[Mutex<Option<T>>]) -> Option<T> {
    let thread = rayon::current_thread_index().unwrap_or(0) % shares.len().max(1);
    let (before, from) = shares.split_at_checked(thread)?;
    from.iter().chain(before).find_map(|share| share.lock().ok()?.take())
}

/// The same pixels of each map: no list of slices, which threads would hand to each other line by line.
struct Part<'a> {
    /// Of `maps · map` pixels, of which those whose place in their map is in `pixels` are this part's alone.
    output: *mut i8,
    maps: usize,
    map: usize,
    pixels: Range<usize>,
    borrowed: PhantomData<&'a mut [i8]>,
}

// SAFETY: a part is an exclusive borrow of its pixels, which no other part has, and bytes may be written by any thread.
unsafe impl Send for Part<'_> {}

impl<'a> Part<'a> {
    /// Parts of maps of `map` pixels; what `ranges` give beyond a map or again is left out.
    fn split(
        output: &'a mut [i8],
        map: usize,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> impl Iterator<Item = Part<'a>> {
        let (maps, output) = (output.len() / map.max(1), output.as_mut_ptr());
        let mut end = 0;
        ranges.map(move |range| {
            let start = range.start.clamp(end, map);
            end = range.end.clamp(start, map);
            Part { output, maps, map, pixels: start..end, borrowed: PhantomData }
        })
    }
}

impl Maps for Part<'_> {
    #[inline(always)]
    fn each(&mut self, pixels: Range<usize>) -> impl Iterator<Item = &mut [i8]> {
        let all = self.pixels.len();
        let (start, end) = (pixels.start.min(all), pixels.end.min(all));
        let len = end.saturating_sub(start);
        let first = self.output.wrapping_add(self.pixels.start + start);
        (0..self.maps).map(move |index| {
            // SAFETY: `split` got `maps · map` pixels or more that it may write for as long as the part lives. These are `len`
            // from place `pixels.start + start` of map `index` on, and `start + len` is at most the length of `pixels`, which
            // ends within the map. `split` gives each place to one part, and this part is borrowed until the iterator ends;
            // the slices of two maps do not overlap.
            unsafe { slice::from_raw_parts_mut(first.wrapping_add(index * self.map), len) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_within_their_maps() {
        let mut output = [0; 11];
        // Two maps of five pixels, and one pixel of no map.
        let ranges = [0..2, 1..4, 4..9, 7..8];
        for (value, mut part) in (1..).zip(Part::split(&mut output, 5, ranges.into_iter())) {
            part.each(0..9).for_each(|map| map.iter_mut().for_each(|pixel| *pixel += value));
            part.each(1..2).for_each(|map| map.iter_mut().for_each(|pixel| *pixel += 10));
            assert!(part.each(8..9).all(|map| map.is_empty()));
        }
        assert_eq!(output, [1, 11, 2, 12, 3, 1, 11, 2, 12, 3, 0]);
    }
}

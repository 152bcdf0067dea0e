//! The walk of pairs of pixels in Rust.
use super::{HEAD, Walk};

/// Where the blocks of a walk may stand, so that its table leads to words of the band alone.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// The first place, in bytes.
    first: i32,
    /// Words from there to the last place.
    words: u32,
}

impl Reach {
    /// `None` when no place will do.
    fn new(walk: &Walk<'_>) -> Option<Reach> {
        let [first, farthest] = walk.places;
        let room = i32::try_from(4 * walk.packed.len()).ok()?.checked_sub(16)?.checked_sub(farthest)?;
        Some(Reach { first, words: u32::try_from(room).ok()? / 4 })
    }

    /// Whether a block at a place, whose first entry has the place of the band's part that begins so many bytes before, stays
    /// inside the band with every entry. The band's segments lead to no other place: it holds as many words as its blocks meet.
    #[inline(always)]
    fn holds(&self, place: i32) -> bool {
        // An odd number of bytes becomes a great number of words.
        (place.wrapping_sub(self.first) as u32).rotate_right(2) <= self.words
    }
}

/// What the blocks of a row have in common.
struct Row<'t> {
    head: [u64; 4],
    entries: &'t [[i32; 2]],
    multiplier: i32,
    zero_point: i32,
}

/// Blocks of 4 words, 8 outputs.
pub(super) fn pixels(walk: &Walk<'_>, output: &mut [i8]) {
    let parts = walk.table.split_first_chunk::<HEAD>().zip(Reach::new(walk));
    let Some(((head, entries), reach)) = parts else { return };
    let entries = bytemuck::cast_slice::<u32, i32>(entries).as_chunks().0;
    let Some(entries) = entries.get(..walk.entries).filter(|entries| !entries.is_empty()) else { return };
    let [a, b, c, d, e, f, g, h] = *head;
    let head = [[a, b], [c, d], [e, f], [g, h]].map(|[low, high]| u64::from(low) | u64::from(high) << 32);
    let row = Row { head, entries, multiplier: walk.multiplier, zero_point: walk.zero_point };
    let Some(last) = output.len().checked_sub(4) else { return };
    let cells = output.as_mut_ptr();
    walk.each_block(4, |walk, p, outputs| {
        let inside = reach.holds(*p) && outputs.iter().all(|at| *at <= last);
        debug_assert!(inside, "a block outside of the band");
        if inside {
            let words = walk.packed.as_ptr().wrapping_byte_offset(*p as isize);
            // SAFETY: a table's entries lead from one column's place to another's, and the last of them, and no other, 16
            // bytes and the mark behind the first: so [`super::super::table`] writes them, whatever the weights. Places are
            // multiples of 4, none is farther than `walk.places` says, and `reach` has seen that as much is left of
            // `packed`. Four cells of `output` begin at each of `outputs`, and nothing else uses it.
            unsafe { row.block(words, outputs.map(|at| cells.wrapping_add(at).cast())) };
        }
        *p += 16;
    });
}

impl Row<'_> {
    /// Adds the products of each entry's weight with the four words that it leads to, and writes each lane's outputs, the
    /// first lane's first.
    ///
    /// # Safety
    /// The entries lead from `words` to four words each that may be read, and the last of them, and no other, to an odd
    /// address. Both outputs may be written.
    #[inline(never)]
    unsafe fn block(&self, mut words: *const u32, [low, high]: [*mut [i8; 4]; 2]) {
        let mut sums = self.head;
        let mut entry = self.entries.as_ptr();
        let mut add = |words: *const u32| {
            // SAFETY: the entry is not behind the last one, whose address is odd, and leads here.
            let ([weight, step], four) = unsafe { (*entry, *words.cast::<[i32; 4]>()) };
            for (sum, word) in sums.iter_mut().zip(four) {
                *sum = sum.wrapping_add((i64::from(weight) * i64::from(word)) as u64);
            }
            entry = entry.wrapping_add(1);
            words.wrapping_byte_offset(step as isize)
        };
        if self.entries.len() % 2 == 1 {
            words = add(words);
        }
        // Not a counted loop: the compiler would unroll it further, and run out of registers.
        while words.addr() & 1 == 0 {
            words = add(words);
            words = add(words);
        }
        let outputs = |lane: fn(u64) -> i32, multiplier| sums.map(|sum| self.requantise(lane(sum), multiplier));
        // SAFETY: they may be written.
        unsafe {
            *low = outputs(|sum| (sum as u32 ^ 1 << 31) as i32, self.multiplier >> 8);
            *high = outputs(|sum| (sum >> 32) as i32, self.multiplier);
        }
    }

    #[inline(always)]
    fn requantise(&self, sum: i32, multiplier: i32) -> i8 {
        super::requantise(sum, multiplier, self.zero_point)
    }
}

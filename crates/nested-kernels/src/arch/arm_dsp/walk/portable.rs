//! The walk of pairs of pixels in Rust. Each place is checked before a table is walked, not as it is: a 32-bit core has
//! registers for the sums of four words and for little else.
use super::Walk;

/// Where a table leads to from where a walk stands, in bytes.
#[derive(Clone, Copy, Debug)]
struct Reach {
    least: i32,
    most: i32,
    /// Behind the last entry, with the mark.
    end: i32,
}

impl Reach {
    /// `None` unless the last entry, and no other, leads to an odd place: so [`super::super::table`] writes them, whatever the
    /// weights, from places that the band chose, which are multiples of 4.
    fn new(walk: &Walk<'_>) -> Option<Reach> {
        let mut reach = Reach { least: 0, most: 0, end: 0 };
        let mut places = 0;
        for [_, step] in walk.entries() {
            places |= reach.end;
            (reach.least, reach.most) = (reach.least.min(reach.end), reach.most.max(reach.end));
            reach.end = reach.end.checked_add(step)?;
        }
        (places & 3 == 0 && reach.end & 1 != 0).then_some(reach)
    }

    /// The words from a place on, when all that the table leads to from there is four of them. The band's segments lead to no
    /// other place: it holds as many words as its blocks meet.
    fn words(&self, packed: &[u32], place: i32) -> Option<*const u32> {
        let first = place.checked_add(self.least)?;
        let last = usize::try_from(place.checked_add(self.most)?).ok()?;
        let inside = first >= 0 && place & 3 == 0 && last / 4 + 4 <= packed.len();
        inside.then_some(packed.as_ptr().wrapping_byte_offset(place as isize))
    }
}

/// Blocks of 4 words, 8 outputs.
pub(super) fn pixels(walk: &Walk<'_>, output: &mut [i8]) {
    let parts = walk.table.split_first_chunk::<{ super::HEAD }>().zip(Reach::new(walk));
    debug_assert!(parts.is_some(), "a table that no decoder writes");
    let Some(((head, entries), reach)) = parts else { return };
    let head: [u64; 4] = core::array::from_fn(|i| u64::from(head[2 * i]) | u64::from(head[2 * i + 1]) << 32);
    walk.each_block(4, |walk, p, outputs| {
        let words = reach.words(walk.packed, *p);
        debug_assert!(words.is_some(), "a block outside of the band");
        let Some(words) = words else { return };
        // SAFETY: `reach` has seen that every entry leads to four words of `packed` and the last one to an odd address.
        let sums = unsafe { add_up(entries.as_ptr().cast(), words, &head) };
        *p += reach.end - super::LAST;
        let [low, high] = outputs;
        write(output, low, sums.map(|sum| walk.requantise((sum as u32 ^ 1 << 31) as i32, walk.multiplier >> 8)));
        write(output, high, sums.map(|sum| walk.requantise((sum >> 32) as i32, walk.multiplier)));
    });
}

#[inline(always)]
fn write(output: &mut [i8], start: usize, values: [i8; 4]) {
    if let Some(cells) = output.get_mut(start..).and_then(|cells| cells.first_chunk_mut()) {
        *cells = values;
    }
}

/// Adds the products of each entry's weight with the four words that it leads to.
///
/// # Safety
/// The entries lead from `words` to four words each that may be read, and the last of them, and no other, to an odd address.
#[inline(never)]
unsafe fn add_up(mut entry: *const [i32; 2], mut words: *const u32, head: &[u64; 4]) -> [u64; 4] {
    let mut sums = *head;
    loop {
        // SAFETY: the entry is not behind the last one, and leads here.
        let ([weight, step], four) = unsafe { (*entry, *words.cast::<[i32; 4]>()) };
        for (sum, word) in sums.iter_mut().zip(four) {
            *sum = sum.wrapping_add((i64::from(weight) * i64::from(word)) as u64);
        }
        words = words.wrapping_byte_offset(step as isize);
        // Not a counted loop: the compiler would unroll it, and run out of registers.
        if words.addr() & 1 != 0 {
            return sums;
        }
        entry = entry.wrapping_add(1);
    }
}

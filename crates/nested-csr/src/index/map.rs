//! Which blocks of a row the inner rings hold.

/// The widest row that a map covers, in blocks. Wider rows use codes that need no map.
pub(crate) const MAP_BLOCKS: u32 = 8192;
const WORDS: usize = MAP_BLOCKS as usize / 32;

/// A bit a block of one row.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    words: [u32; WORDS],
}

impl Map {
    pub(crate) const fn new() -> Map {
        Map { words: [0; WORDS] }
    }

    /// Frees the first `blocks` blocks.
    pub(crate) fn clear(&mut self, blocks: u32) {
        let words = blocks.div_ceil(32) as usize;
        if let Some(words) = self.words.get_mut(..words.min(WORDS)) {
            words.fill(0);
        }
    }

    /// Takes a block; whether it was free.
    #[inline(always)]
    pub(crate) fn take(&mut self, block: u32) -> bool {
        let bit = 1u32 << (block & 31);
        match self.words.get_mut((block >> 5) as usize) {
            Some(word) => {
                let free = *word & bit == 0;
                *word |= bit;
                free
            }
            None => false,
        }
    }

    /// The blocks of word `index`: a set bit is taken.
    #[inline(always)]
    pub(crate) fn word(&self, index: u32) -> u32 {
        self.words.get(index as usize).copied().unwrap_or(0)
    }
}

/// The free blocks of one word of a map, and how many free ones come before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreeWord {
    pub index: u32,
    pub mask: u32,
    pub before: u32,
    pub count: u32,
}

impl FreeWord {
    #[inline(always)]
    pub(crate) fn new(map: &Map, index: u32, before: u32) -> FreeWord {
        let mask = !map.word(index);
        FreeWord { index, mask, before, count: mask.count_ones() }
    }

    /// The block that `place` free ones of the row come before; `place` never falls between calls.
    #[inline(always)]
    pub(crate) fn block(&mut self, place: u32, map: &Map) -> u32 {
        while place.wrapping_sub(self.before) >= self.count && self.index < WORDS as u32 {
            *self = FreeWord::new(map, self.index.wrapping_add(1), self.before.wrapping_add(self.count));
        }
        (self.index << 5).wrapping_add(select(self.mask, place.wrapping_sub(self.before)))
    }
}

/// The place of the set bit of `word` that `rank` set bits come before, without a branch: sums of 2, 4 and 8 bits as
/// for counting bits, then down again (S. Vigna, "Broadword implementation of rank/select queries", WEA 2008).
#[inline(always)]
fn select(word: u32, rank: u32) -> u32 {
    let pairs = word.wrapping_sub((word >> 1) & 0x5555_5555);
    let nibbles = (pairs & 0x3333_3333).wrapping_add((pairs >> 2) & 0x3333_3333);
    let bytes = nibbles.wrapping_add(nibbles >> 4) & 0x0f0f_0f0f;
    let before = bytes.wrapping_mul(0x0101_0101);
    let passed = |shift: u32| u32::from(rank >= (before >> shift) & 0xff);
    let mut at = passed(0).wrapping_add(passed(8)).wrapping_add(passed(16)) << 3;
    let mut rank = rank.wrapping_sub(((before << 8) >> at) & 0xff);
    for (sums, bits) in [(nibbles, 4), (pairs, 2), (word, 1)] {
        let here = (sums >> at) & ((1 << bits) - 1);
        let pass = u32::from(rank >= here);
        rank = rank.wrapping_sub(here & 0u32.wrapping_sub(pass));
        at = at.wrapping_add(bits & 0u32.wrapping_sub(pass));
    }
    at
}

#[cfg(test)]
mod tests {
    use super::select;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn select_finds_each_set_bit(word in any::<u32>()) {
            for (rank, bit) in (0..32).filter(|bit| word >> bit & 1 == 1).enumerate() {
                prop_assert_eq!(select(word, rank as u32), bit);
            }
        }
    }
}

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

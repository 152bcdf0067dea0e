//! What the host lays at a fixed address before the firmware starts.
use crate::board::JOB;
use core::slice;

/// A reader of the job: little-endian words and byte strings, each of which begins at a word.
pub struct Job {
    rest: &'static [u8],
}

impl Job {
    /// From its start.
    pub fn read() -> Job {
        // SAFETY: memory of the board that nothing writes while the firmware runs.
        Job { rest: unsafe { slice::from_raw_parts(JOB.start as *const u8, JOB.len()) } }
    }

    /// The next word.
    ///
    /// # Panics
    /// Past the end of the memory.
    pub fn word(&mut self) -> u32 {
        let (word, rest) = self.rest.split_first_chunk().expect("a word");
        self.rest = rest;
        u32::from_le_bytes(*word)
    }

    /// The next `len` bytes.
    ///
    /// # Panics
    /// Past the end of the memory.
    pub fn bytes(&mut self, len: usize) -> &'static [u8] {
        let (bytes, _) = self.rest.split_at(len);
        self.rest = &self.rest[len.next_multiple_of(4)..];
        bytes
    }

    /// The next `len` numbers.
    ///
    /// # Panics
    /// Past the end of the memory.
    pub fn numbers(&mut self, len: usize) -> &'static [i8] {
        let bytes = self.bytes(len);
        // SAFETY: i8 and u8 have the same size and alignment, and every bit pattern is valid.
        unsafe { slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
    }
}

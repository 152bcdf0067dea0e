//! Streams of gaps that are whole bytes or nibbles.

/// A stream of gaps. It is small and copied into the loops that read it, so that it stays in registers.
pub(crate) trait Gaps: Copy {
    /// The next gap; `None` when the stream ends within it.
    fn next(&mut self) -> Option<u32>;
}

/// Gaps of a byte; 255 means 255 and what follows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteGaps<'a>(pub &'a [u8]);

impl Gaps for ByteGaps<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        if byte != u8::MAX {
            return Some(u32::from(byte));
        }
        let (gap, rest) = long_byte_gap(rest)?;
        self.0 = rest;
        Some(gap)
    }
}

/// The rest of a gap whose first byte was 255, and what follows it.
#[cold]
fn long_byte_gap(mut bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut gap = u32::from(u8::MAX);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        gap = gap.saturating_add(u32::from(byte));
        bytes = rest;
        if byte != u8::MAX {
            return Some((gap, rest));
        }
    }
}

/// Gaps of 4 bits, the low half of a byte first; 15 means 15 and what follows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NibbleGaps<'a> {
    bytes: &'a [u8],
    /// In nibbles.
    at: usize,
}

impl<'a> NibbleGaps<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> NibbleGaps<'a> {
        NibbleGaps { bytes, at: 0 }
    }

    /// Whether all bytes were used and a spare nibble is 0.
    pub(crate) fn finished(&self) -> bool {
        let spare = if self.at & 1 == 0 { Some(&0) } else { self.bytes.get(self.at >> 1) };
        self.at.div_ceil(2) == self.bytes.len() && spare.is_some_and(|byte| byte >> 4 == 0)
    }
}

impl Gaps for NibbleGaps<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let mut gap = 0u32;
        loop {
            let byte = *self.bytes.get(self.at >> 1)?;
            let nibble = (u32::from(byte) >> ((self.at & 1) << 2)) & 15;
            self.at = self.at.wrapping_add(1);
            gap = gap.saturating_add(nibble);
            if nibble != 15 {
                return Some(gap);
            }
        }
    }
}

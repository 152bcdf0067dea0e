//! Bits of a little-endian stream: bit `i` is bit `i % 8` of byte `i / 8`.
use crate::bytes::{array_at, u8_at};

/// Bits of a window that are surely valid, whatever the position within a byte.
pub(crate) const WINDOW: u32 = 25;

/// A reader of bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    /// The next bits, at least [`WINDOW`] of them, the first in bit 0; `None` close to the end.
    #[inline(always)]
    pub(crate) fn window(&self) -> Option<u32> {
        let four = self.bytes.get(self.at >> 3..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*four) >> (self.at & 7))
    }

    /// As [`Bits::window`], with zeros behind the end.
    pub(crate) fn tail(&self) -> u32 {
        let byte = self.at >> 3;
        let word = u32::from_le_bytes(core::array::from_fn(|i| u8_at(self.bytes, byte.saturating_add(i))));
        word >> (self.at & 7)
    }

    /// Moves on by `count` bits.
    #[inline(always)]
    pub(crate) fn skip(&mut self, count: u32) {
        self.at = self.at.wrapping_add(count as usize);
    }

    /// Whether more bits were taken than there are.
    pub(crate) fn overrun(&self) -> bool {
        self.at > self.bytes.len().wrapping_mul(8)
    }

    /// Whether all bytes were used and the spare bits of the last are 0.
    pub(crate) fn finished(&self) -> bool {
        let used = self.at.div_ceil(8);
        let last: [u8; 1] = array_at(self.bytes, used.saturating_sub(1));
        let spare = self.at & 7;
        used == self.bytes.len() && (spare == 0 || u32::from(last[0]) >> spare == 0)
    }
}

/// A writer of bits.
#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: alloc::vec::Vec<u8>,
    spare: u32,
    held: u32,
}

#[cfg(feature = "alloc")]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation)] // writes: what it is given fits
impl BitWriter {
    /// Appends the low `count` bits of `value`, `count` at most 24.
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        self.spare |= value << self.held;
        self.held += count;
        while self.held >= 8 {
            self.bytes.push(self.spare as u8);
            self.spare >>= 8;
            self.held -= 8;
        }
    }

    /// The bytes, the last one filled up with zeros.
    pub(crate) fn finish(mut self) -> alloc::vec::Vec<u8> {
        if self.held > 0 {
            self.bytes.push(self.spare as u8);
        }
        self.bytes
    }
}

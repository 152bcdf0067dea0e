//! Golomb's code of whole numbers: the quotient by a modulus in unary, the remainder in truncated binary.
//! S. W. Golomb, "Run-length encodings", IEEE Transactions on Information Theory 12(3), 1966.
#[cfg(feature = "alloc")]
use super::bits::BitWriter;
use super::bits::{Bits, WINDOW};
use super::gaps::Gaps;

/// A Golomb code. `gap = quotient · modulus + remainder`; written are `quotient` zeros, a one, then the remainder:
/// `short` bits `x`; when `x ≥ threshold`, one more bit `y`, and the remainder is `2x + y − threshold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Golomb {
    modulus: u32,
    threshold: u32,
    short: u32,
}

impl Golomb {
    /// The code of a modulus of at least 1 (0 is read as 1).
    pub(crate) fn new(modulus: u16) -> Golomb {
        let modulus = u32::from(modulus).max(1);
        // ⌈log₂ modulus⌉ bits hold every remainder; the first `threshold` of them do with one less.
        let long = 32u32.wrapping_sub(modulus.wrapping_sub(1).leading_zeros());
        match long.checked_sub(1) {
            None => Golomb { modulus, threshold: 1, short: 0 },
            Some(short) => Golomb { modulus, threshold: (1u32 << long).wrapping_sub(modulus), short },
        }
    }

    /// The next gap, which may not fit a window or lie close to the end, and the bits behind it.
    #[cold]
    fn next_slow(self, mut bits: Bits<'_>) -> Option<(u32, Bits<'_>)> {
        let mut quotient = 0u32;
        loop {
            let window = bits.tail() & ((1 << WINDOW) - 1);
            let zeros = window.trailing_zeros().min(WINDOW);
            quotient = quotient.checked_add(zeros)?;
            bits.skip(zeros);
            if window != 0 {
                break;
            }
            if bits.overrun() {
                return None;
            }
        }
        bits.skip(1);
        let (remainder, used) = self.remainder(bits.tail());
        bits.skip(used);
        let gap = quotient.checked_mul(self.modulus)?.checked_add(remainder)?;
        if bits.overrun() { None } else { Some((gap, bits)) }
    }

    /// The remainder at the start of `window`, and the bits it takes (at most 16).
    #[inline(always)]
    fn remainder(self, window: u32) -> (u32, u32) {
        let x = window & (1u32 << self.short).wrapping_sub(1);
        let long = u32::from(x >= self.threshold);
        let y = (window >> self.short) & long;
        let remainder = (x << long).wrapping_add(y).wrapping_sub(self.threshold & 0u32.wrapping_sub(long));
        (remainder, self.short.wrapping_add(long))
    }
}

/// Gaps in a Golomb code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GolombGaps<'a> {
    code: Golomb,
    bits: Bits<'a>,
}

impl<'a> GolombGaps<'a> {
    pub(crate) fn new(modulus: u16, bytes: &'a [u8]) -> GolombGaps<'a> {
        GolombGaps { code: Golomb::new(modulus), bits: Bits::new(bytes) }
    }

    /// Whether all bytes were used and the spare bits are 0.
    pub(crate) fn finished(&self) -> bool {
        self.bits.finished()
    }
}

impl Gaps for GolombGaps<'_> {
    #[inline(always)]
    fn next(&mut self) -> Option<u32> {
        let code = self.code;
        if let Some(window) = self.bits.window() {
            let quotient = window.trailing_zeros();
            if quotient.wrapping_add(code.short).wrapping_add(2) <= WINDOW {
                let (remainder, used) = code.remainder(window >> quotient >> 1);
                self.bits.skip(quotient.wrapping_add(1).wrapping_add(used));
                return Some(quotient.wrapping_mul(code.modulus).wrapping_add(remainder));
            }
        }
        let (gap, bits) = code.next_slow(self.bits)?;
        self.bits = bits;
        Some(gap)
    }
}

#[cfg(feature = "alloc")]
#[allow(clippy::arithmetic_side_effects)] // writes: the modulus is not 0 and what it is given fits
impl Golomb {
    /// Writes a gap.
    pub(crate) fn write(self, gap: u32, out: &mut BitWriter) {
        let mut quotient = gap / self.modulus;
        while quotient >= 16 {
            out.put(0, 16);
            quotient -= 16;
        }
        out.put(1 << quotient, quotient + 1);
        let remainder = gap % self.modulus;
        if remainder < self.threshold {
            out.put(remainder, self.short);
        } else {
            let long = remainder + self.threshold;
            out.put(long >> 1, self.short);
            out.put(long & 1, 1);
        }
    }

    /// Bits that [`Golomb::write`] uses.
    pub(crate) fn len(self, gap: u32) -> u64 {
        u64::from(gap / self.modulus) + 1 + u64::from(self.short) + u64::from(gap % self.modulus >= self.threshold)
    }
}

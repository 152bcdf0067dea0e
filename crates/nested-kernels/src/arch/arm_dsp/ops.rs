//! One function an instruction: inline assembly on a core with the DSP extension, the same arithmetic in Rust elsewhere,
//! so that the algorithm above them is tested on a host.

macro_rules! instruction {
    ($(#[$doc:meta])* $name:ident($($arg:ident),*) $text:literal $([$kept:ident])?, $portable:expr) => {
        $(#[$doc])*
        #[inline(always)]
        pub(super) fn $name($($arg: u32),*) -> u32 {
            #[cfg(nested_kernels_backend = "dsp")]
            {
                let out: u32;
                // SAFETY: one instruction that reads and writes registers only. Those that may set the sticky Q flag do not
                // say that they preserve flags.
                unsafe {
                    core::arch::asm!($text, out = lateout(reg) out, $($arg = in(reg) $arg,)* options(pure, nomem, nostack $(, $kept)?));
                }
                out
            }
            #[cfg(not(nested_kernels_backend = "dsp"))]
            {
                $portable
            }
        }
    };
}

instruction!(
    /// The bottom half of `a` below the bottom half of `b`.
    bottoms(a, b) "pkhbt {out}, {a}, {b}, lsl #16" [preserves_flags], (a & 0xffff) | (b << 16));
instruction!(
    /// The top half of `b` below the top half of `a`.
    tops(a, b) "pkhtb {out}, {a}, {b}, asr #16" [preserves_flags], (a & 0xffff_0000) | (b >> 16));
instruction!(
/// The products of both halves, added to `sum` modulo 2³².
smlad(a, b, sum) "smlad {out}, {a}, {b}, {sum}", {
    let product = |shift: u32| (i32::from((a >> shift) as i16) * i32::from((b >> shift) as i16)) as u32;
    sum.wrapping_add(product(0)).wrapping_add(product(16))
});
instruction!(
/// `high + round(a · b / 2³²)`, halves up.
smmlar(a, b, high) "smmlar {out}, {a}, {b}, {high}" [preserves_flags], {
    let product = i64::from(a as i32) * i64::from(b as i32) + (1 << 31);
    high.wrapping_add((product >> 32) as u32)
});
instruction!(
    /// Saturated to a signed byte.
    saturated(a) "ssat {out}, #8, {a}", (a as i32).clamp(-128, 127) as u32);
instruction!(
/// The distances of the bytes, added to `sum`.
#[cfg(any(test, nested_kernels_backend = "dsp"))]
byte_distances(a, b, sum) "usada8 {out}, {a}, {b}, {sum}" [preserves_flags], {
    a.to_le_bytes().iter().zip(b.to_le_bytes()).fold(sum, |sum, (a, b)| sum.wrapping_add(a.abs_diff(b).into()))
});
instruction!(
    /// Bytes 0 and 2, extended to 16 bits each.
    extended(a) "sxtb16 {out}, {a}" [preserves_flags], (i32::from(a as i8) as u32 & 0xffff) | (i32::from((a >> 16) as i8) as u32) << 16);
instruction!(
    /// Bytes added as signed with saturation.
    qadd8(a, b) "qadd8 {out}, {a}, {b}" [preserves_flags], each_byte(a, b, i8::saturating_add));
instruction!(
    /// Bytes subtracted as signed with saturation.
    qsub8(a, b) "qsub8 {out}, {a}, {b}" [preserves_flags], each_byte(a, b, i8::saturating_sub));

/// Two weights, 16 bits each.
#[inline(always)]
pub(super) fn halves(low: i8, high: i8) -> u32 {
    bottoms(i32::from(low) as u32, i32::from(high) as u32)
}

#[cfg(not(nested_kernels_backend = "dsp"))]
fn each_byte(a: u32, b: u32, f: impl Fn(i8, i8) -> i8) -> u32 {
    let mut bytes = a.to_le_bytes();
    bytes.iter_mut().zip(b.to_le_bytes()).for_each(|(a, b)| *a = f(*a as i8, b as i8) as u8);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `a` from the low byte on.
    fn word(a: [u8; 4]) -> u32 {
        u32::from(a[0]) + (u32::from(a[1]) << 8) + (u32::from(a[2]) << 16) + (u32::from(a[3]) << 24)
    }

    proptest! {
        #[test]
        fn the_distances_of_bytes_are_added(a: [u8; 4], b: [u8; 4], sum in prop_oneof![any::<u32>(), Just(u32::MAX)]) {
            let distances = (0..4).map(|i| (i64::from(a[i]) - i64::from(b[i])).abs()).sum::<i64>();
            let exact = (i64::from(sum) + distances) % (1 << 32);
            prop_assert_eq!(i64::from(byte_distances(word(a), word(b), sum)), exact);
            // What the kernels use it for: the sum of four bytes.
            let bytes = a.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            prop_assert_eq!(byte_distances(word(a), 0, 0), bytes);
        }
    }
}
